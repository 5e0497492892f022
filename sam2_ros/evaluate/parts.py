# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is found of each kind of work: segmentation of images, tracking through them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from sam2_ros.evaluate.camera import CameraFacts
from sam2_ros.evaluate.cold_start import ColdStart
from sam2_ros.evaluate.samples import Samples
from sam2_ros.model.tables import format_table


@dataclass
class NodeFacts:
    """What is known of the node beside its latencies; memory in bytes, None: not told."""

    memory: int | None = None
    lost: int = 0
    between: dict[str, str] = field(default_factory=dict)
    camera: CameraFacts | None = None

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        return {'peak_memory_bytes': self.memory, 'images_lost': self.lost, **self.between,
                'camera': self.camera and dataclasses.asdict(self.camera)}


@dataclass
class Part:
    """
    What was found of one kind of work, such as tracking; it grows while the benchmark runs.

    ``objects``: how many a process has at first and at last, when its memory is looked at;
    ``pairs``: contenders that are compared, ours and PyTorch's, the main one first.
    """

    name: str
    runs: int
    objects: tuple[int, int]
    pairs: tuple[tuple[str, str], ...]
    samples: Samples
    cold_starts: list[ColdStart] = field(default_factory=list)
    node: NodeFacts | None = None

    def ratios(self) -> dict[str, dict[str, float]]:
        """Return our time as a part of PyTorch's, by our contender and stage."""
        found = {
            ours: {series.stage: ratio for series in self.samples.series(ours)
                   if (ratio := self.samples.ratio(
                       (ours, series.stage), (theirs, series.stage))) is not None}
            for ours, theirs in self.pairs}
        return {ours: ratios for ours, ratios in found.items() if ratios}

    def to_json(self) -> dict[str, Any]:
        """Return everything, with every run; milliseconds, bytes and ratios."""
        return {
            'runs_wanted': self.runs,
            'cold_start': {
                'load_ms': [round(1e3 * each.loaded, 2) for each in self.cold_starts],
                'first_run_ms': [round(1e3 * each.first_run, 2) for each in self.cold_starts],
                'peak_memory_bytes': [each.memory for each in self.cold_starts],
                f'peak_memory_{self.objects[-1]}_objects_bytes': [
                    each.memory_many_objects for each in self.cold_starts]},
            'measurements': [series.to_json() for series in self.samples.series()],
            'ratios_to_pytorch': {
                ours: {stage: round(ratio, 4) for stage, ratio in ratios.items()}
                for ours, ratios in self.ratios().items()},
            'node': self.node and self.node.to_json(),
        }

    def to_text(self) -> str:
        """Return the table, and what does not fit into it, below."""
        ratios = self.ratios()
        rows = []
        for stage, values in (
                ('cold start: process to loaded model', [each.loaded for each in self.cold_starts]),
                ('first run: image and one object', [each.first_run for each in self.cold_starts])):
            if values:
                rows.append([self.pairs[0][0], stage, str(len(values)),
                             f'{1e3 * median(values):.1f}', '', ''])
        for series in self.samples.series():
            ratio = ratios.get(series.contender, {}).get(series.stage)
            rows.append([
                series.contender, series.stage, str(len(series.seconds)), f'{series.median:.1f}',
                f'{series.p95:.1f}', '' if ratio is None else f'{ratio:.2f}'])
        if not rows:
            return ''
        header = [self.name, 'stage', 'runs', 'median ms', 'p95 ms', 'beside PyTorch']
        # The last column only where PyTorch was measured.
        columns = len(header) if ratios else len(header) - 1
        return '\n'.join(filter(None, [
            format_table(header[:columns], [row[:columns] for row in rows], right=header[2:]),
            self._memory(),
            f'node: {self.node.camera}' if self.node and self.node.camera else '']))

    def _memory(self) -> str:
        few, many = ('one object' if count == 1 else f'{count} objects' for count in self.objects)
        parts = [
            f'{what} {max(values) / 1e6:.0f} MB'
            for what, values in (
                (few, [each.memory for each in self.cold_starts if each.memory]),
                (many, [each.memory_many_objects for each in self.cold_starts
                        if each.memory_many_objects]),
                ('node', [self.node.memory] if self.node and self.node.memory else []),
            ) if values]
        return 'peak memory: ' + ', '.join(parts) if parts else ''
