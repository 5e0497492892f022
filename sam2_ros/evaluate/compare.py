# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A benchmark held against an earlier one: what got slower, or larger."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam2_ros.evaluate.errors import BenchmarkError
from sam2_ros.evaluate.markdown import markdown_table

#: Differences below these are noise of clocks and allocators, however large their ratio.
LEAST_MS, LEAST_MB = 0.1, 1.0
#: Figures that only one of the two has, named as examples.
_NAMES_SHOWN = 5

#: Experiment, contender, stage, unit.
_Key = tuple[str, str, str, str]


@dataclass(frozen=True)
class Change:
    """A figure, before and now: the median in ms, or memory in MB."""

    key: _Key
    before: float
    now: float

    @property
    def ratio(self) -> float:
        """How many times as much it is now."""
        return self.now / self.before if self.before else float('inf')

    def is_worse(self, ratio: float) -> bool:
        """Say whether it grew by more than ``ratio``, and not by next to nothing."""
        least = LEAST_MS if self.key[3] == 'ms' else LEAST_MB
        return self.ratio > ratio and self.now - self.before > least


@dataclass(frozen=True)
class Comparison:
    """
    The figures of two benchmarks side by side.

    ``differences``: of machine and settings, and figures that only one of the two has, in words.
    """

    old: Path
    ratio: float
    changes: list[Change]
    differences: list[str]

    @property
    def worse(self) -> list[Change]:
        """What grew past the ratio, worst first."""
        found = [change for change in self.changes if change.is_worse(self.ratio)]
        return sorted(found, key=lambda change: -change.ratio)

    def to_markdown(self) -> str:
        """Return a section of the report."""
        lines = [f'## Beside {self.old}', '\n'.join(f'- {line}' for line in self.differences)]
        if self.worse:
            rows = [[*change.key[:3], f'{change.before:.2f} {change.key[3]}',
                     f'{change.now:.2f} {change.key[3]}', f'{change.ratio:.2f}']
                    for change in self.worse]
            lines += [
                f'{len(rows)} of {len(self.changes)} figures (medians, memory) are more than '
                f'{self.ratio:g} times what they were:',
                markdown_table(['experiment', 'contender', 'stage', 'before', 'now', 'ratio'],
                               rows, left=3)]
        else:
            lines.append(f'None of {len(self.changes)} figures (medians, memory) is more than '
                         f'{self.ratio:g} times what it was.')
        return '\n\n'.join(filter(None, lines))


def read_old(file: Path) -> Mapping[str, Any]:
    """
    Return the figures of an earlier benchmark, its ``figures.json``.

    :raises BenchmarkError: it cannot be read, or is none.
    """
    try:
        document = json.loads(file.read_text(encoding='utf-8'))
    except OSError as error:
        raise BenchmarkError(f'{file}: cannot be read ({error.strerror})') from None
    except ValueError:
        raise BenchmarkError(f'{file}: is no JSON') from None
    try:
        _figures(document)
        document['settings']['bundles'].items()
    except (KeyError, TypeError, AttributeError):
        raise BenchmarkError(
            f'{file}: is no figures.json that `sam2-ros benchmark` wrote') from None
    return dict(document)


def compare(
    new: Mapping[str, Any], old: Mapping[str, Any], file: Path, ratio: float,
) -> Comparison:
    """
    Hold a benchmark against an earlier one, as JSON.

    :param file: where the earlier one is from.
    :raises BenchmarkError: they have no figure in common.
    """
    mine, theirs = _figures(new), _figures(old)
    changes = [Change(key, theirs[key], now) for key, now in mine.items() if key in theirs]
    if not changes:
        raise BenchmarkError(
            f'{file}: has no figure in common with this benchmark, but is of other experiments')
    differences = _differences(new, old)
    for who, names in (('the earlier one', theirs.keys() - mine.keys()),
                       ('this one', mine.keys() - theirs.keys())):
        if names:
            shown = '; '.join(', '.join(key[:3]) for key in sorted(names)[:_NAMES_SHOWN])
            more = ', ...' if len(names) > _NAMES_SHOWN else ''
            differences.append(f'only {who} has {len(names)} figures: {shown}{more}')
    return Comparison(file, ratio, changes, differences)


def _figures(document: Mapping[str, Any]) -> dict[_Key, float]:
    figures = document['figures']
    found: dict[_Key, float] = {
        (each['experiment'], each['contender'], each['stage'], 'ms'): float(each['median_ms'])
        for each in figures['measurements']}
    found.update({
        (each['experiment'], each['contender'], each['what'], 'MB'): each['bytes'] / 1e6
        for each in figures['memory']})
    return found


def _differences(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[str]:
    """Return how machine and settings differ, in words."""
    before, now = _flat(old['settings']), _flat(new['settings'])
    return [f'{name}: {before[name]} before, {now[name]} now'
            for name in before if name in now and before[name] != now[name]]


def _flat(value: Any, name: str = '') -> dict[str, Any]:
    """Return what is in dictionaries of dictionaries, by their keys."""
    if not isinstance(value, Mapping):
        return {name: value}
    return {inner: each for key, values in value.items()
            for inner, each in _flat(values, f'{name}, {key}' if name else key).items()}
