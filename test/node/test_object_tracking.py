# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mode track without ROS: which frames are answered, which objects there are, what settings do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('sensor_msgs', reason='no ROS 2 in this environment')

from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from sam2_ros.model import Bundle, OptionError, Prompt, PromptError, VideoTracker
from sam2_ros.model.network import Embedding, Network
from sam2_ros.model.video_tracker import ObjectState
from sam2_ros.node.conversions import to_image
from sam2_ros.node.diagnostics import Statistics
from sam2_ros.node.frame_buffer import Frame
from sam2_ros.node.object_tracking import ObjectTracking, tracking_options
from sam2_ros.node.parameters import Settings
from sam2_ros.node.prompt_queue import PromptRequest

COFFEE = (300.0, 200.0)
TABLE = (60.0, 350.0)


@pytest.fixture(scope='module')
def tracker(trained_bundle: Path) -> VideoTracker:
    return VideoTracker(Bundle.load(trained_bundle), 'cpu')


class Stream:
    """A camera that moves over the photograph, the mode that looks on, and what it said."""

    def __init__(self, tracker: VideoTracker, pixels: Any, **settings: Any) -> None:
        self.settings = Settings(**settings)
        self.notices: list[str] = []
        self.statistics = Statistics()
        tracker.reset()
        tracker.tracking = tracking_options(self.settings)
        self.mode = ObjectTracking(
            tracker, lambda: self.settings, self.statistics, self.notices.append)
        self._pixels = pixels
        self._second = 0

    def frame(self, second: int | None = None, size: Any = slice(None)) -> Frame:
        """Return the next frame: a second and three pixels after the last."""
        self._second = self._second + 1 if second is None else second
        pixels = np.roll(self._pixels, 3 * self._second, axis=1)[size, size]
        return Frame(to_image(pixels, 'rgb8', Header(stamp=Time(sec=self._second))))

    def ids(self) -> list[int]:
        return [known.object_id for known in self.mode.objects]


@pytest.fixture
def make(tracker: VideoTracker, coffee: Any) -> Any:
    """Return a function that makes a stream with these settings."""
    return lambda **settings: Stream(tracker, coffee, **settings)


def told(object_id: int = 0, point: Any = COFFEE, **fields: Any) -> PromptRequest:
    return PromptRequest('test', object_id=object_id, points=[point], **fields)


def picture(frame: Frame) -> Any:
    return np.frombuffer(frame.message.data, np.uint8).reshape(
        frame.message.height, frame.message.width, 3)


def seconds(answers: Any) -> list[int]:
    return [answer.frame.header.stamp.sec for answer in answers]


def test_nothing_is_computed_while_there_is_no_object(make: Any, tracker: VideoTracker) -> None:
    stream = make()
    assert not stream.mode.wants_frames
    assert stream.mode.follow(stream.frame()) is None
    assert tracker.frame is None


def test_frames_are_followed_as_the_tracker_does(make: Any, trained_bundle: Path) -> None:
    stream = make()
    frames = [stream.frame() for _ in range(4)]
    first = stream.mode.answer(frames[0], [told(7)])
    later = [stream.mode.follow(frame) for frame in frames[1:]]
    reference = VideoTracker(Bundle.load(trained_bundle), 'cpu')
    pictures = [picture(frame) for frame in frames]
    expected = [reference.add(7, Prompt(points=[COFFEE]), image=pictures[0], stamp=1.0)]
    expected += [reference.step(picture, float(second))
                 for second, picture in enumerate(pictures[1:], 2)]
    for answer, [one] in zip([*first.answers, *later], expected, strict=True):
        assert list(answer.objects) == [7]
        assert answer.objects[7].mask.box == one.mask.box
        np.testing.assert_array_equal(answer.objects[7].logits, one.logits)
        assert answer.objects[7].state == one.state
    assert stream.statistics.total('frames tracked') == 3


def test_a_frame_is_tracked_once(make: Any) -> None:
    stream = make()
    frame = stream.frame()
    stream.mode.answer(frame, [told()])
    assert stream.mode.follow(frame) is None, 'the prompt brought it here already'


def test_an_answer_holds_all_objects(make: Any) -> None:
    stream = make()
    stream.mode.answer(stream.frame(), [told(1), told(2, TABLE)])
    [answer] = stream.mode.answer(stream.frame(), [told(3, TABLE)]).answers
    assert sorted(answer.objects) == [1, 2, 3]
    assert [object_id for object_id, _ in answer.prompts] == [3]
    assert stream.mode.follow(stream.frame()).prompts == []


