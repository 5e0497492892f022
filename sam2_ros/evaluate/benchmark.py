# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A benchmark from start to end: what is measured, in which order, and where it is written."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from sam2_ros.evaluate import latency, tracking
from sam2_ros.evaluate.cold_start import SEGMENTATION, TRACKING, Order, cold_start
from sam2_ros.evaluate.errors import BenchmarkError
from sam2_ros.evaluate.machine import describe_machine, usable_cores
from sam2_ros.evaluate.parts import CameraFacts, NodeFacts, Part
from sam2_ros.evaluate.plots import plot_runs
from sam2_ros.evaluate.report import Report
from sam2_ros.evaluate.samples import NODE, OURS, PYTORCH, Samples
from sam2_ros.evaluate.scene import make_picture
from sam2_ros.evaluate.tracking import OurTracking, frames_to_full_memory, tracking_name
from sam2_ros.model.bundle import Bundle
from sam2_ros.model.providers import ProviderOptions
from sam2_ros.model.segmenter import ImageSegmenter

#: Names of the files in the output folder; each part has a plot.
JSON_FILE, TABLE_FILE, PLOT_FILE = 'benchmark.json', 'table.txt', '{}.png'


@dataclass(frozen=True)
class BenchmarkOptions:
    """
    What to measure.

    ``picture_size``: (width, height) of the camera's picture; ``threads``: 0 = one per core;
    ``tracked_frames``: runs of tracking, 0 = none, None = as many as are usual if the bundle can
    track; ``against_pytorch``: the official modules as well, from ``checkpoint`` if the manifest
    does not tell the weights; ``ros``: the running node as well, with a camera of ``camera_rate``
    images a second.
    """

    bundle: Path
    output: Path
    provider: str = 'auto'
    threads: int = 0
    picture_size: tuple[int, int] = (1280, 720)
    runs: int = 30
    tracked_frames: int | None = None
    against_pytorch: bool = False
    checkpoint: Path | None = None
    ros: bool = False
    camera_rate: float = 30.0


class Benchmark:
    """
    A benchmark that is prepared, so that what is wrong is said before anything is measured.

    :raises Sam2RosError: the bundle, the provider, the weights or the output folder are not
        what they must be.
    :raises ModuleNotFoundError: what a wanted measurement needs is not installed.
    """

    def __init__(self, options: BenchmarkOptions) -> None:
        bundle = Bundle.load(options.bundle)
        tracked_frames = _tracked_frames(bundle, options.tracked_frames)
        _make_folder(options.output)
        threads = options.threads or usable_cores()
        # Loaded to see whether and by what it can be run.
        provider = ImageSegmenter(
            bundle, options.provider, ProviderOptions(threads=threads)).provider
        model = _official_model(bundle, provider, options) if options.against_pytorch else None
        setting = _Setting(
            bundle, provider, threads, make_picture(*options.picture_size), model, options)
        self._options = options
        self._works: list[_Work] = [_Segmentation(setting)]
        if tracked_frames:
            self._works.append(_Tracking(setting, tracked_frames))
        self.report = Report(
            bundle, provider, threads, options.picture_size, describe_machine(),
            [work.part for work in self._works])

    def run(self) -> None:
        """Measure into ``report``; Ctrl-C leaves there what is done."""
        for work in self._works:
            self._start_processes(work)
            # The node has the machine for itself: nothing of them is left by then.
            work.run_stages()
            if work.node is not None:
                _run_node(work)
        self.report.complete = True

    def _start_processes(self, work: _Work) -> None:
        part, report = work.part, self.report
        order = Order(part.name, self._options.bundle, report.provider, report.threads,
                      report.picture_size, part.objects[-1])
        with _progress(f'{part.name}: cold start', work.processes) as step:
            for _ in range(work.processes):
                part.cold_starts.append(cold_start(order))
                step()

    def write(self) -> None:
        """Write table, JSON and plots to the output folder; :raises BenchmarkError: cannot."""
        folder, report = self._options.output, self.report
        manifest = report.bundle.manifest
        try:
            (folder / TABLE_FILE).write_text(report.to_text() + '\n', encoding='utf-8')
            (folder / JSON_FILE).write_text(
                json.dumps(report.to_json(), indent=1) + '\n', encoding='utf-8')
            for part in report.parts:
                plot_runs(
                    part.samples, f'{part.name}: {manifest.model} {manifest.image_size} '
                    f'{manifest.precision}, {report.provider}, {report.threads} threads',
                    folder / PLOT_FILE.format(part.name))
        except OSError as error:
            raise BenchmarkError(
                f'{folder}: cannot be written to ({error.strerror or error})') from None


@dataclass(frozen=True)
class _Setting:
    """What all that is measured has in common; ``model``: the official one, None: not wanted."""

    bundle: Bundle
    provider: str
    threads: int
    picture: Any
    model: Any
    options: BenchmarkOptions

    @property
    def provider_options(self) -> ProviderOptions:
        return ProviderOptions(threads=self.threads)

    def running_node(self, mode: str) -> Any:
        if not self.options.ros:
            return None
        from sam2_ros.evaluate.running_node import RunningNode

        return RunningNode(
            self.bundle.path, self.provider, self.threads, self.options.output, mode)


