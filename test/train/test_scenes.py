# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scenes: the same for the same seed, whatever was made before; what they promise of masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sam2_ros.train.errors import TrainError
from sam2_ros.train.scenes import SMALLEST, SceneGenerator


@pytest.fixture(scope='module')
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache folder that the generators of this module share."""
    return tmp_path_factory.mktemp('cache')


@pytest.fixture
def make(scene_assets: Path, cache: Path) -> Any:
    """Return a function that makes a generator of composites."""
    def generator(split: str = 'train', size: int = 128, seed: int = 0) -> SceneGenerator:
        return SceneGenerator(split, size, seed, assets=scene_assets, cache=cache,
                              kind='composite', partial=True)
    return generator


@pytest.mark.parametrize('split', ['train', 'held_out'])
def test_a_picture_has_instances_that_can_be_seen(make: Any, split: str) -> None:
    names = set()
    for index in range(20):
        scene = make(split).image(index)
        assert scene.image.shape == (128, 128, 3)
        assert scene.image.dtype == np.uint8
        assert scene.masks.dtype == bool
        assert scene.masks.shape == (len(scene.names), 128, 128)
        assert len(scene.names) > 0
        assert scene.masks.sum((1, 2)).min() >= SMALLEST / 4
        names |= {name.partition(':')[0] for name in scene.names}
    assert names == {'shape', '@lobehub/fluent-emoji-3d'}


def test_instances_overlap_only_where_one_is_a_part_of_another(make: Any) -> None:
    nested = 0
    for index in range(30):
        masks = make().image(index).masks
        assert make('held_out').image(index).masks.sum(0).max() <= 1
        for first in range(len(masks)):
            for second in range(first):
                both = (masks[first] & masks[second]).sum()
                # the whole part, or what of it is not hidden, is in the thing
                assert both in (0, masks[first].sum(), masks[second].sum())
                nested += both > 0
    assert nested > 0


def test_a_scene_depends_on_seed_and_index_alone(make: Any) -> None:
    generator = make()
    in_order = [generator.image(index) for index in range(4)]
    for index in (3, 0):
        again = make().image(index)
        np.testing.assert_array_equal(again.image, in_order[index].image)
        np.testing.assert_array_equal(again.masks, in_order[index].masks)
        assert again.names == in_order[index].names
    for other in (make(seed=1).image(0), make('held_out').image(0), in_order[1]):
        assert not np.array_equal(other.image, in_order[0].image)


def test_a_cold_cache_gives_the_same_scene(
    make: Any, scene_assets: Path, tmp_path: Path,
) -> None:
    cold = SceneGenerator('train', 128, 0, assets=scene_assets, cache=tmp_path / 'cold',
                          kind='composite', partial=True)
    np.testing.assert_array_equal(cold.image(2).image, make().image(2).image)


def test_a_clip_begins_with_an_instance_and_moves(make: Any) -> None:
    generator = make()
    absent, hidden_and_back = 0, 0
    for index in range(12):
        clip = generator.clip(index, 10)
        assert clip.images.shape == (10, 128, 128, 3)
        assert clip.masks.shape == (10, len(clip.names), 128, 128)
        assert clip.clickable.any()
        np.testing.assert_array_equal(clip.clickable, clip.masks[0].sum((1, 2)) >= 150 / 4)
        assert clip.masks.any((0, 2, 3)).all()
        assert (clip.images[0] != clip.images[-1]).any()
        there = clip.masks.any((2, 3))
        absent += (~there).any(0).sum()
        # It showed, then did not, then did: the last time it shows is after it was gone.
        hidden_and_back += sum(
            (~column[:np.flatnonzero(column)[-1]]).any() for column in there.T if column[0])
    assert absent > 0, 'nothing ever leaves or is hidden'
    assert hidden_and_back > 0, 'nothing ever comes back'


def test_frames_of_a_shorter_clip_begin_the_longer_one(make: Any) -> None:
    long, short = make('held_out').clip(0, 6), make('held_out').clip(0, 3)
    np.testing.assert_array_equal(short.images, long.images[:3])


@pytest.mark.parametrize(('change', 'message'), [
    ({'split': 'test'}, "'test' is no split: train or held_out"),
    ({'size': 8}, 'a size of 8 pixels: 32 or more are needed'),
    ({'seed': -1}, 'a seed of -1: 0 or more is needed'),
    ({'kind': 'photo'}, "'photo' is no kind of scene: render or composite"),
    ({'assets': Path('/nowhere')}, '/nowhere: no such folder of assets'),
    ({'partial': False}, 'assets that are not here: gnome-backgrounds (Debian), '),
])
def test_bad_arguments_are_told_in_one_line(
    scene_assets: Path, tmp_path: Path, change: dict[str, Any], message: str,
) -> None:
    arguments = {'split': 'train', 'assets': scene_assets, 'cache': tmp_path, 'kind': 'composite',
                 'partial': True, **change}
    with pytest.raises(TrainError) as raised:
        SceneGenerator(**arguments)
    assert str(raised.value).startswith(message)
    assert '\n' not in str(raised.value)


def test_what_is_missing_is_said_when_scenes_are_made_without_it(
    make: Any, caplog: pytest.LogCaptureFixture,
) -> None:
    make()
    assert 'scenes are made without assets that are not here: gnome-backgrounds' in caplog.text


def test_a_negative_index_and_no_frames_are_refused(make: Any) -> None:
    with pytest.raises(TrainError, match='an index of -1: 0 or more is needed'):
        make().image(-1)
    with pytest.raises(TrainError, match='a clip of 0 frames: 1 or more are needed'):
        make().clip(0, 0)
