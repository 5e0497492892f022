# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The graphs of a bundle on one provider, as functions of images, prompts and memories."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import cast

import numpy as np
import numpy.typing as npt
from onnxruntime import OrtValue

from sam2_ros.model.bundle import Bundle
from sam2_ros.model.errors import ImageError, ProviderError
from sam2_ros.model.graph import Graph, to_host
from sam2_ros.model.memory_bank import Recall
from sam2_ros.model.providers import ProviderOptions, candidates

_LOG = logging.getLogger(__name__)

#: Objects decoded at once. Each takes 40 MB (at 1024 x 1024); with more than this, memory grows
#: and the CPU's caches overflow, so that 16 objects at once gain 10 % at most.
_MAX_OBJECTS_PER_CALL = 4
#: Graphs by where they run: on the provider (of the image alone, and for tracking), on the CPU.
_IMAGE, _MEMORY = ('image_encoder', 'image_decoder'), ('memory_attention', 'memory_encoder')
_IMAGE_CPU, _MEMORY_CPU = ('image_resize',), ('mask_prompt',)

#: Bound of logits that are fed back as a prompt (``SAM2ImagePredictor._predict``,
#: ``SAM2VideoPredictor.add_new_points_or_box``).
_MAX_LOGIT = 32.0

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Embedding:
    """An encoded image: its (height, width) in pixels, its features on the provider's device."""

    image_size: tuple[int, int]
    features: dict[str, OrtValue]


@dataclass(frozen=True)
class Decoded:
    """
    What the decoder says of one object.

    ``masks`` [4, M, M]: logits, first the single mask, then the three candidates;
    ``iou_predictions`` [4]; ``object_score``: logit that the object is there;
    ``pointers`` [4, C]: the object pointer of each mask, with the occlusion in it.
    """

    masks: FloatArray
    iou_predictions: FloatArray
    object_score: float
    pointers: FloatArray


class Network:
    """
    SAM 2's networks: what turns images, prompts and memories into masks and memories.

    :param tracking: load the graphs of video memory too.
    :raises ProviderError: the provider cannot be had.
    :raises BundleError: a graph is missing or not what the manifest says.
    """

    def __init__(
        self, bundle: Bundle, provider: str, options: ProviderOptions, tracking: bool = False,
    ) -> None:
        self.bundle = bundle
        self.stopwatch = Stopwatch()
        self.provider, self._graphs = _load(
            bundle, _IMAGE + _MEMORY if tracking else _IMAGE, provider, options)
        for name in _IMAGE_CPU + _MEMORY_CPU if tracking else _IMAGE_CPU:
            self._graphs[name] = Graph(bundle, name, 'cpu', options)

    def encode(self, image: npt.NDArray[np.uint8]) -> Embedding:
        """Encode an image [H, W, 3] uint8 RGB; :raises ImageError: it is not one, or is empty."""
        check_image(image)
        with self.stopwatch.measure('resize'):
            resized = self._graphs['image_resize'].run(
                {'image': np.ascontiguousarray(image[None])})
        with self.stopwatch.measure('encode'):
            features = self._graphs['image_encoder'].run({'image': resized['resized']})
        return Embedding((image.shape[0], image.shape[1]), features)

    def decode(
        self, embedding: Embedding, coords: FloatArray, labels: npt.NDArray[np.int32],
        masks: FloatArray | None = None, conditioned: OrtValue | None = None,
    ) -> list[Decoded]:
        """
        Decode B objects of an image at once.

        :param coords: [B, N, 2], in pixels of the model's square picture; N may be 0.
        :param labels: [B, N], as ``Prompt`` and the official prompt encoder number them.
        :param masks: [B, M, M] logits, a prompt for each object; or None.
        :param conditioned: what stands for the image's own features: those that memory attention
            returns, [B, C, E, E]. None: the image's features, as of an image without memories.
        """
        size = self.bundle.manifest.constants.mask_size
        features = dict(embedding.features)
        if conditioned is not None:
            features['image_embed'] = conditioned
        outputs = self._graphs['image_decoder'].run({
            **features,
            'point_coords': coords,
            'point_labels': labels,
            'mask_input': np.zeros((1, 1, size, size), np.float32) if masks is None
            else np.ascontiguousarray(masks[:, None]),
            'has_mask_input': np.full(1 if masks is None else len(masks), masks is not None,
                                      np.float32),
            'memory_conditioned': np.full(1, conditioned is not None, np.float32),
        })
        masks_out, ious, scores, pointers = cast('tuple[FloatArray, ...]', tuple(
            to_host(outputs[name]) for name in (
                'masks', 'iou_predictions', 'object_score_logits', 'object_pointers')))
        return [Decoded(*row[:2], float(row[2][0]), row[3])
                for row in zip(masks_out, ious, scores, pointers, strict=True)]

    def attend(self, embedding: Embedding, recalls: Sequence[Recall]) -> OrtValue:
        """
        Condition an image on the memories of B objects: [B, C, E, E], on the provider's device.

        All ``recalls`` must hold equally many memories, and equally many pointers.
        """
        channels = self.bundle.manifest.graphs['memory_attention'].inputs
        width = {tensor.name: tensor.shape[-1] for tensor in channels}['object_pointers']
        count = len(recalls[0].pointers)
        outputs = self._graphs['memory_attention'].run({
            'image_embed': embedding.features['image_embed'],
            'memory_features': np.stack([np.stack(recall.memories) for recall in recalls]),
            'memory_steps': np.array([recall.memory_steps for recall in recalls], np.int64),
            'object_pointers': np.array(
                [recall.pointers for recall in recalls], np.float32,
            ).reshape(len(recalls), count, cast('int', width)),
            'pointer_steps': np.array(
                [recall.pointer_steps for recall in recalls], np.float32,
            ).reshape(len(recalls), count),
        })
        return outputs['conditioned_embed']

    def remember(
        self, embedding: Embedding, masks: FloatArray, scores: FloatArray, prompted: bool,
    ) -> FloatArray:
        """
        Return the memories [B, P, D] of B objects on an image, on the host.

        :param masks: [B, M, M] logits; :param scores: [B] object scores.
        :param prompted: whether the masks answer prompts; such masks are remembered as they are
            seen, without their uncertainty (``binarize_mask_from_pts_for_mem_enc``).
        """
        outputs = self._graphs['memory_encoder'].run({
            'image_embed': embedding.features['image_embed'],
            'masks': np.ascontiguousarray(masks[:, None]),
            'object_score_logits': scores[:, None],
            'is_prompted': np.full(len(masks), prompted, np.float32),
        })
        return cast('FloatArray', to_host(outputs['memory_features']))

    def prepare_mask(self, mask: npt.NDArray[np.uint8]) -> tuple[FloatArray, FloatArray]:
        """
        Turn a mask [height, width] of an image, nonzero = object, into what stands for it.

        Returns the logits [M, M] that are its answer and the logits [M, M] with which the decoder
        is asked for its object pointer (``SAM2Base._use_mask_as_output``).
        """
        outputs = self._graphs['mask_prompt'].run({'mask': np.ascontiguousarray(mask)})
        logits, prompt = (to_host(outputs[name]) for name in ('mask_logits', 'mask_input'))
        return cast('FloatArray', logits)[0, 0], cast('FloatArray', prompt)[0, 0]


