# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Half precision: weights and bulk arithmetic in float16, inputs and outputs in float32."""

from __future__ import annotations

from collections.abc import Iterable

import onnx
from onnx import NodeProto, TensorProto

# Of the converters in circulation this is the one that is kept up, inside ONNX Runtime itself.
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from sam2_ros.export.trace import Signature, declare

#: The graphs that hold nearly all weights and work. What the others give is kept and fed back frame
#: after frame (masks, scores, pointers, memories), so that they stay in float32.
HALF_GRAPHS = ('image_encoder', 'memory_attention')
#: Sums over many terms, and the roots and exponentials behind normalisation and softmax.
_FLOAT32_OPS = (
    'LayerNormalization', 'Softmax', 'ReduceMean', 'Pow', 'Sqrt', 'Resize', 'Sin', 'Cos')


def to_half(model: onnx.ModelProto, signature: Signature) -> onnx.ModelProto:
    """
    Return ``model`` with float16 weights and arithmetic, except where that loses too much.

    Float32 stay: normalisation layers, softmax, resizing; everything from times to their sine
    (float16 knows no fractions from 2048 on); and everything between the picture and the first
    convolution.
    """
    half = onnx.ModelProto()
    half.CopyFrom(model)
    _constants_to_initializers(half.graph)
    nodes = list(half.graph.node)
    float32 = {node.name for node in nodes if node.op_type in ('Sqrt', 'Pow')}
    float32 |= _neighbours(nodes, float32)
    float32 |= _before(nodes, ('Sin', 'Cos', 'Conv'))
    half = convert_float_to_float16(
        half, keep_io_types=True, op_block_list=list(_FLOAT32_OPS), node_block_list=list(float32))
    _drop_repeated_casts(half.graph)
    _drop_round_trips(half.graph, model.graph)
    OnnxModel.graph_topological_sort(half.graph)  # The converter appends its casts at the end.
    declare(half, signature)
    return half


def _neighbours(nodes: list[NodeProto], names: set[str]) -> set[str]:
    """Names of the nodes that feed or follow those in ``names``."""
    members = [node for node in nodes if node.name in names]
    read = {tensor for node in members for tensor in node.input}
    written = {tensor for node in members for tensor in node.output}
    return {
        node.name for node in nodes if read & set(node.output) or written & set(node.input)}


def _before(nodes: list[NodeProto], op_types: Iterable[str]) -> set[str]:
    """Names of the nodes on the way from the graph's inputs to the first node of ``op_types``."""
    producers = {tensor: node for node in nodes for tensor in node.output}
    found: set[str] = set()
    for op_type in op_types:
        first = next((node for node in nodes if node.op_type == op_type), None)
        waiting = list(first.input) if first else []
        while waiting:
            node = producers.get(waiting.pop())
            if node is not None and node.name not in found:
                found.add(node.name)
                waiting.extend(node.input)
    return found


def _constants_to_initializers(graph: onnx.GraphProto) -> None:
    """The converter leaves an initializer of float32 nodes alone, but rounds every Constant."""
    for node in [node for node in graph.node if node.op_type == 'Constant']:
        value = onnx.TensorProto()
        value.CopyFrom(node.attribute[0].t)
        value.name = node.output[0]
        graph.initializer.append(value)
        graph.node.remove(node)


def _drop_repeated_casts(graph: onnx.GraphProto) -> None:
    """The converter writes the same cast once for every float32 node that reads the tensor."""
    seen: set[str] = set()
    for node in list(graph.node):
        if node.output[0] in seen:
            graph.node.remove(node)
        seen.add(node.output[0])


def _drop_round_trips(graph: onnx.GraphProto, original: onnx.GraphProto) -> None:
    """
    Let float32 nodes read the float32 tensors of others, and of the graph's inputs, directly.

    The converter rounds each of them to float16 first and widens it again where float32 is wanted.
    """
    known = {node.name for node in original.node}
    rounded = {
        node.output[0]: node.input[0] for node in graph.node
        if _casts_to(node, TensorProto.FLOAT16) and node.name not in known}
    widened = {
        node.output[0]: rounded[node.input[0]] for node in graph.node
        if _casts_to(node, TensorProto.FLOAT) and node.input[0] in rounded}
    for node in graph.node:
        for index, tensor in enumerate(node.input):
            if tensor in widened:
                node.input[index] = widened[tensor]
    _remove_unused_casts(graph)


def _remove_unused_casts(graph: onnx.GraphProto) -> None:
    while True:
        used = {tensor for node in graph.node for tensor in node.input}
        used |= {tensor.name for tensor in graph.output}
        idle = [
            node for node in graph.node if node.op_type == 'Cast' and node.output[0] not in used]
        if not idle:
            return
        for node in idle:
            graph.node.remove(node)


def _casts_to(node: NodeProto, kind: int) -> bool:
    return node.op_type == 'Cast' and node.attribute[0].i == kind
