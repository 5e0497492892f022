# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Overlays: tint, outline and prompts where they belong, and nothing else changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_ros.model import Mask, Prompt, draw_overlay
from sam2_ros.model.image_files import read_photo
from sam2_ros.model.overlay import object_colour

Image = npt.NDArray[np.uint8]

WHITE = [255, 255, 255]


@pytest.fixture
def photo(photos: Path) -> Image:
    """Return coffee.png, 600 x 400."""
    return read_photo(photos / 'coffee.png')


def rectangle(size: tuple[int, int], x0: int, y0: int, x1: int, y1: int) -> Mask:
    crop = np.full((y1 - y0, x1 - x0), 255, np.uint8)
    return Mask((x0, y0, x1, y1), crop, size, 0.9, 5.0)


def changed(picture: Image, photo: Image) -> npt.NDArray[np.bool_]:
    return np.asarray((picture != photo).any(axis=2))


def test_nothing_to_draw(photo: Image) -> None:
    picture = draw_overlay(photo, [])
    np.testing.assert_array_equal(picture, photo)
    assert not np.shares_memory(picture, photo)


def test_the_photo_stays_as_it_is(photo: Image) -> None:
    before = photo.copy()
    draw_overlay(photo, [(1, rectangle((400, 600), 100, 50, 300, 250))],
                 [Prompt(points=[(200, 150)], box=(90, 40, 310, 260))])
    np.testing.assert_array_equal(photo, before)


def test_the_object_is_tinted_and_outlined_in_its_colour(photo: Image) -> None:
    picture = draw_overlay(photo, [(7, rectangle((400, 600), 100, 50, 300, 250))])
    colour = np.array(object_colour(7))
    inside = np.s_[55:245, 105:295]
    # Half the photo and half the colour, rounded.
    assert np.abs(picture[inside] - (photo[inside] + colour) / 2).max() <= 0.5
    assert (picture[50, 100:300] == colour).all()
    outside = np.ones((400, 600), bool)
    outside[48:252, 98:302] = False  # the outline is a pixel wide at this size
    assert not changed(picture, photo)[outside].any()


def test_a_hole_is_not_tinted(photo: Image) -> None:
    mask = rectangle((400, 600), 100, 50, 300, 250)
    mask.crop[60:140, 60:140] = 0
    picture = draw_overlay(photo, [(7, mask)])
    assert not changed(picture, photo)[112:188, 162:238].any()


@pytest.mark.parametrize('opacity', [0.0, 1.0])
def test_opacity(photo: Image, opacity: float) -> None:
    picture = draw_overlay(
        photo, [(3, rectangle((400, 600), 100, 50, 300, 250))], opacity=opacity)
    inside = np.s_[60:240, 110:290]
    expected = photo[inside] if not opacity else np.full_like(photo[inside], object_colour(3))
    np.testing.assert_array_equal(picture[inside], expected)


def test_an_object_that_is_not_there_changes_nothing(photo: Image) -> None:
    nothing = Mask((0, 0, 0, 0), np.empty((0, 0), np.uint8), (400, 600), 0.1, -5.0)
    np.testing.assert_array_equal(draw_overlay(photo, [(1, nothing)]), photo)


def test_points_and_boxes(photo: Image) -> None:
    prompt = Prompt(points=[(200, 150), (400, 300)], labels=[1, 0], box=(50, 60, 500, 350))
    picture = draw_overlay(photo, [], [prompt])
    red, green, blue = picture[150, 200].tolist()
    assert green > 200 > 50 > max(red, blue)
    red, green, blue = picture[300, 400].tolist()
    assert red > 200 > 50 > max(green, blue)
    for row, column in ((60, 300), (350, 300), (200, 50), (200, 500)):
        assert picture[row, column].tolist() == WHITE


def test_a_mask_prompt_draws_nothing(photo: Image) -> None:
    prompt = Prompt(mask=np.ones((64, 64), np.float32))
    np.testing.assert_array_equal(draw_overlay(photo, [], [prompt]), photo)


@given(
    x=st.floats(-1e30, 1e30), y=st.floats(-1e30, 1e30), width=st.floats(1, 1e30),
    height=st.floats(1, 1e30))
def test_prompts_may_lie_anywhere(x: float, y: float, width: float, height: float) -> None:
    """Detectors draw boxes over the edge; OpenCV takes no number beyond 32 bits."""
    image = np.zeros((40, 60, 3), np.uint8)
    if x < x + width and y < y + height:
        draw_overlay(image, [], [Prompt(points=[(x, y)], box=(x, y, x + width, y + height))])


def test_a_box_over_the_edge_shows_the_edges_that_are_inside() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    picture = draw_overlay(image, [], [Prompt(box=(-1e12, 10, 30, 1e12))])
    expected = np.zeros((40, 60), bool)
    expected[10, :31] = True
    expected[10:, 30] = True
    np.testing.assert_array_equal(changed(picture, image), expected)


@given(data=st.data(), height=st.integers(1, 40), width=st.integers(1, 40))
def test_objects_of_any_place_and_size(
    data: st.DataObject, height: int, width: int,
) -> None:
    x0, y0 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    x1, y1 = data.draw(st.integers(x0 + 1, width)), data.draw(st.integers(y0 + 1, height))
    image = np.zeros((height, width, 3), np.uint8)
    picture = draw_overlay(image, [(1, rectangle((height, width), x0, y0, x1, y1))])
    assert changed(picture, image)[y0:y1, x0:x1].all()


def test_objects_without_a_mask_are_named_in_the_corner(photo: Image) -> None:
    picture = draw_overlay(photo, [], absent=[(3, 'occluded'), (12, 'lost')])
    touched = changed(picture, photo)
    rows, columns = np.nonzero(touched)
    assert rows.max() < 70
    assert columns.max() < 150
    for object_id in (3, 12):
        assert (picture[:70, :150] == object_colour(object_id)).all(axis=2).any()


@given(height=st.integers(1, 40), width=st.integers(1, 40))
def test_a_picture_too_small_for_words(height: int, width: int) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    assert draw_overlay(image, [], absent=[(1, 'occluded')] * 3).shape == image.shape


def test_views_of_an_image(photo: Image) -> None:
    mask = rectangle((400, 600), 100, 50, 300, 250)
    reversed_view = photo[:, :, ::-1]
    np.testing.assert_array_equal(
        draw_overlay(reversed_view, [(1, mask)]),
        draw_overlay(np.ascontiguousarray(reversed_view), [(1, mask)]))


def test_colours_of_neighbouring_ids_differ() -> None:
    colours = [object_colour(number) for number in range(1, 9)]
    assert object_colour(5) == object_colour(5)
    for index, colour in enumerate(colours):
        for other in colours[index + 1:]:
            # A third of a channel: seen side by side by everybody who sees colours.
            assert max(abs(a - b) for a, b in zip(colour, other, strict=True)) > 50
    assert all(0 <= channel <= 255 for number in (0, 1, 65535) for channel in
               object_colour(number))
