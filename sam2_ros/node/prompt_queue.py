# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was asked for an object, in the node's own terms, and where it waits for its image."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sensor_msgs.msg import Image

from sam2_ros.model.errors import PromptError
from sam2_ros.node.frame_buffer import Frame, FrameBuffer, stamp_of
from sam2_ros.node.parameters import Settings

#: Prompts that may wait; a person needs one, a detector a few dozen, more is a runaway publisher.
MAX_WAITING = 256

_MULTIMASK = {'auto': None, 'single': False, 'best_of_three': True}
_MULTIMASK_VALUES = {1: False, 2: True}


@dataclass(frozen=True)
class PromptRequest:
    """
    A prompt for one object, from any source.

    `stamp`: nanoseconds, 0 = newest image; `object_id` 0 = a new object, or with `refine` the one
    prompted last; `may_begin`: if there is nothing to refine, begin; `multimask` as
    `ImageSegmenter.segment` takes it; `image_size`: (height, width) that the image must have for
    the coordinates to hold, None = any; `corners_inside`: the box was clicked, so that its corners
    must lie in the image, while a detector's box may reach over the edge.
    """

    source: str
    stamp: int = 0
    frame_id: str = ''
    object_id: int = 0
    points: list[tuple[float, float]] = field(default_factory=list)
    labels: list[int] | None = None
    box: tuple[float, float, float, float] | None = None
    mask: Image | None = None
    multimask: bool | None = None
    refine: bool = False
    may_begin: bool = False
    image_size: tuple[int, int] | None = None
    corners_inside: bool = False

    @property
    def about(self) -> str:
        """What the prompt is about, in words."""
        if self.object_id:
            return f'object {self.object_id}'
        return 'the object prompted last' if self.refine else 'a new object'


def default_multimask(settings: Settings) -> bool | None:
    """Return what parameter `multimask` says, as `ImageSegmenter.segment` takes it."""
    return _MULTIMASK[settings.multimask]


def request_from_message(message: Any, settings: Settings, source: str) -> PromptRequest:
    """
    Return a sam2_ros/Prompt as a request.

    :raises PromptError: `multimask` is no value of the message, or refine names no object.
    """
    if message.multimask not in (0, 1, 2):
        raise PromptError(f'multimask is {message.multimask}, it must be 0 (AUTO), 1 (SINGLE) or '
                          '2 (BEST_OF_THREE)')
    if message.refine and message.object_id == 0:
        raise PromptError('refine needs the object_id of a known object, not 0')
    corners = (message.box.x_min, message.box.y_min, message.box.x_max, message.box.y_max)
    has_mask = bool(message.mask.height or message.mask.width or len(message.mask.data))
    return PromptRequest(
        source=source,
        stamp=stamp_of(message.header),
        frame_id=message.header.frame_id,
        object_id=message.object_id,
        points=[(point.x, point.y) for point in message.points],
        labels=list(message.labels) or None,
        box=corners if any(corners) else None,
        mask=message.mask if has_mask else None,
        multimask=_MULTIMASK_VALUES.get(message.multimask, default_multimask(settings)),
        refine=message.refine,
    )


@dataclass(frozen=True)
class Refusal:
    """A prompt that gets no answer, and why, in one line."""

    request: PromptRequest
    reason: str


class PromptQueue:
    """
    Prompts that wait for their image, and prompts that have it and wait for the worker.

    Filled by the node's callbacks, emptied by the worker: `take_batch` may be called from another
    thread than the rest.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[PromptRequest, float | None]] = []
        self._ready: deque[tuple[PromptRequest, Frame]] = deque()
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """Number of prompts whose image has not come."""
        return len(self._waiting)

    @property
    def has_deadline(self) -> bool:
        """Say whether a prompt waits that can time out."""
        return any(deadline is not None for _, deadline in self._waiting)

    def add(self, request: PromptRequest, now: float, timeout: float) -> None:
        """
        Take a prompt at `now` (seconds of any steady clock); call `match` afterwards.

        Prompts for the newest image wait for the first image as long as it takes, others
        `timeout` seconds.

        :raises PromptError: too many wait already.
        """
        if len(self._waiting) + len(self._ready) >= MAX_WAITING:
            raise PromptError(f'{MAX_WAITING} prompts wait already')
        self._waiting.append((request, now + timeout if request.stamp else None))

    def match(
        self, frames: FrameBuffer, now: float, tolerance: float, newest: Frame | None = None,
        others: Sequence[Frame] = (),
    ) -> tuple[int, list[Refusal]]:
        """
        Give waiting prompts their frames; returns how many became ready, and the refused ones.

        `newest` is the frame that stamp zero means, by default the newest of `frames`; `others`
        are older frames that are still at hand.
        """
        waiting, self._waiting = self._waiting, []
        refused: list[Refusal] = []
        matched = 0
        for request, deadline in waiting:
            may_wait = deadline is None or now < deadline
            try:
                frame = frames.find(
                    request.stamp, tolerance, may_wait=may_wait, others=others)
                if request.stamp == 0 and newest is not None:
                    frame = newest
                if frame is None:
                    self._waiting.append((request, deadline))
                    continue
                _check_frame_id(request, frame)
            except PromptError as error:
                refused.append(Refusal(request, str(error)))
                continue
            matched += 1
            with self._lock:
                self._ready.append((request, frame))
        return matched, refused

    def take_batch(self) -> tuple[Frame, list[PromptRequest]] | None:
        """
        Remove and return the oldest ready prompt and all others on its frame; None if none is.

        A second prompt for the same object stays for the next batch: it may refine the answer to
        the first. A prompt that refines the object prompted last is a batch of its own, since
        that object depends on all prompts before it.
        """
        with self._lock:
            if not self._ready:
                return None
            frame = self._ready[0][1]
            batch: list[PromptRequest] = []
            rest: deque[tuple[PromptRequest, Frame]] = deque()
            objects: set[int] = set()
            ended = False
            for request, its_frame in self._ready:
                refines_last = request.refine and request.object_id == 0
                ended = ended or (refines_last and bool(batch))
                if its_frame is frame and not ended and request.object_id not in objects:
                    batch.append(request)
                else:
                    rest.append((request, its_frame))
                if request.object_id:
                    objects.add(request.object_id)
                ended = ended or refines_last
            self._ready = rest
            return frame, batch

    def clear(self) -> None:
        """Forget all prompts."""
        with self._lock:
            self._waiting, self._ready = [], deque()


def _check_frame_id(request: PromptRequest, frame: Frame) -> None:
    if request.frame_id and request.frame_id != frame.header.frame_id:
        raise PromptError(f"frame_id is '{request.frame_id}', but the image is in "
                          f"'{frame.header.frame_id}'")
