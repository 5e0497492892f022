# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The official modules on PyTorch as a contender."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor

from sam2_ros.evaluate.contenders import Answer, Decoded, Image
from sam2_ros.evaluate.samples import PYTORCH
from sam2_ros.export import reference
from sam2_ros.export.configs import MASK_THRESHOLD
from sam2_ros.model.prompts import Prompt

#: Bound of the logits that are fed back (``SAM2ImagePredictor._predict``).
_MAX_LOGIT = 32.0


class OfficialPredictor:
    """
    ``SAM2ImagePredictor``, step by step around the official modules.

    The class itself imports torchvision, which nothing else here needs.
    """

    name = PYTORCH

    def __init__(self, model: SAM2Base) -> None:
        self._model = model
        self._image_size = (0, 0)
        self._features: tuple[Tensor, Tensor, Tensor] | None = None

    def show(self, image: Image) -> None:
        """See ``Contender``; ``SAM2Transforms.__call__`` and ``set_image``."""
        self._image_size = (image.shape[0], image.shape[1])
        self._features = None
        self._features = reference.encode(self._model, resized(image, self._model.image_size))

    def takes(self, prompt: Prompt) -> bool:
        """See ``Contender``."""
        return True

    def answer(self, prompts: Sequence[Prompt]) -> list[Answer]:
        """See ``Contender``; ``SAM2ImagePredictor._predict`` with ``_use_multimask``'s rule."""
        return [self._answer(prompt) for prompt in prompts]

    @torch.no_grad()
    def _answer(self, prompt: Prompt) -> Answer:
        assert self._features is not None
        coords, labels = prompt.encode(self._image_size, self._model.image_size)
        mask = None if prompt.mask is None else torch.from_numpy(prompt.mask)[None, None]
        masks, ious, score, *_ = reference.decode(
            self._model, self._features, torch.from_numpy(coords)[None],
            torch.from_numpy(labels)[None], mask)
        all_masks, decoder = masks, self._model.sam_mask_decoder
        if prompt.box is None and len(prompt.points) <= 1:
            masks, ious = masks[:, 1:], ious[:, 1:]
        elif decoder.dynamic_multimask_via_stability:
            masks, ious = decoder._dynamic_multimask_via_stability(masks, ious)
        else:
            masks, ious = masks[:, :1], ious[:, :1]
        best = int(ious[0].argmax())
        chosen = int((all_masks[0] == masks[0, best]).flatten(1).all(1).nonzero()[0])
        full = torch.nn.functional.interpolate(
            masks[:, best:best + 1], self._image_size, mode='bilinear', align_corners=False)
        return Answer(
            (full[0, 0] > MASK_THRESHOLD).numpy(),
            Decoded(masks[0].clamp(-_MAX_LOGIT, _MAX_LOGIT).numpy(), best, chosen,
                    float(ious[0, best]), float(score[0, 0])))


def resized(image: Image, side: int) -> Tensor:
    """Return an image [H, W, 3] uint8 as the model sees it: [1, side, side, 3], 0..255."""
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()
    return torch.nn.functional.interpolate(
        pixels, (side, side), mode='bilinear', antialias=True).permute(0, 2, 3, 1)
