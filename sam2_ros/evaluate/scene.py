# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every benchmark looks at: a picture like a photograph, and points on it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sam2_ros.model.prompts import Prompt

_OBJECTS = 12
#: Pictures that a changing scene is made of.
_PICTURES = 8
#: Four standard deviations of the texture, black to white being 1.
_TEXTURE = 0.7


def make_picture(width: int, height: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """
    Return a picture [height, width, 3] uint8 RGB, always the same for a size and seed.

    Shaded ellipses over a texture whose amplitude falls as one over the frequency, as it does in
    photographs (Field, 1987, "Relations between the statistics of natural images and ...").
    """
    random = np.random.default_rng(seed)
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


def make_points(count: int, width: int, height: int) -> Prompt:
    """Return a prompt of so many points, all on one object and spread over it; always the same."""
    random = np.random.default_rng(count)
    points = random.uniform((0.4 * width, 0.4 * height), (0.6 * width, 0.6 * height), (count, 2))
    return Prompt(points=points)


class ChangingScene:
    """
    Another picture, and another point on it, in every run; the same ones every time.

    A few pictures, shifted and mirrored: to make a new one takes longer than to segment it.
    """

    def __init__(self, width: int, height: int) -> None:
        self._size = width, height
        self._pictures = [make_picture(width, height, seed) for seed in range(_PICTURES)]

    def __call__(self, run: int) -> tuple[npt.NDArray[np.uint8], Prompt]:
        """Return picture and prompt of a run."""
        width, height = self._size
        random = np.random.default_rng(run)
        shift = random.integers((0, 0), (height, width))
        picture = np.roll(self._pictures[run % _PICTURES], shift.tolist(), axis=(0, 1))
        point = random.uniform((0.1 * width, 0.1 * height), (0.9 * width, 0.9 * height))
        picture = picture[:, ::random.choice((-1, 1))]
        return np.ascontiguousarray(picture), Prompt(points=point[None])


def _texture(
    random: np.random.Generator, width: int, height: int,
) -> npt.NDArray[np.float64]:
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = np.inf  # no offset
    spectrum = np.fft.rfft2(random.standard_normal((height, width))) / frequency
    texture = np.fft.irfft2(spectrum, (height, width))
    return np.asarray(0.5 + _TEXTURE / 4 * texture / max(float(texture.std()), 1e-9))
