# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sam2-ros track``: track objects through a video, without ROS."""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from sam2_ros.model.bundle import Bundle, shipped_bundle
from sam2_ros.model.errors import ImageError, PromptError
from sam2_ros.model.image_files import read_mask
from sam2_ros.model.prompt_arguments import Box, Point, parse_box, parse_point
from sam2_ros.model.prompts import Prompt
from sam2_ros.model.providers import PROVIDERS
from sam2_ros.model.tables import format_table
from sam2_ros.model.track_results import LARGEST_ID, TrackResults
from sam2_ros.model.tracking_options import TrackingOptions
from sam2_ros.model.video_files import CODECS, Video, open_video
from sam2_ros.model.video_tracker import ObjectState, TrackedObject, VideoTracker

DESCRIPTION = 'Track objects through a video; write an overlay video, their masks and a table.'
EPILOG = """\
Prompts are about object 1 on frame 0. --object begins the next object, or goes on with the one
that it names; --frame says on which frame the prompts that follow were made. A prompt for an
object that is already tracked corrects it from that frame on; a mask begins it anew:

  sam2-ros track clip.mp4 --bundle B --point 320,240 --object --box 10,20,300,400
  sam2-ros track clip.mp4 --bundle B --point 320,240 --frame 48 --point 350,260,0

Coordinates are pixels of the video, frames are counted from 0. Write a value that begins with a
minus sign after an equals sign: --box=-5,20,300,400.
"""


class _Object(NamedTuple):
    """``--object [ID]``: the object that the prompts which follow are about; 0: the next."""

    number: int


class _Frame(NamedTuple):
    """``--frame N``: the frame that the prompts which follow were made on."""

    number: int


_Part = Point | Box | Path


@dataclass(frozen=True)
class _Instruction:
    """What is said of one object on one frame: a prompt, a file with a mask, or both."""

    frame: int
    object_id: int
    prompt: Prompt | None
    mask: Path | None


@dataclass
class _Tally:
    """What became of an object so far."""

    first: int
    states: Counter[ObjectState] = field(default_factory=Counter)
    iou: float = 0.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        'video', type=Path, metavar='VIDEO_OR_FOLDER',
        help='a video file, or a folder of photographs in the order of the numbers in their names')
    parser.add_argument(
        '--bundle', type=Path, default=shipped_bundle(), metavar='DIR',
        help='what sam2-ros export made (default: sam2_nano, which comes with the package)')
    _add_prompts(parser.add_argument_group('prompts'))
    _add_choice(parser.add_argument_group('what is read'))
    _add_tracking(parser.add_argument_group('how it is tracked'))
    parser.add_argument(
        '--provider', choices=PROVIDERS, default='auto',
        help='what runs the model (default: %(default)s, the best that is installed)')
    parser.add_argument(
        '--output', type=Path, default=Path('output/track'), metavar='FOLDER_OR_VIDEO',
        help='folder for overlay.webm, objects.csv and masks/ (palette PNGs as DAVIS has them: a '
             f"pixel is an object's number), or the file of the overlay video alone, "
             f'{", ".join(CODECS)} (default: %(default)s)')
    parser.add_argument(
        '--force', action='store_true', help='replace the results of an earlier run')


def _add_prompts(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        '--point', dest='parts', action='append', type=parse_point, metavar='X,Y[,LABEL]',
        help='a point on the object (label 1, the default) or beside it (label 0); repeatable')
    group.add_argument(
        '--box', dest='parts', action='append', type=parse_box, metavar='X0,Y0,X1,Y1',
        help='two opposite corners of a box around the object')
    group.add_argument(
        '--mask', dest='parts', action='append', type=Path, metavar='FILE',
        help="the object's mask: a picture of the video's size that is black beside the object")
    group.add_argument(
        '--object', dest='parts', action='append', nargs='?', type=_object, const=_Object(0),
        metavar='ID', help=f'the next object, or the one with this number, 1 to {LARGEST_ID}')
    group.add_argument(
        '--frame', dest='parts', action='append', type=_frame, metavar='N',
        help='the frame that the prompts which follow were made on')


def _add_choice(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        '--every', type=_positive, default=1, metavar='N', help='take every Nth frame')
    group.add_argument(
        '--limit', type=_positive, metavar='N', help='end after N frames')
    group.add_argument(
        '--rate', type=_rate, default=24.0, metavar='HZ',
        help='frames a second of a folder (default: %(default)g, as in DAVIS); a video has its own')


def _add_tracking(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        '--memories', type=int, metavar='N',
        help="recent frames that are remembered beside the prompted ones (default: the model's)")
    group.add_argument(
        '--object-pointers', type=int, metavar='N',
        help="frames of which object pointers are remembered (default: the model's)")
    group.add_argument(
        '--prompted-frames', type=int, metavar='N',
        help='remember only the newest N prompted frames of an object (default: all)')
    group.add_argument(
        '--remember-corrections', action='store_true',
        help='a frame that was corrected stays in memory as a prompted frame does')
    group.add_argument(
        '--non-overlapping', action='store_true', help='a pixel belongs to one object at most')
    group.add_argument(
        '--fill-hole-area', type=int, metavar='PIXELS',
        help="fill holes of up to so many low-resolution pixels, 0: none (default: the model's)")
    group.add_argument(
        '--lost-after', type=float, default=TrackingOptions().lost_after, metavar='SECONDS',
        help='an object that is not seen for longer is lost (default: %(default)g)')


