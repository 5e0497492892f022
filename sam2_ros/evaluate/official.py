# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The official modules on PyTorch, with the weights that a bundle was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sam2_ros.evaluate.errors import BenchmarkError
from sam2_ros.evaluate.experiment import Readings
from sam2_ros.evaluate.latency import TOTAL, Scene
from sam2_ros.evaluate.official_predictor import resized
from sam2_ros.export import reference
from sam2_ros.export.configs import MASK_THRESHOLD, load_model, random_model
from sam2_ros.export.options import SHIPPED_CHECKPOINT
from sam2_ros.model.bundle import Bundle, sha256_of
from sam2_ros.model.prompts import Prompt


def official_model(bundle: Bundle, checkpoint: Path | None) -> Any:
    """
    Return the official model with the bundle's weights, float32.

    :param checkpoint: the file that the bundle was exported from; None where the manifest tells
        the weights: random ones, or those that come with this package.
    :raises BenchmarkError: the weights are not known.
    :raises ExportError: the file is no checkpoint of this model.
    """
    manifest = bundle.manifest
    sha256 = manifest.provenance.get('checkpoint_sha256')
    if checkpoint is None and sha256 is not None:
        if sha256 != sha256_of(SHIPPED_CHECKPOINT):
            raise BenchmarkError(
                f'{bundle.path} was exported from {manifest.provenance.get("checkpoint")}: name '
                'that file after --pytorch')
        checkpoint = SHIPPED_CHECKPOINT
    if checkpoint is not None:
        return load_model(manifest.model, checkpoint, manifest.image_size)
    seed = manifest.provenance.get('seed')
    if not isinstance(seed, int):
        raise BenchmarkError(f'{bundle.path}: its manifest tells neither checkpoint nor seed of '
                             'its weights; export it again')
    return random_model(manifest.model, manifest.image_size, seed)


class OfficialImage:
    """
    From a picture to a mask as ``SAM2ImagePredictor`` does it, eager, on the CPU.

    :param threads: as many as ONNX Runtime has.
    """

    def __init__(self, name: str, model: Any, scene: Scene, threads: int) -> None:
        torch.set_num_threads(threads)
        self.name = name
        self._model = model
        self._scene = scene

    @torch.no_grad()
    def run(self, run: int) -> Readings:
        """See ``Contender``."""
        picture, prompt = self._scene(run)
        begin = perf_counter()
        image = resized(picture, self._model.image_size)
        is_resized = perf_counter()
        features = reference.encode(self._model, image)
        is_encoded = perf_counter()
        masks, ious = _decode(self._model, features, [prompt], picture.shape[:2])
        # A single point gets the best of the last three masks (``SAM2Base._use_multimask``).
        best = masks[:, 1 + int(ious[0, 1:].argmax())][:, None]
        is_decoded = perf_counter()
        full = torch.nn.functional.interpolate(
            best, picture.shape[:2], mode='bilinear', align_corners=False)
        _ = full > MASK_THRESHOLD
        end = perf_counter()
        return Readings({
            'resize': is_resized - begin, 'encode': is_encoded - is_resized,
            'decode': is_decoded - is_encoded, 'upscale': end - is_decoded, TOTAL: end - begin})


class OfficialDecoder:
    """
    The official prompt encoder and mask decoder, eager, on the CPU, on one picture.

    :param prompts: by stage.
    """

    def __init__(
        self, name: str, model: Any, picture: npt.NDArray[np.uint8],
        prompts: Mapping[str, Sequence[Prompt]], threads: int,
    ) -> None:
        torch.set_num_threads(threads)
        self.name = name
        self._model = model
        self._image_size = picture.shape[:2]
        self._prompts = prompts
        self._features = reference.encode(model, resized(picture, model.image_size))

    def run(self, run: int) -> Readings:
        """See ``Contender``."""
        seconds = {}
        for stage, prompts in self._prompts.items():
            begin = perf_counter()
            _decode(self._model, self._features, prompts, self._image_size)
            seconds[stage] = perf_counter() - begin
        return Readings(seconds)


def _decode(
    model: Any, features: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    prompts: Sequence[Prompt], image_size: tuple[int, int],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return masks [B, 4, M, M] and predicted IoUs [B, 4]."""
    encoded = [prompt.encode(image_size, model.image_size) for prompt in prompts]
    masks, ious, *_ = reference.decode(
        model, features, torch.from_numpy(np.stack([coords for coords, _ in encoded])),
        torch.from_numpy(np.stack([labels for _, labels in encoded])), None)
    return masks, ious
