# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Batches: which objects of which frames, and that a seed gives the same ones again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip('torch', reason='no PyTorch here: nothing can be trained')
pytest.importorskip('sam2', reason='no sam2 here: nothing can be trained')

import torch

from sam2_ros.train.errors import TrainError
from sam2_ros.train.losses import MaskLosses
from sam2_ros.train.tasks import ClipTask, Shot, ShotSource, TaskOptions


def task(squares: ShotSource, **options: Any) -> ClipTask:
    """Return a task on moving squares, seen at 64 x 64 pixels."""
    return ClipTask(squares, TaskOptions(**options), MaskLosses(), image_size=64)


def test_a_batch_has_the_objects_of_every_scene_on_their_own_pictures(squares: ShotSource) -> None:
    clip = task(squares, frames=4, scenes=2, objects=3, leaps=0).batch(np.random.default_rng(0))

    assert clip.pictures.shape == (8, 3, 64, 64)
    assert clip.masks.shape == (4, 6, 64, 64)
    assert clip.picture_of.tolist() == [
        [frame] * 3 + [4 + frame] * 3 for frame in range(4)]
    for frame, picture in enumerate(clip.picture_of[:, 0]):
        # the first object is brighter than its background
        grey = clip.pictures[picture].float().mean(dim=0)
        for mask in clip.masks[frame, :3]:
            if bool(mask.any()):
                assert grey[mask].mean() > 1.3 * grey[~mask].median()


def test_objects_that_vanish_come_first(squares: ShotSource) -> None:
    clip = task(squares, frames=4, scenes=1, objects=1, leaps=0).batch(np.random.default_rng(0))

    assert clip.masks[:, 0].flatten(1).any(dim=1).tolist() == [True, True, False, False]


def test_frames_are_counted_with_their_gaps(squares: ShotSource) -> None:
    leaping = task(squares, frames=4, scenes=1, objects=1, leaps=1, leap=9)

    numbers = [leaping.batch(np.random.default_rng(seed)).numbers for seed in range(20)]

    assert all(number[0] == 0 and number[2] - number[1] == number[3] - number[2] == 1
               for number in numbers)
    assert {number[1] for number in numbers} > {1, 9}
    assert max(number[3] for number in numbers) == TaskOptions(frames=4, leaps=1, leap=9).longest


def test_scenes_without_an_object_that_is_large_enough_are_told(squares: ShotSource) -> None:
    with pytest.raises(TrainError, match=r'of 200 scenes, 0 had an object of 0\.9 of the picture'):
        task(squares, scenes=1, smallest=0.9).batch(np.random.default_rng(0))


def test_a_cut_shows_an_object_the_next_scene_once(squares: ShotSource) -> None:
    clip = task(squares, frames=4, scenes=2, objects=2, leaps=0, cuts=1).batch(
        np.random.default_rng(0))
    own = torch.tensor([[frame, frame, 4 + frame, 4 + frame] for frame in range(4)])

    away = clip.picture_of != own

    assert away.sum(dim=0).tolist() == [1, 1, 1, 1]
    assert not bool(away[0].any())
    assert not bool(clip.masks[away].any())
    assert torch.equal(clip.picture_of[away] % 4, own[away] % 4)


def test_the_same_numbers_give_the_same_batch(squares: ShotSource) -> None:
    some = task(squares, frames=2, scenes=2)
    first, second = (some.batch(np.random.default_rng(3)) for _ in range(2))

    assert torch.equal(first.pictures, second.pictures)
    assert torch.equal(first.masks, second.masks)


def test_clips_are_drawn_until_an_object_vanishes() -> None:
    class Seldom:
        """Every fourth clip loses its object; pictures are like clips of one frame."""

        def __init__(self) -> None:
            self.drawn = 0

        def draw(self, rng: np.random.Generator, numbers: tuple[int, ...]) -> Shot:
            self.drawn += 1
            masks = np.zeros((len(numbers), 1, 64, 64), bool)
            masks[:, :, 20:40, 20:40] = True
            if self.drawn % 4 == 0:
                masks[1:] = False
            return Shot(np.zeros((len(numbers), 64, 64, 3), np.uint8), masks, numbers)

    always, never = (
        ClipTask(Seldom(), TaskOptions(frames=3, scenes=5, leaps=0, vanishing=share),
                 MaskLosses(), image_size=64).batch(np.random.default_rng(0))
        for share in (1, 0))

    assert not always.masks[1:].any()
    assert always.masks[0].any()
    assert int(never.masks[2].flatten(1).any(dim=1).sum()) == 4


def test_a_task_may_have_a_picture_size_of_its_own(squares: ShotSource) -> None:
    small = task(squares, scenes=1).batch(np.random.default_rng(0))
    large = task(squares, scenes=1, image_size=128).batch(np.random.default_rng(0))

    assert small.pictures.shape[-2:] == (64, 64)
    assert large.pictures.shape[-2:] == (128, 128)
