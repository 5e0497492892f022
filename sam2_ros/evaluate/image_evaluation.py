# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every contender's answers to the same prompts on the objects of a picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from sam2_ros.evaluate.accuracy import Mask, Runs, iou, size_of, to_runs
from sam2_ros.evaluate.coco import CocoSet, TrueObject
from sam2_ros.evaluate.contenders import Answer, Contender, Image
from sam2_ros.evaluate.degradation import Degradation
from sam2_ros.evaluate.figures import ImageFigures
from sam2_ros.evaluate.outcome import Outcome
from sam2_ros.evaluate.pictures import answer_rows
from sam2_ros.evaluate.problems import Problem, UnusableError
from sam2_ros.evaluate.result_folder import Record
from sam2_ros.evaluate.truth_prompts import (
    CENTRE,
    centre_click,
    make_prompts,
    next_click,
    seed_of,
)
from sam2_ros.model.prompts import Prompt

#: One contender's answers to an object, by the name of the prompt.
Answers = dict[str, Answer]


def click_name(number: int) -> str:
    """Return what the answer after so many clicks is called."""
    return f'click-{number}'


class ImageEvaluation:
    """
    A set of pictures, and those who answer.

    :param prompts: names of ``truth_prompts.SINGLE_PROMPTS``.
    :param clicks: length of the dialogue in which each click corrects the answer before; 0: none.
    :param reference: name of the contender that the others are compared with.
    :param keep_masks: put the masks into the records, in COCO's compressed form.
    """

    unit = 'image'

    def __init__(
        self, images: CocoSet, contenders: Sequence[Contender], reference: str,
        prompts: Sequence[str], clicks: int, degradation: Degradation, seed: int,
        keep_masks: bool,
    ) -> None:
        self._images = images
        self._contenders = contenders
        self._reference = reference
        self._prompts = prompts
        self._clicks = clicks
        self._degradation = degradation
        self._seed = seed
        self._keep_masks = keep_masks
        self._ids = {str(image): image for image in images.image_ids}

    @property
    def keys(self) -> list[str]:
        """What there is to evaluate, one after another."""
        return list(self._ids)

    def figures(self, records: Iterable[Record]) -> ImageFigures:
        """See ``Task``."""
        return ImageFigures(records)

    def evaluate(self, key: str, draw: bool) -> Outcome:
        """Return the record of a picture; with ``draw``, rows that show its first object."""
        image_id = self._ids[key]
        name = self._images.file_name(image_id)
        record: dict[str, Any] = {'key': key, 'image': name, 'objects': [], 'problems': []}
        try:
            image = self._images.read(image_id)
        except UnusableError as error:
            record['problems'].append(dataclasses.asdict(error.problem))
            return Outcome(record)
        record['size'] = list(image.shape[:2])
        shown: Image | None = None  # is encoded only where it has an object
        picture = None
        for found in self._images.objects(image_id, (image.shape[0], image.shape[1])):
            if isinstance(found, Problem):
                record['problems'].append(dataclasses.asdict(found))
                continue
            if shown is None:
                shown = self._degradation.apply(image, seed_of(self._seed, key))
                for contender in self._contenders:
                    contender.show(shown)
            seed = seed_of(self._seed, found.annotation_id)
            prompts = make_prompts(self._prompts, found.mask, seed)
            answers = {each.name: self._ask(each, prompts, found.mask)
                       for each in self._contenders}
            record['objects'].append(self._record(found, prompts, answers))
            if draw and picture is None:
                picture = answer_rows(shown, found.mask, prompts, answers)
        return Outcome(record, picture)

    def _ask(self, contender: Contender, prompts: dict[str, Prompt], truth: Mask) -> Answers:
        taken = {name: prompt for name, prompt in prompts.items() if contender.takes(prompt)}
        answers = dict(zip(taken, contender.answer(list(taken.values())), strict=True))
        return answers | _dialogue(contender, truth, self._clicks, answers.get(CENTRE))

    def _record(
        self, found: TrueObject, prompts: dict[str, Prompt], answers: dict[str, Answers],
    ) -> dict[str, Any]:
        truth = to_runs(found.mask)
        runs = {who: {name: to_runs(answer.mask) for name, answer in theirs.items()}
                for who, theirs in answers.items()}
        return {
            'annotation': found.annotation_id, 'category': found.category, 'area': found.area,
            'size': size_of(found.area),
            'prompts': {name: prompt_to_json(prompt) for name, prompt in prompts.items()},
            'answers': {
                who: {name: self._answer_to_json(answer, runs[who][name], truth)
                      for name, answer in theirs.items()}
                for who, theirs in answers.items()},
            'parity': {
                who: {name: _parity(answers[self._reference][name], theirs[name],
                                    runs[self._reference][name], runs[who][name])
                      for name in prompts if name in theirs}
                # Later clicks follow from the answers: they are no longer the same prompts.
                for who, theirs in answers.items()
                if who != self._reference and all(each.decoded for each in theirs.values())},
            **({'mask': runs_to_json(truth)} if self._keep_masks else {}),
        }

    def _answer_to_json(self, answer: Answer, runs: Runs, truth: Runs) -> dict[str, Any]:
        result: dict[str, Any] = {'iou': iou(runs, truth)}
        if (decoded := answer.decoded) is not None:
            result |= {'predicted_iou': decoded.predicted_iou,
                       'object_score': decoded.object_score, 'chosen': decoded.chosen}
        if self._keep_masks:
            result['mask'] = runs_to_json(runs)
        return result


