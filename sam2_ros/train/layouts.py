# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
How scenes are laid out on disk: as COCO instances, as DAVIS, or as shards for training.

A layout makes its files in steps that do not depend on each other. The last file of a step is
written last: where it is, the step is done.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sam2_ros.train.scenes import SceneSource
from sam2_ros.train.shards import clip_shard, image_shard, jpeg, scene_count

# Scenes in a shard.
_IMAGES, _CLIPS = 50, 5


class File(NamedTuple):
    """A file to be written: its path below the output folder, and its bytes."""

    path: str
    content: bytes


class Layout(Protocol):
    """How ``count`` scenes become files."""

    def steps(self, count: int) -> list[str]:
        """Return the last file of every step."""
        ...

    def is_done(self, file: Path, step: int, count: int) -> bool:
        """Say whether ``file``, the last one of a step, is there with all that it must hold."""
        ...

    def files(self, source: SceneSource, step: int, count: int, frames: int) -> Iterator[File]:
        """Yield the files of a step, the last one last."""
        ...

    def summary(self, folder: Path, count: int) -> Iterator[File]:
        """Yield what is written when all steps are done."""
        ...


class Coco:
    """``images/*.jpg`` and ``annotations/instances.json``, as COCO's instances have it."""

    def steps(self, count: int) -> list[str]:
        """Return the annotations of every picture."""
        return [f'annotations/images/{index:012d}.json' for index in range(count)]

    def is_done(self, file: Path, step: int, count: int) -> bool:
        """Say whether it is there."""
        return file.exists()

    def files(self, source: SceneSource, step: int, count: int, frames: int) -> Iterator[File]:
        """Yield a picture and its annotations."""
        from pycocotools import mask as coco_masks

        scene = source.image(step)
        name = f'{step:012d}.jpg'
        height, width = scene.image.shape[:2]
        runs = [coco_masks.encode(np.asfortranarray(mask.view(np.uint8))) for mask in scene.masks]
        annotations = [{
            'id': 1000 * (step + 1) + number, 'image_id': step, 'category_id': 1, 'iscrowd': 0,
            'segmentation': {'size': run['size'], 'counts': run['counts'].decode()},
            'area': int(coco_masks.area(run)), 'bbox': coco_masks.toBbox(run).tolist(),
            'name': made_of,
        } for number, (run, made_of) in enumerate(zip(runs, scene.names, strict=True))]
        yield File(f'images/{name}', jpeg(scene.image))
        yield _json(self.steps(step + 1)[step], {
            'image': {'id': step, 'file_name': name, 'width': width, 'height': height,
                      'kind': scene.kind},
            'annotations': annotations})

    def summary(self, folder: Path, count: int) -> Iterator[File]:
        """Yield the annotations of all pictures in one file."""
        parts = [json.loads((folder / part).read_bytes()) for part in self.steps(count)]
        yield _json('annotations/instances.json', {
            'info': {'description': 'scenes made by sam2-ros scenes'}, 'licenses': [],
            'images': [part['image'] for part in parts],
            'annotations': [annotation for part in parts for annotation in part['annotations']],
            'categories': [{'id': 1, 'name': 'object', 'supercategory': 'object'}]})


