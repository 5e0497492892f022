# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of contenders whose answers, and so the right scores, are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip('matplotlib', reason='no matplotlib here: nothing can be evaluated')
pytest.importorskip('pycocotools', reason='no pycocotools here: nothing can be evaluated')
pytest.importorskip('PIL', reason='no Pillow here: nothing can be evaluated')

from sam2_ros.evaluate.accuracy import boundary_f
from sam2_ros.evaluate.coco import CocoSet
from sam2_ros.evaluate.contenders import Answer, Decoded, GrabCut
from sam2_ros.evaluate.davis import Clip, DavisSet
from sam2_ros.evaluate.degradation import Degradation
from sam2_ros.evaluate.figures import ImageFigures, VideoFigures
from sam2_ros.evaluate.image_evaluation import ImageEvaluation, click_name
from sam2_ros.evaluate.trackers import Start
from sam2_ros.evaluate.truth_prompts import BOX, CENTRE, SINGLE_PROMPTS
from sam2_ros.evaluate.video_evaluation import MASK, VideoEvaluation
from sam2_ros.model import Prompt

Mask = npt.NDArray[np.bool_]
Image = npt.NDArray[np.uint8]


class Lookup:
    """Knows all masks: answers with the one under the first point, but for a few pixels."""

    def __init__(self, name: str, masks: Sequence[Mask], error: int, chosen: int = 1) -> None:
        self.name = name
        self.asked: list[Prompt] = []
        self._masks = masks
        self._error = error
        self._chosen = chosen

    def show(self, image: Image) -> None:
        """See ``Contender``."""

    def takes(self, prompt: Prompt) -> bool:
        return prompt.box is None

    def answer(self, prompts: Sequence[Prompt]) -> list[Answer]:
        self.asked += prompts
        return [self._answer(prompt) for prompt in prompts]

    def _answer(self, prompt: Prompt) -> Answer:
        x, y = prompt.points[0].astype(int)
        [mask] = [mask for mask in self._masks if mask[y, x]]
        wrong = np.flatnonzero(mask)[len(prompt.points) - 1:][:self._error]
        answer = mask.copy()
        answer.flat[wrong] = False
        logits = np.full((3, 4, 4), 0.5 * self._error, np.float32)
        return Answer(answer, Decoded(logits, self._chosen - 1, self._chosen, 0.9, 1.0))


@pytest.fixture
def one_picture(make_coco: Callable[[], Any]) -> Any:
    """Return a set with a single picture of two objects."""
    files = make_coco()
    files.document['images'] = files.document['images'][:1]
    files.document['annotations'] = files.document['annotations'][:2]
    return files.write()


def evaluate(files: Any, contenders: Sequence[Any], prompts: Sequence[str], clicks: int) -> Any:
    """Return the record of the only picture."""
    task = ImageEvaluation(
        CocoSet(files.annotations, files.images), contenders, contenders[0].name, prompts, clicks,
        Degradation(), 0, keep_masks=False)
    [key] = task.keys
    return task.evaluate(key, draw=False).record


def test_iou_parity_flips_and_logits(one_picture: Any) -> None:
    """One misses 100 pixels, the other 300, and says that it chose another of the masks."""
    masks = [one_picture.masks[100], one_picture.masks[101]]
    record = evaluate(one_picture, [Lookup('one', masks, 100), Lookup('two', masks, 300, 2)],
                      [CENTRE], 0)
    for found, mask in zip(record['objects'], masks, strict=True):
        area = mask.sum()
        assert found['area'] == area
        assert found['answers']['one'][CENTRE]['iou'] == pytest.approx(1 - 100 / area)
        assert found['answers']['two'][CENTRE]['iou'] == pytest.approx(1 - 300 / area)
        assert found['parity'] == {'two': {CENTRE: {
            'iou': pytest.approx((area - 300) / (area - 100)), 'selection_flip': True,
            'logit_difference': 100.0}}}
    figures = ImageFigures([record]).to_json()
    assert figures['objects'] == {'all': 2, 'small': 0, 'medium': 2, 'large': 0}
    expected = [1 - 100 / mask.sum() for mask in masks]
    assert figures['iou'][CENTRE]['one']['mean'] == pytest.approx(np.mean(expected))
    assert figures['iou'][CENTRE]['one']['median'] == pytest.approx(np.median(expected))
    assert figures['parity']['two'][CENTRE]['selection_flips'] == 2
    assert figures['parity']['two'][CENTRE]['largest_logit_difference'] == 100.0


def test_the_dialogue_feeds_back_and_ends_when_nothing_is_wrong(one_picture: Any) -> None:
    masks = [one_picture.masks[100], one_picture.masks[101]]
    wrong, right = Lookup('wrong', masks, 50), Lookup('right', masks, 0)
    record = evaluate(one_picture, [wrong, right], [CENTRE], 3)
    assert list(record['objects'][0]['answers']['right']) == [
        CENTRE, *(click_name(number) for number in (1, 2, 3))]
    assert all(answer['iou'] == 1.0 for each in record['objects']
               for answer in each['answers']['right'].values())
    assert len(right.asked) == 2  # a click each; it need not be asked again
    assert len(wrong.asked) == 6
    first, second, third = wrong.asked[:3]
    assert first.mask is None
    for number, prompt in enumerate((first, second, third), 1):
        assert len(prompt.points) == number
        assert prompt.points[0].tolist() == first.points[0].tolist()
        assert prompt.labels.tolist() == [1] * number  # something is missed, nothing too much
    for prompt in (second, third):
        assert prompt.mask is not None
        assert (prompt.mask == 25.0).all()
    # what was missed are the first pixels of the mask in reading order
    x, y = second.points[1].astype(int)
    assert masks[0][y, x]
    assert y < np.nonzero(masks[0])[0].min() + 5


