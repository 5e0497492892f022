# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From PyTorch modules to ONNX graphs with named inputs, outputs and dynamic sizes."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

from sam2_ros.model.bundle import GraphInfo, TensorInfo, sha256_of


@dataclass(frozen=True)
class Signature:
    """Names, shapes and types of what a graph takes and gives."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]


def resize_signature(image_size: int) -> Signature:
    """Signature of ``image_resize``: any image to image_size x image_size."""
    return Signature(
        (TensorInfo('image', (1, 'height', 'width', 3), 'uint8'),),
        (TensorInfo('resized', (1, image_size, image_size, 3), 'float32'),))


def encoder_signature(model: SAM2Base) -> Signature:
    """Signature of ``image_encoder``, with the sizes of ``model``."""
    size = model.image_size
    return Signature((TensorInfo('image', (1, size, size, 3), 'float32'),), _features(model))


def decoder_signature(model: SAM2Base) -> Signature:
    """Signature of ``image_decoder``: B objects, N points, I images and K masks (1 or B each)."""
    side = mask_size(model)
    masks = model.sam_mask_decoder.num_mask_tokens
    image_embed, *high_res_features = _features(model)
    return Signature(
        (TensorInfo('image_embed', ('I', *image_embed.shape[1:]), 'float32'),
         *high_res_features,
         TensorInfo('point_coords', ('B', 'N', 2), 'float32'),
         TensorInfo('point_labels', ('B', 'N'), 'int32'),
         TensorInfo('mask_input', ('K', 1, side, side), 'float32'),
         TensorInfo('has_mask_input', ('K',), 'float32'),
         TensorInfo('memory_conditioned', (1,), 'float32')),
        (TensorInfo('masks', ('B', masks, side, side), 'float32'),
         TensorInfo('iou_predictions', ('B', masks), 'float32'),
         TensorInfo('object_score_logits', ('B', 1), 'float32'),
         TensorInfo('object_pointers', ('B', masks, model.hidden_dim), 'float32')))


def memory_attention_signature(model: SAM2Base) -> Signature:
    """Signature of ``memory_attention``: B objects, F memories, Q object pointers."""
    image_embed, *_ = _features(model)
    return Signature(
        (image_embed,
         TensorInfo('memory_features', ('B', 'F', *_memory_shape(model)), 'float32'),
         TensorInfo('memory_steps', ('B', 'F'), 'int64'),
         TensorInfo('object_pointers', ('B', 'Q', model.hidden_dim), 'float32'),
         TensorInfo('pointer_steps', ('B', 'Q'), 'float32')),
        (TensorInfo('conditioned_embed', ('B', *image_embed.shape[1:]), 'float32'),))


def memory_encoder_signature(model: SAM2Base) -> Signature:
    """Signature of ``memory_encoder``: B objects."""
    image_embed, *_ = _features(model)
    side = mask_size(model)
    return Signature(
        (image_embed,
         TensorInfo('masks', ('B', 1, side, side), 'float32'),
         TensorInfo('object_score_logits', ('B', 1), 'float32'),
         TensorInfo('is_prompted', ('B',), 'float32')),
        (TensorInfo('memory_features', ('B', *_memory_shape(model)), 'float32'),))


def mask_prompt_signature(model: SAM2Base) -> Signature:
    """Signature of ``mask_prompt``: a mask of any size to the model's."""
    side = mask_size(model)
    return Signature(
        (TensorInfo('mask', ('height', 'width'), 'uint8'),),
        (TensorInfo('mask_logits', (1, 1, side, side), 'float32'),
         TensorInfo('mask_input', (1, 1, side, side), 'float32')))


def mask_size(model: SAM2Base) -> int:
    """Side of the low-resolution masks that ``model`` gives and takes, in pixels."""
    side: int = model.sam_prompt_encoder.mask_input_size[0]
    return side


def trace(
        module: nn.Module, signature: Signature, example: tuple[Tensor, ...],
        opset: int) -> onnx.ModelProto:
    """Return ``module`` as an ONNX graph; ``example`` are inputs to trace it with."""
    dynamic = {
        tensor.name: {axis: size for axis, size in enumerate(tensor.shape) if isinstance(size, str)}
        for tensor in (*signature.inputs, *signature.outputs)}
    # no_grad: else tracing keeps every intermediate result, 4.5 GB instead of 1.3 for tiny.
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        file = Path(folder) / 'graph.onnx'
        # They say that tracing is deprecated, and that it freezes Python values.
        warnings.simplefilter('ignore')
        # Tracing (dynamo=False) and not torch.export: the latter cannot leave open whether K is 1
        # or B. It makes K and B one size, and the graph then fails at K = 1, B > 1. Besides,
        # tracing took 1 s where torch.export took 12 (PyTorch 2.13, sam2_nano).
        torch.onnx.export(
            module.eval(), example, file, dynamo=False, opset_version=opset,
            input_names=[tensor.name for tensor in signature.inputs],
            output_names=[tensor.name for tensor in signature.outputs], dynamic_axes=dynamic)
        model = onnx.load(file)
    declare(model, signature)
    return model


def declare(model: onnx.ModelProto, signature: Signature) -> None:
    """Describe the graph's inputs and outputs by ``signature``, and nothing else in it."""
    del model.graph.input[:]
    del model.graph.output[:]
    del model.graph.value_info[:]
    del model.metadata_props[:]
    model.graph.input.extend(_value_info(tensor) for tensor in signature.inputs)
    model.graph.output.extend(_value_info(tensor) for tensor in signature.outputs)


def describe_graph(file: Path, signature: Signature) -> GraphInfo:
    """Return the manifest's entry for an ONNX file."""
    return GraphInfo(file.name, sha256_of(file), signature.inputs, signature.outputs)


def _features(model: SAM2Base) -> tuple[TensorInfo, ...]:
    side = model.sam_image_embedding_size
    channels_0 = model.sam_mask_decoder.conv_s0.out_channels
    channels_1 = model.sam_mask_decoder.conv_s1.out_channels
    return (
        TensorInfo('image_embed', (1, model.hidden_dim, side, side), 'float32'),
        TensorInfo('high_res_features_0', (1, channels_0, 4 * side, 4 * side), 'float32'),
        TensorInfo('high_res_features_1', (1, channels_1, 2 * side, 2 * side), 'float32'))


def _memory_shape(model: SAM2Base) -> tuple[int, int]:
    """Places and channels of a memory."""
    return model.sam_image_embedding_size ** 2, model.mem_dim


def _value_info(tensor: TensorInfo) -> onnx.ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
    return helper.make_tensor_value_info(tensor.name, kind, tensor.shape)
