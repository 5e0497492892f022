# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What each ONNX graph computes, as PyTorch modules over the official weights.

Letters in shapes: S image size, E = S/16, M = S/4 side of the low-resolution masks, C channels
(256 in the official models), B objects, N points, T tokens, K = 1 or B.
"""

from __future__ import annotations

import math

import torch
from sam2.modeling.sam.mask_decoder import MaskDecoder
from sam2.modeling.sam.prompt_encoder import PromptEncoder
from sam2.modeling.sam.transformer import Attention, TwoWayAttentionBlock, TwoWayTransformer
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

from sam2_ros.export.configs import MEAN, STD

#: What ``MaskDecoder`` answers where the model predicts no object scores: surely there.
_SURE_OBJECT_SCORE = 10.0


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
        encoder = model.image_encoder
        self.trunk = encoder.trunk
        self.neck = encoder.neck
        self.scalp = encoder.scalp
        self.conv_s0 = model.sam_mask_decoder.conv_s0
        self.conv_s1 = model.sam_mask_decoder.conv_s1
        side = model.image_size // self.trunk.patch_embed.proj.stride[0]
        with torch.no_grad():
            # A constant of the image size; as a graph it would be a bicubic Resize at every run.
            position = self.trunk._get_pos_embed((side, side)).clone()
        self.register_buffer('position', position)
        self.register_buffer('scale', 1.0 / (255.0 * torch.tensor(STD)))
        self.register_buffer('shift', -torch.tensor(MEAN) / torch.tensor(STD))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = (image * self.scale + self.shift).permute(0, 3, 1, 2)
        levels = self._trunk_levels(x)
        levels, _ = self.neck(levels)
        if self.scalp:
            levels = levels[:-self.scalp]
        return levels[2], self.conv_s0(levels[0]), self.conv_s1(levels[1])

    def _trunk_levels(self, x: Tensor) -> list[Tensor]:
        """Feature maps at strides 4, 8, 16, 32; ``Hiera.forward`` with a constant position."""
        x = self.trunk.patch_embed(x) + self.position  # [1, M, M, embed_dim]
        levels = []
        for index, block in enumerate(self.trunk.blocks):
            x = block(x)
            if index in self.trunk.stage_ends:
                levels.append(x.permute(0, 3, 1, 2))
        return levels


class ImageDecoder(nn.Module):
    """
    Prompts to masks: prompt encoder and mask decoder, all four masks, any number of objects.

    Inputs: the three outputs of :class:`ImageEncoder`; ``point_coords`` [B, N, 2] in pixels of the
    S x S picture; ``point_labels`` [B, N] (1 positive, 0 negative, 2 and 3 box corners, -1
    padding); ``mask_input`` [K, 1, M, M] logits; ``has_mask_input`` [K], 0 or 1.
    Outputs: ``masks`` [B, 4, M, M] logits, ``iou_predictions`` [B, 4], ``object_score_logits``
    [B, 1], ``mask_tokens_out`` [B, 4, C].

    The numbers are those of ``PromptEncoder.forward`` and ``MaskDecoder.predict_masks``. The
    official decoder repeats the image for every object first; here image and tokens keep their own
    batch sizes, K and B, and broadcast where they meet: with K = 1 what depends only on the image
    is computed once.
    """

    no_mask: Tensor
    no_memory: Tensor

    def __init__(self, model: SAM2Base) -> None:
        super().__init__()
        self.prompts = PointEmbedding(model.sam_prompt_encoder)
        self.mask_downscaling = model.sam_prompt_encoder.mask_downscaling
        self.transformer = BroadcastTransformer(
            model.sam_mask_decoder.transformer, model.sam_prompt_encoder.get_dense_pe())
        self.heads = MaskHeads(model.sam_mask_decoder)
        no_mask = model.sam_prompt_encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
        no_memory = torch.zeros_like(no_mask)
        if model.directly_add_no_mem_embed:
            no_memory = model.no_mem_embed.reshape(1, -1, 1, 1)
        self.register_buffer('no_mask', no_mask.detach().clone())
        self.register_buffer('no_memory', no_memory.detach().clone())

    def forward(
            self, image_embed: Tensor, high_res_features_0: Tensor, high_res_features_1: Tensor,
            point_coords: Tensor, point_labels: Tensor, mask_input: Tensor,
            has_mask_input: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        dense = torch.where(
            has_mask_input.reshape(-1, 1, 1, 1) > 0.5, self.mask_downscaling(mask_input),
            self.no_mask)
        source = image_embed + self.no_memory + dense  # [K, C, E, E]
        tokens = self.heads.tokens(self.prompts(point_coords, point_labels))  # [B, T, C]
        tokens, keys = self.transformer(source, tokens)
        return self.heads(tokens, keys, high_res_features_0, high_res_features_1)


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


class BroadcastTransformer(nn.Module):
    """``TwoWayTransformer`` with image keys of batch K and tokens of batch B, K being 1 or B."""

    position: Tensor

    def __init__(self, transformer: TwoWayTransformer, position: Tensor) -> None:
        """:param position: encoding of the image grid, [1, C, E, E]."""
        super().__init__()
        self.transformer = transformer
        self.register_buffer('position', position.detach().flatten(2).transpose(1, 2).clone())

    def forward(self, source: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """``source`` [K, C, E, E] and ``tokens`` [B, T, C] to [B, T, C] and [B, E * E, C]."""
        keys = source.flatten(2).transpose(1, 2)  # [K, E * E, C]
        queries = tokens
        for layer in self.transformer.layers:
            queries, keys = self._layer(layer, queries, keys, tokens)
        attended = _attention(
            self.transformer.final_attn_token_to_image, queries + tokens, keys + self.position,
            keys)
        return self.transformer.norm_final_attn(queries + attended), keys

    def _layer(
            self, layer: TwoWayAttentionBlock, queries: Tensor, keys: Tensor,
            tokens: Tensor) -> tuple[Tensor, Tensor]:
        """``TwoWayAttentionBlock.forward``."""
        if layer.skip_first_layer_pe:
            queries = _attention(layer.self_attn, queries, queries, queries)
        else:
            q = queries + tokens
            queries = queries + _attention(layer.self_attn, q, q, queries)
        queries = layer.norm1(queries)

        placed = keys + self.position
        attended = _attention(layer.cross_attn_token_to_image, queries + tokens, placed, keys)
        queries = layer.norm2(queries + attended)
        queries = layer.norm3(queries + layer.mlp(queries))

        attended = _attention(layer.cross_attn_image_to_token, placed, queries + tokens, queries)
        return queries, layer.norm4(keys + attended)


def _attention(attention: Attention, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """``Attention.forward`` for q and k, v of batch sizes that broadcast."""
    heads = attention.num_heads
    channels = attention.internal_dim // heads
    q = attention.q_proj(q).reshape(q.shape[0], -1, heads, channels).transpose(1, 2)
    k = attention.k_proj(k).reshape(k.shape[0], -1, heads, channels).permute(0, 2, 3, 1)
    v = attention.v_proj(v).reshape(v.shape[0], -1, heads, channels).transpose(1, 2)
    weights = torch.softmax((q * channels ** -0.5) @ k, dim=-1)
    x = (weights @ v).transpose(1, 2)
    return attention.out_proj(x.reshape(x.shape[0], -1, heads * channels))


class MaskHeads(nn.Module):
    """What ``MaskDecoder.predict_masks`` does before and after its transformer."""

    output_tokens: Tensor

    def __init__(self, decoder: MaskDecoder) -> None:
        super().__init__()
        self.output_upscaling = decoder.output_upscaling
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
        features = self._upscale(keys, high_res_features_0, high_res_features_1)
        masks = (hyper @ features.flatten(2)).unflatten(-1, features.shape[-2:])
        iou = self.iou_head(tokens[:, self.iou_index])
        if self.score_head is None:
            score = torch.full_like(iou[:, :1], _SURE_OBJECT_SCORE)
        else:
            score = self.score_head(tokens[:, 0])
        return masks, iou, score, mask_tokens

    def _upscale(self, keys: Tensor, features_0: Tensor, features_1: Tensor) -> Tensor:
        """Image keys [B, E * E, C] to features [B, C/8, M, M]."""
        side = features_1.shape[-1] // 2
        x = keys.transpose(1, 2).unflatten(-1, (side, side))
        up_1, norm, act_1, up_2, act_2 = self.output_upscaling
        x = act_1(norm(up_1(x) + features_1))
        return act_2(up_2(x) + features_0)
