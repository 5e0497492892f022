# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transforms between frames, where tf2_ros is installed."""

from __future__ import annotations

import importlib
import os
from typing import Any

from rclpy.node import Node
from rclpy.time import Time

from sam2_ros.model.errors import PromptError
from sam2_ros.node.projection import Vector, transform


class Transforms:
    """Listens to /tf from the first time a transform is wanted: until then it costs nothing."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._tf2: Any = None
        self._buffer: Any = None
        self._listener: Any = None

    def point(
        self, point: Vector, source: str, target: str, stamp: int, *, or_newest: bool,
    ) -> Vector | None:
        """
        Return a point of frame `source` in `target` at `stamp` (ns; 0 = by the newest transform).

        None: there is no transform (yet). With `or_newest` the newest one stands in for it.

        :raises PromptError: tf2_ros is not installed.
        """
        if self._buffer is None:
            self._listen(source, target)
        for time in (Time(nanoseconds=stamp), *([Time()] if or_newest else [])):
            try:
                found = self._buffer.lookup_transform(target, source, time).transform
            except self._tf2.TransformException:
                continue
            t, q = found.translation, found.rotation
            return transform(point, (t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
        return None

    def _listen(self, source: str, target: str) -> None:
        try:
            self._tf2 = importlib.import_module('tf2_ros')
        except ImportError:
            distro = os.environ.get('ROS_DISTRO', '$ROS_DISTRO')
            raise PromptError(
                f"the point is in frame '{source}' and the camera in '{target}': that needs "
                f'tf2_ros (apt install ros-{distro}-tf2-ros-py)') from None
        self._buffer = self._tf2.Buffer()
        self._listener = self._tf2.TransformListener(self._buffer, self._node)
