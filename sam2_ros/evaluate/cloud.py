# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a robot reaches a node that is not on it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sam2_ros.evaluate.camera import to_jpeg
from sam2_ros.evaluate.errors import BenchmarkError
from sam2_ros.evaluate.host import MTU
from sam2_ros.evaluate.link_process import COMPRESSED, LinkOptions
from sam2_ros.evaluate.scene import make_picture

#: Bytes of each IP packet that are its head, where a large datagram travels in pieces.
_IP_HEAD = 20


@dataclass(frozen=True)
class Cloud:
    """A link, and what the camera sends through it: ``COMPRESSED``, JPEG, or ``RAW``."""

    link: LinkOptions
    images: str = COMPRESSED

    def __str__(self) -> str:
        return f'{self.images} images; {self.link}'

    def image_bytes(self, picture_size: tuple[int, int]) -> int:
        """Return how large the image of a picture is on the link; (width, height)."""
        picture = make_picture(*picture_size)
        return len(to_jpeg(picture)) if self.images == COMPRESSED else picture.nbytes

    def check(self, picture_size: tuple[int, int]) -> None:
        """
        Check that images of this size can come whole: all their packets are sent at once.

        :raises BenchmarkError: the queue of the link is too short for one.
        """
        size, queue = self.image_bytes(picture_size), self.link.queue
        packets = math.ceil(size / (MTU - _IP_HEAD))
        if packets > queue and not math.isinf(self.link.rate):
            advice = '' if self.images == COMPRESSED else ', or --link-images compressed'
            raise BenchmarkError(
                f'an image of {size / 1e6:.1f} MB is {packets} packets, of which the queue of the '
                f'link holds {queue}: none would come whole. Give --link ...,queue='
                f'{packets + packets // 4}, smaller images by --image-size{advice}')
