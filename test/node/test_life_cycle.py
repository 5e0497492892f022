# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start, stop, and the states between; several nodes; compressed images; encoding ahead."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='no ROS 2 in this environment')

COFFEE = (300, 200)


def one_line(process: Any) -> str:
    """Return the one line that a node which could not start has printed."""
    assert process.wait() == 1
    lines = [line for line in process.output.splitlines() if line.strip()]
    assert len(lines) == 1, process.output
    return lines[0]


@pytest.mark.parametrize(('parameters', 'reason'), [
    ({'bundle': '/nowhere'}, '/nowhere'),
    ({'provider': 'openvino'}, 'onnxruntime-openvino'),
    ({'provider': 'magic'}, "provider is 'magic', it must be one of: auto, cpu"),
    ({'history_size': 0}, 'history_size'),
    ({'prompt_timeout': 1}, 'prompt_timeout'),
])
def test_a_node_that_cannot_start_says_why_in_one_line(
    start_node: Any, parameters: dict[str, Any], reason: str,
) -> None:
    if parameters.get('provider') == 'openvino':
        import onnxruntime

        if 'OpenVINOExecutionProvider' in onnxruntime.get_available_providers():
            pytest.skip('this ONNX Runtime has OpenVINO')
    assert reason in one_line(start_node(**parameters))


