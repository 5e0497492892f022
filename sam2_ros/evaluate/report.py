# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The result of a benchmark: as Markdown for people, as JSON for programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from sam2_ros.evaluate import tracking
from sam2_ros.evaluate.edge_and_cloud import headline
from sam2_ros.evaluate.latency import COUNTS
from sam2_ros.evaluate.machine import LOAD
from sam2_ros.evaluate.markdown import markdown_table
from sam2_ros.evaluate.samples import Samples, Series
from sam2_ros.evaluate.setting import (
    CAMERA,
    COLD_START,
    CONSECUTIVE,
    OBJECTS,
    POINTS,
    TRACKING,
    VARYING,
    Setting,
)
from sam2_ros.evaluate.targets import Target, find_targets
from sam2_ros.evaluate.tracking import tracking_name

#: What the experiments are called in the report, in this order.
TITLES = {
    COLD_START: 'New processes',
    CONSECUTIVE: 'Consecutive runs with the same picture',
    VARYING: 'Consecutive runs with varying pictures',
    POINTS: f'Decoder, 1 to {COUNTS[-1]} points',
    OBJECTS: f'Decoder, 1 to {COUNTS[-1]} objects of one point',
    TRACKING: 'Tracked frames',
    CAMERA: 'Tracked frames of a camera that does not wait',
}
NOTHING = '-'


class Report:
    """All that a benchmark has found so far."""

    def __init__(self, setting: Setting, machine: dict[str, Any], samples: Samples) -> None:
        self._setting = setting
        self._machine = machine
        self._samples = samples
        self._references = _references(setting)

    def figures(self) -> dict[str, Any]:
        """Return all figures as JSON: milliseconds, bytes and ratios."""
        samples = self._samples
        return {
            'measurements': [
                {**series.to_json(), 'ratio_to_pytorch': self._ratio(series)}
                for series in samples.series()],
            'memory': [
                {'experiment': experiment, 'contender': contender, 'what': what, 'bytes': count}
                for (experiment, contender, what), count in samples.bytes.items()],
            'notes': [
                {'experiment': experiment, 'contender': contender, 'note': note}
                for experiment, contender, note in samples.notes],
            'targets': [{**dataclasses.asdict(target), 'reached': target.reached}
                        for target in self._targets()]}

    def heading(self) -> str:
        """Return who was measured and on what."""
        setting, machine = self._setting, self._machine
        versions = ''.join(
            f', {name} {machine[name]}' for name in ('sam2_ros', 'python', 'onnxruntime', 'torch')
            if name in machine)
        what = 'The running node' if setting.node_folder else (
            'In one process, in turn; the first run after the model was loaded counts apart')
        width, height = setting.picture_size
        return '\n\n'.join([
            '\n'.join(f'- {each}' for each in (*setting.entrants, *setting.officials)),
            f'{machine["cpu"]}, {machine["usable cores"]} cores, {setting.threads} threads, load '
            f'before {machine[LOAD]}{versions}.',
            f'{what}, with pictures of {width}x{height}; times in milliseconds.'])

    def section(self, experiment: str) -> str:
        """Return title, table and notes of an experiment."""
        series = self._samples.series(experiment)
        notes = [f'- {contender}: {note}' for its, contender, note in self._samples.notes
                 if its == experiment]
        return '\n\n'.join(filter(None, [
            f'## {TITLES.get(experiment, experiment)}', self._table(series),
            *(headline(self._samples, experiment, each.name) for each in self._setting.entrants),
            '\n'.join(notes)]))

    def ending(self) -> str:
        """Return memory and targets."""
        parts = []
        if self._samples.bytes:
            parts += ['## Peak memory', markdown_table(
                ['', 'experiment', 'of', 'MB'],
                [[contender, experiment, what, f'{count / 1e6:.0f}']
                 for (experiment, contender, what), count in self._samples.bytes.items()], left=3)]
        if targets := self._targets():
            parts += ['## Targets, set for SAM 2.1 tiny, 1024 pixels, fp32, CPU', markdown_table(
                ['', 'target', 'measured', 'at most', 'reached'],
                [target.row() for target in targets], left=2)]
        return '\n\n'.join(parts)

    def _table(self, series: Sequence[Series]) -> str:
        first = any(each.first for each in series)
        spread = any(len(each.repetition_medians) > 1 for each in series)
        ratios = [self._ratio(each) for each in series]
        header = ['', 'stage', 'runs', *(['first'] if first else []), 'mean', 'median', 'p95',
                  'p99', 'std', *(['spread of medians'] if spread else []),
                  *(['beside PyTorch'] if any(ratios) else [])]
        rows = []
        for each, ratio in zip(series, ratios, strict=True):
            row = [each.contender, each.stage, str(len(each))]
            if first:
                row.append(f'{np.median(each.first):.1f}' if each.first else NOTHING)
            row += [f'{value:.2f}' for value in (
                each.mean, each.median, each.percentile(95), each.percentile(99),
                each.standard_deviation)]
            if spread:
                row.append(f'{100 * each.spread:.1f} %')
            if any(ratios):
                row.append(f'{ratio:.2f}' if ratio else NOTHING)
            rows.append(row)
        return markdown_table(header, rows, left=2)

    def _ratio(self, series: Series) -> float | None:
        """Return the time as a part of PyTorch's."""
        reference = self._references.get(series.contender)
        if reference is None:
            return None
        ratio = self._samples.ratio(
            (series.experiment, series.contender, series.stage),
            (series.experiment, reference, series.stage))
        return None if ratio is None else round(ratio, 4)

    def _targets(self) -> list[Target]:
        return [target for entrant in self._setting.entrants
                for target in find_targets(self._samples, entrant)]


def _references(setting: Setting) -> dict[str, str]:
    """Return who is held against whom, also while they track."""
    found = {each.name: each.reference for each in setting.entrants if each.reference}
    return {**found, **{
        tracking_name(name, objects): tracking_name(reference, objects)
        for name, reference in found.items() for objects in tracking.OBJECTS}}
