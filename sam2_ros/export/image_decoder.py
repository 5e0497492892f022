# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The image decoder as it is exported: the official weights and numbers, in fewer steps.

Letters in shapes: S image size, E = S/16, P = E * E places of the image grid, M = S/4 side of the
low-resolution masks, C channels (256 in the official models), B objects, N points, T tokens, H
heads, D channels of a head, I and K each 1 or B: where both are 1, all objects share what depends
only on the image.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from sam2.modeling.sam.mask_decoder import MaskDecoder
from sam2.modeling.sam.prompt_encoder import PromptEncoder
from sam2.modeling.sam.transformer import Attention, TwoWayAttentionBlock, TwoWayTransformer
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

#: What ``MaskDecoder`` answers where the model predicts no object scores: surely there.
_SURE_OBJECT_SCORE = 10.0


class ImageDecoder(nn.Module):
    """
    Prompts to masks: prompt encoder and mask decoder, all four masks, any number of objects.

    Inputs: ``image_embed`` [I, C, E, E], of ``ImageEncoder`` or conditioned on the memories of
    each object by ``MemoryAttention``; the two other outputs of ``ImageEncoder``; ``point_coords``
    [B, N, 2] in pixels of the S x S picture; ``point_labels`` [B, N] (1 positive, 0 negative, 2
    and 3 box corners, -1 padding); ``mask_input`` [K, 1, M, M] logits; ``has_mask_input`` [K], 0
    or 1; ``memory_conditioned`` [1]: 0 where there are no memories (image mode, the first frame of
    an object), so that ``no_mem_embed`` is added, 1 where ``image_embed`` is to be taken as it is.
    Outputs: ``masks`` [B, 4, M, M] logits, ``iou_predictions`` [B, 4], ``object_score_logits``
    [B, 1], ``object_pointers`` [B, 4, C], one of each mask.

    The numbers are those of ``PromptEncoder.forward``, ``MaskDecoder.predict_masks`` and
    ``SAM2Base._forward_sam_heads``. The official decoder repeats the image for every object first;
    here image, mask prompt and tokens keep their own batch sizes, I, K and B, and broadcast where
    they meet.
    """

    def __init__(self, model: SAM2Base) -> None:
        super().__init__()
        self.points = PointEmbedding(model.sam_prompt_encoder)
        self.mask = MaskEmbedding(model)
        self.transformer = ImageTokenTransformer(
            model.sam_mask_decoder.transformer, model.sam_prompt_encoder.get_dense_pe())
        self.heads = MaskHeads(model.sam_mask_decoder)
        self.pointers = ObjectPointers(model)

    def forward(
            self, image_embed: Tensor, high_res_features_0: Tensor, high_res_features_1: Tensor,
            point_coords: Tensor, point_labels: Tensor, mask_input: Tensor, has_mask_input: Tensor,
            memory_conditioned: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        added = self.mask(mask_input, has_mask_input, memory_conditioned)  # [K, P, C]
        keys = _channels_last(image_embed) + added  # [I or K, P, C]
        tokens = self.heads.tokens(self.points(point_coords, point_labels))  # [B, T, C]
        tokens, keys = self.transformer(keys, tokens)
        masks, iou, score, mask_tokens = self.heads(
            tokens, keys, high_res_features_0, high_res_features_1)
        return masks, iou, score, self.pointers(mask_tokens, score)


class PointEmbedding(nn.Module):
    """Points [B, N, 2] and labels [B, N] to [B, N, C]; ``PromptEncoder._embed_points``."""

    frequencies: Tensor
    labels: Tensor

    def __init__(self, encoder: PromptEncoder) -> None:
        super().__init__()
        self.image_size = float(encoder.input_image_size[0])
        self.register_buffer(
            'frequencies', encoder.pe_layer.positional_encoding_gaussian_matrix.detach().clone())
        # Row label + 1: no point, negative, positive, first corner, second corner.
        rows = [encoder.not_a_point_embed, *encoder.point_embeddings]
        self.register_buffer('labels', torch.cat([row.weight for row in rows]).detach().clone())

    def forward(self, coords: Tensor, labels: Tensor) -> Tensor:
        coords = 2 * ((coords + 0.5) / self.image_size) - 1
        angles = 2 * math.pi * (coords @ self.frequencies)
        position = torch.cat([angles.sin(), angles.cos()], dim=-1)
        is_point = (labels >= 0).unsqueeze(-1).to(position.dtype)
        return position * is_point + self.labels[labels.long() + 1]


class MaskEmbedding(nn.Module):
    """
    What a mask prompt, or its absence, and the absence of memories add to the image: [K, P, C].

    ``PromptEncoder._embed_masks`` and ``no_mask_embed``; and ``no_mem_embed``, which is added to
    every place of an image without memories (``SAM2Base._prepare_memory_conditioned_features``,
    ``SAM2ImagePredictor.set_image``).
    """

    weight: Tensor
    with_mask: Tensor
    without_mask: Tensor
    without_memory: Tensor

    def __init__(self, model: SAM2Base) -> None:
        super().__init__()
        encoder = model.sam_prompt_encoder
        self.downscaling = encoder.mask_downscaling[:-1]
        last = encoder.mask_downscaling[-1]
        no_memory = model.no_mem_embed.detach().reshape(-1).clone()
        if not model.directly_add_no_mem_embed:
            no_memory.zero_()
        # The last step has kernel 1 and few input channels; it is taken after the choice whether
        # there is a mask, which is then made on few channels instead of C.
        self.register_buffer('weight', last.weight.detach().flatten(1).t().clone())
        self.register_buffer('with_mask', last.bias.detach().clone())
        self.register_buffer(
            'without_mask', encoder.no_mask_embed.weight.detach().reshape(-1).clone())
        self.register_buffer('without_memory', no_memory)

    def forward(
            self, mask_input: Tensor, has_mask_input: Tensor, memory_conditioned: Tensor) -> Tensor:
        is_there = has_mask_input.reshape(-1, 1, 1) > 0.5
        x = _channels_last(self.downscaling(mask_input))
        x = torch.where(is_there, x, torch.zeros_like(x))
        everywhere = torch.where(is_there, self.with_mask, self.without_mask)  # [K, 1, C]
        return x @ self.weight + (everywhere + (1 - memory_conditioned) * self.without_memory)


class ImageTokenTransformer(nn.Module):
    """``TwoWayTransformer`` on an image of batch 1 or B and tokens of batch B."""

    position: Tensor

    def __init__(self, transformer: TwoWayTransformer, position: Tensor) -> None:
        """:param position: encoding of the image grid, [1, C, E, E]."""
        super().__init__()
        self.layers = nn.ModuleList(TwoWayLayer(layer) for layer in transformer.layers)
        self.final = TokenToImageAttention(transformer.final_attn_token_to_image)
        self.final_norm = transformer.norm_final_attn
        self.register_buffer('position', _channels_last(position).detach().clone())

    def forward(self, keys: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """``keys`` [1 or B, P, C], ``tokens`` [B, T, C] to [B, T, C] and [B, P, C]."""
        queries = tokens
        placed = keys + self.position
        for layer in self.layers:
            queries, keys = layer(queries, keys, tokens, placed)
            placed = keys + self.position
        attended = self.final(queries + tokens, placed, keys)
        return self.final_norm(queries + attended), keys


class TwoWayLayer(nn.Module):
    """``TwoWayAttentionBlock``."""

    def __init__(self, layer: TwoWayAttentionBlock) -> None:
        super().__init__()
        self.layer = layer
        self.token_to_image = TokenToImageAttention(layer.cross_attn_token_to_image)
        self.image_to_token = ImageToTokenAttention(layer.cross_attn_image_to_token)

    def forward(
            self, queries: Tensor, keys: Tensor, tokens: Tensor,
            placed: Tensor) -> tuple[Tensor, Tensor]:
        """``placed`` [1 or B, P, C]: the keys with their position."""
        layer = self.layer
        if layer.skip_first_layer_pe:
            queries = layer.self_attn(queries, queries, queries)
        else:
            placed_queries = queries + tokens
            queries = queries + layer.self_attn(placed_queries, placed_queries, queries)
        queries = layer.norm1(queries)
        queries = layer.norm2(queries + self.token_to_image(queries + tokens, placed, keys))
        queries = layer.norm3(queries + layer.mlp(queries))
        keys = layer.norm4(keys + self.image_to_token(placed, queries + tokens, queries))
        return queries, keys


class TokenToImageAttention(nn.Module):
    """
    ``Attention`` of few tokens to many places, without projecting the places.

    q (W_k x) = (W_k^T q) x: what the official code does to P places is done to T tokens, and the
    projected places are never written to memory. The bias of the keys is the same for all places,
    so that softmax drops it; that of the values passes through, since weights sum to 1.
    """

    key: Tensor
    value: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.heads = attention.num_heads
        scale = (attention.internal_dim // attention.num_heads) ** -0.5
        self.q_proj = attention.q_proj
        self.register_buffer('key', _by_head(attention.k_proj.weight * scale, self.heads))
        self.register_buffer(
            'value', _by_head(attention.v_proj.weight, self.heads).transpose(2, 3).contiguous())
        self.register_buffer('weight', attention.out_proj.weight.detach().t().clone())
        self.register_buffer('bias', attention.out_proj(attention.v_proj.bias).detach().clone())

    def forward(self, tokens: Tensor, placed: Tensor, keys: Tensor) -> Tensor:
        """``tokens`` [B, T, C], ``placed`` and ``keys`` [1 or B, P, C] to [B, T, C]."""
        queries = self.q_proj(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        queries = (queries @ self.key).flatten(1, 2)  # [B, H * T, C]
        weights = torch.softmax(queries @ placed.transpose(-1, -2), dim=-1)  # [B, H * T, P]
        values = (weights @ keys).unflatten(1, (self.heads, -1)) @ self.value  # [B, H, T, D]
        return values.transpose(1, 2).flatten(2) @ self.weight + self.bias


class ImageToTokenAttention(nn.Module):
    """
    ``Attention`` of many places to few tokens, without projecting the places.

    As in :class:`TokenToImageAttention`, the projections move to the side of the tokens. The
    output's bias is spread over the heads, whose weights sum to 1 each.
    """

    query: Tensor
    query_bias: Tensor
    output: Tensor
    bias: Tensor

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.heads = attention.num_heads
        scale = (attention.internal_dim // attention.num_heads) ** -0.5
        self.k_proj, self.v_proj = attention.k_proj, attention.v_proj
        self.register_buffer('query', _by_head(attention.q_proj.weight * scale, self.heads))
        self.register_buffer(
            'query_bias', _by_head(attention.q_proj.bias[:, None] * scale, self.heads))
        self.register_buffer('output', _by_head(attention.out_proj.weight.t(), self.heads))
        self.register_buffer('bias', (attention.out_proj.bias / self.heads).detach().clone())

    def forward(self, placed: Tensor, tokens: Tensor, values: Tensor) -> Tensor:
        """``placed`` [1 or B, P, C], ``tokens`` and ``values`` [B, T, C] to [B, P, C]."""
        k = self.k_proj(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, H, T, D]
        v = self.v_proj(values).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        scores = placed @ (k @ self.query).flatten(1, 2).transpose(-1, -2)  # [B, P, H * T]
        scores = scores + (k @ self.query_bias).flatten(1).unsqueeze(1)
        weights = torch.softmax(scores.unflatten(-1, (self.heads, -1)), dim=-1).flatten(2)
        return weights @ (v @ self.output + self.bias).flatten(1, 2)


class MaskHeads(nn.Module):
    """What ``MaskDecoder.predict_masks`` does before and after its transformer."""

    output_tokens: Tensor
    upscaling: nn.Module
    hypernetworks: nn.ModuleList
    iou_head: nn.Module
    score_head: nn.Module | None

    def __init__(self, decoder: MaskDecoder) -> None:
        super().__init__()
        self.upscaling = Upscaling(decoder.output_upscaling)
        self.hypernetworks = decoder.output_hypernetworks_mlps
        self.iou_head = decoder.iou_prediction_head
        self.score_head = decoder.pred_obj_score_head if decoder.pred_obj_scores else None
        rows = [decoder.iou_token.weight, decoder.mask_tokens.weight]
        if decoder.pred_obj_scores:
            rows.insert(0, decoder.obj_score_token.weight)
        self.register_buffer('output_tokens', torch.cat(rows).detach().clone().unsqueeze(0))
        self.iou_index = len(rows) - 2
        self.num_masks = decoder.num_mask_tokens

    def tokens(self, points: Tensor) -> Tensor:
        """Put the output tokens before the embedded points: [B, N, C] to [B, T, C]."""
        return torch.cat([self.output_tokens.expand(points.shape[0], -1, -1), points], dim=1)

    def forward(
            self, tokens: Tensor, keys: Tensor, high_res_features_0: Tensor,
            high_res_features_1: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        first = self.iou_index + 1
        mask_tokens = tokens[:, first:first + self.num_masks]
        hyper = torch.stack(
            [mlp(mask_tokens[:, i]) for i, mlp in enumerate(self.hypernetworks)], dim=1)
        features = self.upscaling(keys, high_res_features_0, high_res_features_1)
        masks = _raster(hyper @ features.transpose(-1, -2), high_res_features_0.shape[-1] // 4)
        iou = self.iou_head(tokens[:, self.iou_index])
        if self.score_head is None:
            score = torch.full_like(iou[:, :1], _SURE_OBJECT_SCORE)
        else:
            score = self.score_head(tokens[:, 0])
        return masks, iou, score, mask_tokens


class ObjectPointers(nn.Module):
    """Mask tokens [B, 4, C] to what memories keep of them; end of ``_forward_sam_heads``."""

    no_object: Tensor

    def __init__(self, model: SAM2Base) -> None:
        super().__init__()
        self.proj = model.obj_ptr_proj
        self.mixes = model.pred_obj_scores and model.use_obj_ptrs_in_encoder
        self.soft, self.fixed = model.soft_no_obj_ptr, model.fixed_no_obj_ptr
        if self.mixes:
            self.register_buffer('no_object', model.no_obj_ptr.detach().clone())

    def forward(self, mask_tokens: Tensor, object_score_logits: Tensor) -> Tensor:
        pointers = cast('Tensor', self.proj(mask_tokens))
        if not self.mixes:
            return pointers
        score = object_score_logits.unsqueeze(-1)  # [B, 1, 1]
        appears = score.sigmoid() if self.soft else (score > 0).to(score.dtype)
        if self.fixed:
            pointers = appears * pointers
        return pointers + (1 - appears) * self.no_object


class Upscaling(nn.Module):
    """
    ``MaskDecoder.output_upscaling`` with channels last and pixels in nested order.

    A transposed convolution of kernel and stride 2 is a matrix product that turns a place into its
    2 x 2 pixels. They stay beside each other here, first the place, then the pixel in it, then the
    pixel in that; instead of every object's features, only the masks at the end are put in raster
    order, and the image's features once into nested order.
    """

    first: Tensor
    second: Tensor
    first_bias: Tensor
    second_bias: Tensor

    def __init__(self, upscaling: nn.Sequential) -> None:
        super().__init__()
        first, norm, self.activation, second, _ = cast('Any', upscaling)
        # LayerNorm2d normalises over channels, which are last here.
        self.norm = nn.LayerNorm(norm.weight.shape[0], norm.eps)
        self.norm.load_state_dict(norm.state_dict())
        self.register_buffer('first', first.weight.detach().permute(0, 2, 3, 1).flatten(1).clone())
        self.register_buffer(
            'second', second.weight.detach().permute(0, 2, 3, 1).flatten(1).clone())
        self.register_buffer('first_bias', first.bias.detach().clone())
        self.register_buffer('second_bias', second.bias.detach().clone())

    def forward(self, keys: Tensor, features_0: Tensor, features_1: Tensor) -> Tensor:
        """``keys`` [B, P, C] and the image's features to [B, 16 * P, C/8], in nested order."""
        _, channels_0, _, side = features_0.shape
        _, channels_1, _, _ = features_1.shape
        places = side // 4
        # [1, P, 2 * 2, C/4]: row and column of the place, row and column of the pixel in it
        features_1 = (_channels_last(features_1) + self.first_bias).reshape(
            1, places, 2, places, 2, channels_1).permute(0, 1, 3, 2, 4, 5).reshape(
            1, -1, channels_1)
        features_0 = (_channels_last(features_0) + self.second_bias).reshape(
            1, places, 2, 2, places, 2, 2, channels_0).permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(
            1, -1, channels_0)
        x = (keys @ self.first).reshape(-1, 4 * places ** 2, channels_1) + features_1
        x = self.activation(self.norm(x))
        x = (x @ self.second).reshape(-1, 16 * places ** 2, channels_0) + features_0
        return cast('Tensor', self.activation(x))


def _raster(x: Tensor, places: int) -> Tensor:
    """Pixels in nested order [B, masks, 16 * P] to a picture [B, masks, M, M]."""
    masks = x.shape[1]
    return x.reshape(-1, masks, places, places, 2, 2, 2, 2).permute(
        0, 1, 2, 4, 6, 3, 5, 7).reshape(-1, masks, 4 * places, 4 * places)


def _channels_last(x: Tensor) -> Tensor:
    """[batch, C, height, width] to [batch, height * width, C]."""
    return x.flatten(2).transpose(1, 2)


def _by_head(weight: Tensor, heads: int) -> Tensor:
    """Rows of a projection [H * D, C] to [1, H, D, C]."""
    return weight.detach().unflatten(0, (heads, -1)).unsqueeze(0).clone()
