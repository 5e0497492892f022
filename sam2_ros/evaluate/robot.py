# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A robot that asks a node: camera and subscriber, as a process that can be on another host.

This module is the process (``main``), and what starts it (``Robot``). The process starts the node,
too, and does what it is asked for, line by line; it ends with whoever asks.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from sam2_ros.evaluate.camera import CameraFacts
from sam2_ros.evaluate.errors import BenchmarkError
from sam2_ros.evaluate.host import end_with_parent
from sam2_ros.evaluate.link import Host

#: Seconds; the robot gives its node ten to end.
END_TIMEOUT = 20.0
#: Two hosts are alone with each other, and may find each other by multicast.
_TWO_HOSTS = {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SUBNET', 'ROS_LOCALHOST_ONLY': '0'}

#: Stage that a node's runs have: the total without the model's stages.
OVERHEAD = 'overhead'

#: Takes the seconds of every stage of a run.
Add = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class Order:
    """
    What node a robot is to start, and how it is connected to it; see ``running_node``.

    ``picture_size``: (width, height) of the camera's picture; ``node_host``: None: the robot's.
    """

    bundle: Path
    provider: str
    threads: int
    folder: Path
    mode: str
    picture_size: tuple[int, int]
    node_host: Host | None = None
    compressed: bool = False
    travel: float = 0.0


class Robot:
    """
    A robot and its node, for the time of a ``with`` statement.

    :param host: where the robot is to be, None: here.
    """

    def __init__(self, order: Order, host: Host | None = None) -> None:
        self._order, self._host = order, host
        self._environment = {**os.environ, **({} if host is None else _TWO_HOSTS)}
        self._log = order.folder / 'robot.log'
        #: As of ``RunningNode``, of the last image.
        self.lost = 0
        self.peak_memory: int | None = None

    def __enter__(self) -> Robot:
        order = self._order
        document = json.dumps({
            **dataclasses.asdict(order), 'bundle': str(order.bundle.resolve()),
            'folder': str(order.folder.resolve())})
        command = [sys.executable, '-m', __name__, document]
        hosts = [host for host in (self._host, order.node_host) if host is not None]
        order.folder.mkdir(parents=True, exist_ok=True)
        with self._log.open('wb') as log:
            # In a session of its own: Ctrl-C is for the benchmark, which then ends the process.
            # In its folder: from a checkout, Python would import that, which has no messages.
            self._process = subprocess.Popen(
                command if self._host is None else self._host.command(command),
                pass_fds=[host.socket for host in hosts], env=self._environment,
                cwd=order.folder, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.communicate(timeout=END_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def wait(self) -> dict[str, str]:
        """
        Return what is between robot and node, once that is there.

        :raises BenchmarkError: it does not come.
        """
        return self._answer(lambda run: None)

    def warm_up(self, frames: int) -> None:
        """See ``RunningNode.warm_up``."""
        self._wish('warm_up', frames)
        self._answer(lambda run: None)

    def ask(self) -> dict[str, float]:
        """See ``RunningNode.ask``."""
        self._wish('ask')
        answer = self._answer(lambda run: None)
        self.lost, self.peak_memory = answer['lost'], answer['peak_memory']
        return dict(answer['found'])

    def watch_camera(self, rate: float, answers: int, add: Add) -> CameraFacts:
        """See ``RunningNode.watch_camera``; returns what became of the images."""
        self._wish('watch_camera', rate, answers)
        answer = self._answer(add)
        self.lost = 0  # none is published again
        self.peak_memory = answer['peak_memory']
        return CameraFacts(**answer['found'])

    def _wish(self, *what: Any) -> None:
        assert self._process.stdin is not None
        try:
            print(json.dumps(what), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            raise self._failed() from None

    def _answer(self, add: Add) -> Any:
        """Give every run to ``add`` and return what ends them."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            what, value = json.loads(line)
            if what == 'run':
                add(value)
            elif what == 'error':
                raise BenchmarkError(value)
            else:
                return value
        raise self._failed()

    def _failed(self) -> BenchmarkError:
        lines = self._log.read_text(encoding='utf-8', errors='replace').strip().splitlines()
        return BenchmarkError((lines or [f'the robot ended without a word; see {self._log}'])[-1])


def _work(order: Order) -> None:
    # Only the process needs these, not who starts it.
    from sam2_ros.evaluate.running_node import Connection, RunningNode
    from sam2_ros.evaluate.scene import make_picture

    picture = make_picture(*order.picture_size)
    connection = Connection(order.node_host, order.compressed, order.travel)
    with RunningNode(order.bundle, order.provider, order.threads, order.folder, order.mode,
                     connection) as node:
        node.wait()
        _say('done', node.facts())
        for line in sys.stdin:
            what, *arguments = json.loads(line)
            if what == 'warm_up':
                node.warm_up(picture, *arguments)
                _say('done', None)
            elif what == 'ask':
                seconds = node.ask(picture)
                _say('done', {'found': seconds, 'lost': node.lost,
                              'peak_memory': node.peak_memory})
                node.lost = 0
            else:
                rate, answers = arguments
                camera = CameraFacts(rate)
                node.watch_camera(picture, camera, answers, lambda run: _say('run', run))
                _say('done', {'found': dataclasses.asdict(camera),
                              'peak_memory': node.peak_memory})


def _say(what: str, value: Any) -> None:
    print(json.dumps([what, value]), flush=True)


def main() -> int:
    """Start the node, then do what each line asks for, until there are no more."""
    end_with_parent(signal.SIGINT)
    order = json.loads(sys.argv[1])
    try:
        _work(Order(**{
            **order, 'bundle': Path(order['bundle']), 'folder': Path(order['folder']),
            'node_host': order['node_host'] and Host(**order['node_host'])}))
    except BenchmarkError as error:
        _say('error', str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
