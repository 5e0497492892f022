# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an object leaves behind on each frame, and which of it a later frame attends to."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class MemoryLimits:
    """
    How much a frame attends to.

    ``memories``: recent frames that were not prompted (``num_maskmem`` - 1); ``stride``: of these
    all but the newest are every ``stride``-th frame (``memory_temporal_stride_for_eval``);
    ``object_pointers``: 0 none, 1 those of prompted frames, n also those of the last n - 1 frames
    (``max_obj_ptrs_in_encoder``); ``attended_prompted_frames``: the closest so many
    (``max_cond_frames_in_attn``), None: all; ``prompted_frames``: of those that lie before a
    frame, the newest so many are kept, None: all.
    """

    memories: int = 6
    stride: int = 1
    object_pointers: int = 16
    attended_prompted_frames: int | None = None
    prompted_frames: int | None = None

    def recent_frames(self, frame: int) -> list[tuple[int, int]]:
        """
        Return the frames whose memories ``frame`` attends to if they were not prompted.

        Pairs (step, frame), the farthest first; step k stands for k frames back, as the model was
        trained, also where the stride makes it more.
        """
        last = (frame - 2) // self.stride * self.stride
        steps = [(step, frame - 1 if step == 1 else last - (step - 2) * self.stride)
                 for step in range(1, self.memories + 1)]
        return steps[::-1]


@dataclass(frozen=True)
class Memory:
    """An object on a frame: its spatial memory ``features`` [P, D] and its ``pointer`` [C]."""

    features: FloatArray
    pointer: FloatArray


@dataclass(frozen=True)
class Recall:
    """
    What a frame attends to.

    ``memories``: F arrays [P, D], with ``memory_steps``: 0 for a prompted frame, else how many
    steps back; ``pointers``: Q arrays [C], with ``pointer_steps``: how many frames back.
    """

    memories: list[FloatArray]
    memory_steps: list[int]
    pointers: list[FloatArray]
    pointer_steps: list[int]


@dataclass
class MemoryBank:
    """
    The memories of one object by frame: of ``prompted`` frames, and of those merely tracked.

    Of the latter, ``pointers`` are wanted for longer than the large ``features``.

    The same choice as ``SAM2Base._prepare_memory_conditioned_features``, except that only frames
    of the past are chosen: a stream has no others, and a frame that is tracked once more after a
    late prompt shall not know what came later.
    """

    prompted: dict[int, Memory] = field(default_factory=dict)
    features: dict[int, FloatArray] = field(default_factory=dict)
    pointers: dict[int, FloatArray] = field(default_factory=dict)

    def copy(self) -> MemoryBank:
        """Return a bank that can change without this one; the memories themselves never do."""
        return MemoryBank(dict(self.prompted), dict(self.features), dict(self.pointers))

    def store(self, frame: int, memory: Memory, prompted: bool) -> None:
        """Keep the memory of a frame instead of what was known of it."""
        self._forget_tracked(frame)
        self.prompted.pop(frame, None)
        if prompted:
            self.prompted[frame] = memory
        else:
            self.features[frame], self.pointers[frame] = memory.features, memory.pointer

    def recall(self, frame: int, limits: MemoryLimits) -> Recall:
        """Choose what ``frame`` attends to; there must be a prompted frame before it."""
        closest, others = self._prompted_before(frame, limits)
        # A prompted frame that is not among the closest counts as any other.
        features = {**{past: memory.features for past, memory in others.items()}, **self.features}
        pointers = {**{past: memory.pointer for past, memory in others.items()}, **self.pointers}
        memories = [(0, memory.features) for memory in closest.values()]
        memories += [(step, features[past]) for step, past in limits.recent_frames(frame)
                     if past in features]
        steps_of_pointers = []
        if limits.object_pointers:
            steps_of_pointers += [(frame - past, memory.pointer)
                                  for past, memory in closest.items()]
            steps_of_pointers += [(step, pointers[frame - step])
                                  for step in range(1, limits.object_pointers)
                                  if frame - step in pointers]
        return Recall([each for _, each in memories], [step for step, _ in memories],
                      [each for _, each in steps_of_pointers],
                      [step for step, _ in steps_of_pointers])

    def forget_after(self, frame: int) -> None:
        """Forget what later frames left behind, except prompted ones."""
        for later in [each for each in self.pointers if each > frame]:
            self._forget_tracked(later)

    def forget_before(self, frame: int, limits: MemoryLimits) -> None:
        """Forget what neither ``frame`` nor a later one will attend to."""
        features_from = min((past for _, past in limits.recent_frames(frame)), default=frame)
        pointers_from = frame - limits.object_pointers + 1
        self.features = {past: features for past, features in self.features.items()
                         if past >= features_from}
        self.pointers = {past: pointer for past, pointer in self.pointers.items()
                         if past >= pointers_from}
        if limits.prompted_frames is not None:
            before = sorted(past for past in self.prompted if past < frame)
            for past in before[:-limits.prompted_frames]:
                del self.prompted[past]

    def _forget_tracked(self, frame: int) -> None:
        self.features.pop(frame, None)
        self.pointers.pop(frame, None)

    def _prompted_before(
        self, frame: int, limits: MemoryLimits,
    ) -> tuple[dict[int, Memory], dict[int, Memory]]:
        """Part the prompted frames before ``frame`` into the closest and the others."""
        newest_first = sorted((past for past in self.prompted if past < frame), reverse=True)
        kept = newest_first[:limits.prompted_frames]
        closest = kept[:limits.attended_prompted_frames]
        return ({past: self.prompted[past] for past in closest},
                {past: self.prompted[past] for past in kept[len(closest):]})
