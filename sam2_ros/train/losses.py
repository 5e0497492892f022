# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The losses of SAM 2 (its paper, appendix D.2.2; ``loss_fns.py`` of the official training code).

On masks: focal and dice; on the predicted IoU: squared error, as in SAM (SAM 2: absolute error); on
the object score: cross-entropy.
They are taken at the decoder's resolution, against the share of each cell that the object covers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor

from sam2_ros.train.rollout import Answer


@dataclass(frozen=True)
class LossOptions:
    """Weights of the losses; the official ones but where a comment says why not."""

    focal: float = 20.0
    dice: float = 1.0
    iou: float = 1.0
    object_score: float = 1.0
    #: Of an absent object beside a present one in the loss of the score: they are rare.
    absent: float = 1.0
    #: Half of all: at the official .25, small objects vanish from a model that starts afresh.
    focal_alpha: float = 0.5
    focal_gamma: float = 2.0
    #: Of the masks that the answer does not consist of (the single one beside three, or the
    #: three beside the single one): they learn from every prompt too.
    other_masks: float = 0.5
    #: Share of the mean of three masks, beside the best of them, after a first click and where
    #: more is known. The choice among the three is hard, and where few clicks are ambiguous, masks
    #: that are alike forgive it.
    three_prompted: float = 0.0
    three_tracked: float = 0.5
    #: Class-balanced cross-entropy, for a model that starts afresh: it decays to 0 over
    #: ``balanced_steps``, while focal grows from a tenth of its weight.
    balanced: float = 0.0
    balanced_steps: int = 1
    #: An object smaller than this share of the picture is neither present nor absent.
    smallest: float = 0.00025


class MaskLosses:
    """Losses of the answers to simulated prompts."""

    def __init__(self, options: LossOptions | None = None) -> None:
        """Use ``options``, or SAM 2's."""
        self.options = options or LossOptions()

    def __call__(
        self, answers: list[Answer], masks: Tensor, step: int,
    ) -> tuple[Tensor, dict[str, float]]:
        """
        Return the loss, and its parts for the log.

        :param answers: what the decoder said.
        :param masks: the truth, bool [T,B,S,S].
        :param step: of the training run, for what changes with time.
        """
        side = answers[0].masks.shape[-1]
        covered = F.interpolate(masks.float(), size=(side, side), mode='area')
        area = masks.flatten(2).float().mean(dim=2)
        total = covered.new_zeros(())
        parts = {'mask': 0.0, 'iou': 0.0, 'object': 0.0, 'IoU': 0.0}
        for answer in answers:
            mask, iou, reached = self._mask_losses(
                answer, covered[answer.frame], area[answer.frame], step)
            score = self._score_loss(answer.object_scores[:, 0], area[answer.frame])
            total = total + mask + self.options.iou * iou + self.options.object_score * score
            for name, value in zip(parts, (mask, iou, score, reached), strict=True):
                parts[name] += float(value.detach()) / len(answers)
        return total / len(answers), parts

    def _mask_losses(
        self, answer: Answer, covered: Tensor, area: Tensor, step: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return mask loss, IoU loss and the IoU that was reached, mean over what is present."""
        present = (area >= self.options.smallest).float()
        present = present / present.sum().clamp(min=1)
        target = covered[:, None].expand_as(answer.masks)
        losses = self._pixel_losses(answer.masks, target, step)
        single, three = losses[:, 0], losses[:, 1:]
        # A first click can mean several things: the best of the three must be right. When memory
        # or a dialogue tells which object is meant, each of them must.
        share = self.options.three_prompted if answer.prompted else self.options.three_tracked
        best = (1 - share) * three.min(dim=1).values + share * three.mean(dim=1)
        chosen, other = (best, single) if answer.multimask else (single, best)
        with torch.no_grad():
            ious = _ious(answer.masks, target)
            reached = ious[:, 0]
            if answer.multimask:
                best_said = answer.ious[:, 1:].argmax(dim=1, keepdim=True)
                reached = ious[:, 1:].gather(1, best_said)[:, 0]
        iou_loss = F.mse_loss(answer.ious, ious, reduction='none').mean(dim=1)
        mask_loss = chosen + self.options.other_masks * other
        return (mask_loss * present).sum(), (iou_loss * present).sum(), (reached * present).sum()

    def _pixel_losses(self, logits: Tensor, target: Tensor, step: int) -> Tensor:
        """Return focal and dice loss (and the balanced one) of each mask: [B,4]."""
        options = self.options
        entropy = F.binary_cross_entropy_with_logits(logits, target, reduction='none')
        probability = logits.sigmoid()
        miss = (probability - target).abs()
        alpha = options.focal_alpha * target + (1 - options.focal_alpha) * (1 - target)
        focal = (alpha * miss ** options.focal_gamma * entropy).flatten(2).mean(dim=2)
        overlap = (probability * target).flatten(2).sum(dim=2)
        sizes = probability.flatten(2).sum(dim=2) + target.flatten(2).sum(dim=2)
        dice = 1 - (2 * overlap + 1) / (sizes + 1)
        if not options.balanced:
            return options.focal * focal + options.dice * dice
        young = max(0.0, 1 - step / options.balanced_steps)
        inside = (entropy * target).flatten(2).sum(dim=2) / target.flatten(2).sum(dim=2).clamp(
            min=1)
        outside = (entropy * (1 - target)).flatten(2).mean(dim=2)
        return (options.focal * (1 - 0.9 * young) * focal + options.dice * dice
                + options.balanced * young * (inside + outside))

    def _score_loss(self, scores: Tensor, area: Tensor) -> Tensor:
        weights = self.options.absent * (area == 0) + (area >= self.options.smallest)
        losses = F.binary_cross_entropy_with_logits(
            scores, (area > 0).float(), reduction='none')
        return (losses * weights).mean()


def _ious(logits: Tensor, covered: Tensor) -> Tensor:
    """Return the IoU of each mask: logits [B,4,M,M], truth as cover [B,4,M,M] -> [B,4]."""
    said, true = logits > 0, covered > 0.5
    union = (said | true).flatten(2).sum(dim=2).clamp(min=1)
    return (said & true).flatten(2).sum(dim=2) / union
