# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A benchmark from start to end: what is measured, in which order, and where it is written."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam2_ros.evaluate.bundles import describe_bundle
from sam2_ros.evaluate.cloud import Cloud
from sam2_ros.evaluate.compare import Comparison, compare, read_old
from sam2_ros.evaluate.edge_and_cloud import EDGE_AND_CLOUD
from sam2_ros.evaluate.entrants import enter
from sam2_ros.evaluate.errors import BenchmarkError
from sam2_ros.evaluate.experiment import Experiment, Readings, Turn
from sam2_ros.evaluate.experiments import LOCAL
from sam2_ros.evaluate.link import require_hosts
from sam2_ros.evaluate.machine import LOAD, describe_machine, usable_cores
from sam2_ros.evaluate.node_experiments import THROUGH_NODE
from sam2_ros.evaluate.plots import plot_counts, plot_distributions, plot_runs
from sam2_ros.evaluate.progress import progress
from sam2_ros.evaluate.report import TITLES, Report
from sam2_ros.evaluate.result_folder import FIGURES_FILE, REPORT_FILE, ResultFolder
from sam2_ros.evaluate.samples import Samples
from sam2_ros.evaluate.setting import CAMERA, COLD_START, OBJECTS, POINTS, TRACKING, Setting

FORMAT_VERSION = 3
#: Name of an experiment's plot.
PLOT_FILE = '{}.png'


@dataclass(frozen=True)
class BenchmarkOptions:
    """
    What to measure.

    ``providers``: each of them runs every bundle; ``checkpoints``: of the official code, which is
    measured unless it is None; ``threads``: 0 = one per core; ``picture_size``: (width, height) of
    the camera's picture; ``experiments``: names, None: all that are possible; ``runs``: of single
    images, in every repetition; ``tracked_frames``: of tracking; ``time_limit``: seconds after
    which an experiment's repetition ends, None: never; ``ros``: the running node instead of this
    process; ``camera_rate``: images a second; ``cloud``: the node there, too; ``compare``: figures
    of an earlier benchmark.
    """

    bundles: Sequence[Path]
    output: Path
    providers: Sequence[str] = ('auto',)
    checkpoints: Sequence[Path] | None = None
    threads: int = 0
    picture_size: tuple[int, int] = (1280, 720)
    experiments: Sequence[str] | None = None
    runs: int = 30
    tracked_frames: int = 10
    repetitions: int = 1
    time_limit: float | None = None
    ros: bool = False
    camera_rate: float = 30.0
    cloud: Cloud | None = None
    compare: Path | None = None
    ratio: float = 1.2
    resume: bool = False


class Benchmark:
    """
    A benchmark that is prepared, so that what is wrong is said before anything is measured.

    Its record of a run: ``experiment``, ``repetition``, ``run``, ``contender``, ``seconds`` by
    stage, ``bytes`` and ``notes`` where there are any. One that says that a repetition ended by
    its time limit has a ``key`` alone.

    :raises Sam2RosError: a bundle, a provider, weights, an experiment, the earlier benchmark or
        the output folder is not what it must be.
    :raises ModuleNotFoundError: what a wanted measurement needs is not installed.
    """

    def __init__(self, options: BenchmarkOptions) -> None:
        self._options = options
        self._old = None if options.compare is None else read_old(options.compare)
        if options.ros and options.checkpoints is not None:
            raise BenchmarkError('the node has no PyTorch beside it: either --ros or --pytorch')
        if options.cloud is not None:
            _check_cloud(options.cloud, options)
        threads = options.threads or usable_cores()
        entrants, officials = enter(
            options.bundles, options.providers, threads, options.checkpoints)
        self._setting = Setting(
            entrants, officials, threads, options.picture_size, options.runs,
            options.tracked_frames, options.output if options.ros else None, options.camera_rate,
            options.cloud)
        self._experiments = _experiments(options.experiments, self._setting)
        if self._old is not None:
            _check_old(options.compare, self._old, self._setting, self._experiments)
        self.machine = describe_machine()
        self._settings = self._describe()
        self.folder = ResultFolder(options.output, self._settings, options.resume)
        #: All that was wanted is measured.
        self.complete = False

    def run(self) -> None:
        """Measure what is not measured yet; Ctrl-C leaves what is done in the folder."""
        for repetition in range(1, self._options.repetitions + 1):
            for experiment in self._experiments:
                self._repeat(experiment, repetition)
        self.complete = True

    def write(self) -> Comparison | None:
        """
        Write report, figures and plots; returns the comparison, if there is something to compare.

        :raises Sam2RosError: a file cannot be written, or nothing can be compared.
        """
        samples = Samples(self.folder.records())
        report = Report(self._setting, self.machine, samples)
        document = {
            'format_version': FORMAT_VERSION, 'complete': self.complete, 'machine': self.machine,
            'threads': self._setting.threads, 'settings': self._settings,
            'figures': report.figures()}
        self.folder.write(FIGURES_FILE, json.dumps(document, indent=1) + '\n')
        plots = self._plot(samples)
        parts = ['# Benchmark', report.heading()]
        if not self.complete:
            parts.insert(1, '**INCOMPLETE: not all that was wanted is measured.**')
        for experiment in sorted(samples.experiments, key=_place):
            parts.append(report.section(experiment))
            if experiment in plots:
                parts.append(f'![{experiment}]({plots[experiment]})')
        parts.append(report.ending())
        comparison = None
        text = '\n\n'.join(filter(None, parts)) + '\n'
        self.folder.write(REPORT_FILE, text)  # whatever becomes of the comparison
        if self._old is not None and self._options.compare is not None and self.complete:
            comparison = compare(document, self._old, self._options.compare, self._options.ratio)
            self.folder.write(REPORT_FILE, f'{text}\n{comparison.to_markdown()}\n')
        return comparison

    def _repeat(self, experiment: Experiment, repetition: int) -> None:
        """Measure what is left of one repetition of an experiment."""
        limit, done = self._options.time_limit, self.folder.done
        ended = f'{experiment.name}/{repetition}/ended after {limit:g} s' if limit else None
        turns = experiment.turns
        todo = [turn for turn in turns if _key(experiment, repetition, turn) not in done]
        if not todo or ended in done:
            return
        name = experiment.name
        if self._options.repetitions > 1:
            name += f' {repetition}/{self._options.repetitions}'
        begin = None
        with progress(name, len(turns), len(turns) - len(todo)) as bar, \
                closing(experiment.measure(todo)) as measured:
            for turn, readings in measured:
                self.folder.add(_record(experiment, repetition, turn, readings))
                bar.update()
                begin = begin or time.monotonic()  # the models are loaded
                if limit and ended and time.monotonic() - begin > limit:
                    self.folder.add({'key': ended})
                    break

    def _plot(self, samples: Samples) -> dict[str, str]:
        """Write the plots; return their names by experiment."""
        threads, (width, height) = self._setting.threads, self._setting.picture_size
        plots = {}
        for experiment in samples.experiments:
            if experiment == COLD_START:
                continue
            plots[experiment] = PLOT_FILE.format(experiment)
            title = TITLES.get(experiment, experiment)
            plot = (plot_distributions if self._setting.cloud is not None
                    else plot_counts if experiment in (POINTS, OBJECTS) else plot_runs)
            try:
                plot(samples.series(experiment), f'{title}\n{width}x{height}, {threads} threads',
                     self.folder.path / plots[experiment])
            except OSError as error:
                raise BenchmarkError(f'{self.folder.path / plots[experiment]}: cannot be written '
                                     f'({error.strerror or error})') from None
        return plots

    def _describe(self) -> dict[str, Any]:
        """Return what the results depend on; not how many there are to be."""
        setting = self._setting
        return {
            'bundles': {each.name: describe_bundle(each.bundle, each.provider)
                        for each in setting.entrants},
            'pytorch': {each.name: each.bundle.path.resolve().name for each in setting.officials},
            'ros': self._options.ros, 'threads': setting.threads,
            'picture_size': list(setting.picture_size), 'camera_rate': setting.camera_rate,
            'cloud': None if setting.cloud is None else str(setting.cloud),
            'machine': {name: value for name, value in self.machine.items() if name != LOAD}}


