# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""onnxsim, whose result is taken only where it is no worse than what went in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx
import onnxsim

from sam2_ros.export.trace import Signature, declare
from sam2_ros.export.verify import Case, relative_difference, run_graph
from sam2_ros.model.errors import first_line

#: Folding reorders additions, no more: seen are up to 3e-6 of the largest value (fp32).
TOLERANCE = 1e-5
#: It joins the encoder's queries, keys and values into one product and splits that by copying.
_SKIPPED = ['fuse_qkv']


@dataclass(frozen=True)
class Simplified:
    """The graph to go on with, and one line about what was done."""

    model: onnx.ModelProto
    kept: bool
    report: str


def simplify(model: onnx.ModelProto, signature: Signature, cases: Sequence[Case]) -> Simplified:
    """
    Run onnxsim on ``model``; keep its result if it is not larger and answers ``cases`` alike.

    onnxsim has been seen to drop an output and to grow files; a failure of its own is a reason to
    go on without it, not to stop.
    """
    try:
        candidate, _ = onnxsim.simplify(model, skipped_optimizers=_SKIPPED)
        declare(candidate, signature)
        refusal = _refusal(model, candidate, cases)
    except Exception as error:  # onnxsim and ONNX Runtime raise what they like
        refusal = f'it failed ({first_line(error)[:100]})'
    if refusal:
        return Simplified(model, False, f'onnxsim refused: {refusal}')
    return Simplified(candidate, True, f'onnxsim kept: {_sizes(model)} -> {_sizes(candidate)}')


def _refusal(model: onnx.ModelProto, candidate: onnx.ModelProto, cases: Sequence[Case]) -> str:
    """Return why ``candidate`` cannot stand for ``model``, or nothing if it can."""
    if candidate.ByteSize() > model.ByteSize():
        return f'it made the graph larger, {_sizes(model)} -> {_sizes(candidate)}'
    inputs = [case.inputs for case in cases]
    before = run_graph(model, inputs)
    after = run_graph(candidate, inputs)
    difference = max(
        # Both have been rounded.
        relative_difference(new, old, 2 * case.rounding)
        for answers, others, case in zip(after, before, cases, strict=True)
        for new, old in zip(answers, others, strict=True))
    if not difference <= TOLERANCE:
        return f'its numbers differ by {difference:.1e} of the largest value'
    return ''


def _sizes(model: onnx.ModelProto) -> str:
    return f'{len(model.graph.node)} nodes, {model.ByteSize() / 1e6:.1f} MB'
