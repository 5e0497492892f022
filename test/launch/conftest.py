# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of this folder share: processes of the node, and an observer of it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Loading and warming up the smallest model takes 1 s; a busy CI machine gets far more.
START_TIMEOUT = 60.0


@pytest.fixture(scope='session')
def share() -> Path:
    """Folder that the package's launch and config files are installed in."""
    packages = pytest.importorskip(
        'ament_index_python.packages', reason='no ROS 2 in this environment')
    return Path(packages.get_package_share_directory('sam2_ros'))


class Process:
    """A process and what it wrote so far; a file takes it, since a pipe nobody reads fills up."""

    def __init__(self, command: list[str], log: Path) -> None:
        self._log = log
        with log.open('w') as stream:
            self.popen = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT)

    @property
    def output(self) -> str:
        """Return all that it wrote to its standard output and error."""
        return self._log.read_text(encoding='utf-8')


class Observer:
    """A node that looks at other nodes."""

    def __init__(self, rclpy: Any) -> None:
        self._context = rclpy.Context()
        self._context.init()
        self.node = rclpy.create_node('observer', context=self._context)
        self._executor = rclpy.executors.SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._watched: list[Process] = []

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.shutdown()

    def watch(self, process: Process) -> None:
        """Wait no more once this process has ended."""
        self._watched.append(process)

    def wait_until(self, condition: Callable[[], Any], what: str) -> Any:
        """Handle messages until the condition returns something true, and return that."""
        end = time.monotonic() + START_TIMEOUT
        while time.monotonic() < end:
            if result := condition():
                return result
            for process in self._watched:
                assert process.popen.poll() is None, f'ended before {what}:\n{process.output}'
            self._executor.spin_once(timeout_sec=0.05)
        raise AssertionError(f'waited {START_TIMEOUT:.0f} s in vain until {what}')

    def call(self, kind: Any, name: str, request: Any) -> Any:
        """Call a service as soon as it is there."""
        client = self.node.create_client(kind, name)
        self.wait_until(client.service_is_ready, f'there is {name}')
        future = client.call_async(request)
        self.wait_until(future.done, f'{name} answers')
        self.node.destroy_client(client)
        return future.result()

    def wait_for_state(self, node: str, state: str) -> None:
        """Wait until the managed node (full name) is in the state with this label."""
        from lifecycle_msgs.srv import GetState

        def reached() -> bool:
            answer = self.call(GetState, f'{node}/get_state', GetState.Request())
            return bool(answer.current_state.label == state)

        self.wait_until(reached, f'{node} is {state}')

    def parameters(self, node: str, names: list[str]) -> dict[str, Any]:
        """Return values of a node's parameters."""
        from rcl_interfaces.srv import GetParameters
        from rclpy.parameter import parameter_value_to_python

        answer = self.call(
            GetParameters, f'{node}/get_parameters', GetParameters.Request(names=names))
        values = [parameter_value_to_python(value) for value in answer.values]
        return dict(zip(names, values, strict=True))


@pytest.fixture
def start_node(share: Path, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Return a function that starts the executable with ROS arguments as `ros2 run` would."""
    executable = share.parents[1] / 'lib' / 'sam2_ros' / 'sam2_node'
    started: list[Process] = []

    def start(*arguments: str) -> Process:
        command = [str(executable), '--ros-args', *arguments]
        started.append(Process(command, tmp_path / f'node_{len(started)}.log'))
        return started[-1]

    yield start
    for process in started:
        process.popen.kill()
        process.popen.wait()


@pytest.fixture
def observer() -> Iterator[Observer]:
    """Return a node of this process that looks at other nodes."""
    rclpy = pytest.importorskip('rclpy', reason='no ROS 2 in this environment')
    found = Observer(rclpy)
    yield found
    found.close()
