# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The memory encoder as it is exported.

Letters in shapes: S image size, E = S/16, P = E * E places of the image grid, M = S/4 side of the
low-resolution masks, C channels of the image, D channels of memories (64), B objects.
"""

from __future__ import annotations

import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn
from torch.nn import functional


class MemoryEncoder(nn.Module):
    """
    An image and what was found in it to a memory of each object.

    Inputs: ``image_embed`` [1, C, E, E] of ``ImageEncoder``; ``masks`` [B, 1, M, M] logits;
    ``object_score_logits`` [B, 1]; ``is_prompted`` [B]: 1 where the mask answers a prompt and only
    its sign counts (``binarize_mask_from_pts_for_mem_enc``), else 0.
    Output: ``memory_features`` [B, P, D].

    The numbers are those of ``SAM2Base._encode_new_memory``, rounded to bfloat16 as
    ``SAM2VideoPredictor`` stores them.
    """

    no_object: Tensor

    def __init__(self, model: SAM2Base) -> None:
        super().__init__()
        encoder = model.memory_encoder
        self.image_size = model.image_size
        self.scale, self.bias = model.sigmoid_scale_for_mem_enc, model.sigmoid_bias_for_mem_enc
        self.mask_downsampler = encoder.mask_downsampler
        self.pix_feat_proj = encoder.pix_feat_proj
        self.fuser = encoder.fuser
        self.out_proj = encoder.out_proj
        no_object = model.no_obj_embed_spatial
        self.register_buffer('no_object', (
            torch.zeros(1, model.mem_dim) if no_object is None else no_object.detach().clone()))

    def forward(
            self, image_embed: Tensor, masks: Tensor, object_score_logits: Tensor,
            is_prompted: Tensor) -> Tensor:
        logits = functional.interpolate(
            masks, (self.image_size, self.image_size), mode='bilinear', align_corners=False)
        present = torch.where(
            is_prompted.reshape(-1, 1, 1, 1) > 0.5, (logits > 0).to(logits.dtype),
            logits.sigmoid())
        x = self.mask_downsampler(present * self.scale + self.bias)
        # Flat: OpenVINO 2025 joins a sum with a convolution as if both had the same batch size.
        image = self.pix_feat_proj(image_embed).flatten(2)
        x = (x.flatten(2) + image).reshape(x.shape)
        x = self.out_proj(self.fuser(x))
        x = x.flatten(2).transpose(1, 2)  # [B, P, D]
        is_absent = (object_score_logits <= 0).to(x.dtype).unsqueeze(-1)  # [B, 1, 1]
        return (x + is_absent * self.no_object).to(torch.bfloat16).to(torch.float32)
