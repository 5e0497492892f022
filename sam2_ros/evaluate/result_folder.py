# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a measurement keeps its results, so that it can be interrupted and resumed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sam2_ros.evaluate.errors import ResultsError

#: Names of the files in the folder.
SETTINGS_FILE, RECORDS_FILE = 'settings.json', 'records.jsonl'
REPORT_FILE, FIGURES_FILE = 'report.md', 'figures.json'

#: What came of a picture, a clip or a run, as JSON; ``key`` says of which.
Record = dict[str, Any]


class ResultFolder:
    """
    A folder with the settings of a measurement and a line of JSON for all that is done.

    A line is complete or, after a kill, forgotten; nothing else is state.

    :param settings: what the results depend on.
    :param resume: go on with what is there, if anything is.
    :raises ResultsError: the folder cannot be made; it holds results that are not to be
        resumed, or were made with other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], resume: bool) -> None:
        self.path = path
        self._records = path / RECORDS_FILE
        settings = json.loads(json.dumps(settings))  # tuples become lists, as in the file
        try:
            path.mkdir(parents=True, exist_ok=True)
            if self._records.exists():
                self._check(settings, resume)
                _drop_half_a_line(self._records)
            else:
                text = json.dumps(settings, indent=1) + '\n'
                (path / SETTINGS_FILE).write_text(text, encoding='utf-8')
                self._records.touch()
        except OSError as error:
            raise ResultsError(f'{path}: cannot be written to ({error.strerror})') from None
        self.done = {record['key'] for record in self.records()}

    def add(self, record: Record) -> None:
        """
        Append what came of a picture, a clip or a run.

        :raises ResultsError: the disk is full, or the like.
        """
        try:
            with self._records.open('a', encoding='utf-8') as file:
                file.write(json.dumps(record) + '\n')
        except OSError as error:
            raise ResultsError(
                f'{self._records}: cannot be written to ({error.strerror})') from None
        self.done.add(record['key'])

    def records(self) -> Iterator[Record]:
        """Yield what is done, one at a time: together they may be larger than the memory."""
        with self._records.open(encoding='utf-8') as file:
            for line in file:
                yield json.loads(line)

    def write(self, name: str, text: str) -> None:
        """Write a text file; :raises ResultsError: it cannot be written."""
        try:
            (self.path / name).write_text(text, encoding='utf-8')
        except OSError as error:
            raise ResultsError(
                f'{self.path / name}: cannot be written ({error.strerror})') from None

    def _check(self, settings: Any, resume: bool) -> None:
        """Compare with the settings of the results that are there."""
        if not resume:
            raise ResultsError(
                f'{self.path}: holds results already; name another folder with --output, or give '
                '--resume to go on with them')
        try:
            before = json.loads((self.path / SETTINGS_FILE).read_text(encoding='utf-8'))
        except (OSError, ValueError):
            raise ResultsError(
                f'{self.path / SETTINGS_FILE}: missing or damaged, so nothing can be resumed; name '
                'another folder with --output') from None
        for name in sorted({*before, *settings}):
            if before.get(name) != settings.get(name):
                raise ResultsError(
                    f'{self.path}: was begun with other settings: {name} was '
                    f'{_short(before.get(name))} and is {_short(settings.get(name))} now; name '
                    'another folder with --output')


def _drop_half_a_line(file: Path) -> None:
    """Cut off what a kill left of the last line."""
    with file.open('rb+') as stream:
        end = 0
        for line in stream:
            if line.endswith(b'\n'):
                end += len(line)
        stream.truncate(end)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f'{text[:77]}...'
