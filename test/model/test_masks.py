# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masks cut out of logits are those of scaling the whole picture."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sam2_ros.model.masks import Mask, upscale, upscale_apart

Logits = npt.NDArray[np.float32]

#: Interpolation weights are single precision, and coordinates go up to the image's size: a pixel
#: whose logit is this close to the threshold, in parts of the largest logit, may fall either way.
NEAR_THRESHOLD = 1e-3

#: Sizes that share divisors with those of masks, and primes, which share none.
SIDES = st.one_of(
    st.sampled_from([1, 2, 3, 7, 64, 97, 128, 240, 256, 257, 480, 512]), st.integers(1, 700))


def full_size(logits: Logits, image_size: tuple[int, int]) -> Logits:
    """``SAM2Transforms.postprocess_masks``."""
    torch = pytest.importorskip('torch')
    scaled = torch.nn.functional.interpolate(
        torch.from_numpy(logits.copy())[None, None], image_size, mode='bilinear',
        align_corners=False)
    return np.asarray(scaled[0, 0].numpy(), np.float32)


def smooth(size: int, seed: int, roughness: int, level: float) -> Logits:
    """Return logits of random blobs; ``level`` shifts them: few are positive at -3, most at 3."""
    random = np.random.default_rng(seed)
    coarse = random.normal(0, 1, (roughness, roughness)).astype(np.float32)
    blobs = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC) + np.float32(level)
    return np.asarray(10 * blobs, np.float32)


def check(logits: Logits, image_size: tuple[int, int], threshold: float) -> Mask:
    """Compare with scaling everything; return the mask."""
    box, crop = upscale(logits, image_size, threshold)
    mask = Mask(box, crop, image_size, 0.5, 1.0)
    found = mask.to_image()
    assert found.shape == image_size
    assert found.dtype == crop.dtype == np.uint8
    assert crop.shape == (box[3] - box[1], box[2] - box[0])
    expected = full_size(logits, image_size)
    uncertain = np.abs(expected - threshold) < NEAR_THRESHOLD * np.abs(logits).max()
    np.testing.assert_array_equal(
        np.where(uncertain, 0, found), np.where(uncertain | (expected <= threshold), 0, 255))
    assert mask.area == np.count_nonzero(found)
    if not mask.area:
        assert box == (0, 0, 0, 0)
        return mask
    rows, columns = (np.flatnonzero(found.any(axis)) for axis in (1, 0))
    assert box == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    return mask


@settings(max_examples=150)
@given(
    size=st.sampled_from([8, 64, 96, 128, 256]), height=SIDES, width=SIDES,
    seed=st.integers(0, 2**32 - 1), roughness=st.integers(2, 12), level=st.floats(-3, 3),
    threshold=st.sampled_from([0.0, 0.0, -2.5, 4.0]))
@example(size=256, height=720, width=1280, seed=0, roughness=6, level=-1, threshold=0.0)
@example(size=256, height=1079, width=1919, seed=1, roughness=9, level=-1, threshold=0.0)
@example(size=256, height=128, width=128, seed=2, roughness=9, level=-1, threshold=0.0)
@example(size=256, height=256, width=256, seed=3, roughness=9, level=-1, threshold=0.0)
def test_the_pixels_are_those_of_scaling_everything(
    size: int, height: int, width: int, seed: int, roughness: int, level: float,
    threshold: float,
) -> None:
    check(smooth(size, seed, roughness, level), (height, width), threshold)


@settings(max_examples=150)
@given(
    data=st.data(), size=st.sampled_from([8, 64, 96]), height=SIDES, width=SIDES,
    inside=st.floats(0.1, 40), outside=st.floats(0.1, 40))
def test_a_rectangle_anywhere_down_to_one_logit(
    data: st.DataObject, size: int, height: int, width: int, inside: float, outside: float,
) -> None:
    logits = np.full((size, size), -outside, np.float32)
    spans = []
    for _ in range(2):
        start = data.draw(st.sampled_from([0, size - 1]) | st.integers(0, size - 1))
        spans.append(slice(start, data.draw(st.integers(start + 1, min(start + 5, size)))))
    logits[spans[0], spans[1]] = inside
    check(logits, (height, width), 0.0)


