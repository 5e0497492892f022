# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sam2-ros scenes``: write scenes with exact masks, for training and for experiments."""

from __future__ import annotations

import argparse
import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

DESCRIPTION = (
    'Write rendered and composed scenes with exact instance masks. The same command goes on after '
    'an interruption; the same seed gives the same files. docs/scenes.md: the assets and how to '
    'get them.')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``sam2-ros scenes``."""
    parser.add_argument(
        '--output', type=Path, required=True, metavar='FOLDER', help='where the files go')
    parser.add_argument(
        '--format', required=True, choices=('coco', 'davis', 'image-shards', 'clip-shards'),
        help='pictures as COCO instances, clips as DAVIS, or either as shards for `sam2-ros train`')
    parser.add_argument(
        '--count', type=int, required=True, metavar='N', help='number of pictures, or of clips')
    parser.add_argument(
        '--split', choices=('train', 'held_out'), default='held_out',
        help='they share no mesh, sprite or photograph (default: %(default)s)')
    parser.add_argument(
        '--size', type=int, default=256, metavar='PIXELS',
        help='side of the pictures (default: %(default)s)')
    parser.add_argument(
        '--frames', type=int, default=60, metavar='N', help='of a clip (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='(default: %(default)s)')
    parser.add_argument(
        '--kind', choices=('render', 'composite'), help='only scenes of this kind (default: both)')
    parser.add_argument(
        '--assets', type=Path, default=Path('/'), metavar='FOLDER',
        help='where the packages of assets were unpacked (default: %(default)s, as installed)')
    parser.add_argument(
        '--partial', action='store_true', help='go on without the assets that are not here')
    parser.add_argument(
        '--cache', type=Path, metavar='FOLDER',
        help='for scaled assets (default: ~/.cache/sam2_ros/scenes)')
    parser.add_argument(
        '--jobs', type=int, default=1, metavar='N', help='processes (default: %(default)s)')


def run(args: argparse.Namespace) -> int:
    """Write the scenes; :raises TrainError: one line that says why not."""
    # Here and not above: `--help` needs neither OpenCV nor tqdm.
    from sam2_ros.train.generation import SceneOrder, write_scenes

    order = SceneOrder(
        output=args.output, format=args.format, count=args.count, split=args.split,
        size=args.size, seed=args.seed, frames=args.frames, kind=args.kind, assets=args.assets,
        cache=args.cache, partial=args.partial)
    with _sigterm_as_interrupt():
        write_scenes(order, args.jobs)
    what = 'clips' if args.format in ('davis', 'clip-shards') else 'pictures'
    print(f'{args.output}: {args.count} {what} written')
    return 0


@contextlib.contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Let ``kill`` end the processes too, as Ctrl-C does."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
