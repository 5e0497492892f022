# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writing many scenes: in several processes, with progress, to go on with after a kill."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NoReturn

import cv2
from tqdm import tqdm

from sam2_ros.train.assets import Assets
from sam2_ros.train.errors import TrainError
from sam2_ros.train.layouts import LAYOUTS
from sam2_ros.train.material import write_whole
from sam2_ros.train.scenes import SceneGenerator

_SETTINGS = 'settings.json'


@dataclass(frozen=True)
class SceneOrder:
    """What to write; the arguments of SceneGenerator, and how many of what, where."""

    output: Path
    format: str
    count: int
    split: str
    size: int = 256
    seed: int = 0
    frames: int = 60
    kind: str | None = None
    assets: Path = Path('/')
    cache: Path | None = None
    partial: bool = False

    def generator(self) -> SceneGenerator:
        """Return what makes the scenes; :raises TrainError: it cannot."""
        return SceneGenerator(
            self.split, self.size, self.seed, assets=self.assets, cache=self.cache,
            kind=self.kind, partial=self.partial)


def write_scenes(order: SceneOrder, jobs: int = 1) -> None:
    """
    Write what is ordered, less what an earlier call has written already.

    The files are the same whatever ``jobs`` is, and however often the writing was interrupted.

    :raises TrainError: a bad order, scenes of another order in the folder, or a failed write.
    """
    if order.count < 1 or jobs < 1 or order.frames < 1:
        raise TrainError('count, frames and jobs: 1 or more are needed')
    # Here first, so that what is wrong is said once and not by every process.
    order.generator()
    try:
        _claim(order)
        layout = LAYOUTS[order.format]
        todo = [step for step, file in enumerate(layout.steps(order.count))
                if not layout.is_done(order.output / file, step, order.count)]
        _write_steps(order, todo, jobs)
        for path, content in layout.summary(order.output, order.count):
            write_whole(order.output / path, content)
    except OSError as error:
        raise TrainError(f'{error.filename or order.output}: {error.strerror or error}') from None


def _claim(order: SceneOrder) -> None:
    """Note in the folder what its scenes are made with; :raises TrainError: with something else."""
    assets = Assets.find(order.split, order.assets)
    keys = '\n'.join(asset.key for asset in (*assets.photographs, *assets.sprites, *assets.meshes))
    settings = {
        'format': order.format, 'split': order.split, 'size': order.size, 'seed': order.seed,
        'frames': order.frames, 'kind': order.kind, 'missing': list(assets.missing),
        'assets': f'{zlib.crc32(keys.encode()):08x}'}
    file = order.output / _SETTINGS
    if not file.exists():
        write_whole(file, json.dumps(settings, indent=1).encode())
        return
    try:
        found = json.loads(file.read_bytes())
        other = next((name for name in settings if found[name] != settings[name]), None)
    except (ValueError, TypeError, KeyError):
        raise TrainError(f'{file}: damaged; choose another folder') from None
    if other is not None:
        raise TrainError(f'{order.output} holds scenes with another {other} ({found[other]}, not '
                         f'{settings[other]}): choose another folder')


def _write_steps(order: SceneOrder, steps: Sequence[int], jobs: int) -> None:
    # Not forked: a process that has threads, as OpenCV makes them, must not be.
    context = multiprocessing.get_context('spawn')
    workers: dict[Connection, BaseProcess] = {}
    with tqdm(total=len(steps), desc=order.format, unit='file', disable=None) as bar:
        try:
            for first in range(min(jobs, len(steps))):
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(
                    target=_work, args=(order, steps[first::jobs], sender), daemon=True)
                process.start()
                sender.close()
                workers[receiver] = process
            while workers:
                for speaker in wait(list(workers)):
                    _hear(workers, speaker, bar)
        finally:
            # They may be killed at any moment: what they write is whole or not there.
            for worker in workers.values():
                worker.terminate()
                worker.join()


def _hear(workers: dict[Connection, BaseProcess], receiver: Any, bar: tqdm[NoReturn]) -> None:
    """Take in what a process says: a step is done, it failed, or, by its silence, it has ended."""
    try:
        failure = receiver.recv()
    except EOFError:
        process = workers.pop(receiver)
        process.join()
        if process.exitcode:
            raise TrainError('a process that makes scenes ended early (out of memory?); the same '
                             'command goes on from here, with fewer --jobs if need be') from None
        return
    if failure is not None:
        raise failure
    bar.update()


def _work(order: SceneOrder, steps: Sequence[int], sender: Connection) -> None:
    """Write the files of ``steps``; of a process of its own, which says after each: done."""
    # Ctrl-C goes to the command, which ends its processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    try:
        generator, layout = order.generator(), LAYOUTS[order.format]
        for step in steps:
            for path, content in layout.files(generator, step, order.count, order.frames):
                write_whole(order.output / path, content)
            sender.send(None)
    except (OSError, TrainError) as error:
        sender.send(error)


def _end_with_parent() -> None:
    """Leave when the command was killed, which could not tell us."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
