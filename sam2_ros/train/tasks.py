# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a SAM 2 model is trained on: images (clips of one frame) and clips, with simulated users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

from sam2_ros.train.errors import TrainError
from sam2_ros.train.losses import MaskLosses
from sam2_ros.train.rollout import Clip, encode, roll_out
from sam2_ros.train.simulated_user import BOX, CLICK, MASK, Dialogue

#: Scenes that are drawn for one that has an object, at most.
_PATIENCE = 200
#: Clips that are drawn for one whose object vanishes, at most.
_VANISHING_DRAWS = 4


@dataclass(frozen=True)
class Shot:
    """Some frames of one scene: images uint8 [T,H,W,3] RGB, masks bool [T,N,H,W]."""

    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    #: Number of each frame, rising, the first 0.
    numbers: tuple[int, ...]


class ShotSource(Protocol):
    """Where a task gets its pictures from."""

    def draw(self, rng: np.random.Generator, numbers: tuple[int, ...]) -> Shot:
        """Return frames ``numbers`` of a random scene from a random moment on."""


@dataclass(frozen=True)
class TaskOptions:
    """One kind of batch."""

    weight: float = 1.0
    #: Side of the picture that the model sees; None: the run's.
    image_size: int | None = None
    #: Frames of a clip; 1: images.
    frames: int = 1
    scenes: int = 4
    #: Objects of a scene, at most.
    objects: int = 6
    #: How often each first prompt is drawn.
    prompts: Mapping[str, float] = field(default_factory=lambda: {CLICK: 0.6, BOX: 0.4})
    #: Corrections on the first frame: 0 to this number.
    corrections: int = 2
    #: How often a later frame is corrected.
    later: float = 0.0
    #: Whether the image encoder learns from it; it costs as much as all the rest for clips.
    encoder: bool = True
    #: Dialogues that the objects of a batch are divided among.
    dialogues: int = 2
    #: The longest step between two frames of a clip, and how often and how far the second one
    #: is away from the first, so that memories are of long ago.
    stride: int = 1
    leaps: float = 0.3
    leap: int = 6
    #: How often an object finds itself on a frame of another scene, where it is absent.
    cuts: float = 0.0
    #: How often a clip is drawn until an object vanishes from it, four times at most: few do.
    vanishing: float = 0.0
    #: Of an object on the first frame, as a share of the picture.
    smallest: float = 0.002

    @property
    def longest(self) -> int:
        """Number of the last frame of a clip, at most."""
        if self.frames == 1:
            return 0
        return max(self.stride, self.leap if self.leaps else 0) + self.stride * (self.frames - 2)


