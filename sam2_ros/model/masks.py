# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masks at the image's size, cut out of the decoder's low-resolution logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import cv2
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
#: x0, y0, x1, y1 in whole pixels, half open.
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Mask:
    """
    Where an object is in an image.

    ``box``: x0, y0, x1, y1 in whole pixels, half open, the tightest around the object, all zero
    if there is none; ``crop`` [y1 - y0, x1 - x0] uint8: 255 on the object, 0 beside it;
    ``image_size``: (height, width); ``iou_prediction``: the model's own estimate of its IoU;
    ``object_score``: logit that the object is there at all.
    """

    box: Box
    crop: npt.NDArray[np.uint8]
    image_size: tuple[int, int]
    iou_prediction: float
    object_score: float

    @property
    def area(self) -> int:
        """Number of pixels on the object."""
        return int(cv2.countNonZero(self.crop)) if self.crop.size else 0

    @property
    def presence(self) -> float:
        """``object_score`` as a probability, 0 to 1."""
        return float(1.0 / (1.0 + np.exp(-np.float64(self.object_score))))

    def to_image(self) -> npt.NDArray[np.uint8]:
        """Return the mask at the image's size: [height, width] uint8, 0 or 255."""
        image = np.zeros(self.image_size, np.uint8)
        x0, y0, x1, y1 = self.box
        image[y0:y1, x0:x1] = self.crop
        return image


def upscale(
    logits: FloatArray, image_size: tuple[int, int], threshold: float,
) -> tuple[Box, npt.NDArray[np.uint8]]:
    """
    Scale logits [M, M] to ``(height, width)`` and cut the object out of them.

    Returns ``Mask.box`` and ``Mask.crop``. The pixels are those of
    ``SAM2Transforms.postprocess_masks`` (bilinear, half-pixel centres, no antialiasing), but only
    the part around the object is computed.
    """
    corner, scaled = _scale(logits, image_size, threshold)
    return _cut_out(scaled > threshold, corner)


def upscale_apart(
    logits: Sequence[FloatArray], image_size: tuple[int, int], threshold: float,
) -> list[tuple[Box, npt.NDArray[np.uint8]]]:
    """
    Do as :func:`upscale` for several objects of an image, none of which shall overlap.

    A pixel belongs to the object with the highest logit there, of equal ones to the first
    (``SAM2Base._apply_non_overlapping_constraints`` at the image's size).
    """
    scaled = [_scale(each, image_size, threshold) for each in logits]
    highest = np.full(image_size, threshold, np.float32)
    owner = np.full(image_size, -1, np.int32)
    for index, (corner, part) in enumerate(scaled):
        region = _region(corner, part)
        won = part > highest[region]
        highest[region][won] = part[won]
        owner[region][won] = index
    return [_cut_out(owner[_region(corner, part)] == index, corner)
            for index, (corner, part) in enumerate(scaled)]


def _scale(
    logits: FloatArray, image_size: tuple[int, int], threshold: float,
) -> tuple[tuple[int, int], FloatArray]:
    """Scale the part around the object; returns its corner (x, y) in the image, and its logits."""
    positive = (logits > threshold).astype(np.uint8)
    columns, rows, width, height = cv2.boundingRect(positive)
    if width == 0:
        return (0, 0), np.empty((0, 0), np.float32)
    top, bottom, y, out_height = _aligned(rows, rows + height, len(logits), image_size[0])
    left, right, x, out_width = _aligned(columns, columns + width, len(logits), image_size[1])
    scaled = cv2.resize(logits[top:bottom, left:right], (out_width, out_height),
                        interpolation=cv2.INTER_LINEAR)
    return (x, y), np.asarray(scaled, np.float32)


def _cut_out(
    pixels: npt.NDArray[np.bool_], corner: tuple[int, int],
) -> tuple[Box, npt.NDArray[np.uint8]]:
    """Return ``Mask.box`` and ``Mask.crop`` of the pixels at ``corner`` of an image."""
    crop = pixels.view(np.uint8)
    x0, y0, width, height = cv2.boundingRect(crop) if crop.size else (0, 0, 0, 0)
    if width == 0:  # nothing, or smaller than a pixel of the image
        return (0, 0, 0, 0), np.empty((0, 0), np.uint8)
    x, y = corner
    crop = crop[y0:y0 + height, x0:x0 + width] * np.uint8(255)
    return (x + x0, y + y0, x + x0 + width, y + y0 + height), crop


def _region(corner: tuple[int, int], part: FloatArray) -> tuple[slice, slice]:
    """Return the rows and columns of the image that ``part`` covers."""
    x, y = corner
    return slice(y, y + part.shape[0]), slice(x, x + part.shape[1])


def _aligned(first: int, last: int, size: int, image_size: int) -> tuple[int, int, int, int]:
    """
    Widen the range ``first:last`` of ``size`` logits so that it can be scaled by itself.

    Returns the range's start and end, and its start and length in the image. A neighbour on each
    side is what bilinear interpolation looks at; beyond that, start and end move outwards to where
    pixel edges of the logits and of the image coincide, so that no pixel shifts.
    """
    step = size // gcd(size, image_size)
    start = max(first - 1, 0) // step * step
    end = min(-(-(last + 1) // step) * step, size)
    return start, end, start * image_size // size, (end - start) * image_size // size
