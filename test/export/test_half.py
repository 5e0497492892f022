# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bundles in half precision."""

from __future__ import annotations

from pathlib import Path

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
from sam2_ros.export.half import HALF_GRAPHS
from sam2_ros.model.bundle import Bundle


@pytest.fixture(scope='module')
def half_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp('half') / 'nano_fp16'
    return export_bundle(ExportOptions(
        model='sam2_nano', output=folder, image_size=256, precision='fp16'))


def test_the_large_graphs_are_half_as_large(half_bundle: Bundle, nano_bundle: Path) -> None:
    full = Bundle.load(nano_bundle)

    assert half_bundle.manifest.precision == 'fp16'
    for name in HALF_GRAPHS:
        size, whole = (
            bundle.graph_path(name).stat().st_size for bundle in (half_bundle, full))
        assert size < 0.55 * whole, name  # some weights stay float32, and nodes have names


def test_inputs_and_outputs_are_as_in_full_precision(
        half_bundle: Bundle, nano_bundle: Path) -> None:
    full = Bundle.load(nano_bundle).manifest.graphs

    for name, graph in half_bundle.manifest.graphs.items():
        assert (graph.inputs, graph.outputs) == (full[name].inputs, full[name].outputs)


@pytest.mark.parametrize('name', HALF_GRAPHS)
def test_products_are_computed_in_half(half_bundle: Bundle, name: str) -> None:
    kinds = product_types(half_bundle, name)

    # The times of pointers are projected as their sines are computed, in float32.
    assert kinds.count(TensorProto.FLOAT16) > 0.8 * len(kinds)


@pytest.mark.parametrize('name', ['image_decoder', 'memory_encoder'])
def test_what_is_fed_back_stays_in_full_precision(half_bundle: Bundle, name: str) -> None:
    assert set(product_types(half_bundle, name)) == {TensorProto.FLOAT}


def product_types(bundle: Bundle, name: str) -> list[int]:
    model = onnx.shape_inference.infer_shapes(onnx.load(bundle.graph_path(name)))
    values = (*model.graph.value_info, *model.graph.output)
    kinds = {value.name: value.type.tensor_type.elem_type for value in values}
    return [kinds[node.output[0]] for node in model.graph.node
            if node.op_type in ('Gemm', 'MatMul', 'Conv')]


def test_the_numbers_are_close_to_full_precision(half_bundle: Bundle) -> None:
    model = random_model('sam2_nano', 256)
    encoder_case = verify.encoder_cases(model)[0]
    image_embed = encoder_case.expected[0]
    memories = verify.memory_encoder_cases(model, image_embed)[-1].expected[0]
    attention_case = verify.memory_attention_case(model, image_embed, memories, 2, 3, 7)

    for name, case in (('image_encoder', encoder_case), ('memory_attention', attention_case)):
        answers = verify.run_graph(half_bundle.graph_path(name), [case.inputs])[0]
        for answer, expected in zip(answers, case.expected, strict=True):
            difference = verify.relative_difference(answer, expected)
            assert 0 < difference < verify.TOLERANCES['fp16'].difference


def test_times_reach_their_sine_in_full_precision(half_bundle: Bundle) -> None:
    """From 2048 on float16 knows no fractions."""
    model = onnx.load(half_bundle.graph_path('memory_attention'))
    producers = {tensor: node for node in model.graph.node for tensor in node.output}
    waiting = [node.input[0] for node in model.graph.node if node.op_type == 'Sin']
    on_the_way = []
    while waiting:
        node = producers.get(waiting.pop())
        if node is not None:
            on_the_way.append(node)
            waiting.extend(node.input)

    assert on_the_way
    assert not [node.name for node in on_the_way if node.op_type == 'Cast']
