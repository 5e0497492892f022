# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masks as numbered regions, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from sam2_ros.train.label_maps import label_map, masks_of


@given(masks=arrays(bool, st.tuples(st.integers(0, 5), st.integers(1, 6), st.integers(1, 7))))
def test_masks_come_back_whatever_they_share(masks: NDArray[np.bool_]) -> None:
    labels, regions = label_map(masks)
    np.testing.assert_array_equal(masks_of(labels, regions), masks)


def test_masks_that_do_not_overlap_are_one_region_each() -> None:
    masks = np.zeros((3, 4, 4), bool)
    masks[0, :2], masks[1, 2], masks[2, 3] = True, True, True
    labels, regions = label_map(masks)
    assert regions == [[1], [2], [3]]
    np.testing.assert_array_equal(labels[:, 0], [1, 1, 2, 3])


def test_a_part_is_a_region_of_its_own() -> None:
    masks = np.zeros((2, 4, 4), bool)
    masks[0], masks[1, 1:3, 1:3] = True, True
    labels, regions = label_map(masks)
    assert regions[1] == [labels[1, 1]]
    assert sorted(regions[0]) == sorted({labels[0, 0], labels[1, 1]})


def test_more_regions_than_a_byte_counts_are_refused() -> None:
    masks = np.eye(256, dtype=bool).reshape(256, 16, 16)
    with pytest.raises(ValueError, match='256 regions: a label map has 255 or less'):
        label_map(masks)
