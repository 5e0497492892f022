# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run time of sam2_ros: a bundle and an image in, masks out. No ROS, no PyTorch."""

from sam2_ros.model.bundle import Bundle, shipped_bundle
from sam2_ros.model.errors import (
    BundleError,
    ImageError,
    OptionError,
    PromptError,
    ProviderError,
    Sam2RosError,
)
from sam2_ros.model.masks import Mask
from sam2_ros.model.network import Embedding
from sam2_ros.model.overlay import draw_overlay
from sam2_ros.model.prompts import Prompt
from sam2_ros.model.providers import ProviderOptions
from sam2_ros.model.segmenter import ImageSegmenter, Segmentation
from sam2_ros.model.tracking_options import TrackingOptions
from sam2_ros.model.video_tracker import ObjectState, TrackedObject, VideoTracker

__all__ = [
    'Bundle', 'BundleError', 'Embedding', 'ImageError', 'ImageSegmenter', 'Mask', 'ObjectState',
    'OptionError', 'Prompt', 'PromptError', 'ProviderError', 'ProviderOptions', 'Sam2RosError',
    'Segmentation', 'TrackedObject', 'TrackingOptions', 'VideoTracker', 'draw_overlay',
    'shipped_bundle',
]
