# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tracker on a stream: states, late prompts, frames, memory, and what it refuses."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import pytest

from sam2_ros.model import (
    Bundle,
    BundleError,
    ImageError,
    ObjectState,
    OptionError,
    Prompt,
    PromptError,
    TrackedObject,
    TrackingOptions,
    VideoTracker,
)
from sam2_ros.model.image_files import read_photo

Image = npt.NDArray[np.uint8]

STAGES = {'resize', 'encode', 'memory_attention', 'decode', 'fill_holes', 'memory_encode',
          'upscale'}


@pytest.fixture(scope='module')
def bundle(trained_bundle: Path) -> Bundle:
    """Return a bundle whose masks of single images are trained, and small."""
    return Bundle.load(trained_bundle)


@pytest.fixture(scope='module')
def the_tracker(bundle: Bundle) -> VideoTracker:
    return VideoTracker(bundle, 'cpu')


@pytest.fixture
def tracker(the_tracker: VideoTracker) -> VideoTracker:
    """Return a tracker that knows nothing; loading the graphs anew would say no more."""
    the_tracker.reset()
    the_tracker.tracking = TrackingOptions()
    return the_tracker


@pytest.fixture(scope='module')
def video(photos: Path) -> list[Image]:
    """Return what a camera sees that moves over a photograph."""
    photo = read_photo(photos / 'coffee.png')
    return [np.ascontiguousarray(photo[3 * i:3 * i + 300, 6 * i:6 * i + 400]) for i in range(30)]


def click(x: float = 200, y: float = 150, label: int = 1) -> Prompt:
    return Prompt(points=[(x, y)], labels=[label])


def assert_same(found: TrackedObject, expected: TrackedObject) -> None:
    assert (found.object_id, found.frame, found.state) == (
        expected.object_id, expected.frame, expected.state)
    assert found.mask.box == expected.mask.box
    np.testing.assert_array_equal(found.logits, expected.logits)


