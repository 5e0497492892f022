# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node publishes."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CompressedImage, Image

from sam2_ros.model.overlay import draw_overlay
from sam2_ros.model.video_tracker import ObjectState
from sam2_ros.msg import MaskArray
from sam2_ros.node.answers import Answer
from sam2_ros.node.conversions import to_image, to_jpeg
from sam2_ros.node.messages import label_image, mask_array
from sam2_ros.node.parameters import Settings

#: Answers that a slow subscriber may be behind.
DEPTH = 10


class Results:
    """The output topics; `publish` is called in the worker's thread."""

    def __init__(self, node: LifecycleNode, settings: Callable[[], Settings]) -> None:
        self._node = node
        self._settings = settings
        self._masks = node.create_lifecycle_publisher(MaskArray, '~/masks', DEPTH)
        self._labels = node.create_lifecycle_publisher(Image, '~/label_image', DEPTH)
        self._overlay = node.create_lifecycle_publisher(Image, '~/overlay', DEPTH)
        self._jpeg = node.create_lifecycle_publisher(
            CompressedImage, '~/overlay/compressed', DEPTH)

    @property
    def listeners(self) -> int:
        """Number of subscribers to ~/masks."""
        return int(self._masks.get_subscription_count())

    def destroy(self) -> None:
        """Remove the topics."""
        for publisher in (self._masks, self._labels, self._overlay, self._jpeg):
            self._node.destroy_lifecycle_publisher(publisher)

    def publish(self, answer: Answer) -> None:
        """Publish the answer on a frame: the masks first, pictures only if somebody listens."""
        header, size, objects = answer.frame.header, answer.image_size, [*answer.objects.values()]
        self._masks.publish(mask_array(objects, size, header))
        if self._labels.get_subscription_count():
            self._labels.publish(label_image(objects, size, header))
        overlay, jpeg = (self._overlay.get_subscription_count(),
                         self._jpeg.get_subscription_count())
        if not overlay and not jpeg:
            return
        settings = self._settings()
        picture = draw_overlay(
            answer.pixels, [(found.object_id, found.mask) for found in objects],
            [prompt for _, prompt in answer.prompts], settings.overlay_opacity,
            [(found.object_id, found.state.name.lower()) for found in objects
             if found.state != ObjectState.VISIBLE])
        if overlay:
            self._overlay.publish(to_image(picture, 'rgb8', header))
        if jpeg:
            self._jpeg.publish(to_jpeg(picture, settings.overlay_jpeg_quality, header))
