# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
How long a process takes from its start until the model is loaded, and its memory.

This module is the process that is measured (``main``), and what starts it (``cold_start``). It
imports what a user of the run time imports, and no more.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sam2_ros.evaluate.errors import BenchmarkError

#: Kinds of work.
SEGMENTATION, TRACKING = 'segmentation', 'tracking'


@dataclass(frozen=True)
class Order:
    """
    What a process is to do: ``work`` is a kind of work.

    ``picture_size``: (width, height) of the camera's picture; ``objects``: how many at last.
    """

    work: str
    bundle: Path
    provider: str
    threads: int
    picture_size: tuple[int, int]
    objects: int


@dataclass(frozen=True)
class ColdStart:
    """
    One process: seconds to the loaded model, seconds of its first run, peak memory in bytes.

    The first run is an image and one object; memory is that of one object, and after the most
    objects of the benchmark at once. None: the system does not tell.
    """

    loaded: float
    first_run: float
    memory: int | None
    memory_many_objects: int | None


def cold_start(order: Order) -> ColdStart:
    """
    Start a process that does what it is told.

    :raises BenchmarkError: the process failed; tells its last line.
    """
    document = {**asdict(order), 'bundle': str(order.bundle.resolve())}
    started = time.monotonic()
    # In a session of its own: Ctrl-C is for the benchmark, which then ends the process.
    process = subprocess.Popen(
        [sys.executable, '-m', __name__, json.dumps(document)], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        output, errors = process.communicate()
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        last = (errors.strip().splitlines() or [f'exit status {process.returncode}'])[-1]
        raise BenchmarkError(f'{order.bundle}: a process that loads it fails: {last}')
    answer = json.loads(output.splitlines()[-1])
    # The monotonic clock is the same for all processes of a machine.
    return ColdStart(answer['loaded_at'] - started, answer['first_run'], answer['memory'],
                     answer['memory_many_objects'])


class _Segmentation:
    def __init__(self, order: Order) -> None:
        from sam2_ros.model import Bundle, ImageSegmenter, ProviderOptions

        self._segmenter = ImageSegmenter(
            Bundle.load(order.bundle), order.provider, ProviderOptions(threads=order.threads))

    def begin(self, picture: Any, prompts: list[Any]) -> None:
        self._segmenter.segment(self._segmenter.encode(picture), prompts)[0].mask()

    def go_on(self, picture: Any) -> None:
        pass  # an image is done with its answers


class _Tracking:
    def __init__(self, order: Order) -> None:
        from sam2_ros.model import Bundle, ProviderOptions, VideoTracker

        self._bundle = Bundle.load(order.bundle)
        self._tracker = VideoTracker(
            self._bundle, order.provider, ProviderOptions(threads=order.threads))

    def begin(self, picture: Any, prompts: list[Any]) -> None:
        from sam2_ros.evaluate.tracking import begin_tracking

        begin_tracking(self._tracker, picture, prompts)

    def go_on(self, picture: Any) -> None:
        assert self._bundle.manifest.tracking is not None
        # The last one attends to all memories; pointers, which take more frames, weigh nothing.
        for _ in range(self._bundle.manifest.tracking.num_maskmem):
            self._tracker.step(picture)


_WORKS: dict[str, Any] = {SEGMENTATION: _Segmentation, TRACKING: _Tracking}


def main() -> None:
    """Load a bundle, run it, and print what ``cold_start`` asks for."""
    document = json.loads(sys.argv[1])
    order = Order(**{**document, 'bundle': Path(document['bundle'])})
    work = _WORKS[order.work](order)
    loaded_at = time.monotonic()

    from sam2_ros.evaluate.machine import peak_memory
    from sam2_ros.evaluate.scene import make_picture, make_prompts

    size = order.picture_size
    picture, prompts = make_picture(*size), make_prompts(1, *size)
    started = time.monotonic()
    work.begin(picture, prompts)
    first_run = time.monotonic() - started
    work.go_on(picture)
    memory = peak_memory()
    work.begin(picture, make_prompts(order.objects, *size))
    work.go_on(picture)
    print(json.dumps({
        'loaded_at': loaded_at, 'first_run': first_run, 'memory': memory,
        'memory_many_objects': peak_memory()}))


if __name__ == '__main__':
    main()