def test_a_late_prompt_changes_the_frames_that_are_kept(make: Any) -> None:
    stream = make(kept_frames=3)
    frames = [stream.frame() for _ in range(5)]
    stream.mode.answer(frames[0], [told(1)])
    for frame in frames[1:]:
        stream.mode.follow(frame)
    answered = stream.mode.answer(frames[3], [told(1, (290.0, 210.0), refine=True)])
    assert seconds(answered.answers) == [4, 5]
    answered = stream.mode.answer(frames[2], [told(2, TABLE)])
    assert seconds(answered.answers) == [3, 4, 5]
    assert all(sorted(answer.objects) == [1, 2] for answer in answered.answers)


def test_a_late_prompt_on_a_dropped_frame(make: Any) -> None:
    stream = make()
    frames = [stream.frame() for _ in range(4)]
    stream.mode.answer(frames[0], [told(1)])
    stream.mode.follow(frames[2])
    stream.mode.follow(frames[3])
    answered = stream.mode.answer(frames[1], [told(2, TABLE)])
    assert seconds(answered.answers) == [2, 3, 4]
    assert [sorted(answer.objects) for answer in answered.answers] == [[2], [1, 2], [1, 2]]
    assert sorted(stream.mode.follow(stream.frame(5)).objects) == [1, 2]


def test_a_refinement_on_a_dropped_frame(make: Any, trained_bundle: Path) -> None:
    stream = make()
    frames = [stream.frame() for _ in range(4)]
    stream.mode.answer(frames[0], [told(1)])
    stream.mode.follow(frames[2])
    stream.mode.follow(frames[3])
    reference = VideoTracker(Bundle.load(trained_bundle), 'cpu')
    reference.add(1, Prompt(points=[COFFEE]), image=picture(frames[0]), stamp=1.0)
    reference.step(picture(frames[2]), 3.0)
    reference.step(picture(frames[3]), 4.0)
    where: dict[str, Any] = {'image': picture(frames[1]), 'stamp': 2.0}
    for point in (TABLE, (290.0, 210.0)):  # the second adds to the first
        answered = stream.mode.answer(
            frames[1], [told(1, point, labels=[0], refine=True)])
        expected = reference.refine(1, Prompt(points=[point], labels=[0]), **where)
        where = {'frame': expected[0].frame}
        assert not answered.refused
        assert seconds(answered.answers) == [2, 3, 4]
        for answer, one in zip(answered.answers, expected, strict=True):
            np.testing.assert_array_equal(answer.objects[1].logits, one.logits)


