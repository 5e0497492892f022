# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Segment an image: encode it once, then ask for as many objects as there are prompts."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import cast

import numpy as np
import numpy.typing as npt
from onnxruntime import OrtValue

from sam2_ros.model.bundle import Bundle, Constants
from sam2_ros.model.errors import ImageError, PromptError, ProviderError
from sam2_ros.model.graph import Graph, to_host
from sam2_ros.model.masks import Mask, upscale
from sam2_ros.model.prompts import Prompt
from sam2_ros.model.providers import ProviderOptions, candidates

_LOG = logging.getLogger(__name__)

#: Bound of the logits that are fed back as a mask prompt (``SAM2ImagePredictor._predict``).
_MAX_LOGIT = 32.0
#: Objects decoded at once. Each takes 40 MB (at 1024 x 1024); with more than this, memory grows
#: and the CPU's caches overflow, so that 16 objects at once gain 10 % at most.
_MAX_OBJECTS_PER_CALL = 4
_DEFAULT_OPTIONS = ProviderOptions()

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Embedding:
    """An encoded image: its (height, width) in pixels, its features on the provider's device."""

    image_size: tuple[int, int]
    features: dict[str, OrtValue]


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
    _decoded: FloatArray
    _threshold: float
    _stopwatch: Stopwatch

    @property
    def logits(self) -> FloatArray:
        """Low-resolution logits [C, M, M] within +-32, as ``Prompt.mask`` takes one of them."""
        return np.clip(self._decoded, -_MAX_LOGIT, _MAX_LOGIT)

    @property
    def best(self) -> int:
        """Index of the candidate with the highest predicted IoU."""
        return int(self.iou_predictions.argmax())

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
        self.bundle = bundle
        self.provider, self._encoder, self._decoder = _load(bundle, provider, options)
        self._resizer = Graph(bundle, 'image_resize', 'cpu', options)
        self._stopwatch = Stopwatch()

    @property
    def last_timings(self) -> dict[str, float]:
        """Seconds that each stage took when last run: resize, encode, decode, upscale."""
        return dict(self._stopwatch.seconds)

    def warm_up(self) -> None:
        """Run everything once, so that the first real image does not pay for set-up work."""
        size = self.bundle.manifest.image_size
        image = np.random.default_rng(0).integers(0, 255, (size, size, 3), np.uint8)
        self.segment(self.encode(image), [Prompt(points=[(size / 2, size / 2)])])[0].mask()
        self._stopwatch.seconds.clear()

    def encode(self, image: npt.NDArray[np.uint8]) -> Embedding:
        """
        Encode an image [H, W, 3] uint8 RGB of any size.

        It is stretched to the model's square with antialiased bilinear interpolation, as
        ``SAM2Transforms`` does.

        :raises ImageError: the array is not such an image, or is empty.
        """
        _check_image(image)
        with self._stopwatch.measure('resize'):
            resized = self._resizer.run({'image': np.ascontiguousarray(image[None])})
        with self._stopwatch.measure('encode'):
            features = self._encoder.run({'image': resized['resized']})
        return Embedding((image.shape[0], image.shape[1]), features)

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
            self._check_prompt(prompt, embedding.image_size)
        answers: list[Segmentation | None] = [None] * len(prompts)
        with self._stopwatch.measure('decode'):
            for group in self._groups(prompts):
                decoded = self._decode(embedding, [prompts[index] for index in group])
                for row, index in enumerate(group):
                    answers[index] = self._select(
                        [output[row] for output in decoded], embedding.image_size,
                        _is_ambiguous(prompts[index]) if multimask is None else multimask)
        return cast('list[Segmentation]', answers)

    def _check_prompt(self, prompt: Prompt, image_size: tuple[int, int]) -> None:
        prompt.check_inside(image_size)
        size = self.bundle.manifest.constants.mask_size
        if prompt.mask is not None and prompt.mask.shape != (size, size):
            raise PromptError(f'the mask prompt is {prompt.mask.shape[1]}x{prompt.mask.shape[0]} '
                              f'logits, but this model takes {size}x{size}')

    @staticmethod
    def _groups(prompts: Sequence[Prompt]) -> Iterator[list[int]]:
        """
        Yield indices of prompts that one decoder call can take.

        They must have equally many tokens, since padding tokens would change the answer, and
        either all or none a mask, since without masks the objects share all work on the image.
        """
        groups: dict[tuple[int, bool, bool], list[int]] = defaultdict(list)
        for index, prompt in enumerate(prompts):
            key = (len(prompt.points), prompt.box is not None, prompt.mask is not None)
            groups[key].append(index)
        for group in groups.values():
            for start in range(0, len(group), _MAX_OBJECTS_PER_CALL):
                yield group[start:start + _MAX_OBJECTS_PER_CALL]

    def _decode(
        self, embedding: Embedding, prompts: Sequence[Prompt],
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Run the decoder; returns masks [B, 4, M, M], predicted IoUs [B, 4], scores [B, 1]."""
        manifest = self.bundle.manifest
        encoded = [prompt.encode(embedding.image_size, manifest.image_size) for prompt in prompts]
        masks = [prompt.mask[None] for prompt in prompts if prompt.mask is not None]
        size = manifest.constants.mask_size
        outputs = self._decoder.run({
            **embedding.features,
            'point_coords': np.stack([coords for coords, _ in encoded]),
            'point_labels': np.stack([labels for _, labels in encoded]),
            'mask_input': np.stack(masks) if masks else np.zeros((1, 1, size, size), np.float32),
            'has_mask_input': np.full(len(masks) or 1, bool(masks), np.float32),
            'memory_conditioned': np.zeros(1, np.float32),
        })
        return cast('tuple[FloatArray, FloatArray, FloatArray]', tuple(
            to_host(outputs[name]) for name in ('masks', 'iou_predictions', 'object_score_logits')))

    def _select(
        self, decoded: Sequence[FloatArray], image_size: tuple[int, int], multimask: bool,
    ) -> Segmentation:
        """Choose among the four masks of an object as ``MaskDecoder.forward`` does."""
        masks, ious, score = decoded
        constants = self.bundle.manifest.constants
        if multimask:
            chosen = slice(1, None)
        elif constants.dynamic_multimask_via_stability and not _is_stable(masks[0], constants):
            best = 1 + int(ious[1:].argmax())
            chosen = slice(best, best + 1)
        else:
            chosen = slice(0, 1)
        # A copy: an answer that is kept must not keep those of all objects of the decoder's call.
        return Segmentation(ious[chosen].copy(), float(score[0]), image_size,
                            masks[chosen].copy(), constants.mask_threshold, self._stopwatch)


class Stopwatch:
    """Remembers how long each stage took when it last ran."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Time the body of a ``with`` statement as ``stage``."""
        start = perf_counter()
        yield
        self.seconds[stage] = perf_counter() - start


def _load(
    bundle: Bundle, wanted: str, options: ProviderOptions,
) -> tuple[str, Graph, Graph]:
    """
    Load encoder and decoder on the wanted provider, or for ``auto`` on the first that takes both.

    Returns the provider's name and the two graphs.
    """
    *others, last = candidates(wanted)
    failures = []
    for name in others:
        try:
            graphs = _load_on(bundle, name, options)
        except ProviderError as error:
            failures.append(f'{name}: {error}')
            continue
        _report(name, failures)
        return name, *graphs
    graphs = _load_on(bundle, last, options)
    _report(last, failures)
    return last, *graphs


def _load_on(bundle: Bundle, provider: str, options: ProviderOptions) -> tuple[Graph, Graph]:
    # TensorRT compiles an engine for each range of shapes, for minutes, and takes no empty
    # tensor; the decoder's shapes change with every prompt and it is short, so CUDA runs it.
    decoder_provider = 'cuda' if provider == 'tensorrt' else provider
    return (Graph(bundle, 'image_encoder', provider, options),
            Graph(bundle, 'image_decoder', decoder_provider, options))


def _report(name: str, failures: list[str]) -> None:
    if failures:
        _LOG.warning('provider auto: using %s, since better ones do not work here (%s)',
                     name, '; '.join(failures))


def _check_image(image: npt.NDArray[np.uint8]) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ImageError(f'an image is an array [height, width, 3] of uint8 (RGB), got '
                         f'{list(image.shape)} of {image.dtype}')
    if image.size == 0:
        raise ImageError(f'the image is empty: {image.shape[1]}x{image.shape[0]} pixels')


def _is_ambiguous(prompt: Prompt) -> bool:
    return prompt.box is None and len(prompt.points) <= 1


def _is_stable(logits: FloatArray, constants: Constants) -> bool:
    """Say whether moving the threshold leaves the mask as it is (``_get_stability_scores``)."""
    inner = int(np.count_nonzero(logits > constants.stability_delta))
    outer = int(np.count_nonzero(logits > -constants.stability_delta))
    return outer == 0 or inner / outer >= constants.stability_threshold
