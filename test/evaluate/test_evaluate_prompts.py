# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Prompts made from true masks."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis.extra.numpy import arrays

pytest.importorskip('pycocotools', reason='no pycocotools here: nothing can be evaluated')

from sam2_ros.evaluate.truth_prompts import (
    BOX,
    CENTRE,
    JITTER,
    JITTERED_BOX,
    SINGLE_PROMPTS,
    centre_click,
    make_prompts,
    next_click,
    seed_of,
)

Mask = npt.NDArray[np.bool_]


def masks(least: int = 1) -> st.SearchStrategy[Mask]:
    """Return masks that are not empty."""
    sides = st.tuples(st.integers(1, 20), st.integers(1, 20))
    return sides.flatmap(lambda size: arrays(np.bool_, size)).filter(
        lambda mask: np.count_nonzero(mask) >= least)


@given(masks(), st.integers(0, 1000))
def test_points_lie_inside_and_the_first_ones_are_the_same(truth: Mask, seed: int) -> None:
    prompts = make_prompts(SINGLE_PROMPTS, truth, seed_of(seed, 'object'))
    five = prompts['5-points'].points
    for name, count in (('1-point', 1), ('3-points', 3), ('5-points', 5)):
        assert prompts[name].points.tolist() == five[:count].tolist()
        assert prompts[name].labels.tolist() == [1] * count
    assert all(truth[int(y), int(x)] for x, y in five)
    if np.count_nonzero(truth) >= 5:
        assert len({tuple(point) for point in five}) == 5


@given(masks(), st.integers(0, 1000))
def test_boxes(truth: Mask, seed: int) -> None:
    """The tight one; each side of the other one at most 10 % of the box away, in the image."""
    prompts = make_prompts(SINGLE_PROMPTS, truth, seed_of(seed, 'object'))
    rows, columns = np.nonzero(truth)
    tight = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    box, jittered = prompts[BOX].box, prompts[JITTERED_BOX].box
    assert box is not None
    assert jittered is not None
    assert box.tolist() == tight
    allowed = JITTER * np.array([tight[2] - tight[0], tight[3] - tight[1]] * 2)
    assert (np.abs(jittered - box) <= allowed + 1e-9).all()
    height, width = truth.shape
    assert (jittered >= 0).all()
    assert (jittered <= [width, height, width, height]).all()


def test_chance_depends_on_seed_and_object_alone() -> None:
    """Not on which other prompts are wanted, nor on the order of objects."""
    truth = np.ones((50, 70), np.bool_)
    names = ('1-point', JITTERED_BOX)

    def made(wanted: tuple[str, ...], seed: int, what: object) -> str:
        return repr([make_prompts(wanted, truth, seed_of(seed, what))[name] for name in names])

    first = made(names, 0, 17)
    assert made(SINGLE_PROMPTS, 0, 17) == first
    assert len({first, made(names, 1, 17), made(names, 0, 18)}) == 3


@given(masks())
def test_the_centre_is_farthest_from_what_is_outside(truth: Mask) -> None:
    click = centre_click(truth)
    padded = np.argwhere(~np.pad(truth, 1)) - 1  # beyond the edge there is nothing either

    def depth(y: int, x: int) -> float:
        return float(np.sqrt(((padded - [y, x]) ** 2).sum(axis=1).min()))

    assert truth[click.y, click.x]
    # float32 distances
    deepest = max(depth(y, x) for y, x in np.argwhere(truth).tolist())
    assert depth(click.y, click.x) == pytest.approx(deepest, abs=1e-4)


def test_the_centre_is_one_of_the_prompts() -> None:
    truth = np.zeros((40, 60), np.bool_)
    truth[10:21, 30:41] = True
    [prompt] = make_prompts([CENTRE], truth, (0,)).values()
    assert prompt.points.tolist() == [[35, 15]]


def test_the_next_click_by_hand() -> None:
    """What is missed is deeper than what is too much, then the other way round, then nothing."""
    truth = np.zeros((60, 90), np.bool_)
    truth[10:41, 10:41] = True
    answer = truth.copy()
    answer[14:25, 20:31] = False  # 11 x 11 missed
    answer[50:53, 60:63] = True  # 3 x 3 too much
    assert next_click(truth, answer) == (25, 19, 1)
    assert next_click(answer, truth) == (25, 19, 0)
    assert next_click(truth, truth) is None


@given(st.tuples(st.integers(2, 24), st.integers(2, 24)).flatmap(
    lambda size: st.tuples(arrays(np.bool_, size), arrays(np.bool_, size))))
def test_the_next_click_is_as_deep_as_the_official_one(pair: tuple[Mask, Mask]) -> None:
    """On the same side of the same error, or on one that is as deep."""
    torch = pytest.importorskip('torch', reason='no PyTorch here')
    sampling = pytest.importorskip('sam2.modeling.sam2_utils', reason='no sam2 here')
    truth, answer = pair
    assume((truth != answer).any())
    click = next_click(truth, answer)
    assert click is not None
    points, labels = sampling.sample_one_point_from_error_center(
        torch.from_numpy(truth)[None, None], torch.from_numpy(answer)[None, None])
    assert click.label == int(labels[0, 0])
    assert (click.x, click.y) == tuple(int(value) for value in points[0, 0])
