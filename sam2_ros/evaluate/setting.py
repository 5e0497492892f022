# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What all experiments of a benchmark have in common, and their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sam2_ros.evaluate.cloud import Cloud
from sam2_ros.evaluate.entrants import Entrant, Official
from sam2_ros.evaluate.latency import Scene
from sam2_ros.evaluate.scene import ChangingScene, make_picture, make_prompts

#: Names of experiments.
COLD_START, CONSECUTIVE, VARYING, POINTS, OBJECTS, TRACKING, CAMERA = (
    'cold-start', 'consecutive', 'varying', 'points', 'objects', 'tracking', 'camera')


@dataclass(frozen=True)
class Setting:
    """
    Who is measured, and how.

    ``picture_size``: (width, height) of the camera's picture; ``runs``: of single images;
    ``tracked_frames``: of tracking; ``node_folder``: for what the node writes, None: no node is
    measured, but this process; ``camera_rate``: images a second; ``cloud``: where the node is as
    well as beside the camera, None: nowhere else.
    """

    entrants: Sequence[Entrant]
    officials: Sequence[Official]
    threads: int
    picture_size: tuple[int, int]
    runs: int
    tracked_frames: int
    node_folder: Path | None
    camera_rate: float
    cloud: Cloud | None = None

    @property
    def picture(self) -> npt.NDArray[np.uint8]:
        """The picture of experiments whose picture stays the same."""
        return make_picture(*self.picture_size)

    @property
    def names(self) -> list[str]:
        """Names of all who are measured."""
        return [each.name for each in self.entrants] + [each.name for each in self.officials]

    @property
    def trackers(self) -> list[Entrant]:
        """Those who can track."""
        return [each for each in self.entrants if each.bundle.can_track]

    def scene(self, name: str) -> Scene:
        """Return the pictures and prompts of the experiment ``consecutive`` or ``varying``."""
        if name == VARYING:
            return ChangingScene(*self.picture_size)
        picture, prompt = self.picture, make_prompts(1, *self.picture_size)[0]
        return lambda run: (picture, prompt)
