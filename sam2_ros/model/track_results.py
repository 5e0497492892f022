# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What ``sam2-ros track`` writes: an overlay video, masks as DAVIS has them, a table."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt

from sam2_ros.model.errors import ImageError
from sam2_ros.model.image_files import write_palette_png
from sam2_ros.model.overlay import draw_overlay, object_colour
from sam2_ros.model.prompts import Prompt
from sam2_ros.model.video_files import CODECS, VideoFrame, VideoWriter
from sam2_ros.model.video_tracker import ObjectState, TrackedObject

#: A pixel of a palette PNG is a number of 8 bits, and zero is the background.
LARGEST_ID = 255
PALETTE = [(0, 0, 0), *(object_colour(object_id) for object_id in range(1, LARGEST_ID + 1))]
COLUMNS = ('frame', 'name', 'seconds', 'object', 'state', 'prompted', 'predicted_iou',
           'object_score', 'x0', 'y0', 'x1', 'y1', 'area')


class TrackResults:
    """
    Writes frame by frame, so that what is done is there whatever comes next.

    :param output: a folder, for ``overlay.webm``, ``objects.csv`` and ``masks/``; or a file with a
        suffix of ``CODECS``, for the overlay video alone.
    :param source: the video that is tracked, which must not be overwritten.
    :param rate: its frames a second, of which every ``every``-th comes.
    :param force: replace the results of an earlier run, once there is a frame to write.
    :raises ImageError: there are such results, and ``force`` is not set; or they are the source;
        or they cannot be there.
    """

    def __init__(
        self, output: Path, source: Path, rate: float, every: int, force: bool,
    ) -> None:
        is_video = output.suffix.lower() in CODECS
        self._folder = None if is_video else output
        self._video_file = output if is_video else output / 'overlay.webm'
        self._rate = rate
        self._every = every
        #: Frames written.
        self.count = 0
        self._video: VideoWriter | None = None
        self._table: TextIO | None = None
        # Path.resolve raises RuntimeError or OSError where links go round in a circle.
        written = (os.path.realpath(self._video_file), os.path.realpath(output / 'masks'))
        if os.path.realpath(source) in written:
            raise ImageError(f'{source}: the results would overwrite the video; choose another '
                             '--output')
        try:
            old = self._old()
        except OSError as error:  # no access to the folder it is in, name too long
            raise ImageError(f'{output}: cannot be written ({error.strerror}); choose another '
                             '--output') from None
        if old and not force:
            raise ImageError(f'{old[0]}: is there from an earlier run; choose another --output, or '
                             '--force to replace it')

    def write(
        self, frame: VideoFrame, objects: Sequence[TrackedObject],
        prompts: Mapping[int, Prompt | None],
    ) -> None:
        """
        Write a frame that could be read, its objects, and what was said of them on it.

        :raises ImageError: a file cannot be written.
        """
        assert frame.image is not None
        size = (frame.image.shape[0], frame.image.shape[1])
        try:
            if self._video is None:
                self._begin(size)
            if self._table:
                self._write_rows(self._table, frame, objects, prompts)
        except OSError as error:
            raise ImageError(f'{self._folder or self._video_file}: cannot be written to '
                             f'({error.strerror})') from None
        if self._folder:
            write_palette_png(
                self._folder / 'masks' / f'{frame.name}.png', _labels(objects, size), PALETTE)
        assert self._video
        self._video.write(_overlay(frame.image, objects, prompts))
        self.count += 1

    def close(self) -> None:
        """Finish the files. :raises ImageError: the video cannot be read back."""
        if self._table:
            self._table.close()
        if self._video:
            self._video.close()

    def _old(self) -> list[Path]:
        files = [self._video_file]
        if self._folder:
            files += [self._folder / 'objects.csv', *sorted((self._folder / 'masks').glob('*.png'))]
        return [file for file in files if file.exists()]

    def _begin(self, size: tuple[int, int]) -> None:
        """Make the files. :raises OSError: that is not possible."""
        for file in self._old():
            file.unlink()
        self._video_file.parent.mkdir(parents=True, exist_ok=True)
        if self._folder:
            (self._folder / 'masks').mkdir(exist_ok=True)
        self._video = VideoWriter(self._video_file, self._rate / self._every, size)
        if self._folder:
            self._table = (self._folder / 'objects.csv').open('w', encoding='utf-8', newline='')
            csv.writer(self._table).writerow(COLUMNS)

    def _write_rows(
        self, table: TextIO, frame: VideoFrame, objects: Sequence[TrackedObject],
        prompts: Mapping[int, Prompt | None],
    ) -> None:
        csv.writer(table).writerows((
            frame.index, frame.name, f'{frame.index / self._rate:.3f}', found.object_id,
            found.state.name.lower(), int(found.object_id in prompts),
            f'{found.mask.iou_prediction:.4f}', f'{found.mask.presence:.4f}', *found.mask.box,
            found.mask.area) for found in objects)
        table.flush()  # for those who watch it grow, and for whoever kills the process


def _labels(
    objects: Sequence[TrackedObject], size: tuple[int, int],
) -> npt.NDArray[np.uint8]:
    """
    Return [height, width] uint8: each pixel is an object's number, 0 = none.

    Where objects overlap, the lowest number wins (``put_per_obj_mask`` in the official
    ``vos_inference.py``).
    """
    labels = np.zeros(size, np.uint8)
    for found in sorted(objects, key=lambda one: -one.object_id):
        x0, y0, x1, y1 = found.mask.box
        labels[y0:y1, x0:x1][found.mask.crop != 0] = found.object_id
    return labels


def _overlay(
    image: npt.NDArray[np.uint8], objects: Sequence[TrackedObject],
    prompts: Mapping[int, Prompt | None],
) -> npt.NDArray[np.uint8]:
    # Large ones first, so that what lies on them stays visible.
    by_size = sorted(objects, key=lambda one: -one.mask.area)
    return draw_overlay(
        image, [(one.object_id, one.mask) for one in by_size],
        [prompt for prompt in prompts.values() if prompt is not None],
        absent=[(one.object_id, 'no mask' if one.state is ObjectState.VISIBLE
                 else one.state.name.lower()) for one in objects if not one.mask.area])
