# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mode `track`: a prompt starts or refines an object, every later frame is answered.

The worker's side of the node, without anything of rclpy. `PromptSegmentation` is the other mode.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from sam2_ros.model.errors import ImageError, PromptError, Sam2RosError, reason_of
from sam2_ros.model.masks import upscale_apart
from sam2_ros.model.network import Embedding
from sam2_ros.model.tracking_options import TrackingOptions
from sam2_ros.model.video_tracker import TrackedObject, VideoTracker
from sam2_ros.node.answers import Answer, Answered, KnownObject, ObjectMask, known_object
from sam2_ros.node.conversions import to_rgb
from sam2_ros.node.diagnostics import Statistics
from sam2_ros.node.frame_buffer import NANOSECONDS, Frame
from sam2_ros.node.object_ids import check_known, next_id, refined_id
from sam2_ros.node.parameters import Settings
from sam2_ros.node.prompt_queue import PromptRequest, Refusal
from sam2_ros.node.prompt_reading import Told, read_prompt

NO_STAND_INS: Mapping[int, Frame] = MappingProxyType({})


def tracking_options(settings: Settings) -> TrackingOptions:
    """Return the tracker's options; a parameter of -1 leaves it to the model."""
    def given(value: int) -> int | None:
        return None if value < 0 else value

    return TrackingOptions(
        memories=given(settings.memories),
        object_pointers=given(settings.object_pointers),
        prompted_frames=settings.prompted_frames or None,
        remember_corrections=settings.remember_corrections,
        non_overlapping=settings.non_overlapping,
        fill_hole_area=given(settings.fill_hole_area),
        lost_after=settings.lost_after,
        kept_frames=settings.kept_frames)


