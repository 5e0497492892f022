# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node in mode track, as a process: moving pictures and prompts in, masks of each frame out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='no ROS 2 in this environment')

COFFEE = (300, 200)
TABLE = (60, 350)


@pytest.fixture(scope='module')
def process(start_node: Any) -> Any:
    return start_node(mode='track', history_size=1000)


@pytest.fixture(scope='module')
def moving(coffee: Any) -> Any:
    """Return pictures of a camera that moves by a pixel a frame."""
    return [np.roll(coffee, shift, axis=1) for shift in range(8)]


@pytest.fixture
def robot(process: Any, node_robot: Any) -> Iterator[Any]:
    yield node_robot
    reset(node_robot)
    node_robot.received.clear()


@pytest.fixture(scope='module')
def node_robot(process: Any, make_robot: Any) -> Any:
    return make_robot().connect()


def reset(robot: Any) -> str:
    from std_srvs.srv import Trigger

    response = robot.call(Trigger, 'reset', Trigger.Request())
    assert response.success
    return str(response.message)


def listed(robot: Any) -> dict[int, Any]:
    from sam2_ros.srv import ListObjects

    response = robot.call(ListObjects, 'list_objects', ListObjects.Request())
    assert response.success, response.message
    return {one.object_id: one for one in response.objects}


def ids(answer: Any) -> list[int]:
    return [mask.object_id for mask in answer.masks]


def begin(robot: Any, pixels: Any, *object_ids: int, points: Any = (COFFEE,)) -> Any:
    """Show a picture and prompt objects on it; returns its header, after the last answer."""
    header = robot.show(pixels)
    for object_id in object_ids:
        robot.answer(lambda object_id=object_id: robot.ask(
            points, object_id=object_id, stamp=header.stamp))
    return header


def test_nothing_is_computed_while_there_is_no_object(robot: Any, moving: Any) -> None:
    before = robot.diagnosed('images', lambda value: True)
    for pixels in moving:
        robot.show(pixels)
    came = int(before['images']) + len(moving)
    values = robot.diagnosed('images', lambda value: int(value) >= came)
    assert values['encoder runs'] == before['encoder runs']
    assert values['mode'] == 'track'
    assert not robot.received['sam2/masks']


def test_a_prompt_starts_and_every_frame_is_answered(robot: Any, moving: Any) -> None:
    header = robot.show(moving[0])
    first = robot.answer(lambda: robot.ask([COFFEE], object_id=7, stamp=header.stamp))
    assert (first.header, ids(first)) == (header, [7])
    for pixels in moving[1:]:
        headers: list[Any] = []
        answer = robot.answer(lambda pixels=pixels, headers=headers: headers.append(
            robot.show(pixels)))
        assert answer.header == headers[0]
        assert ids(answer) == [7]
        assert answer.masks[0].mask.header == headers[0]
        assert answer.masks[0].state in (0, 1, 2)
        assert (answer.height, answer.width) == pixels.shape[:2]
    assert len(robot.received['sam2/masks']) == len(moving)


def test_images_that_came_before_the_first_prompt(robot: Any, moving: Any) -> None:
    headers = [robot.show(pixels) for pixels in moving]
    robot.ask([COFFEE], object_id=1, stamp=headers[2].stamp)
    # on the image that was meant, and on the newest
    answers = robot.masks(2)
    robot.wait(lambda: answers[-1].header == headers[-1], 'the newest image')
    assert answers[0].header == headers[2]
    assert all(ids(answer) == [1] for answer in answers)


def test_frames_that_come_too_fast_are_dropped_and_counted(robot: Any, moving: Any) -> None:
    begin(robot, moving[0], 1)
    start = {name: int(value) for name, value in robot.diagnosed(
        'frames tracked', lambda value: True).items() if value.isdigit()}
    sent: list[Any] = []

    def flood() -> bool:
        sent.extend(robot.show(pixels) for pixels in moving)
        values = robot.diagnosed(
            # more where the start was told before the first image
            'images', lambda value: int(value) >= start['images'] + len(sent))
        return int(values['frames dropped']) > start['frames dropped']

    robot.wait(flood, 'dropped frames')
    newest = sent[-1]
    robot.wait(lambda: robot.received['sam2/masks'][-1].header == newest, 'the newest frame')

    def counted(name: str) -> int:
        return int(robot.diagnosed(name, lambda value: True)[name]) - start[name]

    # each frame is either tracked or dropped
    robot.wait(lambda: counted('frames tracked') + counted('frames dropped') == len(sent),
               f'{len(sent)} frames, tracked or dropped')
    answered = [answer.header for answer in robot.received['sam2/masks'][1:]]
    assert len(answered) == counted('frames tracked')
    positions = [sent.index(header) for header in answered]
    assert positions == sorted(set(positions)), 'in order, each once'


