# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered scenes, with PyBullet: masks fit the picture, and scenes do not depend on each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('pybullet', reason='no PyBullet here: nothing can be rendered')

from sam2_ros.train.scenes import SceneGenerator


@pytest.fixture(scope='module')
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache folder that the generators of this module share."""
    return tmp_path_factory.mktemp('cache')


def renders(split: str, scene_assets: Path, cache: Path) -> SceneGenerator:
    return SceneGenerator(
        split, 128, 0, assets=scene_assets, cache=cache, kind='render', partial=True)


@pytest.mark.parametrize('split', ['train', 'held_out'])
def test_a_render_has_instances_of_its_split(
    scene_assets: Path, cache: Path, split: str,
) -> None:
    generator = renders(split, scene_assets, cache)
    names: set[str] = set()
    for index in range(6):
        scene = generator.image(index)
        assert scene.kind == 'render'
        assert scene.image.shape == (128, 128, 3)
        assert scene.masks.any((1, 2)).all()
        assert scene.masks.sum(0).max() == 1
        names |= set(scene.names)
    numbers = {int(Path(name).stem) for name in names if name.startswith('random_urdfs')}
    assert numbers
    assert all((number >= 900) == (split == 'held_out') for number in numbers)
    assert any(name.startswith('own mesh') for name in names) == (split == 'train')


def test_masks_end_where_the_picture_has_edges(scene_assets: Path, cache: Path) -> None:
    """Colours change more across the outline of an instance than within it."""
    generator = renders('held_out', scene_assets, cache)
    across, within = [], []
    for index in range(6):
        scene = generator.image(index)
        image = scene.image.astype(float)
        step = np.abs(image[:, 1:] - image[:, :-1]).mean(-1)
        for mask in scene.masks:
            edge = mask[:, 1:] != mask[:, :-1]
            across.append(step[edge].mean())
            within.append(step[mask[:, 1:] & mask[:, :-1]].mean())
    assert np.median(across) > 2 * np.median(within)


def test_a_render_depends_on_its_index_alone(scene_assets: Path, cache: Path) -> None:
    generator = renders('train', scene_assets, cache)
    in_order = [generator.image(index) for index in range(3)]
    for index in (2, 0):
        again = renders('train', scene_assets, cache).image(index)
        np.testing.assert_array_equal(again.image, in_order[index].image)
        np.testing.assert_array_equal(again.masks, in_order[index].masks)


def test_a_rendered_clip_moves(scene_assets: Path, cache: Path) -> None:
    generator = renders('held_out', scene_assets, cache)
    for index in range(2):
        clip = generator.clip(index, 6)
        assert clip.kind == 'render'
        assert clip.masks[0].any()
        assert (clip.images[0] != clip.images[5]).any()
        assert (clip.masks[0] != clip.masks[5]).any()


def test_composites_show_cut_outs_of_renders(scene_assets: Path, cache: Path) -> None:
    generator = SceneGenerator('train', 96, 0, assets=scene_assets, cache=cache, partial=True)
    assert any(name.startswith('cut-out of a render:')
               for index in range(20) for name in generator.image(index).names)
