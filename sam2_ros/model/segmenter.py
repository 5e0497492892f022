# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Segment an image: encode it once, then ask for as many objects as there are prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from sam2_ros.model.bundle import Bundle
from sam2_ros.model.errors import PromptError
from sam2_ros.model.mask_choice import choose
from sam2_ros.model.masks import Mask, upscale
from sam2_ros.model.network import (
    Decoded,
    Embedding,
    FloatArray,
    Network,
    Stopwatch,
    bounded,
    groups,
)
from sam2_ros.model.prompts import Prompt
from sam2_ros.model.providers import ProviderOptions

_DEFAULT_OPTIONS = ProviderOptions()


@dataclass(frozen=True)
class Segmentation:
    """
    The answer to one prompt: C = 1 or 3 candidate masks.

    ``iou_predictions`` [C] float32: the model's own estimates; ``object_score``: logit that the
    object is there; ``image_size``: (height, width) in pixels.
    """

    iou_predictions: FloatArray
    object_score: float
    image_size: tuple[int, int]
    _first: int
    _decoded: FloatArray
    _threshold: float
    _stopwatch: Stopwatch

    @property
    def logits(self) -> FloatArray:
        """Low-resolution logits [C, M, M] within +-32, as ``Prompt.mask`` takes one of them."""
        return bounded(self._decoded)

    @property
    def best(self) -> int:
        """Index of the candidate with the highest predicted IoU."""
        return int(self.iou_predictions.argmax())

    @property
    def chosen(self) -> int:
        """Which of the decoder's four masks the best one is: 0 the single one, 1 to 3 the three."""
        return self._first + self.best

    def mask(self, index: int | None = None) -> Mask:
        """Return a candidate, the best by default, at the image's size."""
        index = self.best if index is None else index
        with self._stopwatch.measure('upscale'):
            # Not the bounded logits: between -100 and 32 the outline lies elsewhere than between
            # -32 and 32.
            box, crop = upscale(self._decoded[index], self.image_size, self._threshold)
        return Mask(box, crop, self.image_size, float(self.iou_predictions[index]),
                    self.object_score)


class ImageSegmenter:
    """
    SAM 2's image mode on ONNX Runtime, with the answers of the official ``SAM2ImagePredictor``.

    Not to be used by several threads at once.

    :param provider: a name in ``providers.PROVIDERS``. ``auto`` takes the best that works
        (see ``provider``) and logs why better ones do not; any other name is that or an error.
    :raises ProviderError: the provider cannot be had.
    :raises BundleError: a graph is not what the manifest says.
    """

    def __init__(
        self, bundle: Bundle, provider: str = 'auto', options: ProviderOptions = _DEFAULT_OPTIONS,
    ) -> None:
        self._network = Network(bundle, provider, options)

    @classmethod
    def on(cls, network: Network) -> ImageSegmenter:
        """Return a segmenter on graphs that are loaded already."""
        segmenter = cls.__new__(cls)
        segmenter._network = network
        return segmenter

    @property
    def bundle(self) -> Bundle:
        """The bundle that is in use."""
        return self._network.bundle

    @property
    def provider(self) -> str:
        """The execution provider that is really used."""
        return self._network.provider

    @property
    def last_timings(self) -> dict[str, float]:
        """Seconds that each stage took when last run: resize, encode, decode, upscale."""
        return dict(self._network.stopwatch.seconds)

    def warm_up(self) -> None:
        """Run everything once, so that the first real image does not pay for set-up work."""
        size = self.bundle.manifest.image_size
        image = np.random.default_rng(0).integers(0, 255, (size, size, 3), np.uint8)
        self.segment(self.encode(image), [Prompt(points=[(size / 2, size / 2)])])[0].mask()
        self._network.stopwatch.seconds.clear()

    def encode(self, image: npt.NDArray[np.uint8]) -> Embedding:
        """
        Encode an image [H, W, 3] uint8 RGB of any size.

        It is stretched to the model's square with antialiased bilinear interpolation, as
        ``SAM2Transforms`` does.

        :raises ImageError: the array is not such an image, or is empty.
        """
        return self._network.encode(image)

    def segment(
        self, embedding: Embedding, prompts: Sequence[Prompt], multimask: bool | None = None,
    ) -> list[Segmentation]:
        """
        Answer prompts on an encoded image, in their order; each stands for an object of its own.

        :param multimask: True: three candidates each, for prompts that may mean several things (a
            click on a shirt: shirt or person). False: one each, or the best of three where that
            one is unstable. None: three for a single point or a mask alone, one for all else, as
            ``SAM2Base._use_multimask`` decides.
        :raises PromptError: a prompt lies outside the image, or its mask is not of the model's
            mask size.
        """
        for prompt in prompts:
            self.check(prompt, embedding.image_size)
        answers: list[Segmentation | None] = [None] * len(prompts)
        with self._network.stopwatch.measure('decode'):
            # Equally many tokens, since padding tokens would change the answer, and either all or
            # none with a mask, since without masks the objects share all work on the image.
            for group in groups((len(prompt.points), prompt.box is not None,
                                 prompt.mask is not None) for prompt in prompts):
                decoded = self._decode(embedding, [prompts[index] for index in group])
                for index, each in zip(group, decoded, strict=True):
                    answers[index] = self._select(
                        each, embedding.image_size,
                        _is_ambiguous(prompts[index]) if multimask is None else multimask)
        return cast('list[Segmentation]', answers)

    def check(self, prompt: Prompt, image_size: tuple[int, int]) -> None:
        """
        Check a prompt against an image of ``(height, width)`` pixels and this model.

        :raises PromptError: it lies outside, or its mask is not of the model's mask size.
        """
        prompt.check_inside(image_size)
        size = self.bundle.manifest.constants.mask_size
        if prompt.mask is not None and prompt.mask.shape != (size, size):
            raise PromptError(f'the mask prompt is {prompt.mask.shape[1]}x{prompt.mask.shape[0]} '
                              f'logits, but this model takes {size}x{size}')

    def _decode(self, embedding: Embedding, prompts: Sequence[Prompt]) -> list[Decoded]:
        encoded = [prompt.encode(embedding.image_size, self.bundle.manifest.image_size)
                   for prompt in prompts]
        masks = [prompt.mask for prompt in prompts if prompt.mask is not None]
        return self._network.decode(
            embedding, np.stack([coords for coords, _ in encoded]),
            np.stack([labels for _, labels in encoded]), np.stack(masks) if masks else None)

    def _select(
        self, decoded: Decoded, image_size: tuple[int, int], multimask: bool,
    ) -> Segmentation:
        constants = self.bundle.manifest.constants
        chosen = choose(decoded, multimask, constants)
        # A copy: an answer that is kept must not keep those of all objects of the decoder's call.
        return Segmentation(
            decoded.iou_predictions[chosen].copy(), decoded.object_score, image_size, chosen.start,
            decoded.masks[chosen].copy(), constants.mask_threshold, self._network.stopwatch)


def _is_ambiguous(prompt: Prompt) -> bool:
    return prompt.box is None and len(prompt.points) <= 1
