# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is said of all objects together: means, medians, shares, agreement."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from sam2_ros.evaluate.accuracy import SIZES
from sam2_ros.evaluate.result_folder import Record

#: How many problems of a kind are shown by name; all are in the records.
_EXAMPLES = 5
#: Masks that agree up to pixels whose logit is next to zero.
SAME = 0.999


class Problems:
    """What could not be evaluated, counted by its kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = defaultdict(list)

    def add(self, problems: Iterable[Mapping[str, str]]) -> None:
        """Count problems, as records have them."""
        for problem in problems:
            kind = problem['kind']
            self.counts[kind] += 1
            if len(self.examples[kind]) < _EXAMPLES:
                self.examples[kind].append(f'{problem["where"]}: {problem["detail"]}')

    def to_json(self) -> dict[str, Any]:
        """Return count and examples of each kind."""
        return {kind: {'count': count, 'examples': self.examples[kind]}
                for kind, count in self.counts.most_common()}


class Values:
    """Numbers of many objects, eight bytes each."""

    def __init__(self) -> None:
        self._values = array('d')

    def add(self, value: float) -> None:
        """Add one."""
        self._values.append(value)

    def __len__(self) -> int:
        return len(self._values)

    @property
    def array(self) -> Any:
        """All of them, float64."""
        return np.array(self._values)

    @property
    def mean(self) -> float:
        """The mean."""
        return float(np.mean(self._values))

    @property
    def median(self) -> float:
        """The median."""
        return float(np.median(self._values))

    @property
    def least(self) -> float:
        """The smallest."""
        return float(np.min(self._values))

    def share_from(self, least: float) -> float:
        """Return the share that is ``least`` or more."""
        return float(np.mean(self.array >= least))

    def to_json(self) -> dict[str, Any]:
        """Return number, mean and median."""
        return {'objects': len(self), 'mean': self.mean, 'median': self.median}


class Agreement:
    """How far a contender's answers are those of the reference, to prompts that are the same."""

    def __init__(self) -> None:
        self.ious = Values()
        self.flips = 0
        self.largest_difference: float | None = None

    def add(self, parity: dict[str, Any]) -> None:
        """Add the comparison of two masks."""
        self.ious.add(parity['iou'])
        self.flips += parity['selection_flip']
        if (difference := parity['logit_difference']) is not None:
            self.largest_difference = max(difference, self.largest_difference or 0.0)

    def to_json(self) -> dict[str, Any]:
        """Return its figures."""
        return {
            'objects': len(self.ious), 'mean_iou': self.ious.mean, 'least_iou': self.ious.least,
            'share_same': self.ious.share_from(SAME), 'selection_flips': self.flips,
            'largest_logit_difference': self.largest_difference}


class ImageFigures:
    """IoU with the truth by prompt, contender and COCO's size, and agreement."""

    measure = 'IoU with the truth'

    def __init__(self, records: Iterable[Record]) -> None:
        self.images = 0
        self.objects: Counter[str] = Counter()
        self.problems = Problems()
        #: By prompt, contender and, but for all, size.
        self.ious: dict[tuple[str, str], Values] = defaultdict(Values)
        self.by_size: dict[tuple[str, str, str], Values] = defaultdict(Values)
        #: By contender and prompt.
        self.agreement: dict[tuple[str, str], Agreement] = defaultdict(Agreement)
        for record in records:
            self._add(record)

    @property
    def prompts(self) -> list[str]:
        """Names of the prompts, in the order in which they were asked."""
        return list(dict.fromkeys(prompt for prompt, _ in self.ious))

    @property
    def contenders(self) -> list[str]:
        """Names of those who answered, in their order."""
        return list(dict.fromkeys(who for _, who in self.ious))

    @property
    def values(self) -> dict[str, dict[str, Values]]:
        """The IoU of every object, by prompt and contender."""
        return {prompt: {who: self.ious[prompt, who] for who in self.contenders
                         if (prompt, who) in self.ious} for prompt in self.prompts}

    def _add(self, record: Record) -> None:
        self.images += 1
        self.problems.add(record['problems'])
        for each in record['objects']:
            self.objects[each['size']] += 1
            for who, answers in each['answers'].items():
                for prompt, answer in answers.items():
                    self.ious[prompt, who].add(answer['iou'])
                    self.by_size[prompt, who, each['size']].add(answer['iou'])
            for who, parities in each['parity'].items():
                for prompt, parity in parities.items():
                    self.agreement[who, prompt].add(parity)

    def to_json(self) -> dict[str, Any]:
        """Return all figures."""
        return {
            'images': self.images,
            'objects': {'all': self.objects.total(), **{
                size: self.objects[size] for size in SIZES}},
            'iou': {
                prompt: {
                    who: {**values.to_json(), **{
                        size: self.by_size[prompt, who, size].to_json()
                        for size in SIZES if (prompt, who, size) in self.by_size}}
                    for who, values in theirs.items()}
                for prompt, theirs in self.values.items()},
            'parity': _nested(self.agreement),
            'problems': self.problems.to_json()}


