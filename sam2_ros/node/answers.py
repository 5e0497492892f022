# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the model has to say, in the node's own terms: objects with masks, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sam2_ros.model.masks import Mask
from sam2_ros.model.prompts import Prompt
from sam2_ros.model.video_tracker import ObjectState
from sam2_ros.node.frame_buffer import Frame
from sam2_ros.node.prompt_queue import Refusal


@dataclass(frozen=True)
class ObjectMask:
    """An object in an image; `logits` [M, M] float32 are those of `mask`."""

    object_id: int
    mask: Mask
    logits: npt.NDArray[np.float32]
    state: ObjectState


@dataclass(frozen=True)
class KnownObject:
    """
    An object that can be refined, and how it was in the newest image it was looked for in.

    `iou_prediction` and `presence` as in `Mask`; `begun`, `last_seen`: stamps (ns) of the image on
    which it began, and of the newest in which it was visible, 0 = none.
    """

    object_id: int
    state: ObjectState
    iou_prediction: float
    presence: float
    begun: int
    last_seen: int


@dataclass(eq=False)
class Answer:
    """
    What is in one frame: RGB `pixels` [H, W, 3] uint8 and the objects by id.

    `prompts`: those that were given on this frame, with their object's id.
    """

    frame: Frame
    pixels: npt.NDArray[np.uint8]
    objects: dict[int, ObjectMask] = field(default_factory=dict)
    prompts: list[tuple[int, Prompt]] = field(default_factory=list)

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the image."""
        return self.pixels.shape[0], self.pixels.shape[1]


@dataclass
class Answered:
    """What became of prompts: answers on frames, the oldest frame first, and refusals."""

    answers: list[Answer] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


def state_of(mask: Mask) -> ObjectState:
    """Return the state of an object of which only this mask is known."""
    return ObjectState.VISIBLE if mask.object_score > 0 else ObjectState.OCCLUDED


def known_object(
    found: ObjectMask, stamp: int, before: KnownObject | None = None,
) -> KnownObject:
    """Return what is known of an object, `found` in the image of `stamp`; before: until then."""
    visible = found.state == ObjectState.VISIBLE
    return KnownObject(
        found.object_id, found.state, found.mask.iou_prediction, found.mask.presence,
        begun=before.begun if before else stamp,
        last_seen=stamp if visible else before.last_seen if before else 0)
