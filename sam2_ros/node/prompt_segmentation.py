# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mode `prompt`: one answer for each prompt, on the image that it was made on.

The worker's side of the node, without anything of rclpy. `ObjectTracking` is the other mode.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sam2_ros.model.errors import ImageError, Sam2RosError
from sam2_ros.model.prompts import Prompt
from sam2_ros.model.segmenter import Embedding, ImageSegmenter
from sam2_ros.node.answers import Answer, Answered, KnownObject, ObjectMask, known_object
from sam2_ros.node.conversions import to_rgb
from sam2_ros.node.frame_buffer import Frame
from sam2_ros.node.image_segmentation import IdAndPrompt, segment
from sam2_ros.node.object_ids import check_known, next_id, refined_id
from sam2_ros.node.parameters import Settings
from sam2_ros.node.prompt_queue import PromptRequest, Refusal
from sam2_ros.node.prompt_reading import read_prompt


@dataclass(frozen=True)
class Encoded:
    """An image, converted and encoded: RGB [H, W, 3] uint8 and its features."""

    pixels: npt.NDArray[np.uint8]
    embedding: Embedding


@dataclass(frozen=True)
class _Remembered:
    """What an object was told so far, and its last answer: `logits` [M, M]."""

    known: KnownObject
    prompt: Prompt
    logits: npt.NDArray[np.float32]


class PromptSegmentation:
    """Masks for prompts, and what is remembered between them. See `modes.Mode` for its verbs."""

    name = 'prompt'

    def __init__(self, segmenter: ImageSegmenter, settings: Callable[[], Settings]) -> None:
        self._segmenter = segmenter
        self._settings = settings
        self._encoded: OrderedDict[Frame, Encoded] = OrderedDict()
        # The object prompted last is the last one.
        self._objects: OrderedDict[int, _Remembered] = OrderedDict()
        self._last_id = 0
        self.objects: tuple[KnownObject, ...] = ()
        self.frames: tuple[Frame, ...] = ()

    @property
    def wants_frames(self) -> bool:
        """Say whether new frames are to be encoded before somebody asks."""
        return self._settings().encode_ahead

    @property
    def last_timings(self) -> dict[str, float]:
        """See `ImageSegmenter.last_timings`."""
        return self._segmenter.last_timings

    def check(self, settings: Settings) -> None:
        """Take all that the table of parameters allows."""

    def follow(self, frame: Frame) -> None:
        """Encode a frame, so that a prompt on it costs only the decoder; raises ImageError."""
        if self.wants_frames:
            self.encode(frame)

    def encode(self, frame: Frame) -> Encoded:
        """Return the frame encoded, from memory where possible; raises ImageError."""
        if frame in self._encoded:
            self._encoded.move_to_end(frame)
            return self._encoded[frame]
        while len(self._encoded) >= self._settings().cached_embeddings:
            self._encoded.popitem(last=False)
        pixels = to_rgb(frame.message)
        encoded = Encoded(pixels, self._segmenter.encode(pixels))
        self._encoded[frame] = encoded
        self.frames = tuple(self._encoded)
        return encoded

    def answer(self, frame: Frame, requests: Sequence[PromptRequest]) -> Answered:
        """Answer prompts on a frame and remember the objects."""
        try:
            encoded = self.encode(frame)
        except ImageError as error:
            return Answered(refused=[Refusal(request, str(error)) for request in requests])
        answered = Answered()
        prompts: list[IdAndPrompt] = []
        explicit = {request.object_id for request in requests if request.object_id}
        refined: set[int] = set()
        for request in requests:
            try:
                before = refined_id(request, self._objects)
                prompt = self._prompt(request, encoded.embedding.image_size, before)
                given = [one for one, _, _ in prompts]
                object_id = before or request.object_id or next_id(
                    max(self._last_id, *given, 0), explicit.union(given, self._objects))
            except Sam2RosError as error:
                answered.refused.append(Refusal(request, str(error)))
                continue
            prompts.append((object_id, prompt, request.multimask))
            refined.update([before] if before else [])
        if prompts:
            found = segment(self._segmenter, encoded.embedding, prompts)
            for one, (_, prompt, _) in zip(found, prompts, strict=True):
                self._remember(one, prompt, frame.stamp, one.object_id in refined)
            answered.answers.append(Answer(
                frame, encoded.pixels, {one.object_id: one for one in found},
                [(object_id, prompt) for object_id, prompt, _ in prompts]))
        return answered

    def remove(self, object_id: int) -> None:
        """Forget an object; raises PromptError if there is none of that id."""
        check_known(object_id, self._objects)
        del self._objects[object_id]
        self._tell()

    def reset(self) -> int:
        """Forget all objects and begin with id 1 again; returns how many there were."""
        count = len(self._objects)
        self._objects.clear()
        self._last_id = 0
        self._tell()
        return count

    def forget_frames(self) -> None:
        """Forget the encoded frames."""
        self._encoded.clear()
        self.frames = ()

    def _prompt(
        self, request: PromptRequest, image_size: tuple[int, int], before: int | None,
    ) -> Prompt:
        """Return what the model is told; `before` is the object that is refined, or None."""
        size = self._segmenter.bundle.manifest.constants.mask_size
        prompt = read_prompt(request, image_size, size).as_prompt(size)
        if before is None:
            return prompt
        told, logits = self._objects[before].prompt, self._objects[before].logits
        prompt = Prompt(np.concatenate([told.points, prompt.points]),
                        np.concatenate([told.labels, prompt.labels]),
                        told.box if prompt.box is None else prompt.box,
                        logits if prompt.mask is None else prompt.mask)
        prompt.check_inside(image_size)
        return prompt

    def _remember(self, found: ObjectMask, prompt: Prompt, stamp: int, refined: bool) -> None:
        before = self._objects.pop(found.object_id, None)
        while len(self._objects) >= self._settings().max_objects:
            self._objects.popitem(last=False)
        known = known_object(found, stamp, before.known if before and refined else None)
        # What is fed back is the last answer and all points; an own mask prompt served its turn.
        self._objects[found.object_id] = _Remembered(known, prompt, found.logits.copy())
        self._last_id = found.object_id
        self._tell()

    def _tell(self) -> None:
        """Let other threads see the objects: replaced as a whole, never changed."""
        self.objects = tuple(one.known for one in self._objects.values())
