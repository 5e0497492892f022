# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""launch/sam2_rviz.launch.py, with a stand-in for RViz that notes how it was called."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

launch = pytest.importorskip(
    'launch', reason='launch is not installed (ros-<distribution>-launch)')
pytest.importorskip(
    'launch_ros', reason='launch_ros is not installed (ros-<distribution>-launch-ros)')


@pytest.fixture
def rviz_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a package rviz2 that writes its arguments, one a line, into the file returned."""
    calls = tmp_path / 'calls'
    prefix = tmp_path / 'prefix'
    marker = prefix / 'share' / 'ament_index' / 'resource_index' / 'packages' / 'rviz2'
    executable = prefix / 'lib' / 'rviz2' / 'rviz2'
    for file in (marker, executable):
        file.parent.mkdir(parents=True)
    marker.touch()
    executable.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{calls}\n', encoding='utf-8')
    executable.chmod(0o755)
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'{prefix}:{os.environ["AMENT_PREFIX_PATH"]}')
    return calls


def start(share: Path, file: str = 'sam2_rviz.launch.py', **arguments: str) -> int:
    """Run a launch file until all that it started has ended; return the exit status."""
    service = launch.LaunchService(noninteractive=True)
    source = launch.launch_description_sources.PythonLaunchDescriptionSource(
        str(share / 'launch' / file))
    service.include_launch_description(launch.LaunchDescription([
        launch.actions.IncludeLaunchDescription(source, launch_arguments=arguments.items())]))
    status: int = service.run()
    return status


def remaps(call: list[str]) -> set[str]:
    """Return the values of the -r options of a command line."""
    return {after for before, after in itertools.pairwise(call) if before == '-r'}


def test_rviz_gets_the_installed_configuration(share: Path, rviz_calls: Path) -> None:
    assert start(share) == 0
    call = rviz_calls.read_text(encoding='utf-8').splitlines()
    assert call[:2] == ['--display-config', str(share / 'config' / 'sam2.rviz')]
    assert Path(call[1]).is_file()
    assert '--fixed-frame' not in call
    assert {'sam2/overlay:=sam2/overlay', 'image:=image'} <= remaps(call)


def test_rviz_shows_the_node_that_the_arguments_name(share: Path, rviz_calls: Path) -> None:
    assert start(
        share, namespace='robot', node_name='front', image='/camera/image_raw',
        points='/camera/points', clicked_point='/clicked_point', fixed_frame='base_link') == 0
    call = rviz_calls.read_text(encoding='utf-8').splitlines()
    assert call[2:4] == ['--fixed-frame', 'base_link']
    assert remaps(call) == {
        '__ns:=/robot',
        'image:=/camera/image_raw',
        'points:=/camera/points',
        'clicked_point:=/clicked_point',
        'sam2/overlay:=front/overlay',
        'sam2/label_image:=front/label_image',
    }


def test_the_launch_file_of_the_node_starts_rviz_too(
    share: Path, rviz_calls: Path, tmp_path: Path,
) -> None:
    start(  # without a bundle the node ends at once, and so the launch ends with RViz
        share, 'sam2.launch.py', use_rviz='true', bundle=str(tmp_path / 'nowhere'),
        namespace='robot', node_name='front', image='/camera/image_raw', points='/camera/points')
    call = rviz_calls.read_text(encoding='utf-8').splitlines()
    assert remaps(call) >= {
        '__ns:=/robot',
        'image:=/camera/image_raw',
        'points:=/camera/points',
        'sam2/overlay:=front/overlay',
    }


def test_a_missing_rviz_is_one_clear_line(
    share: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:
    packages = pytest.importorskip('ament_index_python.packages')

    find = packages.get_package_prefix

    def find_all_but_rviz(name: str) -> str:
        if name == 'rviz2':
            raise packages.PackageNotFoundError(name)
        found: str = find(name)
        return found

    monkeypatch.setenv('ROS_DISTRO', 'jazzy')
    monkeypatch.setattr(packages, 'get_package_prefix', find_all_but_rviz)
    launch.logging.reset()  # so that it writes to the standard output of now
    assert start(share) == 1
    output = ''.join(capfd.readouterr())
    assert 'RViz is not installed: sudo apt install ros-jazzy-rviz2' in output
    assert 'Traceback' not in output
