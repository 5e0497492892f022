# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One node as a process: photographs and prompts in, masks out."""

from __future__ import annotations

from pathlib import Path
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


def pixels_of(image: Any, dtype: Any = np.uint8) -> Any:
    return np.frombuffer(image.data, dtype).reshape(image.height, image.width)


def full_mask(answer: Any, index: int = 0) -> Any:
    """Return an object's mask at the size of the image, boolean."""
    mask = answer.masks[index]
    box = mask.box
    full = np.zeros((answer.height, answer.width), bool)
    full[box.y_offset:box.y_offset + box.height, box.x_offset:box.x_offset + box.width] = (
        pixels_of(mask.mask) > 0)
    return full


def test_a_prompt_before_the_first_image_waits_for_it(
    robot: Any, process: Any, coffee: Any,
) -> None:
    robot.ask([COFFEE])
    process.wait_for_output('a prompt waits for the first image')
    header = robot.show(coffee)
    answer = robot.masks(1)[0]
    assert answer.header == header
    assert answer.masks[0].object_id == 1


def test_a_point_gives_a_mask_with_the_header_of_the_image(robot: Any, coffee: Any) -> None:
    header = robot.show(coffee)
    answer = robot.answer(lambda: robot.ask([COFFEE], object_id=7, stamp=header.stamp))
    assert answer.header == header
    assert (answer.height, answer.width) == coffee.shape[:2]
    assert [mask.object_id for mask in answer.masks] == [7]
    mask = answer.masks[0]
    assert mask.mask.header == header
    assert (mask.box.height, mask.box.width) == (mask.mask.height, mask.mask.width)
    crop = pixels_of(mask.mask)
    assert set(np.unique(crop)) <= {0, 255}
    for edge in (crop[0], crop[-1], crop[:, 0], crop[:, -1]):
        assert edge.any(), 'the box is not tight'
    assert 0.0 <= mask.object_score <= 1.0
    assert mask.logits.height == 0


@pytest.fixture(scope='module')
def segmenter(trained_bundle: Any) -> Any:
    from sam2_ros.model.bundle import Bundle
    from sam2_ros.model.segmenter import ImageSegmenter

    return ImageSegmenter(Bundle.load(trained_bundle), 'cpu')


def assert_same(answer: Any, expected: Any) -> None:
    # thread counts may change the order of sums, and with it a pixel at the edge
    assert (full_mask(answer) != (expected.to_image() > 0)).mean() < 1e-3
    assert answer.masks[0].predicted_iou == pytest.approx(expected.iou_prediction, abs=1e-3)


def test_it_is_the_answer_of_the_model(robot: Any, coffee: Any, segmenter: Any) -> None:
    from sam2_ros.model.prompts import Prompt

    box = (150, 80, 450, 330)
    header = robot.show(coffee)
    answer = robot.answer(lambda: robot.ask(box=box, stamp=header.stamp))
    assert_same(answer, segmenter.segment(segmenter.encode(coffee), [Prompt(box=box)])[0].mask())


@pytest.mark.parametrize('size', [(64, 48), (451, 300), (1280, 720)])
def test_images_of_any_size(robot: Any, cat: Any, size: tuple[int, int]) -> None:
    import cv2

    header = robot.show(cv2.resize(cat, size))
    answer = robot.answer(
        lambda: robot.ask([(size[0] / 2, size[1] / 2)], stamp=header.stamp))
    assert (answer.width, answer.height) == size


@pytest.mark.parametrize('encoding', ['bgr8', 'mono8', 'rgba8', 'bayer_rggb8'])
def test_images_of_other_encodings(robot: Any, coffee: Any, encoding: str) -> None:
    pixels = {
        'bgr8': coffee[..., ::-1], 'mono8': coffee[..., 1], 'bayer_rggb8': coffee[..., 1],
        'rgba8': np.concatenate([coffee, coffee[..., :1]], 2)}[encoding]
    header = robot.show(pixels, encoding)
    answer = robot.answer(lambda: robot.ask([COFFEE], stamp=header.stamp))
    assert answer.header == header


def test_a_prompt_meets_the_image_that_it_was_made_on(
    robot: Any, coffee: Any, cat: Any,
) -> None:
    past = robot.show(coffee)
    newest = robot.show(cat)
    answer = robot.answer(lambda: robot.ask([COFFEE], stamp=past.stamp))
    assert (answer.header, answer.width) == (past, 600)
    answer = robot.answer(lambda: robot.ask([(225, 150)]))
    assert (answer.header, answer.width) == (newest, 451)


def test_a_prompt_for_an_image_that_comes_later(robot: Any, coffee: Any) -> None:
    from builtin_interfaces.msg import Time

    seen = robot.show(coffee)
    later = Time(sec=seen.stamp.sec + 1, nanosec=seen.stamp.nanosec)
    robot.ask([COFFEE], stamp=later)
    robot.diagnosed('prompts waiting for an image', lambda value: value == '1')
    for _ in range(10):  # a tenth of a second each
        header = robot.show(coffee)
    answer = robot.answer(lambda: None)
    assert answer.header == header
    assert answer.header.stamp == later


def test_refinement_adds_to_what_was_said(robot: Any, coffee: Any) -> None:
    header = robot.show(coffee)
    first = robot.answer(lambda: robot.ask([COFFEE], object_id=3, stamp=header.stamp))
    second = robot.answer(lambda: robot.ask(
        [(420, 320)], labels=[0], object_id=3, refine=True, stamp=header.stamp))
    assert second.masks[0].object_id == 3
    assert not full_mask(second)[320, 420]
    anew = robot.answer(lambda: robot.ask([COFFEE], object_id=3, stamp=header.stamp))
    assert np.array_equal(full_mask(first), full_mask(anew))


