# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cut-outs laid over each other, with the exact mask of what stays visible of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sam2_ros.train.material import resized
from sam2_ros.train.textures import Image


@dataclass(frozen=True)
class CutOut:
    """A thing on a transparent ground: uint8 [h, w, 4], RGBA, and its name."""

    picture: Image
    name: str


@dataclass(frozen=True)
class Placed:
    """
    A cut-out in a scene.

    ``centre`` (x, y) in pixels; ``side``: length in pixels of the cut-out's longer side;
    ``angle`` in radians; ``shear``: of x along y; ``mirrored``: left for right.
    """

    cut_out: CutOut
    centre: tuple[float, float]
    side: float
    angle: float = 0
    shear: float = 0
    mirrored: bool = False
    # 0 to 1: how dark its shadow is; 0 = none.
    shadow: float = 0
    # Factor on its colours.
    gain: float = 1
    # Index of the placed thing that this one is a part of (a label on a box), or None.
    part_of: int | None = None


def compose(background: Image, things: Sequence[Placed]) -> tuple[Image, NDArray[np.bool_]]:
    """
    Lay things over a background, the last one on top.

    A pixel belongs to the topmost thing that covers at least half of it. The parts of a thing
    belong to it too.

    :param background: uint8 [H, W, 3].
    :return: the picture uint8 [H, W, 3], and masks bool [N, H, W] of what is visible of each.
    """
    height, width = background.shape[:2]
    picture = background.astype(np.float32)
    owner = np.full((height, width), -1, np.int16)
    for index, thing in enumerate(things):
        warped = _warped(thing, height, width)
        if warped is None:
            continue
        (top, left), layer = warped
        alpha = layer[..., 3:]
        if thing.shadow:
            _darken(picture, alpha[..., 0], top, left, thing)
        rows, columns = slice(top, top + len(layer)), slice(left, left + layer.shape[1])
        region = picture[rows, columns]
        region *= 1 - alpha
        region += layer[..., :3] * thing.gain
        owner[rows, columns][alpha[..., 0] >= .5] = index
    masks = np.stack([owner == index for index in range(len(things))]) if things else (
        np.zeros((0, height, width), bool))
    for index, thing in enumerate(things):
        if thing.part_of is not None:
            masks[thing.part_of] |= masks[index]
    return np.clip(picture + .5, 0, 255).astype(np.uint8), masks


def _warped(
    thing: Placed, height: int, width: int,
) -> tuple[tuple[int, int], NDArray[np.float32]] | None:
    """Return where a thing begins (top, left) and its float32 [h, w, 4], premultiplied; or None."""
    source = thing.cut_out.picture
    scale = thing.side / max(source.shape[:2])
    if scale < 1:
        # Averaged first: warping alone would drop pixels.
        source = resized(source, *(max(1, round(scale * side)) for side in source.shape[:2]))
        scale = 1
    rows, columns = source.shape[:2]
    cosine, sine = np.cos(thing.angle) * scale, np.sin(thing.angle) * scale
    mirror = -1 if thing.mirrored else 1
    linear = np.array([[cosine, -sine], [sine, cosine]]) @ [[mirror, thing.shear], [0, 1]]
    corners = linear @ (np.array([[-1, 1, 1, -1], [-1, -1, 1, 1]]) * [[columns / 2], [rows / 2]])
    corners += np.array(thing.centre)[:, None]
    left, top = np.maximum(np.floor(corners.min(1)).astype(int) - 1, 0)
    right, bottom = np.minimum(np.ceil(corners.max(1)).astype(int) + 2, [width, height])
    if right <= left or bottom <= top:
        return None
    shift = np.array(thing.centre) - [left, top] - .5 - linear @ [(columns - 1) / 2, (rows - 1) / 2]
    premultiplied = source.astype(np.float32)
    premultiplied[..., 3] /= 255
    premultiplied[..., :3] *= premultiplied[..., 3:]
    layer = cv2.warpAffine(
        premultiplied, np.column_stack([linear, shift]), (int(right - left), int(bottom - top)),
        flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(0, 0, 0, 0))
    return (int(top), int(left)), np.asarray(layer, np.float32)


def _darken(
    picture: NDArray[np.float32], alpha: NDArray[np.float32], top: int, left: int, thing: Placed,
) -> None:
    """Darken what lies below a thing, a little beside it."""
    offset = max(1, round(.06 * thing.side))
    blurred = cv2.blur(np.pad(alpha, offset), (offset, offset))
    height, width = picture.shape[:2]
    # The padding cancels the shift to the upper left; the shadow falls to the lower right.
    rows = slice(top, min(top + blurred.shape[0], height))
    columns = slice(left, min(left + blurred.shape[1], width))
    shade = blurred[:rows.stop - rows.start, :columns.stop - columns.start]
    picture[rows, columns] *= 1 - thing.shadow * shade[..., None]
