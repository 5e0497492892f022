# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which of the decoder's four masks are an object's answer."""

from __future__ import annotations

import numpy as np

from sam2_ros.model.bundle import Constants
from sam2_ros.model.network import Decoded, FloatArray


def choose(decoded: Decoded, multimask: bool, constants: Constants) -> slice:
    """
    Return the indices of the masks to answer with, as ``MaskDecoder.forward`` chooses them.

    :param multimask: True: the three candidates. False: the single mask, or the best of the three
        candidates where that one is unstable.
    """
    if multimask:
        return slice(1, 4)
    if constants.dynamic_multimask_via_stability and not _is_stable(decoded.masks[0], constants):
        best = 1 + int(decoded.iou_predictions[1:].argmax())
        return slice(best, best + 1)
    return slice(0, 1)


def _is_stable(logits: FloatArray, constants: Constants) -> bool:
    """Say whether moving the threshold leaves the mask as it is (``_get_stability_scores``)."""
    inner = int(np.count_nonzero(logits > constants.stability_delta))
    outer = int(np.count_nonzero(logits > -constants.stability_delta))
    return outer == 0 or inner / outer >= constants.stability_threshold