def groups(
    keys: Iterable[Hashable], most: int = _MAX_OBJECTS_PER_CALL,
) -> Iterator[list[int]]:
    """Yield the indices of objects that one call can take: ``most`` of equal keys."""
    alike: dict[Hashable, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        alike[key].append(index)
    for indices in alike.values():
        for start in range(0, len(indices), most):
            yield indices[start:start + most]


def bounded(logits: FloatArray) -> FloatArray:
    """Return logits within +-32, as they may be fed back as a prompt."""
    return np.clip(logits, -_MAX_LOGIT, _MAX_LOGIT)


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


def check_image(image: npt.NDArray[np.uint8]) -> None:
    """:raises ImageError: this is not an image [H, W, 3] of uint8, or it has no pixels."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ImageError(f'an image is an array [height, width, 3] of uint8 (RGB), got '
                         f'{list(image.shape)} of {image.dtype}')
    if image.size == 0:
        raise ImageError(f'the image is empty: {image.shape[1]}x{image.shape[0]} pixels')


def _load(
    bundle: Bundle, names: Sequence[str], wanted: str, options: ProviderOptions,
) -> tuple[str, dict[str, Graph]]:
    """Load graphs on the wanted provider, or for ``auto`` on the first that takes all of them."""
    *others, last = candidates(wanted)
    failures = []
    for name in others:
        try:
            graphs = _load_on(bundle, names, name, options)
        except ProviderError as error:
            failures.append(f'{name}: {error}')
            continue
        _report(name, failures)
        return name, graphs
    graphs = _load_on(bundle, names, last, options)
    _report(last, failures)
    return last, graphs


def _load_on(
    bundle: Bundle, names: Sequence[str], provider: str, options: ProviderOptions,
) -> dict[str, Graph]:
    # TensorRT compiles an engine for each range of shapes, for minutes, and takes no empty
    # tensor; the shapes of all graphs but the encoder change with every prompt and frame, and
    # they are short, so CUDA runs them.
    others = 'cuda' if provider == 'tensorrt' else provider
    return {name: Graph(bundle, name, provider if name == 'image_encoder' else others, options)
            for name in names}


def _report(name: str, failures: list[str]) -> None:
    if failures:
        _LOG.warning('provider auto: using %s, since better ones do not work here (%s)',
                     name, '; '.join(failures))
