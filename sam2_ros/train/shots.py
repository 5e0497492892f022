# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scenes as tasks draw them: at random, from a random moment on, either way round, augmented."""

from __future__ import annotations

import numpy as np

from sam2_ros.train.augmentation import augmented
from sam2_ros.train.errors import TrainError
from sam2_ros.train.shards import Shards
from sam2_ros.train.tasks import Shot


class SceneShots:
    """Random shots of the scenes in a folder of shards, all of whose clips are equally long."""

    def __init__(self, shards: Shards, frames: int, clip_frames: float = 0) -> None:
        """
        Draw from ``shards``.

        :param frames: length of its clips.
        :param clip_frames: how often a picture is a frame of a clip, 0 to 1.
        """
        self._shards = shards
        self._frames = frames
        self._clip_frames = clip_frames

    def draw(self, rng: np.random.Generator, numbers: tuple[int, ...]) -> Shot:
        """
        Return a picture, or frames of a clip whose distances are those of ``numbers``.

        :raises TrainError: there are no such scenes.
        """
        if len(numbers) == 1 and rng.random() >= self._clip_frames:
            scene = self._shards.image(self._any(rng, self._shards.image_count, 'images'))
            return Shot(*augmented(rng, scene.image[None], scene.masks[None]), numbers)
        clip = self._shards.clip(
            self._any(rng, self._shards.clip_count, 'clips'), self._frames)
        spare = self._frames - 1 - numbers[-1]
        if spare < 0:
            raise TrainError(
                f'{self._shards.folder}: clips of {self._frames} frames are too short for frames '
                f'{numbers[-1]} apart; make the stride or the leap of the tasks smaller')
        frames = rng.integers(spare + 1) + np.array(numbers)
        if rng.random() < 0.5:
            frames = self._frames - 1 - frames
        return Shot(*augmented(rng, clip.images[frames], clip.masks[frames]), numbers)

    def _any(self, rng: np.random.Generator, count: int, what: str) -> int:
        if not count:
            raise TrainError(f'{self._shards.folder}: has no {what}; sam2-ros scenes writes some')
        return int(rng.integers(count))
