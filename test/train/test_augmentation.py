# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Augmentation: masks go where their pixels go."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sam2_ros.train.augmentation import augmented

SIDE = 96


def disk() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return three frames of a white disk on black that moves, and its masks."""
    y, x = np.mgrid[:SIDE, :SIDE]
    masks = np.stack([(x - 40 - 4 * frame) ** 2 + (y - 50) ** 2 < 20 ** 2 for frame in range(3)])
    return np.repeat(255 * masks[..., None].astype(np.uint8), 3, -1), masks[:, None]


@pytest.mark.parametrize('seed', range(25))
def test_the_mask_stays_on_the_object(seed: int) -> None:
    images, masks = augmented(np.random.default_rng(seed), *disk())
    assert images.shape == (3, SIDE, SIDE, 3)
    assert images.dtype == np.uint8
    assert masks.shape == (3, 1, SIDE, SIDE)
    assert masks.dtype == bool
    for image, mask in zip(images.astype(float).mean(-1), masks[:, 0], strict=True):
        # White stays the brighter half, whatever colours, blur and noise do.
        bright = image > (image[mask].mean() + image[~mask].mean()) / 2
        assert (bright & mask).sum() / (bright | mask).sum() > .85


def test_the_same_seed_gives_the_same_pictures() -> None:
    first, second = (augmented(np.random.default_rng(3), *disk()) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_pictures_differ_from_seed_to_seed() -> None:
    assert len({augmented(np.random.default_rng(seed), *disk())[0].tobytes()
                for seed in range(8)}) == 8


def test_what_is_given_is_not_changed() -> None:
    images, masks = disk()
    for seed in range(5):
        augmented(np.random.default_rng(seed), images, masks)
    np.testing.assert_array_equal(images, disk()[0])
    np.testing.assert_array_equal(masks, disk()[1])


def test_no_instances() -> None:
    images, masks = augmented(np.random.default_rng(0), disk()[0], np.zeros((3, 0, 96, 96), bool))
    assert images.shape[0] == 3
    assert masks.shape == (3, 0, 96, 96)
