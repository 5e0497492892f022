# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The image encoder as it is exported: the official weights and numbers, in fewer and smaller steps.

Letters in shapes: S image size, E = S/16, M = S/4, C channels of the neck (256 in the official
models), W windows, H heads, T tokens. Everything inside keeps channels last, as the trunk does.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from sam2.modeling.backbones.hieradet import Hiera, MultiScaleAttention, MultiScaleBlock
from sam2.modeling.backbones.utils import window_partition, window_unpartition
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

from sam2_ros.export.configs import MEAN, STD
from sam2_ros.export.errors import ExportError

#: Intermediate results are kept below this size: they then fit a CPU's last-level cache, and a
#: robot's memory. At 1024 x 1024 the largest would take 256 MiB each otherwise.
_CHUNK_BYTES = 16 << 20
_FLOAT_BYTES = 4
_POOL = 2


class ImageEncoder(nn.Module):
    """
    Image to features: ``SAM2Base.forward_image`` with the normalisation in front.

    Input: ``image`` [1, S, S, 3], RGB, 0..255. Outputs: ``image_embed`` [1, C, E, E] without
    ``no_mem_embed`` (tracking needs it raw), ``high_res_features_0`` [1, C/8, M, M] and
    ``high_res_features_1`` [1, C/4, S/8, S/8].
    """

    position: Tensor
    scale: Tensor
    shift: Tensor

    def __init__(self, model: SAM2Base) -> None:
        super().__init__()
        trunk = model.image_encoder.trunk
        self.patch_embed = trunk.patch_embed
        self.blocks = nn.ModuleList(Block(block) for block in trunk.blocks)
        self.stage_ends = trunk.stage_ends
        self.neck = Neck(model)
        side = model.image_size // trunk.patch_embed.proj.stride[0]
        #: The blocks whose windows are those of stages 1 and 2: the first block of a stage still
        #: has the windows of the stage before.
        self.fine_blocks = trunk.stage_ends[1] + 2
        self.strips = _strips(trunk, side, self.fine_blocks)
        with torch.no_grad():
            # A constant of the image size; as a graph it would be a bicubic Resize at every run.
            position = trunk._get_pos_embed((side, side)).clone()
        self.register_buffer('position', position)
        self.register_buffer('scale', 1.0 / (255.0 * torch.tensor(STD)))
        self.register_buffer('shift', -torch.tensor(MEAN) / torch.tensor(STD))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = (image * self.scale + self.shift).permute(0, 3, 1, 2)
        x = self.patch_embed(x) + self.position  # [1, M, M, embed_dim]
        level_0, level_1, x = self._fine_blocks(x)
        levels = [level_0, level_1]
        for index in range(self.fine_blocks, len(self.blocks)):
            x = self.blocks[index](x)
            if index in self.stage_ends:
                levels.append(x)
        return cast('tuple[Tensor, Tensor, Tensor]', self.neck(levels))

    def _fine_blocks(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """
        Run the blocks of the two finest levels, strip by strip; return both levels and the rest.

        They hold the largest tensors, and windows there do not see each other, so a strip of whole
        windows can go through all of them by itself.
        """
        strips: tuple[list[Tensor], ...] = ([], [], [])
        for strip in x.chunk(self.strips, dim=1):
            for index in range(self.fine_blocks):
                strip = self.blocks[index](strip)
                if index == self.stage_ends[0]:
                    strips[0].append(self.neck.high_res_0(strip))
                if index == self.stage_ends[1]:
                    strips[1].append(self.neck.high_res_1(strip))
            strips[2].append(strip)
        return torch.cat(strips[0], 1), torch.cat(strips[1], 1), torch.cat(strips[2], 1)


class Neck(nn.Module):
    """
    ``FpnNeck`` and the mask decoder's ``conv_s0`` and ``conv_s1``, channels last.

    The two high-resolution levels get nothing from the coarser ones, so their two convolutions of
    kernel 1 in a row are one.
    """

    def __init__(self, model: SAM2Base) -> None:
        super().__init__()
        neck = model.image_encoder.neck
        decoder = model.sam_mask_decoder
        coarse, middle, fine_1, fine_0 = (level.conv for level in neck.convs)
        self.high_res_0 = _joined(fine_0, decoder.conv_s0)
        self.high_res_1 = _joined(fine_1, decoder.conv_s1)
        self.middle = _linear(middle)
        self.coarse = _linear(coarse)
        if neck.fpn_interp_model != 'nearest' or neck.fuse_type != 'sum' or list(
                neck.fpn_top_down_levels) != [2, 3]:
            raise ExportError(
                'this neck is not that of the official SAM 2 models; its config cannot be exported')

    def forward(self, levels: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """``levels``: the high-resolution features, and what stages 3 and 4 of the trunk give."""
        high_res_0, high_res_1, middle, coarse = levels
        top_down = self.coarse(coarse)  # [1, E/2, E/2, C]
        _, height, width, channels = top_down.shape
        top_down = top_down.reshape(1, height, 1, width, 1, channels).expand(
            1, height, 2, width, 2, channels).reshape(1, 2 * height, 2 * width, channels)
        image_embed = self.middle(middle) + top_down
        return (_channels_first(image_embed), _channels_first(high_res_0),
                _channels_first(high_res_1))


class Block(nn.Module):
    """``MultiScaleBlock`` whose large steps are taken piece by piece."""

    def __init__(self, block: MultiScaleBlock) -> None:
        super().__init__()
        self.norm1, self.norm2, self.mlp = block.norm1, block.norm2, block.mlp
        self.attention = WindowAttention(block.attn)
        self.window = block.window_size
        self.pools = block.pool is not None
        self.shortcut = block.proj if block.dim != block.dim_out else None

    def forward(self, x: Tensor) -> Tensor:
        """[1, height, width, channels] to the same, or to half the sides after pooling."""
        shortcut = x
        x = self.norm1(x)
        if self.shortcut is not None:
            shortcut = self.shortcut(x)
            shortcut = _max_pool(shortcut) if self.pools else shortcut
        x = self._attend(x, shortcut.shape[1], shortcut.shape[2])
        x = shortcut + x
        return x + self.mlp(self.norm2(x))

    def _attend(self, x: Tensor, height: int, width: int) -> Tensor:
        if not self.window:
            return cast('Tensor', self.attention(x))
        x, _ = window_partition(x, self.window)
        x = self.attention(x)
        side = self.window // _POOL if self.pools else self.window
        padded = ((height + side - 1) // side * side, (width + side - 1) // side * side)
        return cast('Tensor', window_unpartition(x, side, padded, (height, width)))


class WindowAttention(nn.Module):
    """``MultiScaleAttention``, with queries, keys and values from layers of their own."""

    def __init__(self, attention: MultiScaleAttention) -> None:
        super().__init__()
        self.heads = attention.num_heads
        self.pools = attention.q_pool is not None
        # Splitting the output of one layer copies it; splitting the layer costs nothing.
        weights = attention.qkv.weight.detach().chunk(3)
        biases = attention.qkv.bias.detach().chunk(3)
        scale = (attention.dim_out // attention.num_heads) ** -0.5
        self.q = _linear_from(weights[0] * scale, biases[0] * scale)
        self.k = _linear_from(weights[1], biases[1])
        self.v = _linear_from(weights[2], biases[2])
        self.proj = attention.proj

    def forward(self, x: Tensor) -> Tensor:
        """[W, height, width, channels] to [W, height, width, channels], halved by pooling."""
        q, k, v = self.q(x), self.k(x), self.v(x)
        if self.pools:
            q = _max_pool(q)
        shape = q.shape
        q, k, v = (self._by_head(tensor) for tensor in (q, k, v))
        k = k.transpose(2, 3)
        rows = max(1, _CHUNK_BYTES // (q.shape[0] * self.heads * k.shape[3] * _FLOAT_BYTES))
        if rows >= q.shape[2] or q.shape[0] > 1:
            x = torch.softmax(q @ k, -1) @ v
        else:  # a global block: every query is a row of its own
            # Slices and not q.split: traced, that gives its last part the size of the first.
            parts = [q[:, :, start:start + rows] for start in range(0, int(q.shape[2]), rows)]
            x = torch.cat([torch.softmax(part @ k, -1) @ v for part in parts], 2)
        return cast('Tensor', self.proj(x.transpose(1, 2).reshape(shape)))

    def _by_head(self, x: Tensor) -> Tensor:
        """[W, height, width, channels] to [W, H, T, channels / H]."""
        return x.reshape(x.shape[0], -1, self.heads, x.shape[3] // self.heads).transpose(1, 2)


def _strips(trunk: Hiera, side: int, blocks: int) -> int:
    """Return into how many strips of whole windows the first ``blocks`` blocks are cut."""
    # Rows of a window of stage 1, and of one of stage 2, whose rows are two of stage 1 each.
    rows = math.lcm(trunk.window_spec[0], _POOL * trunk.window_spec[1])
    if side % rows or any(index < blocks for index in trunk.global_att_blocks):
        return 1
    windows = side // rows
    hidden = side * side * trunk.blocks[0].mlp.layers[0].out_features * _FLOAT_BYTES
    return next(count for count in range(1, windows + 1)
                if windows % count == 0 and (hidden // count <= _CHUNK_BYTES or count == windows))


def _max_pool(x: Tensor) -> Tensor:
    """``MaxPool2d(2, 2)`` with channels last, without the transposes around it."""
    count, height, width, channels = x.shape
    x = x.reshape(count, height // _POOL, _POOL, width // _POOL, _POOL, channels)
    return torch.maximum(torch.maximum(x[:, :, 0, :, 0], x[:, :, 0, :, 1]),
                         torch.maximum(x[:, :, 1, :, 0], x[:, :, 1, :, 1]))


def _channels_first(x: Tensor) -> Tensor:
    """[1, height, width, C] to [1, C, height, width]."""
    _, height, width, channels = x.shape
    return x.reshape(1, -1, channels).transpose(1, 2).reshape(1, channels, height, width)


def _linear_from(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight = nn.Parameter(weight.detach().clone())
    layer.bias = nn.Parameter(bias.detach().clone())
    return layer


def _linear(convolution: nn.Conv2d) -> nn.Linear:
    """Return a convolution of kernel 1 as the layer for channels last."""
    assert convolution.bias is not None
    return _linear_from(convolution.weight.flatten(1), convolution.bias)


def _joined(first: nn.Conv2d, second: nn.Conv2d) -> nn.Linear:
    """Return two convolutions of kernel 1 in a row as one layer, multiplied out in float64."""
    a, b = _linear(first).double(), _linear(second).double()
    return _linear_from(
        (b.weight @ a.weight).float(), (b.weight @ a.bias + b.bias).float())