class ClipTask:
    """Objects prompted on the first frame and tracked on the others; images have no others."""

    def __init__(
        self, source: ShotSource, options: TaskOptions, losses: MaskLosses, image_size: int,
    ) -> None:
        """Draw from ``source``; pictures get the options' size, or else ``image_size``."""
        self.weight = options.weight
        self._source = source
        self._options = options
        self._losses = losses
        self._name = f'{options.frames}' + (
            f'@{options.image_size}' if options.image_size else '')
        self._size = options.image_size or image_size

    def batch(self, rng: np.random.Generator) -> Clip:
        """Return random objects of random scenes, all with the same frame numbers."""
        numbers = self._numbers(rng)
        shots: list[Shot] = []
        drawn = 0
        while len(shots) < self._options.scenes:
            if drawn == _PATIENCE * self._options.scenes:
                raise TrainError(
                    f'of {drawn} scenes, {len(shots)} had an object of {self._options.smallest:g} '
                    'of the picture or more; make tasks[].smallest smaller')
            drawn += 1
            shot = self._draw(rng, numbers)
            if (chosen := self._choose(rng, shot.masks)).size:
                shots.append(resized(shot, chosen, self._size))
        return self._with_cuts(rng, joined(shots))

    def loss(
        self, model: nn.Module, batch: Clip, rng: np.random.Generator, step: int,
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the mean loss over dialogues, each with its share of the objects."""
        assert isinstance(model, SAM2Base)
        clip = batch.to(model.device)
        features = encode(model, clip.pictures, gradient=self._options.encoder)
        count = clip.masks.shape[1]
        groups = min(self._options.dialogues, count)
        loss = clip.masks.new_zeros((), dtype=torch.float32)
        parts: dict[str, float] = {}
        for group in range(groups):
            part = clip.objects(slice(group, count, groups))
            share = part.masks.shape[1] / count
            answers = roll_out(model, features, part, self._dialogue(rng))
            part_loss, part_parts = self._losses(answers, part.masks, step)
            loss = loss + share * part_loss
            for name, value in part_parts.items():
                name = f'{name}{self._name}'
                parts[name] = parts.get(name, 0.0) + share * value
        return loss, parts

    def _draw(self, rng: np.random.Generator, numbers: tuple[int, ...]) -> Shot:
        shot = self._source.draw(rng, numbers)
        if len(numbers) > 1 and rng.random() < self._options.vanishing:
            for _ in range(_VANISHING_DRAWS - 1):
                if self._vanishing(shot.masks[:, self._large(shot.masks)]).any():
                    break
                shot = self._source.draw(rng, numbers)
        return shot

    def _with_cuts(self, rng: np.random.Generator, clip: Clip) -> Clip:
        """Move some objects, on one later frame each, to the picture of the next scene."""
        frames, count = clip.picture_of.shape
        if frames == 1 or self._options.scenes == 1:
            return clip
        for index in np.flatnonzero(rng.random(count) < self._options.cuts):
            frame = int(rng.integers(1, frames))
            clip.picture_of[frame, index] += frames
            clip.masks[frame, index] = False
        clip.picture_of.remainder_(len(clip.pictures))
        return clip

    def _numbers(self, rng: np.random.Generator) -> tuple[int, ...]:
        options = self._options
        steps = np.full(options.frames - 1, rng.integers(1, options.stride + 1))
        if steps.size and rng.random() < options.leaps:
            steps[0] = rng.integers(1, options.leap + 1)
        return (0, *np.cumsum(steps).tolist())

    def _choose(self, rng: np.random.Generator, masks: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return objects that are large enough on the first frame; those that vanish first."""
        large = self._large(masks)
        rng.shuffle(large)
        vanishing = self._vanishing(masks[:, large])
        return large[np.argsort(~vanishing, kind='stable')][:self._options.objects]

    def _large(self, masks: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.flatnonzero(masks[0].mean(axis=(1, 2)) >= self._options.smallest)

    @staticmethod
    def _vanishing(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return of each object whether some frame is without it: [T,N,H,W] -> [N]."""
        return np.asarray(~masks.any(axis=(2, 3)).all(axis=0))

    def _dialogue(self, rng: np.random.Generator) -> Dialogue:
        options = self._options
        shares = np.array(list(options.prompts.values()))
        first = list(options.prompts)[rng.choice(len(shares), p=shares / shares.sum())]
        later = bool(options.frames > 1 and rng.random() < options.later)
        return Dialogue(
            first=first, centred=bool(rng.random() < 0.5), box_noise=float(rng.choice([0.05, 0.2])),
            corrections=0 if first == MASK else int(rng.integers(options.corrections + 1)),
            later_frame=int(rng.integers(1, options.frames)) if later else None,
            later_corrections=1)


def resized(shot: Shot, objects: NDArray[np.int64], size: int) -> Shot:
    """Return ``objects`` of a shot at ``size`` x ``size`` pixels, as models see a picture."""
    def scaled(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if picture.shape[:2] == (size, size):
            return picture
        smaller = picture.shape[0] > size
        return np.asarray(cv2.resize(
            picture, (size, size),
            interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR), np.uint8)
    masks = np.stack([
        np.stack([scaled(mask.astype(np.uint8) * 255) > 127 for mask in frame])
        for frame in shot.masks[:, objects]])
    return Shot(np.stack([scaled(image) for image in shot.images]), masks, shot.numbers)


def joined(shots: Sequence[Shot]) -> Clip:
    """Return the objects of all shots as one batch; the shots have equal sizes and numbers."""
    frames = len(shots[0].numbers)
    pictures = np.concatenate([shot.images for shot in shots])
    of_shot = np.concatenate([
        np.full(shot.masks.shape[1], index) for index, shot in enumerate(shots)])
    picture_of = of_shot[None, :] * frames + np.arange(frames)[:, None]
    return Clip(
        torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(picture_of), torch.from_numpy(np.concatenate(
            [shot.masks for shot in shots], axis=1)), shots[0].numbers)
