# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The most recent images, found again by their stamp."""

from __future__ import annotations

import enum
import itertools
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from sam2_ros.model.errors import PromptError

NANOSECONDS = 1_000_000_000

_numbers = itertools.count()


def stamp_of(header: Header) -> int:
    """Return the stamp of a header in nanoseconds."""
    return int(header.stamp.sec) * NANOSECONDS + int(header.stamp.nanosec)


@dataclass(frozen=True, eq=False)
class Frame:
    """
    An image as it came, not converted; two frames are the same only if they are one object.

    `number`: of two frames the one that came later has the higher one, whatever their stamps say;
    `received`: when it came, in seconds of `time.monotonic`.
    """

    message: Image | CompressedImage
    number: int = field(default_factory=_numbers.__next__, init=False)
    received: float = field(default_factory=time.monotonic, init=False)

    @property
    def header(self) -> Header:
        """Header of the image."""
        return self.message.header

    @property
    def stamp(self) -> int:
        """Stamp in nanoseconds."""
        return stamp_of(self.header)


class Arrival(enum.Enum):
    """How the stamp of a frame follows those before it."""

    IN_ORDER = enum.auto()
    LATE = enum.auto()
    JUMPED_BACK = enum.auto()


class FrameBuffer:
    """The newest `capacity` frames. Not thread-safe: all calls come from the node's callbacks."""

    def __init__(self, capacity: int) -> None:
        self._frames: deque[Frame] = deque(maxlen=capacity)
        #: Number of the first frame since all were forgotten.
        self._since = 0

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def newest(self) -> Frame | None:
        """The frame that came last, or None."""
        return self._frames[-1] if self._frames else None

    def resize(self, capacity: int) -> None:
        """Keep `capacity` frames from now on."""
        if capacity != self._frames.maxlen:
            self._frames = deque(self._frames, maxlen=capacity)

    def clear(self) -> None:
        """Forget all frames."""
        self._frames.clear()

    def add(self, frame: Frame, jump_tolerance: float) -> Arrival:
        """
        Take the frame that came last, and say how it follows the newest one.

        Up to `jump_tolerance` seconds before that one it is late (frames change places on their
        way through a network), and left out. Further back, time begins anew (a bag that loops),
        and all others are forgotten.
        """
        back = self.newest.stamp - frame.stamp if self.newest is not None else 0
        if 0 < back <= jump_tolerance * NANOSECONDS:
            return Arrival.LATE
        if back > 0:
            self._frames.clear()
        if not self._frames:
            self._since = frame.number
        self._frames.append(frame)
        return Arrival.JUMPED_BACK if back > 0 else Arrival.IN_ORDER

    def find(
        self, stamp: int, tolerance: float, *, may_wait: bool, others: Sequence[Frame] = (),
    ) -> Frame | None:
        """
        Return the frame of `stamp` (nanoseconds; 0 = the newest), or None if it is yet to come.

        It is the exact one, else the nearest within `tolerance` seconds. A stamp later than the
        newest frame is worth waiting for, while `may_wait`. `others` are frames that somebody
        else kept; those of before all were forgotten do not count.

        :raises PromptError: there is no such frame.
        """
        if stamp == 0 or self.newest is None:
            if self.newest is None and stamp != 0 and not may_wait:
                raise PromptError(f'no image has come for stamp {_text(stamp)}')
            return self.newest
        if stamp > self.newest.stamp and may_wait:
            return None
        # Of frames that share a stamp the newest is meant.
        known = [*reversed(self._frames),
                 *(frame for frame in others if frame.number >= self._since)]
        nearest = min(known, key=lambda frame: abs(frame.stamp - stamp))
        if abs(nearest.stamp - stamp) <= tolerance * NANOSECONDS:
            return nearest
        if stamp > self.newest.stamp:
            raise PromptError(f'no image came for stamp {_text(stamp)}; the newest is '
                              f'{_text(self.newest.stamp)}')
        if stamp < self._frames[0].stamp:
            raise PromptError(
                f'stamp {_text(stamp)} is older than the {len(self)} images that are kept (the '
                f'oldest is {_text(self._frames[0].stamp)}); raise history_size')
        raise PromptError(
            f'no image has stamp {_text(stamp)}: the nearest is '
            f'{abs(nearest.stamp - stamp) / NANOSECONDS:.3f} s away, stamp_tolerance is '
            f'{tolerance:g} s')


def _text(stamp: int) -> str:
    return f'{stamp // NANOSECONDS}.{stamp % NANOSECONDS:09d}'
