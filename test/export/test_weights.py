# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights that half precision holds exactly are stored in it, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip('torch', reason='no PyTorch here: nothing can be exported')
pytest.importorskip('sam2', reason='no sam2 here: nothing can be exported')
pytest.importorskip('onnx', reason='no onnx here: nothing can be exported')
pytest.importorskip('onnxsim', reason='no onnxsim here: nothing can be exported')

import onnx
from onnx import TensorProto, helper, numpy_helper

from sam2_ros.export.exporter import ExportOptions, export_bundle
from sam2_ros.export.options import SHIPPED_CHECKPOINT
from sam2_ros.export.verify import TOLERANCES, relative_difference, run_graph
from sam2_ros.export.weights import store_in_half
from sam2_ros.model.bundle import Bundle
from sam2_ros.model.image_files import read_photo
from sam2_ros.model.prompts import Prompt
from sam2_ros.model.segmenter import ImageSegmenter

SIDE = 64
HALF = np.random.default_rng(0).normal(size=(SIDE, SIDE)).astype(np.float16).astype(np.float32)
INPUTS = {'x': np.random.default_rng(1).normal(size=(3, SIDE)).astype(np.float32)}


def product(weight: npt.NDArray[np.generic]) -> onnx.ModelProto:
    """Return a graph that multiplies ``x`` with a weight."""
    graph = helper.make_graph(
        [helper.make_node('MatMul', ['x', 'weight'], ['y'])], 'product',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, ('B', weight.shape[0]))],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, ('B', weight.shape[1]))],
        [numpy_helper.from_array(weight, 'weight')])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=8)


def test_an_exact_weight_is_stored_in_half_and_gives_the_same_numbers() -> None:
    model = product(HALF)
    before, size = run_graph(model, [INPUTS]), model.ByteSize()

    store_in_half(model)

    onnx.checker.check_model(model, full_check=True)
    assert [weight.data_type for weight in model.graph.initializer] == [TensorProto.FLOAT16]
    assert model.ByteSize() < 0.55 * size
    np.testing.assert_array_equal(run_graph(model, [INPUTS]), before)


@pytest.mark.parametrize('weight', [
    pytest.param(HALF * np.float32(1.1), id='not exact'),
    pytest.param(HALF + np.float32(1e5), id='too large'),
    pytest.param(np.where(HALF > 3, np.float32('nan'), HALF), id='not a number'),
    pytest.param(np.where(HALF > 3, np.float32(1e-8), HALF), id='too small'),
    pytest.param(HALF[:, :8], id='not worth it'),
    pytest.param(HALF.astype(np.float64), id='of another type'),
])
def test_other_weights_stay_as_they_are(weight: npt.NDArray[np.generic]) -> None:
    model = product(weight)
    before = model.SerializeToString()

    store_in_half(model)

    assert model.SerializeToString() == before


def test_the_shipped_bundle_is_what_the_exporter_makes_of_the_shipped_checkpoint(
    trained_bundle: Path, photos: Path, tmp_path: Path,
) -> None:
    """``make bundle`` makes it anew."""
    shipped = Bundle.load(trained_bundle)
    exported = export_bundle(ExportOptions(
        model='sam2_nano', output=tmp_path / 'bundle', checkpoint=SHIPPED_CHECKPOINT))

    for name in ('checkpoint', 'checkpoint_sha256'):
        assert shipped.manifest.provenance[name] == exported.manifest.provenance[name]
    assert [info.inputs for info in shipped.manifest.graphs.values()] == [
        info.inputs for info in exported.manifest.graphs.values()]
    assert shipped.manifest.constants == exported.manifest.constants
    assert shipped.manifest.tracking == exported.manifest.tracking
    assert exported.size_bytes == pytest.approx(shipped.size_bytes, rel=0.01)
    answers = []
    for bundle in (shipped, exported):
        segmenter = ImageSegmenter(bundle, 'cpu')
        embedding = segmenter.encode(read_photo(photos / 'coffee.png'))
        answers.append(segmenter.segment(
            embedding, [Prompt(points=[(300, 200)]), Prompt(box=(150, 60, 480, 330))]))
    for ours, theirs in zip(*answers, strict=True):
        # another version of PyTorch may order additions differently
        assert relative_difference(ours.logits, theirs.logits) < TOLERANCES['fp32'].difference
        ours_mask, theirs_mask = (one.mask().to_image() > 0 for one in (ours, theirs))
        assert (ours_mask != theirs_mask).mean() < 1e-4
