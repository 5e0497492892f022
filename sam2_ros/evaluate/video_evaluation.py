# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every contender's tracks of the same objects through a clip."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2_ros.evaluate.accuracy import Mask, boundary_f, iou, to_runs
from sam2_ros.evaluate.contenders import Image
from sam2_ros.evaluate.davis import VOID, Clip, DavisSet, TrackedTruth
from sam2_ros.evaluate.figures import VideoFigures
from sam2_ros.evaluate.image_evaluation import prompt_to_json, runs_to_json
from sam2_ros.evaluate.outcome import Outcome
from sam2_ros.evaluate.pictures import TRUTH, stack, tile
from sam2_ros.evaluate.problems import Problem, UnusableError
from sam2_ros.evaluate.result_folder import Record
from sam2_ros.evaluate.trackers import Start, TrackingContender
from sam2_ros.evaluate.truth_prompts import make_prompts, seed_of
from sam2_ros.model import PromptError

#: The true mask in place of a prompt: DAVIS's semi-supervised task.
MASK = 'mask'
#: Frames of a clip that its picture shows.
_SHOWN = 5

Masks = Mapping[int, Mask]


class VideoEvaluation:
    """
    A set of clips, and those who track.

    Each clip is tracked once for each kind of prompt, frame by frame by all contenders at once, so
    that no more than a frame's masks are held. Scored are, as DAVIS's semi-supervised task does,
    the frames after an object's prompt without the clip's last one.

    :param prompts: names of ``truth_prompts.SINGLE_PROMPTS``, or ``MASK``.
    :param reference: name of the contender that the others are compared with.
    :param keep_masks: put the masks into the records, in COCO's compressed form.
    """

    unit = 'clip'

    def __init__(
        self, clips: DavisSet, contenders: Sequence[TrackingContender], reference: str,
        prompts: Sequence[str], seed: int, keep_masks: bool,
    ) -> None:
        self._clips = clips
        self._contenders = contenders
        self._reference = reference
        self._seed = seed
        self._keep_masks = keep_masks
        self._keys = {f'{clip}, {prompt}': (clip, prompt)
                      for clip in clips.clips for prompt in prompts}

    @property
    def keys(self) -> list[str]:
        """What there is to evaluate, one after another."""
        return list(self._keys)

    def figures(self, records: Iterable[Record]) -> VideoFigures:
        """See ``Task``."""
        return VideoFigures(records)

    def evaluate(self, key: str, draw: bool) -> Outcome:
        """Return the record of a clip; with ``draw``, a picture of some of its frames."""
        name, prompt = self._keys[key]
        record: Record = {'key': key, 'clip': name, 'prompt': prompt, 'objects': [],
                          'problems': []}
        picture = None
        try:
            clip = self._clips.clip(name)
            found = list(self._clips.objects(clip))
            record['frames'] = len(clip)
            record['problems'] += [
                dataclasses.asdict(each) for each in found if isinstance(each, Problem)]
            scores = [
                _Scores(self._start(prompt, name, each), self._reference, self._keep_masks)
                for each in found if isinstance(each, TrackedTruth)]
            if scores:
                picture = self._score(clip, scores, key if draw else None)
            record['objects'] = [each.to_json() for each in scores if not each.is_empty]
            record['problems'] += [
                dataclasses.asdict(each.nothing(name)) for each in scores if each.is_empty]
        except UnusableError as error:
            record['problems'].append(dataclasses.asdict(error.problem))
        except PromptError as error:
            record['problems'].append(dataclasses.asdict(
                Problem('prompt refused', key, str(error))))
        return Outcome(record, picture)

    def _score(self, clip: Clip, scores: Sequence[_Scores], title: str | None) -> Image | None:
        """Track and score all objects; with a ``title``, return a picture of some frames."""
        starts = [each.start for each in scores]
        names = [each.name for each in self._contenders]
        tracks = [each.track(clip, starts) for each in self._contenders]
        shown = np.linspace(0, len(clip) - 1, _SHOWN).astype(int).tolist() if title else []
        columns = []
        for index, masks in enumerate(zip(*tracks, strict=True)):
            answers = dict(zip(names, masks, strict=True))
            truth = clip.truth(index)
            if index in shown:
                columns.append(_column(clip.image(index), f'{title}, {index}', truth, answers))
            if truth is None or index == len(clip) - 1:
                continue
            for each in scores:
                if index > each.start.frame:
                    each.add(index, truth, answers)
        return np.concatenate(columns, axis=1) if columns else None

    def _start(self, prompt: str, clip: str, truth: TrackedTruth) -> Start:
        if prompt == MASK:
            return Start(truth.object_id, truth.first_frame, truth.mask)
        seed = seed_of(self._seed, f'{clip} {truth.object_id}')
        [made] = make_prompts([prompt], truth.mask, seed).values()
        return Start(truth.object_id, truth.first_frame, made)


class _Scores:
    """What is known of an object's tracks, frame by frame."""

    def __init__(
        self, start: Start, reference: str, keep_masks: bool,
    ) -> None:
        self.start = start
        self._reference = reference
        self._keep_masks = keep_masks
        self._frames: list[int] = []
        self._absent: list[bool] = []
        self._answers: dict[str, dict[str, list[Any]]] = {}
        self._parity: dict[str, list[float]] = {}

    @property
    def is_empty(self) -> bool:
        """Say whether there is no frame in which it could be scored."""
        return not self._frames

    def nothing(self, clip: str) -> Problem:
        """Say that the object could not be scored."""
        return Problem('no frame to score', f'{clip}, object {self.start.object_id}',
                       'the frame of the prompt and the last one do not count')

    def add(
        self, frame: int, ids: npt.NDArray[np.uint8], answers: Mapping[str, Masks],
    ) -> None:
        """Score the masks of a frame."""
        true_mask, certain = ids == self.start.object_id, ids != VOID
        truth = to_runs(true_mask)
        self._frames.append(frame)
        self._absent.append(not true_mask.any())
        masks = {who: theirs[self.start.object_id] & certain for who, theirs in answers.items()}
        runs = {who: to_runs(mask) for who, mask in masks.items()}
        for who, mask in masks.items():
            scores = self._answers.setdefault(who, {'j': [], 'f': [], 'said_absent': []})
            scores['j'].append(iou(runs[who], truth))
            scores['f'].append(boundary_f(mask, true_mask))
            scores['said_absent'].append(not answers[who][self.start.object_id].any())
            if self._keep_masks:
                scores.setdefault('masks', []).append(runs_to_json(runs[who]))
            if who != self._reference:
                self._parity.setdefault(who, []).append(iou(runs[who], runs[self._reference]))

    def to_json(self) -> dict[str, Any]:
        """Return the frames that count, in how many it is absent, and all scores."""
        prompt = self.start.prompt
        return {
            'object': self.start.object_id, 'first_frame': self.start.frame,
            'prompt': MASK if isinstance(prompt, np.ndarray) else prompt_to_json(prompt),
            'frames': self._frames, 'absent': self._absent, 'answers': self._answers,
            'parity': self._parity}


def _column(
    image: Image, title: str, truth: npt.NDArray[np.uint8] | None, answers: Mapping[str, Masks],
) -> Image:
    """Return a frame's truth and answers below each other."""
    true_masks = {} if truth is None else {
        key: truth == key for key in np.unique(truth).tolist() if key not in (0, VOID)}
    return stack([
        tile(image, true_masks, f'{TRUTH}: {title}'),
        *(tile(image, theirs, who) for who, theirs in answers.items())])
