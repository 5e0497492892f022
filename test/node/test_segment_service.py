# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ~/segment service: an image and prompts in, masks out, nothing remembered."""

from __future__ import annotations

import subprocess
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='no ROS 2 in this environment')

COFFEE = (300, 200)


@pytest.fixture(scope='module')
def process(start_node: Any) -> Any:
    return start_node()


@pytest.fixture(scope='module')
def robot(process: Any, make_robot: Any) -> Any:
    return make_robot().connect()


@pytest.fixture(scope='module')
def segment(robot: Any, make_image: Any, make_prompt: Any) -> Any:
    """Return a function that calls the service with prompts (dicts of fields)."""
    from sam2_ros.srv import Segment

    def call(pixels: Any, *prompts: Any, encoding: str = 'rgb8', **fields: Any) -> Any:
        request = Segment.Request(image=make_image(pixels, encoding, robot.header()), **fields)
        request.prompts = [make_prompt(**prompt) for prompt in prompts]
        return request.image.header, robot.call(Segment, 'segment', request)

    return call


def test_two_objects_with_logits(segment: Any, coffee: Any) -> None:
    header, response = segment(
        coffee, {'points': [COFFEE]}, {'box': (150, 80, 450, 330), 'object_id': 9},
        return_logits=True)
    assert (response.success, response.message) == (True, '')
    assert response.masks.header == header
    assert [mask.object_id for mask in response.masks.masks] == [1, 9]
    logits = response.masks.masks[0].logits
    assert (logits.encoding, logits.height, logits.width) == ('32FC1', 128, 128)
    values = np.frombuffer(logits.data, np.float32)
    assert np.isfinite(values).all()
    assert abs(values).max() <= 32.0


def test_logits_go_back_in(segment: Any, coffee: Any) -> None:
    _, first = segment(coffee, {'points': [COFFEE]}, return_logits=True)
    _, second = segment(coffee, {
        'points': [COFFEE, (420, 320)], 'labels': [1, 0], 'mask': first.masks.masks[0].logits})
    assert second.success, second.message
    assert second.masks.masks[0].logits.height == 0


def test_grey_images_are_welcome(segment: Any, coffee: Any) -> None:
    assert segment(coffee[..., 0], {'points': [COFFEE]}, encoding='mono8')[1].success


@pytest.mark.parametrize(('prompts', 'reason'), [
    ([], 'the request has no prompts'),
    ([{'points': [COFFEE]}, {'points': [(9999, 1)]}], 'prompts[1]: point (9999, 1) lies outside'),
    ([{'points': [COFFEE], 'refine': True, 'object_id': 1}], 'refine must be false'),
    ([{'points': [COFFEE], 'object_id': 2}] * 2, 'two prompts have the same object_id'),
    ([{'points': [COFFEE], 'multimask': 8}], 'multimask is 8'),
    ([{}], 'prompts[0]: the prompt is empty'),
])
def test_bad_prompts_are_refused(
    segment: Any, coffee: Any, prompts: list[dict[str, Any]], reason: str,
) -> None:
    _, response = segment(coffee, *prompts)
    assert not response.success
    assert reason in response.message
    assert not response.masks.masks


def test_a_bad_image_is_refused(segment: Any, coffee: Any) -> None:
    _, response = segment(coffee, {'points': [COFFEE]}, encoding='banana')
    assert not response.success
    assert "encoding 'banana'" in response.message


def test_nothing_is_remembered(segment: Any, robot: Any, coffee: Any, process: Any) -> None:
    segment(coffee, {'points': [COFFEE], 'object_id': 5})
    robot.ask([COFFEE], object_id=5, refine=True)
    robot.show(coffee)
    process.wait_for_output('object 5 is not known')


def test_many_clients_at_once(robot: Any, coffee: Any, make_image: Any, make_prompt: Any) -> None:
    from rclpy.qos import QoSProfile

    from sam2_ros.srv import Segment

    # what a client sends at once is in its own queue first
    client = robot.node.create_client(Segment, 'sam2/segment', qos_profile=QoSProfile(depth=100))
    robot.wait(client.service_is_ready, 'the service')
    image = make_image(coffee, 'rgb8', robot.header())
    # one that takes long, and more than rclpy's default depth of 10
    requests = [Segment.Request(image=image, prompts=[make_prompt([COFFEE])] * count)
                for count in (300, *[1] * 29)]
    futures = [client.call_async(request) for request in requests]
    # meanwhile other callbacks are served, even while the first request is in work
    assert robot.set(click_mode='point')[0].successful
    assert not futures[0].done()
    robot.wait(lambda: all(future.done() for future in futures), '30 responses')
    assert all(future.result().success for future in futures)
    robot.node.destroy_client(client)


def test_an_idle_node_sleeps(robot: Any, process: Any) -> None:
    import psutil

    assert robot.set(diagnostics_period=60.0)[0].successful
    running = psutil.Process(process.popen.pid)
    before = sum(running.cpu_times()[:2])
    with pytest.raises(subprocess.TimeoutExpired):
        process.popen.wait(2.0)
    # A busy loop uses all of these 2 s; a sleeping node was seen to use 0.00 to 0.02 s.
    assert sum(running.cpu_times()[:2]) - before < 0.3
