# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Memory attention as it is exported: the official weights and numbers, in fewer steps.

Letters in shapes: E side of the image grid, P = E * E places, C channels of the image (256 in the
official models), D channels of memories (64), B objects, F memories, Q object pointers, K keys:
F * P + Q * C/D. With A = 1 in place of B, all objects share what depends only on the image.
"""

from __future__ import annotations

from typing import cast

import torch
from sam2.modeling.memory_attention import MemoryAttentionLayer
from sam2.modeling.sam.transformer import RoPEAttention
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

from sam2_ros.export.errors import ExportError

#: Size of the products of queries with the keys of full memory that are held at once. Those of all
#: queries take 470 MB at 1024 x 1024.
_CHUNK_BYTES = 32 << 20
_FLOAT_BYTES = 4
#: ``sam2.modeling.sam2_utils.get_1d_sine_pe``
_TEMPERATURE = 10000.0


class MemoryAttention(nn.Module):
    """
    The image as each object's memories see it.

    Inputs: ``image_embed`` [1, C, E, E] of ``ImageEncoder``; ``memory_features`` [B, F, P, D] of
    ``MemoryEncoder``, F >= 1; ``memory_steps`` [B, F] int64: how many frames ago each memory was
    made, 1 to num_maskmem - 1, and 0 for prompted frames, whenever they were; ``object_pointers``
    [B, Q, C] of ``ImageDecoder``, Q >= 0; ``pointer_steps`` [B, Q]: how many frames ago.
    Output: ``conditioned_embed`` [B, C, E, E].

    The numbers are those of ``SAM2Base._prepare_memory_conditioned_features``.
    """

    image_position: Tensor
    cos: Tensor
    sin: Tensor

    def __init__(self, model: SAM2Base) -> None:
        super().__init__()
        attention = model.memory_attention
        side = model.sam_image_embedding_size
        self.memories = MemoryTokens(model)
        self.pointers = PointerTokens(model)
        keys = model.num_maskmem * side ** 2
        rows = max(1, _CHUNK_BYTES // (keys * _FLOAT_BYTES))
        self.layers = nn.ModuleList(Layer(layer, rows) for layer in attention.layers)
        self.norm = attention.norm
        encoding = model.image_encoder.neck.position_encoding
        position = encoding(torch.zeros(1, model.hidden_dim, side, side))
        weight = 0.1 if attention.pos_enc_at_input else 0.0  # ``MemoryAttention.forward``
        self.register_buffer('image_position', weight * position.flatten(2).transpose(1, 2))
        # The angle by which each place turns each pair of channels.
        turns = attention.layers[0].self_attn.compute_cis(end_x=side, end_y=side)
        self.register_buffer('cos', turns.real.clone())
        self.register_buffer('sin', turns.imag.clone())

    def forward(
            self, image_embed: Tensor, memory_features: Tensor, memory_steps: Tensor,
            object_pointers: Tensor, pointer_steps: Tensor) -> Tensor:
        memories = self.memories(memory_features, memory_steps)  # [B, F, P, D]
        pointers, placed_pointers = self.pointers(object_pointers, pointer_steps)
        values = torch.cat([memory_features.flatten(1, 2), pointers], dim=1)  # [B, K, D]
        x = image_embed.flatten(2).transpose(1, 2) + self.image_position  # [1, P, C]
        for layer in self.layers:
            x = layer(x, memories, placed_pointers, values, (self.cos, self.sin))
        x = self.norm(x).transpose(1, 2)
        return x.reshape(-1, *image_embed.shape[1:])


class MemoryTokens(nn.Module):
    """Memories [B, F, P, D] with their places in the image and in time."""

    places: Tensor
    steps: Tensor

    def __init__(self, model: SAM2Base) -> None:
        super().__init__()
        side = model.sam_image_embedding_size
        encoding = model.memory_encoder.position_encoding
        places = encoding(torch.zeros(1, model.mem_dim, side, side))
        self.register_buffer('places', places.flatten(2).transpose(1, 2))
        # Officially step k has row k - 1, and a prompted frame the last one.
        self.register_buffer('steps', model.maskmem_tpos_enc.detach().reshape(
            model.num_maskmem, 1, model.mem_dim).roll(1, dims=0))

    def forward(self, memory_features: Tensor, memory_steps: Tensor) -> Tensor:
        return memory_features + (self.places + self.steps[memory_steps])


class PointerTokens(nn.Module):
    """Object pointers [B, Q, C] as keys [B, Q * C/D, D], without and with their places in time."""

    wavelengths: Tensor

    def __init__(self, model: SAM2Base) -> None:
        super().__init__()
        self.channels = model.mem_dim
        self.split = model.hidden_dim // model.mem_dim
        self.has_time = model.add_tpos_enc_to_obj_ptrs
        self.longest = model.max_obj_ptrs_in_encoder - 1
        self.proj = model.obj_ptr_tpos_proj
        channels = model.hidden_dim if model.proj_tpos_enc_in_obj_ptrs else model.mem_dim
        index = torch.arange(channels // 2, dtype=torch.float32)
        self.register_buffer(
            'wavelengths', _TEMPERATURE ** (2 * (index // 2) / (channels // 2)))

    def forward(self, object_pointers: Tensor, pointer_steps: Tensor) -> tuple[Tensor, Tensor]:
        objects = object_pointers.shape[0]
        tokens = object_pointers.reshape(objects, -1, self.split, self.channels)
        placed = tokens
        if self.has_time:
            # Flat: of an empty [B, 0, C] onnxsim makes a Reshape to 0, which ONNX reads as "as is".
            angles = (pointer_steps / self.longest).reshape(-1, 1) / self.wavelengths
            time = self.proj(torch.cat([angles.sin(), angles.cos()], dim=-1))
            placed = tokens + time.reshape(objects, -1, 1, self.channels)
        return tokens.flatten(1, 2), placed.flatten(1, 2)


class Layer(nn.Module):
    """``MemoryAttentionLayer``."""

    def __init__(self, layer: MemoryAttentionLayer, rows: int) -> None:
        super().__init__()
        if (layer.pos_enc_at_attn or layer.pos_enc_at_cross_attn_queries
                or not layer.pos_enc_at_cross_attn_keys):
            raise ExportError(
                'this memory attention encodes positions elsewhere than that of the official '
                'SAM 2 models; export it with --image-only')
        self.layer = layer
        self.to_image = RotaryAttention(layer.self_attn, rows)
        self.to_memories = RotaryAttention(layer.cross_attn_image, rows)

    def forward(
            self, x: Tensor, memories: Tensor, pointers: Tensor, values: Tensor,
            turns: tuple[Tensor, Tensor]) -> Tensor:
        """``x`` [A, P, C] to [B, P, C]."""
        layer = self.layer
        image = layer.norm1(x)
        x = x + self.to_image(image, image, None, image, turns)
        x = x + self.to_memories(layer.norm2(x), memories, pointers, values, turns)
        hidden = layer.activation(layer.linear1(layer.norm3(x)))
        return x + layer.linear2(hidden)


class RotaryAttention(nn.Module):
    """
    ``RoPEAttention`` whose values are attended to as they are and projected afterwards.

    sum_j w_j (V x_j + b) = V (sum_j w_j x_j) + b, since the weights w_j sum to 1. Of memories,
    which have D channels, that is a quarter of the work.
    """

    def __init__(self, attention: RoPEAttention, rows: int) -> None:
        """:param rows: so many queries meet the keys at once."""
        super().__init__()
        if attention.num_heads != 1:
            raise ExportError(
                'this memory attention has several heads, unlike that of the official SAM 2 '
                'models; export it with --image-only')
        self.rows = rows
        self.q_proj = _paired(attention.q_proj, attention.internal_dim ** -0.5)
        self.k_proj = _paired(attention.k_proj)
        self.out_proj = _joined(attention.v_proj, attention.out_proj)

    def forward(
            self, x: Tensor, placed: Tensor, unplaced: Tensor | None, values: Tensor,
            turns: tuple[Tensor, Tensor]) -> Tensor:
        """
        ``x`` [A, P, C] to [B, P, C].

        The keys are made of ``placed`` [B, ..., P, D], which have their place in the image, and
        ``unplaced`` [B, T, D], which have none; ``values`` [B, K, D].
        """
        q = _turned(self.q_proj(x), turns)
        k = _turned(self.k_proj(placed), turns).flatten(1, -2)
        if unplaced is not None:
            k = torch.cat([k, self.k_proj(unplaced)], dim=1)
        k = k.transpose(1, 2)
        attended = torch.cat([
            torch.softmax(q[:, start:start + self.rows] @ k, -1) @ values
            for start in range(0, int(q.shape[1]), self.rows)], dim=1)
        return cast('Tensor', self.out_proj(attended))


def _turned(x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """
    Rotary position encoding of [..., P, C], whose channel pairs are i and C/2 + i.

    ``apply_rotary_enc`` multiplies complex numbers, which ONNX has not.
    """
    cos, sin = turns
    real, imaginary = x.chunk(2, dim=-1)
    return torch.cat([real * cos - imaginary * sin, real * sin + imaginary * cos], dim=-1)


def _paired(layer: nn.Linear, scale: float = 1.0) -> nn.Linear:
    """
    Return a projection whose output is scaled and has channel 2i at i and 2i + 1 at C/2 + i.

    Products of queries and keys are the same in any order of channels.
    """
    order = torch.arange(layer.out_features).reshape(-1, 2).t().flatten()
    return _linear(layer.weight[order] * scale, layer.bias[order] * scale)


def _joined(first: nn.Linear, second: nn.Linear) -> nn.Linear:
    """Return two layers in a row as one, multiplied out in float64."""
    weight = second.weight.double() @ first.weight.double()
    bias = second.weight.double() @ first.bias.double() + second.bias.double()
    return _linear(weight.float(), bias.float())


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight, layer.bias = nn.Parameter(weight.detach()), nn.Parameter(bias.detach())
    return layer

