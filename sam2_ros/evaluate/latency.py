# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The stages of a segmentation, timed in this process: ours, and the official modules'."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2_ros.evaluate.samples import OURS, Samples
from sam2_ros.evaluate.scene import make_prompts
from sam2_ros.model.segmenter import Embedding, ImageSegmenter

#: Objects in one call of the decoder.
OBJECTS = (1, 4, 16)
#: Runs before those that count: the first ones allocate memory.
WARM_UP = 2
#: Seconds between two steps. Threads of OpenMP (PyTorch's) look for work for some milliseconds
#: after theirs is done, which whoever comes next would pay for.
PAUSE = 0.01

#: Does something and returns how many seconds each stage of it took.
Step = Callable[[], dict[str, float]]


def decode_stage(objects: int) -> str:
    """Return the name of the stage that decodes so many objects."""
    return f'decode {objects}'


class OurStages:
    """Resize, encode, decode and upscale as ``ImageSegmenter`` does, by its own stopwatch."""

    name = OURS

    def __init__(self, segmenter: ImageSegmenter, picture: npt.NDArray[np.uint8]) -> None:
        self._segmenter = segmenter
        self._picture = picture
        self._embedding: Embedding | None = None

    @property
    def steps(self) -> list[Step]:
        """What one run does, in order."""
        return [self._encode, *(partial(self._decode, count) for count in OBJECTS)]

    def _encode(self) -> dict[str, float]:
        self._embedding = None  # the memory of one image, as on a robot
        self._embedding = self._segmenter.encode(self._picture)
        timings = self._segmenter.last_timings
        return {stage: timings[stage] for stage in ('resize', 'encode')}

    def _decode(self, objects: int) -> dict[str, float]:
        assert self._embedding is not None
        height, width = self._picture.shape[:2]
        answers = self._segmenter.segment(
            self._embedding, make_prompts(objects, width, height))
        durations = {decode_stage(objects): self._segmenter.last_timings['decode']}
        if objects == 1:
            answers[0].mask()
            durations['upscale'] = self._segmenter.last_timings['upscale']
        return durations


def measure(
    contenders: Sequence[Any], runs: int, samples: Samples, progress: Callable[[], None],
    warm_up: int = WARM_UP,
) -> None:
    """
    Add ``runs`` runs of every contender (``name``, ``steps``) to ``samples``, after ``warm_up``.

    They take turns step by step, and who begins changes with every run, so that a machine that
    gets slower or busier does so for all. Ctrl-C leaves the samples as they are until then.
    """
    steps: Mapping[str, Sequence[Step]] = {each.name: each.steps for each in contenders}
    for run in range(-warm_up, runs):
        names = list(steps) if run % 2 else list(steps)[::-1]
        for turn in zip_longest(*(steps[name] for name in names)):
            for name, step in zip(names, turn, strict=True):
                if step is None:
                    continue
                time.sleep(PAUSE)
                durations = step()
                if run >= 0:
                    samples.add(name, durations)
        if run >= 0:
            progress()
