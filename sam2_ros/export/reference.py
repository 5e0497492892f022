# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The official modules' own answers, against which graphs and run time are held."""

from __future__ import annotations

import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor

from sam2_ros.export.configs import MEAN, STD


@torch.no_grad()
def encode(model: SAM2Base, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """
    Encode ``image`` [1, S, S, 3] (RGB, 0..255), as ``SAM2ImagePredictor.set_image`` does.

    Returns image_embed [1, C, S/16, S/16] without ``no_mem_embed``, high_res_features_0
    [1, C/8, S/4, S/4] and high_res_features_1 [1, C/4, S/8, S/8].
    """
    x = ((image / 255.0 - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 3, 1, 2)
    levels = model.forward_image(x)['backbone_fpn']
    return levels[2], levels[0], levels[1]


@torch.no_grad()
def decode(
        model: SAM2Base, features: tuple[Tensor, Tensor, Tensor], coords: Tensor, labels: Tensor,
        mask_input: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """
    Decode prompts, as ``SAM2ImagePredictor._predict`` does before it chooses among the masks.

    ``coords`` [B, N, 2] and ``labels`` [B, N] hold the closing not-a-point that the official
    prompt encoder adds by itself; ``mask_input`` is None or logits [1 or B, 1, S/4, S/4]. Returns
    masks [B, 4, S/4, S/4], iou_predictions [B, 4], object_score_logits [B, 1] and mask_tokens_out
    [B, 4, C].
    """
    image_embed, high_res_0, high_res_1 = features
    if model.directly_add_no_mem_embed:
        image_embed = image_embed + model.no_mem_embed.reshape(1, -1, 1, 1)
    encoder = model.sam_prompt_encoder
    objects = coords.shape[0]
    sparse = encoder._embed_points(coords, labels, pad=False)
    if mask_input is not None:
        dense = encoder._embed_masks(mask_input).expand(objects, -1, -1, -1)
    else:
        dense = encoder.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(
            objects, -1, *image_embed.shape[-2:])
    masks, iou, tokens, score = model.sam_mask_decoder.predict_masks(
        image_embed, encoder.get_dense_pe(), sparse, dense, repeat_image=True,
        high_res_features=[high_res_0, high_res_1])
    return masks, iou, score, tokens
