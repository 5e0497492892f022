# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node of the demo: its executable in a process of its own, as `ros2 run` starts it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from ament_index_python.packages import get_package_prefix

from sam2_ros.model.errors import Sam2RosError


class DemoError(Sam2RosError):
    """The node of the demo does not do what it should."""


class NodeProcess:
    """The node's executable as a process, and its log."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._log = log
        with log.open('wb') as file:
            # In a session of its own: Ctrl-C ends the demo, and the demo ends the node.
            self._process = subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)

    def check(self) -> None:
        """:raises DemoError: the process has ended; tells the last line of its log."""
        if (status := self._process.poll()) is not None:
            lines = self._log.read_text(encoding='utf-8', errors='replace').split('\n')
            last = next((line for line in reversed(lines) if line.strip()), 'its log is empty')
            raise DemoError(
                f'the node ended by itself, status {status}: {last.strip()} ({self._log})')

    def stop(self) -> None:
        """End the process as Ctrl-C does, by force after ten seconds."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout=10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def node_process(
    namespace: str, parameters: Mapping[str, Any], output: Path, name: str,
) -> Iterator[NodeProcess]:
    """
    Run the node with a parameter file while a ``with`` statement lasts.

    The file and the node's log are written to ``output``, as ``NAME.yaml`` and ``NAME.log``.
    """
    prefix = Path(get_package_prefix('sam2_ros'))
    # Neither a robot on the same network nor another demo must hear it.
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    # Shared memory for whole images, at the camera's side and the node's; the file says why.
    os.environ.setdefault(
        'FASTRTPS_DEFAULT_PROFILES_FILE', str(prefix / 'share/sam2_ros/config/fastdds.xml'))
    file = output / f'{name}.yaml'
    file.write_text(
        yaml.safe_dump({'/**': {'ros__parameters': dict(parameters)}}), encoding='utf-8')
    process = NodeProcess(
        [str(prefix / 'lib' / 'sam2_ros' / 'sam2_node'), '--ros-args', '--params-file', str(file),
         '-r', f'__ns:={namespace}'],
        output / f'{name}.log')
    try:
        yield process
    finally:
        process.stop()
