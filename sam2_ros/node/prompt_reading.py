# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a request says about an image, as the model takes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import Image

from sam2_ros.model.errors import PromptError
from sam2_ros.model.mask_prompts import mask_to_logits
from sam2_ros.model.prompts import POSITIVE, Prompt
from sam2_ros.node.conversions import logits_from_image, mono_from_image
from sam2_ros.node.prompt_queue import PromptRequest


@dataclass(frozen=True)
class Told:
    """
    What was told about an object: a prompt, a mask, or both.

    `prompt`: points, box and low-resolution logits, None if there is none of these; `mask`
    [height, width] of the image, nonzero = object, or None.
    """

    prompt: Prompt | None
    mask: npt.NDArray[np.uint8] | None

    def as_prompt(self, mask_size: int) -> Prompt:
        """Return all of it as one prompt: a mask becomes logits [mask_size, mask_size]."""
        if self.mask is None:
            assert self.prompt is not None  # `read_prompt` refuses a request that tells nothing
            return self.prompt
        logits = mask_to_logits(self.mask, mask_size)
        if self.prompt is None:
            return Prompt(mask=logits)
        return Prompt(self.prompt.points, self.prompt.labels, self.prompt.box, logits)


def read_prompt(request: PromptRequest, image_size: tuple[int, int], mask_size: int) -> Told:
    """
    Return what a request tells about an image of (height, width) pixels.

    :raises PromptError: it tells nothing, or does not fit the image or the model's `mask_size`.
    """
    height, width = image_size
    if request.image_size not in (None, image_size):
        raise PromptError(
            f'camera_info is for images of {request.image_size[1]}x{request.image_size[0]} '
            f'pixels, but the image has {width}x{height}')
    mask = logits = None
    if request.mask is not None and request.mask.encoding == '32FC1':
        logits = _logits(request.mask, mask_size)
    elif request.mask is not None:
        mask = _mask(request.mask, image_size)
    if mask is not None and not request.points and not request.labels and request.box is None:
        return Told(None, mask)
    prompt = Prompt(request.points, request.labels, request.box, logits)
    if request.corners_inside and prompt.box is not None:
        Prompt(prompt.box.reshape(2, 2), [POSITIVE] * 2).check_inside(image_size)
    prompt.check_inside(image_size)
    return Told(prompt, mask)


def _logits(message: Image, size: int) -> npt.NDArray[np.float32]:
    if (message.height, message.width) != (size, size):
        raise PromptError(f'the mask prompt has {message.width}x{message.height} logits, but this '
                          f'model takes {size}x{size}')
    return logits_from_image(message)


def _mask(message: Image, image_size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    if message.encoding != 'mono8':
        raise PromptError(f"the mask prompt has encoding '{message.encoding}', it must be mono8 "
                          '(a mask) or 32FC1 (logits)')
    if (message.height, message.width) != image_size:
        raise PromptError(f'the mask prompt has {message.width}x{message.height} pixels, but the '
                          f'image has {image_size[1]}x{image_size[0]}')
    mask = mono_from_image(message)
    if not mask.any():
        raise PromptError('the mask prompt is empty: no pixel is set')
    return mask
