# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bundles in half precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('torch', reason='no PyTorch here: nothing can be exported')
pytest.importorskip('sam2', reason='no sam2 here: nothing can be exported')
pytest.importorskip('onnx', reason='no onnx here: nothing can be exported')
pytest.importorskip('onnxsim', reason='no onnxsim here: nothing can be exported')

import onnx
from onnx import TensorProto

from sam2_ros.export import verify
from sam2_ros.export.configs import random_model
from sam2_ros.export.exporter import ExportOptions, export_bundle
from sam2_ros.model.bundle import Bundle


@pytest.fixture(scope='module')
def half_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp('half') / 'nano_fp16'
    return export_bundle(ExportOptions(model='sam2_nano', output=folder, precision='fp16'))


def test_the_bundle_is_half_as_large(half_bundle: Bundle, nano_bundle: Path) -> None:
    assert half_bundle.manifest.precision == 'fp16'
    # Some weights stay float32, and graphs have names: not exactly half.
    assert half_bundle.size_bytes < 0.55 * Bundle.load(nano_bundle).size_bytes


def test_inputs_and_outputs_are_as_in_full_precision(
        half_bundle: Bundle, nano_bundle: Path) -> None:
    full = Bundle.load(nano_bundle).manifest.graphs

    for name, graph in half_bundle.manifest.graphs.items():
        assert (graph.inputs, graph.outputs) == (full[name].inputs, full[name].outputs)


def test_products_are_computed_in_half(half_bundle: Bundle) -> None:
    model = onnx.shape_inference.infer_shapes(
        onnx.load(half_bundle.graph_path('image_encoder')))
    kinds = {
        value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    products = [
        kinds[node.output[0]] for node in model.graph.node if node.op_type in ('Gemm', 'MatMul')]

    assert products
    assert set(products) == {TensorProto.FLOAT16}


def test_masks_are_close_to_full_precision(half_bundle: Bundle) -> None:
    model = random_model('sam2_nano')
    features = verify.encoder_cases(model)[0].expected
    cases = verify.decoder_cases(model, features)

    answers = verify.run_graph(
        half_bundle.graph_path('image_decoder'), [case.inputs for case in cases])

    for answer, case in zip(answers, cases, strict=True):
        assert verify.mask_iou(answer[0], case.expected[0]) > verify.TOLERANCES['fp16'].iou


def test_points_keep_fractions_of_a_pixel(half_bundle: Bundle) -> None:
    """At 2000, far outside the picture, float16 knows only whole pixels."""
    model = random_model('sam2_nano')
    features = verify.encoder_cases(model)[0].expected
    inputs = verify.decoder_cases(model, features)[0].inputs
    near = np.array([[[2000.0, 2000.0], [0, 0]]], np.float32)
    far = np.array([[[2000.25, 2000.0], [0, 0]]], np.float32)

    first, second = verify.run_graph(
        half_bundle.graph_path('image_decoder'),
        [{**inputs, 'point_coords': coords} for coords in (near, far)])

    assert not np.array_equal(first[0], second[0])
