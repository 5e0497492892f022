# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The result of a benchmark: as tables for people, as JSON for programs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from sam2_ros.evaluate.machine import LOAD
from sam2_ros.evaluate.parts import Part
from sam2_ros.evaluate.targets import Target, find_targets
from sam2_ros.model.bundle import Bundle
from sam2_ros.model.tables import format_table

FORMAT_VERSION = 2


@dataclass
class Report:
    """All that a benchmark found; it grows while the benchmark runs."""

    bundle: Bundle
    provider: str
    threads: int
    picture_size: tuple[int, int]
    machine: dict[str, Any]
    parts: list[Part]
    started: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    complete: bool = False

    def targets(self) -> list[Target]:
        """Return the targets whose figures were measured."""
        return [target for part in self.parts for target in find_targets(part, self.bundle)]

    def to_json(self) -> dict[str, Any]:
        """Return everything, with every run."""
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
            **{part.name: part.to_json() for part in self.parts},
            'targets': [
                {**dataclasses.asdict(target), 'reached': target.reached}
                for target in self.targets()],
        }

    def to_text(self) -> str:
        """Return the tables."""
        sections = [self._heading(), *(part.to_text() for part in self.parts), self._targets()]
        return '\n\n'.join(section for section in sections if section)

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

    def _targets(self) -> str:
        targets = self.targets()
        if not targets:
            return ''
        columns = ['target (set for SAM 2.1 tiny, 1024, fp32, CPU)', 'measured', 'at most',
                   'reached']
        return format_table(
            columns, [target.row() for target in targets], right=('measured', 'at most'))
