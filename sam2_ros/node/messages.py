# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Objects with masks as ROS messages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image, RegionOfInterest
from std_msgs.msg import Header

from sam2_ros.msg import Mask as MaskMessage
from sam2_ros.msg import MaskArray, ObjectStatus
from sam2_ros.node.answers import KnownObject, ObjectMask
from sam2_ros.node.conversions import to_image
from sam2_ros.node.frame_buffer import NANOSECONDS


def mask_array(
    objects: Sequence[ObjectMask], image_size: tuple[int, int], header: Header,
    *, with_logits: bool = False,
) -> MaskArray:
    """Return sam2_ros/MaskArray of the objects in the image (height, width) of `header`."""
    message = MaskArray(header=header, height=image_size[0], width=image_size[1])
    message.masks = [_mask(found, header, with_logits) for found in objects]
    return message


def label_image(
    objects: Sequence[ObjectMask], image_size: tuple[int, int], header: Header,
) -> Image:
    """Return a mono16 image: each pixel is an object's id, 0 = none; later objects lie on top."""
    labels = np.zeros(image_size, np.uint16)
    for found in objects:
        x0, y0, x1, y1 = found.mask.box
        labels[y0:y1, x0:x1][found.mask.crop != 0] = found.object_id
    return to_image(labels, 'mono16', header)


def object_status(known: KnownObject) -> ObjectStatus:
    """Return sam2_ros/ObjectStatus of an object."""
    return ObjectStatus(
        object_id=known.object_id, state=known.state.value, predicted_iou=known.iou_prediction,
        object_score=known.presence, begun=_time(known.begun), last_seen=_time(known.last_seen))


def _time(stamp: int) -> Time:
    return Time(sec=stamp // NANOSECONDS, nanosec=stamp % NANOSECONDS)


def _mask(found: ObjectMask, header: Header, with_logits: bool) -> MaskMessage:
    x0, y0, x1, y1 = found.mask.box
    message = MaskMessage(
        object_id=found.object_id,
        predicted_iou=found.mask.iou_prediction,
        object_score=found.mask.presence,
        state=found.state.value,
        box=RegionOfInterest(x_offset=x0, y_offset=y0, width=x1 - x0, height=y1 - y0),
        mask=to_image(found.mask.crop, 'mono8', header),
    )
    if with_logits:
        message.logits = to_image(found.logits, '32FC1', header)
    return message
