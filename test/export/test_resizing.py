# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The graphs that scale pictures and masks against PyTorch and the official mask prompt."""

from __future__ import annotations

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

from sam2_ros.export import resizing
from sam2_ros.export.configs import random_model
from sam2_ros.export.errors import ExportError
from sam2_ros.export.verify import mask_iou, run_graph

#: In grey levels. White noise is the worst case: neighbours differ by up to 255, and a filter
#: that is displaced by float32's rounding of a coordinate near 1000 (6e-5) shifts by 0.015.
TOLERANCE = 0.02


@pytest.mark.parametrize('size', [256, 512, 1024])
@pytest.mark.parametrize(
    ('height', 'width'), [
        pytest.param(480, 640, id='VGA'),
        pytest.param(720, 1280, id='both enlarged and reduced'),
        pytest.param(1080, 1920, id='full HD'),
        pytest.param(1500, 90, id='narrow'),
        pytest.param(1024, 1024, id='square'),
        pytest.param(257, 255, id='one off'),
        pytest.param(1, 7, id='one row'),
        pytest.param(1, 1, id='one pixel'),
    ])
def test_resize_gives_the_official_numbers(size: int, height: int, width: int) -> None:
    model = resizing.image_resize(size, opset=18)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=['CPUExecutionProvider'])
    image = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)

    (resized,) = session.run(None, {'image': image})

    pixels = torch.from_numpy(image).permute(0, 3, 1, 2).float()
    expected = torch.nn.functional.interpolate(
        pixels, (size, size), mode='bilinear', antialias=True).permute(0, 2, 3, 1)
    assert resized.dtype == np.float32
    assert np.abs(resized - expected.numpy()).max() < TOLERANCE


def test_opset_17_cannot_antialias_so_the_graph_takes_18() -> None:
    assert resizing.image_resize(256, opset=17).opset_import[0].version == 18
    assert resizing.image_resize(256, opset=20).opset_import[0].version == 20


@pytest.fixture(scope='module', params=[256, 512, 768, 1024])
def model(request: pytest.FixtureRequest) -> SAM2Base:
    return random_model('sam2_nano', request.param)


@torch.no_grad()
def official_mask_prompt(
        model: SAM2Base, mask: NDArray[np.bool_]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the answer to a mask, and what ``_use_mask_as_output`` gives the decoder."""
    side = model.image_size
    resized = torch.from_numpy(mask)[None, None].float()
    if mask.shape != (side, side):  # from here on as SAM2VideoPredictor.add_new_mask has it
        resized = torch.nn.functional.interpolate(
            resized, (side, side), mode='bilinear', align_corners=False, antialias=True)
        resized = (resized >= 0.5).float()
    image_embed = torch.zeros(1, model.hidden_dim, side // 16, side // 16)
    decoder = model.sam_mask_decoder
    features = [torch.zeros(1, decoder.conv_s0.out_channels, side // 4, side // 4),
                torch.zeros(1, decoder.conv_s1.out_channels, side // 8, side // 8)]
    answer = model._use_mask_as_output(image_embed, features, resized)
    return answer[0], model.mask_downsample(resized)


@pytest.mark.parametrize(
    ('height', 'width'), [
        pytest.param(480, 640, id='VGA'),
        pytest.param(512, 384, id='edges that scale to exactly one half'),
        pytest.param(1080, 1920, id='full HD'),
        pytest.param(333, 257, id='odd'),
        pytest.param(None, None, id='already of the size of the model'),
    ])
def test_mask_prompt_gives_the_official_logits(
        model: SAM2Base, height: int | None, width: int | None) -> None:
    height, width = height or model.image_size, width or model.image_size
    y, x = np.mgrid[0:height, 0:width] / np.reshape((height, width), (2, 1, 1))
    mask = (np.hypot(x - 0.6, y - 0.4) < 0.27) | ((x < 0.25) & (y > 0.5))

    found = run_graph(resizing.mask_prompt(model, 18), [{'mask': 255 * mask.astype(np.uint8)}])[0]
    answer, prompt = (tensor.numpy() for tensor in official_mask_prompt(model, mask))

    assert found[0].shape == found[1].shape == (1, 1, *[model.image_size // 4] * 2)
    assert mask_iou(found[0], answer) == 1
    # One pixel of the scaled mask that falls on the other side of one half changes 4 x 4 numbers.
    for logits, official in zip(found, (answer, prompt), strict=True):
        different = np.abs(logits - official) > 1e-4 * np.abs(official).max()
        assert different.mean() < 1e-3


def test_any_value_but_zero_is_the_object(model: SAM2Base) -> None:
    mask = np.zeros((100, 120), np.uint8)
    mask[20:50, 30:90] = 1
    graph = resizing.mask_prompt(model, 18)

    ones, most = run_graph(graph, [{'mask': mask}, {'mask': 255 * mask}])

    assert (ones[0] > 0).any()
    assert all(map(np.array_equal, ones, most))


def test_a_model_that_takes_no_masks_as_answers_is_refused(model: SAM2Base) -> None:
    model.use_mask_input_as_output_without_sam = False
    try:
        with pytest.raises(ExportError, match='does not take masks as answers'):
            resizing.mask_prompt(model, 18)
    finally:
        model.use_mask_input_as_output_without_sam = True
