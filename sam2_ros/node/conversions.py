# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Between ROS images and NumPy: every check of a picture that comes from outside is here."""

from __future__ import annotations

import array
import importlib
import sys
from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from sam2_ros.model.errors import ImageError

#: Bytes of a pixel in the encodings that `image_to_rgb` takes (sensor_msgs/image_encodings.hpp).
PIXEL_BYTES = {
    'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4, 'mono8': 1, '8UC1': 1, '8UC3': 3,
    'rgb16': 6, 'bgr16': 6, 'rgba16': 8, 'bgra16': 8, 'mono16': 2,
    'bayer_rggb8': 1, 'bayer_bggr8': 1, 'bayer_gbrg8': 1, 'bayer_grbg8': 1,
    'uyvy': 2, 'yuv422': 2, 'yuyv': 2, 'yuv422_yuy2': 2,
}
#: Encodings under the name that every bridge knows: generic ones as OpenCV users mean them, and
#: the later names of two.
_MEANING = {'8UC1': 'mono8', '8UC3': 'bgr8', 'uyvy': 'yuv422', 'yuyv': 'yuv422_yuy2'}


def check_image(message: Image) -> None:
    """
    Check what an Image says of itself, without touching its pixels.

    :raises ImageError: it is empty, its encoding is no colour or grey picture, or step, height
        and the amount of data do not fit.
    """
    width, height, step, size = message.width, message.height, message.step, len(message.data)
    if not width or not height or not size:
        raise ImageError(f'the image is empty: {width}x{height} pixels, {size} bytes of data')
    if message.encoding not in PIXEL_BYTES:
        raise ImageError(f"the image has encoding '{message.encoding}', which is no picture for "
                         f'people; known: {", ".join(PIXEL_BYTES)}')
    row = width * PIXEL_BYTES[message.encoding]
    if step < row:
        raise ImageError(f'the image has step {step}, but a row of {width} pixels in '
                         f'{message.encoding} has {row} bytes')
    if size != step * height:
        raise ImageError(f'the image has {size} bytes of data, but step {step} x height {height} '
                         f'is {step * height}')
    if _MEANING.get(message.encoding, message.encoding).startswith('yuv422') and width % 2:
        raise ImageError(f'the image is {width} pixels wide, but {message.encoding} holds pixels '
                         'in pairs')


def image_to_rgb(message: Image) -> npt.NDArray[np.uint8]:
    """
    Return an Image as RGB [height, width, 3] uint8.

    rgb8 is not copied: the result is a read-only view of the message's data.

    :raises ImageError: see `check_image`; or the conversion failed.
    """
    check_image(message)
    encoding = _MEANING.get(message.encoding, message.encoding)
    row = message.width * PIXEL_BYTES[message.encoding]
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)[:, :row]
    rows.flags.writeable = False
    if encoding in ('rgb8', 'bgr8'):
        pixels = rows.reshape(message.height, message.width, 3)
        return pixels if encoding == 'rgb8' else _array(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
    # The bridges differ in how they treat a step and the other byte order: spare them both.
    tight = np.ascontiguousarray(rows).reshape(-1)
    if encoding.endswith('16') and bool(message.is_bigendian) != (sys.byteorder == 'big'):
        tight = tight.view(np.uint16).byteswap().view(np.uint8)
    try:
        return _array(_bridge()(_picture(encoding, message.height, message.width, tight)))
    except ImageError:
        raise
    except Exception as error:  # each bridge has error classes of its own
        raise ImageError(f"the image in '{message.encoding}' could not be converted: "
                         f'{" ".join(str(error).split())}') from error


def compressed_to_rgb(message: CompressedImage) -> npt.NDArray[np.uint8]:
    """
    Return a CompressedImage (JPEG, PNG, ...) as RGB [height, width, 3] uint8.

    :raises ImageError: it is empty, a depth image, or cannot be decoded.
    """
    data = np.frombuffer(message.data, np.uint8)
    if not data.size:
        raise ImageError('the compressed image is empty: 0 bytes of data')
    if 'compressedDepth' in message.format:
        raise ImageError(f"the compressed image is a depth image ('{message.format}')")
    # An EXIF rotation must not move the pixels that prompts and camera_info speak of.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(data, flags)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise ImageError(f"the compressed image ('{message.format}', {data.size} bytes) cannot "
                         'be decoded')
    return _array(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))


