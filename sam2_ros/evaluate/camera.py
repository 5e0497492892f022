# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera that does not wait for the node."""

from __future__ import annotations

from dataclasses import dataclass


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
