# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Prompts meet the images that they were made on."""

from __future__ import annotations

import pytest

pytest.importorskip('sensor_msgs', reason='no ROS 2 in this environment')

from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from sam2_ros.model.errors import PromptError
from sam2_ros.node.frame_buffer import NANOSECONDS, Arrival, Frame, FrameBuffer
from sam2_ros.node.prompt_queue import MAX_WAITING, PromptQueue, PromptRequest

TOLERANCE, TIMEOUT, JUMP_TOLERANCE = 0.02, 1.0, 0.5


def frame(milliseconds: int, frame_id: str = 'camera') -> Frame:
    stamp = Time(sec=milliseconds // 1000, nanosec=milliseconds % 1000 * 1_000_000)
    return Frame(Image(header=Header(stamp=stamp, frame_id=frame_id)))


def buffer_of(*frames: Frame, capacity: int = 10) -> FrameBuffer:
    frames_buffer = FrameBuffer(capacity)
    for one in frames:
        frames_buffer.add(one, JUMP_TOLERANCE)
    return frames_buffer


@given(st.lists(st.integers(1, 10_000), min_size=1, unique=True).map(sorted), st.data())
def test_every_kept_image_is_found_by_its_stamp(stamps: list[int], data: st.DataObject) -> None:
    frames = [frame(stamp) for stamp in stamps]
    kept = buffer_of(*frames, capacity=5)
    assert len(kept) == min(5, len(frames))
    wanted = data.draw(st.sampled_from(frames[-5:]))
    assert kept.find(wanted.stamp, 0.0, may_wait=True) is wanted
    assert kept.find(0, 0.0, may_wait=True) is frames[-1]


@pytest.mark.parametrize(('milliseconds', 'reason'), [
    (500, 'older than the 3 images .* raise history_size'), (1050, 'nearest is 0.050 s away'),
    (2000, 'no image came for stamp 2.000000000'),
])
def test_a_stamp_without_an_image_is_refused(milliseconds: int, reason: str) -> None:
    kept = buffer_of(frame(1000), frame(1100), frame(1200))
    with pytest.raises(PromptError, match=reason):
        kept.find(milliseconds * NANOSECONDS // 1000, TOLERANCE, may_wait=False)


def test_the_nearest_within_the_tolerance_will_do() -> None:
    near = frame(1100)
    kept = buffer_of(frame(1000), near, frame(1200))
    assert kept.find(1115 * NANOSECONDS // 1000, TOLERANCE, may_wait=True) is near


def test_a_jump_back_in_time_forgets_what_was() -> None:
    kept = buffer_of(frame(1000), frame(1100))
    assert kept.add(frame(10), JUMP_TOLERANCE) == Arrival.JUMPED_BACK
    assert len(kept) == 1


@given(st.integers(0, 2000), st.integers(0, 1000))
def test_a_small_step_back_is_an_image_that_is_late(back: int, tolerance: int) -> None:
    newest, next_one = frame(5000), frame(5000 - back)
    kept = buffer_of(frame(4900), newest)
    arrival = kept.add(next_one, tolerance / 1000)
    if back == 0:
        assert arrival == Arrival.IN_ORDER, 'cameras without a clock stamp all images alike'
    else:
        assert arrival == (Arrival.LATE if back <= tolerance else Arrival.JUMPED_BACK)
    assert kept.newest is (newest if arrival == Arrival.LATE else next_one)


def test_an_older_image_that_is_still_at_hand() -> None:
    older, old = frame(400), frame(500)
    kept = buffer_of(older, old, frame(1000), frame(1100), capacity=2)
    wanted = 500 * NANOSECONDS // 1000
    assert kept.find(wanted, 0.0, may_wait=True, others=[older, old]) is old
    with pytest.raises(PromptError, match='older than the 2 images'):
        kept.find(wanted, 0.0, may_wait=True, others=[older])
    kept.add(frame(600), 0.0)  # time jumped back
    with pytest.raises(PromptError, match='older than the 1 images'):
        kept.find(wanted, 0.0, may_wait=True, others=[older, old])


def test_resize_keeps_the_newest() -> None:
    newest = frame(1100)
    kept = buffer_of(frame(1000), newest)
    kept.resize(1)
    assert len(kept) == 1
    assert kept.newest is newest


def test_stamp_zero_waits_for_the_first_image_for_ever() -> None:
    queue, kept = PromptQueue(), buffer_of()
    queue.add(PromptRequest('test'), 0.0, TIMEOUT)
    assert not queue.has_deadline
    assert queue.match(kept, 1e6, TOLERANCE) == (0, [])
    first = frame(1000)
    kept.add(first, JUMP_TOLERANCE)
    assert queue.match(kept, 1e6, TOLERANCE) == (1, [])
    assert queue.take_batch() == (first, [PromptRequest('test')])
    assert queue.take_batch() is None


def test_a_stamp_to_come_waits_and_times_out() -> None:
    queue, kept = PromptQueue(), buffer_of(frame(1000))
    request = PromptRequest('test', stamp=frame(2000).stamp)
    queue.add(request, 0.0, TIMEOUT)
    assert queue.has_deadline
    assert queue.match(kept, 0.9, TOLERANCE) == (0, [])
    matched, refused = queue.match(kept, 1.0, TOLERANCE)
    assert matched == 0
    assert [refusal.request for refusal in refused] == [request]
    queue.add(request, 2.0, TIMEOUT)
    expected = frame(2000)
    kept.add(expected, JUMP_TOLERANCE)
    assert queue.match(kept, 2.1, TOLERANCE) == (1, [])
    assert queue.take_batch() == (expected, [request])


def test_prompts_on_one_image_are_one_batch_but_an_object_comes_once() -> None:
    first, second = frame(1000), frame(1100)
    queue, kept = PromptQueue(), buffer_of(first, second)
    requests = [PromptRequest(str(index), stamp=on.stamp, object_id=object_id)
                for index, (on, object_id) in enumerate([
                    (first, 0), (second, 0), (first, 3), (first, 0), (first, 3)])]
    for request in requests:
        queue.add(request, 0.0, TIMEOUT)
    assert queue.match(kept, 0.0, TOLERANCE) == (5, [])
    assert queue.take_batch() == (first, [requests[0], requests[2], requests[3]])
    assert queue.take_batch() == (second, [requests[1]])
    assert queue.take_batch() == (first, [requests[4]])


def test_a_prompt_that_refines_the_last_object_is_a_batch_of_its_own() -> None:
    only = frame(1000)
    queue, kept = PromptQueue(), buffer_of(only)
    requests = [PromptRequest('0', object_id=9), PromptRequest('1', refine=True),
                PromptRequest('2', object_id=9), PromptRequest('3', object_id=8)]
    for request in requests:
        queue.add(request, 0.0, TIMEOUT)
    assert queue.match(kept, 0.0, TOLERANCE) == (4, [])
    assert queue.take_batch() == (only, requests[:1])
    assert queue.take_batch() == (only, requests[1:2])
    assert queue.take_batch() == (only, requests[2:])


def test_the_frame_id_must_be_the_images() -> None:
    queue, kept = PromptQueue(), buffer_of(frame(1000))
    queue.add(PromptRequest('test', frame_id='other'), 0.0, TIMEOUT)
    queue.add(PromptRequest('test', frame_id='camera'), 0.0, TIMEOUT)
    matched, refused = queue.match(kept, 0.0, TOLERANCE)
    assert matched == 1
    assert refused[0].reason == "frame_id is 'other', but the image is in 'camera'"


def test_a_runaway_publisher_is_stopped() -> None:
    queue = PromptQueue()
    for _ in range(MAX_WAITING):
        queue.add(PromptRequest('test'), 0.0, TIMEOUT)
    with pytest.raises(PromptError, match='wait already'):
        queue.add(PromptRequest('test'), 0.0, TIMEOUT)
    queue.clear()
    queue.add(PromptRequest('test'), 0.0, TIMEOUT)
