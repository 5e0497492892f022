# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every benchmark looks at: a picture like a photograph, and points on it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sam2_ros.model.prompts import Prompt

_OBJECTS = 12
#: Four standard deviations of the texture, black to white being 1.
_TEXTURE = 0.7


def make_picture(width: int, height: int) -> npt.NDArray[np.uint8]:
    """
    Return a picture [height, width, 3] uint8 RGB, always the same for a size.

    Shaded ellipses over a texture whose amplitude falls as one over the frequency, as it does in
    photographs (Field, 1987, "Relations between the statistics of natural images and ...").
    """
    random = np.random.default_rng(0)
    picture = np.stack([_texture(random, width, height) for _ in range(3)], axis=-1)
    y, x = np.mgrid[0:height, 0:width]
    for _ in range(_OBJECTS):
        center_x, center_y = random.uniform(0, width), random.uniform(0, height)
        half_width, half_height = random.uniform(0.05, 0.2, 2) * min(width, height)
        u, v = (x - center_x) / half_width, (y - center_y) / half_height
        inside = u * u + v * v < 1.0
        shade = 0.8 + 0.2 * (u - v)[inside, None]
        picture[inside] = 0.5 * picture[inside] + 0.5 * random.uniform(0, 1, 3) * shade
    return (255.0 * picture.clip(0.0, 1.0)).astype(np.uint8)


def make_prompts(count: int, width: int, height: int) -> list[Prompt]:
    """Return one point for each of ``count`` objects, spread over the picture; always the same."""
    random = np.random.default_rng(count)
    points = random.uniform((0.1 * width, 0.1 * height), (0.9 * width, 0.9 * height), (count, 2))
    return [Prompt(points=[(float(x), float(y))]) for x, y in points]


def _texture(
    random: np.random.Generator, width: int, height: int,
) -> npt.NDArray[np.float64]:
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = np.inf  # no offset
    spectrum = np.fft.rfft2(random.standard_normal((height, width))) / frequency
    texture = np.fft.irfft2(spectrum, (height, width))
    return np.asarray(0.5 + _TEXTURE / 4 * texture / max(float(texture.std()), 1e-9))
