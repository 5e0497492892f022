# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Points from other frames. tf2_ros is not on PyPI: a stand-in with the calls that are used."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='no ROS 2 in this environment')

from sam2_ros.model.errors import PromptError
from sam2_ros.node.transforms import Transforms


class TransformException(Exception):  # noqa: N818  the name in tf2_ros
    """The base of tf2_ros's errors."""


class Buffer:
    """Knows the newest transform from map to camera, one metre ahead, and none in the past."""

    def lookup_transform(self, target: str, source: str, time: Any) -> Any:
        if (target, source) != ('camera', 'map') or time.nanoseconds != 0:
            raise TransformException
        return SimpleNamespace(transform=SimpleNamespace(
            translation=SimpleNamespace(x=0.0, y=0.0, z=1.0),
            rotation=SimpleNamespace(x=0.0, y=0.0, z=0.0, w=1.0)))


def test_a_point_of_another_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    listeners: list[Any] = []
    monkeypatch.setitem(sys.modules, 'tf2_ros', SimpleNamespace(
        Buffer=Buffer, TransformException=TransformException,
        TransformListener=lambda buffer, node: listeners.append((buffer, node))))
    transforms = Transforms('node')  # type: ignore[arg-type]
    assert not listeners, 'nothing is listened to before it is needed'
    assert transforms.point((1.0, 2.0, 3.0), 'map', 'camera', 5, or_newest=True) == (
        1.0, 2.0, 4.0)
    assert transforms.point((1.0, 2.0, 3.0), 'map', 'camera', 5, or_newest=False) is None
    assert transforms.point((1.0, 2.0, 3.0), 'moon', 'camera', 5, or_newest=True) is None
    assert len(listeners) == 1


def test_without_tf2_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'tf2_ros', None)
    monkeypatch.setenv('ROS_DISTRO', 'jazzy')
    with pytest.raises(PromptError, match='apt install ros-jazzy-tf2-ros-py'):
        Transforms(None).point(  # type: ignore[arg-type]
            (0.0, 0.0, 1.0), 'map', 'camera', 0, or_newest=False)
