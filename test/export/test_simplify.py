# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""onnxsim's result is kept where it is no worse, and refused with the reason where it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('torch', reason='no PyTorch here: nothing can be exported')
pytest.importorskip('sam2', reason='no sam2 here: nothing can be exported')
pytest.importorskip('onnx', reason='no onnx here: nothing can be exported')
pytest.importorskip('onnxsim', reason='no onnxsim here: nothing can be exported')

import onnx
import onnxsim
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from sam2_ros.export.simplify import simplify
from sam2_ros.export.trace import Signature, trace
from sam2_ros.export.verify import Case, run_graph
from sam2_ros.model.bundle import TensorInfo

SIGNATURE = Signature(
    (TensorInfo('x', ('B', 8), 'float32'),),
    (TensorInfo('y', ('B', 4), 'float32'), TensorInfo('z', ('B', 8), 'float32')))
INPUTS = {'x': np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)}
CASES = [Case(INPUTS, ())]

Change = Callable[[onnx.ModelProto], None]


class Module(nn.Module):
    """A layer and something that only onnxsim folds."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.linear(x).reshape(x.shape[0], 4), x * (torch.arange(8) * 2.0)


@pytest.fixture(scope='module')
def graph() -> onnx.ModelProto:
    return trace(Module(), SIGNATURE, (torch.zeros(2, 8),), opset=18)


def replace_onnxsim(monkeypatch: pytest.MonkeyPatch, change: Change) -> None:
    """Let onnxsim's result be the graph it was given, after ``change``."""
    def fake(model: onnx.ModelProto, **options: Any) -> tuple[onnx.ModelProto, bool]:
        result = onnx.ModelProto()
        result.CopyFrom(model)
        change(result)
        return result, True

    monkeypatch.setattr(onnxsim, 'simplify', fake)


def test_a_good_result_is_kept(graph: onnx.ModelProto) -> None:
    simplified = simplify(graph, SIGNATURE, CASES)

    assert simplified.kept
    assert simplified.report.startswith('onnxsim kept: ')
    assert len(simplified.model.graph.node) < len(graph.graph.node)
    assert simplified.model.ByteSize() <= graph.ByteSize()
    before, after = run_graph(graph, [INPUTS])[0], run_graph(simplified.model, [INPUTS])[0]
    assert all(map(np.allclose, before, after))


def grow(model: onnx.ModelProto) -> None:
    weights = np.zeros(1000, np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weights, 'ballast'))


def shift(model: onnx.ModelProto) -> None:
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32:
            tensor.CopyFrom(numpy_helper.from_array(values * np.float32(1.001), tensor.name))


def lose_output(model: onnx.ModelProto) -> None:
    nodes = [node for node in model.graph.node if 'z' not in node.output]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def fail(model: onnx.ModelProto) -> None:
    raise RuntimeError('no schema\nsecond line')


def fail_without_text(model: onnx.ModelProto) -> None:
    raise AssertionError


@pytest.mark.parametrize(
    ('change', 'reason'), [
        (grow, 'it made the graph larger'),
        (shift, 'its numbers differ'),
        (lose_output, 'it failed'),
        (fail, 'it failed (no schema)'),
        (fail_without_text, 'it failed (AssertionError)'),
    ])
def test_a_bad_result_is_refused(
        change: Change, reason: str, graph: onnx.ModelProto,
        monkeypatch: pytest.MonkeyPatch) -> None:
    replace_onnxsim(monkeypatch, change)

    simplified = simplify(graph, SIGNATURE, CASES)

    assert not simplified.kept
    assert simplified.report.startswith(f'onnxsim refused: {reason}')
    assert '\n' not in simplified.report
    assert simplified.model is graph


def test_queries_keys_and_values_stay_apart(nano_bundle: Path) -> None:
    """onnxsim would join them and split the product by copying, which costs a tenth of the time."""
    encoder = onnx.load(nano_bundle / 'image_encoder.onnx')

    assert not [node.name for node in encoder.graph.node
                if node.op_type == 'Split' and len(node.output) == 3]
