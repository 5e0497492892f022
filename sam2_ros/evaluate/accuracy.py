# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How well a mask fits another: region similarity J (IoU) and boundary accuracy F."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

Mask = npt.NDArray[np.bool_]
#: A mask [height, width], run-length encoded by pycocotools: ``{'size': ..., 'counts': bytes}``.
Runs = dict[str, Any]

#: Areas in pixels below which COCO calls an object small, and medium.
SMALL, MEDIUM = 32 ** 2, 96 ** 2
SIZES = ('small', 'medium', 'large')
#: Of the picture's diagonal: boundaries that are this close fit (``bound_th`` of DAVIS).
_BOUNDARY_TOLERANCE = 0.008


def to_runs(mask: Mask) -> Runs:
    """Encode a mask [height, width]."""
    runs: Runs = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return runs


def iou(first: Runs, second: Runs) -> float:
    """
    Return the intersection of two masks of equal size over their union; 1 if both are empty.

    DAVIS's J (``db_eval_iou``), which also agrees on an object that is not there.
    """
    if not coco_mask.area(first) and not coco_mask.area(second):
        return 1.0
    return float(coco_mask.iou([first], [second], [False])[0, 0])


def boundary_f(mask: Mask, truth: Mask) -> float:
    """
    Return DAVIS's F of a mask and the true one, both [height, width].

    The harmonic mean of the shares of each boundary that lie near the other; 1 if both are empty.
    Perazzi et al., 2016, "A Benchmark Dataset and Evaluation Methodology for Video Object
    Segmentation", section 4.2; ``f_measure`` of the official davis2017-evaluation.
    """
    ours, theirs = _boundary(mask), _boundary(truth)
    if not ours.any() or not theirs.any():
        return float(ours.any() == theirs.any())
    disk = _disk(math.ceil(_BOUNDARY_TOLERANCE * math.hypot(*mask.shape)))
    precision = float(cv2.dilate(theirs, disk)[ours > 0].mean())
    recall = float(cv2.dilate(ours, disk)[theirs > 0].mean())
    return 2.0 * precision * recall / (precision + recall) if precision + recall else 0.0


def size_of(area: float) -> str:
    """Return what COCO calls an object of this area in pixels: small, medium or large."""
    return SIZES[int(area >= SMALL) + int(area >= MEDIUM)]


def _boundary(mask: Mask) -> npt.NDArray[np.uint8]:
    """Mark pixels that differ from the one to the right, below, or both (``_seg2bmap``)."""
    padded = np.pad(mask, ((0, 1), (0, 1)), 'edge')
    here = padded[:-1, :-1]
    differs = (here ^ padded[:-1, 1:]) | (here ^ padded[1:, :-1]) | (here ^ padded[1:, 1:])
    return differs.astype(np.uint8)


def _disk(radius: int) -> npt.NDArray[np.uint8]:
    y, x = np.mgrid[-radius:radius + 1, -radius:radius + 1]
    return (x * x + y * y <= radius * radius).astype(np.uint8)
