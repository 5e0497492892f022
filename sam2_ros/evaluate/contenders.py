# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who answers the same prompts on the same pictures: a bundle, or GrabCut for scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from sam2_ros.evaluate.accuracy import Mask
from sam2_ros.model.prompts import Prompt
from sam2_ros.model.segmenter import Embedding, ImageSegmenter

Image = npt.NDArray[np.uint8]
GRABCUT = 'GrabCut'
#: Iterations of GrabCut; more changed hardly a pixel.
_ITERATIONS = 5


@dataclass(frozen=True)
class Decoded:
    """
    What a SAM 2 decoder gave besides the mask.

    ``logits`` [C, M, M] float32 within +-32: its one or three candidates; ``best``: the one that
    became the mask; ``chosen``: which of the decoder's four masks that is; ``predicted_iou``: the
    model's own estimate for it; ``object_score``: logit that the object is there.
    """

    logits: npt.NDArray[np.float32]
    best: int
    chosen: int
    predicted_iou: float
    object_score: float

    @property
    def feedback(self) -> npt.NDArray[np.float32]:
        """The logits [M, M] that go with the next click."""
        return np.asarray(self.logits[self.best])


@dataclass(frozen=True)
class Answer:
    """A mask [height, width] at the image's size, and what a decoder says of it."""

    mask: Mask
    decoded: Decoded | None = None


class Contender(Protocol):
    """Answers prompts on the picture that it was shown last."""

    name: str

    def show(self, image: Image) -> None:
        """Take the picture [height, width, 3] uint8 RGB that the next prompts are about."""

    def takes(self, prompt: Prompt) -> bool:
        """Say whether it can answer such prompts at all."""

    def answer(self, prompts: Sequence[Prompt]) -> list[Answer]:
        """Answer prompts that it takes, in their order."""


class BundleContender:
    """A bundle, through ``ImageSegmenter``."""

    def __init__(self, name: str, segmenter: ImageSegmenter) -> None:
        self.name = name
        self._segmenter = segmenter
        self._embedding: Embedding | None = None

    def show(self, image: Image) -> None:
        """See ``Contender``."""
        self._embedding = None  # the memory of one image
        self._embedding = self._segmenter.encode(image)

    def takes(self, prompt: Prompt) -> bool:
        """See ``Contender``."""
        return True

    def answer(self, prompts: Sequence[Prompt]) -> list[Answer]:
        """See ``Contender``; one or three candidates as the official rule has it."""
        assert self._embedding is not None
        return [
            Answer(found.mask().to_image() > 0,
                   Decoded(found.logits, found.best, found.chosen,
                           float(found.iou_predictions[found.best]), found.object_score))
            for found in self._segmenter.segment(self._embedding, prompts)]


class GrabCut:
    """
    OpenCV's GrabCut from a box: what was there before networks.

    Rother et al., 2004, "GrabCut: Interactive Foreground Extraction using Iterated Graph Cuts".
    """

    name = GRABCUT

    def __init__(self) -> None:
        self._image: Image | None = None

    def show(self, image: Image) -> None:
        """See ``Contender``."""
        self._image = image

    def takes(self, prompt: Prompt) -> bool:
        """See ``Contender``: it knows boxes only."""
        return prompt.box is not None and not len(prompt.points) and prompt.mask is None

    def answer(self, prompts: Sequence[Prompt]) -> list[Answer]:
        """See ``Contender``."""
        return [Answer(self._cut(prompt)) for prompt in prompts]

    def _cut(self, prompt: Prompt) -> Mask:
        assert self._image is not None
        assert prompt.box is not None
        height, width = self._image.shape[:2]
        x0, y0, x1, y1 = np.rint(prompt.box).astype(int).tolist()
        labels = np.full((height, width), cv2.GC_BGD, np.uint8)
        labels[max(y0, 0):max(y1, y0 + 1), max(x0, 0):max(x1, x0 + 1)] = cv2.GC_PR_FGD
        if not (labels == cv2.GC_BGD).any():
            # Nothing lies beside the box that the object could be told from.
            return np.asarray(labels == cv2.GC_PR_FGD)
        cv2.setRNGSeed(0)  # its clusters start at random
        any_box = (0, 0, 1, 1)  # is not looked at
        cv2.grabCut(self._image, labels, any_box, np.zeros((1, 65)), np.zeros((1, 65)),
                    _ITERATIONS, cv2.GC_INIT_WITH_MASK)
        return np.asarray(labels == cv2.GC_PR_FGD)
