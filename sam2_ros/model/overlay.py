# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures for people: masks and prompts drawn over the image."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from sam2_ros.model.masks import Mask
from sam2_ros.model.prompts import POSITIVE, Prompt

#: Steps of the golden ratio around the colour wheel keep neighbouring ids far apart.
_GOLDEN_RATIO = 0.618034
_GREEN, _RED, _WHITE = (0, 220, 0), (230, 0, 0), (255, 255, 255)


def object_colour(object_id: int) -> tuple[int, int, int]:
    """Return the RGB colour (0..255) of an object id, always the same for the same id."""
    red, green, blue = colorsys.hsv_to_rgb(object_id * _GOLDEN_RATIO % 1.0, 0.85, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_overlay(
    image: npt.NDArray[np.uint8],
    masks: Iterable[tuple[int, Mask]],
    prompts: Sequence[Prompt] = (),
    opacity: float = 0.5,
    absent: Sequence[tuple[int, str]] = (),
) -> npt.NDArray[np.uint8]:
    """
    Return a copy of ``image`` [H, W, 3] uint8 RGB with objects tinted and outlined.

    ``masks``: (object id, mask) pairs of this image; ``prompts``: drawn as green (on the object)
    and red points and white boxes; ``opacity`` of the tint from 0 to 1; ``absent``: (object id,
    state) of objects without a mask, written in their colours in the upper left corner.
    """
    picture = image.copy()
    thickness = max(1, round(min(image.shape[:2]) / 300))
    for object_id, mask in masks:
        _tint(picture, mask, object_colour(object_id), opacity, thickness)
    for prompt in prompts:
        _draw_prompt(picture, prompt, thickness)
    for line, (object_id, state) in enumerate(absent):
        _write(picture, line, f'{object_id} {state}', object_colour(object_id))
    return picture


def _tint(
    picture: npt.NDArray[np.uint8], mask: Mask, colour: tuple[int, int, int], opacity: float,
    thickness: int,
) -> None:
    x0, y0, x1, y1 = mask.box
    if not mask.crop.size:
        return
    region = picture[y0:y1, x0:x1]
    plain = np.full_like(region, colour)
    cv2.copyTo(cv2.addWeighted(region, 1.0 - opacity, plain, opacity, 0.0), mask.crop, region)
    contours, _ = cv2.findContours(mask.crop, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, contours, -1, colour, thickness, offset=(x0, y0))


def _draw_prompt(picture: npt.NDArray[np.uint8], prompt: Prompt, thickness: int) -> None:
    # OpenCV takes 32-bit numbers. What is this far outside the picture shows nothing in it.
    margin = 8 * thickness
    limits = np.array(picture.shape[1::-1]) + margin
    if prompt.box is not None:
        corners = np.rint(np.clip(prompt.box.reshape(2, 2), -margin, limits)).astype(int)
        cv2.rectangle(picture, corners[0].tolist(), corners[1].tolist(), _WHITE, thickness)
    for point, label in zip(prompt.points, prompt.labels, strict=True):
        centre = np.clip(point, -margin, limits).astype(int).tolist()
        cv2.circle(picture, centre, 4 * thickness, _GREEN if label == POSITIVE else _RED, -1)
        cv2.circle(picture, centre, 4 * thickness, _WHITE, thickness)


def _write(
    picture: npt.NDArray[np.uint8], line: int, text: str, colour: tuple[int, int, int],
) -> None:
    """Write a line of text, counted from the top, on black, which suits every picture."""
    scale = max(0.4, min(picture.shape[:2]) / 800)
    thickness = max(1, round(2 * scale))
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    margin, step = height // 2, 2 * height + below
    top = margin + line * step
    cv2.rectangle(
        picture, (margin, top), (2 * margin + width + margin, top + step - 1), (0, 0, 0), -1)
    cv2.putText(picture, text, (2 * margin, top + margin + height), cv2.FONT_HERSHEY_SIMPLEX, scale,
                colour, thickness, cv2.LINE_AA)
