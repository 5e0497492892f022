# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Videos from files and folders, and to files."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from sam2_ros.model.errors import ImageError
from sam2_ros.model.image_files import read_photo

#: What a folder of frames consists of; other files in it are left alone.
PHOTO_SUFFIXES = ('.jpg', '.jpeg', '.png', '.webp', '.tif', '.tiff', '.bmp')
#: Codecs that OpenCV's wheels can write, by the container that they belong in. VP8 in WebM plays
#: in browsers and in every free player, and what was written stays playable when the writer is
#: killed; MPEG-4 is for QuickTime; Motion JPEG for what knows nothing else.
CODECS = {'.webm': 'VP80', '.mp4': 'mp4v', '.avi': 'MJPG'}
#: Frames in a row that cannot be decoded, after which a file that announces more has ended.
_MAX_BROKEN = 1000


@dataclass(frozen=True)
class VideoFrame:
    """
    One frame of a video.

    ``index``: its number in the video, from 0; ``name``: the file's name without suffix in a
    folder, else the number in five digits; ``image`` [H, W, 3] uint8 RGB, or None if the frame
    cannot be read: then ``problem`` says why, in one line.
    """

    index: int
    name: str
    image: npt.NDArray[np.uint8] | None
    problem: str = ''


_Reader = Callable[[int], Iterator[VideoFrame]]


@dataclass(frozen=True)
class Video:
    """
    A video that is read one frame at a time, see `open_video`.

    ``rate``: frames a second; ``count``: how many frames there are, None if the file does not
    say (and what it says may be wrong).
    """

    path: Path
    rate: float
    count: int | None
    _read: _Reader

    def frames(self, every: int = 1) -> Iterator[VideoFrame]:
        """
        Read every ``every``-th frame, from the first on.

        A frame that cannot be read, or that has another size than the first, comes without its
        image, and the next one follows.

        :raises ImageError: not a single frame can be read.
        """
        size = None
        for frame in self._read(every):
            if frame.image is not None:
                size = size or frame.image.shape
                if frame.image.shape != size:
                    height, width = frame.image.shape[:2]
                    frame = replace(frame, image=None, problem=(
                        f'frame {frame.index} ({frame.name}) is {width}x{height}, but the first '
                        f'is {size[1]}x{size[0]}'))
            yield frame
        if size is None:
            raise ImageError(f'{self.path}: not one frame of it can be read')


def open_video(path: Path, rate: float) -> Video:
    """
    Open a video file, or a folder of photographs in natural order (2.jpg comes before 10.jpg).

    :param rate: frames a second, where the video does not say so itself.
    :raises ImageError: there is no such file, it cannot be read, or it is no video.
    """
    try:
        is_folder = path.is_dir()
    except OSError as error:  # no access to the folder it is in, name too long
        raise ImageError(f'{path}: cannot be read ({error.strerror})') from None
    return _open_folder(path, rate) if is_folder else _open_file(path, rate)


class VideoWriter:
    """
    Writes a video; frames of an odd width or height lose the last column or row.

    :param file: its suffix, one of ``CODECS``, says what is written.
    :param rate: frames a second.
    :param size: (height, width) of the frames.
    :raises ImageError: the file cannot be written, or OpenCV was built without the codec.
    """

    def __init__(self, file: Path, rate: float, size: tuple[int, int]) -> None:
        self._file = file
        codec = CODECS[file.suffix.lower()]
        try:
            file.open('wb').close()
        except OSError as error:
            raise ImageError(f'{file}: cannot be written ({error.strerror})') from None
        with _quiet():
            self._writer = cv2.VideoWriter(
                str(file), cv2.VideoWriter.fourcc(*codec), rate, size[::-1])
        if not self._writer.isOpened():
            file.unlink()
            raise ImageError(f'{file}: the OpenCV that is installed cannot write {codec} of '
                             f'{size[1]}x{size[0]} at {rate:g} Hz; try another of '
                             f'{", ".join(CODECS)}')
        self._is_empty = True

    def write(self, image: npt.NDArray[np.uint8]) -> None:
        """Append a frame [H, W, 3] uint8 RGB."""
        self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        self._is_empty = False

    def close(self) -> None:
        """
        Finish the file; without a frame there is none.

        :raises ImageError: it cannot be read back: OpenCV does not tell when a disk is full.
        """
        self._writer.release()
        if self._is_empty:
            self._file.unlink(missing_ok=True)
        elif not cv2.VideoCapture(str(self._file)).grab():
            raise ImageError(f'{self._file}: cannot be read back; is the disk full?')


def _open_folder(path: Path, rate: float) -> Video:
    try:
        files = sorted(
            (file for file in path.iterdir() if file.suffix.lower() in PHOTO_SUFFIXES),
            key=lambda file: _natural(file.name))
    except OSError as error:
        raise ImageError(f'{path}: cannot be read ({error.strerror})') from None
    if not files:
        raise ImageError(f'{path}: there is no photograph in it ({", ".join(PHOTO_SUFFIXES)})')
    for one, other in pairwise(files):
        if one.stem == other.stem:
            raise ImageError(f'{path}: {one.name} and {other.name} have the same name; remove one')
    return Video(path, rate, len(files), lambda every: _read_folder(files, every))


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts numbers within names by their value."""
    return [(int(part), '') if part.isdecimal() else (-1, part)
            for part in re.split(r'(\d+)', name)]


def _read_folder(files: Sequence[Path], every: int) -> Iterator[VideoFrame]:
    for index in range(0, len(files), every):
        file = files[index]
        try:
            yield VideoFrame(index, file.stem, read_photo(file))
        except ImageError as error:
            yield VideoFrame(index, file.stem, None, str(error))


def _open_file(path: Path, rate: float) -> Video:
    try:
        path.open('rb').close()
    except OSError as error:
        raise ImageError(f'{path}: cannot be read ({error.strerror})') from None
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise ImageError(f'{path}: not a video that OpenCV can decode (MP4, WebM, MKV, AVI, MOV), '
                         'or it is damaged')
    own_rate = capture.get(cv2.CAP_PROP_FPS)
    announced = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return Video(
        path,
        own_rate if math.isfinite(own_rate) and own_rate > 0 else rate,
        # a stream without an index gives nonsense
        int(announced) if 0 < announced < 1e9 else None,
        lambda every: _read_file(path, every))


def _read_file(path: Path, every: int) -> Iterator[VideoFrame]:
    # A decoder tells a broken frame and the end of the file in the same way: what fails was the
    # end if nothing comes after it, up to the number of frames that the file announces.
    capture = cv2.VideoCapture(str(path))
    announced = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    index = good = 0
    broken: list[int] = []
    while not broken or (index < announced and len(broken) < _MAX_BROKEN):
        decoded = capture.grab()
        if decoded and index % every == 0:
            decoded, pixels = capture.retrieve()
        if decoded:
            for failed in broken:
                yield VideoFrame(failed, f'{failed:05}', None,
                                 f'{path}: frame {failed} cannot be decoded')
            broken.clear()
            good += 1
            if index % every == 0:
                image = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
                yield VideoFrame(index, f'{index:05}', image)
        else:
            broken.append(index)
        index += 1
    if broken[0] < announced:
        yield VideoFrame(broken[0], f'{broken[0]:05}', None, (
            f'{path}: {good} of the {announced} frames that it announces could be read'))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep from the terminal what OpenCV writes to it where all is well: WebM has no codec tags."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