def test_a_late_prompt_on_a_dropped_frame_carries_forward(robot: Any, moving: Any) -> None:
    sent = [begin(robot, moving[0], 1)]

    def dropped() -> list[Any]:
        sent.extend(robot.show(pixels) for pixels in moving)
        robot.wait(lambda: robot.received['sam2/masks'][-1].header == sent[-1], 'the newest')
        answered = [answer.header for answer in robot.received['sam2/masks']]
        return [header for header in sent if header not in answered]

    # one that lies between frames that were tracked
    late = robot.wait(dropped, 'a dropped frame')[-1]
    first = robot.answer(lambda: robot.ask([TABLE], object_id=2, stamp=late.stamp))
    assert (first.header, ids(first)) == (late, [2])
    # then on the frames that were tracked after it
    robot.wait(lambda: robot.received['sam2/masks'][-1].header == sent[-1], 'the newest again')
    assert ids(robot.received['sam2/masks'][-1]) == [1, 2]
    assert ids(robot.answer(lambda: robot.show(moving[0]))) == [1, 2]


def test_a_late_refinement_of_a_tracked_frame(robot: Any, moving: Any) -> None:
    headers = [begin(robot, moving[0], 1)]
    headers += [robot.answer(lambda pixels=pixels: robot.show(pixels)).header
                for pixels in moving[1:4]]
    before = len(robot.received['sam2/masks'])
    robot.ask([TABLE], labels=[0], object_id=1, refine=True, stamp=headers[2].stamp)
    again = robot.masks(before + 2)[before:]
    assert [answer.header for answer in again] == headers[2:]
    # far in the past, the newest frames alone are kept
    for pixels in moving[4:]:
        robot.answer(lambda pixels=pixels: robot.show(pixels))
    robot.ask([COFFEE], object_id=1, refine=True, stamp=headers[0].stamp)
    robot.diagnosed('last error', lambda text: 'cannot be refined on that image' in text)


def test_a_tracked_frame_can_be_prompted_however_old_it_is(robot: Any, moving: Any) -> None:
    assert robot.set(history_size=1)[0].successful
    sent = [begin(robot, moving[0], 1)]

    def dropped() -> bool:
        sent.extend(robot.show(pixels) for pixels in moving)
        robot.wait(lambda: robot.received['sam2/masks'][-1].header == sent[-1], 'the newest')
        return len(robot.received['sam2/masks']) < len(sent)

    robot.wait(dropped, 'a dropped frame')
    before = [answer.header for answer in robot.received['sam2/masks']]
    answer = robot.answer(lambda: robot.ask(
        [COFFEE], object_id=1, refine=True, stamp=before[-2].stamp))
    assert answer.header == before[-2]
    late = next(header for header in sent if header not in before)
    robot.ask([TABLE], object_id=2, stamp=late.stamp)
    robot.diagnosed('last error', lambda text: 'raise history_size' in text)
    assert robot.set(history_size=1000)[0].successful


def test_objects_start_anew_or_are_refined(robot: Any, moving: Any) -> None:
    header = begin(robot, moving[0], 5)
    first = robot.received['sam2/masks'][-1].masks[0]
    refined = robot.answer(lambda: robot.ask(
        [TABLE], labels=[0], object_id=5, refine=True, stamp=header.stamp)).masks[0]
    anew = robot.answer(lambda: robot.ask([COFFEE], object_id=5, stamp=header.stamp)).masks[0]
    assert anew.mask == first.mask
    assert anew.predicted_iou == first.predicted_iou
    assert refined.predicted_iou != first.predicted_iou
    robot.ask([COFFEE], object_id=99, refine=True, stamp=header.stamp)
    robot.diagnosed('last error', lambda text: 'object 99 is not known' in text)