class ObjectTracking:
    """
    Objects on a stream of frames. See `modes.Mode` for its verbs.

    The answers on frames that the tracker keeps are kept here: a prompt on such a frame changes
    that answer and all later ones, which are then given again.
    """

    name = 'track'

    def __init__(
        self, tracker: VideoTracker, settings: Callable[[], Settings],
        statistics: Statistics, notice: Callable[[str], None],
    ) -> None:
        """`notice` is called with a line for the log about what concerns all objects."""
        self._tracker = tracker
        self._settings = settings
        self._statistics = statistics
        self._notice = notice
        #: By the tracker's index of the frame, the oldest first.
        self._kept: dict[int, Answer] = {}
        self._newest: Answer | None = None
        #: By object and index: frames that were not kept, but prompted for this object, and stand
        #: for it in the place of the one that is.
        self._stand_ins: dict[int, Mapping[int, Frame]] = {}
        #: Of the frames that were prompted but not kept the one prompted last.
        self._encoded: tuple[Frame, Embedding] | None = None
        #: The tracker's clock minus that of the images, in ns: not zero after a jump back in time.
        self._clock_ahead = 0
        # The object prompted last is the last one.
        self._objects: OrderedDict[int, KnownObject] = OrderedDict()
        self._last_id = 0
        self.objects: tuple[KnownObject, ...] = ()
        self.frames: tuple[Frame, ...] = ()

    @property
    def wants_frames(self) -> bool:
        """Say whether a new frame is to be tracked: there are objects, or there may soon be."""
        return bool(self.objects) or self._settings().encode_ahead

    @property
    def last_timings(self) -> dict[str, float]:
        """See `VideoTracker.last_timings`."""
        return self._tracker.last_timings

    def check(self, settings: Settings) -> None:
        """:raises OptionError: the settings ask for more memories than the model can do with."""
        self._tracker.check(tracking_options(settings))

    def follow(self, frame: Frame) -> Answer | None:
        """Find all objects on a new frame; None where there are none. Raises ImageError."""
        if not self.wants_frames or not self._is_new(frame):
            return None
        answer = self._step(frame, to_rgb(frame.message))
        return answer if answer.objects else None

    def answer(self, frame: Frame, requests: Sequence[PromptRequest]) -> Answered:
        """
        Start or refine objects on a frame: a new one, one that was tracked, one that was dropped.

        The answers are on this frame and on the kept ones after it.
        """
        try:
            pixels = to_rgb(frame.message)
        except ImageError as error:
            return Answered(refused=[Refusal(request, str(error)) for request in requests])
        answered = Answered()
        told = self._read(requests, pixels, answered.refused)
        if not told:
            return answered
        changed: list[Answer] = []
        if self._is_new(frame):
            changed.append(self._step(frame, pixels))
        index = self._index(frame)
        here = Answer(frame, pixels) if index is None else self._kept[index]
        explicit = {request.object_id for request in requests if request.object_id}
        for request, what in told:
            try:
                touched = self._prompt(request, what, here, explicit)
            except Exception as error:  # also of ONNX Runtime: the other prompts may be answered
                answered.refused.append(Refusal(request, reason_of(error)))
            else:
                changed += [one for one in touched if one not in changed]
        if self._tracker.tracking.non_overlapping:
            for one in changed:
                self._separate(one)
        answered.answers = sorted(
            (one for one in changed if one.objects), key=lambda one: one.frame.number)
        return answered

    def remove(self, object_id: int) -> None:
        """Track an object no more; raises PromptError if there is none of that id."""
        check_known(object_id, self._objects)
        self._tracker.remove(object_id)
        del self._objects[object_id]
        del self._stand_ins[object_id]
        for kept in self._kept.values():
            kept.objects.pop(object_id, None)
            kept.prompts = [one for one in kept.prompts if one[0] != object_id]
        self._show_objects()

    def reset(self) -> int:
        """Forget all objects and begin with id 1 again; returns how many there were."""
        count = len(self._objects)
        self._tracker.reset()
        self._objects.clear()
        self._stand_ins.clear()
        self.forget_frames()
        self._newest, self._clock_ahead, self._last_id = None, 0, 0
        self._show_objects()
        return count

    def forget_frames(self) -> None:
        """Let no prompt mean a frame that came until now; the objects' memories stay."""
        self._kept.clear()
        self._encoded = None
        self.frames = ()

    # ---- frames ----

    def _is_new(self, frame: Frame) -> bool:
        return self._newest is None or frame.number > self._newest.frame.number

    def _index(self, frame: Frame, stand_ins: Mapping[int, Frame] = NO_STAND_INS) -> int | None:
        """Return the tracker's index of a frame, None if it is not kept."""
        return next((index for index, kept in self._kept.items()
                     if stand_ins.get(index, kept.frame) is frame), None)

    def _step(self, frame: Frame, pixels: npt.NDArray[np.uint8]) -> Answer:
        """Find all objects on a new frame."""
        self._heed_size(pixels.shape[:2])
        self._tracker.tracking = tracking_options(self._settings())
        if self._newest is not None:
            # Time jumped back and the objects were kept: for the tracker it goes on.
            self._clock_ahead += max(0, self._newest.frame.stamp - frame.stamp)
        found = self._tracker.step(pixels, self._seconds(frame))
        index = self._tracker.frame
        assert index is not None  # there has been a step
        self._newest = self._kept[index] = Answer(
            frame, pixels, {one.object_id: _object_mask(one) for one in found})
        kept = self._tracker.kept_frames
        self._kept = {index: one for index, one in self._kept.items() if index in kept}
        self._stand_ins = {
            object_id: {index: one for index, one in frames.items() if index in kept}
            for object_id, frames in self._stand_ins.items()}
        self.frames = tuple(one.frame for one in self._kept.values())
        for object_id, one in self._newest.objects.items():
            self._objects[object_id] = known_object(one, frame.stamp, self._objects[object_id])
        self._show_objects()
        if found:
            self._statistics.count('frames tracked')
        return self._newest

    def _heed_size(self, size: tuple[int, ...]) -> None:
        """Do as the parameter says where a frame has another size than the one before."""
        if self._newest is None or self._newest.image_size == size or not self._objects:
            return
        before, count = self._newest.image_size, len(self._objects)
        change = f'the images changed from {before[1]}x{before[0]} to {size[1]}x{size[0]} pixels'
        if self._settings().on_size_change == 'reset':
            self.reset()
            self._notice(f'{change}; objects forgotten: {count}')
        else:
            self._notice(f'{change}; objects kept: {count}')

    def _seconds(self, frame: Frame) -> float:
        """Return the time of a frame as the tracker is told, which never goes back."""
        return (frame.stamp + self._clock_ahead) / NANOSECONDS

    # ---- prompts ----

    def _read(
        self, requests: Sequence[PromptRequest], pixels: npt.NDArray[np.uint8],
        refused: list[Refusal],
    ) -> list[tuple[PromptRequest, Told]]:
        """Return what the requests tell; those that make no sense are added to `refused`."""
        told = []
        for request in requests:
            try:
                told.append((request, read_prompt(
                    request, (pixels.shape[0], pixels.shape[1]), self._mask_size)))
            except Sam2RosError as error:
                refused.append(Refusal(request, str(error)))
        return told

    def _prompt(
        self, request: PromptRequest, told: Told, here: Answer, explicit: set[int],
    ) -> list[Answer]:
        """
        Do as a prompt says; returns the answers that it changed, that on its own frame first.

        `explicit`: ids that prompts on the frame of `here` ask for, which no new object may get.

        :raises Sam2RosError: it cannot be done; everything is as before.
        """
        refined = refined_id(request, self._objects)
        if refined is None:
            self._check_room(request.object_id)
        object_id = refined or request.object_id or next_id(
            self._last_id, explicit.union(self._objects))
        stand_ins = self._stand_ins[object_id] if refined else NO_STAND_INS
        index = self._index(here.frame, stand_ins)
        found = self._tell(object_id, told, here, index, request.multimask, refine=bool(refined))
        if refined is None:
            here.prompts = [one for one in here.prompts if one[0] != object_id]
        if told.prompt is not None:
            here.prompts.append((object_id, told.prompt))
        if index is None:
            stand_ins = {**stand_ins, found[0].frame: here.frame}
        self._stand_ins[object_id] = stand_ins
        # An answer on a stand-in is none on the frame that is kept. And frames of before a jump
        # back in time may be kept by the tracker, but no longer here.
        changed = {here: found[0]}
        for one in found[1:]:
            kept = self._kept.get(one.frame)
            if kept is not None and stand_ins.get(one.frame, kept.frame) is kept.frame:
                changed[kept] = one
        before = self._objects.pop(object_id, None)
        known = before if refined else None
        for answer, one in changed.items():
            answer.objects[object_id] = _object_mask(one)
            known = known_object(answer.objects[object_id], answer.frame.stamp, known)
        assert known is not None  # there is at least the frame of the prompt
        self._objects[object_id] = known
        self._last_id = object_id
        self._show_objects()
        return list(changed)

    def _check_room(self, object_id: int) -> None:
        most = self._settings().max_objects
        if object_id not in self._objects and len(self._objects) >= most:
            raise PromptError(f'max_objects is {most}, and as many are tracked already; remove one '
                              '(~/remove_object) or raise max_objects')

    def _tell(
        self, object_id: int, told: Told, here: Answer, index: int | None,
        multimask: bool | None, *, refine: bool,
    ) -> list[TrackedObject]:
        # An image that the tracker does not keep is given to it (again).
        image, stamp = (
            (self._encode(here), self._seconds(here.frame)) if index is None else (None, None))
        if told.prompt is None and told.mask is not None and not refine:
            return self._tracker.add_mask(
                object_id, told.mask, frame=index, image=image, stamp=stamp)
        tell = self._tracker.refine if refine else self._tracker.add
        return tell(object_id, told.as_prompt(self._mask_size), frame=index, image=image,
                    stamp=stamp, multimask=multimask)

    def _encode(self, here: Answer) -> Embedding:
        """Encode a frame that is not kept, once for all prompts on it."""
        if self._encoded is None or self._encoded[0] is not here.frame:
            self._encoded = None  # one at a time is in memory
            self._encoded = here.frame, self._tracker.segmenter.encode(here.pixels)
        return self._encoded[1]

    def _separate(self, answer: Answer) -> None:
        """Let no masks overlap: the tracker sees to that where it finds all objects together."""
        objects = [*answer.objects.values()]
        apart = upscale_apart([one.logits for one in objects], answer.image_size,
                              self._tracker.segmenter.bundle.manifest.constants.mask_threshold)
        for one, (box, crop) in zip(objects, apart, strict=True):
            answer.objects[one.object_id] = replace(
                one, mask=replace(one.mask, box=box, crop=crop))

    @property
    def _mask_size(self) -> int:
        return self._tracker.segmenter.bundle.manifest.constants.mask_size

    def _show_objects(self) -> None:
        """Let other threads see the objects: the tuple is replaced, never changed."""
        self.objects = tuple(self._objects.values())


def _object_mask(found: TrackedObject) -> ObjectMask:
    return ObjectMask(found.object_id, found.mask, found.logits, found.state)
