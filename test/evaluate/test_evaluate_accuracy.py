# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""J and F of masks whose answers are known by hand or by brute force."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

pytest.importorskip('pycocotools', reason='no pycocotools here: nothing can be evaluated')

from sam2_ros.evaluate.accuracy import boundary_f, iou, size_of, to_runs

Mask = npt.NDArray[np.bool_]
#: Of the diagonal, in DAVIS's `f_measure`.
BOUND = 0.008


def rectangle(x0: int, y0: int, x1: int, y1: int, size: tuple[int, int] = (100, 120)) -> Mask:
    """Return a mask [height, width] with a rectangle, its end excluded."""
    mask = np.zeros(size, np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask


def masks() -> st.SearchStrategy[tuple[Mask, Mask]]:
    """Return two small masks of the same size, any pixels."""
    sides = st.tuples(st.integers(1, 14), st.integers(1, 14))
    return sides.flatmap(lambda size: st.tuples(
        arrays(np.bool_, size), arrays(np.bool_, size)))


def test_iou_by_hand() -> None:
    """Two squares of 20 x 20 that share 10 x 20: 200 of 600."""
    first, second = rectangle(10, 10, 30, 30), rectangle(20, 10, 40, 30)
    assert iou(to_runs(first), to_runs(second)) == pytest.approx(200 / 600)


def test_iou_of_nothing() -> None:
    """Two who see nothing agree; one who sees something is wrong (``db_eval_iou``)."""
    nothing, something = to_runs(rectangle(0, 0, 0, 0)), to_runs(rectangle(0, 0, 5, 5))
    assert iou(nothing, nothing) == 1.0
    assert iou(nothing, something) == iou(something, nothing) == 0.0


@given(masks())
def test_iou_is_that_of_the_pixels(pair: tuple[Mask, Mask]) -> None:
    first, second = pair
    union = np.count_nonzero(first | second)
    expected = np.count_nonzero(first & second) / union if union else 1.0
    assert iou(to_runs(first), to_runs(second)) == pytest.approx(expected)


def test_boundary_f_of_a_shift() -> None:
    """Boundaries up to 2 pixels apart fit here, and 3 pixels fit only where they cross."""
    # ceil(0.008 * hypot(100, 120)) = ceil(1.25) = 2
    truth = rectangle(40, 40, 80, 80)
    assert boundary_f(truth, truth) == 1.0
    assert boundary_f(rectangle(42, 40, 82, 80), truth) == 1.0
    assert 0.4 < boundary_f(rectangle(43, 40, 83, 80), truth) < 0.6  # two of the four sides


def test_boundary_f_of_nothing() -> None:
    nothing, something = rectangle(0, 0, 0, 0), rectangle(30, 30, 50, 50)
    assert boundary_f(nothing, nothing) == 1.0
    assert boundary_f(nothing, something) == boundary_f(something, nothing) == 0.0


@given(masks())
def test_boundary_f_against_brute_force(pair: tuple[Mask, Mask]) -> None:
    mask, truth = pair
    assert boundary_f(mask, truth) == pytest.approx(brute_force_f(mask, truth))


@settings(max_examples=5)  # slow: pixel by pixel
@given(st.integers(0, 2**31))
def test_boundary_f_of_blobs_against_brute_force(seed: int) -> None:
    """At a size at which boundaries may be several pixels apart."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:80, 0:300]  # ceil(0.008 * 310.5) = 3
    first, second = (
        ((x - random.uniform(50, 250)) / 40) ** 2 + ((y - random.uniform(20, 60)) / 25) ** 2 < 1
        for _ in range(2))
    second |= first & (random.uniform(size=first.shape) < 0.999)
    assert boundary_f(first, second) == pytest.approx(brute_force_f(first, second))


@pytest.mark.parametrize(('area', 'size'), [
    (1, 'small'), (1023, 'small'), (1024, 'medium'), (9215, 'medium'), (9216, 'large')])
def test_sizes_are_those_of_coco(area: int, size: str) -> None:
    assert size_of(area) == size


def brute_force_f(mask: Mask, truth: Mask) -> float:
    """Compare every boundary pixel with every other one; DAVIS's definition, word by word."""
    reach = math.ceil(BOUND * math.hypot(*mask.shape))
    first, second = boundary_pixels(mask), boundary_pixels(truth)
    if not first or not second:
        return float(not first and not second)

    def share_near(ones: list[tuple[int, int]], others: list[tuple[int, int]]) -> float:
        table = np.array(others)
        near = [((table - one) ** 2).sum(axis=1).min() <= reach * reach for one in ones]
        return sum(near) / len(near)

    precision, recall = share_near(first, second), share_near(second, first)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def boundary_pixels(mask: Mask) -> list[tuple[int, int]]:
    """
    Return pixels that differ from a neighbour to the right, below or diagonally below.

    On the last row only the right one is looked at, on the last column only the one below, and
    the last pixel is none.
    """
    height, width = mask.shape
    found = []
    for y in range(height):
        for x in range(width):
            neighbours = {(y, x + 1), (y + 1, x), (y + 1, x + 1)}
            inside = [place for place in neighbours if place[0] < height and place[1] < width]
            if any(mask[place] != mask[y, x] for place in inside):
                found.append((y, x))
    return found
