# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clicks of rqt_image_view and RViz."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='no ROS 2 in this environment')

CAMERA = 'camera_optical_frame'


@pytest.fixture(scope='module')
def process(start_node: Any) -> Any:
    return start_node()


@pytest.fixture(scope='module')
def robot(process: Any, make_robot: Any, coffee: Any) -> Any:
    robot = make_robot().connect()
    robot.answer(lambda: (robot.ask([(300, 200)]), robot.show(coffee)))  # an image has come
    return robot


def center_of(answer: Any) -> tuple[float, float]:
    box = answer.masks[0].box
    return box.x_offset + box.width / 2, box.y_offset + box.height / 2


def test_before_camera_info_a_point_in_space_is_refused(robot: Any, process: Any) -> None:
    robot.click_in_space(0.0, 0.0, 1.0)
    process.wait_for_output('clicked_point: there is no camera_info yet')


def test_a_click_is_a_point_of_a_new_object(robot: Any) -> None:
    assert robot.set(click_mode='point')[0].successful
    first = robot.answer(lambda: robot.click(300, 200))
    second = robot.answer(lambda: robot.click(300, 200))
    assert first.masks[0].object_id != second.masks[0].object_id
    assert first.masks[0].mask == second.masks[0].mask


def test_two_clicks_are_a_box(robot: Any, process: Any) -> None:
    assert robot.set(click_mode='box')[0].successful
    by_message = robot.answer(lambda: robot.ask(box=(150, 80, 450, 330)))
    robot.click(450, 80)
    process.wait_for_output('corner of a box at (450, 80)')
    by_clicks = robot.answer(lambda: robot.click(150, 330))
    assert by_clicks.masks[0].mask == by_message.masks[0].mask
    robot.click(100, 100)
    robot.click(100, 200)
    process.wait_for_output('the two clicks span no box')
    assert robot.set(click_mode='point')[0].successful


def test_clicks_refine_the_object(robot: Any) -> None:
    assert all(result.successful for result in robot.set(
        click_object_id=77, click_refine=True))
    first = robot.answer(lambda: robot.click(300, 200))
    second = robot.answer(lambda: robot.click(330, 210))
    assert first.masks[0].object_id == second.masks[0].object_id == 77
    assert all(result.successful for result in robot.set(
        click_object_id=0, click_refine=False))


def test_a_point_in_space_is_seen_where_the_camera_sees_it(robot: Any) -> None:
    robot.calibrate(600, 400)

    # camera_info and the point are on two topics: the first may come after the second
    def clicked() -> Any:
        robot.click_in_space(0.0, 0.0, 2.0)
        return len(robot.received['sam2/masks']) > before

    before = len(robot.received['sam2/masks'])
    robot.wait(clicked, 'the answer to a point in space')
    by_pixel = robot.answer(lambda: robot.ask([(300, 200)]))
    assert robot.received['sam2/masks'][before].masks[0].mask == by_pixel.masks[0].mask


@pytest.mark.parametrize(('point', 'frame_id', 'reason'), [
    ((0.0, 0.0, -2.0), CAMERA, 'the point is behind the camera'),
    ((9.0, 0.0, 2.0), CAMERA, 'the point is outside the picture'),
    ((float('nan'), 0.0, 2.0), CAMERA, 'is not finite'),
    ((0.0, 0.0, 2.0), '', 'the point has no frame_id'),
])
def test_a_point_that_the_camera_does_not_see(
    robot: Any, process: Any, point: tuple[float, float, float], frame_id: str, reason: str,
) -> None:
    robot.click_in_space(*point, frame_id)
    process.wait_for_output(reason)
    robot.diagnosed('last error', lambda text: reason in text)


def test_another_frame_needs_tf2(robot: Any, process: Any) -> None:
    try:
        import tf2_ros  # noqa: F401
    except ImportError:
        robot.click_in_space(0.0, 0.0, 2.0, 'map')
        process.wait_for_output('needs tf2_ros (apt install ros-')
    else:
        robot.click_in_space(0.0, 0.0, 2.0, 'map')
        process.wait_for_output("there is no transform from frame 'map'")


def test_camera_info_of_another_size(robot: Any, process: Any) -> None:
    robot.calibrate(1200, 800)

    def refused() -> bool:
        robot.click_in_space(0.0, 0.0, 2.0)
        return 'camera_info is for images of 1200x800' in process.output

    robot.wait(refused, 'the refusal')


TF2_STAND_IN = """
class TransformException(Exception):
    pass

class Vector:
    x = y = z = 0.0
    w = 1.0

class Transform:
    translation = rotation = Vector()

class Stamped:
    transform = Transform()

class Buffer:
    calls = 0
    def lookup_transform(self, target, source, time):
        self.calls += 1
        if self.calls < 6 or source != 'map':
            raise TransformException
        return Stamped()

class TransformListener:
    def __init__(self, buffer, node):
        pass
"""


def test_a_point_of_another_frame_waits_for_its_transform(
    start_node: Any, make_robot: Any, coffee: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / 'tf2_ros.py').write_text(TF2_STAND_IN, encoding='utf-8')
    monkeypatch.setenv('PYTHONPATH', str(tmp_path), prepend=os.pathsep)
    process = start_node('/tf', prompt_timeout=2.0)
    robot = make_robot('/tf').connect()
    robot.answer(lambda: (robot.ask([(300, 200)]), robot.show(coffee)))
    robot.calibrate(600, 400)

    def calibrated() -> bool:
        robot.click_in_space(0.0, 0.0, 2.0)
        return len(robot.received['sam2/masks']) > 1

    robot.wait(calibrated, 'the answer to a point in the frame of the camera')
    everything = robot.diagnosed('prompts', lambda value: True)['prompts']
    # once: what answers it is the click that waited
    robot.click_in_space(0.0, 0.0, 2.0, 'map')
    robot.diagnosed('prompts', lambda value: int(value) > int(everything))
    robot.click_in_space(0.0, 0.0, 2.0, 'moon')
    process.wait_for_output("there is no transform from frame 'moon'")
    assert process.stop() == 0, process.output
