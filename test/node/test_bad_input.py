# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever bad comes in: one clear message, a diagnostics entry, and the node goes on."""

from __future__ import annotations

import array
import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='no ROS 2 in this environment')

COFFEE = (300, 200)
NAN = float('nan')


@pytest.fixture(scope='module')
def process(start_node: Any) -> Any:
    return start_node(prompt_timeout=4.0)


@pytest.fixture(scope='module')
def robot(process: Any, make_robot: Any) -> Any:
    return make_robot().connect()


def without_numbers(text: str) -> str:
    return re.sub(r'\d+', '0', text)


def expect(robot: Any, process: Any, coffee: Any, reason: str) -> None:
    """Check that the refusal is in log and diagnostics, and that the next prompt is answered."""
    values = robot.diagnosed('last error', lambda text: reason in text)
    assert int(values['errors']) > 0
    # lines that differ in numbers only are throttled as one
    robot.wait(lambda: without_numbers(reason) in without_numbers(process.output), reason)
    header = robot.show(coffee)
    answer = robot.answer(lambda: robot.ask([COFFEE], stamp=header.stamp))
    assert answer.header == header


@pytest.mark.parametrize(('fields', 'reason'), [
    ({'data': array.array('B')}, 'the image is empty: 600x400 pixels, 0 bytes'),
    ({'width': 0}, 'the image is empty: 0x400'),
    ({'encoding': 'banana'}, "encoding 'banana'"),
    ({'step': 7}, 'step 7, but a row'),
    ({'height': 399}, 'x height 399 is'),
])
def test_a_malformed_image(
    robot: Any, process: Any, coffee: Any, fields: dict[str, Any], reason: str,
) -> None:
    robot.show(coffee, **fields)
    expect(robot, process, coffee, reason)


def test_the_same_message_is_not_repeated(robot: Any, process: Any, coffee: Any) -> None:
    def refused() -> int:
        return int(robot.diagnosed('images refused', lambda value: True)['images refused'])

    before = refused()

    def twenty_more() -> bool:
        robot.show(coffee, encoding='kiwi')
        return refused() >= before + 20

    robot.wait(twenty_more, '20 refusals')
    # throttled to one in 5 s; 20 images on a slow day may take longer
    assert process.output.count("encoding 'kiwi'") < 5


@pytest.mark.parametrize(('prompt', 'reason'), [
    ({'points': [(NAN, 10)]}, 'not finite'),
    ({'points': [(600, 10)]}, 'point (600, 10) lies outside the 600x400 image'),
    ({'points': [(-1, 10)]}, 'point (-1, 10) lies outside'),
    ({'box': (10, 10, 10, 50)}, 'has no area'),
    ({'box': (10, 10, NAN, 50)}, 'not finite'),
    ({'box': (700, 500, 800, 600)}, 'lies outside'),
    ({}, 'the prompt is empty'),
    ({'points': [COFFEE], 'labels': [1, 0]}, '1 points need 1 labels, got 2'),
    ({'points': [COFFEE], 'labels': [7]}, 'labels must be'),
    ({'points': [COFFEE], 'multimask': 9}, 'multimask is 9'),
    ({'points': [COFFEE], 'refine': True, 'object_id': 999}, 'object 999 is not known'),
    ({'points': [COFFEE], 'refine': True}, 'refine needs the object_id'),
])
def test_a_prompt_without_sense(
    robot: Any, process: Any, coffee: Any, prompt: dict[str, Any], reason: str,
) -> None:
    robot.ask(stamp=robot.show(coffee).stamp, **prompt)
    expect(robot, process, coffee, reason)