class Davis:
    """
    ``JPEGImages/480p``, ``Annotations/480p`` and ``ImageSets/2017/val.txt``, as DAVIS 2017.

    As there, an object is one that is in the first frame, here ``Clip.clickable``; the folders are
    named 480p whatever the size, for the tools that look for them.
    """

    def steps(self, count: int) -> list[str]:
        """Return the description of every clip."""
        return [f'scenes/{_clip_name(index)}.json' for index in range(count)]

    def is_done(self, file: Path, step: int, count: int) -> bool:
        """Say whether it is there."""
        return file.exists()

    def files(self, source: SceneSource, step: int, count: int, frames: int) -> Iterator[File]:
        """Yield the pictures and label maps of a clip, and what its objects are made of."""
        clip, name = source.clip(step, frames), _clip_name(step)
        first = np.flatnonzero(clip.clickable)
        for frame, (image, masks) in enumerate(
                zip(clip.images, clip.masks[:, first], strict=True)):
            yield File(f'JPEGImages/480p/{name}/{frame:05d}.jpg', jpeg(image))
            yield File(f'Annotations/480p/{name}/{frame:05d}.png', _palette_png(masks))
        yield _json(self.steps(step + 1)[step], {
            'kind': clip.kind, 'objects': [clip.names[index] for index in first]})

    def summary(self, folder: Path, count: int) -> Iterator[File]:
        """Yield the list of the clips."""
        names = ''.join(f'{_clip_name(index)}\n' for index in range(count))
        yield File('ImageSets/2017/val.txt', names.encode())


class ImageShards:
    """Shards of 50 pictures, for ``Shards`` to read."""

    def steps(self, count: int) -> list[str]:
        """Return the shards."""
        return [f'images-{number:06d}.tar' for number in range(-(-count // _IMAGES))]

    def is_done(self, file: Path, step: int, count: int) -> bool:
        """Say whether it is there; a smaller ``count`` before may have left it shorter."""
        return file.exists() and scene_count(file) >= min(_IMAGES, count - _IMAGES * step)

    def files(self, source: SceneSource, step: int, count: int, frames: int) -> Iterator[File]:
        """Yield a shard."""
        indices = range(_IMAGES * step, min(count, _IMAGES * (step + 1)))
        content = image_shard([(index, source.image(index)) for index in indices])
        yield File(self.steps(count)[step], content)

    def summary(self, folder: Path, count: int) -> Iterator[File]:
        """Yield nothing: the shards say all."""
        yield from ()


class ClipShards:
    """Shards of 5 clips, for ``Shards`` to read."""

    def steps(self, count: int) -> list[str]:
        """Return the shards."""
        return [f'clips-{number:06d}.tar' for number in range(-(-count // _CLIPS))]

    def is_done(self, file: Path, step: int, count: int) -> bool:
        """Say whether it is there; a smaller ``count`` before may have left it shorter."""
        return file.exists() and scene_count(file) >= min(_CLIPS, count - _CLIPS * step)

    def files(self, source: SceneSource, step: int, count: int, frames: int) -> Iterator[File]:
        """Yield a shard."""
        indices = range(_CLIPS * step, min(count, _CLIPS * (step + 1)))
        content = clip_shard([(index, source.clip(index, frames)) for index in indices])
        yield File(self.steps(count)[step], content)

    def summary(self, folder: Path, count: int) -> Iterator[File]:
        """Yield nothing: the shards say all."""
        yield from ()


LAYOUTS: dict[str, Layout] = {
    'coco': Coco(), 'davis': Davis(), 'image-shards': ImageShards(), 'clip-shards': ClipShards()}


def _clip_name(index: int) -> str:
    return f'clip{index:05d}'


def _json(path: str, content: Any) -> File:
    return File(path, json.dumps(content).encode())


def _palette_png(masks: NDArray[np.bool_]) -> bytes:
    """Return masks [N, H, W] as a PNG of labels 1 to N in DAVIS's colours."""
    # Pillow and not OpenCV, which writes no palettes.
    from PIL import Image

    labels = np.zeros(masks.shape[1:], np.uint8)
    for label, mask in enumerate(masks, 1):
        labels[mask] = label
    picture = Image.fromarray(labels)
    picture.putpalette(_davis_palette())
    stream = io.BytesIO()
    picture.save(stream, 'PNG')
    return stream.getvalue()


def _davis_palette() -> Sequence[int]:
    """Return the colours of labels 0 to 255, as PASCAL VOC and DAVIS have them."""
    palette = []
    for label in range(256):
        colour = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                colour[channel] |= (label >> (3 * bit + channel) & 1) << (7 - bit)
        palette += colour
    return palette
