# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is kept of one object while it is tracked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from sam2_ros.model.memory_bank import Memory, MemoryBank, MemoryLimits
from sam2_ros.model.network import Embedding, FloatArray

#: Points as the decoder takes them, without padding: coordinates [N, 2] in pixels of the model's
#: square picture, labels [N].
Clicks = tuple[FloatArray, npt.NDArray[np.int32]]
NO_CLICKS: Clicks = (np.empty((0, 2), np.float32), np.empty(0, np.int32))


@dataclass(frozen=True)
class Frame:
    """An image that was seen at ``stamp`` seconds."""

    stamp: float
    embedding: Embedding


@dataclass(frozen=True)
class Answer:
    """
    What was found of an object on a frame.

    ``logits`` [M, M], -1024 all over where the object is not visible; ``pointer`` [C];
    ``conditioning``: the frame was prompted before the object had been tracked on it, so that its
    answer stands for itself, without memories; ``unseen_since``: stamp of the first of the frames,
    up to this one, that did not show it, None where this one does.
    """

    logits: FloatArray
    iou_prediction: float
    object_score: float
    pointer: FloatArray
    conditioning: bool = False
    unseen_since: float | None = None


@dataclass
class ObjectTrack:
    """
    An object's memories, and what is known of it on the frames that can still be prompted.

    By frame: the ``answers``, the ``clicks`` given there, and ``images`` that were given for this
    object alone, in the place of the frame that all others see.
    """

    memories: MemoryBank = field(default_factory=MemoryBank)
    answers: dict[int, Answer] = field(default_factory=dict)
    clicks: dict[int, Clicks] = field(default_factory=dict)
    images: dict[int, Frame] = field(default_factory=dict)

    def copy(self) -> ObjectTrack:
        """Return a track that can change without this one."""
        return ObjectTrack(self.memories.copy(), dict(self.answers), dict(self.clicks),
                           dict(self.images))

    def note(
        self, index: int, stamp: float, answer: Answer, features: FloatArray, prompted: bool,
    ) -> None:
        """Keep the answer on a frame and its spatial memory [P, D]."""
        self.memories.store(index, Memory(features, answer.pointer), prompted)
        before = self.answers.get(index - 1)
        if answer.object_score > 0:
            unseen_since = None
        elif before is None or before.unseen_since is None:
            unseen_since = stamp
        else:
            unseen_since = before.unseen_since
        self.answers[index] = replace(answer, unseen_since=unseen_since)

    def add_clicks(self, index: int, clicks: Clicks) -> Clicks:
        """Add points to those given on a frame; returns all of them."""
        coords, labels = self.clicks.get(index, NO_CLICKS)
        self.clicks[index] = (np.concatenate([coords, clicks[0]]),
                              np.concatenate([labels, clicks[1]]))
        return self.clicks[index]

    def forget_after(self, index: int) -> None:
        """Forget later frames, except prompted ones: what a person said of them still holds."""
        self.memories.forget_after(index)
        stays = {frame for frame in self.answers if frame <= index} | set(self.memories.prompted)
        self.answers = {frame: each for frame, each in self.answers.items() if frame in stays}
        self.clicks = {frame: each for frame, each in self.clicks.items() if frame in stays}

    def forget_before(self, index: int, limits: MemoryLimits) -> None:
        """Forget what neither frame ``index`` nor a later one needs."""
        self.memories.forget_before(index, limits)
        # The answer before it tells since when the object has not been seen.
        self.answers = {frame: each for frame, each in self.answers.items() if frame >= index - 1}
        self.clicks = {frame: each for frame, each in self.clicks.items() if frame >= index}
        self.images = {frame: each for frame, each in self.images.items() if frame >= index}