class _Work(Protocol):
    """A kind of work: ``processes`` are started for the time to the loaded model."""

    part: Part
    processes: int
    node: Any

    def run_stages(self) -> None:
        """Measure the stages in this process."""

    def run_node(self) -> None:
        """Measure the node, which runs."""


class _Segmentation:
    """Images and prompts."""

    processes = 3  # one alone may have met a cold disk

    def __init__(self, setting: _Setting) -> None:
        self._setting = setting
        self.part = Part(
            SEGMENTATION, setting.options.runs, (latency.OBJECTS[0], latency.OBJECTS[-1]),
            ((OURS, PYTORCH),), Samples(OURS, PYTORCH, NODE))
        self.node = setting.running_node('prompt')

    def run_stages(self) -> None:
        setting = self._setting
        contenders: list[Any] = [latency.OurStages(
            ImageSegmenter(setting.bundle, setting.provider, setting.provider_options),
            setting.picture)]
        if setting.model is not None:
            from sam2_ros.evaluate.official import OfficialStages

            contenders.append(OfficialStages(
                setting.model, setting.picture, setting.bundle.manifest.image_size,
                setting.threads))
        with _progress(f'{self.part.name}: stages', self.part.runs) as step:
            latency.measure(contenders, self.part.runs, self.part.samples, step)

    def run_node(self) -> None:
        with _progress(f'{self.part.name}: node', self.part.runs) as step:
            self.node.measure_prompts(
                self._setting.picture, self.part.runs, self.part.samples, step)


class _Tracking:
    """Frames with full memory."""

    processes = 1  # the disk is warm by now, and this one takes long

    def __init__(self, setting: _Setting, runs: int) -> None:
        self._setting = setting
        self._frames = frames_to_full_memory(setting.bundle)
        pairs = tuple((tracking_name(OURS, objects), tracking_name(PYTORCH, objects))
                      for objects in tracking.OBJECTS)
        self.part = Part(
            TRACKING, runs, (tracking.OBJECTS[0], tracking.OBJECTS[-1]), pairs,
            Samples(*(ours for ours, _ in pairs), *(theirs for _, theirs in pairs), NODE))
        self.node = setting.running_node('track')

    def run_stages(self) -> None:
        setting = self._setting
        contenders: list[Any] = []
        total = self._frames * len(tracking.OBJECTS)
        with _progress(f'{self.part.name}: fill memory', total) as step:
            for objects in tracking.OBJECTS:
                contenders.append(OurTracking(
                    setting.bundle, setting.provider, setting.provider_options, setting.picture,
                    objects, step))
        if setting.model is not None:
            from sam2_ros.evaluate.official_tracking import OfficialTracking

            contenders += [
                OfficialTracking(
                    setting.model, setting.picture, objects, setting.threads, self._frames)
                for objects in tracking.OBJECTS]
        with _progress(f'{self.part.name}: stages', self.part.runs) as step:
            # Nothing is left to warm up.
            latency.measure(contenders, self.part.runs, self.part.samples, step, warm_up=0)

    def run_node(self) -> None:
        picture, part, node = self._setting.picture, self.part, self.node
        assert part.node is not None
        with _progress(f'{part.name}: node', part.runs) as step:
            node.measure_tracking(picture, self._frames, part.runs, part.samples, step)
        part.node.camera = CameraFacts(self._setting.options.camera_rate)
        with _progress(f'{part.name}: camera', part.runs) as step:
            node.watch_camera(picture, part.node.camera, part.runs, part.samples, step)


def _run_node(work: _Work) -> None:
    facts = work.part.node = NodeFacts()
    try:
        with work.node as node:
            facts.between = node.facts()
            node.wait()
            work.run_node()
    finally:
        facts.memory, facts.lost = work.node.peak_memory, work.node.lost


def _tracked_frames(bundle: Bundle, wanted: int | None) -> int:
    if wanted is None:
        return tracking.RUNS if bundle.can_track else 0
    if wanted and not bundle.can_track:
        raise BenchmarkError(f'{bundle.path}: the bundle can only segment images; export it again '
                             'without --image-only, or leave out --tracked-frames')
    return wanted


def _official_model(bundle: Bundle, provider: str, options: BenchmarkOptions) -> Any:
    if provider != 'cpu':
        raise BenchmarkError(
            f'PyTorch is measured on the CPU, which is no match for provider "{provider}": give '
            '--provider cpu beside --against-pytorch')
    from sam2_ros.evaluate.official import official_model

    return official_model(bundle, options.checkpoint)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchmarkError(f'{folder}: no folder can be made there ({error.strerror})') from None
    if not os.access(folder, os.W_OK | os.X_OK):  # it was there, but is another user's
        raise BenchmarkError(f'{folder}: cannot be written to; name another folder with --output')


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar on stderr; calling what is given moves it on by one."""
    # Into a file, a line every ten seconds is enough.
    interval = 0.1 if sys.stderr.isatty() else 10.0
    with tqdm(total=total, desc=f'{what:24}', unit='run', mininterval=interval) as bar:
        def step() -> None:
            bar.update()

        yield step
