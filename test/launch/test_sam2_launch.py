# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""launch/sam2.launch.py: the node that it starts, and what its arguments do."""

from __future__ import annotations

import array
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sam2_ros.model.image_files import read_photo

launch_pytest = pytest.importorskip(
    'launch_pytest', reason='launch_pytest is not installed (ros-<distribution>-launch-pytest)')
launch = pytest.importorskip('launch')

NODE = '/robot/front'
IMAGE = '/camera/color/image_raw'
# `ros2 launch` itself takes seconds to import; this only keeps a hanging one from hanging the tests
COMMAND_TIMEOUT = 60.0


# Not of the module's scope: launch_pytest looks its module up by file, and in the import mode
# `importlib` that is not the one that pytest collects.
@launch_pytest.fixture
def robot(share: Path, nano_bundle: Path, tmp_path: Path) -> Any:
    """Launch a node with a name, a namespace, topics and a short parameter file of its own."""
    file = tmp_path / 'mine.yaml'
    file.write_text(
        '/**:\n  ros__parameters:\n    click_mode: box\n    provider: cuda\n', encoding='utf-8')
    return _description(
        share, bundle=str(nano_bundle), provider='cpu', params_file=str(file),
        namespace='robot', node_name='front', image=IMAGE, clicked_point='/clicked_point',
        log_level='warn')


@launch_pytest.fixture
def waiting(share: Path, nano_bundle: Path) -> Any:
    """Launch a node that waits for its lifecycle manager, everything else as it comes."""
    return _description(share, bundle=str(nano_bundle), provider='cpu', autostart='false')


def _description(share: Path, **arguments: str) -> Any:
    source = launch.launch_description_sources.PythonLaunchDescriptionSource(
        str(share / 'launch' / 'sam2.launch.py'))
    return launch.LaunchDescription([
        launch.actions.IncludeLaunchDescription(source, launch_arguments=arguments.items()),
        launch_pytest.actions.ReadyToTest(),
    ])


@pytest.mark.launch(fixture=robot)
def test_arguments_come_before_the_parameter_file_and_that_before_the_defaults(
    robot: Any, observer: Any, nano_bundle: Path,
) -> None:
    names = ['bundle', 'provider', 'click_mode', 'autostart', 'overlay_opacity', 'use_sim_time']
    assert observer.parameters(NODE, names) == {
        'bundle': str(nano_bundle),
        'provider': 'cpu',
        'click_mode': 'box',
        'autostart': True,
        'overlay_opacity': 0.5,
        'use_sim_time': False,
    }


@pytest.mark.launch(fixture=robot)
def test_the_node_listens_to_the_topics_of_the_arguments(robot: Any, observer: Any) -> None:
    observer.wait_for_state(NODE, 'active')

    def subscribed() -> set[str]:
        topics = observer.node.get_subscriber_names_and_types_by_node('front', '/robot')
        return {name for name, _ in topics}

    expected = {
        IMAGE,
        '/camera/color/camera_info',
        f'{IMAGE}_mouse_left',
        '/clicked_point',
        f'{NODE}/prompt',
    }
    observer.wait_until(lambda: expected <= subscribed(), f'it subscribes to {expected}')


@pytest.mark.launch(fixture=robot)
def test_a_photograph_and_a_click_give_a_mask(robot: Any, observer: Any, photos: Path) -> None:
    from geometry_msgs.msg import Point
    from sensor_msgs.msg import Image

    from sam2_ros.msg import MaskArray, Prompt

    observer.wait_for_state(NODE, 'active')
    # 180 KB, which fits into Fast DDS's shared memory (0.5 MB): of best-effort images larger than
    # that most are lost between processes (docs/node.md, Images get lost), even on an idle machine.
    photo = read_photo(photos / 'coffee.png')[::2, ::2]
    height, width = photo.shape[:2]
    image = Image(height=height, width=width, encoding='rgb8', step=3 * width,
                  data=array.array('B', photo.tobytes()))
    image.header.frame_id = 'camera'
    stamps: list[int] = []
    answers: list[Any] = []
    images = observer.node.create_publisher(Image, IMAGE, 1)
    prompts = observer.node.create_publisher(Prompt, f'{NODE}/prompt', 1)
    observer.node.create_subscription(MaskArray, f'{NODE}/masks', answers.append, 1)

    def publish() -> None:  # again and again as a camera does: one message may get lost
        stamps.append(len(stamps) + 1)
        image.header.stamp.sec = stamps[-1]
        images.publish(image)
        if not answers:
            prompts.publish(Prompt(object_id=7, points=[Point(x=width / 2, y=height / 2)]))

    observer.node.create_timer(0.5, publish)
    observer.wait_until(lambda: answers, 'a mask arrives')
    assert answers[0].header.frame_id == 'camera'
    assert answers[0].header.stamp.sec in stamps
    assert (answers[0].height, answers[0].width) == (height, width)
    assert [mask.object_id for mask in answers[0].masks] == [7]


@pytest.mark.launch(fixture=waiting)
def test_autostart_can_be_left_to_a_lifecycle_manager(waiting: Any, observer: Any) -> None:
    observer.wait_for_state('/sam2', 'unconfigured')
    assert observer.parameters('/sam2', ['autostart']) == {'autostart': False}


@pytest.fixture(scope='module')
def ros2() -> str:
    """Return the command `ros2`."""
    command = shutil.which('ros2')
    if command is None:
        pytest.skip('the command ros2 is not installed (ros-<distribution>-ros2launch)')
    return command


def _ros2_launch(ros2: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ros2, 'launch', 'sam2_ros', 'sam2.launch.py', *arguments],
        capture_output=True, text=True, timeout=COMMAND_TIMEOUT, check=False)


def test_all_arguments_are_described(ros2: str) -> None:
    shown = _ros2_launch(ros2, '--show-args')
    assert shown.returncode == 0, shown.stderr
    for name in ('bundle', 'provider', 'mode', 'params_file', 'image', 'camera_info', 'namespace',
                 'node_name', 'use_sim_time', 'use_respawn', 'log_level', 'use_rviz'):
        assert f"'{name}':" in shown.stdout
    assert 'no description given' not in shown.stdout


def test_a_provider_that_does_not_exist_is_refused(ros2: str) -> None:
    refused = _ros2_launch(ros2, 'provider:=gpu')
    assert refused.returncode != 0
    assert 'gpu' in refused.stdout + refused.stderr
    assert 'tensorrt' in refused.stdout + refused.stderr


def test_a_missing_parameter_file_is_one_clear_line(ros2: str, tmp_path: Path) -> None:
    refused = _ros2_launch(ros2, f'params_file:={tmp_path / "nowhere.yaml"}')
    assert refused.returncode != 0
    output = refused.stdout + refused.stderr
    assert f'params_file: there is no file {tmp_path / "nowhere.yaml"}' in output
    assert 'Traceback' not in output


def test_a_missing_bundle_is_one_clear_line(ros2: str, tmp_path: Path) -> None:
    ended = _ros2_launch(ros2, f'bundle:={tmp_path / "nowhere"}', 'namespace:=robot')
    output = ended.stdout + ended.stderr
    assert '[robot.sam2]' in output
    assert str(tmp_path / 'nowhere') in output
    assert 'does not exist' in output
    assert 'Traceback' not in output
