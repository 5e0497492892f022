# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Holes are filled as the official post-processing does it."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label

from sam2_ros.model.holes import fill_holes

Logits = npt.NDArray[np.float32]


def speckled(size: int, seed: int, level: float) -> Logits:
    """Return logits with many small regions of either sign, some of them exactly zero."""
    random = np.random.default_rng(seed)
    coarse = random.normal(0, 1, (size // 2, size // 2)).astype(np.float32)
    logits = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC) + np.float32(level)
    logits[random.random((size, size)) < 0.02] = 0
    return np.asarray(logits, np.float32)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), level=st.floats(-1, 2), max_area=st.integers(1, 40))
def test_the_same_as_the_official_function(seed: int, level: float, max_area: int) -> None:
    torch = pytest.importorskip('torch')
    misc = pytest.importorskip('sam2.utils.misc')

    def connected_components(background: npt.NDArray[np.bool_]) -> tuple[object, object]:
        """Stand in for ``sam2.utils.misc.get_connected_components``, which needs a GPU."""
        labels = label(background[0, 0].numpy(), connectivity=2)
        areas = np.bincount(labels.ravel())[labels]
        return torch.from_numpy(labels)[None, None], torch.from_numpy(areas)[None, None]

    logits = speckled(48, seed, level)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(misc, 'get_connected_components', connected_components)
        expected = misc.fill_holes_in_mask_scores(
            torch.from_numpy(logits.copy())[None, None], max_area)
    np.testing.assert_array_equal(fill_holes(logits, max_area), expected[0, 0].numpy())


def test_a_hole_is_connected_over_corners() -> None:
    logits = np.ones((20, 20), np.float32)
    logits[5, 5] = logits[6, 6] = -3
    logits[10, 10] = -3
    filled = fill_holes(logits, 1)
    assert filled[5, 5] == filled[6, 6] == -3
    assert filled[10, 10] == np.float32(0.1)
    assert (fill_holes(logits, 2) > 0).all()


def test_the_background_is_no_hole_and_the_logits_given_stay() -> None:
    nothing = np.full((64, 64), -1024, np.float32)
    np.testing.assert_array_equal(fill_holes(nothing, 8), nothing)
    logits = speckled(64, 0, 1)
    kept = logits.copy()
    assert (fill_holes(logits, 8) != kept).any()
    np.testing.assert_array_equal(logits, kept)


def test_no_area_fills_nothing() -> None:
    logits = speckled(64, 0, 1)
    np.testing.assert_array_equal(fill_holes(logits, 0), logits)
