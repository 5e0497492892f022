# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Scenes on disk, made once and read often: tar files of JPEG pictures and PNG label maps.

A shard ``images-000007.tar`` or ``clips-000007.tar`` holds, for each of its scenes, the folder
``<index>/`` with ``00000.jpg``, ``00000.png``, ... (one pair a frame) and ``scene.json``: the
kind, the names of the instances, and the labels that each instance is made of.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sam2_ros.train.errors import TrainError
from sam2_ros.train.label_maps import label_map, masks_of
from sam2_ros.train.material import encoded
from sam2_ros.train.scenes import Clip, Scene
from sam2_ros.train.textures import Image

JPEG_QUALITY = 95


def image_shard(scenes: Sequence[tuple[int, Scene]]) -> bytes:
    """Return a shard of pictures and their indices."""
    return _shard((index, _members(scene.image[None], scene.masks[None], scene.names, scene.kind))
                  for index, scene in scenes)


def clip_shard(clips: Sequence[tuple[int, Clip]]) -> bytes:
    """Return a shard of clips and their indices."""
    return _shard((index, _members(clip.images, clip.masks, clip.names, clip.kind))
                  for index, clip in clips)


def scene_count(file: Path) -> int:
    """Return how many scenes a shard holds; :raises TrainError: it is none."""
    return sum(1 for _ in _scenes_of(file))


def jpeg(image: Image) -> bytes:
    """Return uint8 [H, W, 3], RGB, as JPEG."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    return cv2.imencode('.jpg', image[..., ::-1], quality)[1].tobytes()


class Shards:
    """
    The scenes of all shards in a folder and the folders below it, in the order of the files' names.

    Has ``image(number)`` and ``clip(number, frames)`` as a SceneGenerator has; the numbers count
    what is there, ``0 <= number < image_count`` or ``clip_count``. Cheap to copy into a process.

    :raises TrainError: no such folder, or a file in it is no shard.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.refresh()

    def refresh(self) -> None:
        """Take in the shards that came since; the numbers of the others may change."""
        if not self.folder.is_dir():
            raise TrainError(f'{self.folder}: no such folder of shards')
        self._images = _listed(self.folder, 'images-*.tar')
        self._clips = _listed(self.folder, 'clips-*.tar')

    @property
    def image_count(self) -> int:
        """Number of pictures."""
        return len(self._images)

    @property
    def clip_count(self) -> int:
        """Number of clips."""
        return len(self._clips)

    def image(self, number: int) -> Scene:
        """Return a picture; :raises TrainError: it cannot be read."""
        images, masks, names, kind = _read(self._images[number], 1)
        return Scene(images[0], masks[0], names, kind)

    def clip(self, number: int, frames: int = 8) -> Clip:
        """Return the first frames of a clip; :raises TrainError: it has fewer."""
        stored = self._clips[number]
        if len(stored.frames) < frames:
            raise TrainError(
                f'{stored.file}: clip {number} has {len(stored.frames)} frames, not {frames}')
        return Clip(*_read(stored, frames))


class _Part(NamedTuple):
    """Where a member's bytes are in a shard."""

    offset: int
    size: int


class _Stored(NamedTuple):
    """A scene in a shard: its description, and picture and label map of each frame."""

    file: Path
    scene: _Part
    frames: tuple[tuple[_Part, _Part], ...]


def _members(
    images: Image, masks: NDArray[np.bool_], names: Sequence[str], kind: str,
) -> Iterator[tuple[str, bytes]]:
    labels, regions = label_map(masks.swapaxes(0, 1))
    description = {'kind': kind, 'names': list(names), 'regions': regions}
    yield 'scene.json', json.dumps(description).encode()
    for frame, (image, label) in enumerate(zip(images, labels, strict=True)):
        yield f'{frame:05d}.jpg', jpeg(image)
        yield f'{frame:05d}.png', encoded(label)


def _shard(scenes: Iterator[tuple[int, Iterator[tuple[str, bytes]]]]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode='w', format=tarfile.USTAR_FORMAT) as shard:
        for index, members in scenes:
            for name, content in members:
                # TarInfo's defaults, owner 0 and time 0: the same bytes wherever it is made.
                member = tarfile.TarInfo(f'{index:08d}/{name}')
                member.size = len(content)
                shard.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def _listed(folder: Path, pattern: str) -> list[_Stored]:
    return [stored for file in sorted(folder.rglob(pattern)) for stored in _scenes_of(file)]


def _scenes_of(file: Path) -> Iterator[_Stored]:
    parts: dict[str, dict[str, _Part]] = {}
    try:
        with tarfile.open(file, 'r:') as shard:
            for member in shard:
                index, _, name = member.name.partition('/')
                parts.setdefault(index, {})[name] = _Part(member.offset_data, member.size)
        for members in parts.values():
            frames = sorted(name for name in members if re.fullmatch(r'\d+\.jpg', name))
            yield _Stored(file, members['scene.json'], tuple(
                (members[name], members[name.replace('.jpg', '.png')]) for name in frames))
    except (OSError, KeyError, tarfile.TarError) as error:
        raise TrainError(f'{file}: no shard of scenes: {error}') from None


def _read(
    stored: _Stored, frames: int,
) -> tuple[Image, NDArray[np.bool_], tuple[str, ...], str]:
    """Return images uint8 [T, H, W, 3], masks bool [T, N, H, W], names and kind."""
    try:
        with stored.file.open('rb') as stream:
            description: dict[str, Any] = json.loads(_bytes(stream, stored.scene))
            pairs = [(_bytes(stream, image), _bytes(stream, labels))
                     for image, labels in stored.frames[:frames]]
        images = np.stack([_decoded(image, cv2.IMREAD_COLOR)[..., ::-1] for image, _ in pairs])
        labels = np.stack([_decoded(label, cv2.IMREAD_GRAYSCALE) for _, label in pairs])
        masks = masks_of(labels, description['regions']).swapaxes(0, 1)
        return (np.ascontiguousarray(images), np.ascontiguousarray(masks),
                tuple(description['names']), description['kind'])
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise TrainError(f'{stored.file}: a damaged shard: {error}') from None


def _bytes(stream: io.BufferedReader, part: _Part) -> bytes:
    stream.seek(part.offset)
    return stream.read(part.size)


def _decoded(content: bytes, flags: int) -> NDArray[np.uint8]:
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    if picture is None:
        raise ValueError('a picture that cannot be decoded')
    return np.asarray(picture, np.uint8)


