# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The resize graph against PyTorch's antialiased bilinear interpolation."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

pytest.importorskip('torch', reason='no PyTorch here: nothing can be exported')
pytest.importorskip('sam2', reason='no sam2 here: nothing can be exported')
pytest.importorskip('onnx', reason='no onnx here: nothing can be exported')
pytest.importorskip('onnxsim', reason='no onnxsim here: nothing can be exported')

import torch

from sam2_ros.export import trace

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
    model = trace.image_resize(size, opset=18)
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
    assert trace.image_resize(256, opset=17).opset_import[0].version == 18
    assert trace.image_resize(256, opset=20).opset_import[0].version == 20