def test_a_broken_bundle(start_node: Any, trained_bundle: Path, tmp_path: Path) -> None:
    for file in trained_bundle.iterdir():
        data = bytearray(file.read_bytes())
        if file.name == 'image_decoder.onnx':
            data[len(data) // 2] ^= 1
        (tmp_path / file.name).write_bytes(data)
    assert 'image_decoder.onnx' in one_line(start_node(bundle=tmp_path))


def test_life_cycle(start_node: Any, make_robot: Any, coffee: Any) -> None:
    from lifecycle_msgs.msg import Transition

    from sam2_ros.srv import Segment

    process = start_node('/managed', autostart=False)
    robot = make_robot('/managed')
    assert robot.transition(Transition.TRANSITION_CONFIGURE)
    response = robot.call(Segment, 'segment', Segment.Request())
    assert (response.success, 'not active' in response.message) == (False, True)
    for _ in range(2):
        assert robot.transition(Transition.TRANSITION_ACTIVATE)
        robot.connect()
        header = robot.show(coffee)
        answer = robot.answer(lambda stamp=header.stamp: robot.ask([COFFEE], stamp=stamp))
        assert answer.header == header
        assert robot.transition(Transition.TRANSITION_DEACTIVATE)
        robot.wait(lambda: not robot.image.get_subscription_count(), 'the node to unsubscribe')
    assert robot.transition(Transition.TRANSITION_CLEANUP)
    assert robot.transition(Transition.TRANSITION_CONFIGURE)
    assert robot.transition(Transition.TRANSITION_ACTIVATE)
    robot.connect()
    header = robot.show(coffee)
    assert robot.answer(lambda: robot.ask([COFFEE], stamp=header.stamp)).masks[0].object_id == 1
    # SIGTERM is what launch and systemd send
    assert process.stop(signal.SIGTERM) == 0, process.output
    assert 'Traceback' not in process.output


def test_requests_that_wait_are_answered_when_the_model_goes(
    start_node: Any, make_robot: Any, coffee: Any, make_image: Any, make_prompt: Any,
) -> None:
    from lifecycle_msgs.msg import Transition
    from rclpy.qos import QoSProfile

    from sam2_ros.srv import Segment

    process = start_node('/going')
    robot = make_robot('/going').connect()
    client = robot.node.create_client(Segment, 'sam2/segment', qos_profile=QoSProfile(depth=100))
    robot.wait(client.service_is_ready, 'the service')
    image = make_image(coffee, 'rgb8', robot.header())
    # one that takes long, and some that wait for it
    slow, request = (Segment.Request(image=image, prompts=[make_prompt([COFFEE])] * count)
                     for count in (600, 1))
    futures = [client.call_async(one) for one in (slow, *[request] * 19)]
    for _ in range(3):  # rounds of the executor, each takes a request
        assert robot.set(click_mode='point')[0].successful
    assert robot.transition(Transition.TRANSITION_DEACTIVATE)
    assert robot.transition(Transition.TRANSITION_CLEANUP)
    robot.wait(lambda: all(future.done() for future in futures), 'all responses')
    reasons = {future.result().message for future in futures if not future.result().success}
    assert 'cleaned up or shut down' in ' '.join(reasons)
    response = robot.call(Segment, 'segment', request)
    assert (response.success, 'not configured' in response.message) == (False, True)
    assert process.stop() == 0, process.output
    assert 'Traceback' not in process.output


def test_a_wrong_qos_override_is_named_in_one_line(start_node: Any) -> None:
    process = start_node('/wrong', **{
        'qos_overrides./wrong/image.subscription.reliability': 'banana'})
    assert process.wait() == 1
    assert 'Traceback' not in process.output
    assert 'banana' in process.output or 'reliability' in process.output
    assert process.output.count('cannot subscribe (images from /wrong/image)') == 1


def test_a_signal_while_the_model_loads_is_no_failure(start_node: Any, make_robot: Any) -> None:
    process = start_node('/early')
    robot = make_robot('/early')
    robot.wait(lambda: ('sam2', '/early') in robot.node.get_node_names_and_namespaces(), 'the node')
    assert process.stop(signal.SIGTERM) == 0, process.output
    assert 'Traceback' not in process.output


def test_a_failed_configure_can_be_repeated(
    start_node: Any, make_robot: Any, trained_bundle: Path, tmp_path: Path,
) -> None:
    from lifecycle_msgs.msg import Transition

    place = tmp_path / 'bundle'
    process = start_node('/late', autostart=False, bundle=place)
    robot = make_robot('/late')
    assert not robot.transition(Transition.TRANSITION_CONFIGURE)
    process.wait_for_output(str(place))
    values = robot.diagnosed('last error', lambda text: str(place) in text)
    assert values['state'] == 'unconfigured'
    place.symlink_to(trained_bundle)
    assert robot.transition(Transition.TRANSITION_CONFIGURE)
    robot.diagnosed('state', lambda text: text == 'inactive')
    assert process.stop() == 0


def test_two_nodes_in_two_namespaces(
    start_node: Any, make_robot: Any, coffee: Any, cat: Any,
) -> None:
    processes = [start_node(namespace) for namespace in ('/left', '/right')]
    left, right = (make_robot(namespace).connect() for namespace in ('/left', '/right'))
    for robot, picture in ((left, coffee), (right, cat)):
        header = robot.show(picture)
        answer = robot.answer(
            lambda robot=robot, stamp=header.stamp: robot.ask([(225, 150)], stamp=stamp))
        assert (answer.header, answer.width) == (header, picture.shape[1])
    assert len(left.received['sam2/masks']) == len(right.received['sam2/masks']) == 1
    assert [process.stop() for process in processes] == [0, 0]


def test_compressed_images(start_node: Any, make_robot: Any, coffee: Any) -> None:
    process = start_node('/jpeg', image_transport='compressed')
    robot = make_robot('/jpeg', compressed=True).connect()
    header = robot.show_jpeg(coffee)
    answer = robot.answer(lambda: robot.ask([COFFEE], stamp=header.stamp))
    assert (answer.header, answer.width) == (header, 600)
    header = robot.show_jpeg(coffee, data=b'no picture')
    robot.ask([COFFEE], stamp=header.stamp)
    process.wait_for_output('cannot be decoded')
    robot.show_jpeg(coffee, data=b'')
    process.wait_for_output('the compressed image is empty')
    header = robot.show_jpeg(coffee)
    assert robot.answer(
        lambda: robot.ask([COFFEE], stamp=header.stamp)).header == header
    assert process.stop() == 0, process.output


def test_encoding_ahead(start_node: Any, make_robot: Any, coffee: Any) -> None:
    process = start_node('/ahead', history_size=1000)
    robot = make_robot('/ahead').connect()
    robot.show(coffee)
    values = robot.diagnosed('images', lambda value: value == '1')
    assert values['encoder runs'] == '0', 'while nobody prompts, nothing is computed'
    assert robot.set(encode_ahead=True)[0].successful
    header = robot.show(coffee)
    robot.diagnosed('encoder runs', lambda value: value == '1')
    assert robot.answer(lambda: robot.ask([COFFEE])).header == header
    values = robot.diagnosed('answers', lambda value: value == '1')
    assert values['encoder runs'] == '1', 'the prompt cost the decoder only'

    # what was encoded ahead long ago is not what a prompt means later
    assert robot.set(encode_ahead=False)[0].successful
    header = robot.show(coffee)
    robot.answer(lambda: robot.ask([COFFEE], stamp=header.stamp))
    header = robot.show(coffee)
    robot.diagnosed('images', lambda value: value == '4')
    assert robot.set(encode_ahead=True)[0].successful
    assert robot.answer(lambda: robot.ask([COFFEE])).header == header

    def flood() -> bool:
        for _ in range(5):
            robot.show(coffee)
        return int(robot.diagnosed('frames dropped', lambda value: True)['frames dropped']) > 0

    # pictures come faster than they can be encoded: the newest wins
    robot.wait(flood, 'dropped frames')
    assert process.stop() == 0, process.output


def test_best_effort_images_and_qos_overrides(
    start_node: Any, make_robot: Any, coffee: Any,
) -> None:
    from rclpy.qos import ReliabilityPolicy

    name = 'qos_overrides./plain/image.subscription.reliability'
    process = start_node('/plain', **{name: 'best_effort'})
    start_node('/strict')
    for namespace, expected in (('/plain', ReliabilityPolicy.BEST_EFFORT),
                                ('/strict', ReliabilityPolicy.RELIABLE)):
        robot = make_robot(namespace).connect()
        info = robot.node.get_subscriptions_info_by_topic(f'{namespace}/image')
        assert [one.qos_profile.reliability for one in info] == [expected]
        # small enough for shared memory, so that nothing is lost on the way
        header = robot.show(coffee[:200, :300])
        answer = robot.answer(
            lambda robot=robot, stamp=header.stamp: robot.ask([(100, 100)], stamp=stamp))
        assert answer.header == header
    assert process.stop() == 0
