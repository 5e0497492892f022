# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Answers prompts with masks: one answer for each prompt, on the image that it was made on.

The worker's side of the node, without anything of rclpy: frames and requests in, objects with
masks out. Whatever answers frame after frame instead has the same verbs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import Image

from sam2_ros.model.errors import ImageError, PromptError, Sam2RosError
from sam2_ros.model.mask_prompts import mask_to_logits
from sam2_ros.model.masks import Mask
from sam2_ros.model.prompts import POSITIVE, Prompt
from sam2_ros.model.segmenter import Embedding, ImageSegmenter, Segmentation
from sam2_ros.node.conversions import logits_from_image, mono_from_image, to_rgb
from sam2_ros.node.frame_buffer import Frame
from sam2_ros.node.parameters import Settings
from sam2_ros.node.prompt_queue import PromptRequest, Refusal

LARGEST_ID = 65535


@dataclass(frozen=True)
class ObjectMask:
    """An object found in an image; `logits` [M, M] float32 are those of `mask`."""

    object_id: int
    prompt: Prompt
    mask: Mask
    logits: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Encoded:
    """An image, converted and encoded: RGB [H, W, 3] uint8 and its features."""

    pixels: npt.NDArray[np.uint8]
    embedding: Embedding


@dataclass
class Answer:
    """What became of prompts on one image."""

    encoded: Encoded | None = None
    objects: list[ObjectMask] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


