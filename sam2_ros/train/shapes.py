# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cut-outs without assets: textured and shaded blobs, polygons, rings, letters, and unions."""

from __future__ import annotations

import string
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from sam2_ros.train.layers import CutOut
from sam2_ros.train.material import Material, resized
from sam2_ros.train.textures import Rng

Mask = NDArray[np.uint8]
# Side of the pictures that shapes are drawn in, and how much finer their edges are drawn.
_SIDE = 160
_FINER = 2
_LETTERS = string.ascii_uppercase + string.digits + '&?!@#%'


def random_shape(rng: Rng, material: Material) -> CutOut:
    """Return a textured shape; one in three is made of two to four parts."""
    outlines = [_outline(rng)]
    if rng.random() < .33:
        outlines += [_moved(rng, _outline(rng)) for _ in range(rng.integers(1, 4))]
    picture = np.zeros((_SIDE, _SIDE, 4), np.float32)
    relief = rng.random() < .6
    for outline in outlines:
        alpha = resized(outline, _SIDE, _SIDE)
        colour = material.texture(rng, _SIDE, _SIDE).astype(np.float32)
        if relief:
            colour *= _shading(rng, alpha)[..., None]
        opacity = alpha[..., None].astype(np.float32) / 255
        picture[..., :3] = picture[..., :3] * (1 - opacity) + colour * opacity
        picture[..., 3:] = np.maximum(picture[..., 3:], 255 * opacity)
    opacity = np.maximum(picture[..., 3:] / 255, 1e-3)
    picture[..., :3] = np.where(picture[..., 3:] < 255, picture[..., :3] / opacity,
                                picture[..., :3])
    shape = np.clip(picture, 0, 255).astype(np.uint8)
    left, top, width, height = cv2.boundingRect((shape[..., 3] > 127).astype(np.uint8))
    return CutOut(np.ascontiguousarray(shape[top:top + height, left:left + width]), 'shape')


def _outline(rng: Rng) -> Mask:
    """Return uint8 [side, side], 0 or 255, drawn finer than it is used."""
    mask = np.zeros((_SIDE * _FINER, _SIDE * _FINER), np.uint8)
    draw = _OUTLINES[rng.integers(len(_OUTLINES))]
    draw(rng, mask)
    return mask if mask.any() else _outline(rng)


def _fill(mask: Mask, points: NDArray[np.float64]) -> None:
    """Fill a curve of points [N, 2], -1 to 1, scaled into the mask."""
    points = points / max(1, np.abs(points).max())
    side = mask.shape[0]
    pixels = np.round((.5 + .48 * points) * side).astype(np.int32)
    cv2.fillPoly(mask, [pixels], 255)


def _blob(rng: Rng, mask: Mask) -> None:
    """Fill a closed curve whose radius is a sum of few waves."""
    angle = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    waves = np.arange(1, 7)[:, None]
    amplitude = rng.normal(size=(6, 1)) * rng.uniform(.1, .5) / waves
    radius = np.exp((amplitude * np.cos(waves * angle + rng.uniform(0, 7, (6, 1)))).sum(0))
    stretch = [1, rng.uniform(.35, 1)]
    curve = (radius * [np.cos(angle), np.sin(angle)]).T * stretch
    _fill(mask, curve / np.abs(curve).max())


def _polygon(rng: Rng, mask: Mask) -> None:
    """Fill a convex or star-shaped polygon of 3 to 9 corners."""
    count = int(rng.integers(3, 10))
    angle = np.sort(rng.uniform(0, 2 * np.pi, count)) if rng.random() < .5 else (
        np.arange(count) * 2 * np.pi / count)
    radius = rng.uniform(.4, 1, count) if rng.random() < .5 else np.ones(count)
    _fill(mask, (radius * [np.cos(angle), np.sin(angle)]).T)


