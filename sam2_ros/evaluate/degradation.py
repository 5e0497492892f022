# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A worse camera: blur and noise over a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Degradation:
    """``blur``: standard deviation of a Gaussian, pixels; ``noise``: the same, grey levels."""

    blur: float = 0.0
    noise: float = 0.0

    def apply(
        self, image: npt.NDArray[np.uint8], seed: Sequence[int],
    ) -> npt.NDArray[np.uint8]:
        """
        Return the picture [height, width, 3] uint8, blurred and then made noisy.

        :param seed: what makes the noise the same each time.
        """
        if self.blur:
            image = cv2.GaussianBlur(image, (0, 0), self.blur).astype(np.uint8, copy=False)
        if self.noise:
            random = np.random.default_rng(list(seed))
            noise = random.standard_normal(image.shape, np.float32) * np.float32(self.noise)
            image = np.rint(np.clip(image + noise, 0.0, 255.0)).astype(np.uint8)
        return image
