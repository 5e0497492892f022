# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A start for the object score of a model that tracks already.

Objects are absent so seldom that the score learns to say "present" and then little more; what it
is computed from tells them apart much earlier, and a regression finds it.
"""

from __future__ import annotations

import numpy as np
import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

from sam2_ros.train.errors import TrainError
from sam2_ros.train.rollout import encode, roll_out
from sam2_ros.train.simulated_user import BOX, CLICK, MASK, Dialogue
from sam2_ros.train.tasks import ClipTask

#: Of a present object beside an absent one, and of the squared weights, in the fit.
_PRESENT, _DECAY = 0.35, 0.01


@torch.no_grad()
def score_tokens(
    model: SAM2Base, task: ClipTask, seed: int, batches: int = 150,
) -> tuple[Tensor, Tensor]:
    """
    Return what the object score is computed from on tracked frames, and what it should say.

    :param task: its batches are clips.
    :return: tokens float [N,C], and whether the object shows, bool [N].
    :raises TrainError: no object is ever absent, or every one is.
    """
    head = model.sam_mask_decoder.pred_obj_score_head
    tokens: list[Tensor] = []
    present: list[Tensor] = []
    training = model.training
    model.eval()
    for index in range(batches):
        batch = task.batch(np.random.default_rng((seed, index))).to(model.device)
        seen: list[Tensor] = []
        hook = head.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs[0]))
        opening = (CLICK, MASK, BOX)[index % 3]
        answers = roll_out(model, encode(model, batch.pictures), batch, Dialogue(first=opening))
        hook.remove()
        for answer, token in zip(answers, seen, strict=True):
            if answer.frame:
                tokens.append(token)
                present.append(batch.masks[answer.frame].flatten(1).any(dim=1))
    model.train(training)
    shown = torch.cat(present)
    if shown.all() or not shown.any():
        raise TrainError('the object score cannot be fitted: no object of the clips is '
                         f'{"absent" if shown.all() else "present"} on a tracked frame')
    return torch.cat(tokens), shown


def initialise_object_score(model: SAM2Base, tokens: Tensor, present: Tensor) -> None:
    """
    Let the object score of a ``model`` that tracks begin as a logistic regression.

    Hidden layers begin as the regression and its opposite, beside small random units for
    training to use.

    :param tokens: what the score was computed from, float [N,C] (``score_tokens``).
    :param present: whether the object showed, bool [N]; some must be True and some False.
    """
    weight, bias = _regression(tokens.float(), present.float())
    head = model.sam_mask_decoder.pred_obj_score_head
    layers = list(head.layers) if hasattr(head, 'layers') else [head]
    with torch.no_grad():
        if len(layers) == 1:
            head.weight.copy_(weight[None])
            head.bias.fill_(float(bias))
            return
        for layer in layers[:-1]:
            nn.init.normal_(layer.weight, std=0.05)
            nn.init.zeros_(layer.bias)
            layer.weight[:2] = 0
        layers[0].weight[:2] = torch.stack([weight, -weight])
        layers[0].bias[:2] = torch.stack([bias, -bias])
        for layer in layers[1:-1]:
            layer.weight[:2, :2] = torch.eye(2)
        layers[-1].weight.zero_()
        layers[-1].weight[0, :2] = weight.new_tensor([1.0, -1.0])
        layers[-1].bias.zero_()


def _regression(tokens: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Return weight [C] and bias [] of the score that tells ``present`` [N] from tokens [N,C]."""
    mean, spread = tokens.mean(dim=0), tokens.std(dim=0) + 1e-6
    normal = (tokens - mean) / spread
    weight = torch.zeros_like(mean, requires_grad=True)
    bias = torch.zeros_like(mean[0], requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], lr=0.5, max_iter=200)

    def closure() -> float:
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(
            normal @ weight + bias, present, pos_weight=normal.new_tensor(_PRESENT))
        loss = loss + _DECAY * weight.square().sum()
        loss.backward()
        return float(loss.detach())

    optimizer.step(closure)
    weight, bias = weight.detach() / spread, bias.detach()
    return weight, bias - weight @ mean
