# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sam2-ros segment``: try a bundle on a photograph, without ROS."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sam2_ros.model.bundle import Bundle, shipped_bundle
from sam2_ros.model.errors import ImageError, PromptError
from sam2_ros.model.image_files import read_mask, read_photo, write_png
from sam2_ros.model.mask_prompts import mask_to_logits
from sam2_ros.model.masks import Mask
from sam2_ros.model.overlay import draw_overlay
from sam2_ros.model.prompt_arguments import Box, Point, parse_box, parse_point
from sam2_ros.model.prompts import Prompt
from sam2_ros.model.providers import PROVIDERS
from sam2_ros.model.segmenter import ImageSegmenter, Segmentation
from sam2_ros.model.tables import format_table

DESCRIPTION = 'Segment objects in a photograph; write their masks and an overlay.'
EPILOG = """\
All points, the box and the mask belong to one object; --object begins the next:

  sam2-ros segment photo.jpg --bundle B --point 320,240 --point 400,260,0
  sam2-ros segment photo.jpg --bundle B --box 10,20,300,400 --object --point 500,80

Coordinates are pixels of the upright photo. Write a value that begins with a minus sign after an
equals sign: --box=-5,20,300,400.
"""

_MULTIMASK = {'auto': None, 'single': False, 'three': True}


class _NextObject(NamedTuple):
    """What ``--object`` leaves among the prompts."""


_Part = Point | Box | Path


@dataclass(frozen=True)
class _Result:
    """One written mask: object number, candidate number if there are several, file and mask."""

    number: int
    candidate: int | None
    file: Path
    mask: Mask


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument('photo', type=Path, metavar='PHOTO', help='JPEG, PNG, WebP, TIFF, ...')
    parser.add_argument(
        '--bundle', type=Path, default=shipped_bundle(), metavar='DIR',
        help='what sam2-ros export made (default: sam2_nano, which comes with the package)')
    parser.add_argument(
        '--point', dest='parts', action='append', type=parse_point, metavar='X,Y[,LABEL]',
        help='a point on the object (label 1, the default) or beside it (label 0); repeatable')
    parser.add_argument(
        '--box', dest='parts', action='append', type=parse_box, metavar='X0,Y0,X1,Y1',
        help='two opposite corners of a box around the object')
    parser.add_argument(
        '--mask', dest='parts', action='append', type=Path, metavar='FILE',
        help="a rough mask: a picture of the photo's size that is black beside the object, or "
             'the .npy file that --logits wrote')
    parser.add_argument(
        '--object', dest='parts', action='append_const', const=_NextObject(),
        help='the prompts that follow belong to the next object')
    parser.add_argument(
        '--multimask', choices=_MULTIMASK, default='auto',
        help='masks for each object: one, the three that the model offers, or as many as suit the '
             'prompt of which the best is kept (default: %(default)s)')
    parser.add_argument(
        '--logits', action='store_true',
        help='also write the low-resolution logits of each object, for --mask')
    parser.add_argument(
        '--provider', choices=PROVIDERS, default='auto',
        help='what runs the model (default: %(default)s, the best that is installed)')
    parser.add_argument(
        '--output', type=Path, default=Path('output/segment'), metavar='DIR',
        help='folder for the results (default: %(default)s)')


def run(args: argparse.Namespace) -> int:
    """Segment the photograph; return 0. :raises Sam2RosError: why it cannot be done."""
    objects = _objects(args.parts or [])
    image = read_photo(args.photo)
    image_size = (image.shape[0], image.shape[1])
    bundle = Bundle.load(args.bundle)
    mask_size = bundle.manifest.constants.mask_size
    prompts = [
        _prompt(number, parts, image_size, mask_size) for number, parts in enumerate(objects, 1)]
    if not bundle.manifest.trained:
        print(f'sam2-ros: {args.bundle} has random weights, its masks mean nothing',
              file=sys.stderr)
    started = perf_counter()
    segmenter = ImageSegmenter(bundle, args.provider)
    seconds = {'load': perf_counter() - started}
    answers = segmenter.segment(segmenter.encode(image), prompts, _MULTIMASK[args.multimask])
    seconds.update(segmenter.last_timings)
    started = perf_counter()
    results = _results(args, answers)
    seconds['upscale'] = perf_counter() - started
    _write(args, results, answers)
    overlay_file = args.output / f'{args.photo.stem}_overlay.png'
    write_png(overlay_file, draw_overlay(image, _best(results), prompts))
    print(_report(results, image_size))
    print(f'\noverlay: {overlay_file}')
    stages = ', '.join(f'{stage} {1000 * value:.0f} ms' for stage, value in seconds.items())
    print(f'{segmenter.provider}: {stages}')
    return 0


