# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The start of the object score: a regression on what the score is computed from."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip('torch', reason='no PyTorch here: nothing can be trained')
pytest.importorskip('sam2', reason='no sam2 here: nothing can be trained')

import torch
from torch import nn

from sam2_ros.export.configs import random_model
from sam2_ros.train.errors import TrainError
from sam2_ros.train.losses import MaskLosses
from sam2_ros.train.object_score import initialise_object_score, score_tokens
from sam2_ros.train.tasks import ClipTask, ShotSource, TaskOptions


def clips(squares: ShotSource, **options: Any) -> ClipTask:
    """Return clips of three frames; the third object is gone from the third frame on."""
    return ClipTask(
        squares, TaskOptions(scenes=1, objects=3, leaps=0, **options), MaskLosses(), image_size=128)


def test_tokens_are_of_tracked_frames_and_know_who_is_there(squares: ShotSource) -> None:
    model = random_model('sam2_nano', image_size=128, seed=1)

    tokens, present = score_tokens(model, clips(squares, frames=3), seed=0, batches=2)

    assert tokens.shape == (2 * 2 * 3, model.hidden_dim)
    assert int((~present).sum()) == 2
    assert not tokens.requires_grad
    head = model.sam_mask_decoder.pred_obj_score_head
    assert not head._forward_pre_hooks


def test_clips_without_absent_objects_are_refused(squares: ShotSource) -> None:
    model = random_model('sam2_nano', image_size=128, seed=1)
    with pytest.raises(TrainError, match='no object of the clips is absent on a tracked frame'):
        score_tokens(model, clips(squares, frames=2), seed=0, batches=1)


@pytest.mark.parametrize('linear', [False, True])
def test_the_score_tells_what_the_tokens_tell_and_can_be_trained_on(linear: bool) -> None:
    model = random_model('sam2_nano', image_size=128, seed=1)
    width = model.hidden_dim
    if linear:
        model.sam_mask_decoder.pred_obj_score_head = nn.Linear(width, 1)
    generator = torch.Generator().manual_seed(0)
    tokens = 3 + 2 * torch.randn(4000, width, generator=generator)
    present = tokens[:, 5] - tokens[:, 9] > -2

    initialise_object_score(model, tokens[:3000], present[:3000])

    head = model.sam_mask_decoder.pred_obj_score_head
    scores = head(tokens[3000:])[:, 0]
    right = (scores > 0) == present[3000:]
    assert right[present[3000:]].float().mean() > 0.8
    assert right[~present[3000:]].float().mean() > 0.8
    scores.square().mean().backward()
    for parameter in head.parameters():
        assert parameter.grad is not None
        assert bool(parameter.grad.any())