def _dialogue(
    contender: Contender, truth: Mask, clicks: int, first: Answer | None,
) -> Answers:
    """
    Click on the centre, then where the answer is most wrong, feeding its logits back.

    :param first: the answer to the click on the centre, if it was asked for already.
    """
    click = centre_click(truth)
    made = [click]
    prompt = Prompt(points=[click[:2]])
    if not clicks or not contender.takes(prompt):
        return {}
    answer = first or contender.answer([prompt])[0]
    answers = {click_name(1): answer}
    for number in range(2, clicks + 1):
        following = next_click(truth, answer.mask)
        if following is not None:  # else nothing is wrong, and nobody clicks any more
            made.append(following)
            assert answer.decoded is not None
            prompt = Prompt(points=[each[:2] for each in made],
                            labels=[each.label for each in made], mask=answer.decoded.feedback)
            answer = contender.answer([prompt])[0]
        answers[click_name(number)] = answer
    return answers


def _parity(ours: Answer, theirs: Answer, our_runs: Runs, their_runs: Runs) -> dict[str, Any]:
    """Compare a contender's answer (``theirs``) with that of the reference."""
    assert ours.decoded is not None
    assert theirs.decoded is not None
    first, second = ours.decoded.logits, theirs.decoded.logits
    # Candidate by candidate, whichever was chosen; models of two image sizes have no common grid.
    difference = float(np.abs(first - second).max()) if first.shape == second.shape else None
    return {'iou': iou(our_runs, their_runs),
            'selection_flip': ours.decoded.chosen != theirs.decoded.chosen,
            'logit_difference': difference}


def prompt_to_json(prompt: Prompt) -> dict[str, Any]:
    """Return points, labels and box of a prompt, as far as it has them."""
    result: dict[str, Any] = {}
    if len(prompt.points):
        result |= {'points': prompt.points.tolist(), 'labels': prompt.labels.tolist()}
    if prompt.box is not None:
        result['box'] = prompt.box.tolist()
    return result


def runs_to_json(runs: Runs) -> dict[str, Any]:
    """Return a mask as COCO's result files have it; ``pycocotools.mask`` takes it as it is."""
    return {'size': runs['size'], 'counts': runs['counts'].decode('ascii')}
