# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masks given by people become the logits that the official code makes of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from sam2_ros.model.mask_prompts import mask_to_logits


def disc(height: int, width: int) -> npt.NDArray[np.bool_]:
    """Return a filled ellipse in the left upper part of the picture."""
    y, x = np.mgrid[:height, :width]
    return np.asarray((x / width - 0.4) ** 2 + (y / height - 0.45) ** 2 < 0.1)


@pytest.mark.parametrize('shape', [(480, 640), (1080, 1920), (100, 37), (64, 64)])
def test_the_object_stays_where_it_is(shape: tuple[int, int]) -> None:
    logits = mask_to_logits(disc(*shape), 64)
    assert logits.shape == (64, 64)
    assert logits.dtype == np.float32
    assert logits.min() == -10.0
    assert logits.max() == 10.0
    expected = disc(64, 64)
    # Only logits on the outline, about 160 of 4096, may fall to the other side.
    assert np.count_nonzero((logits > 0) != expected) < 100


def test_bytes_and_booleans_are_the_same() -> None:
    mask = disc(480, 640)
    np.testing.assert_array_equal(
        mask_to_logits(mask, 256), mask_to_logits(mask.astype(np.uint8) * 255, 256))


def test_same_as_the_official_code() -> None:
    torch = pytest.importorskip('torch')
    mask = disc(1024, 1024)
    logits = torch.from_numpy(mask)[None, None].float() * 20.0 - 10.0
    official = torch.nn.functional.interpolate(
        logits, size=(256, 256), mode='bilinear', align_corners=False, antialias=True)
    ours = mask_to_logits(mask, 256)
    # The official filter is a triangle over 8 pixels, ours the mean over 4: they differ only
    # where the outline passes.
    assert np.abs(ours - official[0, 0].numpy()).mean() < 0.1
    assert np.count_nonzero((ours > 0) != (official[0, 0].numpy() > 0)) < 20
