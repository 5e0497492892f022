# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A mask that a person or another program gives, as a prompt."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

#: A mask becomes logits of 20 * mask - 10 (``SAM2Base._use_mask_as_output``).
_CERTAIN = 10.0


def mask_to_logits(
    mask: npt.NDArray[np.bool_] | npt.NDArray[np.uint8], mask_size: int,
) -> npt.NDArray[np.float32]:
    """
    Return a mask [height, width] of an image, nonzero = object, as ``Prompt.mask`` takes it.

    The result is [mask_size, mask_size] float32 within +-10, stretched as the image is: the mean
    over the pixels that fall into a logit, or between the nearest where the image is smaller.
    """
    certain = np.where(mask, np.float32(_CERTAIN), np.float32(-_CERTAIN))
    interpolation = cv2.INTER_AREA if mask_size <= min(mask.shape) else cv2.INTER_LINEAR
    return np.asarray(
        cv2.resize(certain, (mask_size, mask_size), interpolation=interpolation), np.float32)
