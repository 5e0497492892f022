# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Composites: what is drawn is what the masks say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sam2_ros.train.layers import CutOut, Placed, compose

BACKGROUND = np.full((40, 60, 3), 10, np.uint8)
RED = np.zeros((20, 20, 4), np.uint8)
RED[...] = 200, 0, 0, 255
BLUE = np.zeros((10, 20, 4), np.uint8)
BLUE[...] = 0, 0, 200, 255
SQUARE = Placed(CutOut(RED, 'red'), (20, 20), 20)
BAR = Placed(CutOut(BLUE, 'blue'), (30, 20), 20)


def test_a_thing_lies_where_it_is_placed() -> None:
    image, masks = compose(BACKGROUND, [SQUARE])
    expected = np.zeros((40, 60), bool)
    expected[10:30, 10:30] = True
    np.testing.assert_array_equal(masks, expected[None])
    np.testing.assert_array_equal(image[expected], [[200, 0, 0]] * 400)
    np.testing.assert_array_equal(image[~expected], BACKGROUND[~expected])


def test_the_mask_is_what_stays_visible() -> None:
    image, masks = compose(BACKGROUND, [SQUARE, BAR])
    assert masks[1].sum() == 200
    assert masks[0].sum() == 400 - 100
    assert not (masks[0] & masks[1]).any()
    for mask, colour in zip(masks, ([200, 0, 0], [0, 0, 200]), strict=True):
        np.testing.assert_array_equal(np.unique(image[mask], axis=0), [colour])


def test_a_part_belongs_to_its_thing_too() -> None:
    _, masks = compose(BACKGROUND, [SQUARE, replace(BAR, side=8, centre=(20, 20), part_of=0)])
    assert masks[0].sum() == 400
    assert (masks[1] <= masks[0]).all()
    assert masks[1].sum() == 8 * 4


@pytest.mark.parametrize('angle', [0., .4, np.pi / 2, 2.5])
@pytest.mark.parametrize('side', [6., 20., 33.])
@pytest.mark.parametrize('mirrored', [False, True])
def test_a_turned_and_scaled_thing_keeps_its_area_and_place(
    angle: float, side: float, mirrored: bool,
) -> None:
    thing = replace(BAR, centre=(30, 20), side=side, angle=angle, mirrored=mirrored)
    _, masks = compose(BACKGROUND, [thing])
    # A pixel's share of the outline, which is three sides long, is all that rounding may change.
    assert masks.sum() == pytest.approx(side * side / 2, abs=1.6 * side)
    y, x = np.argwhere(masks[0]).mean(0) + .5
    assert (x, y) == pytest.approx((30, 20), abs=.6)


def test_a_thing_outside_the_picture_has_an_empty_mask() -> None:
    image, masks = compose(BACKGROUND, [replace(SQUARE, centre=(-30, 20)), SQUARE])
    assert not masks[0].any()
    assert masks[1].any()
    np.testing.assert_array_equal(image, compose(BACKGROUND, [SQUARE])[0])


def test_a_shadow_darkens_the_ground_and_changes_no_mask() -> None:
    plain, masks = compose(BACKGROUND, [SQUARE])
    image, shadowed = compose(BACKGROUND, [replace(SQUARE, shadow=.5)])
    np.testing.assert_array_equal(masks, shadowed)
    np.testing.assert_array_equal(image[masks[0]], plain[masks[0]])
    assert (image[~masks[0]] < 10).any()
    assert (image[~masks[0]] <= 10).all()


def test_no_things_no_masks() -> None:
    image, masks = compose(BACKGROUND, [])
    np.testing.assert_array_equal(image, BACKGROUND)
    assert masks.shape == (0, 40, 60)
