# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Procedural textures: a smooth or regular field of numbers, coloured with a few colours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Field = NDArray[np.float32]
Rng = np.random.Generator


def procedural_texture(rng: Rng, height: int, width: int) -> Image:
    """Return a picture uint8 [height, width, 3] of a random pattern, RGB."""
    pattern = _PATTERNS[rng.integers(len(_PATTERNS))]
    field = pattern(rng, height, width)
    if rng.random() < .5:
        field = field + rng.uniform(.03, .25) * noise(rng, height, width)
    image = _coloured(field, _palette(rng))
    if rng.random() < .5:
        grain = rng.normal(0, rng.uniform(1, 10), (height, width, 1))
        image = np.clip(image + grain, 0, 255)
    return np.asarray(image, np.uint8)


def noise(rng: Rng, height: int, width: int, roughness: float | None = None) -> Field:
    """Return fractal value noise float32 [height, width], mean 0, standard deviation 1."""
    roughness = rng.uniform(.3, .8) if roughness is None else roughness
    field = np.zeros((height, width), np.float32)
    cells = int(rng.integers(2, 6))
    weight = 1.
    for _ in range(5):
        grid = rng.normal(size=(cells, cells)).astype(np.float32)
        field += weight * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        cells, weight = 2 * cells, weight * roughness
        if cells > max(height, width):
            break
    field -= field.mean()
    return field / (field.std() + 1e-6)


def random_colour(rng: Rng) -> NDArray[np.float32]:
    """Return a colour float32 [3], 0 to 255: half of them vivid, half as things at home have."""
    hue, saturation, value = rng.random(3)
    if rng.random() < .5:
        saturation, value = .4 * saturation, .15 + .8 * value
    else:
        saturation, value = .4 + .6 * saturation, .25 + .75 * value
    hsv = np.array([[[360 * hue, saturation, value]]], np.float32)
    return 255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0]


def _palette(rng: Rng) -> NDArray[np.float32]:
    """Return colours float32 [K, 3]; some palettes are shades of one colour."""
    count = int(rng.integers(2, 5))
    if rng.random() < .5:
        shades = rng.uniform(.5, 1.2, (count, 1)).astype(np.float32)
        return np.clip(random_colour(rng) * shades, 0, 255)
    return np.stack([random_colour(rng) for _ in range(count)])


def _coloured(field: Field, palette: NDArray[np.float32]) -> NDArray[Any]:
    """Return float [h, w, 3]: the field's range, less its extremes, laid over the palette."""
    low, high = np.percentile(field[::4, ::4], (2, 98))
    position = np.clip((field - low) / (high - low + 1e-6), 0, 1) * (len(palette) - 1)
    lower = np.minimum(position.astype(np.intp), len(palette) - 2)
    share = (position - lower)[..., None]
    return palette[lower] * (1 - share) + palette[lower + 1] * share


def _coordinates(rng: Rng, height: int, width: int) -> tuple[Field, Field]:
    """Return x and y of every pixel in units of the width, turned and warped at random."""
    y, x = np.mgrid[:height, :width].astype(np.float32) / max(height, width)
    angle = rng.uniform(0, np.pi)
    x, y = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
    if rng.random() < .5:
        warp = rng.uniform(0, .05)
        x = x + warp * noise(rng, height, width, .4)
        y = y + warp * noise(rng, height, width, .4)
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


def _plain(rng: Rng, height: int, width: int) -> Field:
    return .05 * noise(rng, height, width)


def _gradient(rng: Rng, height: int, width: int) -> Field:
    return _coordinates(rng, height, width)[0]


def _stripes(rng: Rng, height: int, width: int) -> Field:
    x, _ = _coordinates(rng, height, width)
    wave = np.sin(x * rng.uniform(15, 120))
    return wave if rng.random() < .5 else _edges(wave)


def _checks(rng: Rng, height: int, width: int) -> Field:
    x, y = _coordinates(rng, height, width)
    frequency = rng.uniform(10, 60)
    return _edges(np.sin(x * frequency) * np.sin(y * frequency))


def _dots(rng: Rng, height: int, width: int) -> Field:
    x, y = _coordinates(rng, height, width)
    frequency = rng.uniform(15, 70)
    return _edges(np.cos(x * frequency) + np.cos(y * frequency) - rng.uniform(.2, 1.4))


def _tiles(rng: Rng, height: int, width: int) -> Field:
    """Tiles or bricks: each in its own shade, with joints between them."""
    x, y = _coordinates(rng, height, width)
    columns, rows = rng.uniform(3, 12, 2)
    row = np.floor(y * rows)
    shifted = x * columns + .5 * (row % 2) * (rng.random() < .5)
    shades = rng.uniform(.4, 1, 64).astype(np.float32)
    shade = shades[((np.floor(shifted) * 7 + row * 13) % 64).astype(np.intp)]
    joint = rng.uniform(.03, .12)
    return np.where((shifted % 1 < joint) | ((y * rows) % 1 < joint), np.float32(0), shade)


def _wood(rng: Rng, height: int, width: int) -> Field:
    x, y = _coordinates(rng, height, width)
    rings = x * rng.uniform(15, 50) + .6 * noise(rng, height, width, .3)
    return np.sin(rings + 2 * y) + .3 * noise(rng, height, width, .8)


def _marble(rng: Rng, height: int, width: int) -> Field:
    x, _ = _coordinates(rng, height, width)
    veins = np.sin(x * rng.uniform(5, 25) + rng.uniform(1, 3) * noise(rng, height, width))
    return np.abs(veins)


def _cells(rng: Rng, height: int, width: int) -> Field:
    """Voronoi cells: the number of the nearest of some points, in random shades."""
    count = int(rng.integers(8, 60))
    seeds = np.full((height, width), 255, np.uint8)
    points = rng.random((count, 2)) * (height, width)
    seeds[tuple(points.astype(np.intp).T)] = 0
    _, labels = cv2.distanceTransformWithLabels(
        seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    return rng.random(count + 1).astype(np.float32)[labels % (count + 1)]


def _edges(wave: Field) -> Field:
    """Make hard edges of a wave, a pixel or two wide."""
    return np.asarray(np.tanh(12 * wave), np.float32)


_PATTERNS: tuple[Callable[[Rng, int, int], Field], ...] = (
    _plain, _plain, _gradient, noise, noise, _stripes, _checks, _dots, _tiles, _wood, _wood,
    _marble, _cells)
