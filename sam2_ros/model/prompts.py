# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a person or a node says about one object: points, a box, a mask, or several of these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2_ros.model.errors import PromptError

NEGATIVE, POSITIVE = 0, 1
#: Labels of a box's corners, and of the padding point that the official predictor appends
#: (``sam2.modeling.sam.prompt_encoder.PromptEncoder._embed_points``).
BOX_FIRST_CORNER, BOX_SECOND_CORNER, PADDING = 2, 3, -1


class Prompt:
    """
    A prompt for one object.

    ``points`` [N, 2] float64: (x, y) in pixels of the image; ``labels`` [N] int32: 1 for points
    on the object (the default for all), 0 for points beside it; ``box`` [4] float64: x0, y0, x1,
    y1 in pixels, or None; ``mask`` [M, M] float32: low-resolution logits of an earlier answer, or
    None.

    :raises PromptError: there is nothing in it, a number is not finite, the shapes do not fit, a
        label is neither 0 nor 1, or the box has no area.
    """

    def __init__(
        self,
        points: Sequence[Sequence[float]] | npt.NDArray[Any] = (),
        labels: Sequence[int] | npt.NDArray[Any] | None = None,
        box: Sequence[float] | npt.NDArray[Any] | None = None,
        mask: npt.NDArray[Any] | None = None,
    ) -> None:
        self.points = _points(points)
        self.labels = _labels(labels, len(self.points))
        self.box = None if box is None else _box(box)
        self.mask = None if mask is None else _mask(mask)
        if not len(self.points) and self.box is None and self.mask is None:
            raise PromptError('the prompt is empty; give at least a point, a box or a mask')

    def check_inside(self, image_size: tuple[int, int]) -> None:
        """
        Check the prompt against an image of ``(height, width)`` pixels.

        :raises PromptError: a point lies outside, or the box lies wholly outside. A box that
            reaches over the edge is fine: detectors draw such boxes.
        """
        height, width = image_size
        for x, y in self.points:
            if not (0 <= x < width and 0 <= y < height):
                raise PromptError(
                    f'point ({x:g}, {y:g}) lies outside the {width}x{height} image')
        if self.box is not None:
            x0, y0, x1, y1 = self.box
            if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
                raise PromptError(
                    f'box ({x0:g}, {y0:g}, {x1:g}, {y1:g}) lies outside the '
                    f'{width}x{height} image')

    def encode(
        self, image_size: tuple[int, int], model_size: int,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
        """
        Return the coordinates [T, 2] and labels [T] that the decoder takes.

        As :meth:`scale` gives them, and a padding point last, as in
        ``SAM2ImagePredictor._predict``; T is 0 for a mask alone.
        """
        coords, labels = self.scale(image_size, model_size)
        return pad(coords, labels) if len(coords) else (coords, labels)

    def scale(
        self, image_size: tuple[int, int], model_size: int,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
        """
        Return coordinates [T, 2] in pixels of the model's square picture, and labels [T].

        The box's corners come before the points (``SAM2Transforms.transform_coords``).
        """
        height, width = image_size
        corners = np.empty((0, 2)) if self.box is None else self.box.reshape(2, 2)
        coords = np.concatenate([corners, self.points])
        labels = np.concatenate([
            np.array([BOX_FIRST_CORNER, BOX_SECOND_CORNER][:len(corners)], np.int32), self.labels])
        # In single precision, in the official order of operations, so that no digit differs.
        scaled = coords.astype(np.float32) / np.array([width, height], np.float32)
        return scaled * np.float32(model_size), labels.astype(np.int32)

    def __repr__(self) -> str:
        mask = None if self.mask is None else f'<{self.mask.shape}>'
        box = None if self.box is None else self.box.tolist()
        return (f'Prompt(points={self.points.tolist()}, labels={self.labels.tolist()}, '
                f'box={box}, mask={mask})')


def pad(
    coords: npt.NDArray[np.float32], labels: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Append a padding point to coordinates [T, 2] and labels [T]."""
    return (np.concatenate([coords, np.zeros((1, 2), np.float32)]),
            np.append(labels, np.int32(PADDING)))


def _array(values: Any, what: str) -> npt.NDArray[np.float64]:
    """Return a copy of ``values``, of which every number is finite also in single precision."""
    try:
        array = np.array(values, np.float64)
    except (TypeError, ValueError):
        raise PromptError(f'{what} holds more than numbers in equally long rows') from None
    if array.size and not (largest := np.abs(array).max()) <= np.finfo(np.float32).max:
        raise PromptError(
            f'{what} holds a number that is not finite in single precision: {largest:g}')
    return array


def _points(values: Any) -> npt.NDArray[np.float64]:
    points = _array(values, 'points')
    if points.size == 0:
        return np.empty((0, 2))
    if points.ndim != 2 or points.shape[1] != 2:
        raise PromptError(f'points must be pairs (x, y), got an array of shape {points.shape}')
    return points


def _labels(values: Any, count: int) -> npt.NDArray[np.int32]:
    if values is None:
        return np.full(count, POSITIVE, np.int32)
    labels = _array(values, 'labels')
    if labels.shape != (count,) and not (labels.size == 0 == count):
        raise PromptError(f'{count} points need {count} labels, got {labels.size}')
    if not np.isin(labels, (NEGATIVE, POSITIVE)).all():
        raise PromptError(f'labels must be 1 (object) or 0 (not the object), got {labels.tolist()}')
    return labels.reshape(count).astype(np.int32)


def _box(values: Any) -> npt.NDArray[np.float64]:
    box = _array(values, 'box')
    if box.shape != (4,):
        raise PromptError(f'a box is four numbers x0, y0, x1, y1, got shape {box.shape}')
    if box[0] >= box[2] or box[1] >= box[3]:
        raise PromptError(f'box ({", ".join(f"{v:g}" for v in box)}) has no area: '
                          'x0 < x1 and y0 < y1 must hold')
    return box


def _mask(values: Any) -> npt.NDArray[np.float32]:
    mask = _array(values, 'mask')
    if mask.ndim != 2 or mask.shape[0] != mask.shape[1]:
        raise PromptError(f'a mask prompt is a square of logits, got shape {mask.shape}')
    return mask.astype(np.float32)
