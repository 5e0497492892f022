# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The result of a benchmark: as tables for people, as JSON for programs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import datetime, timezone
from statistics import median
from typing import Any

from sam2_ros.evaluate.cold_start import ColdStart
from sam2_ros.evaluate.latency import OBJECTS, decode_stage
from sam2_ros.evaluate.machine import LOAD
from sam2_ros.evaluate.samples import NODE, OURS, PYTORCH, Samples
from sam2_ros.model.bundle import Bundle
from sam2_ros.model.tables import format_table

FORMAT_VERSION = 1
#: What the project wants of SAM 2.1 tiny, 1024 x 1024, fp32, on a CPU.
ENCODER_RATIO = 0.80
MANY_OBJECTS_RATIO = 5.0
#: Milliseconds, at 1280 x 720 and one object.
NODE_OVERHEAD = 15.0
#: Bytes: as often the size of the bundle, and this much more.
NODE_MEMORY = (2, 400_000_000)


@dataclass
class NodeFacts:
    """What is known of the node beside its latencies; memory in bytes, None: not told."""

    memory: int | None = None
    lost: int = 0
    between: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """A figure that the project wants to reach: ``value`` at most ``limit``."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def reached(self) -> bool:
        """Say whether it is reached."""
        return self.value <= self.limit

    def row(self) -> list[str]:
        """Return its line of the table."""
        digits = 0 if self.unit == 'MB' else 2
        return [self.name, f'{self.value:.{digits}f} {self.unit}'.strip(),
                f'{self.limit:.{digits}f} {self.unit}'.strip(), 'yes' if self.reached else 'NO']


@dataclass
class Report:
    """All that a benchmark found; it grows while the benchmark runs."""

    bundle: Bundle
    provider: str
    threads: int
    picture_size: tuple[int, int]
    runs: int
    machine: dict[str, Any]
    started: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    complete: bool = False
    cold_starts: list[ColdStart] = field(default_factory=list)
    samples: Samples = field(default_factory=Samples)
    node: NodeFacts | None = None

    def ratios(self) -> dict[str, float]:
        """Return our time as a part of PyTorch's, by stage."""
        stages = ('encode', *map(decode_stage, OBJECTS))
        found = {stage: self.samples.ratio((OURS, stage), (PYTORCH, stage)) for stage in stages}
        return {stage: ratio for stage, ratio in found.items() if ratio is not None}

    def targets(self) -> list[Target]:
        """Return the targets whose figures were measured."""
        targets = []
        if (ratio := self.ratios().get('encode')) is not None:
            targets.append(Target('encoder, time beside PyTorch', ratio, ENCODER_RATIO, ''))
        many = self.samples.ratio(
            (OURS, decode_stage(OBJECTS[-1])), (OURS, decode_stage(OBJECTS[0])))
        if many is not None:
            targets.append(Target(
                f'decoder, {OBJECTS[-1]} objects beside one', many, MANY_OBJECTS_RATIO, ''))
        if (overhead := self.samples.find(NODE, 'overhead')) is not None:
            targets.append(Target('node, neither encode nor decode (median)', overhead.median,
                                  NODE_OVERHEAD, 'ms'))
        if self.node is not None and self.node.memory is not None:
            factor, more = NODE_MEMORY
            targets.append(Target('node, peak memory', self.node.memory / 1e6,
                                  (factor * self.bundle.size_bytes + more) / 1e6, 'MB'))
        return targets

    def to_json(self) -> dict[str, Any]:
        """Return everything, with every run; milliseconds, bytes and ratios."""
        manifest = self.bundle.manifest
        return {
            'format_version': FORMAT_VERSION,
            'complete': self.complete,
            'started': self.started.isoformat(timespec='seconds'),
            'machine': self.machine,
            'bundle': {
                'path': str(self.bundle.path.resolve()), 'model': manifest.model,
                'image_size': manifest.image_size, 'precision': manifest.precision,
                'trained': manifest.trained, 'size_bytes': self.bundle.size_bytes,
                'provenance': manifest.provenance},
            'provider': self.provider,
            'threads': self.threads,
            'picture_size': list(self.picture_size),
            'runs_wanted': self.runs,
            'cold_start': {
                'load_ms': [round(1e3 * each.loaded, 2) for each in self.cold_starts],
                'first_run_ms': [round(1e3 * each.first_run, 2) for each in self.cold_starts],
                'peak_memory_bytes': [each.memory for each in self.cold_starts],
                f'peak_memory_{OBJECTS[-1]}_objects_bytes': [
                    each.memory_many_objects for each in self.cold_starts]},
            'measurements': [series.to_json() for series in self.samples.series()],
            'ratios_to_pytorch': {
                stage: round(ratio, 4) for stage, ratio in self.ratios().items()},
            'node': None if self.node is None else {
                'peak_memory_bytes': self.node.memory, 'images_lost': self.node.lost,
                **self.node.between},
            'targets': [
                {**dataclasses.asdict(target), 'reached': target.reached}
                for target in self.targets()],
        }

    def to_text(self) -> str:
        """Return the tables."""
        parts = [self._heading(), self._latencies(), self._targets()]
        return '\n\n'.join(part for part in parts if part)

    def _heading(self) -> str:
        manifest, machine = self.bundle.manifest, self.machine
        weights = '' if manifest.trained else ', random weights'
        state = '' if self.complete else ' -- INCOMPLETE'
        lines = [
            f'{manifest.model} {manifest.image_size}x{manifest.image_size} {manifest.precision}'
            f'{weights}, provider {self.provider}, {self.threads} threads, picture '
            f'{self.picture_size[0]}x{self.picture_size[1]}{state}',
            f'{machine["cpu"]}, {machine["usable cores"]} cores; load before '
            f'{machine[LOAD]}; Python {machine["python"]}'
            + ''.join(f', {name} {machine[name]}' for name in ('onnxruntime', 'torch')
                      if name in machine)]
        return '\n'.join(lines)

    def _latencies(self) -> str:
        ratios = self.ratios()
        rows = []
        for stage, values in (
                ('cold start: process to loaded model', [each.loaded for each in self.cold_starts]),
                ('first run: image and one object', [each.first_run for each in self.cold_starts])):
            if values:
                rows.append([OURS, stage, str(len(values)), f'{1e3 * median(values):.1f}', '', ''])
        for series in self.samples.series():
            ratio = ratios.get(series.stage) if series.contender == OURS else None
            rows.append([
                series.contender, series.stage, str(len(series.seconds)), f'{series.median:.1f}',
                f'{series.p95:.1f}', '' if ratio is None else f'{ratio:.2f}'])
        if not rows:
            return ''
        header = ['', 'stage', 'runs', 'median ms', 'p95 ms', 'beside PyTorch']
        # The last column only where PyTorch was measured.
        columns = len(header) if ratios else len(header) - 1
        return '\n'.join(filter(None, [
            format_table(header[:columns], [row[:columns] for row in rows], right=header[2:]),
            self._memory()]))

    def _memory(self) -> str:
        parts = [
            f'{what} {max(values) / 1e6:.0f} MB'
            for what, values in (
                ('one object', [each.memory for each in self.cold_starts if each.memory]),
                (f'{OBJECTS[-1]} objects', [
                    each.memory_many_objects for each in self.cold_starts
                    if each.memory_many_objects]),
                ('node', [self.node.memory] if self.node and self.node.memory else []),
            ) if values]
        return 'peak memory: ' + ', '.join(parts) if parts else ''

    def _targets(self) -> str:
        targets = self.targets()
        if not targets:
            return ''
        columns = ['target (set for SAM 2.1 tiny, 1024, fp32, CPU)', 'measured', 'at most',
                   'reached']
        return format_table(
            columns, [target.row() for target in targets], right=('measured', 'at most'))
