# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Models are built as asked, and checkpoints that do not fit are refused in one line."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip('torch', reason='no PyTorch here: nothing can be exported')
pytest.importorskip('sam2', reason='no sam2 here: nothing can be exported')
pytest.importorskip('onnx', reason='no onnx here: nothing can be exported')
pytest.importorskip('onnxsim', reason='no onnxsim here: nothing can be exported')

import torch
from torch import Tensor

from sam2_ros.export.configs import load_model, random_model
from sam2_ros.export.errors import ExportError

Weights = dict[str, Tensor]


@pytest.fixture(scope='module')
def weights() -> Weights:
    return random_model('sam2_nano', seed=3).state_dict()


@pytest.mark.parametrize(
    ('name', 'millions'), [  # as sam2's README states them
        ('sam2.1_tiny', 38.9), ('sam2.1_small', 46.0), ('sam2.1_base_plus', 80.8),
        ('sam2_tiny', 38.9), ('sam2_small', 46.0), ('sam2_base_plus', 80.8)])
def test_the_official_models_have_their_size(name: str, millions: float) -> None:
    count = sum(parameter.numel() for parameter in random_model(name).parameters())

    assert count / 1e6 == pytest.approx(millions, abs=0.15)


def test_the_image_size_reaches_all_that_depends_on_it() -> None:
    model = random_model('sam2.1_tiny', image_size=512)

    assert model.image_size == 512
    assert model.sam_image_embedding_size == 32
    assert model.sam_prompt_encoder.mask_input_size == (128, 128)
    for layer in model.memory_attention.layers:
        assert layer.self_attn.freqs_cis.shape[0] == 32 * 32
        assert layer.cross_attn_image.freqs_cis.shape[0] == 32 * 32


def test_stability_selection_is_on_as_in_the_official_builder() -> None:
    decoder = random_model('sam2_nano').sam_mask_decoder

    assert decoder.dynamic_multimask_via_stability
    assert decoder.dynamic_multimask_stability_delta == 0.05
    assert decoder.dynamic_multimask_stability_thresh == 0.98


def test_random_weights_repeat_and_leave_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = (random_model('sam2_nano', seed=seed) for seed in (1, 1, 2))

    key = 'image_encoder.trunk.blocks.0.attn.qkv.weight'
    assert torch.equal(first.state_dict()[key], again.state_dict()[key])
    assert not torch.equal(first.state_dict()[key], other.state_dict()[key])
    assert torch.equal(torch.get_rng_state(), before)


def test_no_random_parameter_is_constant() -> None:
    """Or a test of parity could not see that an export loses it."""
    for name, parameter in random_model('sam2_nano').named_parameters():
        assert parameter.numel() == 1 or parameter.unique().numel() > 1, name


@pytest.mark.parametrize('size', [100, 1000, 64, 4096, 0, -1024])
def test_impossible_image_sizes_are_refused(size: int) -> None:
    with pytest.raises(ExportError, match=rf'^image size {size} is not possible; take a multiple'):
        random_model('sam2_nano', image_size=size)


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ExportError, match=r'^unknown model "sam3"; there are: sam2.1_tiny, '):
        random_model('sam3')


def test_half_precision_weights_become_float32(weights: Weights, tmp_path: Path) -> None:
    file = tmp_path / 'half.pt'
    torch.save({'model': {key: value.half() for key, value in weights.items()}}, file)

    model = load_model('sam2_nano', file)

    key = 'sam_mask_decoder.iou_token.weight'
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert torch.equal(model.state_dict()[key], weights[key].half().float())
    assert not model.training


def without_key(weights: Weights) -> Weights:
    return {key: value for key, value in weights.items() if key != 'no_mem_embed'}


def with_key(weights: Weights) -> Weights:
    return {**weights, 'teacher.weight': torch.zeros(1)}


def with_shape(weights: Weights) -> Weights:
    return {**weights, 'no_mem_embed': torch.zeros(1, 1, 64)}


@pytest.mark.parametrize(
    ('change', 'message'), [
        (without_key, r'\(1 missing, the first "no_mem_embed"\)'),
        (with_key, r'\(1 unknown, the first "teacher.weight"\)'),
        (with_shape, r'\(1 of another shape, the first "no_mem_embed": \[1, 1, 64\] instead'),
    ])
def test_weights_of_another_model_are_refused(
        change: Callable[[Weights], Weights], message: str, weights: Weights,
        tmp_path: Path) -> None:
    file = tmp_path / 'other.pt'
    torch.save({'model': change(weights)}, file)

    with pytest.raises(ExportError, match=message) as caught:
        load_model('sam2_nano', file)

    assert str(caught.value).startswith(f'{file}: its weights are not those of sam2_nano ')
    assert '--model' in str(caught.value)


def test_a_checkpoint_of_another_size_is_refused(weights: Weights, tmp_path: Path) -> None:
    file = tmp_path / 'nano.pt'
    torch.save({'model': weights}, file)

    with pytest.raises(ExportError, match='of another shape') as caught:
        load_model('sam2.1_tiny', file)

    assert 'not those of sam2.1_tiny (' in str(caught.value)
    assert '\n' not in str(caught.value)


def write_text(file: Path, weights: Weights) -> None:
    file.write_text('these are not weights', encoding='utf-8')


def write_nothing(file: Path, weights: Weights) -> None:
    file.touch()


def write_truncated(file: Path, weights: Weights) -> None:
    torch.save({'model': weights}, file)
    file.write_bytes(file.read_bytes()[:file.stat().st_size // 2])


def write_dangerous_pickle(file: Path, weights: Weights) -> None:
    file.write_bytes(pickle.dumps({'model': Path}))


@pytest.mark.parametrize(
    'write', [write_text, write_nothing, write_truncated, write_dangerous_pickle])
def test_files_that_are_no_checkpoints_are_refused(
        write: Callable[[Path, Weights], None], weights: Weights, tmp_path: Path) -> None:
    file = tmp_path / 'broken.pt'
    write(file, weights)

    with pytest.raises(ExportError, match='cannot be read as a PyTorch checkpoint') as caught:
        load_model('sam2_nano', file)

    assert str(caught.value).startswith(f'{file}: ')
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('document', [{}, {'model': 3}, {'model': {'epoch': 3}}, [1, 2]])
def test_pytorch_files_without_weights_are_refused(document: object, tmp_path: Path) -> None:
    file = tmp_path / 'document.pt'
    torch.save(document, file)

    with pytest.raises(ExportError, match='no SAM 2 checkpoint: it has no weights under "model"'):
        load_model('sam2_nano', file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / 'absent.pt'

    with pytest.raises(ExportError, match='no such file') as caught:
        load_model('sam2_nano', file)

    assert str(file) in str(caught.value)
