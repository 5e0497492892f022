# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The executable that the launch file starts, with the same parameter file, without launch."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip('rclpy', reason='no ROS 2 in this environment')
# Stopping is quick; this only keeps a hanging node from hanging the tests.
STOP_TIMEOUT = 30.0

Start = Callable[..., 'subprocess.Popen[str]']


@pytest.fixture
def start(share: Path) -> Iterator[Start]:
    """Return a function that starts the executable with ROS arguments as `ros2 run` would."""
    executable = share.parents[1] / 'lib' / 'sam2_ros' / 'sam2_node'
    processes: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [str(executable), '--ros-args', *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        processes.append(process)
        return process

    yield run
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_the_parameter_file_alone_asks_for_a_bundle(start: Start, share: Path) -> None:
    process = start('--params-file', str(share / 'config' / 'sam2.yaml'))
    output, _ = process.communicate(timeout=STOP_TIMEOUT)
    assert process.returncode != 0
    assert 'bundle' in output
    assert 'Traceback' not in output


def test_it_starts_with_the_parameter_file(
    start: Start, share: Path, nano_bundle: Path, observer: Any,
) -> None:
    file = share / 'config' / 'sam2.yaml'
    process = start(
        '--params-file', str(file), '-p', f'bundle:={nano_bundle}', '-p', 'provider:=cpu')
    observer.watch(process)
    observer.wait_for_state('/sam2', 'active')

    expected = yaml.safe_load(file.read_text(encoding='utf-8'))['/**']['ros__parameters']
    expected.update(bundle=str(nano_bundle), provider='cpu')
    assert observer.parameters('/sam2', list(expected)) == expected

    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=STOP_TIMEOUT)
    assert process.returncode == 0, output
    assert 'Traceback' not in output


def test_a_parameter_file_may_leave_things_out(
    start: Start, tmp_path: Path, nano_bundle: Path, observer: Any,
) -> None:
    file = tmp_path / 'mine.yaml'
    file.write_text(
        f"/**:\n  ros__parameters:\n    bundle: '{nano_bundle}'\n    overlay_opacity: 0.25\n",
        encoding='utf-8')
    observer.watch(
        start('--params-file', str(file), '-r', '__node:=left', '-r', '__ns:=/robot'))
    observer.wait_for_state('/robot/left', 'active')
    assert observer.parameters('/robot/left', ['overlay_opacity', 'click_mode']) == {
        'overlay_opacity': 0.25, 'click_mode': 'point'}
