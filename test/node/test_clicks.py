# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clicks become points, or corners of boxes."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip('sensor_msgs', reason='no ROS 2 in this environment')

from sam2_ros.model.errors import PromptError
from sam2_ros.node.clicks import Clicks
from sam2_ros.node.parameters import Settings

POINT, BOX = Settings(), Settings(click_mode='box')
pixels = st.floats(0.0, 4000.0)


@given(pixels, pixels)
def test_a_click_is_a_point(x: float, y: float) -> None:
    request = Clicks().click(x, y, POINT, 'mouse')
    assert request is not None
    assert (request.points, request.labels, request.box) == ([(x, y)], [1], None)
    assert (request.object_id, request.refine, request.stamp) == (0, False, 0)


@given(pixels, pixels, pixels, pixels)
def test_two_clicks_are_opposite_corners(x0: float, y0: float, x1: float, y1: float) -> None:
    clicks = Clicks()
    assert clicks.click(x0, y0, BOX, 'mouse') is None
    if x0 == x1 or y0 == y1:
        with pytest.raises(PromptError, match='span no box'):
            clicks.click(x1, y1, BOX, 'mouse')
    else:
        request = clicks.click(x1, y1, BOX, 'mouse')
        assert request is not None
        assert request.box == (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
    assert not clicks.waits_for_second_corner


@pytest.mark.parametrize(('x', 'y'), [(float('nan'), 1), (1, float('inf')), (-1, 5), (5, -0.5)])
def test_a_click_that_is_no_pixel_is_refused_and_changes_nothing(x: float, y: float) -> None:
    clicks = Clicks()
    clicks.click(10, 10, BOX, 'mouse')
    with pytest.raises(PromptError, match='click'):
        clicks.click(x, y, BOX, 'mouse')
    assert clicks.click(20, 30, BOX, 'mouse').box == (10, 10, 20, 30)  # type: ignore[union-attr]


def test_what_the_parameters_say_goes_along() -> None:
    settings = dataclasses.replace(
        POINT, click_object_id=5, click_refine=True, click_label='negative', multimask='single')
    request = Clicks().click(1, 2, settings, 'mouse')
    assert request is not None
    assert (request.object_id, request.refine, request.labels, request.multimask) == (
        5, True, [0], False)


def test_point_mode_forgets_a_first_corner() -> None:
    clicks = Clicks()
    clicks.click(1, 1, BOX, 'mouse')
    clicks.click(2, 2, POINT, 'mouse')
    assert clicks.click(3, 3, BOX, 'mouse') is None
