# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's side of ROS: a camera, a person who clicks, and a reader of the masks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Point
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from sam2_ros.model.masks import Mask
from sam2_ros.msg import Mask as MaskMessage
from sam2_ros.msg import MaskArray, Prompt
from sam2_ros.node.conversions import mono_from_image
from sam2_ros.node.demo_node import DemoError, NodeProcess
from sam2_ros.node.demo_scenes import DemoPrompt

#: Seconds; loading and warming up a model of 900 MB from a slow disk is within.
START_TIMEOUT = 120.0
#: Seconds; the largest model takes some on a small CPU.
ANSWER_TIMEOUT = 60.0

OperatorType = TypeVar('OperatorType', bound='Operator')


class Operator:
    """
    A ROS node beside the one that is shown; it has its topics, and waits for events.

    :param namespace: of both nodes.
    :param process: the other one; where it ends, waiting ends, too.
    """

    def __init__(self, namespace: str, process: NodeProcess, context: Any) -> None:
        self._process = process
        self._name = f'{namespace}/sam2'
        self._node = rclpy.create_node('operator', namespace=namespace, context=context)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self._node)
        self._images = self._node.create_publisher(Image, 'image', qos_profile_sensor_data)
        self._prompts = self._node.create_publisher(Prompt, 'sam2/prompt', 10)
        self._clicks = self._node.create_publisher(Point, 'image_mouse_left', 10)
        self._node.create_subscription(MaskArray, 'sam2/masks', self._masks_came, 10)
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._diagnostics_came, 10)
        self._figures: dict[str, str] = {}

    def close(self) -> None:
        """Leave ROS."""
        self._executor.shutdown()
        self._node.destroy_node()

    def wait_for_node(self) -> None:
        """
        Wait until both sides have found each other: a message to one that has not is lost.

        :raises DemoError: the node is not there in time.
        """
        publishers = (self._images, self._prompts, self._clicks)
        if not self._spin_until(
                lambda: all(topic.get_subscription_count() for topic in publishers)
                and all(self._count(f'publishers on {topic.topic_name}') for topic in publishers)
                and self._count('listeners to ~/masks') > 0, START_TIMEOUT):
            raise DemoError(f'the node did not subscribe within {START_TIMEOUT:g} s')

    def _give(self, prompt: DemoPrompt, header: Header) -> None:
        """Give a prompt on the image with this header; a click means the newest image."""
        if prompt.mouse:
            assert prompt.point is not None
            self._clicks.publish(Point(x=prompt.point[0], y=prompt.point[1]))
        else:
            self._prompts.publish(prompt.to_message(header))

    def _count(self, what: str) -> int:
        """Return a number of the node's newest diagnostics, 0 before the first."""
        return int(self._figures.get(what, '0'))

    def _spin_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Handle messages until the condition holds; False if it does not in time."""
        end = time.monotonic() + timeout
        while not condition():
            self._process.check()
            if (left := end - time.monotonic()) <= 0:
                return False
            self._executor.spin_once(timeout_sec=min(0.05, left))
        return True

    def _masks_came(self, message: MaskArray) -> None:
        raise NotImplementedError

    def _diagnostics_came(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(f'{self._name}:'):
                self._figures = {item.key: item.value for item in status.values}


@contextmanager
def operating(
    kind: Callable[[str, NodeProcess, Any], OperatorType], namespace: str, process: NodeProcess,
) -> Iterator[OperatorType]:
    """Let an operator work in a ROS context of its own while a ``with`` statement lasts."""
    context = rclpy.Context()
    context.init()
    operator = kind(namespace, process, context)
    try:
        operator.wait_for_node()
        yield operator
    finally:
        operator.close()
        context.try_shutdown()


def to_mask(masks: MaskArray, message: MaskMessage) -> Mask:
    """Return one of the masks of a message; ``object_score`` is a logit again."""
    box = message.box
    x0, y0 = box.x_offset, box.y_offset
    presence = np.clip(message.object_score, 1e-6, 1 - 1e-6)
    return Mask(
        box=(x0, y0, x0 + box.width, y0 + box.height),
        crop=mono_from_image(message.mask) if box.width else np.empty((0, 0), np.uint8),
        image_size=(masks.height, masks.width),
        iou_prediction=message.predicted_iou,
        object_score=float(np.log(presence / (1 - presence))))
