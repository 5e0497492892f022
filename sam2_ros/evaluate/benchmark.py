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
from typing import Any

from tqdm import tqdm

from sam2_ros.evaluate import latency
from sam2_ros.evaluate.cold_start import cold_start
from sam2_ros.evaluate.errors import BenchmarkError
from sam2_ros.evaluate.machine import describe_machine, usable_cores
from sam2_ros.evaluate.plots import plot_runs
from sam2_ros.evaluate.report import NodeFacts, Report
from sam2_ros.evaluate.scene import make_picture
from sam2_ros.model.bundle import Bundle
from sam2_ros.model.providers import ProviderOptions
from sam2_ros.model.segmenter import ImageSegmenter

#: Processes started for the time to the loaded model; one alone may have met a cold disk.
COLD_STARTS = 3
#: Names of the files in the output folder.
JSON_FILE, TABLE_FILE, PLOT_FILE = 'benchmark.json', 'table.txt', 'runs.png'


@dataclass(frozen=True)
class BenchmarkOptions:
    """
    What to measure.

    ``picture_size``: (width, height) of the camera's picture; ``threads``: 0 = one per core;
    ``against_pytorch``: the official modules as well, from ``checkpoint`` if the manifest does not
    tell the weights; ``ros``: the running node as well.
    """

    bundle: Path
    output: Path
    provider: str = 'auto'
    threads: int = 0
    picture_size: tuple[int, int] = (1280, 720)
    runs: int = 30
    against_pytorch: bool = False
    checkpoint: Path | None = None
    ros: bool = False


class Benchmark:
    """
    A benchmark that is prepared, so that what is wrong is said before anything is measured.

    :raises Sam2RosError: the bundle, the provider, the weights or the output folder are not
        what they must be.
    :raises ModuleNotFoundError: what a wanted measurement needs is not installed.
    """

    def __init__(self, options: BenchmarkOptions) -> None:
        self._options = options
        bundle = Bundle.load(options.bundle)
        _make_folder(options.output)
        threads = options.threads or usable_cores()
        segmenter = ImageSegmenter(bundle, options.provider, ProviderOptions(threads=threads))
        self._picture = make_picture(*options.picture_size)
        self._contenders: list[Any] = [latency.OurStages(segmenter, self._picture)]
        if options.against_pytorch:
            self._contenders.append(_official(bundle, segmenter, self._picture, options, threads))
        self._node: Any = None
        if options.ros:
            from sam2_ros.evaluate.running_node import RunningNode

            self._node = RunningNode(bundle.path, segmenter.provider, threads, options.output)
        self.report = Report(
            bundle, segmenter.provider, threads, options.picture_size, options.runs,
            describe_machine())

    def run(self) -> None:
        """Measure into ``report``; Ctrl-C leaves there what is done."""
        options, report = self._options, self.report
        with _progress('cold start', COLD_STARTS) as step:
            for _ in range(COLD_STARTS):
                report.cold_starts.append(cold_start(
                    options.bundle, report.provider, report.threads, options.picture_size,
                    latency.OBJECTS[-1]))
                step()
        with _progress('stages', options.runs) as step:
            latency.measure(self._contenders, options.runs, report.samples, step)
        # The node has the machine for itself.
        self._contenders.clear()
        if self._node is not None:
            self._run_node()
        report.complete = True

    def _run_node(self) -> None:
        facts = self.report.node = NodeFacts()
        try:
            with self._node as node, _progress('node', self._options.runs) as step:
                facts.between = node.facts()
                node.wait()
                node.measure(self._picture, self._options.runs, self.report.samples, step)
        finally:
            facts.memory, facts.lost = self._node.peak_memory, self._node.lost

    def write(self) -> None:
        """Write table, JSON and plot to the output folder; :raises BenchmarkError: cannot."""
        folder, report = self._options.output, self.report
        manifest = report.bundle.manifest
        try:
            (folder / TABLE_FILE).write_text(report.to_text() + '\n', encoding='utf-8')
            (folder / JSON_FILE).write_text(
                json.dumps(report.to_json(), indent=1) + '\n', encoding='utf-8')
            plot_runs(
                report.samples, f'{manifest.model} {manifest.image_size} {manifest.precision}, '
                f'{report.provider}, {report.threads} threads', folder / PLOT_FILE)
        except OSError as error:
            raise BenchmarkError(
                f'{folder}: cannot be written to ({error.strerror or error})') from None


def _official(
    bundle: Bundle, segmenter: ImageSegmenter, picture: Any, options: BenchmarkOptions,
    threads: int,
) -> Any:
    if segmenter.provider != 'cpu':
        raise BenchmarkError(
            'PyTorch is measured on the CPU, which is no match for provider '
            f'"{segmenter.provider}": give --provider cpu beside --against-pytorch')
    from sam2_ros.evaluate.official import OfficialStages, official_model

    return OfficialStages(official_model(bundle, options.checkpoint), picture,
                          bundle.manifest.image_size, threads)


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
    with tqdm(total=total, desc=f'{what:10}', unit='run', mininterval=interval) as bar:
        def step() -> None:
            bar.update()

        yield step
