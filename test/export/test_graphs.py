# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The graphs of a bundle against the official modules on the same weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

pytest.importorskip('torch', reason='no PyTorch here: nothing can be exported')
pytest.importorskip('sam2', reason='no sam2 here: nothing can be exported')
pytest.importorskip('onnx', reason='no onnx here: nothing can be exported')
pytest.importorskip('onnxsim', reason='no onnxsim here: nothing can be exported')

import torch
from sam2.modeling.sam2_base import SAM2Base

from sam2_ros.export import reference, trace
from sam2_ros.export.configs import load_model, random_model
from sam2_ros.export.exporter import ExportOptions, export_bundle
from sam2_ros.export.image_encoder import ImageEncoder
from sam2_ros.export.options import SHIPPED_CHECKPOINT
from sam2_ros.export.verify import (
    encoder_cases,
    mask_iou,
    picture,
    relative_difference,
    run_graph,
)
from sam2_ros.model.bundle import Bundle

#: What the project asks of fp32; seen are 1e-6 to 1e-5.
TOLERANCE = 1e-4
#: Random image sizes, seeds and prompts differ from those that the exporter itself checks with.
SEED = 11

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Exported:
    """A bundle's encoder and decoder in ONNX Runtime, and the model they were made from."""

    model: SAM2Base
    encoder: onnxruntime.InferenceSession
    decoder: onnxruntime.InferenceSession
    features: Arrays

    def decode(self, prompts: Arrays) -> list[NDArray[Any]]:
        """Return masks, IoU predictions, object scores and mask tokens of the exported decoder."""
        answers: list[NDArray[Any]] = self.decoder.run(None, {**self.features, **prompts})
        return answers

    def reference(self, prompts: Arrays) -> list[NDArray[Any]]:
        """Return the same from the official modules."""
        names = ('image_embed', 'high_res_features_0', 'high_res_features_1')
        image_embed, high_res_0, high_res_1 = (
            torch.from_numpy(self.features[name]) for name in names)
        has_mask = bool(prompts['has_mask_input'].any())
        answers = reference.decode(
            self.model, (image_embed, high_res_0, high_res_1),
            torch.from_numpy(prompts['point_coords']), torch.from_numpy(prompts['point_labels']),
            torch.from_numpy(prompts['mask_input']) if has_mask else None)
        return [answer.numpy() for answer in answers]


def exported_from(folder: Path, model: SAM2Base) -> Exported:
    bundle = Bundle.load(folder)
    sessions = [
        onnxruntime.InferenceSession(
            str(bundle.graph_path(name)), providers=['CPUExecutionProvider'])
        for name in ('image_encoder', 'image_decoder')]
    image = random_image(model)
    outputs = [output.name for output in sessions[0].get_outputs()]
    features = dict(zip(outputs, sessions[0].run(None, {'image': image}), strict=True))
    return Exported(model, sessions[0], sessions[1], features)


def random_image(model: SAM2Base) -> NDArray[np.float32]:
    return picture(model.image_size, model.image_size, SEED)[None].astype(np.float32)


def prompts_for(
        model: SAM2Base, objects: int, points: int, masks: int, has_mask: bool) -> Arrays:
    random = np.random.default_rng([SEED, objects, points, masks])
    side = model.image_size // 4
    return {
        'point_coords': random.uniform(
            -0.5, model.image_size, (objects, points, 2)).astype(np.float32),
        'point_labels': random.integers(-1, 4, (objects, points), dtype=np.int32),
        'mask_input': random.normal(0, 8, (masks, 1, side, side)).astype(np.float32),
        'has_mask_input': np.full(masks, has_mask, np.float32),
        'memory_conditioned': np.zeros(1, np.float32)}


@pytest.fixture(
    scope='session', params=['nano', 'trained', 'sam2_tiny_512', 'sam2.1_tiny_1024'])
def exported(request: pytest.FixtureRequest) -> Exported:
    if request.param == 'nano':
        return exported_from(request.getfixturevalue('nano_bundle'), random_model('sam2_nano', 256))
    if request.param == 'trained':
        folder = request.getfixturevalue('trained_bundle')
        return exported_from(folder, load_model('sam2_nano', SHIPPED_CHECKPOINT))
    if request.param == 'sam2_tiny_512':
        folder = request.getfixturevalue('sam2_tiny_512_bundle')
        return exported_from(folder, random_model('sam2_tiny', 512))
    return exported_from(request.getfixturevalue('tiny_bundle'), random_model('sam2.1_tiny'))


@pytest.fixture(scope='session')
def nano(nano_bundle: Path) -> Exported:
    return exported_from(nano_bundle, random_model('sam2_nano', 256))