def test_clicks_track_too(robot: Any, moving: Any) -> None:
    begin(robot, moving[0], 3)
    robot.answer(lambda: robot.click(*TABLE))
    assert ids(robot.answer(lambda: robot.show(moving[1]))) == [3, 4]
    assert all(one.successful for one in robot.set(click_refine=True, click_label='negative'))
    robot.answer(lambda: robot.click(*COFFEE))
    assert list(listed(robot)) == [3, 4], 'the click refined the object prompted last'
    assert all(one.successful for one in robot.set(click_refine=False, click_label='positive'))


def test_objects_are_listed_removed_and_reset(robot: Any, moving: Any) -> None:
    from sam2_ros.srv import RemoveObject

    assert listed(robot) == {}
    header = begin(robot, moving[0], 1, 2, 3)
    last = robot.answer(lambda: robot.show(moving[1]))
    objects = listed(robot)
    assert list(objects) == ids(last) == [1, 2, 3]
    for mask in last.masks:
        known = objects[mask.object_id]
        assert known.begun == header.stamp
        assert (known.state, known.predicted_iou, known.object_score) == (
            mask.state, mask.predicted_iou, mask.object_score)
    values = robot.diagnosed('objects', lambda value: value == '3')
    states = [int(values[f'objects {state}']) for state in ('visible', 'occluded', 'lost')]
    assert states == [sum(mask.state == state for mask in last.masks) for state in range(3)]
    removed = robot.call(RemoveObject, 'remove_object', RemoveObject.Request(object_id=2))
    assert (removed.success, removed.message) == (True, '')
    assert ids(robot.answer(lambda: robot.show(moving[2]))) == [1, 3]
    unknown = robot.call(RemoveObject, 'remove_object', RemoveObject.Request(object_id=2))
    assert (unknown.success, unknown.message) == (False, 'object 2 is not known; known: 1, 3')
    assert reset(robot) == '2 objects forgotten'
    assert listed(robot) == {}
    assert ids(robot.answer(lambda: (robot.show(moving[3]), robot.click(*COFFEE)))) == [1]


def test_one_object_too_many(robot: Any, moving: Any) -> None:
    assert robot.set(max_objects=2)[0].successful
    header = begin(robot, moving[0], 1, 2)
    robot.ask([COFFEE], object_id=3, stamp=header.stamp)
    robot.diagnosed(
        'last error', lambda text: 'max_objects is 2, and as many are tracked already' in text)
    assert list(listed(robot)) == [1, 2]
    assert robot.set(max_objects=16)[0].successful


def test_the_images_change_their_size(robot: Any, process: Any, moving: Any) -> None:
    begin(robot, moving[0], 1)
    small = np.ascontiguousarray(moving[1][::2, ::2])
    answer = robot.answer(lambda: robot.show(small))
    assert (answer.width, answer.height, ids(answer)) == (300, 200, [1])
    process.wait_for_output('from 600x400 to 300x200 pixels; objects kept: 1')
    assert robot.set(on_size_change='reset')[0].successful
    robot.show(moving[2])
    process.wait_for_output('from 300x200 to 600x400 pixels; objects forgotten: 1')
    assert listed(robot) == {}
    begin(robot, moving[3], 1)
    assert ids(robot.answer(lambda: robot.show(moving[4]))) == [1]
    assert robot.set(on_size_change='keep')[0].successful


