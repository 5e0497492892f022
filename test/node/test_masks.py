# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One node as a process: photographs and prompts in, masks out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='no ROS 2 in this environment')


@pytest.fixture(scope='module')
def process(start_node: Any) -> Any:
    return start_node()


@pytest.fixture(scope='module')
def robot(process: Any, make_robot: Any) -> Any:
    return make_robot().connect()


def pixels_of(image: Any, dtype: Any = np.uint8) -> Any:
    return np.frombuffer(image.data, dtype).reshape(image.height, image.width)


def test_a_prompt_before_the_first_image_waits_for_it(
    robot: Any, process: Any, coffee: Any,
) -> None:
    robot.ask([(300, 200)])
    process.wait_for_output('a prompt waits for the first image')
    header = robot.show(coffee)
    masks = robot.masks(1)[0]
    assert masks.header == header
    assert masks.masks[0].object_id == 1


def test_a_point_gives_a_mask_with_the_header_of_the_image(robot: Any, coffee: Any) -> None:
    header = robot.show(coffee)
    answer = robot.answer(lambda: robot.ask([(300, 200)], object_id=7, stamp=header.stamp))
    assert answer.header == header
    assert (answer.height, answer.width) == coffee.shape[:2]
    assert [mask.object_id for mask in answer.masks] == [7]
    mask = answer.masks[0]
    assert mask.mask.header == header
    assert (mask.box.height, mask.box.width) == (mask.mask.height, mask.mask.width)
    crop = pixels_of(mask.mask)
    assert set(np.unique(crop)) <= {0, 255}
    assert crop.any()
    # the box is tight
    assert crop[0].any() and crop[-1].any() and crop[:, 0].any() and crop[:, -1].any()
    assert 0.0 <= mask.object_score <= 1.0
    assert mask.logits.height == 0


def test_process_ends_cleanly(process: Any) -> None:
    assert process.stop() == 0, process.output
    assert 'Traceback' not in process.output