def _objects(parts: Sequence[_Part | _NextObject]) -> list[list[_Part]]:
    """Split the prompts at each ``--object``; one before the first prompt changes nothing."""
    objects: list[list[_Part]] = [[]]
    for index, part in enumerate(parts):
        if not isinstance(part, _NextObject):
            objects[-1].append(part)
        elif index:
            objects.append([])
    if objects == [[]]:
        raise PromptError('nothing to segment; give --point X,Y, --box X0,Y0,X1,Y1 or --mask FILE')
    return objects


def _prompt(
    number: int, parts: Sequence[_Part], image_size: tuple[int, int], mask_size: int,
) -> Prompt:
    points = [part for part in parts if isinstance(part, Point)]
    try:
        prompt = Prompt(
            points=[(point.x, point.y) for point in points],
            labels=[point.label for point in points],
            box=_only([part for part in parts if isinstance(part, Box)], 'boxes'),
            mask=_mask(
                _only([part for part in parts if isinstance(part, Path)], 'masks'), image_size,
                mask_size))
        prompt.check_inside(image_size)
    except PromptError as error:
        raise PromptError(f'object {number}: {error}') from None
    return prompt


def _only(parts: Sequence[Any], what: str) -> Any:
    if len(parts) > 1:
        raise PromptError(f'it has {len(parts)} {what}, one is possible; --object begins the next '
                          'object')
    return parts[0] if parts else None


def _mask(
    file: Path | None, image_size: tuple[int, int], mask_size: int,
) -> npt.NDArray[np.float32] | None:
    if file is None:
        return None
    if file.suffix != '.npy':
        return mask_to_logits(read_mask(file, image_size), mask_size)
    try:
        logits: npt.NDArray[np.float32] = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ImageError(f'{file}: cannot be read as logits ({error})') from None
    if logits.shape != (mask_size, mask_size):
        raise ImageError(f'{file}: holds logits of shape {list(logits.shape)}, but this bundle '
                         f'takes {[mask_size, mask_size]}')
    if logits.dtype.kind != 'f' or not np.isfinite(logits).all():
        raise ImageError(f'{file}: holds more than finite floating-point numbers')
    return logits


def _results(args: argparse.Namespace, answers: Sequence[Segmentation]) -> list[_Result]:
    results = []
    for number, answer in enumerate(answers, 1):
        stem = f'{args.photo.stem}_object_{number}'
        if args.multimask == 'three':
            order = np.argsort(-answer.iou_predictions, kind='stable')
            results += [
                _Result(number, candidate, args.output / f'{stem}_candidate_{candidate}.png',
                        answer.mask(int(index)))
                for candidate, index in enumerate(order, 1)]
        else:
            results.append(_Result(number, None, args.output / f'{stem}.png', answer.mask()))
    return results


def _best(results: Sequence[_Result]) -> list[tuple[int, Mask]]:
    return [(result.number, result.mask) for result in results if result.candidate in (None, 1)]


def _write(
    args: argparse.Namespace, results: Sequence[_Result], answers: Sequence[Segmentation],
) -> None:
    try:
        args.output.mkdir(parents=True, exist_ok=True)
        for result in results:
            write_png(result.file, result.mask.to_image())
        if args.logits:
            for number, answer in enumerate(answers, 1):
                np.save(args.output / f'{args.photo.stem}_object_{number}_logits.npy',
                        answer.logits[answer.best])
    except OSError as error:
        raise ImageError(f'{args.output}: cannot be written to ({error.strerror})') from None


def _report(results: Sequence[_Result], image_size: tuple[int, int]) -> str:
    pixels = image_size[0] * image_size[1]
    rows = []
    for result in results:
        name = str(result.number)
        if result.candidate is not None:
            name += f'.{result.candidate}'
        mask = result.mask
        box = ','.join(map(str, mask.box)) if mask.area else 'nothing found'
        rows.append((
            name, f'{mask.iou_prediction:.3f}', f'{mask.presence:.3f}', box,
            f'{mask.area} px', f'{100 * mask.area / pixels:.1f} %', str(result.file)))
    return format_table(
        ('object', 'predicted IoU', 'is there', 'box', 'area', 'of photo', 'mask'), rows,
        right=('predicted IoU', 'is there', 'area', 'of photo'))
