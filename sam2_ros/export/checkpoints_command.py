# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sam2-ros checkpoints``: list the official checkpoints and download one."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TextIO

from sam2_ros.cli import INTERRUPTED
from sam2_ros.export import checkpoints
from sam2_ros.export.checkpoints import Checkpoint
from sam2_ros.model.tables import format_table

DESCRIPTION = 'List the official SAM 2 and SAM 2.1 checkpoints, or download one.'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        '--download', metavar='MODEL',
        help='checkpoint to download, for example sam2.1_tiny; goes on where an earlier '
             'download was stopped (default: only list them)')
    parser.add_argument(
        '--output', type=Path, default=Path('checkpoints'), metavar='DIR',
        help='folder for the file (default: %(default)s)')
    parser.add_argument(
        '--base-url', default=checkpoints.OFFICIAL_BASE_URL, metavar='URL',
        help="a mirror that has the publisher's folders (default: %(default)s)")
    parser.add_argument(
        '--timeout', type=_positive_seconds, default=checkpoints.DEFAULT_TIMEOUT, metavar='SECONDS',
        help='silence after which a connection counts as broken (default: %(default)g)')


def run(args: argparse.Namespace) -> int:
    """List or download; return the exit status. :raises DownloadError: why that failed."""
    if args.download is None:
        print(_listing(args.base_url))
        return 0
    checkpoint = checkpoints.find_checkpoint(args.download)
    bar = _ProgressBar(checkpoint.file, sys.stderr)
    try:
        fresh = checkpoints.download(
            checkpoint, args.output, args.base_url, args.timeout, bar.update, bar.notice)
    except KeyboardInterrupt:
        bar.close()
        part = checkpoints.part_path(checkpoint, args.output)
        kept = f'; {part} is kept, the same command goes on' if part.exists() else ''
        print(f'sam2-ros: stopped{kept}', file=sys.stderr)
        return INTERRUPTED
    finally:
        bar.close()
    what = 'downloaded' if fresh else 'was already there'
    file = args.output / checkpoint.file
    print(f'{file}: {what}, SHA-256 verified')
    print(f'export it: sam2-ros export --model {checkpoint.name} --checkpoint {file}')
    return 0


def _listing(base_url: str) -> str:
    table = format_table(
        ('model', 'parameters', 'size', 'published at'),
        [_row(checkpoint, base_url) for checkpoint in checkpoints.CHECKPOINTS],
        right=('parameters', 'size'))
    return '\n'.join([
        table, '',
        'Published by Meta under Apache-2.0: https://github.com/facebookresearch/sam2',
        'Download one: sam2-ros checkpoints --download MODEL',
    ])


def _row(checkpoint: Checkpoint, base_url: str) -> tuple[str, str, str, str]:
    return (
        checkpoint.name, f'{checkpoint.parameters:.1f} M', f'{checkpoint.size_bytes / 1e6:.1f} MB',
        checkpoint.url(base_url))


def _positive_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < float('inf'):
        raise argparse.ArgumentTypeError(f'"{text}" is not a positive number of seconds')
    return seconds


class _ProgressBar:
    """One line that is redrawn on a terminal; a line every tenth of the file elsewhere."""

    _WIDTH = 30
    _REDRAW_SECONDS = 0.1

    def __init__(self, title: str, stream: TextIO) -> None:
        self._title = title
        self._stream = stream
        self._terminal = stream.isatty()
        self._started: tuple[float, int] | None = None
        self._drawn_at = 0.0
        self._tenth = -1
        self._open_line = False

    def update(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` bytes are on disk."""
        now = time.monotonic()
        if self._started is None:
            self._started = (now, done)
        if self._terminal:
            if done < total and now - self._drawn_at < self._REDRAW_SECONDS:
                return
            self._drawn_at = now
            self._stream.write(f'\r\x1b[K{self._line(done, total, now)}')
            self._open_line = True
        elif (tenth := 10 * done // total) != self._tenth:
            self._tenth = tenth
            self._stream.write(self._line(done, total, now) + '\n')
        self._stream.flush()

    def notice(self, line: str) -> None:
        """Write a line of its own, above the bar; the speed is measured anew from here."""
        self.close()
        self._started = None
        print(f'sam2-ros: {line}', file=self._stream, flush=True)

    def close(self) -> None:
        """End the line that is being redrawn."""
        if self._open_line:
            self._stream.write('\n')
            self._open_line = False

    def _line(self, done: int, total: int, now: float) -> str:
        assert self._started is not None
        seconds, arrived = now - self._started[0], done - self._started[1]
        rate = arrived / seconds if seconds > 0 else 0.0
        left = f'{(total - done) / rate:.0f} s left' if rate > 0 else ''
        filled = '#' * (self._WIDTH * done // total)
        return (
            f'{self._title} [{filled:<{self._WIDTH}}] {100 * done // total:3d} % '
            f'{done / 1e6:.1f}/{total / 1e6:.1f} MB {rate / 1e6:.1f} MB/s {left}').rstrip()