def with_scores(tracker: VideoTracker, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that sets the object score that the decoder will give."""
    scores = [1.0]
    decode = tracker.segmenter._network.decode

    def scored(*arguments: Any, **named: Any) -> Any:
        return [replace(each, object_score=scores[0]) for each in decode(*arguments, **named)]

    monkeypatch.setattr(tracker.segmenter._network, 'decode', scored)

    def set_score(score: float) -> None:
        scores[0] = score
    return set_score


# Answers

def test_an_object_is_answered_on_every_frame(tracker: VideoTracker, video: list[Image]) -> None:
    assert tracker.frame is None
    assert tracker.kept_frames == []
    assert tracker.step(video[0], 0.0) == []
    [begun] = tracker.add(5, click())
    tracker.add(3, Prompt(box=(50, 60, 200, 250)))
    assert (begun.object_id, begun.frame, begun.state) == (5, 0, ObjectState.VISIBLE)
    assert begun.mask.image_size == (300, 400)
    assert begun.logits.dtype == np.float32
    assert np.abs(begun.logits).max() <= 32
    for index, image in enumerate(video[1:6], 1):
        found = tracker.step(image, index / 10)
        assert [each.object_id for each in found] == tracker.object_ids == [5, 3]
        assert [each.frame for each in found] == [index, index]
        assert tracker.frame == index
    assert tracker.kept_frames == [2, 3, 4, 5]


def test_answers_can_be_changed_without_changing_the_next(
    tracker: VideoTracker, video: list[Image],
) -> None:
    def run(spoil: bool) -> TrackedObject:
        tracker.reset()
        tracker.step(video[0], 0.0)
        tracker.add(1, click())
        for index, image in enumerate(video[1:4], 1):
            [answer] = tracker.step(image, float(index))
            if spoil:
                answer.logits[:] = 0
                answer.mask.crop[:] = 0
        [answer] = tracker.refine(1, click(180, 140))
        return answer

    assert_same(run(True), run(False))


def test_objects_do_not_disturb_each_other(tracker: VideoTracker, video: list[Image]) -> None:
    """Another object that comes, is corrected and goes leaves an object's answers as they are."""
    def run(others: bool) -> list[TrackedObject]:
        tracker.reset()
        answers = []
        for index, image in enumerate(video[:12]):
            answers += [each for each in tracker.step(image, float(index)) if each.object_id == 1]
            if index == 0:
                tracker.add(1, click())
            if others and index == 3:
                tracker.add(2, click(100, 100))
                tracker.add(4, Prompt(box=(20, 30, 200, 200)), frame=1)
            if others and index == 6:
                tracker.refine(2, click(120, 100), frame=4)
            if others and index == 9:
                tracker.remove(2)
        return answers

    for found, expected in zip(run(True), run(False), strict=True):
        assert found.mask.object_score == pytest.approx(expected.mask.object_score, abs=1e-3)
        np.testing.assert_allclose(found.logits, expected.logits, atol=1e-3)


@pytest.mark.parametrize('objects', [4, 5, 9])
def test_many_objects(tracker: VideoTracker, video: list[Image], objects: int) -> None:
    """More than are computed at once, begun on different frames."""
    alone = []
    for index in range(objects):
        tracker.reset()
        for frame, image in enumerate(video[:6]):
            found = tracker.step(image, float(frame))
            if frame == index % 3:
                tracker.add(index, click(40 * index + 20))
        alone += found
    tracker.reset()
    for frame, image in enumerate(video[:6]):
        found = tracker.step(image, float(frame))
        for index in range(objects):
            if frame == index % 3:
                tracker.add(index, click(40 * index + 20))
    for answer in found:
        np.testing.assert_allclose(answer.logits, alone[answer.object_id].logits, atol=1e-3)


def test_an_image_of_another_size(tracker: VideoTracker, video: list[Image]) -> None:
    """The camera changes its resolution: masks and prompts are those of each frame's own size."""
    tracker.step(video[0], 0.0)
    tracker.add(1, click())
    smaller = np.ascontiguousarray(video[1][::2, ::2])
    [answer] = tracker.step(smaller, 1.0)
    assert answer.mask.image_size == (150, 200)
    assert answer.mask.to_image().shape == (150, 200)
    with pytest.raises(PromptError, match=r'point \(300, 100\) lies outside the 200x150 image'):
        tracker.refine(1, click(300, 100))
    assert [each.mask.image_size for each in tracker.refine(1, click(300, 100), frame=0)] == [
        (300, 400), (150, 200)]


def test_single_images_with_the_same_graphs(tracker: VideoTracker, video: list[Image]) -> None:
    tracker.step(video[0], 0.0)
    [expected] = tracker.add(1, click(), multimask=True)
    segmenter = tracker.segmenter
    assert segmenter.provider == tracker.provider == 'cpu'
    [found] = segmenter.segment(segmenter.encode(video[0]), [click()], multimask=True)
    assert found.object_score == expected.mask.object_score
    assert found.iou_predictions[found.best] == expected.mask.iou_prediction
    near = np.abs(found.logits[found.best] - expected.logits) < 1e-6
    assert (near | (expected.logits == np.float32(0.1))).all()  # filled holes


# States

def test_states(
    tracker: VideoTracker, video: list[Image], monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_score = with_scores(tracker, monkeypatch)
    tracker.tracking = TrackingOptions(lost_after=2.0)
    tracker.step(video[0], 10.0)
    tracker.add(1, click())
    seen = []
    for stamp, score in ((11, 2.0), (20, 0.0), (21, -3.0), (22, -1.0), (22.5, -1.0), (90, -1.0),
                         (91, 0.5), (92, -0.5), (94.5, -0.5)):
        set_score(score)
        [answer] = tracker.step(video[1], stamp)
        assert answer.mask.object_score == score
        assert (answer.mask.area > 0) == (score > 0)
        assert score > 0 or (answer.logits == -32).all()
        seen.append(answer.state.name)
    # Not seen from 20 on, and from 92 on.
    assert seen == ['VISIBLE', 'OCCLUDED', 'OCCLUDED', 'OCCLUDED', 'LOST', 'LOST', 'VISIBLE',
                    'OCCLUDED', 'LOST']


def test_a_late_correction_changes_since_when_an_object_is_not_seen(
    tracker: VideoTracker, video: list[Image], monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_score = with_scores(tracker, monkeypatch)
    tracker.tracking = TrackingOptions(lost_after=2.0)
    tracker.step(video[0], 0.0)
    tracker.add(1, click())
    set_score(-1)
    for stamp in (1.0, 2.0, 3.0, 4.0):
        [answer] = tracker.step(video[1], stamp)
    assert answer.state is ObjectState.LOST
    found = tracker.refine(1, click(), frame=2)  # still not seen there
    assert [each.state.name for each in found] == ['OCCLUDED', 'OCCLUDED', 'LOST']
    set_score(1)
    found = tracker.refine(1, click(), frame=2)
    assert [each.state.name for each in found] == ['VISIBLE'] * 3


# Prompts that come late

def test_an_older_image_of_its_own(tracker: VideoTracker, video: list[Image]) -> None:
    """It stands in the place of the frame that was seen then; here it is that frame's image."""
    def run(**how: Any) -> list[TrackedObject]:
        tracker.reset()
        for index, image in enumerate(video[:5]):
            tracker.step(image, float(index))
        found = tracker.add(1, click(), **how)
        return found + tracker.step(video[5], 5.0)

    expected = run(frame=2)
    assert [each.frame for each in expected] == [2, 3, 4, 5]
    encoded = tracker.segmenter.encode(video[2])  # once for all that is prompted on it
    for stamp, image in ((2.0, video[2]), (2.9, video[2]), (2.0, encoded), (2.9, encoded)):
        for one, other in zip(run(image=image, stamp=stamp), expected, strict=True):
            assert_same(one, other)


def test_an_image_older_than_all_frames(tracker: VideoTracker, video: list[Image]) -> None:
    for index, image in enumerate(video[1:7], 1):
        tracker.step(image, float(index))
    small = np.ascontiguousarray(video[0][:100, :120])
    found = tracker.add(1, click(50, 60), image=small, stamp=0.5)
    assert [each.frame for each in found] == [1, 2, 3, 4, 5]  # frames 2 to 5 are kept
    assert [each.mask.image_size for each in found] == [(100, 120)] + [(300, 400)] * 4
    assert tracker.frame == 5
    found = tracker.add_mask(2, np.ones((100, 120), bool), image=small, stamp=0.5)
    assert [each.frame for each in found] == [1, 2, 3, 4, 5]
    assert found[0].mask.area == 100 * 120


def test_an_own_image_can_be_prompted_again(tracker: VideoTracker, video: list[Image]) -> None:
    for index in range(3):
        tracker.step(video[0], float(index))
    small = np.ascontiguousarray(video[5][:100, :120])
    tracker.add(1, click(50, 60), image=small, stamp=1.5)
    [first, second] = tracker.refine(1, click(100, 90), frame=1)
    assert first.mask.image_size == (100, 120)
    assert second.mask.image_size == (300, 400)
    with pytest.raises(PromptError, match='lies outside the 120x100 image'):
        tracker.refine(1, click(200, 90), frame=1)


@pytest.mark.parametrize('stamp', [None, 3.0, 4.0])
def test_a_newer_image_of_its_own(
    tracker: VideoTracker, video: list[Image], stamp: float | None,
) -> None:
    """It becomes the newest frame, for all objects."""
    for index in range(4):
        tracker.step(video[index], float(index))
        if index == 0:
            tracker.add(1, click())
    [found] = tracker.add(2, click(), image=video[4], stamp=stamp)
    assert found.frame == tracker.frame == 4
    assert tracker.object_ids == [1, 2]
    [first, _] = tracker.refine(1, click(180), frame=3)
    assert first.frame == 3


def test_an_image_of_its_own_can_be_the_first(tracker: VideoTracker, video: list[Image]) -> None:
    [found] = tracker.add(1, click(), image=video[0], stamp=7.0)
    assert found.frame == 0
    assert len(tracker.step(video[1], 7.1)) == 1


@pytest.mark.parametrize('begun_on', [0, 2])
def test_a_correction_on_an_image_that_no_frame_has(
    tracker: VideoTracker, video: list[Image], begun_on: int,
) -> None:
    """The answer there is that of a frame; frame 2, in whose place it stands, is 6 steps away."""
    def start() -> None:
        tracker.reset()
        for index in range(3):
            tracker.step(video[index], float(index))
            if index == begun_on:
                tracker.add(1, click(150, 120))
                tracker.add(2, click(100, 100))

    correction = click(260, 180)
    start()
    [as_a_frame, _] = tracker.step(video[8], 2.5)
    [expected] = tracker.refine(1, correction)
    start()
    [untouched, other] = tracker.step(video[10], 3.0)
    [found, newest] = tracker.refine(1, correction, image=video[8], stamp=2.5)
    assert (found.frame, newest.frame, tracker.frame) == (2, 3, 3)
    # two objects in a call of a graph are rounded otherwise than one
    np.testing.assert_allclose(found.logits, expected.logits, atol=1e-4)
    assert not np.allclose(found.logits, as_a_frame.logits, atol=1e-2)
    assert np.abs(newest.logits - untouched.logits).max() > 1e-3  # rounding: 1e-5
    # it can be prompted once more, and is followed
    assert len(tracker.refine(1, click(250, 170), frame=2)) == 2
    ids = [each.object_id for each in tracker.step(video[11], 4.0)]
    assert ids == [1, 2]
    assert other.object_id == 2


def test_a_correction_on_a_newer_image(tracker: VideoTracker, video: list[Image]) -> None:
    tracker.step(video[0], 0.0)
    tracker.add(1, click())
    tracker.step(video[1], 1.0)
    [expected] = tracker.refine(1, click(260, 180))
    tracker.reset()
    tracker.step(video[0], 0.0)
    tracker.add(1, click())
    [found] = tracker.refine(1, click(260, 180), image=video[1], stamp=1.0)
    assert_same(found, expected)


def test_a_correction_on_an_image_older_than_the_object(
    tracker: VideoTracker, video: list[Image],
) -> None:
    for index in range(6):
        tracker.step(video[index], float(index))
    tracker.add(1, click(), frame=4)
    for stamp in (3.5, 0.5):  # before the object began, and before all frames that are kept
        refine = partial(tracker.refine, 1, click(), image=video[3], stamp=stamp)
        assert 'older than the object' in refused(refine)
    assert 'not tracked' in refused(lambda: tracker.refine(2, click(), image=video[3], stamp=4.5))


def test_begun_anew_an_object_has_no_past(tracker: VideoTracker, video: list[Image]) -> None:
    tracker.step(video[0], 0.0)
    tracker.add(1, click(100, 100))
    tracker.add(2, click())
    tracker.step(video[1], 1.0)
    tracker.add(1, click())
    again = tracker.step(video[2], 2.0)
    assert tracker.object_ids == [1, 2]
    tracker.reset()
    tracker.step(video[1], 1.0)
    tracker.add(1, click())
    [fresh] = tracker.step(video[2], 2.0)
    np.testing.assert_allclose(again[0].logits, fresh.logits, atol=1e-4)


def test_prompts_before_the_frame_on_which_an_object_began(
    tracker: VideoTracker, video: list[Image],
) -> None:
    """What was said first still holds on its frame, and the object has two prompted frames."""
    for index in range(4):
        tracker.step(video[index], float(index))
        if index == 2:
            [begun] = tracker.add(1, click())
    found = tracker.refine(1, click(190, 160), frame=1)
    assert [each.frame for each in found] == [1, 2, 3]
    assert_same(found[1], begun)


def test_logits_of_an_earlier_answer_as_prompt(tracker: VideoTracker, video: list[Image]) -> None:
    """Given with all points, they are what refining feeds back by itself."""
    tracker.step(video[0], 0.0)
    [first] = tracker.add(1, click(150, 120))
    both = Prompt(points=[(150, 120), (250, 200)], labels=[1, 0])
    [by_logits] = tracker.add(2, Prompt(both.points, both.labels, mask=first.logits))
    [by_points] = tracker.add(3, both)
    [refined] = tracker.refine(1, click(250, 200, 0))
    np.testing.assert_array_equal(by_logits.logits, refined.logits)
    assert (by_points.logits != refined.logits).any()
    [alone] = tracker.add(4, Prompt(mask=first.logits))
    assert np.isfinite(alone.logits).all()


# Frames and memory

def test_reset_forgets_all(tracker: VideoTracker, video: list[Image]) -> None:
    tracker.step(video[0], 100.0)
    tracker.add(1, click())
    tracker.reset()
    assert tracker.frame is None
    assert tracker.object_ids == tracker.kept_frames == []
    assert tracker.step(video[0], 1.0) == []
    assert tracker.frame == 0


def test_a_removed_object_is_forgotten(tracker: VideoTracker, video: list[Image]) -> None:
    tracker.step(video[0], 0.0)
    tracker.add(1, click())
    tracker.add(2, click(100, 100))
    tracker.remove(1)
    assert tracker.object_ids == [2]
    assert [each.object_id for each in tracker.step(video[1], 1.0)] == [2]
    tracker.add(1, click())
    assert tracker.object_ids == [2, 1]


def test_options_change_while_it_runs(tracker: VideoTracker, video: list[Image]) -> None:
    for index in range(8):
        tracker.step(video[index], float(index))
        if index == 0:
            tracker.add(1, click())
    for options in (TrackingOptions(memories=0, object_pointers=0, kept_frames=1),
                    TrackingOptions(memories=2, object_pointers=1), TrackingOptions()):
        tracker.tracking = options
        assert tracker.tracking is options
        for index in range(8, 12):
            [answer] = tracker.step(video[index], 10.0)
            assert answer.frame == tracker.frame
    tracker.tracking = TrackingOptions(kept_frames=2)
    tracker.step(video[12], 20.0)
    assert tracker.kept_frames == [19, 20]


def tensors_of(tracker: VideoTracker) -> int:
    """Count the arrays and tensors that the tracker keeps."""
    kept, todo, seen = 0, [tracker._frames, tracker._objects], set()
    while todo:
        each = todo.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, dict):
            todo += each.values()
        elif isinstance(each, (tuple, list)):
            todo += each
        elif hasattr(each, '__dataclass_fields__'):
            todo += vars(each).values()
        elif isinstance(each, np.ndarray) or type(each).__name__ == 'OrtValue':
            kept += 1
    return kept


def test_memory_does_not_grow_with_the_stream(tracker: VideoTracker, video: list[Image]) -> None:
    """With prompts on the way, of which the newest two of an object are kept."""
    tracker.tracking = TrackingOptions(prompted_frames=2, remember_corrections=True)
    counts, sizes = [], []
    for index in range(240):
        tracker.step(video[index % 30], float(index))
        if index == 0:
            tracker.add(1, click())
        if index % 30 == 10:
            tracker.add(2, click(100, 200))
            tracker.refine(1, click(150, 100), frame=index - 2)
        if index % 30 == 29:
            gc.collect()
            counts.append(tensors_of(tracker))
            sizes.append(psutil.Process().memory_info().rss)
    assert len(set(counts[2:])) == 1, counts
    # Memories alone would be 64 KB a step and object, 30 MB in all.
    assert max(sizes[4:]) - sizes[3] < 5e6, sizes


def test_prompted_frames_are_kept_for_ever_or_the_newest(
    tracker: VideoTracker, video: list[Image],
) -> None:
    for limit, expected in ((None, 6), (3, 3)):
        tracker.reset()
        tracker.tracking = TrackingOptions(
            prompted_frames=limit, remember_corrections=True, kept_frames=1)
        for index in range(20):
            tracker.step(video[index], float(index))
            if index == 0:
                tracker.add(1, click())
            elif index % 3 == 0 and index < 18:
                tracker.refine(1, click())
        assert len(tracker._objects[1].memories.prompted) == expected


def test_timings_of_every_stage(tracker: VideoTracker, video: list[Image]) -> None:
    tracker.step(video[0], 0.0)
    tracker.add(1, click())
    tracker.warm_up()
    assert tracker.last_timings == {}
    assert tracker.object_ids == [1]
    assert tracker.frame == 0
    tracker.step(video[1], 1.0)
    assert set(tracker.last_timings) == STAGES
    assert all(seconds > 0 for seconds in tracker.last_timings.values())


# What is refused, and that nothing is lost by it

def refused(act: Callable[[], object]) -> str:
    with pytest.raises((ImageError, PromptError)) as caught:
        act()
    assert '\n' not in str(caught.value)
    return str(caught.value)


def test_what_is_refused_on_an_empty_stream(tracker: VideoTracker) -> None:
    mask = np.ones((300, 400), bool)
    assert refused(lambda: tracker.add(1, click())) == (
        'there is no frame yet; give an image first')
    assert refused(lambda: tracker.add_mask(1, mask)) == (
        'there is no frame yet; give an image first')
    assert refused(lambda: tracker.add(1, click(), frame=0)).startswith('there is no frame yet')
    assert refused(lambda: tracker.refine(1, click())).startswith('there is no frame yet')
    assert refused(lambda: tracker.remove(1)) == 'object 1 is not tracked; begin it with add'
    assert tracker.object_ids == []


def refusals(tracker: VideoTracker, image: Image) -> dict[str, tuple[Callable[[], object], str]]:
    """Return calls that are refused on frames of 400x300 up to 5, kept from 2, and why."""
    mask = np.ones((300, 400), np.uint8)
    speck = np.zeros((2000, 2000), np.uint8)
    speck[0, 0] = 1
    real: Any = mask.astype(np.float32)
    return {
        'unknown object': (lambda: tracker.refine(9, click()), 'object 9 is not tracked'),
        'removing it': (lambda: tracker.remove(9), 'object 9 is not tracked'),
        'old frame': (lambda: tracker.add(2, click(), frame=1),
                      'frame 1 is not kept; frames 2 to 5 are'),
        'future frame': (lambda: tracker.refine(1, click(), frame=6), 'frame 6 is not kept'),
        'outside': (lambda: tracker.add(1, click(400, 10)), 'outside the 400x300 image'),
        'outside an own image': (
            lambda: tracker.add(1, click(300, 10), image=image[:, :200]),
            'outside the 200x300 image'),
        'refining outside': (lambda: tracker.refine(1, click(-1, 10)), 'outside the 400x300'),
        'late and outside': (lambda: tracker.refine(1, click(-1, 10), frame=3), 'outside'),
        'logits of another model': (
            lambda: tracker.refine(1, Prompt(mask=np.zeros((32, 32)))),
            'the mask prompt is 32x32 logits, but this model takes 128x128'),
        'box after points': (
            lambda: (tracker.refine(1, click()), tracker.refine(1, Prompt(box=(1, 1, 9, 9)))),
            'a box comes before points, and object 1 has some on frame 5 already'),
        'frame and image': (lambda: tracker.add(1, click(), frame=4, image=image),
                            'either a kept frame or an image of its own, not both'),
        'stamp without image': (lambda: tracker.add(1, click(), stamp=3.0),
                                'a stamp belongs to an image'),
        'mask of another size': (
            lambda: tracker.add_mask(1, mask[:200]),
            r'a mask is an array [height, width] of the image, here [300, 400], of uint8 or bool, '
            r'got [200, 400] of uint8'),
        'mask of another type': (lambda: tracker.add_mask(1, real),
                                 'got [300, 400] of float32'),
        'empty mask': (lambda: tracker.add_mask(1, np.zeros((300, 400), bool)),
                       'the mask is empty'),
        'mask of a speck': (
            lambda: tracker.add_mask(1, speck, image=np.zeros((2000, 2000, 3), np.uint8)),
            'the mask is empty at the size of the model'),
        'time runs back': (lambda: tracker.step(image, 4.999),
                           'the stamp of the image, 4.999 s, lies before that of the newest frame, '
                           '5.000 s; reset the tracker'),
        'no time': (lambda: tracker.step(image, math.nan), 'the stamp of the image is nan'),
        'endless time': (lambda: tracker.step(image, math.inf), 'the stamp of the image is inf'),
        'no time of an own image': (
            lambda: tracker.add(1, click(), image=image, stamp=-math.inf), 'is -inf'),
        'no image': (lambda: tracker.step(image[..., 0]), 'an image is an array'),
        'no own image': (lambda: tracker.add(1, click(), image=image[..., :2]),
                         'an image is an array'),
        'empty image': (lambda: tracker.step(image[:0]), 'the image is empty'),
    }


def test_a_refused_call_changes_nothing(tracker: VideoTracker, video: list[Image]) -> None:
    def run(refuse: bool) -> list[TrackedObject]:
        tracker.reset()
        for index in range(6):
            tracker.step(video[index], float(index))
            if index == 0:
                tracker.add(1, click())
        tracker.refine(1, click())
        if refuse:
            for name, (act, message) in refusals(tracker, video[6]).items():
                if name == 'box after points':
                    continue
                assert message in refused(act), name
                assert tracker.frame == 5, name
                assert tracker.object_ids == [1], name
        return tracker.step(video[6], 6.0) + tracker.refine(1, click(210), frame=4)

    for found, expected in zip(run(True), run(False), strict=True):
        assert_same(found, expected)


def test_a_box_after_points(tracker: VideoTracker, video: list[Image]) -> None:
    for index in range(6):
        tracker.step(video[index], float(index))
        if index == 0:
            tracker.add(1, click())
    act, message = refusals(tracker, video[6])['box after points']
    assert message in refused(act)


def test_a_failure_on_the_way_changes_nothing(
    tracker: VideoTracker, video: list[Image], monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever stage fails, the frames and objects are those of before."""
    network = tracker.segmenter._network

    def run(fail: bool) -> list[TrackedObject]:
        tracker.reset()
        for index in range(4):
            tracker.step(video[index], float(index))
            if index == 0:
                tracker.add(1, click())
                tracker.add(2, click(100, 100))
        for stage in ('encode', 'attend', 'decode', 'remember') if fail else ():
            with monkeypatch.context() as patch:
                patch.setattr(network, stage, lambda *_, **__: 1 / 0)
                with pytest.raises(ZeroDivisionError):
                    tracker.step(video[4], 4.0)
                if stage != 'encode':
                    with pytest.raises(ZeroDivisionError):
                        tracker.refine(1, click(), frame=2)
                    with pytest.raises(ZeroDivisionError):
                        tracker.add(1, click(), frame=2)
            assert tracker.frame == 3
        return tracker.step(video[4], 4.0) + tracker.refine(1, click(), frame=2)

    for found, expected in zip(run(True), run(False), strict=True):
        assert_same(found, expected)


@pytest.mark.parametrize(('option', 'value', 'least'), [
    ('memories', -1, 0), ('object_pointers', -1, 0), ('prompted_frames', 0, 1),
    ('fill_hole_area', -1, 0), ('lost_after', -0.1, 0), ('lost_after', math.nan, 0),
    ('kept_frames', 0, 1)])
def test_options_out_of_range(option: str, value: float, least: int) -> None:
    options: dict[str, Any] = {option: value}
    with pytest.raises(OptionError, match=f'^{option} is {value}; give {least} or more$'):
        TrackingOptions(**options)


def test_options_beyond_the_model(tracker: VideoTracker) -> None:
    for name, value, most in (('memories', 7, 6), ('object_pointers', 17, 16)):
        options: dict[str, Any] = {name: value}
        with pytest.raises(OptionError, match=f'^{name} is {value}, but this model .* {most} at'):
            tracker.tracking = TrackingOptions(**options)
        assert tracker.tracking == TrackingOptions()


def test_a_bundle_for_single_images(bundle: Bundle) -> None:
    images_only = Bundle(bundle.path, replace(bundle.manifest, tracking=None))
    with pytest.raises(BundleError, match='can only segment images; export it again without'):
        VideoTracker(images_only)
