# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A tracked frame and its stages, timed in this process: ours, and names for everybody's."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from onnxruntime import InferenceSession

from sam2_ros.evaluate.experiment import Readings
from sam2_ros.evaluate.scene import make_prompts
from sam2_ros.model.bundle import Bundle, Tracking
from sam2_ros.model.prompts import Prompt
from sam2_ros.model.providers import ProviderOptions
from sam2_ros.model.video_tracker import VideoTracker

#: Objects that are tracked at once.
OBJECTS = (1, 4)
#: Recent memories beside the prompted frame that are tried, where the model has more of them.
#: Ascending: each try finds what it needs among what the ones before it have left.
MEMORIES = (0, 1, 2, 4)
#: Frames that are timed, by default; each takes seconds, and they vary little.
RUNS = 10
#: The whole of a tracked frame, and the part of it that is not spent in ONNX Runtime.
STEP, HOST = 'step', 'host'
#: What a step consists of, as the tracker names it, and of that what the model does.
STAGES = ('resize', 'encode', 'memory_attention', 'decode', 'fill_holes', 'memory_encode',
          'upscale')
MODEL_STAGES = ('encode', 'memory_attention', 'decode', 'memory_encode')


def tracking_name(who: str, objects: int) -> str:
    """Return the contender that tracks so many objects."""
    return f'{who}, {objects} object{"s" if objects > 1 else ""}'


def memories_stage(memories: int) -> str:
    """Return the stage of a step with so many recent memories."""
    return f'{STEP}, {memories} memor{"y" if memories == 1 else "ies"}'


def frames_to_full_memory(bundle: Bundle) -> int:
    """Return after how many tracked frames the next one attends to all that it ever will."""
    tracking = bundle.manifest.tracking
    assert tracking is not None
    return max(_frames_to_all_memories(tracking), tracking.max_object_pointers - 1)


def _frames_to_all_memories(tracking: Tracking) -> int:
    """Return the same of memories alone, which need fewer frames than pointers."""
    return 1 + (tracking.num_maskmem - 2) * tracking.memory_temporal_stride


class OurTracking:
    """
    ``VideoTracker.step`` on one picture again and again, with ``objects`` objects.

    What the frames show does not change the work on them. One object is also tracked with fewer
    memories.

    :param who: name of the bundle that tracks.
    :param progress: called after each of the frames that fill the memory.
    """

    def __init__(
        self, who: str, bundle: Bundle, provider: str, options: ProviderOptions,
        picture: npt.NDArray[np.uint8], objects: int, progress: Callable[[], object],
    ) -> None:
        assert bundle.manifest.tracking is not None
        self.name = tracking_name(who, objects)
        self._tracker = VideoTracker(bundle, provider, options)
        self._picture = picture
        recent = bundle.manifest.tracking.num_maskmem - 1
        self._memories = [count for count in MEMORIES if count < recent and objects == 1]
        height, width = picture.shape[:2]
        begin_tracking(self._tracker, picture, make_prompts(objects, width, height))
        for left in reversed(range(frames_to_full_memory(bundle))):
            # Pointers alone can be had in less time.
            few = left >= _frames_to_all_memories(bundle.manifest.tracking)
            self._step_with(0 if few else None)
            progress()

    def run(self, run: int) -> Readings:
        """See ``Contender``."""
        seconds = self._step()
        for memories in self._memories:
            begin = time.perf_counter()
            self._step_with(memories)
            seconds[memories_stage(memories)] = time.perf_counter() - begin
        return Readings(seconds)

    def _step(self) -> dict[str, float]:
        with _time_in_onnxruntime() as spent:
            begin = time.perf_counter()
            self._tracker.step(self._picture)
            total = time.perf_counter() - begin
        timings = self._tracker.last_timings
        return {STEP: total, **{stage: timings[stage] for stage in STAGES},
                HOST: total - sum(spent)}

    def _step_with(self, memories: int | None) -> None:
        tracker = self._tracker
        tracker.tracking = dataclasses.replace(tracker.tracking, memories=memories)
        tracker.step(self._picture)
        tracker.tracking = dataclasses.replace(tracker.tracking, memories=None)


def begin_tracking(
    tracker: VideoTracker, picture: npt.NDArray[np.uint8], prompts: Sequence[Prompt],
) -> None:
    """Show a picture to a tracker and give it an object for each prompt, from 0 on."""
    tracker.step(picture)
    for object_id, prompt in enumerate(prompts):
        tracker.add(object_id, prompt)


@contextmanager
def _time_in_onnxruntime() -> Iterator[list[float]]:
    """
    Give a list that gets the seconds of every run of a graph, whoever runs it.

    Taken from outside and not from the tracker's own stopwatch, which also sees the work of the
    host around a graph.
    """
    spent: list[float] = []
    run = InferenceSession.run_with_iobinding

    def timed(session: Any, *arguments: Any) -> Any:
        begin = time.perf_counter()
        try:
            return run(session, *arguments)
        finally:
            spent.append(time.perf_counter() - begin)

    InferenceSession.run_with_iobinding = timed
    try:
        yield spent
    finally:
        InferenceSession.run_with_iobinding = run
