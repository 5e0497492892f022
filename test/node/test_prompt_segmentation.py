# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is remembered between prompts, and for how long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('sensor_msgs', reason='no ROS 2 in this environment')

from std_msgs.msg import Header

from sam2_ros.model.bundle import Bundle
from sam2_ros.model.errors import PromptError
from sam2_ros.model.segmenter import ImageSegmenter
from sam2_ros.node.answers import Answered, ObjectMask
from sam2_ros.node.conversions import to_image
from sam2_ros.node.frame_buffer import Frame
from sam2_ros.node.parameters import Settings
from sam2_ros.node.prompt_queue import PromptRequest
from sam2_ros.node.prompt_segmentation import PromptSegmentation

COFFEE = [(300.0, 200.0)]


@pytest.fixture(scope='module')
def segmenter(trained_bundle: Path) -> ImageSegmenter:
    return ImageSegmenter(Bundle.load(trained_bundle), 'cpu')


@pytest.fixture
def make(segmenter: ImageSegmenter) -> Any:
    """Return a function that makes what is tested, with these settings."""
    return lambda **settings: PromptSegmentation(segmenter, lambda: Settings(**settings))


@pytest.fixture
def frame(coffee: Any) -> Frame:
    return Frame(to_image(coffee, 'rgb8', Header()))


def told(object_id: int = 0, **fields: Any) -> PromptRequest:
    return PromptRequest('test', object_id=object_id, points=COFFEE, **fields)


def found_in(answered: Answered) -> list[ObjectMask]:
    """Return the objects of the one answer."""
    [answer] = answered.answers
    return list(answer.objects.values())


def test_ids_count_up_and_skip_the_known(make: Any, frame: Frame) -> None:
    segmentation = make()
    ids = [found.object_id for found in found_in(segmentation.answer(
        frame, [told(), told(2), told(), told()]))]
    assert ids == [1, 2, 3, 4]
    segmentation.answer(frame, [told(65535)])
    assert found_in(segmentation.answer(frame, [told()]))[0].object_id == 5


def test_a_new_object_gets_no_id_that_the_batch_asks_for(make: Any, frame: Frame) -> None:
    found = found_in(make().answer(frame, [told(), told(1), told()]))
    assert [one.object_id for one in found] == [2, 1, 3]


def test_clicked_corners_must_lie_in_the_image(make: Any, frame: Frame) -> None:
    box = (150.0, 80.0, 900.0, 330.0)
    by_detector = PromptRequest('test', box=box)
    by_clicks = PromptRequest('test', box=box, corners_inside=True)
    answer = make().answer(frame, [by_detector, by_clicks])
    assert len(found_in(answer)) == 1
    assert [refusal.request for refusal in answer.refused] == [by_clicks]
    assert 'point (900, 330) lies outside the 600x400 image' in answer.refused[0].reason


def test_the_object_prompted_longest_ago_is_forgotten(make: Any, frame: Frame) -> None:
    segmentation = make(max_objects=2)
    for object_id in (1, 2, 1, 3):
        segmentation.answer(frame, [told(object_id)])
    assert [known.object_id for known in segmentation.objects] == [1, 3]
    assert segmentation.answer(frame, [told(2, refine=True)]).refused
    assert segmentation.reset() == 2


def test_refinement_collects_points_and_feeds_logits_back(make: Any, frame: Frame) -> None:
    segmentation = make()
    first = found_in(segmentation.answer(frame, [told(1)]))[0]
    more = PromptRequest('test', object_id=1, points=[(420, 320)], labels=[0], refine=True)
    [(object_id, prompt)] = segmentation.answer(frame, [more]).answers[0].prompts
    assert object_id == 1
    assert prompt.points.tolist() == [[300, 200], [420, 320]]
    assert prompt.labels.tolist() == [1, 0]
    np.testing.assert_array_equal(prompt.mask, first.logits)


def test_a_click_refines_the_object_prompted_last(make: Any, frame: Frame) -> None:
    segmentation = make()
    click = told(refine=True, may_begin=True)
    ids = [found_in(segmentation.answer(frame, [request]))[0].object_id
           for request in (click, told(9), click)]
    assert ids == [1, 9, 9]


def test_a_refined_object_may_have_left_a_smaller_image(make: Any, frame: Frame) -> None:
    segmentation = make()
    segmentation.answer(frame, [told(1)])
    small = Frame(to_image(np.zeros((50, 50, 3), np.uint8), 'rgb8', Header()))
    request = PromptRequest('test', object_id=1, points=[(5, 5)], refine=True)
    answer = segmentation.answer(small, [request])
    assert not answer.answers
    assert 'point (300, 200) lies outside the 50x50 image' in answer.refused[0].reason


def test_encoded_images_are_kept_as_many_as_asked(make: Any, coffee: Any) -> None:
    segmentation = make(cached_embeddings=1)
    first, second = (Frame(to_image(coffee, 'rgb8', Header())) for _ in range(2))
    encoded = segmentation.encode(first)
    assert segmentation.encode(first) is encoded
    segmentation.encode(second)
    assert segmentation.encode(first) is not encoded
    encoded = segmentation.encode(first)
    segmentation.forget_frames()
    assert segmentation.encode(first) is not encoded


def test_an_unknown_object_cannot_be_removed(make: Any, frame: Frame) -> None:
    segmentation = make()
    segmentation.answer(frame, [told(4)])
    with pytest.raises(PromptError, match='object 5 is not known; known: 4'):
        segmentation.remove(5)
    segmentation.remove(4)
    assert segmentation.objects == ()


def test_masks_of_any_multimask_come_in_the_order_of_the_prompts(make: Any, frame: Frame) -> None:
    requests = [told(3, multimask=True), told(1, multimask=False), told(2, multimask=None)]
    found = found_in(make().answer(frame, requests))
    assert [one.object_id for one in found] == [3, 1, 2]