def test_a_dropped_frame_is_encoded_once_for_all_prompts_on_it(
    make: Any, trained_bundle: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = make()
    first, dropped, newest = (stream.frame() for _ in range(3))
    stream.mode.answer(first, [told(1)])
    stream.mode.follow(newest)
    encode, encoded = Network.encode, []

    def counted(network: Network, image: Any) -> Embedding:
        encoded.append(network)
        return encode(network, image)

    monkeypatch.setattr(Network, 'encode', counted)
    answers = stream.mode.answer(dropped, [told(2), told(3, TABLE)]).answers
    assert [sorted(answer.objects) for answer in answers] == [[2, 3], [1, 2, 3]]
    later = stream.mode.answer(dropped, [told(1, refine=True), told(4)]).answers
    assert [sorted(answer.objects) for answer in later] == [[1, 4], [1, 2, 3, 4]]
    assert len(encoded) == 1
    monkeypatch.undo()
    reference = VideoTracker(Bundle.load(trained_bundle), 'cpu')
    for frame in (first, newest):
        reference.step(picture(frame), float(frame.header.stamp.sec))
    expected = reference.add(3, Prompt(points=[TABLE]), image=picture(dropped), stamp=2.0)
    for answer, one in zip(answers, expected, strict=True):
        np.testing.assert_array_equal(answer.objects[3].logits, one.logits)


def test_a_frame_and_the_dropped_one_in_its_place(make: Any, trained_bundle: Path) -> None:
    stream = make()
    frames = [stream.frame() for _ in range(4)]
    stream.mode.answer(frames[0], [told(1)])
    stream.mode.follow(frames[1])
    stream.mode.follow(frames[3])
    # for object 2 it stands in the place of the one before it
    stream.mode.answer(frames[2], [told(2, TABLE)])
    reference = VideoTracker(Bundle.load(trained_bundle), 'cpu')
    for frame in (frames[0], frames[1], frames[3]):
        reference.step(picture(frame), float(frame.header.stamp.sec))
    reference.add(2, Prompt(points=[TABLE]), image=picture(frames[2]), stamp=3.0)
    # a correction on the one before it means that one, not what stands there
    answered = stream.mode.answer(frames[1], [told(2, refine=True)])
    expected = reference.refine(2, Prompt(points=[COFFEE]), image=picture(frames[1]), stamp=2.0)
    assert seconds(answered.answers) == [2, 4]
    for answer, one in zip(answered.answers, expected, strict=True):
        np.testing.assert_array_equal(answer.objects[2].logits, one.logits)


def test_what_was_found_on_a_dropped_frame_is_no_answer_on_another(make: Any) -> None:
    stream = make()
    frames = [stream.frame() for _ in range(4)]
    stream.mode.answer(frames[0], [told(1)])
    stream.mode.follow(frames[1])
    stream.mode.follow(frames[3])
    stream.mode.answer(frames[2], [told(2, TABLE)])
    answered = stream.mode.answer(frames[0], [told(2, TABLE, refine=True)])
    assert seconds(answered.answers) == [1, 4]
    [second] = stream.mode.answer(frames[1], [told(1, refine=True)]).answers[:1]
    assert (seconds([second]), list(second.objects)) == ([2], [1])
    # begun anew, it is tracked on the frame itself
    answered = stream.mode.answer(frames[0], [told(2, TABLE)])
    assert seconds(answered.answers) == [1, 2, 4]
    stream.mode.remove(2)
    answered = stream.mode.answer(frames[1], [told(2, TABLE)])
    assert seconds(answered.answers) == [2, 4]


def test_masks_do_not_overlap_on_frames_that_are_prompted(make: Any) -> None:
    for apart in (False, True):
        stream = make(non_overlapping=apart)
        first, second = stream.frame(), stream.frame()
        answers = stream.mode.answer(first, [told(1), told(2)]).answers
        answers.append(stream.mode.follow(second))
        answers += stream.mode.answer(first, [told(3)]).answers
        for answer in answers:
            covered = sum((one.mask.to_image() > 0).astype(int) for one in answer.objects.values())
            assert covered.max() == (1 if apart else len(answer.objects))


def test_a_prompt_that_makes_no_sense_costs_nothing(make: Any, tracker: VideoTracker) -> None:
    stream = make()
    answered = stream.mode.answer(stream.frame(), [told(1, (900.0, 5.0))])
    assert 'point (900, 5) lies outside the 600x400 image' in answered.refused[0].reason
    assert tracker.frame is None
    answered = stream.mode.answer(stream.frame(), [told(1, (900.0, 5.0)), told(2)])
    assert [refusal.request.object_id for refusal in answered.refused] == [1]
    assert list(answered.answers[0].objects) == [2]
    [refusal] = stream.mode.answer(stream.frame(), [told(9, refine=True)]).refused
    assert 'object 9 is not known, so it cannot be refined' in refusal.reason


def test_one_object_too_many_is_refused(make: Any) -> None:
    stream = make(max_objects=2)
    answered = stream.mode.answer(stream.frame(), [told(1), told(2), told(3)])
    assert answered.refused[0].reason == (
        'max_objects is 2, and as many are tracked already; remove one (~/remove_object) or raise '
        'max_objects')
    assert not stream.mode.answer(stream.frame(), [told(1)]).refused, 'it begins anew'
    stream.mode.remove(2)
    assert not stream.mode.answer(stream.frame(), [told(3)]).refused
    assert stream.ids() == [1, 3]


def test_ids_of_new_objects(make: Any) -> None:
    stream = make()
    stream.mode.answer(stream.frame(), [told(), told(1), told()])
    assert stream.ids() == [2, 1, 3]
    stream.mode.answer(stream.frame(), [told(65535)])
    stream.mode.answer(stream.frame(), [told()])
    assert stream.ids()[-1] == 4
    assert stream.mode.reset() == 5
    stream.mode.answer(stream.frame(), [told()])
    assert stream.ids() == [1]


def test_a_click_refines_the_object_prompted_last(make: Any) -> None:
    stream = make()
    click = told(refine=True, may_begin=True)
    for request in (click, told(9), told(5), told(9, refine=True), click):
        assert not stream.mode.answer(stream.frame(), [request]).refused
    assert stream.ids() == [1, 5, 9]


def test_a_mask_of_the_image_is_the_answer_on_it(make: Any, coffee: Any) -> None:
    stream = make()
    rough = np.zeros(coffee.shape[:2], np.uint8)
    rough[100:300, 200:400] = 1
    mask = to_image(rough, 'mono8', Header())
    [answer] = stream.mode.answer(
        stream.frame(), [PromptRequest('test', object_id=4, mask=mask)]).answers
    found = answer.objects[4].mask
    assert (found.to_image() > 0).sum() == pytest.approx(rough.sum(), rel=0.05)
    assert found.iou_prediction == 1.0
    # with a point beside it, the model decides
    [answer] = stream.mode.answer(
        stream.frame(), [PromptRequest('test', points=[COFFEE], mask=mask)]).answers
    assert answer.objects[5].mask.iou_prediction < 1.0


def test_removed_objects_are_in_no_answer(make: Any) -> None:
    stream = make()
    first, second = stream.frame(), stream.frame()
    stream.mode.answer(first, [told(1), told(2)])
    stream.mode.follow(second)
    stream.mode.remove(1)
    with pytest.raises(PromptError, match='object 1 is not known; known: 2'):
        stream.mode.remove(1)
    answered = stream.mode.answer(first, [told(2, refine=True)])
    assert [sorted(answer.objects) for answer in answered.answers] == [[2], [2]]
    assert [object_id for object_id, _ in answered.answers[0].prompts] == [2, 2]


def test_what_is_known_of_an_object(make: Any) -> None:
    stream = make()
    stream.mode.answer(stream.frame(), [told(1)])
    [before] = stream.mode.objects
    assert (before.begun, before.last_seen) == (10**9, 10**9)
    assert before.state == ObjectState.VISIBLE
    for _ in range(3):
        answer = stream.mode.follow(stream.frame())
    [now] = stream.mode.objects
    assert now.begun == 10**9
    assert now.state == answer.objects[1].state
    if now.state == ObjectState.VISIBLE:
        assert now.last_seen == 4 * 10**9
    stream.mode.answer(stream.frame(), [told(1)])
    assert stream.mode.objects[0].begun == 5 * 10**9, 'it began anew'


@pytest.mark.parametrize('decision', ['keep', 'reset'])
def test_images_of_another_size(make: Any, decision: str) -> None:
    stream = make(on_size_change=decision)
    stream.mode.answer(stream.frame(), [told(1)])
    answer = stream.mode.follow(stream.frame(size=slice(None, None, 2)))
    [notice] = stream.notices
    assert 'the images changed from 600x400 to 300x200 pixels; objects' in notice
    if decision == 'keep':
        assert answer.objects[1].mask.image_size == (200, 300)
    else:
        assert answer is None
        assert stream.ids() == []


def test_time_may_jump_back(make: Any) -> None:
    stream = make()
    stream.mode.answer(stream.frame(100), [told(1)])
    stream.mode.forget_frames()
    for second in (50, 51, 20, 21):
        assert list(stream.mode.follow(stream.frame(second)).objects) == [1]
    dropped = stream.frame(22)
    stream.mode.follow(stream.frame(23))
    assert seconds(stream.mode.answer(dropped, [told(2)]).answers) == [22, 23]


def test_images_without_a_clock(make: Any) -> None:
    stream = make()
    frames = [stream.frame(0) for _ in range(3)]
    stream.mode.answer(frames[0], [told(1)])
    assert all(stream.mode.follow(frame) for frame in frames[1:])


def test_options_change_while_tracking(make: Any, tracker: VideoTracker) -> None:
    stream = make()
    stream.mode.answer(stream.frame(), [told(1)])
    stream.settings = Settings(memories=1, object_pointers=0, prompted_frames=2, lost_after=9.0)
    assert stream.mode.follow(stream.frame())
    assert tracker.tracking == tracking_options(stream.settings)
    assert (tracker.tracking.memories, tracker.tracking.fill_hole_area) == (1, None)
    stream.mode.check(Settings(memories=6, object_pointers=16))
    for beyond in (Settings(memories=7), Settings(object_pointers=17)):
        with pytest.raises(OptionError, match='this model has been trained for'):
            stream.mode.check(beyond)


def test_an_image_that_is_none(make: Any) -> None:
    stream = make()
    stream.mode.answer(stream.frame(), [told(1)])
    broken = Frame(Image())
    [refusal] = stream.mode.answer(broken, [told(2)]).refused
    assert 'the image is empty' in refusal.reason
    assert stream.mode.follow(stream.frame()) is not None
