# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Photographs from files and masks from and to files."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from sam2_ros.model.errors import ImageError


def read_photo(file: Path) -> npt.NDArray[np.uint8]:
    """
    Return a photograph as [height, width, 3] uint8 RGB.

    It is turned upright as its EXIF orientation says. Grey becomes RGB, 16 bits become 8, and an
    alpha channel is dropped, as Pillow's ``convert('RGB')`` does in the official examples.

    :raises ImageError: the file is missing, unreadable or not a picture.
    """
    return cv2.cvtColor(_decode(file, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB).astype(
        np.uint8, copy=False)


def read_mask(file: Path, image_size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """
    Return where a mask picture of ``(height, width)`` is not black, as [height, width] bool.

    :raises ImageError: the file is missing, unreadable, not a picture, or of another size.
    """
    pixels = _decode(file, cv2.IMREAD_COLOR)
    if pixels.shape[:2] != image_size:
        raise ImageError(
            f'{file}: the mask is {pixels.shape[1]}x{pixels.shape[0]}, but the photo is '
            f'{image_size[1]}x{image_size[0]}')
    return np.asarray(pixels.any(axis=2))


def write_png(file: Path, image: npt.NDArray[np.uint8]) -> None:
    """
    Write [height, width] grey or [height, width, 3] RGB uint8 as PNG.

    :raises ImageError: the file cannot be written.
    """
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    try:
        file.write_bytes(cv2.imencode('.png', pixels)[1].tobytes())
    except OSError as error:
        raise ImageError(f'{file}: cannot be written ({error.strerror})') from None


def write_palette_png(
    file: Path, labels: npt.NDArray[np.uint8], palette: Sequence[tuple[int, int, int]],
) -> None:
    """
    Write labels [height, width] uint8 as a PNG whose pixels are numbers in a palette (RGB).

    This is how DAVIS stores the objects of a frame. OpenCV cannot write it.

    :raises ImageError: the file cannot be written.
    """
    height, width = labels.shape
    rows = np.pad(labels, ((0, 0), (1, 0)))  # each begins with its filter: none
    chunks = (
        (b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 3, 0, 0, 0)),
        (b'PLTE', np.array(palette, np.uint8).tobytes()),
        (b'IDAT', zlib.compress(rows.tobytes())),
        (b'IEND', b''))
    content = b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        for kind, data in chunks)
    try:
        file.write_bytes(content)
    except OSError as error:
        raise ImageError(f'{file}: cannot be written ({error.strerror})') from None


def _decode(file: Path, flags: int) -> npt.NDArray[np.uint8]:
    # Reading the bytes here, and not in OpenCV, tells a missing file from a broken one, and
    # works for every path on every system.
    try:
        content = np.frombuffer(file.read_bytes(), np.uint8)
    except OSError as error:
        raise ImageError(f'{file}: cannot be read ({error.strerror})') from None
    try:
        pixels = cv2.imdecode(content, flags) if content.size else None
    except cv2.error as error:
        raise ImageError(f'{file}: cannot be decoded ({error.err})') from None
    if pixels is None:
        raise ImageError(
            f'{file}: not a picture that OpenCV can decode (JPEG, PNG, WebP, TIFF, BMP), or it '
            'is damaged')
    return pixels.astype(np.uint8, copy=False)
