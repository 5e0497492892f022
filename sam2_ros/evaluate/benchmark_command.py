# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sam2-ros benchmark``: latency and memory of a bundle on this machine."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from sam2_ros.model.providers import PROVIDERS

DESCRIPTION = (
    'Measure latency and memory of a bundle, of single images and of tracking: cold start, first '
    'run, every stage, on request beside PyTorch and through the running node. Writes a table, '
    'JSON and plots of every run. Ctrl-C keeps what is done.')
EPILOG = (
    'BUNDLE comes before --against-pytorch, which would take it for its checkpoint. Other work on '
    'the machine makes figures larger and less sure; what is measured beside PyTorch runs in turn '
    'with it and suffers the least.')

#: Load for each core above which figures cannot be trusted; a quiet machine has below 0.1.
BUSY = 0.5
_MIN_SIDE, _MAX_SIDE = 16, 16384
_MIN_RATE, _MAX_RATE = 0.1, 1000.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    parser.add_argument('bundle', type=Path, metavar='BUNDLE', help='what sam2-ros export made')
    parser.add_argument(
        '--runs', type=_positive, default=30, metavar='N',
        help='of every stage of single images (default: %(default)s)')
    parser.add_argument(
        '--tracked-frames', type=_not_negative, default=None, metavar='N',
        help='runs of every stage of tracking, once the memory is full; 0: no tracking (default: '
             '10 if the bundle can track)')
    parser.add_argument(
        '--image-size', type=_size, default=(1280, 720), metavar='WxH',
        help="pixels of the camera's picture (default: 1280x720)")
    parser.add_argument(
        '--provider', choices=PROVIDERS, default='auto',
        help='what runs the model (default: %(default)s, the best that is installed)')
    parser.add_argument(
        '--threads', type=_not_negative, default=0, metavar='N',
        help='CPU threads, of PyTorch as well (default: one for each core)')
    parser.add_argument(
        '--against-pytorch', type=Path, nargs='?', const=True, default=None, metavar='CHECKPOINT',
        help='run the official modules in turn; the checkpoint that the bundle was exported from '
             'is needed unless its weights are random')
    parser.add_argument(
        '--ros', action='store_true',
        help='measure the node as well, from the publication of an image to the reception of its '
             'masks (needs a ROS 2)')
    parser.add_argument(
        '--camera-rate', type=_rate, default=30.0, metavar='HZ',
        help='images a second that the tracking node is shown at last, more than it may be able to '
             'answer (default: 30)')
    parser.add_argument(
        '--output', type=Path, default=Path('output/benchmark'), metavar='DIR',
        help='folder for the results (default: %(default)s)')


def run(args: argparse.Namespace) -> int:
    """
    Run the benchmark; return 0.

    :raises Sam2RosError: why it cannot be done.
    :raises KeyboardInterrupt: after Ctrl-C, when what was measured is written.
    """
    # Here and not above: `--help` needs neither matplotlib nor tqdm.
    from sam2_ros.evaluate.benchmark import Benchmark, BenchmarkOptions
    from sam2_ros.evaluate.machine import LOAD

    benchmark = Benchmark(BenchmarkOptions(
        bundle=args.bundle, output=args.output, provider=args.provider, threads=args.threads,
        picture_size=args.image_size, runs=args.runs, tracked_frames=args.tracked_frames,
        against_pytorch=args.against_pytorch is not None,
        checkpoint=args.against_pytorch if isinstance(args.against_pytorch, Path) else None,
        ros=args.ros, camera_rate=args.camera_rate))
    machine = benchmark.report.machine
    if machine[LOAD] > BUSY * machine['usable cores']:
        print(f'sam2-ros: the machine is busy, its load is {machine[LOAD]} on '
              f'{machine["usable cores"]} cores: figures will be too large, and those of PyTorch, '
              'whose threads spin, the most', file=sys.stderr)
    try:
        benchmark.run()
    finally:
        # After Ctrl-C or an error, too: what is measured is kept.
        benchmark.write()
        print(f'\n{benchmark.report.to_text()}\n\ntable, JSON and plots: {args.output}', flush=True)
        if not benchmark.report.complete:
            print(f'sam2-ros: not all was measured; what is done is kept in {args.output}',
                  file=sys.stderr)
    return 0


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f'"{text}" is no number of runs: 1 or more')
    return int(text)


def _not_negative(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f'"{text}" is no such number: 0 or more')
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not _MIN_RATE <= rate <= _MAX_RATE:
        raise argparse.ArgumentTypeError(
            f'"{text}" is no camera rate: {_MIN_RATE:g} to {_MAX_RATE:g} images a second')
    return rate


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r'(\d+)x(\d+)', text)
    sides = (int(found[1]), int(found[2])) if found else (0, 0)
    if not all(_MIN_SIDE <= side <= _MAX_SIDE for side in sides):
        raise argparse.ArgumentTypeError(
            f'"{text}" is no size such as 1280x720, of {_MIN_SIDE} to {_MAX_SIDE} pixels a side')
    return sides
