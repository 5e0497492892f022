# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Points in space, projected like OpenCV does it, or refused."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip('sensor_msgs', reason='no ROS 2 in this environment')

from sensor_msgs.msg import CameraInfo

from sam2_ros.model.errors import PromptError
from sam2_ros.node.projection import distort, image_size, project, transform

# A 90 degree camera with a strong but common lens; the models grow monotonically over the picture.
PLUMB_BOB = [-0.25, 0.06, 0.001, -0.002, -0.005]
RATIONAL = [0.4, 0.1, 0.0005, -0.0003, 0.01, 0.7, 0.2, 0.03]
FISHEYE = [0.05, -0.01, 0.003, -0.001]
inside = st.floats(-0.9, 0.9)


def camera(**fields: Any) -> CameraInfo:
    info = CameraInfo(width=640, height=480)
    info.header.frame_id = 'camera'
    info.k = [320.0, 0.0, 320.0, 0.0, 320.0, 240.0, 0.0, 0.0, 1.0]
    info.p = [300.0, 0.0, 310.0, -30.0, 0.0, 300.0, 230.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    for name, value in fields.items():
        setattr(info, name, value)
    return info


@given(inside, inside, st.sampled_from([PLUMB_BOB, RATIONAL]))
def test_brown_distortion_is_opencvs(x: float, y: float, coefficients: list[float]) -> None:
    model = 'plumb_bob' if len(coefficients) == 5 else 'rational_polynomial'
    expected, _ = cv2.projectPoints(
        np.array([[x, y, 1.0]]), np.zeros(3), np.zeros(3), np.eye(3), np.array(coefficients))
    assert distort(x, y, model, coefficients) == pytest.approx(expected.ravel(), abs=1e-9)


@given(inside, inside)
def test_fisheye_distortion_is_opencvs(x: float, y: float) -> None:
    expected, _ = cv2.fisheye.projectPoints(
        np.array([[[x, y, 1.0]]]), np.zeros(3), np.zeros(3), np.eye(3), np.array(FISHEYE))
    assert distort(x, y, 'equidistant', FISHEYE) == pytest.approx(expected.ravel(), abs=1e-9)


@given(inside, st.floats(-0.7, 0.7), st.floats(0.1, 100.0))
def test_a_raw_image_follows_k(x: float, y: float, z: float) -> None:
    u, v = project((x * z, y * z, z), camera(), rectified=False)
    assert (u, v) == pytest.approx((320 * x + 320, 320 * y + 240), abs=1e-6)


def test_a_rectified_image_follows_p() -> None:
    info = camera(d=PLUMB_BOB, distortion_model='plumb_bob')
    # P's fourth column is that of the right camera of a stereo pair: it moves the pixel by Tx / z
    assert project((0.2, 0.1, 2.0), info, rectified=True) == pytest.approx((325.0, 245.0))


def test_binning_and_roi_are_heeded() -> None:
    info = camera(binning_x=2, binning_y=2)
    info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = 100, 40, 400, 400
    assert image_size(info) == (200, 200)
    assert project((0.0, 0.0, 1.0), info, rectified=False) == pytest.approx((110.0, 100.0))


@pytest.mark.parametrize(('point', 'fields', 'reason'), [
    ((0.0, 0.0, -1.0), {}, 'behind the camera'),
    ((0.0, 0.0, 0.0), {}, 'behind the camera'),
    ((9.0, 0.0, 1.0), {}, 'outside the picture'),
    ((float('nan'), 0.0, 1.0), {}, 'not finite'),
    ((0.0, 0.0, 1.0), {'k': [0.0] * 9}, 'not calibrated'),
    ((0.1, 0.0, 1.0), {'d': [0.1] * 14, 'distortion_model': 'thin_prism'}, 'distortion model'),
    # at this angle plumb_bob would fold the point back into the picture
    ((2.5, 0.0, 1.0), {'d': [-0.3, 0.0, 0.0, 0.0, 0.0], 'distortion_model': 'plumb_bob'},
     'beyond where the distortion'),
])
def test_what_has_no_place_in_the_picture_is_refused(
    point: tuple[float, float, float], fields: dict[str, Any], reason: str,
) -> None:
    with pytest.raises(PromptError, match=reason):
        project(point, camera(**fields), rectified=False)


def test_transform_turns_then_moves() -> None:
    quarter_turn_about_z = (0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5))
    assert transform((1.0, 0.0, 0.0), (0.0, 0.0, 5.0), quarter_turn_about_z) == pytest.approx(
        (0.0, 1.0, 5.0))
