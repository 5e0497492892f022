# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Assets as pixels: photographs and sprites at a handy size, kept in a cache folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sam2_ros.train.assets import Asset, Assets
from sam2_ros.train.errors import TrainError
from sam2_ros.train.textures import Image, Rng, procedural_texture

# Shorter side of a photograph and longer side of a sprite, in pixels, as they are kept.
_PHOTOGRAPH_SIDE = 640
_SPRITE_SIDE = 320


def default_cache() -> Path:
    """Return where scaled assets are kept: below XDG_CACHE_HOME, or ~/.cache."""
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'sam2_ros' / 'scenes'


class Material:
    """
    Photographs, sprites and textures of one split.

    :param cache: folder where scaled copies are kept; made where it is missing.
    """

    def __init__(self, assets: Assets, cache: Path) -> None:
        self.assets = assets
        self._cache = cache
        # Of this object and not of the class: one generator's pictures leave with it.
        self._photograph = lru_cache(maxsize=128)(self._read_photograph)
        self._sprite = lru_cache(maxsize=512)(self._read_sprite)

    def background(self, rng: Rng, size: int) -> Image:
        """Return uint8 [size, size, 3]: a part of a photograph, or a texture."""
        if not self.assets.photographs or rng.random() < .3:
            return procedural_texture(rng, size, size)
        return self.crop(rng, size, size)

    def texture(self, rng: Rng, height: int, width: int) -> Image:
        """Return uint8 [height, width, 3] to cover a shape with."""
        if not self.assets.photographs or rng.random() < .7:
            return procedural_texture(rng, height, width)
        return self.crop(rng, height, width)

    def crop(self, rng: Rng, height: int, width: int) -> Image:
        """Return a part of a photograph, scaled to uint8 [height, width, 3]."""
        photograph = self._photograph(int(rng.integers(len(self.assets.photographs))))
        limits = np.array(photograph.shape[:2])
        share = rng.uniform(.25, 1) * np.min(limits / (height, width))
        part = np.maximum((share * np.array([height, width])).astype(int), 8)
        top, left = rng.integers(0, np.maximum(limits - part, 0) + 1)
        crop = photograph[top:top + part[0], left:left + part[1]]
        if rng.random() < .5:
            crop = crop[:, ::-1]
        return resized(np.ascontiguousarray(crop), height, width)

    def sprite(self, rng: Rng) -> tuple[Image, str]:
        """Return a sprite uint8 [h, w, 4], RGBA, cropped to what is opaque, and its name."""
        number = int(rng.integers(len(self.assets.sprites)))
        return self._sprite(number), self.assets.sprites[number].key

    def kept_file(self, folder: str, name: str, content: Callable[[], bytes]) -> Path:
        """Return a file of the cache folder, which is made with ``content()`` if it is missing."""
        file = self._cache / folder / name
        if not file.exists():
            write_whole(file, content())
        return file

    def kept(self, folder: str, name: str, content: Callable[[], bytes]) -> Image:
        """Return a picture of the cache folder; :raises TrainError: it is damaged."""
        file = self.kept_file(folder, f'{name}.png', content)
        picture = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        if picture is None:
            raise TrainError(f'{file}: not a picture; remove it and start again')
        return _rgb(np.asarray(picture, np.uint8))

    def _read_photograph(self, number: int) -> Image:
        return self._scaled(self.assets.photographs[number], 'photograph', _scaled_photograph)

    def _read_sprite(self, number: int) -> Image:
        return self._scaled(self.assets.sprites[number], 'sprite', _scaled_sprite)

    def _scaled(self, asset: Asset, folder: str, scale: Callable[[Image], Image]) -> Image:
        name = ''.join(letter if letter.isalnum() else '_' for letter in asset.key)
        return self.kept(folder, name, lambda: encoded(scale(_decoded(asset))))


def write_whole(file: Path, content: bytes) -> None:
    """Write a file in one piece: a kill, or another process, leaves no half of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f'.{file.name}.{os.getpid()}')
    try:
        beside.write_bytes(content)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def encoded(picture: Image) -> bytes:
    """Return uint8 RGB, RGBA or grey as PNG."""
    bgr = picture if picture.ndim == 2 else picture[..., _REORDER[picture.shape[2]]]
    return cv2.imencode('.png', bgr)[1].tobytes()


def resized(picture: Image, height: int, width: int) -> Image:
    """Return a picture of another size, averaged where it shrinks."""
    shrinks = picture.shape[0] * picture.shape[1] > height * width
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (width, height), interpolation=interpolation), np.uint8)


# Between RGB and OpenCV's BGR, by the number of channels.
_REORDER = {3: [2, 1, 0], 4: [2, 1, 0, 3]}


def _rgb(picture: NDArray[np.uint8]) -> Image:
    return np.ascontiguousarray(picture[..., _REORDER[picture.shape[2]]])


def _decoded(asset: Asset) -> Image:
    """Return uint8 [h, w, 3 or 4], RGB or RGBA; :raises TrainError: not a picture."""
    content = _glyph(asset) if asset.glyph else asset.file.read_bytes()
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.size == 0:
        raise TrainError(f'{asset.file}: not a picture')
    if picture.dtype == np.uint16:
        picture = picture // 257
    if picture.ndim == 2:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    return _rgb(np.asarray(picture, np.uint8))


def _glyph(asset: Asset) -> bytes:
    content: bytes = _strike(asset.file)[asset.glyph].imageData
    return content


@lru_cache(maxsize=1)
def _strike(font: Path) -> dict[str, Any]:
    from fontTools.ttLib import TTFont

    strike: dict[str, Any] = TTFont(font)['CBDT'].strikeData[0]
    return strike


def _scaled_photograph(picture: Image) -> Image:
    scale = min(1, _PHOTOGRAPH_SIDE / min(picture.shape[:2]))
    height, width = (max(1, round(scale * side)) for side in picture.shape[:2])
    return resized(np.ascontiguousarray(picture[..., :3]), height, width)


def _scaled_sprite(picture: Image) -> Image:
    if picture.shape[2] == 3:
        picture = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    left, top, width, height = cv2.boundingRect((picture[..., 3] > 127).astype(np.uint8))
    if width * height == 0:
        # Nothing opaque in it: one transparent pixel, which no scene shows.
        return np.zeros((1, 1, 4), np.uint8)
    picture = picture[top:top + height, left:left + width]
    # Some drawings have a hundred million pixels; four to a side are enough to average.
    every = max(1, max(height, width) // (4 * _SPRITE_SIDE))
    picture = picture[::every, ::every]
    height, width = picture.shape[:2]
    scale = min(1, _SPRITE_SIDE / max(height, width))
    # Colour counts by its opacity, or the edges take the colour of what cannot be seen.
    alpha = picture[..., 3:].astype(np.float32) / 255
    target = max(1, round(scale * width)), max(1, round(scale * height))
    premultiplied = cv2.resize(np.concatenate([picture[..., :3] * alpha, alpha], 2), target,
                               interpolation=cv2.INTER_AREA)
    opacity = premultiplied[..., 3:]
    colour = premultiplied[..., :3] / np.maximum(opacity, 1e-3)
    return np.clip(np.concatenate([colour, 255 * opacity], 2) + .5, 0, 255).astype(np.uint8)