def test_only_who_takes_a_prompt_is_asked(one_picture: Any) -> None:
    masks = [one_picture.masks[100], one_picture.masks[101]]
    record = evaluate(one_picture, [Lookup('points', masks, 1), GrabCut()], SINGLE_PROMPTS, 2)
    for each in record['objects']:
        assert set(each['answers']['points']) == {
            '1-point', '3-points', '5-points', CENTRE, 'click-1', 'click-2'}
        assert set(each['answers']['GrabCut']) == {BOX, 'jittered-box'}
        # a bright cut-out on a dim background: what GrabCut was made for
        assert each['answers']['GrabCut'][BOX]['iou'] > 0.85


def test_grabcut_of_the_whole_picture() -> None:
    """Nothing is beside the box: the answer is the box."""
    grabcut = GrabCut()
    grabcut.show(np.zeros((20, 30, 3), np.uint8))
    assert grabcut.answer([Prompt(box=(0, 0, 30, 20))])[0].mask.all()


class Playback:
    """Gives the masks that it was given; ``late`` by some frames."""

    def __init__(self, name: str, masks: Sequence[Mapping[int, Mask]], late: int) -> None:
        self.name = name
        self.starts: Sequence[Start] = ()
        self._masks = masks
        self._late = late

    def track(self, clip: Clip, starts: Sequence[Start]) -> Iterator[Mapping[int, Mask]]:
        self.starts = starts
        for index in range(len(clip)):
            clip.image(index)
            seen = self._masks[max(index - self._late, 0)]
            yield {start.object_id: seen[start.object_id] for start in starts
                   if start.frame <= index}


@pytest.fixture
def played(davis: Any) -> tuple[list[dict[int, Mask]], Any, Playback]:
    """Return the masks of the clip ``apart``, its record, and who was right in it."""
    masks = [{1: frame[1], 2: frame[2]} for frame in davis.masks['apart']]
    right, late = Playback('right', masks, 0), Playback('late', masks, 2)
    task = VideoEvaluation(DavisSet(davis.root), [right, late], 'right', [MASK], 0, False)
    return masks, task.evaluate('apart, mask', draw=False).record, right


def test_j_and_f_frame_by_frame(played: tuple[list[dict[int, Mask]], Any, Playback]) -> None:
    masks, record, _ = played
    cup, cat = record['objects']
    # after the prompt, without the last of the eight frames
    assert (cup['first_frame'], cup['frames']) == (0, [1, 2, 3, 4, 5, 6])
    assert (cat['first_frame'], cat['frames']) == (2, [3, 4, 5, 6])
    assert cup['absent'] == [False, False, False, False, True, True]
    for each in (cup, cat):
        assert each['answers']['right']['j'] == each['answers']['right']['f'] == [1.0] * len(
            each['frames'])
        for position, frame in enumerate(each['frames']):
            truth, before = (masks[index][each['object']] for index in (frame, max(frame - 2, 0)))
            union = (truth | before).sum()
            j = (truth & before).sum() / union if union else 1.0
            assert each['answers']['late']['j'][position] == pytest.approx(j)
            assert each['answers']['late']['f'][position] == pytest.approx(
                boundary_f(before, truth))
            assert each['parity']['late'][position] == pytest.approx(j)
    assert cup['answers']['right']['said_absent'] == [False] * 4 + [True] * 2
    assert cup['answers']['late']['said_absent'] == [False] * 6
    assert cat['answers']['late']['said_absent'] == [True, False, False, False]


def test_figures_of_tracks(played: tuple[list[dict[int, Mask]], Any, Playback]) -> None:
    """Means over frames, then over objects; absences summed up."""
    _, record, _ = played
    figures = VideoFigures([record]).to_json()
    right, late = (figures['tracks'][MASK][name] for name in ('right', 'late'))
    assert right['j_and_f'] == 1.0
    means = [(np.mean(each['answers']['late']['j']) + np.mean(each['answers']['late']['f'])) / 2
             for each in record['objects']]
    assert late['j_and_f'] == pytest.approx(np.mean(means))
    assert right['absent_frames'] == late['absent_frames'] == 2
    assert (right['of_them_said_absent'], late['of_them_said_absent']) == (2, 0)
    assert right['present_frames'] == 8
    assert (right['of_them_said_absent_wrongly'], late['of_them_said_absent_wrongly']) == (0, 1)


def test_a_clip_that_cannot_be_used_is_counted_once(davis: Any) -> None:
    """However many kinds of prompts it would have been tracked for."""
    davis.frame('one', 3).write_bytes(b'')
    masks = [{1: frame[1]} for frame in davis.masks['one']]
    task = VideoEvaluation(
        DavisSet(davis.root), [Playback('right', masks, 0)], 'right', [MASK, CENTRE], 0, False)
    records = [task.evaluate(f'one, {prompt}', draw=True).record for prompt in (MASK, CENTRE)]
    assert [record['objects'] for record in records] == [[], []]
    figures = VideoFigures(records).to_json()
    assert figures['clips'] == 1
    assert figures['problems']['frame unreadable']['count'] == 1
    [example] = figures['problems']['frame unreadable']['examples']
    assert example.startswith(f'one: {davis.frame("one", 3)}: ')


def test_objects_start_with_their_true_mask(
    played: tuple[list[dict[int, Mask]], Any, Playback],
) -> None:
    masks, _, right = played
    assert [(start.object_id, start.frame) for start in right.starts] == [(1, 0), (2, 2)]
    for start in right.starts:
        assert isinstance(start.prompt, np.ndarray)
        assert (start.prompt == masks[start.frame][start.object_id]).all()
