# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a graph's weights are stored: no larger than what they hold."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

#: Elements of a weight from which halving it is worth a node more.
_WORTH = 1024
#: Ends the name of the half-precision tensor that a weight is stored as.
_STORED = '.float16'


def store_in_half(model: onnx.ModelProto) -> None:
    """
    Store every large float32 weight that float16 holds exactly as float16, with a Cast behind it.

    Nothing else changes: the graph still computes in float32, with the same numbers, and runtimes
    that fold constants carry out the cast while they load it. Checkpoints in half precision become
    half as large by this; the weights of others hold more than float16 can.
    """
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < _WORTH:
            continue
        values = numpy_helper.to_array(weight)
        with np.errstate(over='ignore'):  # too large for float16: becomes infinite, so differs
            half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue
        stored = weight.name + _STORED
        casts.append(helper.make_node(
            'Cast', [stored], [weight.name], name=f'{stored}.Cast', to=TensorProto.FLOAT))
        weight.CopyFrom(numpy_helper.from_array(half, stored))
    nodes = [*casts, *model.graph.node]  # a node follows what it reads
    del model.graph.node[:]
    model.graph.node.extend(nodes)
