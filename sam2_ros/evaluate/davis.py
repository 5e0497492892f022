# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A set of clips in the layout of DAVIS 2017: ``JPEGImages``, ``Annotations``, ``ImageSets``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from sam2_ros.evaluate.accuracy import Mask
from sam2_ros.evaluate.contenders import Image
from sam2_ros.evaluate.degradation import Degradation
from sam2_ros.evaluate.errors import EvaluationError
from sam2_ros.evaluate.problems import Problem, UnusableError
from sam2_ros.evaluate.truth_prompts import seed_of
from sam2_ros.model.errors import ImageError, first_line
from sam2_ros.model.image_files import read_photo

FRAMES_FOLDER, MASKS_FOLDER = 'JPEGImages', 'Annotations'
#: The resolution that the official evaluation uses, if there are several.
_RESOLUTION = '480p'
_FRAME_SUFFIXES = ('.jpg', '.jpeg', '.png')
_AS_IT_IS = Degradation()
#: Pixels that belong to nothing: not even the background.
VOID = 255


@dataclass(frozen=True)
class Clip:
    """
    A clip: files of its frames in order, and of the true masks by the index of their frame.

    Frames and masks are read when they are asked for.
    """

    name: str
    frames: list[Path]
    masks: dict[int, Path]
    degradation: Degradation
    seed: Sequence[int]

    def __len__(self) -> int:
        return len(self.frames)

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width of the first frame; :raises UnusableError: it cannot be read."""
        height, width = self._read(0).shape[:2]
        return height, width

    def image(self, index: int) -> Image:
        """
        Return a frame [H, W, 3] uint8 RGB.

        :raises UnusableError: it cannot be read, or is of another size than the first.
        """
        image = self._read(index)
        if image.shape[:2] != self.size:
            raise UnusableError(
                'frame of another size', str(self.frames[index]), f'{image.shape[1]}x'
                f'{image.shape[0]} pixels, the first frame has {self.size[1]}x{self.size[0]}')
        return self.degradation.apply(image, (*self.seed, index))

    def _read(self, index: int) -> Image:
        try:
            return read_photo(self.frames[index])
        except ImageError as error:
            raise UnusableError('frame unreadable', self.name, str(error)) from None

    def truth(self, index: int) -> npt.NDArray[np.uint8] | None:
        """
        Return the ids of the objects [H, W] uint8 in a frame: 0 nothing, 255 void.

        None where the frame has no true masks; :raises UnusableError: they cannot be read.
        """
        return _read_ids(self.masks[index]) if index in self.masks else None


@dataclass(frozen=True)
class TrackedTruth:
    """An object of a clip: its id, the frame in which it is prompted, its mask [H, W] there."""

    object_id: int
    first_frame: int
    mask: Mask


class DavisSet:
    """
    Clips with the ids of objects as the pixels of their masks, read one at a time.

    :param root: has ``JPEGImages[/480p]/CLIP/*.jpg`` and ``Annotations[/480p]/CLIP/*.png``.
    :param names: a text file with a clip's name a line (``ImageSets/2017/val.txt``); None: all
        clips that have a folder of masks.
    :param limit: so many clips; None: all.
    :param seed: of the order, which is random, so that any beginning of it is a fair sample.
    :param min_area: an object is prompted in the first frame in which it has so many pixels.
    :raises EvaluationError: the folders are not there, or there is no clip.
    """

    def __init__(
        self, root: Path, names: Path | None = None, limit: int | None = None, seed: int = 0,
        min_area: int = 1, degradation: Degradation = _AS_IT_IS,
    ) -> None:
        self._frames = _resolution(root / FRAMES_FOLDER)
        self._masks = _resolution(root / MASKS_FOLDER)
        self._min_area = min_area
        self._degradation = degradation
        self._seed = seed
        found = _listed(names) if names else sorted(
            each.name for each in self._masks.iterdir() if each.is_dir())
        order = np.random.default_rng(seed).permutation(len(found))
        self.clips = [found[index] for index in order][:limit]
        if not self.clips:
            raise EvaluationError(f'{names or self._masks}: there is no clip in it')

    def clip(self, name: str) -> Clip:
        """Return a clip; :raises UnusableError: it lacks frames or masks."""
        frames = _pictures(self._frames / name)
        if not frames:
            raise UnusableError('clip without frames', name, f'none in {self._frames / name}')
        indices = {file.stem: index for index, file in enumerate(frames)}
        masks = _pictures(self._masks / name)
        if not masks:
            raise UnusableError('clip without masks', name, f'none in {self._masks / name}')
        if lost := [file.stem for file in masks if file.stem not in indices]:
            raise UnusableError('mask without its frame', name, ', '.join(lost[:3]))
        return Clip(name, frames, {indices[file.stem]: file for file in masks},
                    self._degradation, seed_of(self._seed, name))

    def objects(self, clip: Clip) -> Iterator[TrackedTruth | Problem]:
        """
        Yield the objects of a clip, or why one is left out.

        Every mask is looked at, so that what is wrong with one is said before anything is tracked.

        :raises UnusableError: a mask cannot be read or is of another size, or all are empty.
        """
        height, width = clip.size
        small: dict[int, int] = {}
        found = set()
        for index in sorted(clip.masks):
            ids = clip.truth(index)
            assert ids is not None
            if ids.shape != (height, width):
                raise UnusableError(
                    'mask does not fit', str(clip.masks[index]), f'{ids.shape[1]}x{ids.shape[0]} '
                    f'pixels, the first frame has {width}x{height}')
            present, areas = np.unique(ids, return_counts=True)
            for key, area in zip(present.tolist(), areas.tolist(), strict=True):
                if key in (0, VOID) or key in found:
                    continue
                if area < self._min_area:
                    small[key] = max(area, small.get(key, 0))
                else:
                    found.add(key)
                    yield TrackedTruth(key, index, ids == key)
        if not found and not small:
            raise UnusableError('clip without objects', clip.name, 'every mask is empty')
        for key in sorted(set(small) - found):
            yield Problem('smaller than --min-area', f'{clip.name}, object {key}',
                          f'{small[key]} pixels at most')


def _resolution(folder: Path) -> Path:
    """Return the folder that holds the clips' folders."""
    if not folder.is_dir():
        raise EvaluationError(
            f'{folder}: no such folder; a set in the layout of DAVIS has {FRAMES_FOLDER} and '
            f'{MASKS_FOLDER}')
    return folder / _RESOLUTION if (folder / _RESOLUTION).is_dir() else folder


def _listed(file: Path) -> list[str]:
    try:
        return file.read_text(encoding='utf-8').split()
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f'{file}: cannot be read as a list of clips ({error})') from None


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        (file for file in folder.iterdir() if file.suffix.lower() in _FRAME_SUFFIXES),
        key=lambda file: file.stem)


def _read_ids(file: Path) -> npt.NDArray[np.uint8]:
    # Not OpenCV: it turns the palette of an indexed PNG into colours.
    try:
        with PillowImage.open(file) as picture:
            if picture.mode not in ('P', 'L', '1'):
                raise UnusableError(
                    'mask unreadable', str(file),
                    f'its pixels are colours ({picture.mode}), not ids of objects')
            return np.asarray(picture, np.uint8)
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for broken pictures
        raise UnusableError('mask unreadable', str(file), first_line(error)) from None