class PromptSegmentation:
    """Masks for prompts, and what is remembered between them. Only the worker calls it."""

    def __init__(self, segmenter: ImageSegmenter, settings: Callable[[], Settings]) -> None:
        self._segmenter = segmenter
        self._settings = settings
        self._embeddings: OrderedDict[Frame, Encoded] = OrderedDict()
        # The object prompted last is the last one.
        self._objects: OrderedDict[int, ObjectMask] = OrderedDict()
        self._last_id = 0

    @property
    def object_ids(self) -> list[int]:
        """Ids of the objects that can be refined."""
        return list(self._objects)

    def encode(self, frame: Frame) -> Encoded:
        """Return the frame encoded, from memory where possible; raises ImageError."""
        if frame in self._embeddings:
            self._embeddings.move_to_end(frame)
            return self._embeddings[frame]
        while len(self._embeddings) >= self._settings().cached_embeddings:
            self._embeddings.popitem(last=False)
        pixels = to_rgb(frame.message)
        encoded = Encoded(pixels, self._segmenter.encode(pixels))
        self._embeddings[frame] = encoded
        return encoded

    def answer(self, frame: Frame, requests: Sequence[PromptRequest]) -> Answer:
        """Answer prompts on a frame and remember the objects; nothing is raised, see `refused`."""
        answer = Answer()
        try:
            answer.encoded = self.encode(frame)
        except ImageError as error:
            answer.refused = [Refusal(request, str(error)) for request in requests]
            return answer
        prompts: list[tuple[int, PromptRequest, Prompt]] = []
        explicit = {request.object_id for request in requests if request.object_id}
        for request in requests:
            try:
                before = self._before(request)
                prompt = self._prompt(request, answer.encoded, before)
                object_id = before.object_id if before else request.object_id
                given = [one for one, _, _ in prompts]
                prompts.append((object_id or self._free_id(given, explicit), request, prompt))
            except Sam2RosError as error:
                answer.refused.append(Refusal(request, str(error)))
        answer.objects = self._segment(answer.encoded.embedding, prompts)
        for found in answer.objects:
            self._remember(found)
        return answer

    def segment_once(self, image: Image, requests: Sequence[PromptRequest]) -> list[ObjectMask]:
        """
        Answer prompts on an image, all or none; nothing is remembered. An object's id is that of
        the request, or its index + 1.

        :raises ImageError: the image cannot be used.
        :raises PromptError: a prompt cannot be answered; says which one.
        """
        if not requests:
            raise PromptError('the request has no prompts')
        ids = [request.object_id or index for index, request in enumerate(requests, 1)]
        if len(set(ids)) < len(ids):
            raise PromptError(f'two prompts have the same object_id: {ids}')
        if any(request.refine for request in requests):
            raise PromptError('refine must be false: this service remembers no objects')
        pixels = to_rgb(image)
        encoded = Encoded(pixels, self._segmenter.encode(pixels))
        prompts = []
        for index, (object_id, request) in enumerate(zip(ids, requests, strict=True)):
            try:
                prompts.append((object_id, request, self._prompt(request, encoded, None)))
            except Sam2RosError as error:
                raise PromptError(f'prompts[{index}]: {error}') from None
        return self._segment(encoded.embedding, prompts)

    def remove(self, object_id: int) -> None:
        """Forget an object; raises PromptError if there is none of that id."""
        if object_id not in self._objects:
            known = ', '.join(map(str, sorted(self._objects))) or 'none'
            raise PromptError(f'object {object_id} is not known; known: {known}')
        del self._objects[object_id]

    def reset(self) -> int:
        """Forget all objects and begin with id 1 again; returns how many there were."""
        count = len(self._objects)
        self._objects.clear()
        self._last_id = 0
        return count

    def forget_frames(self) -> None:
        """Forget the encoded frames."""
        self._embeddings.clear()

    def _before(self, request: PromptRequest) -> ObjectMask | None:
        """Return the object that the request refines, None if it begins an object."""
        if not request.refine:
            return None
        if request.object_id == 0:
            before = next(reversed(self._objects.values()), None)
        else:
            before = self._objects.get(request.object_id)
        if before is None and not request.may_begin:
            raise PromptError(f'object {request.object_id} is not known, so it cannot be refined: '
                              'it was never prompted, or was removed or forgotten')
        return before

    def _prompt(
        self, request: PromptRequest, encoded: Encoded, before: ObjectMask | None,
    ) -> Prompt:
        height, width = encoded.embedding.image_size
        if request.image_size not in (None, (height, width)):
            raise PromptError(
                f'camera_info is for images of {request.image_size[1]}x{request.image_size[0]} '
                f'pixels, but the image has {width}x{height}')
        mask = self._mask_prompt(request.mask, (height, width)) if request.mask else None
        prompt = Prompt(request.points, request.labels, request.box, mask)
        if request.corners_inside and prompt.box is not None:
            Prompt(prompt.box.reshape(2, 2), [POSITIVE] * 2).check_inside((height, width))
        if before is not None:
            told = before.prompt
            prompt = Prompt(np.concatenate([told.points, prompt.points]),
                            np.concatenate([told.labels, prompt.labels]),
                            told.box if prompt.box is None else prompt.box,
                            before.logits if prompt.mask is None else prompt.mask)
        prompt.check_inside((height, width))
        return prompt

    def _mask_prompt(
        self, message: Image, image_size: tuple[int, int],
    ) -> npt.NDArray[np.float32]:
        size = self._segmenter.bundle.manifest.constants.mask_size
        shape = (message.height, message.width)
        if message.encoding == '32FC1':
            if shape != (size, size):
                raise PromptError(f'the mask prompt has {shape[1]}x{shape[0]} logits, but this '
                                  f'model takes {size}x{size}')
            return logits_from_image(message)
        if message.encoding != 'mono8':
            raise PromptError(f"the mask prompt has encoding '{message.encoding}', it must be "
                              'mono8 (a mask) or 32FC1 (logits)')
        if shape != image_size:
            raise PromptError(f'the mask prompt has {shape[1]}x{shape[0]} pixels, but the image '
                              f'has {image_size[1]}x{image_size[0]}')
        mask = mono_from_image(message)
        if not mask.any():
            raise PromptError('the mask prompt is empty: no pixel is set')
        return mask_to_logits(mask, size)

    def _segment(
        self, embedding: Embedding, prompts: Sequence[tuple[int, PromptRequest, Prompt]],
    ) -> list[ObjectMask]:
        """Answer checked prompts, in their order, all in one call where multimask allows it."""
        answers: dict[int, Segmentation] = {}
        for multimask in {request.multimask for _, request, _ in prompts}:
            chosen = [index for index, (_, request, _) in enumerate(prompts)
                      if request.multimask == multimask]
            found = self._segmenter.segment(
                embedding, [prompts[index][2] for index in chosen], multimask)
            answers.update(zip(chosen, found, strict=True))
        return [
            ObjectMask(object_id, prompt, answers[index].mask(),
                       answers[index].logits[answers[index].best])
            for index, (object_id, _, prompt) in enumerate(prompts)]

    def _remember(self, found: ObjectMask) -> None:
        # What is fed back is the last answer and all points; an own mask prompt served its turn.
        kept = replace(found, logits=found.logits.copy())
        self._objects.pop(found.object_id, None)
        while len(self._objects) >= self._settings().max_objects:
            self._objects.popitem(last=False)
        self._objects[found.object_id] = kept
        self._last_id = found.object_id

    def _free_id(self, given: Sequence[int], explicit: set[int]) -> int:
        """
        Return the next id after the last one that belongs to no object.

        `given`: ids given before in this batch, `explicit`: ids that the batch asks for.
        """
        start = max(self._last_id, *given, 0)
        taken = explicit.union(given)
        for step in range(LARGEST_ID):
            object_id = (start + step) % LARGEST_ID + 1
            if object_id not in self._objects and object_id not in taken:
                return object_id
        raise PromptError(f'all {LARGEST_ID} object ids are in use; call ~/reset')


