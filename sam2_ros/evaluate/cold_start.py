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
from dataclasses import dataclass
from pathlib import Path

from sam2_ros.evaluate.errors import BenchmarkError


@dataclass(frozen=True)
class ColdStart:
    """
    One process: seconds to the loaded model, seconds of its first run, peak memory in bytes.

    The first run is an image and one object; memory after that, and after the most objects of the
    benchmark at once. None: the system does not tell.
    """

    loaded: float
    first_run: float
    memory: int | None
    memory_many_objects: int | None


def cold_start(
    bundle: Path, provider: str, threads: int, picture_size: tuple[int, int], objects: int,
) -> ColdStart:
    """
    Start a process that loads the bundle and runs it; ``picture_size`` is (width, height).

    :raises BenchmarkError: the process failed; tells its last line.
    """
    order = {'bundle': str(bundle.resolve()), 'provider': provider, 'threads': threads,
             'picture_size': picture_size, 'objects': objects}
    started = time.monotonic()
    # In a session of its own: Ctrl-C is for the benchmark, which then ends the process.
    process = subprocess.Popen(
        [sys.executable, '-m', __name__, json.dumps(order)], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        output, errors = process.communicate()
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        last = (errors.strip().splitlines() or [f'exit status {process.returncode}'])[-1]
        raise BenchmarkError(f'{bundle}: a process that loads it fails: {last}')
    answer = json.loads(output.splitlines()[-1])
    # The monotonic clock is the same for all processes of a machine.
    return ColdStart(answer['loaded_at'] - started, answer['first_run'], answer['memory'],
                     answer['memory_many_objects'])


def main() -> None:
    """Load a bundle, run it, and print what ``cold_start`` asks for."""
    from sam2_ros.model import Bundle, ImageSegmenter, ProviderOptions

    order = json.loads(sys.argv[1])
    segmenter = ImageSegmenter(
        Bundle.load(Path(order['bundle'])), order['provider'],
        ProviderOptions(threads=order['threads']))
    loaded_at = time.monotonic()

    from sam2_ros.evaluate.machine import peak_memory
    from sam2_ros.evaluate.scene import make_picture, make_prompts

    width, height = order['picture_size']
    picture, prompts = make_picture(width, height), make_prompts(1, width, height)
    started = time.monotonic()
    embedding = segmenter.encode(picture)
    segmenter.segment(embedding, prompts)[0].mask()
    first_run = time.monotonic() - started
    memory = peak_memory()
    segmenter.segment(embedding, make_prompts(order['objects'], width, height))
    print(json.dumps({
        'loaded_at': loaded_at, 'first_run': first_run, 'memory': memory,
        'memory_many_objects': peak_memory()}))


if __name__ == '__main__':
    main()
