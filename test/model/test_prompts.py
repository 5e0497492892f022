# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Prompts say what is wrong with them, and become the tokens of the official predictor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_ros.model.errors import PromptError
from sam2_ros.model.prompts import Prompt

FINITE = st.floats(-1e6, 1e6)
SIZES = st.tuples(st.integers(1, 4000), st.integers(1, 4000))


@st.composite
def boxes(draw: st.DrawFn) -> list[float]:
    x0, y0 = draw(FINITE), draw(FINITE)
    return [x0, y0, x0 + draw(st.floats(0.5, 1e6)), y0 + draw(st.floats(0.5, 1e6))]


@st.composite
def prompts(draw: st.DrawFn) -> Prompt:
    count = draw(st.integers(0, 6))
    points = draw(st.lists(st.tuples(FINITE, FINITE), min_size=count, max_size=count))
    labels = draw(st.lists(st.sampled_from([0, 1]), min_size=count, max_size=count))
    box = draw(st.none() | boxes())
    mask = draw(st.none() | st.just(np.zeros((64, 64), np.float32)))
    if not count and box is None and mask is None:
        mask = np.zeros((64, 64), np.float32)
    return Prompt(points, labels, box, mask)


def refusal(**arguments: Any) -> str:
    with pytest.raises(PromptError) as caught:
        Prompt(**arguments)
    message = str(caught.value)
    assert '\n' not in message
    assert len(message) < 200  # a line that a person reads, whatever the size of the arrays
    return message


# Encoding

@given(prompt=prompts(), size=SIZES, side=st.sampled_from([256, 512, 1024]))
def test_box_first_then_points_then_padding(
    prompt: Prompt, size: tuple[int, int], side: int,
) -> None:
    coords, labels = prompt.encode(size, side)
    corners = 0 if prompt.box is None else 2
    tokens = corners + len(prompt.points)
    assert coords.dtype == np.float32
    assert labels.dtype == np.int32
    assert labels.tolist() == (
        [2, 3][:corners] + prompt.labels.tolist() + ([-1] if tokens else []))
    assert coords.shape == (len(labels), 2)
    scale = np.array([side / size[1], side / size[0]])
    expected = np.concatenate([
        np.empty((0, 2)) if prompt.box is None else prompt.box.reshape(2, 2), prompt.points])
    # Three roundings of single precision: to it, after the division, after the product; numbers
    # next to its smallest become zero.
    np.testing.assert_allclose(coords[:tokens], expected * scale, rtol=4e-7, atol=1e-30)
    if tokens:
        assert coords[-1].tolist() == [0, 0]


def test_corners_of_the_image_are_corners_of_the_model() -> None:
    coords, _ = Prompt(box=(0, 0, 640, 480)).encode((480, 640), 1024)
    assert coords.tolist() == [[0, 0], [1024, 1024], [0, 0]]


def test_a_mask_alone_has_no_tokens() -> None:
    coords, labels = Prompt(mask=np.zeros((64, 64), np.float32)).encode((480, 640), 1024)
    assert coords.shape == (0, 2)
    assert labels.shape == (0,)


@given(prompt=prompts(), size=SIZES)
def test_same_numbers_as_the_official_transform(prompt: Prompt, size: tuple[int, int]) -> None:
    torch = pytest.importorskip('torch')
    coords, _ = prompt.encode(size, 1024)
    official = torch.as_tensor(prompt.points, dtype=torch.float).clone()
    official[..., 0] = official[..., 0] / size[1]
    official[..., 1] = official[..., 1] / size[0]
    official = official * 1024
    start = 0 if prompt.box is None else 2
    np.testing.assert_array_equal(coords[start:start + len(official)], official.numpy())


# Where a prompt lies

@given(size=SIZES, x=st.floats(0, 1, exclude_max=True), y=st.floats(0, 1, exclude_max=True))
def test_points_in_the_image(size: tuple[int, int], x: float, y: float) -> None:
    height, width = size
    Prompt(points=[(x * (width - 0.5), y * (height - 0.5))]).check_inside(size)


@pytest.mark.parametrize(('x', 'y'), [(0, 0), (639, 479), (639.99, 479.99), (0, 479.5)])
def test_points_on_the_edge_are_inside(x: float, y: float) -> None:
    Prompt(points=[(x, y)]).check_inside((480, 640))


@pytest.mark.parametrize(('x', 'y'), [
    (-0.01, 5), (5, -0.01), (640, 5), (5, 480), (479, 639), (1e30, 5), (-1e30, -1e30)])
def test_points_outside(x: float, y: float) -> None:
    prompt = Prompt(points=[(1, 1), (x, y)], labels=[1, 0])
    with pytest.raises(PromptError, match='lies outside the 640x480 image') as caught:
        prompt.check_inside((480, 640))
    assert f'point ({x:g}, {y:g})' in str(caught.value)


@pytest.mark.parametrize('box', [
    (0, 0, 640, 480), (-100, -100, 700, 500), (639.5, 479.5, 1000, 1000), (-10, -10, 0.5, 0.5),
    (-1e30, -1e30, 1e30, 1e30)])
def test_boxes_that_touch_the_image(box: tuple[float, ...]) -> None:
    Prompt(box=box).check_inside((480, 640))


@pytest.mark.parametrize('box', [
    (-10, 10, 0, 20), (10, -10, 20, 0), (640, 10, 650, 20), (10, 480, 20, 490)])
