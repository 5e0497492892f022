# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Durations of every run, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Names of who is measured.
OURS = 'sam2_ros'
PYTORCH = 'pytorch'
NODE = 'node'


@dataclass(frozen=True)
class Series:
    """All runs of one stage of one contender, in seconds and in their order."""

    contender: str
    stage: str
    seconds: Sequence[float]

    @property
    def milliseconds(self) -> list[float]:
        """The runs in milliseconds."""
        return [1e3 * seconds for seconds in self.seconds]

    @property
    def median(self) -> float:
        """The median in milliseconds."""
        return float(np.median(self.milliseconds))

    @property
    def p95(self) -> float:
        """What 95 of 100 runs take at most, in milliseconds."""
        return float(np.percentile(self.milliseconds, 95))

    def to_json(self) -> dict[str, Any]:
        """Return figures and runs, in milliseconds."""
        return {
            'contender': self.contender, 'stage': self.stage, 'runs': len(self.seconds),
            'median_ms': round(self.median, 4), 'p95_ms': round(self.p95, 4),
            'runs_ms': [round(value, 4) for value in self.milliseconds]}


class Samples:
    """
    Durations by contender and stage.

    :param contenders: who may be measured, in the order in which they are shown.
    """

    def __init__(self, *contenders: str) -> None:
        self.contenders = contenders
        self._seconds: dict[tuple[str, str], list[float]] = {}

    def add(self, contender: str, durations: Mapping[str, float]) -> None:
        """Add one run of the stages in ``durations``, in seconds."""
        for stage, seconds in durations.items():
            self._seconds.setdefault((contender, stage), []).append(seconds)

    def series(self, contender: str | None = None) -> list[Series]:
        """Return what was measured, of one contender or of all, one contender after another."""
        found = [Series(who, stage, tuple(seconds))
                 for (who, stage), seconds in self._seconds.items() if contender in (None, who)]
        return sorted(found, key=lambda series: self.contenders.index(series.contender))

    def find(self, contender: str, stage: str) -> Series | None:
        """Return the runs of one stage, None if there are none."""
        return next((series for series in self.series(contender) if series.stage == stage), None)

    def ratio(self, of: tuple[str, str], to: tuple[str, str]) -> float | None:
        """
        Return the median of the ratios run by run, None if one of the two was not measured.

        Each is (contender, stage). What ran in the same turn met the same machine, so that its
        drift cancels.
        """
        numerator, denominator = self.find(*of), self.find(*to)
        if numerator is None or denominator is None:
            return None
        # Ctrl-C may have come between the two.
        pairs = zip(numerator.seconds, denominator.seconds, strict=False)
        return float(np.median([first / second for first, second in pairs]))
