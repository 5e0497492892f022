# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every run took, read from the records of a benchmark, and what is said of it."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2_ros.evaluate.result_folder import Record

#: Name of the official code, as a contender.
PYTORCH = 'pytorch'
#: Number of the run that counts apart: it allocates memory.
FIRST_RUN = 0


class Series:
    """All runs of one stage of one contender in one experiment, in their order, as milliseconds."""

    def __init__(self, experiment: str, contender: str, stage: str) -> None:
        self.experiment, self.contender, self.stage = experiment, contender, stage
        #: The first run of every repetition.
        self.first = array('d')
        self._milliseconds, self._repetitions, self._runs = array('d'), array('l'), array('l')

    def add(self, repetition: int, run: int, seconds: float) -> None:
        """Add a run."""
        if run == FIRST_RUN:
            self.first.append(1e3 * seconds)
            return
        self._milliseconds.append(1e3 * seconds)
        self._repetitions.append(repetition)
        self._runs.append(run)

    def __len__(self) -> int:
        return len(self._milliseconds)

    @property
    def milliseconds(self) -> npt.NDArray[np.float64]:
        """The runs, without first ones."""
        return np.array(self._milliseconds)

    @property
    def mean(self) -> float:
        """The mean."""
        return float(self.milliseconds.mean())

    @property
    def median(self) -> float:
        """The median."""
        return float(np.median(self.milliseconds))

    @property
    def standard_deviation(self) -> float:
        """The standard deviation of the runs."""
        return float(self.milliseconds.std())

    def percentile(self, percent: float) -> float:
        """Return what so many of 100 runs take at most."""
        return float(np.percentile(self.milliseconds, percent))

    @property
    def repetition_medians(self) -> list[float]:
        """The median of every repetition."""
        repetitions = np.array(self._repetitions)
        return [float(np.median(self.milliseconds[repetitions == repetition]))
                for repetition in dict.fromkeys(self._repetitions)]

    @property
    def spread(self) -> float:
        """The largest median of a repetition less the smallest, as a part of the median."""
        medians = self.repetition_medians
        return (max(medians) - min(medians)) / self.median if self.median else 0.0

    def ratio(self, other: Series) -> float | None:
        """
        Return the median of the ratios run by run, None if no run is in both.

        What ran in the same turn met the same machine, so that its drift cancels.
        """
        theirs = dict(zip(other._turns(), other._milliseconds, strict=True))
        ratios = [mine / theirs[turn]
                  for turn, mine in zip(self._turns(), self._milliseconds, strict=True)
                  if theirs.get(turn)]
        return float(np.median(ratios)) if ratios else None

    def to_json(self) -> dict[str, Any]:
        """Return figures in milliseconds; every run is in the records."""
        return {
            'experiment': self.experiment, 'contender': self.contender, 'stage': self.stage,
            'runs': len(self), 'mean_ms': round(self.mean, 4), 'median_ms': round(self.median, 4),
            'p95_ms': round(self.percentile(95), 4), 'p99_ms': round(self.percentile(99), 4),
            'standard_deviation_ms': round(self.standard_deviation, 4),
            'first_ms': [round(value, 4) for value in self.first],
            'repetition_medians_ms': [round(value, 4) for value in self.repetition_medians]}

    def _turns(self) -> Iterable[tuple[int, int]]:
        return zip(self._repetitions, self._runs, strict=True)


class Samples:
    """
    What the records of a benchmark say, in the order in which they were written.

    :param records: see ``sam2_ros.evaluate.benchmark.Benchmark``.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self._series: dict[tuple[str, str, str], Series] = {}
        #: Largest number of bytes, by experiment, contender, and what it is of.
        self.bytes: dict[tuple[str, str, str], int] = {}
        #: What else is told of a contender in an experiment, as (experiment, contender, note).
        self.notes: list[tuple[str, str, str]] = []
        for record in records:
            if 'contender' in record:
                self._add(record)

    @property
    def experiments(self) -> list[str]:
        """Names of the experiments of which there are runs."""
        return list(dict.fromkeys(series.experiment for series in self.series()))

    def series(self, experiment: str | None = None) -> list[Series]:
        """Return what was measured in one experiment or in all, one contender after another."""
        found = [series for series in self._series.values()
                 if len(series) and experiment in (None, series.experiment)]
        order = list(dict.fromkeys((each.experiment, each.contender) for each in found))
        return sorted(found, key=lambda each: order.index((each.experiment, each.contender)))

    def find(self, experiment: str, contender: str, stage: str) -> Series | None:
        """Return the runs of one stage, None if there are none."""
        found = self._series.get((experiment, contender, stage))
        return found if found is not None and len(found) else None

    def ratio(
        self, of: tuple[str, str, str], to: tuple[str, str, str],
    ) -> float | None:
        """Return ``Series.ratio`` of what (experiment, contender, stage) say; None: not there."""
        numerator, denominator = self.find(*of), self.find(*to)
        if numerator is None or denominator is None:
            return None
        return numerator.ratio(denominator)

    def _add(self, record: Record) -> None:
        experiment, contender = record['experiment'], record['contender']
        for stage, seconds in record['seconds'].items():
            key = (experiment, contender, stage)
            if key not in self._series:
                self._series[key] = Series(*key)
            self._series[key].add(record['repetition'], record['run'], seconds)
        for what, count in record.get('bytes', {}).items():
            key = (experiment, contender, what)
            self.bytes[key] = max(count, self.bytes.get(key, 0))
        self.notes += [(experiment, contender, note) for note in record.get('notes', [])]