def _check_cloud(cloud: Cloud, options: BenchmarkOptions) -> None:
    """:raises BenchmarkError: there can be no such cloud here, or nothing to be put into it."""
    if not options.ros:
        raise BenchmarkError('--link is between a camera and a node: give --ros, too')
    cloud.check(options.picture_size)
    require_hosts()


def _experiments(names: Sequence[str] | None, setting: Setting) -> list[Experiment]:
    """
    Return the experiments of these names, None: all that are possible.

    :raises BenchmarkError: one of them is not possible, or there is none of that name.
    """
    makers, where = (LOCAL, 'in this process')
    if setting.cloud is not None:
        makers, where = (EDGE_AND_CLOUD, 'with --link')
    elif setting.node_folder is not None:
        makers, where = (THROUGH_NODE, 'with --ros')
    if unknown := [name for name in names or () if name not in makers]:
        raise BenchmarkError(
            f'there is no experiment "{unknown[0]}" {where}; there are: {", ".join(makers)}')
    impossible = () if setting.trackers else (TRACKING, CAMERA)
    if names is not None and any(name in impossible for name in names):
        raise BenchmarkError(
            f'{setting.entrants[0].bundle.path}: the bundle can only segment images; export it '
            'again without --image-only, or name other experiments')
    return [make(setting) for name, make in makers.items()
            if (name not in impossible if names is None else name in names)]


def _check_old(
    file: Path | None, old: Mapping[str, Any], setting: Setting, experiments: Sequence[Experiment],
) -> None:
    """:raises BenchmarkError: the earlier benchmark is of other bundles or other experiments."""
    before = old['settings']['bundles']
    if not any(name in before for name in setting.names):
        raise BenchmarkError(
            f'{file}: is of other bundles, {", ".join(before)}; they are known by the names of '
            'their folders')
    measured = dict.fromkeys(each['experiment'] for each in old['figures']['measurements'])
    if not any(each.name in measured for each in experiments):
        raise BenchmarkError(
            f'{file}: is of other experiments, {", ".join(measured) or "none"}; name them with '
            '--experiments')


def _key(experiment: Experiment, repetition: int, turn: Turn) -> str:
    return f'{experiment.name}/{repetition}/{turn.run}/{turn.contender}'


def _record(
    experiment: Experiment, repetition: int, turn: Turn, readings: Readings,
) -> dict[str, Any]:
    more = {'bytes': dict(readings.bytes), 'notes': list(readings.notes)}
    return {
        'key': _key(experiment, repetition, turn), 'experiment': experiment.name,
        'repetition': repetition, 'run': turn.run, 'contender': turn.contender,
        'seconds': {stage: round(seconds, 9) for stage, seconds in readings.seconds.items()},
        **{name: values for name, values in more.items() if values}}


def _place(experiment: str) -> int:
    names = list(TITLES)
    return names.index(experiment) if experiment in names else len(names)
