# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The official modules on PyTorch, with the weights that a bundle was made from."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sam2_ros.evaluate.errors import BenchmarkError
from sam2_ros.evaluate.latency import OBJECTS, Step, decode_stage
from sam2_ros.evaluate.samples import PYTORCH
from sam2_ros.evaluate.scene import make_prompts
from sam2_ros.export import reference
from sam2_ros.export.configs import load_model, random_model
from sam2_ros.export.options import SHIPPED_CHECKPOINT
from sam2_ros.model.bundle import Bundle, Manifest, sha256_of


def official_model(bundle: Bundle, checkpoint: Path | None) -> Any:
    """
    Return the official model with the bundle's weights, float32.

    :param checkpoint: the file that the bundle was exported from; None where the manifest tells
        the weights: random ones, or those of the checkpoint that comes with this package.
    :raises BenchmarkError: the weights are not known, or the file has others.
    :raises ExportError: the file is no checkpoint of this model.
    """
    manifest = bundle.manifest
    sha256 = manifest.provenance.get('checkpoint_sha256')
    if checkpoint is None and sha256 is not None:
        if sha256 != sha256_of(SHIPPED_CHECKPOINT):
            raise BenchmarkError(
                f'{bundle.path} was exported from {manifest.provenance.get("checkpoint")}: name '
                'that file after --against-pytorch')
        checkpoint = SHIPPED_CHECKPOINT
    if checkpoint is not None:
        model = load_model(manifest.model, checkpoint, manifest.image_size)
        if sha256 != sha256_of(checkpoint):
            raise BenchmarkError(
                f'{checkpoint}: {bundle.path} was made from other weights, {_origin(manifest)}')
        return model
    seed = manifest.provenance.get('seed')
    if not isinstance(seed, int):
        raise BenchmarkError(f'{bundle.path}: its manifest tells neither checkpoint nor seed of '
                             'its weights; export it again')
    return random_model(manifest.model, manifest.image_size, seed)


class OfficialStages:
    """
    Encoder and decoder of the official modules, eager, on the CPU.

    :param threads: as many as ONNX Runtime has.
    """

    name = PYTORCH

    def __init__(
        self, model: Any, picture: npt.NDArray[np.uint8], image_size: int, threads: int,
    ) -> None:
        torch.set_num_threads(threads)
        self._model = model
        self._picture_size = picture.shape[:2]
        self._image_size = image_size
        channels_first = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
        self._image = torch.nn.functional.interpolate(
            channels_first, (image_size, image_size), mode='bilinear', antialias=True,
        ).permute(0, 2, 3, 1).contiguous()
        self._features: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None

    @property
    def steps(self) -> list[Step]:
        """What one run does, in order."""
        return [self._encode, *(partial(self._decode, count) for count in OBJECTS)]

    def _encode(self) -> dict[str, float]:
        self._features = None
        begin = perf_counter()
        self._features = reference.encode(self._model, self._image)
        return {'encode': perf_counter() - begin}

    def _decode(self, objects: int) -> dict[str, float]:
        assert self._features is not None
        height, width = self._picture_size
        prompts = make_prompts(objects, width, height)
        begin = perf_counter()
        encoded = [prompt.encode((height, width), self._image_size) for prompt in prompts]
        reference.decode(
            self._model, self._features,
            torch.from_numpy(np.stack([coords for coords, _ in encoded])),
            torch.from_numpy(np.stack([labels for _, labels in encoded])), None)
        return {decode_stage(objects): perf_counter() - begin}


def _origin(manifest: Manifest) -> str:
    checkpoint = manifest.provenance.get('checkpoint')
    return checkpoint or f'random ones of seed {manifest.provenance.get("seed")}'
