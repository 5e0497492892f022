# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sam2-ros benchmark``: latency and memory of bundles on this machine."""

from __future__ import annotations

import argparse
import math
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sam2_ros.evaluate.link_process import COMPRESSED, RAW, LinkOptions
from sam2_ros.model.bundle import shipped_bundle
from sam2_ros.model.providers import PROVIDERS

if TYPE_CHECKING:
    from sam2_ros.evaluate.benchmark import BenchmarkOptions

DESCRIPTION = (
    'Measure latency and memory of bundles, in turn with each other and on request with the '
    'official PyTorch code; or of the running node. Writes a report, plots and the numbers of '
    'every run. Ctrl-C keeps what is done, --resume goes on.')
EPILOG = """\
examples:
  sam2-ros benchmark B_256 B_512 B_1024 --experiments consecutive,points,objects
  sam2-ros benchmark B --runs 1000 --repetitions 5 --pytorch --provider cpu --output out/paper
  sam2-ros benchmark B --ros --output out/node
  sam2-ros benchmark B --ros --link delay=20ms,jitter=5ms,rate=100mbit --output out/cloud
  sam2-ros benchmark B --output out/new --compare out/old/figures.json --ratio 1.2

experiments:
  cold-start   new processes: time to the loaded model and to the first mask, peak memory
  consecutive  from a picture to a mask, the same picture again and again
  varying      the same with another picture in every run
  points       the decoder alone, one object of 1 to 32 points
  objects      the decoder alone, 1 to 32 objects
  tracking     frames of a video, once the memory is full
  camera       with --ros: the same with a camera that does not wait for answers
With --ros: consecutive, varying, tracking and camera, from publication to reception.
With --ros --link: consecutive, tracking and camera, with the node beside the camera (edge) and
behind the link (cloud), in turn.

BUNDLE comes before --pytorch, which would take it for its checkpoint. Other work on the machine
makes figures larger and less sure; what runs in turn suffers alike.
"""

#: Load for each core above which figures cannot be trusted; a quiet machine has below 0.1.
BUSY = 0.5
_MIN_SIDE, _MAX_SIDE = 16, 16384
_MIN_RATE, _MAX_RATE = 0.1, 1000.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument(
        'bundles', type=Path, nargs='*', default=[shipped_bundle()], metavar='BUNDLE',
        help='what sam2-ros export made (default: sam2_nano, which comes with the package)')
    who = parser.add_argument_group('who is measured')
    who.add_argument(
        '--provider', type=_providers, default=['auto'], metavar='NAME,NAME,...',
        help=f'what runs each of the bundles: {", ".join(PROVIDERS)} (default: auto, the best '
             'that is installed)')
    who.add_argument(
        '--pytorch', type=Path, nargs='*', metavar='CHECKPOINT',
        help='the official code too; the checkpoints that the bundles were exported from, unless '
             'their weights are random or those that come with the package')
    who.add_argument(
        '--ros', action='store_true',
        help='the running node instead, from the publication of an image to the reception of its '
             'masks (needs a ROS 2)')
    who.add_argument(
        '--link', type=_link, metavar='delay=TIME,jitter=TIME,rate=RATE,queue=PACKETS',
        help='with --ros: the node beside the camera, and on another host behind such a link, '
             'each way; two hosts are made here, which needs root or user namespaces, and '
             '/dev/net/tun (Linux)')
    who.add_argument(
        '--link-images', choices=(COMPRESSED, RAW), default=COMPRESSED,
        help='what the camera sends through the link (default: %(default)s, JPEG)')
    what = parser.add_argument_group('what is measured')
    what.add_argument(
        '--experiments', type=lambda text: text.split(','), metavar='NAME,NAME,...',
        help='see below (default: all that are possible)')
    what.add_argument(
        '--runs', type=_positive, default=30, metavar='N',
        help='of single images, after a first one that counts apart (default: %(default)s)')
    what.add_argument(
        '--tracked-frames', type=_positive, default=10, metavar='N',
        help='runs of tracking, once the memory is full (default: %(default)s)')
    what.add_argument(
        '--repetitions', type=_positive, default=1, metavar='N',
        help='of all experiments, each with models that are loaded anew (default: %(default)s)')
    what.add_argument(
        '--time-limit', type=_seconds, metavar='SECONDS',
        help='end each repetition of an experiment after so long, with the runs it has by then '
             '(default: never)')
    what.add_argument(
        '--image-size', type=_size, default=(1280, 720), metavar='WxH',
        help="pixels of the camera's picture (default: 1280x720)")
    what.add_argument(
        '--camera-rate', type=_rate, default=30.0, metavar='HZ',
        help='images a second of the camera that does not wait (default: 30)')
    what.add_argument('--threads', type=_not_negative, default=0, metavar='N',
                      help='CPU threads, of PyTorch as well (default: one for each core)')
    results = parser.add_argument_group('results')
    results.add_argument('--output', type=Path, default=Path('output/benchmark'), metavar='DIR',
                         help='folder for the results (default: %(default)s)')
    results.add_argument('--resume', action='store_true',
                         help='go on with the results that are in it')
    results.add_argument('--compare', type=Path, metavar='FILE',
                         help='figures.json of an earlier benchmark; fails if this one is worse')
    results.add_argument(
        '--ratio', type=_ratio, default=1.2,
        help='how many times as much a figure may be (default: %(default)s)')


