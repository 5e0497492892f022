# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The picture that benchmarks look at."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_ros.evaluate.scene import ChangingScene, make_picture, make_points, make_prompts


@pytest.mark.parametrize('size', [(1280, 720), (17, 16)])
def test_the_same_picture_every_time(size: tuple[int, int]) -> None:
    """Figures of two days are of the same picture."""
    picture = make_picture(*size)
    assert picture.shape == (size[1], size[0], 3)
    assert picture.dtype == np.uint8
    assert (picture == make_picture(*size)).all()


def test_looks_like_a_photograph() -> None:
    """Neighbours are alike, and both dark and bright pixels occur; noise and plain grey fail."""
    grey = make_picture(640, 480).mean(axis=-1)
    neighbours = np.corrcoef(grey[:, :-1].ravel(), grey[:, 1:].ravel())[0, 1]
    assert neighbours > 0.8  # of noise: 0
    assert grey.std() > 20.0
    assert np.percentile(grey, 1) < 80.0 < 170.0 < np.percentile(grey, 99)


@pytest.mark.parametrize('count', [1, 16])
def test_prompts_lie_on_the_picture(count: int) -> None:
    """One point for each object, all different, the same every time."""
    prompts = make_prompts(count, 640, 480)
    points = np.concatenate([prompt.points for prompt in prompts])
    for prompt in prompts:
        prompt.check_inside((480, 640))
    assert len(np.unique(points, axis=0)) == count
    assert (points == np.concatenate([p.points for p in make_prompts(count, 640, 480)])).all()


@pytest.mark.parametrize('count', [1, 32])
def test_points_of_one_object(count: int) -> None:
    """As many as are asked for, on the picture."""
    prompt = make_points(count, 640, 480)
    prompt.check_inside((480, 640))
    assert len(np.unique(prompt.points, axis=0)) == count


def test_every_run_has_another_picture() -> None:
    """And every benchmark has the same ones."""
    scene, again = ChangingScene(64, 48), ChangingScene(64, 48)
    seen = set()
    for run in range(40):
        picture, prompt = scene(run)
        prompt.check_inside((48, 64))
        assert picture.shape == (48, 64, 3)
        assert (picture == again(run)[0]).all()
        assert (prompt.points == again(run)[1].points).all()
        seen.add(picture.tobytes())
    assert len(seen) == 40
