# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plots of latencies."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

pytest.importorskip('matplotlib', reason='no matplotlib here: nothing can be plotted')

from sam2_ros.evaluate.plots import plot_counts, plot_distributions, plot_runs
from sam2_ros.evaluate.samples import Series


def series_of(contender: str, stage: str, runs: int) -> Series:
    """Return so many runs that get slower."""
    series = Series('consecutive', contender, stage)
    for run in range(1, runs + 1):
        series.add(1, run, 0.5 + 0.01 * run)
    return series


@pytest.mark.parametrize('runs', [1, 40, 1000])
def test_every_run(tmp_path: Path, runs: int) -> None:
    """However many runs there are, a panel for each stage."""
    plot_runs([series_of(contender, stage, runs) for contender in ('one', 'other')
               for stage in ('resize', 'encode', 'decode', 'total')],
              'title', tmp_path / 'runs.png')
    picture = cv2.imread(str(tmp_path / 'runs.png'))
    assert picture is not None
    # 100 pixels an inch; panels of 4 x 2.6 inches, three in a row, and a title
    assert picture.shape[:2] == (560, 1200)


def test_time_against_a_count(tmp_path: Path) -> None:
    """Of more contenders than there are colours, and where one has not tried all counts."""
    stages = ['1 point', '2 points', '32 points']
    series = [series_of(f'contender {index}', stage, 3) for index in range(10) for stage in stages]
    plot_counts(series[:-1], 'title', tmp_path / 'counts.png')
    picture = cv2.imread(str(tmp_path / 'counts.png'))
    assert picture is not None
    assert (picture != 255).any()


@pytest.mark.parametrize('stages', [[], [f'stage {index}' for index in range(10)]])
def test_distributions(tmp_path: Path, stages: list[str]) -> None:
    """With more stages than there are colours, and of a camera, which has none."""
    series = [series_of(f'nano, {place}', stage, 30)
              for place in ('edge', 'cloud') for stage in ('total at 30 images a second', *stages)]
    plot_distributions(series, 'title', tmp_path / 'distributions.png')
    picture = cv2.imread(str(tmp_path / 'distributions.png'))
    assert picture is not None
    assert picture.shape[:2] == (560, 1600 if stages else 800)
    assert (picture != 255).any()