def test_time_jumps_back(robot: Any, process: Any, moving: Any) -> None:
    begin(robot, moving[0], 1)
    assert robot.set(on_time_jump='keep')[0].successful
    robot._stamp -= 500
    answer = robot.answer(lambda: robot.show(moving[1]))
    assert (answer.header.stamp.sec, ids(answer)) == (robot._stamp // 10, [1])
    process.wait_for_output('jumped back: the earlier ones are forgotten; objects kept: 1')
    assert robot.set(on_time_jump='reset')[0].successful
    robot._stamp -= 100
    robot.show(moving[2])
    robot.diagnosed('last error', lambda text: 'objects forgotten: 1' in text)
    robot.diagnosed('objects', lambda value: value == '0')
    begin(robot, moving[3], 1)
    assert ids(robot.answer(lambda: robot.show(moving[4]))) == [1]


def test_images_that_changed_places_on_the_way(robot: Any, moving: Any) -> None:
    def late() -> int:
        return int(robot.diagnosed('images late', lambda value: True)['images late'])

    begin(robot, moving[0], 1)
    before, newest = late(), robot._stamp
    robot._stamp = newest - 4  # 0.3 s before the newest, where 0.5 s are tolerated
    overtaken = robot.show(moving[1])
    robot.wait(lambda: late() == before + 1, 'the image that came too late')
    robot._stamp = newest
    assert ids(robot.answer(lambda: robot.show(moving[2]))) == [1]
    assert overtaken not in [answer.header for answer in robot.received['sam2/masks']]
    assert robot.set(time_jump_tolerance=0.0)[0].successful
    robot._stamp -= 4
    robot.show(moving[3])
    robot.diagnosed('objects', lambda value: value == '0')
    assert late() == before + 1
    assert robot.set(time_jump_tolerance=0.5)[0].successful


def test_the_camera_stops_and_returns(robot: Any, process: Any, moving: Any) -> None:
    begin(robot, moving[0], 1)
    assert robot.set(camera_timeout=0.5)[0].successful
    robot.answer(lambda: robot.show(moving[1]))
    process.wait_for_output('no image has come for 0.5 s: waiting for the camera')
    robot.diagnosed('camera', lambda text: text.startswith('no image for'))
    # what is known can be prompted meanwhile
    assert ids(robot.answer(lambda: robot.ask([TABLE], object_id=2))) == [1, 2]
    answer = robot.answer(lambda: robot.show(moving[2]))
    assert ids(answer) == [1, 2]
    process.wait_for_output('images come again, after')
    process.wait_for_output('; objects kept: 2')
    assert robot.set(on_camera_return='reset')[0].successful
    process.wait_for_output('no image has come for 0.5 s: waiting for the camera', 2)
    robot.show(moving[3])
    process.wait_for_output('; objects forgotten: 2')
    robot.diagnosed('camera', lambda text: text == 'publishing')
    assert all(one.successful for one in robot.set(
        camera_timeout=5.0, on_camera_return='keep'))


def test_parameters_change_while_tracking(robot: Any, moving: Any) -> None:
    begin(robot, moving[0], 1, 2)
    changes: list[dict[str, Any]] = [
        {'memories': 0, 'object_pointers': 0}, {'memories': 2}, {'prompted_frames': 1},
        {'non_overlapping': True, 'fill_hole_area': 0}, {'lost_after': 0.0, 'kept_frames': 1}]
    for change in changes:
        assert all(one.successful for one in robot.set(**change))
        assert ids(robot.answer(lambda: robot.show(moving[1]))) == [1, 2]
    for refused, reason in (
            ({'memories': 50}, 'memories is 50, but this model has been trained for 6 at most'),
            ({'object_pointers': 17}, 'object_pointers is 17, but this model has been trained for'),
            ({'memories': -2}, 'memories'), ({'mode': 'prompt'}, 'mode')):
        [result] = robot.set(**refused)
        assert (result.successful, reason in result.reason) == (False, True), result.reason
    assert ids(robot.answer(lambda: robot.show(moving[2]))) == [1, 2]
    assert all(one.successful for one in robot.set(
        memories=-1, object_pointers=-1, prompted_frames=0, non_overlapping=False,
        fill_hole_area=-1, lost_after=3.0, kept_frames=4))


def test_a_mask_of_the_image_starts_an_object(robot: Any, coffee: Any, make_image: Any) -> None:
    from std_msgs.msg import Header

    rough = np.zeros(coffee.shape[:2], np.uint8)
    rough[100:300, 200:400] = 255
    header = robot.show(coffee)
    answer = robot.answer(lambda: robot.ask(
        mask=make_image(rough, 'mono8', Header()), object_id=6, stamp=header.stamp))
    box = answer.masks[0].box
    # to a pixel of the low-resolution mask, 600 / 64
    assert abs(box.x_offset - 200) < 10
    assert abs(box.width - 200) < 20
    assert ids(robot.answer(lambda: robot.show(coffee))) == [6]


def test_pictures_for_people_on_each_frame(robot: Any, moving: Any) -> None:
    from sensor_msgs.msg import Image

    from sam2_ros.node.conversions import to_rgb

    listeners = [robot.listen(Image, topic) for topic in ('sam2/overlay', 'sam2/label_image')]
    robot.wait(lambda: all(one.get_publisher_count() for one in listeners), 'the publishers')
    begin(robot, moving[0], 300)

    def shown() -> bool:  # until the node has discovered the listeners
        robot.answer(lambda: robot.show(moving[0]))
        return all(robot.received[topic] for topic in ('sam2/overlay', 'sam2/label_image'))

    robot.wait(shown, 'pictures')
    def picture_of(header: Any, topic: str) -> Any:
        return robot.wait(lambda: next((one for one in robot.received[topic]
                                        if one.header == header), None), topic)

    for pixels in moving[1:3]:
        answer = robot.answer(lambda pixels=pixels: robot.show(pixels))
        overlay, label = (picture_of(answer.header, topic)
                          for topic in ('sam2/overlay', 'sam2/label_image'))
        labels = np.frombuffer(label.data, np.uint16)
        assert (labels == 300).sum() == (np.asarray(answer.masks[0].mask.data) > 0).sum()
        prompt = to_rgb(overlay)[COFFEE[1], COFFEE[0]]
        assert tuple(prompt) != (0, 220, 0), 'the prompt was given on another frame'
    for one in listeners:
        robot.node.destroy_subscription(one)


def test_the_segment_service_disturbs_nothing(
    robot: Any, moving: Any, make_image: Any, make_prompt: Any,
) -> None:
    from sam2_ros.srv import Segment

    begin(robot, moving[0], 1)
    request = Segment.Request(
        image=make_image(moving[1], 'rgb8', robot.header()), prompts=[make_prompt([TABLE])] * 3)
    response = robot.call(Segment, 'segment', request)
    assert response.success, response.message
    assert ids(response.masks) == [1, 2, 3]
    assert list(listed(robot)) == [1]
    assert ids(robot.answer(lambda: robot.show(moving[2]))) == [1]


def test_a_malformed_image_between_good_ones(robot: Any, moving: Any) -> None:
    begin(robot, moving[0], 1)
    robot.show(moving[1], step=7)
    robot.diagnosed('last error', lambda text: 'step 7, but a row' in text)
    assert ids(robot.answer(lambda: robot.show(moving[1]))) == [1]


def test_encoding_ahead_means_the_frame_that_is_seen(robot: Any, moving: Any) -> None:
    assert robot.set(encode_ahead=True)[0].successful
    runs = int(robot.diagnosed('encoder runs', lambda value: True)['encoder runs'])
    header = robot.show(moving[0])
    robot.diagnosed('encoder runs', lambda value: int(value) == runs + 1)
    answer = robot.answer(lambda: robot.ask([COFFEE], object_id=1))
    assert answer.header == header
    values = robot.diagnosed('answers', lambda value: True)
    assert int(values['encoder runs']) == runs + 1, 'the prompt cost no encoder'
    assert robot.set(encode_ahead=False)[0].successful


def test_stages_are_timed(robot: Any, moving: Any) -> None:
    begin(robot, moving[0], 1)
    robot.answer(lambda: robot.show(moving[1]))
    values = robot.diagnosed('image to masks ms', lambda value: True)
    for stage in ('resize', 'encode', 'memory_attention', 'decode', 'memory_encode', 'upscale',
                  'frame', 'publish'):
        assert f'{stage} ms' in values


def test_objects_outlive_a_deactivation(robot: Any, moving: Any) -> None:
    from lifecycle_msgs.msg import Transition

    begin(robot, moving[0], 1)
    assert robot.transition(Transition.TRANSITION_DEACTIVATE)
    assert list(listed(robot)) == [1]
    assert robot.transition(Transition.TRANSITION_ACTIVATE)
    robot.connect()
    assert ids(robot.answer(lambda: robot.show(moving[1]))) == [1]


def test_sigint_ends_it_cleanly(process: Any) -> None:
    assert process.stop() == 0, process.output
    assert 'Traceback' not in process.output