def run(args: argparse.Namespace) -> int:
    """Track the objects; return 0. :raises Sam2RosError: why it cannot be done."""
    # What FFmpeg has to say of a damaged file is said here, in words that help.
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
    instructions = _instructions(args.parts or [])
    options = TrackingOptions(
        memories=args.memories, object_pointers=args.object_pointers,
        prompted_frames=args.prompted_frames, remember_corrections=args.remember_corrections,
        non_overlapping=args.non_overlapping, fill_hole_area=args.fill_hole_area,
        lost_after=args.lost_after,
        kept_frames=1)  # every prompt is given while its frame is the newest
    video = open_video(args.video, args.rate)
    total = _total(video, args)
    _check_frames(instructions, total, args)
    results = TrackResults(args.output, args.video, video.rate, args.every, args.force)
    bundle = Bundle.load(args.bundle)
    if not bundle.manifest.trained:
        print(f'sam2-ros: {args.bundle} has random weights, its masks mean nothing',
              file=sys.stderr)
    tracker = VideoTracker(bundle, args.provider, tracking=options)
    tracking = _Tracking(tracker, instructions, video.rate)
    started = perf_counter()
    try:
        _track(video, tracking, results, total, args)
    finally:
        # Whatever ended it, also Ctrl-C: what is done is kept.
        results.close()
        if results.count:
            rate = results.count / (perf_counter() - started)
            of = f' of {total}' if total else ''
            print(f'{tracking.report()}\n\n{results.count}{of} frames: {args.output}')
            print(f'{tracker.provider}: {rate:.1f} frames/s; last frame: {tracking.timings()}')
    return 0


def _track(
    video: Video, tracking: _Tracking, results: TrackResults, total: int | None,
    args: argparse.Namespace,
) -> None:
    with _Interruption() as interruption, tqdm(total=total, unit='frame', disable=None) as bar:
        for frame in video.frames(args.every):
            if interruption.came:
                raise KeyboardInterrupt
            if frame.image is None:
                tqdm.write(f'sam2-ros: {frame.problem}', file=sys.stderr)
                continue
            objects, prompts = tracking.step(frame.index, frame.image)
            results.write(frame, objects, prompts)
            bar.update()
            if results.count == args.limit:
                break
    tracking.check_all_said(video.path)


