# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small holes in a mask, filled before it is shown."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

#: What a filled logit becomes (``fill_holes_in_mask_scores``).
_FILLED = np.float32(0.1)


def fill_holes(logits: npt.NDArray[np.float32], max_area: int) -> npt.NDArray[np.float32]:
    """
    Fill the holes of up to ``max_area`` pixels in the logits [M, M] of a mask.

    A hole is a region of logits <= 0, connected over edges and corners, as
    ``sam2.utils.misc.fill_holes_in_mask_scores`` has it. Its logits become 0.1. Returns a new
    array, or the one given where there is nothing to fill.
    """
    if max_area == 0:
        return logits
    background = (logits <= 0).view(np.uint8)
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(background, connectivity=8)
    holes = statistics[:, cv2.CC_STAT_AREA] <= max_area
    holes[0] = False  # label 0 is the mask itself
    return np.where(holes[labels], _FILLED, logits) if holes.any() else logits