def run(args: argparse.Namespace) -> int:
    """
    Run the benchmark; return 0, or 1 if it is worse than the one it is compared with.

    :raises Sam2RosError: why it cannot be done.
    :raises KeyboardInterrupt: after Ctrl-C, when what was measured is written.
    """
    # Here and not above: `--help` needs neither matplotlib nor tqdm.
    from sam2_ros.evaluate.benchmark import Benchmark
    from sam2_ros.evaluate.machine import LOAD
    from sam2_ros.evaluate.result_folder import REPORT_FILE

    benchmark = Benchmark(_options(args))
    machine = benchmark.machine
    if machine[LOAD] > BUSY * machine['usable cores']:
        print(f'sam2-ros: the machine is busy, its load is {machine[LOAD]} on '
              f'{machine["usable cores"]} cores: figures will be too large, and those of PyTorch, '
              'whose threads spin, the most', file=sys.stderr)
    comparison = None
    try:
        benchmark.run()
    finally:
        # After Ctrl-C or an error, too: what is measured is kept.
        comparison = benchmark.write()
        report = (args.output / REPORT_FILE).read_text(encoding='utf-8')
        print(f'\n{report}\nreport, plots and numbers: {args.output}', flush=True)
        if not benchmark.complete:
            print(f'sam2-ros: not all was measured; what is done is kept in {args.output}, and '
                  'the same command with --resume goes on', file=sys.stderr)
    if comparison is not None and comparison.worse:
        print(f'sam2-ros: {len(comparison.worse)} figures are more than {args.ratio:g} times those '
              f'in {args.compare}', file=sys.stderr)
        return 1
    return 0


def _options(args: argparse.Namespace) -> BenchmarkOptions:
    from sam2_ros.evaluate.benchmark import BenchmarkOptions
    from sam2_ros.evaluate.cloud import Cloud

    return BenchmarkOptions(
        bundles=args.bundles, output=args.output, providers=args.provider,
        checkpoints=args.pytorch, threads=args.threads, picture_size=args.image_size,
        experiments=args.experiments, runs=args.runs, tracked_frames=args.tracked_frames,
        repetitions=args.repetitions, time_limit=args.time_limit, ros=args.ros,
        camera_rate=args.camera_rate,
        cloud=None if args.link is None else Cloud(args.link, args.link_images),
        compare=args.compare, ratio=args.ratio, resume=args.resume)


def _providers(text: str) -> list[str]:
    names = list(dict.fromkeys(text.split(',')))
    if unknown := [name for name in names if name not in PROVIDERS]:
        raise argparse.ArgumentTypeError(
            f'"{unknown[0]}" is no provider; there are: {", ".join(PROVIDERS)}')
    return names


def _link(text: str) -> LinkOptions:
    try:
        return LinkOptions.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f'"{text}" is no number: 1 or more')
    return int(text)


def _not_negative(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f'"{text}" is no number: 0 or more')
    return int(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _seconds(text: str) -> float:
    if not 0.0 < (seconds := _number(text)) < math.inf:
        raise argparse.ArgumentTypeError(f'"{text}" is no time: more than 0 seconds')
    return seconds


def _ratio(text: str) -> float:
    if not 1.0 <= (ratio := _number(text)) < math.inf:
        raise argparse.ArgumentTypeError(f'"{text}" is no ratio: 1 or more')
    return ratio


def _rate(text: str) -> float:
    if not _MIN_RATE <= (rate := _number(text)) <= _MAX_RATE:
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
