# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a point in space is seen in the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import CameraInfo

from sam2_ros.model.errors import PromptError

#: Coefficients by distortion model (sensor_msgs/distortion_models.hpp).
_COEFFICIENTS = {'plumb_bob': 5, 'rational_polynomial': 8, 'equidistant': 4, 'fisheye': 4}
#: Steps at which the distortion is checked for growing with the distance from the axis.
_STEPS = 64

Vector = tuple[float, float, float]


def image_size(info: CameraInfo) -> tuple[int, int]:
    """Return the (height, width) of the images that `info` describes, after ROI and binning."""
    height, width = info.roi.height or info.height, info.roi.width or info.width
    return height // max(info.binning_y, 1), width // max(info.binning_x, 1)


def project(point: Vector, info: CameraInfo, *, rectified: bool) -> tuple[float, float]:
    """
    Return the pixel (x, y) at which the camera sees `point`, metres in its optical frame.

    A raw image follows K and the distortion D, a rectified one P (CameraInfo.msg). ROI and binning
    of `info` are heeded.

    :raises PromptError: the point is not finite, behind the camera or outside its picture, or
        the camera is not calibrated.
    """
    x, y, z = point
    if not all(math.isfinite(value) for value in point):
        raise PromptError(f'the point ({x:g}, {y:g}, {z:g}) is not finite')
    if z <= 0.0:
        raise PromptError(f'the point is behind the camera: z is {z:g} m in the optical frame '
                          f"'{info.header.frame_id}'")
    matrix = np.reshape(np.asarray(info.p if rectified else info.k, float), (3, -1))
    if matrix[0, 0] == 0.0 or matrix[1, 1] == 0.0:
        raise PromptError(f'camera_info is not calibrated: {"P" if rectified else "K"} has no '
                          'focal length')
    if rectified:
        u, v, w = matrix @ np.array([x, y, z, 1.0])
        u, v = u / w, v / w
    else:
        distorted = distort(x / z, y / z, info.distortion_model, info.d)
        u, v, _ = matrix @ np.array([*distorted, 1.0])
    u = (u - info.roi.x_offset) / max(info.binning_x, 1)
    v = (v - info.roi.y_offset) / max(info.binning_y, 1)
    height, width = image_size(info)
    if not (0 <= u < width and 0 <= v < height):
        raise PromptError(f'the point is outside the picture: it would be at ({u:.1f}, {v:.1f}) '
                          f'of {width}x{height} pixels')
    return float(u), float(v)


def distort(
    x: float, y: float, model: str, coefficients: Sequence[float],
) -> tuple[float, float]:
    """
    Return the normalised coordinates x/z, y/z after the lens.

    The models are those of OpenCV: `projectPoints` for plumb_bob and rational_polynomial (Brown,
    1966), `fisheye::projectPoints` for equidistant (Kannala and Brandt, 2006).

    :raises PromptError: the model is unknown, or the point is so far from the axis that the model
        folds it back into the picture.
    """
    d = np.zeros(8)
    if not any(coefficients):
        return x, y
    if model not in _COEFFICIENTS or len(coefficients) > _COEFFICIENTS[model]:
        raise PromptError(
            f"camera_info has distortion model '{model}' with {len(coefficients)} coefficients; "
            f'known: {", ".join(f"{name} ({count})" for name, count in _COEFFICIENTS.items())}')
    d[:len(coefficients)] = coefficients
    radius = math.hypot(x, y)
    fisheye = model in ('equidistant', 'fisheye')
    samples = np.linspace(0.0, radius, _STEPS)
    distorted = samples * (_fisheye(samples, d) if fisheye else _radial(samples, d))
    if (np.diff(distorted) < 0.0).any():
        raise PromptError('the point is outside the picture: beyond where the distortion of '
                          'camera_info holds')
    if fisheye:
        scale = float(_fisheye(np.array([radius]), d)[0])
        return x * scale, y * scale
    scale = float(_radial(np.array([radius]), d)[0])
    p1, p2 = d[2], d[3]
    return (x * scale + 2 * p1 * x * y + p2 * (radius**2 + 2 * x * x),
            y * scale + p1 * (radius**2 + 2 * y * y) + 2 * p2 * x * y)


def _radial(r: npt.NDArray[np.float64], d: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    k1, k2, _, _, k3, k4, k5, k6 = d
    s = r * r
    result = (1 + s * (k1 + s * (k2 + s * k3))) / (1 + s * (k4 + s * (k5 + s * k6)))
    return np.asarray(result)


def _fisheye(r: npt.NDArray[np.float64], d: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    theta = np.arctan(r)
    s = theta * theta
    bent = theta * (1 + s * (d[0] + s * (d[1] + s * (d[2] + s * d[3]))))
    return np.asarray(np.divide(bent, r, out=np.ones_like(r), where=r > 0))


def transform(
    point: Vector, translation: Vector, rotation: tuple[float, float, float, float],
) -> Vector:
    """Return `point` rotated by the unit quaternion `rotation` (x, y, z, w), then moved."""
    axis, w = np.array(rotation[:3]), rotation[3]
    p = np.array(point)
    turned = p + 2.0 * np.cross(axis, np.cross(axis, p) + w * p)
    moved = turned + np.array(translation)
    return float(moved[0]), float(moved[1]), float(moved[2])
