# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Prompts made from the true mask, as a person who sees the object would give them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from sam2_ros.evaluate.accuracy import Mask
from sam2_ros.model.prompts import NEGATIVE, POSITIVE, Prompt

#: Random points inside the mask, the same ones: the first, the first three, all five.
POINTS = {'1-point': 1, '3-points': 3, '5-points': 5}
CENTRE, BOX, JITTERED_BOX = 'centre', 'box', 'jittered-box'
#: Prompts that are one `Prompt`.
SINGLE_PROMPTS = (*POINTS, CENTRE, BOX, JITTERED_BOX)
#: Share of its width and height by which the sides of a box are moved at most.
JITTER = 0.1


class Click(NamedTuple):
    """A point in pixels of the image, and its label: 1 on the object, 0 beside it."""

    x: int
    y: int
    label: int


def make_prompts(names: Sequence[str], truth: Mask, seed: Sequence[int]) -> dict[str, Prompt]:
    """
    Return the named ones of ``SINGLE_PROMPTS`` for an object.

    :param truth: its mask [height, width], not empty.
    :param seed: what makes the random ones the same each time, of ``seed_of``.
    """
    # All are drawn, whichever are wanted: a choice of names must not change the others.
    random = np.random.default_rng(list(seed))
    points = _inner_points(truth, max(POINTS.values()), random)
    box = box_of(truth)
    jittered = _jittered(box, truth.shape, random)
    made = {name: Prompt(points=points[:count]) for name, count in POINTS.items()}
    centre = centre_click(truth)
    made[CENTRE] = Prompt(points=[(centre.x, centre.y)])
    made[BOX], made[JITTERED_BOX] = Prompt(box=box), Prompt(box=jittered)
    return {name: made[name] for name in names if name in made}


def seed_of(seed: int, what: object) -> tuple[int, int]:
    """Return what makes a random choice the same each time, whatever else is evaluated."""
    return seed, zlib.crc32(str(what).encode())


def centre_click(truth: Mask) -> Click:
    """Return the point of an object that is farthest from its boundary and the image's edge."""
    return _deepest(truth)[1]


def next_click(truth: Mask, answer: Mask) -> Click | None:
    """
    Return where a person clicks next, None where nothing is wrong.

    The point of what is missed, or of what is too much, that is farthest from the boundary of
    this error; ``sam2.modeling.sam2_utils.sample_one_point_from_error_center``, which is RITM's
    (Sofiiuk et al., 2021, "Reviving Iterative Training with Mask Guidance").
    """
    missed, on_object = _deepest(truth & ~answer)
    too_much, beside = _deepest(answer & ~truth)
    if missed == too_much == 0.0:
        return None
    return on_object if missed > too_much else beside._replace(label=NEGATIVE)


def box_of(truth: Mask) -> tuple[float, float, float, float]:
    """Return the tightest box around a mask: x0, y0, x1, y1, edges of pixels."""
    x, y, width, height = cv2.boundingRect(truth.astype(np.uint8))
    return float(x), float(y), float(x + width), float(y + height)


def _inner_points(
    truth: Mask, count: int, random: np.random.Generator,
) -> npt.NDArray[np.float64]:
    """Draw pixels of the mask, none twice unless there are too few: [count, 2], (x, y)."""
    inside = np.flatnonzero(truth)
    chosen = random.choice(inside, count, replace=len(inside) < count)
    y, x = np.unravel_index(chosen, truth.shape)
    return np.stack([x, y], axis=1).astype(np.float64)


def _jittered(
    box: Sequence[float], image_size: Sequence[int], random: np.random.Generator,
) -> tuple[float, float, float, float]:
    """Move each side by up to ``JITTER`` of the box, within the image."""
    x0, y0, x1, y1 = box
    height, width = image_size[0], image_size[1]
    left, top, right, bottom = JITTER * random.uniform(-1.0, 1.0, 4)
    return (
        max(x0 + left * (x1 - x0), 0.0), max(y0 + top * (y1 - y0), 0.0),
        min(x1 + right * (x1 - x0), float(width)), min(y1 + bottom * (y1 - y0), float(height)))


def _deepest(region: Mask) -> tuple[float, Click]:
    """Return the largest distance of a pixel to the region's boundary, and that pixel."""
    # What lies beyond the image's edge is not in the region either.
    padded = np.pad(region.astype(np.uint8), 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    y, x = np.unravel_index(int(distance.argmax()), region.shape)
    return float(distance[y, x]), Click(int(x), int(y), POSITIVE)
