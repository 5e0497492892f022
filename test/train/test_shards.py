# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shards: what was written is read, also while more comes; damage is told."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from sam2_ros.train.errors import TrainError
from sam2_ros.train.scenes import Clip, Scene, SceneGenerator
from sam2_ros.train.shards import Shards, clip_shard, image_shard


@pytest.fixture(scope='module')
def generator(scene_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> SceneGenerator:
    """Return a generator of small composites."""
    return SceneGenerator('train', 96, 0, assets=scene_assets, cache=tmp_path_factory.mktemp('c'),
                          kind='composite', partial=True)


@pytest.fixture(scope='module')
def scenes(generator: SceneGenerator) -> list[Scene]:
    """Return four pictures."""
    return [generator.image(index) for index in range(4)]


@pytest.fixture(scope='module')
def clips(generator: SceneGenerator) -> list[Clip]:
    """Return two clips of five frames."""
    return [generator.clip(index, 5) for index in range(2)]


@pytest.fixture
def folder(tmp_path: Path, scenes: list[Scene], clips: list[Clip]) -> Path:
    """Return a folder with a shard of pictures and, further down, one of clips."""
    (tmp_path / 'images-000000.tar').write_bytes(image_shard(list(enumerate(scenes))))
    (tmp_path / 'more').mkdir()
    (tmp_path / 'more' / 'clips-000000.tar').write_bytes(clip_shard(list(enumerate(clips))))
    return tmp_path


def test_pictures_come_back(folder: Path, scenes: list[Scene]) -> None:
    shards = Shards(folder)
    assert shards.image_count == 4
    for number, scene in enumerate(scenes):
        read = shards.image(number)
        np.testing.assert_array_equal(read.masks, scene.masks)
        assert (read.names, read.kind) == (scene.names, scene.kind)
        # JPEG at quality 95 changes a pixel by a few grey levels, and more at coloured edges.
        assert np.abs(read.image.astype(int) - scene.image).mean() < 5


def test_clips_come_back_as_long_as_asked(folder: Path, clips: list[Clip]) -> None:
    shards = Shards(folder)
    assert shards.clip_count == 2
    for frames in (5, 3):
        read = shards.clip(1, frames)
        np.testing.assert_array_equal(read.masks, clips[1].masks[:frames])
        assert read.images.shape == (frames, 96, 96, 3)
    with pytest.raises(TrainError, match='clip 1 has 5 frames, not 6'):
        shards.clip(1, 6)


def test_shards_go_to_another_process(folder: Path) -> None:
    shards = Shards(folder)
    copy: Shards = pickle.loads(pickle.dumps(shards))
    np.testing.assert_array_equal(copy.image(2).image, shards.image(2).image)


def test_shards_that_come_later_are_taken_in(folder: Path, scenes: list[Scene]) -> None:
    shards = Shards(folder)
    (folder / 'images-000001.tar').write_bytes(image_shard([(4, scenes[0])]))
    assert shards.image_count == 4
    shards.refresh()
    assert shards.image_count == 5
    np.testing.assert_array_equal(shards.image(4).masks, scenes[0].masks)


def test_a_shard_has_the_same_bytes_whenever_it_is_made(scenes: list[Scene]) -> None:
    assert image_shard([(0, scenes[0])]) == image_shard([(0, scenes[0])])


@pytest.mark.parametrize('content', [b'', b'no tar' * 200])
def test_a_file_that_is_no_shard_is_named(folder: Path, content: bytes) -> None:
    (folder / 'images-000009.tar').write_bytes(content)
    with pytest.raises(TrainError, match=r'images-000009\.tar: no shard of scenes'):
        Shards(folder)


def test_damage_is_told_when_it_is_met(folder: Path) -> None:
    shards = Shards(folder)
    file = folder / 'images-000000.tar'
    file.write_bytes(file.read_bytes().replace(b'\x89PNG', b'\x00PNG'))
    with pytest.raises(TrainError, match=r'images-000000\.tar: a damaged shard'):
        shards.image(0)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match='no such folder of shards'):
        Shards(tmp_path / 'nowhere')