def test_boxes_beside_the_image(box: tuple[float, ...]) -> None:
    with pytest.raises(PromptError, match=r'box \(.*\) lies outside the 640x480 image'):
        Prompt(box=box).check_inside((480, 640))


def test_a_mask_is_everywhere() -> None:
    Prompt(mask=np.zeros((64, 64), np.float32)).check_inside((1, 1))


# What a prompt takes

def test_points_are_on_the_object_unless_said_otherwise() -> None:
    assert Prompt(points=[(1, 2), (3, 4)]).labels.tolist() == [1, 1]


@pytest.mark.parametrize('empty', [[], (), np.empty((0, 2)), np.empty(0)])
def test_no_points_beside_a_box(empty: Any) -> None:
    prompt = Prompt(points=empty, labels=[], box=(0, 0, 5, 5))
    assert prompt.points.shape == (0, 2)
    assert prompt.labels.shape == (0,)


@pytest.mark.parametrize('dtype', [np.float32, np.float64, np.int64, np.uint8])
def test_arrays_of_any_number_type(dtype: type) -> None:
    prompt = Prompt(points=np.array([[1, 2]], dtype), labels=np.array([0], dtype),
                    box=np.array([0, 0, 5, 5], dtype), mask=np.ones((64, 64), dtype))
    assert prompt.points.tolist() == [[1.0, 2.0]]
    assert prompt.labels.tolist() == [0]
    assert prompt.mask is not None
    assert prompt.mask.dtype == np.float32


def test_a_prompt_keeps_what_it_was_checked_with() -> None:
    points, box = np.array([[1.0, 2.0]]), np.array([0.0, 0.0, 5.0, 5.0])
    mask = np.zeros((64, 64), np.float32)
    prompt = Prompt(points=points, box=box, mask=mask)
    for array in (points, box, mask):
        array[:] = np.nan
    assert prompt.points.tolist() == [[1.0, 2.0]]
    assert prompt.box is not None
    assert prompt.box.tolist() == [0, 0, 5, 5]
    assert prompt.mask is not None
    assert not prompt.mask.any()


def test_a_prompt_can_be_read_in_a_log() -> None:
    prompt = Prompt(points=[(1, 2)], box=(0, 0, 5, 5), mask=np.zeros((64, 64), np.float32))
    assert repr(prompt) == ('Prompt(points=[[1.0, 2.0]], labels=[1], '
                            'box=[0.0, 0.0, 5.0, 5.0], mask=<(64, 64)>)')


# What it refuses

def test_nothing_at_all() -> None:
    assert refusal() == 'the prompt is empty; give at least a point, a box or a mask'
    assert refusal(labels=[]) == 'the prompt is empty; give at least a point, a box or a mask'


@pytest.mark.parametrize('number', [np.nan, np.inf, -np.inf, 1e39, -1e300])
def test_numbers_that_are_not_finite(number: float) -> None:
    mask = np.zeros((256, 256))
    mask[3, 4] = number
    assert 'points holds a number that is not finite' in refusal(points=[(1, number)])
    assert 'labels holds a number that is not finite' in refusal(points=[(1, 2)], labels=[number])
    assert 'box holds a number that is not finite' in refusal(box=(0, 0, 5, number))
    assert 'mask holds a number that is not finite' in refusal(mask=mask)


@pytest.mark.parametrize('points', [
    [('a', 'b')], [(1, 2), (3,)], [[(1, 2)], 3], {'x': 1}, object(),
    np.array([['a', 'b']] * 1000)])
def test_points_that_are_no_numbers(points: Any) -> None:
    assert refusal(points=points) == 'points holds more than numbers in equally long rows'


@pytest.mark.parametrize('points', [(1, 2), [(1, 2, 3)], [[[1, 2]]], 5])
def test_points_that_are_no_pairs(points: Any) -> None:
    assert refusal(points=points).startswith('points must be pairs (x, y), got an array of shape')


@pytest.mark.parametrize('labels', [[], [1], [1, 1, 1], [[1, 1]]])
def test_labels_that_are_not_as_many_as_points(labels: Any) -> None:
    assert refusal(points=[(1, 2), (3, 4)], labels=labels).startswith('2 points need 2 labels')


def test_labels_without_points() -> None:
    assert refusal(labels=[1], box=(0, 0, 1, 1)) == '0 points need 0 labels, got 1'


@pytest.mark.parametrize('label', [-1, 2, 3, 0.5, 255])
def test_labels_that_only_the_model_uses(label: float) -> None:
    assert 'labels must be 1 (object) or 0 (not the object)' in refusal(
        points=[(1, 2)], labels=[label])


@pytest.mark.parametrize('box', [
    (5, 0, 5, 5), (0, 5, 5, 5), (6, 0, 5, 5), (0, 6, 5, 5), (0, 0, 0, 0)])
def test_boxes_without_area(box: tuple[float, ...]) -> None:
    assert 'has no area: x0 < x1 and y0 < y1 must hold' in refusal(box=box)


@pytest.mark.parametrize('box', [(1, 2, 3), (1, 2, 3, 4, 5), [(1, 2, 3, 4)], (), 7])
def test_boxes_that_are_not_four_numbers(box: Any) -> None:
    assert refusal(box=box).startswith('a box is four numbers x0, y0, x1, y1, got shape')


@pytest.mark.parametrize('shape', [(64,), (64, 32), (1, 64, 64), ()])
def test_masks_that_are_no_square(shape: tuple[int, ...]) -> None:
    assert refusal(mask=np.zeros(shape)).startswith('a mask prompt is a square of logits')
