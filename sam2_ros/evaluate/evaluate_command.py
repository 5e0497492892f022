# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sam2-ros evaluate``: accuracy of bundles on pictures or clips with true masks."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sam2_ros.model.bundle import shipped_bundle
from sam2_ros.model.providers import PROVIDERS

if TYPE_CHECKING:
    from sam2_ros.evaluate.evaluation import EvaluationOptions
    from sam2_ros.evaluate.source import CocoSource, DavisSource

DESCRIPTION = (
    'Measure how well bundles segment the pictures of a COCO instances file, or track through '
    'clips in the layout of DAVIS, with prompts made from the true masks; on request beside the '
    'official PyTorch code. Writes a report, plots and the numbers of every object. Ctrl-C keeps '
    'what is done, --resume goes on.')
EPILOG = """\
examples:
  sam2-ros evaluate B --coco instances_val2017.json --images val2017 --limit 200 --output out/coco
  sam2-ros evaluate B_fp32 B_fp16 --pytorch sam2.1_hiera_tiny.pt --coco ... --output out/parity
  sam2-ros evaluate B --davis DAVIS --clips DAVIS/ImageSets/2017/val.txt --output out/davis

prompts, all made from the true mask:
  1-point, 3-points, 5-points  random points inside it, the same ones
  centre                       the inner point that is farthest from its boundary
  box, jittered-box            the tightest box; each side moved by up to 10 % of the box
  mask                         the mask itself, clips only
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument(
        'bundles', type=Path, nargs='*', default=[shipped_bundle()], metavar='BUNDLE',
        help='what sam2-ros export made (default: sam2_nano, which comes with the package)')
    data = parser.add_argument_group('the set')
    data.add_argument('--coco', type=Path, metavar='FILE', help='a COCO instances JSON')
    data.add_argument('--images', type=Path, metavar='DIR', help='the pictures it describes')
    data.add_argument(
        '--davis', type=Path, metavar='DIR',
        help='a folder with JPEGImages and Annotations, as DAVIS 2017 has them')
    data.add_argument(
        '--clips', type=Path, metavar='FILE',
        help='text file with the names of the clips of --davis (default: all)')
    data.add_argument('--limit', type=_positive, metavar='N',
                      help='so many pictures or clips, drawn at random (default: all)')
    data.add_argument('--seed', type=_not_negative, default=0, metavar='N',
                      help='of all that is random (default: %(default)s)')
    data.add_argument('--category', action='append', default=[], metavar='NAME',
                      help='objects of this category only; repeatable')
    data.add_argument('--min-area', type=_positive, default=1, metavar='PIXELS',
                      help='objects of this size or larger only (default: %(default)s)')
    data.add_argument('--blur', type=_amount, default=0.0, metavar='SIGMA',
                      help='blur every picture: a Gaussian, in pixels (default: not)')
    data.add_argument('--noise', type=_amount, default=0.0, metavar='SIGMA',
                      help='add Gaussian noise to every picture, of 255 (default: none)')
    asked = parser.add_argument_group('what is asked')
    asked.add_argument(
        '--prompts', type=lambda text: text.split(','), metavar='NAME,NAME,...',
        help='see below (default: all for pictures; centre,mask for clips)')
    asked.add_argument(
        '--clicks', type=_not_negative, default=5, metavar='N',
        help='pictures: length of the dialogue in which each click corrects the answer before, at '
             'the centre of its largest error (default: %(default)s)')
    who = parser.add_argument_group('who answers')
    who.add_argument(
        '--pytorch', type=Path, metavar='CHECKPOINT',
        help='the official code too; a bundle must have been exported from this file')
    who.add_argument('--no-grabcut', action='store_true',
                     help="pictures: without OpenCV's GrabCut from the boxes, the baseline")
    who.add_argument(
        '--provider', choices=PROVIDERS, default='auto',
        help='what runs the bundles (default: %(default)s, the best that is installed)')
    who.add_argument('--threads', type=_not_negative, default=0, metavar='N',
                     help='CPU threads (default: one for each core)')
    results = parser.add_argument_group('results')
    results.add_argument('--output', type=Path, default=Path('output/evaluate'), metavar='DIR',
                         help='folder for the results (default: %(default)s)')
    results.add_argument('--resume', action='store_true',
                         help='go on with the results that are in it')
    results.add_argument('--keep-masks', action='store_true',
                         help='write every mask, run-length encoded as COCO does')


def run(args: argparse.Namespace) -> int:
    """
    Run the evaluation; return 0.

    :raises Sam2RosError: why it cannot be done.
    :raises KeyboardInterrupt: after Ctrl-C, when what was done is written.
    """
    # Here and not above: `--help` needs neither matplotlib nor pycocotools.
    from sam2_ros.evaluate.errors import EvaluationError
    from sam2_ros.evaluate.evaluation import Evaluation
    from sam2_ros.evaluate.result_folder import REPORT_FILE

    evaluation = Evaluation(_options(args))
    for name, bundle in evaluation.bundles.items():
        if not bundle.manifest.trained:
            print(f'sam2-ros: {name} has random weights, its masks mean nothing', file=sys.stderr)
    figures = None
    try:
        evaluation.run()
    finally:
        # After Ctrl-C or an error, too: what is done is kept.
        figures = evaluation.write()
        report = args.output / REPORT_FILE
        print(f'\n{report.read_text(encoding="utf-8")}\nreport, plots and numbers: {args.output}',
              flush=True)
        if left_out := figures.problems.counts:
            print(f'sam2-ros: {left_out.total()} left out: '
                  + ', '.join(f'{count} {kind}' for kind, count in left_out.most_common()),
                  file=sys.stderr)
        done = len(evaluation.folder.done)
        if done < evaluation.total:
            print(f'sam2-ros: {done} of {evaluation.total} {evaluation.unit}s are done and kept; '
                  'the same command with --resume goes on', file=sys.stderr)
    if not figures.contenders:
        raise EvaluationError('nothing could be evaluated; the report says why')
    return 0


def _options(args: argparse.Namespace) -> EvaluationOptions:
    from sam2_ros.evaluate.degradation import Degradation
    from sam2_ros.evaluate.evaluation import EvaluationOptions

    return EvaluationOptions(
        bundles=args.bundles, source=_source(args), output=args.output, limit=args.limit,
        seed=args.seed, min_area=args.min_area, prompts=args.prompts, clicks=args.clicks,
        pytorch=args.pytorch, grabcut=not args.no_grabcut,
        degradation=Degradation(args.blur, args.noise), keep_masks=args.keep_masks,
        provider=args.provider, threads=args.threads, resume=args.resume)


def _source(args: argparse.Namespace) -> CocoSource | DavisSource:
    """Return the set that is named; :raises EvaluationError: options that do not go together."""
    from sam2_ros.evaluate.errors import EvaluationError
    from sam2_ros.evaluate.source import CocoSource, DavisSource

    if (args.coco is None) == (args.davis is None):
        raise EvaluationError('name a set: either --coco with --images, or --davis')
    if args.davis is not None:
        if args.images is not None or args.category:
            raise EvaluationError('--images and --category belong to --coco')
        return DavisSource(args.davis, args.clips)
    if args.images is None:
        raise EvaluationError('--coco needs the folder of its pictures: --images')
    if args.clips is not None:
        raise EvaluationError('--clips belongs to --davis')
    return CocoSource(args.coco, args.images, args.category)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f'"{text}" is no number: 1 or more')
    return int(text)


def _not_negative(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f'"{text}" is no number: 0 or more')
    return int(text)


def _amount(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f'"{text}" is no amount: 0 or more')
    return value
