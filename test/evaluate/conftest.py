# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small sets with exact masks: cut-outs of photographs on other photographs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from sam2_ros.evaluate.errors import BenchmarkError
from sam2_ros.evaluate.link import require_hosts
from sam2_ros.model.image_files import read_photo, write_png

Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

#: Width and height of pictures and frames: unequal, so that no axes are mixed up.
WIDTH, HEIGHT = 200, 160
#: Photographs of scikit-image that objects are cut out of: file, centre and half axes there.
_CUT_OUTS = {
    'cup': ('coffee.png', (300, 170), (150, 120)),
    'cat': ('chelsea.png', (220, 130), (120, 110)),
    'face': ('astronaut.png', (225, 110), (60, 85)),
}
_BACKGROUNDS = ('rocket.jpg', 'coffee.png', 'astronaut.png', 'rocket.jpg')


@pytest.fixture(scope='session')
def can_make_hosts() -> None:
    """Skip what needs two hosts where none can be made, and say what is missing."""
    try:
        require_hosts()
    except BenchmarkError as error:
        pytest.skip(str(error))


def ellipse(x: float, y: float, half_width: float, half_height: float) -> Mask:
    """Return the mask [HEIGHT, WIDTH] of an ellipse."""
    columns, rows = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    return ((columns - x) / half_width) ** 2 + ((rows - y) / half_height) ** 2 <= 1.0


def paste(picture: Image, photos: Path, name: str, mask: Mask) -> None:
    """Put a cut-out where ``mask`` says, stretched to the mask's box."""
    file, (x, y), (half_width, half_height) = _CUT_OUTS[name]
    photo = read_photo(photos / file)
    cut = photo[y - half_height:y + half_height, x - half_width:x + half_width]
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    stretched = cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA)
    region = np.s_[top:top + height, left:left + width]
    picture[region][mask[region]] = stretched[mask[region]]


def background(photos: Path, number: int) -> Image:
    """Return a dim photograph of the size of a picture."""
    photo = read_photo(photos / _BACKGROUNDS[number % len(_BACKGROUNDS)])
    return (cv2.resize(photo, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) // 2).astype(np.uint8)


class CocoFiles:
    """A set of pictures and its description, to be changed and written again."""

    def __init__(self, folder: Path) -> None:
        self.images = folder / 'images'
        self.annotations = folder / 'instances.json'
        self.images.mkdir(parents=True)
        #: The true masks by the ids of their annotations.
        self.masks: dict[int, Mask] = {}
        self.document: dict[str, Any] = {
            'images': [], 'annotations': [],
            'categories': [{'id': 3, 'name': 'cup'}, {'id': 7, 'name': 'cat'},
                           {'id': 8, 'name': 'face'}]}

    def add_image(self, photos: Path, objects: Mapping[str, Mask]) -> None:
        """Add a picture with non-overlapping objects by the names of their categories."""
        from pycocotools import mask as coco_mask

        number = len(self.document['images']) + 1
        picture = background(photos, number)
        categories = {each['name']: each['id'] for each in self.document['categories']}
        for name, mask in objects.items():
            paste(picture, photos, name, mask)
            runs = coco_mask.encode(np.asfortranarray(mask, np.uint8))
            identifier = len(self.masks) + 100
            self.masks[identifier] = mask
            self.document['annotations'].append({
                'id': identifier, 'image_id': number, 'category_id': categories[name],
                'iscrowd': 0, 'area': int(mask.sum()), 'bbox': coco_mask.toBbox(runs).tolist(),
                'segmentation': {'size': runs['size'], 'counts': runs['counts'].decode()}})
        write_png(self.images / f'{number:03}.png', picture)
        self.document['images'].append({
            'id': number, 'file_name': f'{number:03}.png', 'width': WIDTH, 'height': HEIGHT})

    def write(self) -> CocoFiles:
        """Write the description; returns itself."""
        self.annotations.write_text(json.dumps(self.document), encoding='utf-8')
        return self


@pytest.fixture
def make_coco(tmp_path: Path, photos: Path) -> Callable[[], CocoFiles]:
    """Return a function that makes a set of four pictures with seven objects."""
    pytest.importorskip('pycocotools', reason='no pycocotools here: nothing can be evaluated')

    def make() -> CocoFiles:
        files = CocoFiles(tmp_path / 'coco')
        files.add_image(photos, {'cup': ellipse(60, 80, 45, 50), 'cat': ellipse(150, 60, 35, 40)})
        files.add_image(photos, {'face': ellipse(100, 80, 50, 60)})
        files.add_image(photos, {'cat': ellipse(50, 50, 12, 14), 'cup': ellipse(140, 90, 45, 55)})
        files.add_image(photos, {'face': ellipse(150, 110, 9, 8), 'cup': ellipse(70, 70, 50, 40)})
        return files.write()

    return make


class DavisFiles:
    """A set of clips in DAVIS's layout."""

    def __init__(self, root: Path) -> None:
        self.root = root
        #: True masks by clip: of each frame, by the ids of the objects.
        self.masks: dict[str, list[dict[int, Mask]]] = {}

    def frame(self, clip: str, index: int) -> Path:
        """Return the file of a frame."""
        return self.root / 'JPEGImages' / '480p' / clip / f'{index:05}.jpg'

    def mask(self, clip: str, index: int) -> Path:
        """Return the file of a frame's masks."""
        return self.root / 'Annotations' / '480p' / clip / f'{index:05}.png'

    def add_clip(self, photos: Path, name: str, frames: list[dict[int, Mask]]) -> None:
        """Add a clip: of each frame the masks of its objects, 1 the cup, 2 the cat."""
        from PIL import Image as PillowImage

        self.masks[name] = frames
        for index, masks in enumerate(frames):
            picture, ids = background(photos, 0), np.zeros((HEIGHT, WIDTH), np.uint8)
            for key, mask in masks.items():
                if mask.any():
                    paste(picture, photos, ['', 'cup', 'cat'][key], mask)
                ids[mask] = key
            for file in (self.frame(name, index), self.mask(name, index)):
                file.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(self.frame(name, index)), picture[..., ::-1])
            indexed = PillowImage.fromarray(ids).convert('P')
            indexed.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
            indexed.save(self.mask(name, index))


@pytest.fixture
def davis(tmp_path: Path, photos: Path) -> DavisFiles:
    """
    Return a set of two clips.

    ``apart``: the cup moves to the right and leaves in the frames 5 and 6, the cat comes in frame
    2; ``one``: the cup alone, five frames.
    """
    pytest.importorskip('PIL', reason='no Pillow here: nothing can be evaluated')
    files = DavisFiles(tmp_path / 'davis')
    nothing = np.zeros((HEIGHT, WIDTH), np.bool_)
    cups = [ellipse(60 + 5 * index, 100, 40, 38) for index in range(8)]
    cups[5] = cups[6] = nothing
    cats = [nothing if index < 2 else ellipse(150, 40, 34, 32) for index in range(8)]
    files.add_clip(photos, 'apart', [
        {1: cup & ~cat, 2: cat} for cup, cat in zip(cups, cats, strict=True)])
    files.add_clip(photos, 'one', [{1: ellipse(90 + 4 * index, 80, 45, 50)} for index in range(5)])
    return files
