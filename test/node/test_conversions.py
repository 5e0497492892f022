# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ROS images to RGB and back; every kind of damage is refused."""

from __future__ import annotations

import array
import sys
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

pytest.importorskip('sensor_msgs', reason='no ROS 2 in this environment')

from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from sam2_ros.model.errors import ImageError
from sam2_ros.node import conversions
from sam2_ros.node.conversions import (
    image_to_rgb,
    logits_from_image,
    to_image,
    to_jpeg,
    to_rgb,
)

pictures = st_numpy.arrays(
    np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))


def padded(pixels: npt.NDArray[Any], encoding: str, padding: int) -> Image:
    """Return an Image whose rows end with `padding` bytes that mean nothing."""
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(len(pixels), -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    message = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding,
                    step=rows.shape[1])
    message.data = array.array('B', rows.tobytes())
    return message


@given(pictures, st.integers(0, 5))
def test_every_order_of_colours_gives_rgb(picture: Any, padding: int) -> None:
    alpha = np.full((*picture.shape[:2], 1), 255, np.uint8)
    bgr = picture[..., ::-1]
    for encoding, pixels in {
        'rgb8': picture, 'bgr8': bgr, '8UC3': bgr,
        'rgba8': np.concatenate([picture, alpha], 2), 'bgra8': np.concatenate([bgr, alpha], 2),
        'rgb16': picture.astype(np.uint16) * 257, 'bgr16': bgr.astype(np.uint16) * 257,
    }.items():
        np.testing.assert_array_equal(image_to_rgb(padded(pixels, encoding, padding)), picture)


@given(pictures, st.integers(0, 5))
def test_grey_is_three_times_the_same(picture: Any, padding: int) -> None:
    grey = np.ascontiguousarray(picture[..., 0])
    expected = np.repeat(grey[..., None], 3, 2)
    for encoding, pixels in {
        'mono8': grey, '8UC1': grey, 'mono16': grey.astype(np.uint16) * 257,
    }.items():
        np.testing.assert_array_equal(image_to_rgb(padded(pixels, encoding, padding)), expected)


def test_16_bits_of_the_other_byte_order() -> None:
    grey = np.full((4, 6), 200, np.uint16) * 257 + 40
    message = padded(grey.byteswap(), 'mono16', 0)
    message.is_bigendian = int(sys.byteorder == 'little')
    assert (image_to_rgb(message) == 200).all()


def test_bayer_and_yuv_come_out_in_their_colours(coffee: Any) -> None:
    red, green, blue = (coffee[..., channel] for channel in range(3))
    mosaic = green.copy()
    mosaic[0::2, 0::2], mosaic[1::2, 1::2] = red[0::2, 0::2], blue[1::2, 1::2]
    found = image_to_rgb(padded(mosaic, 'bayer_rggb8', 0))
    # demosaicing blurs: the mean of a channel is what must stay (red and blue differ by 60 here)
    np.testing.assert_allclose(found.mean((0, 1)), coffee.mean((0, 1)), atol=2)
    yuyv = cv2.cvtColor(coffee, cv2.COLOR_RGB2YUV_YUYV)
    for encoding, pixels in {
        'yuv422_yuy2': yuyv, 'yuyv': yuyv, 'yuv422': yuyv[..., ::-1], 'uyvy': yuyv[..., ::-1],
    }.items():
        found = image_to_rgb(padded(np.ascontiguousarray(pixels), encoding, 0))
        np.testing.assert_allclose(found.mean((0, 1)), coffee.mean((0, 1)), atol=2)


def test_rgb8_is_not_copied(coffee: Any) -> None:
    message = to_image(coffee, 'rgb8', Header())
    assert np.shares_memory(image_to_rgb(message), np.frombuffer(message.data, np.uint8))


@given(pictures)
def test_there_and_back(picture: Any) -> None:
    message = to_image(picture, 'rgb8', Header(frame_id='camera'))
    assert message.header.frame_id == 'camera'
    np.testing.assert_array_equal(image_to_rgb(message), picture)
    logits = picture[..., 0].astype(np.float32)
    np.testing.assert_array_equal(logits_from_image(to_image(logits, '32FC1', Header())), logits)


def test_jpeg_there_and_back(coffee: Any) -> None:
    message = to_jpeg(coffee, 95, Header())
    difference = to_rgb(message).astype(int) - coffee
    assert abs(difference).mean() < 3  # quality 95 changes a photograph by about 1.5


def test_a_grey_jpeg_is_rgb_too() -> None:
    grey = np.full((8, 8), 77, np.uint8)
    message = CompressedImage(format='jpeg')
    message.data = array.array('B', cv2.imencode('.jpg', grey)[1].tobytes())
    assert to_rgb(message).shape == (8, 8, 3)


@pytest.mark.parametrize(('fields', 'reason'), [
    ({'data': array.array('B')}, 'empty'),
    ({'width': 0}, 'empty'),
    ({'height': 0}, 'empty'),
    ({'encoding': '32FC1'}, "encoding '32FC1'"),
    ({'encoding': ''}, "encoding ''"),
    ({'step': 5}, 'step 5'),
    ({'step': 60}, 'step 60 x height 8 is 480'),
    ({'height': 9}, 'height 9'),
    ({'encoding': 'yuv422', 'width': 9}, '9 pixels wide, but yuv422 holds pixels in pairs'),
])
def test_a_malformed_image_is_refused(fields: dict[str, Any], reason: str) -> None:
    message = to_image(np.zeros((8, 10, 3), np.uint8), 'rgb8', Header())
    for name, value in fields.items():
        setattr(message, name, value)
    with pytest.raises(ImageError, match=reason):
        image_to_rgb(message)


@pytest.mark.parametrize(('data', 'format_', 'reason'), [
    (b'', 'jpeg', 'empty'), (b'no picture', 'jpeg', 'cannot be decoded'),
    (b'x', '16UC1; compressedDepth', 'depth image'),
])
def test_a_malformed_compressed_image_is_refused(data: bytes, format_: str, reason: str) -> None:
    message = CompressedImage(format=format_)
    message.data = array.array('B', data)
    with pytest.raises(ImageError, match=reason):
        to_rgb(message)


def test_a_bridge_that_does_not_work_gives_way_to_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip('rosbags.image')
    # as when pip brought another NumPy than cv_bridge was compiled for
    monkeypatch.setattr(conversions, '_cv_bridge', lambda: lambda message: 1 / 0)
    conversions._bridge.cache_clear()
    assert image_to_rgb(to_image(np.zeros((2, 2), np.uint8), 'mono8', Header())).shape == (2, 2, 3)
    conversions._bridge.cache_clear()


def test_without_a_bridge_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'cv_bridge', None)
    monkeypatch.setitem(sys.modules, 'rosbags.image', None)
    conversions._bridge.cache_clear()
    message = to_image(np.zeros((2, 2), np.uint8), 'mono8', Header())
    with pytest.raises(ImageError, match=r'apt install .*cv-bridge'):
        image_to_rgb(message)
    conversions._bridge.cache_clear()
