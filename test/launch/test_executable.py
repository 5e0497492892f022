# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The executable that the launch file starts, with the same parameter file, without launch."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip('rclpy', reason='no ROS 2 in this environment')

from sam2_ros.model.bundle import shipped_bundle

# Stopping is quick; this only keeps a hanging node from hanging the tests.
STOP_TIMEOUT = 30.0


def test_the_parameter_file_alone_takes_the_model_of_the_package(
    start_node: Any, share: Path, observer: Any,
) -> None:
    process = start_node('--params-file', str(share / 'config' / 'sam2.yaml'))
    observer.watch(process)
    observer.wait_for_state('/sam2', 'active')
    first_line, *_ = process.output.splitlines()
    assert 'model sam2_nano (trained, ' in first_line
    assert f'from {shipped_bundle()} (parameter bundle is empty), ' in first_line


def test_it_starts_with_the_parameter_file(
    start_node: Any, share: Path, nano_bundle: Path, observer: Any,
) -> None:
    file = share / 'config' / 'sam2.yaml'
    process = start_node(
        '--params-file', str(file), '-p', f'bundle:={nano_bundle}', '-p', 'provider:=cpu')
    observer.watch(process)
    observer.wait_for_state('/sam2', 'active')

    expected = yaml.safe_load(file.read_text(encoding='utf-8'))['/**']['ros__parameters']
    expected.update(bundle=str(nano_bundle), provider='cpu')
    assert observer.parameters('/sam2', list(expected)) == expected

    process.popen.send_signal(signal.SIGINT)
    assert process.popen.wait(STOP_TIMEOUT) == 0, process.output
    assert 'Traceback' not in process.output


def test_a_parameter_file_may_leave_things_out(
    start_node: Any, tmp_path: Path, nano_bundle: Path, observer: Any,
) -> None:
    file = tmp_path / 'mine.yaml'
    file.write_text(
        f"/**:\n  ros__parameters:\n    bundle: '{nano_bundle}'\n    overlay_opacity: 0.25\n",
        encoding='utf-8')
    observer.watch(
        start_node('--params-file', str(file), '-r', '__node:=left', '-r', '__ns:=/robot'))
    observer.wait_for_state('/robot/left', 'active')
    assert observer.parameters('/robot/left', ['overlay_opacity', 'click_mode']) == {
        'overlay_opacity': 0.25, 'click_mode': 'point'}
