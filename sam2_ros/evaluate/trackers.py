# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who tracks the same objects through the same clips."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sam2_ros.evaluate.accuracy import Mask
from sam2_ros.evaluate.davis import Clip
from sam2_ros.model import Prompt, VideoTracker

#: Seconds from frame to frame; no mask depends on it.
_PERIOD = 1.0 / 25.0


@dataclass(frozen=True)
class Start:
    """An object's prompt, or true mask [height, width], and the frame that it is given on."""

    object_id: int
    frame: int
    prompt: Prompt | Mask


class TrackingContender(Protocol):
    """Tracks objects through a clip."""

    name: str

    def track(self, clip: Clip, starts: Sequence[Start]) -> Iterator[Mapping[int, Mask]]:
        """
        Yield, for each frame, the masks [height, width] of the objects begun so far, by id.

        :raises ImageError: a frame cannot be read.
        """


class BundleTracker:
    """A bundle, through ``VideoTracker``."""

    def __init__(self, name: str, tracker: VideoTracker) -> None:
        self.name = name
        self._tracker = tracker

    def track(self, clip: Clip, starts: Sequence[Start]) -> Iterator[Mapping[int, Mask]]:
        """See ``TrackingContender``."""
        self._tracker.reset()
        for index in range(len(clip)):
            answers = {
                each.object_id: each
                for each in self._tracker.step(clip.image(index), stamp=_PERIOD * index)}
            for start in starts:
                if start.frame != index:
                    continue
                if isinstance(start.prompt, np.ndarray):
                    added = self._tracker.add_mask(start.object_id, start.prompt)
                else:
                    added = self._tracker.add(start.object_id, start.prompt)
                answers[start.object_id] = added[-1]
            yield {key: answer.mask.to_image() > 0 for key, answer in answers.items()}
