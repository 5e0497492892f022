# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run time of sam2_ros: a bundle and an image in, masks out. No ROS, no PyTorch."""

from sam2_ros.model.bundle import Bundle
from sam2_ros.model.errors import (
    BundleError,
    ImageError,
    PromptError,
    ProviderError,
    Sam2RosError,
)
from sam2_ros.model.masks import Mask
from sam2_ros.model.overlay import draw_overlay
from sam2_ros.model.prompts import Prompt
from sam2_ros.model.providers import ProviderOptions
from sam2_ros.model.segmenter import Embedding, ImageSegmenter, Segmentation

__all__ = [
    'Bundle', 'BundleError', 'Embedding', 'ImageError', 'ImageSegmenter', 'Mask', 'Prompt',
    'PromptError', 'ProviderError', 'ProviderOptions', 'Sam2RosError', 'Segmentation',
    'draw_overlay',
]