def test_encoder_gives_the_official_features(exported: Exported) -> None:
    image = torch.from_numpy(random_image(exported.model))

    expected = reference.encode(exported.model, image)

    assert list(exported.features) == ['image_embed', 'high_res_features_0', 'high_res_features_1']
    for name, tensor in zip(exported.features, expected, strict=True):
        assert relative_difference(exported.features[name], tensor.numpy()) < TOLERANCE, name


@pytest.mark.parametrize(
    ('objects', 'points', 'masks', 'has_mask'), [
        pytest.param(1, 2, 1, False, id='one click'),
        pytest.param(1, 3, 1, False, id='one box'),
        pytest.param(1, 7, 1, True, id='clicks and mask'),
        pytest.param(1, 0, 1, True, id='mask alone'),
        pytest.param(5, 3, 1, False, id='five objects share the image'),
        pytest.param(3, 2, 3, True, id='three objects with a mask each'),
        pytest.param(3, 2, 1, True, id='three objects share a mask'),
        pytest.param(2, 0, 2, True, id='two masks alone'),
    ])
def test_decoder_gives_the_official_answers(
        exported: Exported, objects: int, points: int, masks: int, has_mask: bool) -> None:
    prompts = prompts_for(exported.model, objects, points, masks, has_mask)

    found = exported.decode(prompts)
    expected = exported.reference(prompts)

    assert found[0].shape == (objects, 4, *[exported.model.image_size // 4] * 2)
    for answer, official in zip(found, expected, strict=True):
        assert relative_difference(answer, official) < TOLERANCE
    assert mask_iou(found[0], expected[0]) > 0.999  # the gate for final masks


def test_some_objects_with_and_some_without_a_mask(nano: Exported) -> None:
    prompts = prompts_for(nano.model, 2, 2, 2, True)
    prompts['has_mask_input'] = np.array([0, 1], np.float32)

    together = nano.decode(prompts)

    for index, has_mask in enumerate((False, True)):
        alone = {name: value[index:index + 1] for name, value in prompts.items()}
        alone['memory_conditioned'] = prompts['memory_conditioned']
        alone['has_mask_input'] = np.full(1, has_mask, np.float32)
        for answer, official in zip(together, nano.reference(alone), strict=True):
            assert relative_difference(answer[index:index + 1], official) < TOLERANCE


def test_an_absent_mask_is_not_read(nano: Exported) -> None:
    prompts = prompts_for(nano.model, 1, 2, 1, False)
    clean = nano.decode(prompts)

    prompts['mask_input'] = np.full_like(prompts['mask_input'], np.nan)

    assert all(map(np.array_equal, nano.decode(prompts), clean))


def test_the_parity_test_sees_every_weight(nano: Exported) -> None:
    """A model that differs in one position embedding must not pass as the same."""
    other = random_model('sam2_nano', 256)
    with torch.no_grad():
        other.image_encoder.trunk.pos_embed.zero_()
    image = torch.from_numpy(random_image(other))

    difference = relative_difference(
        nano.features['image_embed'], reference.encode(other, image)[0].numpy())

    assert difference > TOLERANCE


@pytest.mark.parametrize(
    ('name', 'size'), [
        pytest.param(
            'sam2.1_tiny', 544, id='windows of 14 are padded, global attention has a rest'),
        pytest.param('sam2_nano', 832, id='windows of stage 2 span 16 rows, strips must too'),
    ])
def test_encoder_at_a_size_that_does_not_divide_evenly(name: str, size: int) -> None:
    model = random_model(name, size)
    case = encoder_cases(model)[0]
    graph = trace.trace(
        ImageEncoder(model), trace.encoder_signature(model), (torch.zeros(1, size, size, 3),), 18)

    answers = run_graph(graph, [case.inputs])[0]

    for answer, official in zip(answers, case.expected, strict=True):
        assert relative_difference(answer, official) < TOLERANCE


@pytest.mark.parametrize('opset', [17, 19, 20])  # 18 is the default, which all else tests
def test_every_opset_is_checked_and_runs(opset: int, tmp_path: Path) -> None:
    options = ExportOptions(
        model='sam2_nano', output=tmp_path / 'bundle', image_size=256, opset=opset)

    bundle = export_bundle(options)

    assert bundle.manifest.opset == opset
    exported_from(bundle.path, random_model('sam2_nano', 256))


def test_a_model_without_object_scores_says_ten(nano: Exported) -> None:
    """``MaskDecoder`` answers 10, surely there, where it predicts no object scores."""
    from sam2_ros.export.image_decoder import MaskHeads

    decoder = nano.model.sam_mask_decoder
    heads = MaskHeads(decoder)
    decoder_predicts, decoder.pred_obj_scores = decoder.pred_obj_scores, False
    try:
        silent = MaskHeads(decoder)
    finally:
        decoder.pred_obj_scores = decoder_predicts

    assert heads.tokens(torch.zeros(2, 3, 128)).shape == (2, 9, 128)
    assert silent.tokens(torch.zeros(2, 3, 128)).shape == (2, 8, 128)
