# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a picture to a mask, and the decoder alone, timed in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sam2_ros.evaluate.experiment import Readings
from sam2_ros.model.prompts import Prompt
from sam2_ros.model.segmenter import ImageSegmenter

#: Numbers of points of a prompt, and of objects in one call of the decoder, that are tried.
COUNTS = (1, 2, 4, 8, 16, 24, 32)
#: The whole of a run, from the picture to the mask at its size.
TOTAL = 'total'

#: Returns the picture [H, W, 3] uint8 RGB of a run, and the prompt on it.
Scene = Callable[[int], tuple[npt.NDArray[np.uint8], Prompt]]


def points_stage(count: int) -> str:
    """Return the name of the stage that decodes a prompt of so many points."""
    return f'{count} point{"s" if count > 1 else ""}'


def objects_stage(count: int) -> str:
    """Return the name of the stage that decodes so many objects."""
    return f'{count} object{"s" if count > 1 else ""}'


class OurImage:
    """Resize, encode, decode and upscale as ``ImageSegmenter`` does, by its own stopwatch."""

    def __init__(self, name: str, segmenter: ImageSegmenter, scene: Scene) -> None:
        self.name = name
        self._segmenter = segmenter
        self._scene = scene

    def run(self, run: int) -> Readings:
        """See ``Contender``."""
        picture, prompt = self._scene(run)
        segmenter = self._segmenter
        begin = time.perf_counter()
        embedding = segmenter.encode(picture)
        encoded = dict(segmenter.last_timings)
        answer = segmenter.segment(embedding, [prompt])[0]
        answer.mask()
        total = time.perf_counter() - begin
        decoded = segmenter.last_timings
        return Readings({
            'resize': encoded['resize'], 'encode': encoded['encode'], 'decode': decoded['decode'],
            'upscale': decoded['upscale'], TOTAL: total})


class OurDecoder:
    """
    The decoder alone, on the embedding of one picture, by ``ImageSegmenter``'s own stopwatch.

    :param prompts: by stage.
    """

    def __init__(
        self, name: str, segmenter: ImageSegmenter, picture: npt.NDArray[np.uint8],
        prompts: Mapping[str, Sequence[Prompt]],
    ) -> None:
        self.name = name
        self._segmenter = segmenter
        self._prompts = prompts
        self._embedding = segmenter.encode(picture)

    def run(self, run: int) -> Readings:
        """See ``Contender``."""
        seconds = {}
        for stage, prompts in self._prompts.items():
            self._segmenter.segment(self._embedding, prompts)
            seconds[stage] = self._segmenter.last_timings['decode']
        return Readings(seconds)
