# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Durations and what is said of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sam2_ros.evaluate.samples import Samples


def record(run: int, contender: str, milliseconds: float, repetition: int = 1) -> dict[str, Any]:
    """Return the record of a run with one stage."""
    return {'key': f'{repetition}/{run}/{contender}', 'experiment': 'consecutive',
            'repetition': repetition, 'run': run, 'contender': contender,
            'seconds': {'encode': milliseconds / 1e3}}


def test_figures_of_a_series() -> None:
    """Of all repetitions together, in milliseconds, without the first runs."""
    values = {1: [5.0, 1.0, 3.0], 2: [7.0, 2.0, 4.0]}
    samples = Samples(
        [record(0, 'one', 90.0 + repetition, repetition) for repetition in values]
        + [record(run, 'one', value, repetition) for repetition, each in values.items()
           for run, value in enumerate(each, 1)])
    series = samples.find('consecutive', 'one', 'encode')
    assert series is not None
    everything = [5.0, 1.0, 3.0, 7.0, 2.0, 4.0]
    assert series.milliseconds == pytest.approx(everything)
    assert list(series.first) == pytest.approx([91.0, 92.0])
    figures = series.to_json()
    assert figures['runs'] == 6
    assert figures['mean_ms'] == pytest.approx(22 / 6, abs=1e-4)
    assert figures['median_ms'] == pytest.approx(3.5)
    # linear between the runs: 0.95 and 0.99 of the way from the smallest to the largest of six
    assert figures['p95_ms'] == pytest.approx(5.0 + 0.75 * 2.0)
    assert figures['p99_ms'] == pytest.approx(5.0 + 0.95 * 2.0)
    assert figures['standard_deviation_ms'] == pytest.approx(np.std(everything), abs=1e-4)
    assert figures['repetition_medians_ms'] == pytest.approx([3.0, 4.0])
    assert series.spread == pytest.approx(1.0 / 3.5)


def test_contenders_keep_their_order() -> None:
    """Who begins changes with every run; tables do not."""
    samples = Samples([record(run, name, 1.0) for run in (0, 1, 2)
                       for name in (['one', 'other'] if run % 2 == 0 else ['other', 'one'])])
    assert [series.contender for series in samples.series()] == ['one', 'other']


def test_ratio_is_taken_run_by_run() -> None:
    """A machine that slows down threefold for both leaves the ratio alone."""
    records = []
    for run, slowness in enumerate((1.0, 1.0, 3.0, 3.0, 3.0), 1):
        turn = [record(run, 'one', 0.6 * slowness), record(run, 'other', 0.8 * slowness)]
        records += turn if run % 2 else turn[::-1]
    records.append(record(6, 'one', 9.0))  # Ctrl-C came before the other's turn
    samples = Samples(records)
    of, to = (('consecutive', name, 'encode') for name in ('one', 'other'))
    assert samples.ratio(of, to) == pytest.approx(0.75)
    assert samples.ratio(of, ('consecutive', 'nobody', 'encode')) is None


def test_memory_is_that_of_the_largest_process() -> None:
    """Notes are kept as they come."""
    samples = Samples([
        {**record(run, 'one', 1.0), 'bytes': {'node': count}, 'notes': [f'note {run}']}
        for run, count in ((1, 5), (2, 9), (3, 7))])
    assert samples.bytes == {('consecutive', 'one', 'node'): 9}
    assert samples.notes == [('consecutive', 'one', f'note {run}') for run in (1, 2, 3)]