class _Interruption:
    """
    Notes Ctrl-C and ``kill``, so that the frame in work is finished in all files.

    The second one takes effect at once.
    """

    def __enter__(self) -> _Interruption:
        self.came = False
        self._handlers = {
            number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _note(self, number: int, stack: object) -> None:
        self.came = True
        signal.signal(number, self._handlers[signal.Signals(number)])


class _Tracking:
    """The tracker, what it is to be told on which frame, and what became of the objects."""

    def __init__(
        self, tracker: VideoTracker, instructions: Sequence[_Instruction], rate: float,
    ) -> None:
        self._tracker = tracker
        self._instructions = list(instructions)  # not yet given, by frame
        self._rate = rate
        self._masks: dict[Path, npt.NDArray[np.bool_]] = {}
        self._checked = False
        self._tallies: dict[int, _Tally] = {}

    def step(
        self, index: int, image: npt.NDArray[np.uint8],
    ) -> tuple[list[TrackedObject], dict[int, Prompt | None]]:
        """Track to the next frame; returns its objects and the prompts that were given on it."""
        if not self._checked:
            self._check((image.shape[0], image.shape[1]))
            self._checked = True
        said = self._said(index)
        if not said and not self._tallies:
            return [], {}  # nothing to track yet, nothing to compute
        objects = {found.object_id: found
                   for found in self._tracker.step(image, index / self._rate)}
        for instruction in said:
            objects[instruction.object_id] = self._tell(instruction)
        for found in objects.values():
            tally = self._tallies.setdefault(found.object_id, _Tally(index))
            tally.states[found.state] += 1
            tally.iou += found.mask.iou_prediction
        return list(objects.values()), {one.object_id: one.prompt for one in said}

    def check_all_said(self, video: Path) -> None:
        """:raises PromptError: the video has ended before a frame that prompts were made on."""
        if self._instructions:
            raise PromptError(
                f'frame {self._instructions[0].frame} cannot be prompted: {video} has ended before')

    def report(self) -> str:
        """Return what became of the objects, as a table."""
        rows = []
        for object_id, tally in sorted(self._tallies.items()):
            frames = tally.states.total()
            rows.append((
                str(object_id), str(tally.first), str(frames),
                *(str(tally.states[state]) for state in ObjectState), f'{tally.iou / frames:.3f}'))
        states = [state.name.lower() for state in ObjectState]
        header = ('object', 'from frame', 'frames', *states, 'predicted IoU')
        return format_table(header, rows, right=header)

    def timings(self) -> str:
        """Return how long each stage took when it last ran."""
        return ', '.join(f'{stage} {1000 * seconds:.0f} ms'
                         for stage, seconds in self._tracker.last_timings.items())

    def _check(self, image_size: tuple[int, int]) -> None:
        """Check every prompt and read every mask before the first frame is tracked."""
        for one in self._instructions:
            try:
                if one.prompt is not None:
                    one.prompt.check_inside(image_size)
            except PromptError as error:
                raise PromptError(f'object {one.object_id}, frame {one.frame}: {error}') from None
            if one.mask is not None:
                self._masks[one.mask] = read_mask(one.mask, image_size)

    def _said(self, index: int) -> list[_Instruction]:
        """
        Take what was said of a frame.

        :raises ImageError: there are prompts on a frame before, so that one could not be read.
        """
        said = []
        while self._instructions and self._instructions[0].frame <= index:
            said.append(self._instructions.pop(0))
        if said and said[0].frame < index:
            raise ImageError(f'frame {said[0].frame} cannot be prompted, since it cannot be read')
        return said

    def _tell(self, one: _Instruction) -> TrackedObject:
        """Give a prompt on the newest frame; returns the object as it is there then."""
        answers: list[TrackedObject] = []
        if one.mask is not None:
            answers = self._tracker.add_mask(one.object_id, self._masks[one.mask])
        if one.prompt is not None:
            known = one.object_id in self._tracker.object_ids
            tell = self._tracker.refine if known else self._tracker.add
            answers = tell(one.object_id, one.prompt)
        return answers[-1]


def _instructions(parts: Sequence[_Part | _Object | _Frame]) -> list[_Instruction]:
    """Sort what was typed by frame and object."""
    said: dict[tuple[int, int], list[_Part]] = {}
    frame, object_id, unused = 0, 1, ''
    for part in parts:
        if isinstance(part, _Frame):
            frame, unused = part.number, '--frame'
        elif isinstance(part, _Object):
            next_id = 1 + max((number for _, number in said), default=0)
            object_id, unused = part.number or next_id, '--object'
            if object_id > LARGEST_ID:
                raise PromptError(f'--object begins object {object_id}, but numbers end at '
                                  f'{LARGEST_ID}; name one')
        else:
            said.setdefault((frame, object_id), []).append(part)
            unused = ''
    if unused or not said:
        raise PromptError(f'no prompt follows {unused}' if unused else 'nothing to track; give '
                          '--point X,Y, --box X0,Y0,X1,Y1 or --mask FILE')
    return [_instruction(*key, said[key]) for key in sorted(said)]


def _instruction(frame: int, object_id: int, parts: Sequence[_Part]) -> _Instruction:
    points = [part for part in parts if isinstance(part, Point)]
    boxes = [part for part in parts if isinstance(part, Box)]
    masks = [part for part in parts if isinstance(part, Path)]
    try:
        for found, what in ((boxes, 'boxes'), (masks, 'masks')):
            if len(found) > 1:
                raise PromptError(f'it has {len(found)} {what}, one is possible; --object begins '
                                  'the next object')
        prompt = Prompt(
            points=[(point.x, point.y) for point in points],
            labels=[point.label for point in points],
            box=boxes[0] if boxes else None) if points or boxes else None
    except PromptError as error:
        raise PromptError(f'object {object_id}, frame {frame}: {error}') from None
    return _Instruction(frame, object_id, prompt, masks[0] if masks else None)


def _total(video: Video, args: argparse.Namespace) -> int | None:
    """Return how many frames are to be tracked; None if the video does not say."""
    if video.count is None:
        return args.limit
    total = math.ceil(video.count / args.every)
    return min(total, args.limit) if args.limit else total


def _check_frames(
    instructions: Sequence[_Instruction], total: int | None, args: argparse.Namespace,
) -> None:
    """:raises PromptError: a prompt is on a frame that will not be looked at."""
    for one in instructions:
        if one.frame % args.every:
            raise PromptError(f'object {one.object_id}: frame {one.frame} is left out by --every '
                              f'{args.every}')
        if total is not None and one.frame >= total * args.every:
            last = (total - 1) * args.every
            raise PromptError(f'object {one.object_id}: there is no frame {one.frame}; the last '
                              f'one that is read is {last}')


def _object(text: str) -> _Object:
    number = _integer(text, 1)
    if number > LARGEST_ID:
        raise argparse.ArgumentTypeError(f'{number} is more than {LARGEST_ID}')
    return _Object(number)


def _frame(text: str) -> _Frame:
    return _Frame(_integer(text, 0))


def _positive(text: str) -> int:
    return _integer(text, 1)


def _integer(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise argparse.ArgumentTypeError(f'"{text}" is not a whole number of {least} or more')
    return number


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0.1 <= rate <= 1000.0:  # what players take
        raise argparse.ArgumentTypeError(f'"{text}" is not a number from 0.1 to 1000')
    return rate