def test_a_mask_as_prompt(robot: Any, coffee: Any, segmenter: Any) -> None:
    import cv2
    from sensor_msgs.msg import Image

    from sam2_ros.model.mask_prompts import mask_to_logits
    from sam2_ros.model.prompts import Prompt

    header = robot.show(coffee)
    rough = np.zeros(coffee.shape[:2], np.uint8)
    cv2.circle(rough, COFFEE, 100, 1, -1)
    mask = Image(height=400, width=600, step=600, encoding='mono8')
    mask.data.frombytes(rough.tobytes())
    answer = robot.answer(lambda: robot.ask([COFFEE], mask=mask, stamp=header.stamp))
    assert_same(answer, segmenter.segment(segmenter.encode(coffee), [
        Prompt(points=[COFFEE], mask=mask_to_logits(rough, 128))])[0].mask())


def test_new_objects_get_new_ids(robot: Any, coffee: Any) -> None:
    header = robot.show(coffee)
    ids = [robot.answer(lambda: robot.ask([COFFEE], stamp=header.stamp)).masks[0].object_id
           for _ in range(2)]
    assert len(set(ids)) == 2
    assert 0 not in ids


def encoder_runs(robot: Any) -> int:
    """Return how often the encoder ran, when all answers that came are in the diagnostics."""
    answers = sum(len(answer.masks) for answer in robot.received['sam2/masks'])
    return int(robot.diagnosed('answers', lambda value: int(value) >= answers)['encoder runs'])


def test_more_prompts_on_an_image_cost_no_encoder(robot: Any, coffee: Any) -> None:
    header = robot.show(coffee)
    robot.answer(lambda: robot.ask([COFFEE], stamp=header.stamp))
    runs = encoder_runs(robot)
    for x in (200, 250, 350):
        robot.answer(lambda x=x: robot.ask([(x, 200)], stamp=header.stamp))
    assert encoder_runs(robot) == runs


def test_pictures_for_people(robot: Any, coffee: Any) -> None:
    from sensor_msgs.msg import CompressedImage, Image

    from sam2_ros.node.conversions import to_rgb

    topics = {'sam2/label_image': Image, 'sam2/overlay': Image,
              'sam2/overlay/compressed': CompressedImage}
    listeners = [robot.listen(kind, topic) for topic, kind in topics.items()]
    robot.wait(lambda: all(one.get_publisher_count() for one in listeners), 'the publishers')
    header = robot.show(coffee)
    answers = []

    def all_came() -> bool:
        # the node may not have discovered every listener when it answers the first time
        answers.append(robot.answer(
            lambda: robot.ask([COFFEE], object_id=300, stamp=header.stamp)))
        return all(robot.received[topic] for topic in topics)

    while not all_came():
        assert len(answers) < 100
    label, overlay, jpeg = (robot.received[topic][-1] for topic in topics)
    assert label.header == overlay.header == jpeg.header == header
    assert label.encoding == 'mono16'
    assert np.array_equal(pixels_of(label, np.uint16) == 300, full_mask(answers[-1]))
    drawn = to_rgb(overlay).astype(int)
    assert drawn.shape == coffee.shape
    assert (drawn != coffee).any()
    assert abs(to_rgb(jpeg) - drawn).mean() < 5  # JPEG of quality 80
    for one in listeners:
        robot.node.destroy_subscription(one)


def test_parameters_change_at_run_time(robot: Any, coffee: Any) -> None:
    good, bad, fixed, outside = robot.set(
        overlay_opacity=0.9, click_mode='circle', provider='cuda', history_size=0)
    assert good.successful
    assert not bad.successful
    assert bad.reason == "click_mode is 'circle', it must be one of: point, box"
    assert not fixed.successful
    assert 'read-only' in fixed.reason.lower()
    assert not outside.successful
    assert 'history_size' in outside.reason
    assert robot.set(history_size=1)[0].successful
    past = robot.show(coffee)
    newest = robot.show(coffee)
    answer = robot.answer(lambda: robot.ask([COFFEE], stamp=newest.stamp))
    assert answer.header == newest  # so it has come, and the past is forgotten
    robot.ask([COFFEE], stamp=past.stamp)
    robot.diagnosed('last error', lambda text: 'history_size' in text)
    assert robot.set(history_size=15)[0].successful


def test_objects_are_removed_and_reset(robot: Any, coffee: Any) -> None:
    from std_srvs.srv import Trigger

    from sam2_ros.srv import RemoveObject

    header = robot.show(coffee)
    robot.answer(lambda: robot.ask([COFFEE], object_id=40, stamp=header.stamp))
    remove = RemoveObject.Request(object_id=40)
    response = robot.call(RemoveObject, 'remove_object', remove)
    assert (response.success, response.message) == (True, '')
    response = robot.call(RemoveObject, 'remove_object', remove)
    assert not response.success
    assert 'object 40 is not known' in response.message
    response = robot.call(Trigger, 'reset', Trigger.Request())
    assert response.success
    answer = robot.answer(lambda: robot.ask([COFFEE], stamp=header.stamp))
    assert answer.masks[0].object_id == 1


def test_it_says_what_it_runs(process: Any, robot: Any, trained_bundle: Path) -> None:
    values = robot.diagnosed('provider', lambda value: value == 'cpu')
    assert (values['model'], values['trained'], values['state']) == (
        'sam2_nano', 'true', 'active')
    assert 'encode ms' in values
    size = values['image size']
    assert f'model sam2_nano (trained, {size}, fp32) from {trained_bundle}, ' in process.output


def test_sigint_ends_it_cleanly(process: Any) -> None:
    assert process.stop() == 0, process.output
    assert 'Traceback' not in process.output