def _star(rng: Rng, mask: Mask) -> None:
    count = int(rng.integers(4, 10))
    angle = np.arange(2 * count) * np.pi / count
    radius = np.where(np.arange(2 * count) % 2, rng.uniform(.25, .8), 1)
    _fill(mask, (radius * [np.cos(angle), np.sin(angle)]).T)


def _superellipse(rng: Rng, mask: Mask) -> None:
    """Fill what lies between a rhombus, an ellipse and a rectangle, of any proportions."""
    angle = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    wave = np.array([np.cos(angle), np.sin(angle)])
    power = rng.choice([.15, .3, 1, 1, 1.6])
    curve = np.sign(wave) * np.abs(wave) ** power
    _fill(mask, curve.T * [1, rng.uniform(.12, 1)])


def _ring(rng: Rng, mask: Mask) -> None:
    """Draw a part of a ring, or all of it: the only shape with a hole."""
    side = mask.shape[0]
    thickness = round(side * rng.uniform(.06, .22))
    axes = round(.36 * side), round(.36 * side * rng.uniform(.5, 1))
    end = 360 if rng.random() < .6 else rng.uniform(120, 330)
    cv2.ellipse(mask, (side // 2, side // 2), axes, 0, 0, end, 255, thickness)


def _stroke(rng: Rng, mask: Mask) -> None:
    """Draw a thick smooth line: cables, sticks, bananas."""
    side = mask.shape[0]
    corners = rng.uniform(-.8, .8, (4, 2))
    share = np.linspace(0, 1, 40)[:, None]
    curve = sum(weight * corner for weight, corner in zip(
        ((1 - share) ** 3, 3 * share * (1 - share) ** 2, 3 * share ** 2 * (1 - share), share ** 3),
        corners, strict=True))
    pixels = np.round((.5 + .48 * np.asarray(curve)) * side).astype(np.int32)
    cv2.polylines(mask, [pixels], False, 255, round(side * rng.uniform(.05, .2)))


def _letter(rng: Rng, mask: Mask) -> None:
    letter = _LETTERS[rng.integers(len(_LETTERS))]
    font = int(rng.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_TRIPLEX,
                           cv2.FONT_HERSHEY_COMPLEX]))
    side = mask.shape[0]
    scale, thickness = side / 40, int(rng.integers(side // 16, side // 7))
    (width, height), _ = cv2.getTextSize(letter, font, scale, thickness)
    cv2.putText(mask, letter, ((side - width) // 2, (side + height) // 2), font, scale, 255,
                thickness)


_OUTLINES: tuple[Callable[[Rng, Mask], None], ...] = (
    _blob, _blob, _blob, _blob, _polygon, _polygon, _star, _superellipse, _superellipse,
    _superellipse, _ring, _stroke, _letter)


def _moved(rng: Rng, mask: Mask) -> Mask:
    """Return a smaller copy of an outline, somewhere else but not far: another part."""
    side = mask.shape[0]
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(0, 360), rng.uniform(.3, .7))
    turn[:, 2] += rng.uniform(-.22, .22, 2) * side
    return np.asarray(cv2.warpAffine(mask, turn, (side, side)), np.uint8)


def _shading(rng: Rng, alpha: Mask) -> NDArray[np.float32]:
    """Return factors float32 [h, w]: light from one side on a body that bulges."""
    depth = cv2.distanceTransform((np.pad(alpha, 1) > 127).astype(np.uint8), cv2.DIST_L2, 5)
    height = np.sqrt(np.minimum(depth, rng.uniform(3, 60)))[1:-1, 1:-1]
    height = cv2.GaussianBlur(height, (0, 0), rng.uniform(1, 5))
    slope_y, slope_x = np.gradient(height)
    angle = rng.uniform(0, 2 * np.pi)
    light = np.cos(angle) * slope_x + np.sin(angle) * slope_y
    return np.clip(1 + rng.uniform(.5, 2) * light, .35, 1.6).astype(np.float32)