@pytest.mark.parametrize(('encoding', 'shape', 'value', 'reason'), [
    ('mono8', (5, 5), 1, 'the mask prompt has 5x5 pixels, but the image has 600x400'),
    ('mono8', (400, 600), 0, 'the mask prompt is empty'),
    ('32FC1', (5, 5), 1, 'the mask prompt has 5x5 logits, but this model takes 128x128'),
    ('rgb8', (400, 200), 1, "the mask prompt has encoding 'rgb8'"),
])
def test_a_mask_prompt_that_does_not_fit(
    robot: Any, process: Any, coffee: Any, encoding: str, shape: tuple[int, int], value: int,
    reason: str,
) -> None:
    from sensor_msgs.msg import Image

    pixels = np.full(shape, value, np.float32 if encoding == '32FC1' else np.uint8)
    mask = Image(height=shape[0], width=shape[1], encoding=encoding,
                 step=pixels.nbytes // shape[0])
    mask.data.frombytes(pixels.tobytes())
    robot.ask(mask=mask, stamp=robot.show(coffee).stamp)
    expect(robot, process, coffee, reason)


@pytest.mark.parametrize(('sec', 'reason'), [
    (1, 'is older than the'), (1_000_000, 'no image came for stamp 1000000.'),
])
def test_a_stamp_without_an_image(
    robot: Any, process: Any, coffee: Any, sec: int, reason: str,
) -> None:
    from builtin_interfaces.msg import Time

    robot.show(coffee)
    robot.ask([COFFEE], stamp=Time(sec=sec))
    expect(robot, process, coffee, reason)


def test_a_wrong_frame(robot: Any, process: Any, coffee: Any) -> None:
    from std_msgs.msg import Header

    header = robot.show(coffee)
    robot.ask([COFFEE], header=Header(stamp=header.stamp, frame_id='moon'))
    expect(robot, process, coffee, "frame_id is 'moon', but the image is in 'camera_optical")


@pytest.mark.parametrize(('x', 'y', 'reason'), [
    (NAN, 5, 'image_mouse_left: the click (nan, 5) is not finite'),
    (-3, 5, 'image_mouse_left: the click (-3, 5) lies outside'),
    (900, 5, 'image_mouse_left (a new object): point (900, 5) lies outside'),
])
def test_a_click_that_is_no_pixel(
    robot: Any, process: Any, coffee: Any, x: float, y: float, reason: str,
) -> None:
    header = robot.show(coffee)
    robot.answer(lambda: robot.ask([COFFEE], stamp=header.stamp))  # the image has come
    robot.click(x, y)
    expect(robot, process, coffee, reason)


def test_the_good_prompts_of_a_batch_are_answered(robot: Any, coffee: Any) -> None:
    header = robot.show(coffee)
    before = len(robot.received['sam2/masks'])
    for x in (300, 5000, 310):
        robot.ask([(x, 200)], stamp=header.stamp)
    robot.wait(lambda: sum(
        len(answer.masks) for answer in robot.received['sam2/masks'][before:]) == 2, 'two masks')


@pytest.mark.parametrize(('mode', 'lost'), [('track', [2, 4]), ('prompt', [1, 2, 3, 4])])
def test_the_model_fails_in_the_midst_of_a_batch(
    start_node: Any, make_robot: Any, coffee: Any, failing_bundle: Any, mode: str,
    lost: list[int],
) -> None:
    process = start_node(f'/fails_to_{mode}', bundle=failing_bundle, mode=mode)
    robot = make_robot(f'/fails_to_{mode}').connect()
    stamp = robot.header().stamp
    for object_id, points in enumerate(([COFFEE], [COFFEE, (310, 200)]) * 2, 1):
        robot.ask(points, object_id=object_id, stamp=stamp)
    robot.diagnosed('prompts waiting for an image', lambda value: value == '4')
    robot._stamp -= 1
    header = robot.show(coffee)
    named = ', '.join(f'object {object_id}' for object_id in lost)
    process.wait_for_output(f'~/prompt ({named}): ')
    values = robot.diagnosed('last error', lambda text: 'while running Reshape' in text)
    assert values['prompts refused'] == str(len(lost))
    assert f'~/prompt ({named}): ' in values['last error']
    # the others are answered, and the node goes on
    answer = robot.answer(lambda: robot.ask([COFFEE], object_id=5, stamp=stamp))
    if mode == 'track':
        [answer, _] = robot.masks(2)
    assert answer.header == header
    assert [mask.object_id for mask in answer.masks] == ([1, 3] if mode == 'track' else [5])
    assert process.stop() == 0, process.output


def test_time_jumps_back(robot: Any, process: Any, coffee: Any) -> None:
    robot.show(coffee)
    robot._stamp -= 500
    header = robot.show(coffee)
    process.wait_for_output('the time of the images jumped back')
    answer = robot.answer(lambda: robot.ask([COFFEE]))
    assert answer.header == header


def test_nothing_of_it_was_a_traceback(process: Any) -> None:
    assert process.popen.poll() is None
    assert process.stop() == 0
    assert 'Traceback' not in process.output