class Track:
    """J and F of objects, each the mean over its frames, and what was said of absent ones."""

    def __init__(self) -> None:
        self.j, self.f, self.both = Values(), Values(), Values()
        self.absent = self.said_absent = self.present = self.said_absent_wrongly = 0

    def add(self, absent: list[bool], answers: dict[str, Any]) -> None:
        """Add the track of an object."""
        j, f = float(np.mean(answers['j'])), float(np.mean(answers['f']))
        self.j.add(j)
        self.f.add(f)
        self.both.add((j + f) / 2)
        for truth, said in zip(absent, answers['said_absent'], strict=True):
            self.absent += truth
            self.said_absent += truth and said
            self.present += not truth
            self.said_absent_wrongly += said and not truth

    def to_json(self) -> dict[str, Any]:
        """Return all figures; J and F in 0..1, frames summed over the objects."""
        return {
            'objects': len(self.both), 'j_and_f': self.both.mean, 'j': self.j.mean,
            'f': self.f.mean,
            'absent_frames': self.absent, 'of_them_said_absent': self.said_absent,
            'present_frames': self.present,
            'of_them_said_absent_wrongly': self.said_absent_wrongly}


class VideoFigures:
    """J&F by prompt, contender and clip, presence, and agreement."""

    measure = 'J&F with the truth'

    def __init__(self, records: Iterable[Record]) -> None:
        self.problems = Problems()
        #: By prompt and contender, and by clip too.
        self.tracks: dict[tuple[str, str], Track] = defaultdict(Track)
        self.by_clip: dict[tuple[str, str, str], Track] = defaultdict(Track)
        #: By contender and prompt.
        self.agreement: dict[tuple[str, str], Values] = defaultdict(Values)
        self._seen: set[tuple[str, str]] = set()
        names = set()
        for record in records:
            names.add(record['clip'])
            self._add(record)
        self.clips = len(names)

    @property
    def prompts(self) -> list[str]:
        """Names of the prompts, in the order in which they were asked."""
        return list(dict.fromkeys(prompt for prompt, _ in self.tracks))

    @property
    def contenders(self) -> list[str]:
        """Names of those who tracked, in their order."""
        return list(dict.fromkeys(who for _, who in self.tracks))

    @property
    def values(self) -> dict[str, dict[str, Values]]:
        """J&F of every object, by prompt and contender."""
        return {prompt: {who: self.tracks[prompt, who].both for who in self.contenders}
                for prompt in self.prompts}

    def _add(self, record: Record) -> None:
        prompt, clip = record['prompt'], record['clip']
        # A clip is tracked once for each kind of prompt, and has its problems each time.
        problems = [each for each in record['problems']
                    if (each['kind'], each['where']) not in self._seen]
        self._seen.update((each['kind'], each['where']) for each in problems)
        self.problems.add(problems)
        for each in record['objects']:
            for who, answers in each['answers'].items():
                self.tracks[prompt, who].add(each['absent'], answers)
                self.by_clip[prompt, who, clip].add(each['absent'], answers)
            for who, ious in each['parity'].items():
                for value in ious:
                    self.agreement[who, prompt].add(value)

    def to_json(self) -> dict[str, Any]:
        """Return all figures."""
        return {
            'clips': self.clips,
            'tracks': {
                prompt: {
                    who: {**self.tracks[prompt, who].to_json(), 'by_clip': {
                        clip: track.to_json() for (name, theirs, clip), track
                        in self.by_clip.items() if (name, theirs) == (prompt, who)}}
                    for who in self.contenders}
                for prompt in self.prompts},
            'parity': {
                f'{who}, {prompt}': {
                    'frames': len(ious), 'mean_iou': ious.mean, 'least_iou': ious.least,
                    'share_same': ious.share_from(SAME)}
                for (who, prompt), ious in self.agreement.items()},
            'problems': self.problems.to_json()}


def _nested(agreement: dict[tuple[str, str], Agreement]) -> dict[str, dict[str, Any]]:
    result: dict[str, dict[str, Any]] = {}
    for (who, prompt), each in agreement.items():
        result.setdefault(who, {})[prompt] = each.to_json()
    return result
