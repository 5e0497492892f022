# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera that does not wait for the node, and what it sends where it compresses."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

#: The benchmark's picture then has 300 kB at 1280x720, as photographs have at 95, the default of
#: image_transport: noise of each colour for itself compresses badly.
JPEG_QUALITY = 80


def to_jpeg(picture: npt.NDArray[np.uint8]) -> bytes:
    """Return a picture [height, width, 3] uint8 RGB as a JPEG file."""
    # OpenCV takes BGR.
    file = cv2.imencode('.jpg', picture[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1]
    return file.tobytes()


@dataclass
class CameraFacts:
    """What became of the images of a camera with ``rate`` images a second."""

    rate: float
    seconds: float = 0.0
    published: int = 0
    answered: int = 0
    #: by the node, for newer ones
    dropped: int = 0
    #: on the way to the node
    lost: int = 0

    def __str__(self) -> str:
        return (f'camera of {self.rate:g} images a second for {self.seconds:.1f} s: '
                f'{self.published} published, {self.answered} answered, {self.dropped} dropped for '
                f'newer ones, {self.lost} lost on the way')
