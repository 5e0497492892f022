# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The graphs that scale pictures and masks of any size to the model's.

They are put together by hand: PyTorch's exporter knows no antialiased scaling of dynamic sizes.
``exclude_outside`` makes ONNX renormalise the filter at the border as PyTorch does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper
from sam2.modeling.sam2_base import SAM2Base

from sam2_ros.export.errors import ExportError
from sam2_ros.export.trace import Signature, declare, mask_prompt_signature, resize_signature

#: Resize learned to antialias in opset 18.
_OPSET = 18
#: From here on a scaled mask is the object. Officially that is one half, which ties reach exactly;
#: ONNX Runtime, which rounds coordinates, misses them by up to 4e-5.
_HALF = 0.5 - 1e-4


def image_resize(image_size: int, opset: int) -> onnx.ModelProto:
    """
    Return the graph that scales any uint8 image to float32 image_size x image_size.

    The numbers are those of torchvision's ``Resize`` on a float tensor (bilinear, antialiased),
    which ``SAM2Transforms`` uses. Channels stay last: a transpose would cost more than the scaling.
    """
    nodes = [
        helper.make_node('Cast', ['image'], ['pixels'], name='cast', to=TensorProto.FLOAT),
        _resize('pixels', 'resized', 'sizes')]
    constants = {'sizes': np.array([1, image_size, image_size, 3], np.int64)}
    return _graph('image_resize', nodes, constants, resize_signature(image_size), opset)


def mask_prompt(model: SAM2Base, opset: int) -> onnx.ModelProto:
    """
    Return the graph that makes of any uint8 mask what the model needs of a mask prompt.

    Output ``mask_logits`` [1, 1, M, M] is the answer, ``mask_input`` [1, 1, M, M] what the decoder
    makes the object's pointer of (``SAM2VideoPredictor.add_new_mask``,
    ``SAM2Base._use_mask_as_output``).

    :raises ExportError: a model that does not take masks as answers.
    """
    if not (model.use_mask_input_as_output_without_sam and model.use_obj_ptrs_in_encoder):
        raise ExportError(
            'this model does not take masks as answers, unlike the official SAM 2 models; export '
            'it with --image-only')
    size, low_size = model.image_size, model.image_size // 4
    make = helper.make_node
    nodes = [
        make('Cast', ['mask'], ['truth'], to=TensorProto.BOOL),
        make('Cast', ['truth'], ['values'], to=TensorProto.FLOAT),
        make('Unsqueeze', ['values', 'first_axes'], ['picture']),
        _resize('picture', 'resized', 'sizes'),
        make('Greater', ['resized', 'half'], ['inside']),
        make('Cast', ['inside'], ['object'], to=TensorProto.FLOAT),
        make('Mul', ['object', 'scale'], ['scaled']),
        make('Add', ['scaled', 'bias'], ['logits']),
        _resize('logits', 'mask_logits', 'low_sizes'),
        make('Conv', ['object', 'weight', 'weight_bias'], ['mask_input'], strides=[4, 4])]
    convolution = model.mask_downsample
    assert convolution.bias is not None
    constants = {
        'first_axes': np.array([0, 1], np.int64),
        'sizes': np.array([1, 1, size, size], np.int64),
        'low_sizes': np.array([1, 1, low_size, low_size], np.int64),
        'half': np.float32(_HALF), 'scale': np.float32(20), 'bias': np.float32(-10),
        'weight': convolution.weight.detach().numpy(),
        'weight_bias': convolution.bias.detach().numpy()}
    return _graph('mask_prompt', nodes, constants, mask_prompt_signature(model), opset)


def _resize(source: str, target: str, sizes: str) -> NodeProto:
    return helper.make_node(
        'Resize', [source, '', '', sizes], [target], name=f'resize_{target}', mode='linear',
        antialias=1, exclude_outside=1, coordinate_transformation_mode='half_pixel')


def _graph(
        name: str, nodes: list[NodeProto], constants: Mapping[str, NDArray[Any] | np.float32],
        signature: Signature, opset: int) -> onnx.ModelProto:
    values = [
        numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()]
    graph = helper.make_graph(nodes, name, [], [], values)
    opsets = [helper.make_opsetid('', max(opset, _OPSET))]
    model = helper.make_model_gen_version(graph, opset_imports=opsets)
    declare(model, signature)
    return model
