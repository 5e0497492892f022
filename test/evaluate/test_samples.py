# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Durations and what is said of them."""

from __future__ import annotations

import pytest

from sam2_ros.evaluate.samples import NODE, OURS, PYTORCH, Samples


def test_figures_of_a_series() -> None:
    """Median and 95th percentile, in milliseconds; the runs stay in their order."""
    samples = Samples(OURS, PYTORCH, NODE)
    for milliseconds in (3.0, 1.0, 2.0):
        samples.add(OURS, {'encode': milliseconds / 1e3})
    series = samples.find(OURS, 'encode')
    assert series is not None
    assert series.milliseconds == pytest.approx([3.0, 1.0, 2.0])
    assert series.median == pytest.approx(2.0)
    assert series.p95 == pytest.approx(2.9)  # linear between 2 and 3, at 0.95 * 2 = 1.9
    assert series.to_json()['runs'] == 3


def test_contenders_keep_their_order() -> None:
    """Who ran first changes with every run; tables do not."""
    samples = Samples(OURS, PYTORCH, NODE)
    for name in (NODE, PYTORCH, OURS):
        samples.add(name, {'encode': 1.0, 'decode 1': 1.0})
    assert [(series.contender, series.stage) for series in samples.series()] == [
        (OURS, 'encode'), (OURS, 'decode 1'), (PYTORCH, 'encode'), (PYTORCH, 'decode 1'),
        (NODE, 'encode'), (NODE, 'decode 1')]


def test_ratio_is_taken_run_by_run() -> None:
    """A machine that slows down threefold for both leaves the ratio alone."""
    samples = Samples(OURS, PYTORCH, NODE)
    for slowness in (1.0, 1.0, 3.0, 3.0, 3.0):
        samples.add(OURS, {'encode': 0.6 * slowness})
        samples.add(PYTORCH, {'encode': 0.8 * slowness})
    samples.add(OURS, {'encode': 9.0})  # Ctrl-C came before PyTorch's turn
    assert samples.ratio((OURS, 'encode'), (PYTORCH, 'encode')) == pytest.approx(0.75)
    assert samples.ratio((OURS, 'encode'), (PYTORCH, 'decode 1')) is None
