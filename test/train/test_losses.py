# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the losses reward and what they leave alone."""

from __future__ import annotations

import pytest

pytest.importorskip('torch', reason='no PyTorch here: nothing can be trained')
pytest.importorskip('sam2', reason='no sam2 here: nothing can be trained')

import torch
from torch import Tensor

from sam2_ros.train.losses import LossOptions, MaskLosses
from sam2_ros.train.rollout import Answer

SIDE = 64


def left_half() -> Tensor:
    """Return one object on one frame, bool [1,1,4 SIDE,4 SIDE]."""
    mask = torch.zeros(1, 1, 4 * SIDE, 4 * SIDE, dtype=torch.bool)
    mask[..., :2 * SIDE] = True
    return mask


def logits_of(mask: Tensor) -> Tensor:
    """Return logits [1,1,SIDE,SIDE] that say ``mask`` and are sure of it."""
    return torch.nn.functional.avg_pool2d(mask.float(), 4) * 40 - 20


def answer(
    masks: Tensor, *, score: float = 10.0, ious: float = 1.0, multimask: bool = True,
    prompted: bool = True,
) -> Answer:
    """Return what a decoder said whose four masks are ``masks`` [1,4,SIDE,SIDE]."""
    return Answer(
        frame=0, masks=masks.requires_grad_(), ious=torch.full((1, 4), ious),
        object_scores=torch.full((1, 1), score, requires_grad=True),
        chosen=torch.zeros(1, 1, 4 * SIDE, 4 * SIDE), multimask=multimask, prompted=prompted)


def test_a_sure_and_right_answer_costs_nothing() -> None:
    right = logits_of(left_half()).repeat(1, 4, 1, 1)

    loss, parts = MaskLosses()([answer(right)], left_half(), step=0)

    assert float(loss.detach()) == pytest.approx(0, abs=1e-3)
    assert parts['IoU'] == 1


def test_an_ambiguous_click_teaches_only_the_best_of_three_and_the_single_mask() -> None:
    masks = torch.cat([
        torch.zeros(1, 1, SIDE, SIDE), -logits_of(left_half()),
        0.05 * logits_of(left_half()), torch.zeros(1, 1, SIDE, SIDE)], dim=1)

    loss, _ = MaskLosses()([answer(masks)], left_half(), step=0)
    loss.backward()

    assert masks.grad is not None
    taught = masks.grad[0].abs().sum(dim=(1, 2)) > 0
    assert taught.tolist() == [True, False, True, False]


@pytest.mark.parametrize(('prompted', 'options'), [
    (False, LossOptions()), (True, LossOptions(three_prompted=0.3))])
def test_where_memory_tells_the_object_or_options_say_so_every_mask_learns(
    prompted: bool, options: LossOptions,
) -> None:
    masks = torch.zeros(1, 4, SIDE, SIDE)

    loss, _ = MaskLosses(options)([answer(masks, prompted=prompted)], left_half(), step=0)
    loss.backward()

    assert masks.grad is not None
    assert bool((masks.grad[0].abs().sum(dim=(1, 2)) > 0).all())


def test_an_absent_object_teaches_the_score_alone() -> None:
    masks = torch.zeros(1, 4, SIDE, SIDE)
    said = answer(masks, score=2.0)

    loss, _ = MaskLosses()([said], torch.zeros_like(left_half()), step=0)
    loss.backward()

    assert masks.grad is not None
    assert not bool(masks.grad.any())
    assert said.object_scores.grad is not None
    assert float(said.object_scores.grad) > 0, 'to be lowered'


def test_an_object_that_is_hardly_there_is_neither_present_nor_absent() -> None:
    speck = torch.zeros_like(left_half())
    speck[..., :2, :2] = True
    said = answer(torch.zeros(1, 4, SIDE, SIDE))

    loss, _ = MaskLosses()([said], speck, step=0)

    assert float(loss.detach()) == 0


def test_the_balanced_loss_decays() -> None:
    losses = MaskLosses(LossOptions(balanced=1.0, balanced_steps=100, focal=0.0))
    masks = torch.zeros(1, 4, SIDE, SIDE)

    young, older, grown = (
        losses([answer(masks)], left_half(), step)[0].item() for step in (0, 50, 100))

    assert young > older > grown
