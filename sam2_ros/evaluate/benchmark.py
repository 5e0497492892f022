# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A benchmark from start to end: what is measured, in which order, and where it is written."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam2_ros.evaluate import tracking
from sam2_ros.evaluate.cold_start import Order, cold_start
from sam2_ros.evaluate.errors import BenchmarkError
from sam2_ros.evaluate.machine import describe_machine, usable_cores
from sam2_ros.evaluate.parts import NodeFacts
from sam2_ros.evaluate.plots import plot_runs
from sam2_ros.evaluate.report import Report
from sam2_ros.evaluate.scene import make_picture
from sam2_ros.evaluate.works import Segmentation, Setting, Tracking, Work, progress
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
        setting = Setting(
            bundle, provider, threads, make_picture(*options.picture_size), model,
            options.output if options.ros else None)
        self._options = options
        self._works: list[Work] = [Segmentation(setting, options.runs)]
        if tracked_frames:
            self._works.append(Tracking(setting, tracked_frames, options.camera_rate))
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

    def _start_processes(self, work: Work) -> None:
        part, report = work.part, self.report
        order = Order(part.name, self._options.bundle, report.provider, report.threads,
                      report.picture_size, part.objects[-1])
        with progress(f'{part.name}: cold start', work.processes) as step:
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


def _run_node(work: Work) -> None:
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
