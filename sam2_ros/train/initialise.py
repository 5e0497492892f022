# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Starting values for modules that have not been trained yet.

SAM 2 starts its memory modules at random, which a large model with many GPUs can afford. These
values let a small model begin close to what it has to become.
"""

from __future__ import annotations

import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

from sam2_ros.train.rollout import encode

#: Share of a memory's channels that look like the picture; the others tell where the object is.
_LOOKS = 0.75
#: Of keys tied to queries; found by trial: attention is too even without it.
_SHARPER = 1.6


@torch.no_grad()
def initialise_decoder(model: SAM2Base) -> None:
    """
    Prepare the mask decoder of a ``model`` with random weights.

    Tokens of clicks and places of the picture carry the same position encoding: with keys tied to
    queries, a click looks at its own place from the first step on. Without a mask prompt, nothing
    large is added to the picture's embedding.
    """
    transformer = model.sam_mask_decoder.transformer
    attentions = [transformer.final_attn_token_to_image]
    for layer in transformer.layers:
        attentions += [layer.cross_attn_token_to_image, layer.cross_attn_image_to_token]
    for attention in attentions:
        attention.k_proj.weight.copy_(_SHARPER * attention.q_proj.weight)
        attention.k_proj.bias.copy_(_SHARPER * attention.q_proj.bias)
    model.sam_prompt_encoder.no_mask_embed.weight.mul_(0.1)


@torch.no_grad()
def initialise_memory(model: SAM2Base, pictures: Tensor) -> None:
    """
    Prepare the memory modules of a ``model`` that was trained on images.

    Memory attention begins as nearly the identity: its last normalisation gives embeddings back
    as large as the mask decoder knows them, with ``no_mem_embed`` added. Its queries meet the
    keys of places that look alike, because a memory begins as a projection of the picture's
    embedding beside that of the mask. The object score begins at "present", so that masks are
    not erased before it has learnt anything.

    :param pictures: some of those trained on, uint8 [K,3,S,S].
    """
    embedding = encode(model, pictures).levels[-1].flatten(0, 1)
    _keep_the_scale(model, embedding)
    for layer in model.memory_attention.layers:
        nn.init.xavier_uniform_(layer.self_attn.out_proj.weight, gain=0.2)
        nn.init.xavier_uniform_(layer.linear2.weight, gain=0.2)
        nn.init.zeros_(layer.linear2.bias)
    _look_for_what_looks_alike(model, embedding)
    score = model.sam_mask_decoder.pred_obj_score_head
    last = score.layers[-1] if hasattr(score, 'layers') else score
    last.weight.mul_(0.1)
    last.bias.fill_(2.0)


def _keep_the_scale(model: SAM2Base, embedding: Tensor) -> None:
    norm = model.memory_attention.norm
    norm.weight.fill_(float(embedding.std(dim=1).mean()))
    norm.bias.copy_(embedding.mean() + model.no_mem_embed.flatten())


def _look_for_what_looks_alike(model: SAM2Base, embedding: Tensor) -> None:
    """Tie the keys of memories to the queries, through a projection that keeps what differs."""
    channels, width = model.hidden_dim, model.mem_dim
    looks = round(_LOOKS * width)
    normal = nn.functional.layer_norm(embedding, (channels,))
    mean = normal.mean(dim=0)
    # principal directions of the embeddings, [looks,C], orthonormal
    _, _, directions = torch.linalg.svd(normal[:20000] - mean, full_matrices=False)
    directions = directions[:looks]
    encoder = model.memory_encoder
    spread = float(embedding.std(dim=1).mean())
    nn.init.eye_(encoder.pix_feat_proj.weight[:, :, 0, 0])
    encoder.pix_feat_proj.weight.div_(spread)
    nn.init.zeros_(encoder.pix_feat_proj.bias)
    nn.init.orthogonal_(encoder.out_proj.weight[:, :, 0, 0])
    encoder.out_proj.weight[:looks, :, 0, 0] = directions
    nn.init.zeros_(encoder.out_proj.bias)
    for layer in model.memory_attention.layers:
        attention = layer.cross_attn_image
        keys = attention.k_proj
        keys.weight.zero_()
        keys.weight[:, :looks] = attention.q_proj.weight @ directions.T
        attention.q_proj.bias.copy_(-attention.q_proj.weight @ mean)
        keys.bias.copy_(attention.q_proj.bias)