@settings(max_examples=50)
@given(size=st.sampled_from([8, 64]), height=SIDES, width=SIDES, seed=st.integers(0, 2**32 - 1))
def test_noise(size: int, height: int, width: int, seed: int) -> None:
    check(np.random.default_rng(seed).normal(0, 5, (size, size)).astype(np.float32),
          (height, width), 0.0)


@pytest.mark.parametrize('image_size', [(480, 640), (7, 5), (1, 1), (1080, 1920)])
def test_everything_and_nothing(image_size: tuple[int, int]) -> None:
    height, width = image_size
    everything = check(np.full((64, 64), 3, np.float32), image_size, 0.0)
    assert everything.box == (0, 0, width, height)
    assert everything.area == height * width
    nothing = check(np.full((64, 64), -3, np.float32), image_size, 0.0)
    assert nothing.box == (0, 0, 0, 0)
    assert nothing.crop.shape == (0, 0)
    assert nothing.area == 0
    assert not nothing.to_image().any()


def test_an_object_between_the_pixels_of_a_small_image_is_nothing() -> None:
    logits = np.full((64, 64), -3, np.float32)
    logits[1, 1] = 3
    # Each of the 8 x 8 pixels looks at logits 3 and 4 of its 8 x 8.
    assert check(logits, (8, 8), 0.0).area == 0


def test_on_the_threshold_is_not_the_object() -> None:
    """``SAM2ImagePredictor._predict``: above the threshold."""
    assert upscale(np.zeros((64, 64), np.float32), (100, 100), 0.0)[0] == (0, 0, 0, 0)


def test_nan_is_not_the_object() -> None:
    assert upscale(np.full((64, 64), np.nan, np.float32), (100, 100), 0.0)[0] == (0, 0, 0, 0)


def test_the_logits_stay_as_they_are() -> None:
    logits = smooth(64, 0, 5, 0.0)
    before = logits.copy()
    upscale(logits, (200, 300), 0.0)
    np.testing.assert_array_equal(logits, before)


def test_a_crop_lies_in_one_piece_for_messages() -> None:
    _, crop = upscale(smooth(64, 0, 5, -0.5), (200, 300), 0.0)
    assert crop.flags.c_contiguous
    assert set(np.unique(crop)) == {0, 255}


# Objects that share an image

@settings(max_examples=60)
@given(
    objects=st.integers(1, 4), height=SIDES, width=SIDES, seed=st.integers(0, 2**32 - 1),
    level=st.floats(-2, 2), threshold=st.sampled_from([0.0, -2.5, 4.0]))
def test_a_pixel_belongs_to_the_object_with_the_highest_logit(
    objects: int, height: int, width: int, seed: int, level: float, threshold: float,
) -> None:
    """``SAM2Base._apply_non_overlapping_constraints``, of logits above and below the threshold."""
    size = (height, width)
    logits = [smooth(64, seed + index, 5, level) for index in range(objects)]
    scaled = np.stack([full_size(each, size) for each in logits])
    *_, second, first = np.sort(np.concatenate([np.full((1, *size), threshold), scaled]), axis=0)
    uncertain = first - second < NEAR_THRESHOLD * np.abs(logits).max()
    expected = (scaled == scaled.max(axis=0)) & (scaled > threshold) & ~uncertain
    for (box, crop), pixels in zip(
            upscale_apart(logits, size, threshold), expected, strict=True):
        found = Mask(box, crop, size, 0.5, 1.0).to_image() > 0
        np.testing.assert_array_equal(found & ~uncertain, pixels)
        rows, columns = (np.flatnonzero(found.any(axis)) for axis in (1, 0))
        assert box == ((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if len(rows)
                       else (0, 0, 0, 0))


def test_of_equal_logits_the_first_object_gets_the_pixel() -> None:
    logits = smooth(64, 0, 5, 0)
    (first, crop), (second, _), (third, _) = upscale_apart(
        [logits, logits, np.full_like(logits, -1)], (100, 120), 0.0)
    assert first == upscale(logits, (100, 120), 0.0)[0]
    assert crop.any()
    assert second == third == (0, 0, 0, 0)


def test_no_objects_no_masks() -> None:
    assert upscale_apart([], (100, 120), 0.0) == []
