# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The plot of every run."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

pytest.importorskip('matplotlib', reason='no matplotlib here: nothing can be plotted')

from sam2_ros.evaluate.plots import plot_runs
from sam2_ros.evaluate.samples import NODE, OURS, PYTORCH, Samples


@pytest.mark.parametrize('runs', [0, 1, 40])
def test_a_png_that_can_be_read(tmp_path: Path, runs: int) -> None:
    """However many runs there are; none where Ctrl-C came early."""
    samples = Samples(OURS, PYTORCH, NODE)
    for run in range(runs):
        for contender in (OURS, PYTORCH, NODE):
            samples.add(contender, {'encode': 0.5 + 0.01 * run, 'decode 1': 0.1, 'zero': 0.0})
    plot_runs(samples, 'title', tmp_path / 'runs.png')
    picture = cv2.imread(str(tmp_path / 'runs.png'))
    assert picture is not None
    # 100 pixels an inch; panels of 4 x 2.6 inches, three in a row, the node's apart, and a title
    assert picture.shape[:2] == ((300, 400) if runs == 0 else (560, 1200))
