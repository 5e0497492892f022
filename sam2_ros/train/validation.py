# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How well a model segments and tracks held-out scenes, measured while it trains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

from sam2_ros.train.rollout import Clip, encode, roll_out
from sam2_ros.train.simulated_user import BOX, CLICK, Dialogue

#: Of the jitter of boxes, the same at every validation.
_SEED = 0


class HeldOut:
    """Held-out images and clips; called with a model in evaluation mode, it returns figures."""

    def __init__(self, images: Sequence[Clip], clips: Sequence[Clip]) -> None:
        """
        Measure on ``images`` (clips of one frame) and ``clips``.

        :param clips: every object must be on the first frame.
        """
        self._images = images
        self._clips = clips

    def __call__(self, model: nn.Module) -> tuple[dict[str, float], float]:
        """Return figures by name, and their mean: what the best checkpoint is best at."""
        assert isinstance(model, SAM2Base)
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(_SEED)
            figures = {**image_figures(model, self._images), **clip_figures(model, self._clips)}
        return figures, float(np.mean(list(figures.values())))


def image_figures(model: SAM2Base, images: Sequence[Clip]) -> dict[str, float]:
    """Return the mean IoU for a click in the middle, three clicks, and a box with 10 % jitter."""
    ious: dict[str, list[float]] = {'click': [], '3 clicks': [], 'box': []}
    for clip in images:
        clip = clip.to(model.device)
        features = encode(model, clip.pictures)
        clicks = roll_out(model, features, clip, Dialogue(CLICK, corrections=2, centred=True))
        boxes = roll_out(model, features, clip, Dialogue(BOX, box_noise=0.1))
        for name, answer in (
                ('click', clicks[0]), ('3 clicks', clicks[2]), ('box', boxes[0])):
            ious[name].extend(jaccard(answer.chosen[:, 0] > 0, clip.masks[0]).tolist())
    return {name: float(np.mean(values)) for name, values in ious.items() if values}


def clip_figures(model: SAM2Base, clips: Sequence[Clip]) -> dict[str, float]:
    """
    Return how clips are tracked after one click on their first frame, which is not counted.

    ``J``: mean IoU, 1 for an absent object that got no mask (DAVIS); ``J present``: of frames
    with the object; ``absent``, ``present``: share of such frames that the score is right about.
    """
    every: dict[str, list[Tensor]] = {'J': [], 'J present': [], 'absent': [], 'present': []}
    for clip in clips:
        clip = clip.to(model.device)
        features = encode(model, clip.pictures)
        answers = roll_out(model, features, clip, Dialogue(CLICK, centred=True))[1:]
        masks = clip.masks[1:]
        there = masks.flatten(2).any(dim=2)
        said = torch.stack([answer.object_scores[:, 0] > 0 for answer in answers])
        j = torch.stack([
            jaccard(answer.chosen[:, 0] > 0, mask)
            for answer, mask in zip(answers, masks, strict=True)])
        every['J'].append(j.mean(dim=0))
        every['J present'].append(j[there])
        every['absent'].append(~said[~there])
        every['present'].append(said[there])
    joined = {name: torch.cat(values).float() for name, values in every.items() if values}
    return {name: float(values.mean()) for name, values in joined.items() if values.numel()}


def jaccard(said: Tensor, true: Tensor) -> Tensor:
    """Return the IoU of masks, bool [B,S,S] -> [B]; 1 where both are empty."""
    union = (said | true).flatten(1).sum(dim=1)
    common = (said & true).flatten(1).sum(dim=1)
    return torch.where(union > 0, common / union.clamp(min=1), 1.0)
