# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Prompts on one image, answered without anything being remembered."""

from __future__ import annotations

from collections.abc import Sequence

from sensor_msgs.msg import Image

from sam2_ros.model.errors import PromptError, Sam2RosError
from sam2_ros.model.prompts import Prompt
from sam2_ros.model.segmenter import Embedding, ImageSegmenter, Segmentation
from sam2_ros.node.answers import ObjectMask, state_of
from sam2_ros.node.conversions import to_rgb
from sam2_ros.node.prompt_queue import PromptRequest
from sam2_ros.node.prompt_reading import read_prompt

#: An object's id, its prompt, and `multimask` as `ImageSegmenter.segment` takes it.
IdAndPrompt = tuple[int, Prompt, bool | None]


def segment_once(
    segmenter: ImageSegmenter, image: Image, requests: Sequence[PromptRequest],
) -> list[ObjectMask]:
    """
    Answer prompts on an image, all or none. An object's id is that of the request, or its index
    + 1.

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
    size = segmenter.bundle.manifest.constants.mask_size
    prompts: list[IdAndPrompt] = []
    for index, (object_id, request) in enumerate(zip(ids, requests, strict=True)):
        try:
            told = read_prompt(request, (image.height, image.width), size)
            prompts.append((object_id, told.as_prompt(size), request.multimask))
        except Sam2RosError as error:
            raise PromptError(f'prompts[{index}]: {error}') from None
    return segment(segmenter, segmenter.encode(pixels), prompts)


def segment(
    segmenter: ImageSegmenter, embedding: Embedding, prompts: Sequence[IdAndPrompt],
) -> list[ObjectMask]:
    """Answer checked prompts, in their order, all in one call where multimask allows it."""
    answers: dict[int, Segmentation] = {}
    for multimask in {multimask for _, _, multimask in prompts}:
        chosen = [index for index, one in enumerate(prompts) if one[2] == multimask]
        found = segmenter.segment(embedding, [prompts[index][1] for index in chosen], multimask)
        answers.update(zip(chosen, found, strict=True))
    objects = []
    for index, (object_id, _, _) in enumerate(prompts):
        mask = answers[index].mask()
        logits = answers[index].logits[answers[index].best]
        objects.append(ObjectMask(object_id, mask, logits, state_of(mask)))
    return objects