def to_rgb(message: Image | CompressedImage) -> npt.NDArray[np.uint8]:
    """Return either kind of picture as RGB [height, width, 3] uint8; raises ImageError."""
    if isinstance(message, CompressedImage):
        return compressed_to_rgb(message)
    return image_to_rgb(message)


def to_image(pixels: npt.NDArray[Any], encoding: str, header: Header) -> Image:
    """Return an Image of contiguous `pixels` [height, width] or [height, width, channels]."""
    pixels = np.ascontiguousarray(pixels)
    message = Image(header=header, height=pixels.shape[0], width=pixels.shape[1],
                    encoding=encoding, is_bigendian=int(sys.byteorder == 'big'),
                    step=pixels.nbytes // max(pixels.shape[0], 1))
    message.data = _bytes(pixels)
    return message


def to_jpeg(pixels: npt.NDArray[np.uint8], quality: int, header: Header) -> CompressedImage:
    """Return RGB `pixels` [height, width, 3] as a JPEG of `quality` 1..100."""
    _, encoded = cv2.imencode('.jpg', cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR),
                              [cv2.IMWRITE_JPEG_QUALITY, quality])
    message = CompressedImage(header=header, format='rgb8; jpeg compressed bgr8')
    message.data = _bytes(encoded)
    return message


def logits_from_image(message: Image) -> npt.NDArray[np.float32]:
    """
    Return the logits [height, width] of a 32FC1 Image.

    :raises ImageError: step, height and the amount of data do not fit.
    """
    row = 4 * message.width
    if message.step < row or len(message.data) != message.step * message.height:
        raise ImageError(f'the logits of {message.width}x{message.height} pixels have step '
                         f'{message.step} and {len(message.data)} bytes of data')
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)[:, :row]
    order = '>f4' if message.is_bigendian else '<f4'
    return np.ascontiguousarray(rows).view(order).astype(np.float32)


def mono_from_image(message: Image) -> npt.NDArray[np.uint8]:
    """Return the pixels [height, width] of a mono8 Image; raises ImageError."""
    check_image(message)
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    return rows[:, :message.width]


def _bytes(pixels: npt.NDArray[Any]) -> array.array[int]:
    # rclpy takes an array.array as it is; bytes or a list it checks and copies one by one.
    data = array.array('B')
    data.frombytes(pixels.reshape(-1).view(np.uint8).data)
    return data


def _array(pixels: Any) -> npt.NDArray[np.uint8]:
    return np.asarray(pixels, np.uint8)


def _picture(
    encoding: str, height: int, width: int, data: npt.NDArray[np.uint8],
) -> SimpleNamespace:
    """Return what a bridge reads of an Image, in this machine's byte order and without padding."""
    return SimpleNamespace(
        header=Header(), height=height, width=width, encoding=encoding, data=data,
        is_bigendian=int(sys.byteorder == 'big'), step=data.size // height)


@lru_cache(maxsize=1)
def _bridge() -> Callable[[Any], Any]:
    """Return a function Image -> rgb8 array: cv_bridge's, which a robot has, or rosbags-image's."""
    probe = _picture('bgra8', 1, 1, np.zeros(4, np.uint8))
    reasons = []
    for load in (_cv_bridge, _rosbags_image):
        try:
            convert = load()
            convert(probe)  # a cv_bridge compiled for another NumPy can be imported all the same
        except Exception as error:
            reasons.append(' '.join(str(error).split()))
        else:
            return convert
    raise ImageError('this encoding needs cv_bridge (apt install ros-$ROS_DISTRO-cv-bridge) or, '
                     'without ROS, rosbags-image (pip install rosbags-image), and neither works '
                     f'here: {"; ".join(reasons)}')


def _cv_bridge() -> Callable[[Any], Any]:
    bridge = importlib.import_module('cv_bridge').CvBridge()
    return lambda message: bridge.imgmsg_to_cv2(message, 'rgb8')


def _rosbags_image() -> Callable[[Any], Any]:
    convert = importlib.import_module('rosbags.image').image_to_cvimage
    return lambda message: convert(message, 'rgb8')
