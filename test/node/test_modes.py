# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which mode the node is in, by its parameter and its bundle."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='no ROS 2 in this environment')

COFFEE = (300, 200)


@pytest.fixture(scope='module')
def image_only_bundle(trained_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a bundle as `sam2-ros export --image-only` writes it."""
    from sam2_ros.model.bundle import TRACKING_GRAPHS

    folder = tmp_path_factory.mktemp('image_only')
    manifest = json.loads((trained_bundle / 'manifest.json').read_text(encoding='utf-8'))
    manifest['tracking'] = None
    for name in TRACKING_GRAPHS:
        del manifest['graphs'][name]
    (folder / 'manifest.json').write_text(json.dumps(manifest), encoding='utf-8')
    for graph in manifest['graphs'].values():
        shutil.copy(trained_bundle / graph['file'], folder)
    return folder


def test_a_bundle_that_cannot_track_answers_prompts(
    start_node: Any, make_robot: Any, coffee: Any, image_only_bundle: Path,
) -> None:
    process = start_node('/image_only', bundle=image_only_bundle, mode='auto')
    robot = make_robot('/image_only').connect()
    header = robot.show(coffee)
    answer = robot.answer(lambda: robot.ask([COFFEE], stamp=header.stamp))
    assert answer.header == header
    assert robot.diagnosed('mode', lambda value: True)['mode'] == 'prompt'
    assert 'mode prompt' in process.output
    assert process.stop() == 0, process.output


def test_a_bundle_that_cannot_track_is_refused_for_mode_track(
    start_node: Any, image_only_bundle: Path,
) -> None:
    process = start_node('/refused', bundle=image_only_bundle, mode='track')
    assert process.wait() == 1
    [line] = [line for line in process.output.splitlines() if line.strip()]
    assert f'{image_only_bundle}: mode is track, but this bundle can only segment images' in line
    assert 'export it without --image-only, or set mode to prompt' in line


def test_the_default_is_to_track(start_node: Any, make_robot: Any, coffee: Any) -> None:
    process = start_node('/default', mode='auto')
    robot = make_robot('/default').connect()
    header = robot.show(coffee)
    assert robot.answer(lambda: robot.ask([COFFEE], stamp=header.stamp)).header == header
    assert robot.answer(lambda: robot.show(coffee)).masks[0].object_id == 1
    assert robot.diagnosed('mode', lambda value: True)['mode'] == 'track'
    assert process.stop() == 0, process.output


def test_objects_of_mode_prompt_are_listed(start_node: Any, make_robot: Any, coffee: Any) -> None:
    from sam2_ros.msg import Mask
    from sam2_ros.srv import ListObjects

    process = start_node('/listed', mode='prompt', autostart=False)
    robot = make_robot('/listed')
    response = robot.call(ListObjects, 'list_objects', ListObjects.Request())
    assert (response.success, 'not configured' in response.message) == (False, True)
    assert process.stop() == 0, process.output

    process = start_node('/asked', mode='prompt')
    robot = make_robot('/asked').connect()
    header = robot.show(coffee)
    answer = robot.answer(lambda: robot.ask([COFFEE], object_id=8, stamp=header.stamp))
    response = robot.call(ListObjects, 'list_objects', ListObjects.Request())
    [known] = response.objects
    assert (known.object_id, known.begun) == (8, header.stamp)
    assert known.state == answer.masks[0].state == (
        Mask.VISIBLE if answer.masks[0].object_score > 0.5 else Mask.OCCLUDED)
    assert process.stop() == 0, process.output
