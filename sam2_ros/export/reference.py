# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The official modules' own answers, against which graphs and run time are held."""

from __future__ import annotations

import functools

import torch
from sam2.modeling.sam2_base import SAM2Base
from sam2.modeling.sam2_utils import get_1d_sine_pe
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
        mask_input: Tensor | None,
        memory_conditioned: bool = False) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """
    Decode prompts, as ``SAM2Base._forward_sam_heads`` does before it chooses among the masks.

    ``coords`` [B, N, 2] and ``labels`` [B, N] hold the closing not-a-point that the official
    prompt encoder adds by itself; ``mask_input`` is None or logits [1 or B, 1, S/4, S/4];
    ``image_embed``, the first of ``features``, is [1 or B, C, S/16, S/16]. Without
    ``memory_conditioned`` it gets ``no_mem_embed``, as on a first frame and in
    ``SAM2ImagePredictor.set_image``. Returns masks [B, 4, S/4, S/4], iou_predictions [B, 4],
    object_score_logits [B, 1] and the pointers [B, 4, C] of an object for each of the masks.
    """
    image_embed, high_res_0, high_res_1 = features
    if model.directly_add_no_mem_embed and not memory_conditioned:
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
        image_embed.expand(objects, -1, -1, -1), encoder.get_dense_pe(), sparse, dense,
        repeat_image=False, high_res_features=[high_res_0, high_res_1])
    pointers = torch.stack(
        [_object_pointer(model, tokens[:, mask], score) for mask in range(tokens.shape[1])], dim=1)
    return masks, iou, score, pointers


def _object_pointer(model: SAM2Base, token: Tensor, score: Tensor) -> Tensor:
    """Return the pointer [B, C] of a mask's token [B, C]; end of ``_forward_sam_heads``."""
    pointer: Tensor = model.obj_ptr_proj(token)
    if model.pred_obj_scores:
        appears = score.sigmoid() if model.soft_no_obj_ptr else (score > 0).float()
        if model.fixed_no_obj_ptr:
            pointer = appears * pointer
        pointer = pointer + (1 - appears) * model.no_obj_ptr
    return pointer


@torch.no_grad()
def attend(
        model: SAM2Base, image_embed: Tensor, memory_features: Tensor, memory_steps: Tensor,
        object_pointers: Tensor, pointer_steps: Tensor) -> Tensor:
    """
    Attend to memories, as ``SAM2Base._prepare_memory_conditioned_features`` does.

    Inputs and result [B, C, S/16, S/16] are those of graph ``memory_attention``; here each object
    goes by itself.
    """
    encoding = model.image_encoder.neck.position_encoding
    image_tokens, image_position = _tokens(image_embed), _tokens(encoding(image_embed))
    place = _tokens(model.memory_encoder.position_encoding(
        image_embed.new_zeros(1, model.mem_dim, *image_embed.shape[-2:])))
    conditioned = []
    for features, steps, pointers, times in zip(
            memory_features, memory_steps, object_pointers, pointer_steps, strict=True):
        t_pos = [model.num_maskmem - int(step) if step else 0 for step in steps]
        memory = [feature.unsqueeze(1) for feature in features]  # [P, 1, D] each
        position = [place + model.maskmem_tpos_enc[model.num_maskmem - t - 1] for t in t_pos]
        tokens, token_position = _pointer_tokens(model, pointers, times)
        attended = model.memory_attention(
            curr=image_tokens, curr_pos=image_position,
            memory=torch.cat([*memory, tokens]),
            memory_pos=torch.cat([*position, token_position]),
            num_obj_ptr_tokens=len(tokens))
        conditioned.append(attended.permute(1, 2, 0).reshape(image_embed.shape))
    return torch.cat(conditioned)


def _pointer_tokens(model: SAM2Base, pointers: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
    """Return an object's pointers [Q, C] as tokens [T, 1, D], and their positions."""
    split = model.hidden_dim // model.mem_dim
    tokens = pointers.reshape(-1, 1, model.mem_dim)
    if not model.add_tpos_enc_to_obj_ptrs:
        return tokens, torch.zeros_like(tokens)
    channels = model.hidden_dim if model.proj_tpos_enc_in_obj_ptrs else model.mem_dim
    position = model.obj_ptr_tpos_proj(
        get_1d_sine_pe(times / (model.max_obj_ptrs_in_encoder - 1), dim=channels))
    return tokens, position.repeat_interleave(split, dim=0).unsqueeze(1)


@torch.no_grad()
def encode_memory(
        model: SAM2Base, image_embed: Tensor, masks: Tensor, object_score_logits: Tensor,
        is_prompted: Tensor) -> Tensor:
    """
    Make memories, as ``SAM2Base._encode_new_memory`` does; not rounded yet.

    Inputs and result [B, P, D] are those of graph ``memory_encoder``.
    """
    high_res = torch.nn.functional.interpolate(
        masks, (model.image_size, model.image_size), mode='bilinear', align_corners=False)
    size = image_embed.shape[-2:]
    memories = []
    binarizes = model.binarize_mask_from_pts_for_mem_enc
    # As ``build_sam2_video_predictor`` has it.
    model.binarize_mask_from_pts_for_mem_enc = True
    for mask, score, prompted in zip(high_res, object_score_logits, is_prompted, strict=True):
        features, _ = model._encode_new_memory(
            [_tokens(image_embed)], [size], mask[None], score[None], bool(prompted))
        memories.append(features.flatten(2).transpose(1, 2))
    model.binarize_mask_from_pts_for_mem_enc = binarizes
    return torch.cat(memories)


@torch.no_grad()
def prompt_with_mask(model: SAM2Base, mask: Tensor) -> tuple[Tensor, Tensor]:
    """
    Return what stands for ``mask`` [height, width] as an answer and as a prompt.

    ``SAM2VideoPredictor.add_new_mask`` and ``SAM2Base._use_mask_as_output``: both are logits
    [1, 1, S/4, S/4].
    """
    interpolate = functools.partial(
        torch.nn.functional.interpolate, mode='bilinear', align_corners=False, antialias=True)
    side = model.image_size
    resized = mask[None, None].bool().float()
    if resized.shape[-2:] != (side, side):
        resized = (interpolate(resized, (side, side)) >= 0.5).float()
    answer = interpolate(20.0 * resized - 10.0, (side // 4, side // 4))
    return answer, model.mask_downsample(resized)


def _tokens(image: Tensor) -> Tensor:
    """[1, C, height, width] to [height * width, 1, C]."""
    return image.flatten(2).permute(2, 0, 1)
