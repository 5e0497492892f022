# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node as a benchmark starts it. What it measures is in test_benchmark.py."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='no ROS 2 in this environment')

from sensor_msgs.msg import Image

from sam2_ros.evaluate import running_node
from sam2_ros.evaluate.errors import BenchmarkError
from sam2_ros.evaluate.running_node import RunningNode
from sam2_ros.evaluate.scene import make_picture


def test_node_that_does_not_start(tmp_path: Path) -> None:
    """The error has the node's own last line and names its log."""
    node = RunningNode(tmp_path / 'no_bundle', 'cpu', 1, tmp_path, 'prompt')
    with node, pytest.raises(BenchmarkError, match=r'ended by itself: .*no_bundle') as error:
        node.wait()
    assert str(tmp_path / 'node_prompt.log') in str(error.value)


def test_node_that_dies(nano_bundle: Path, tmp_path: Path) -> None:
    """What was measured until then stays, and no process is left."""
    runs: list[dict[str, float]] = []
    with RunningNode(nano_bundle, 'cpu', 1, tmp_path, 'prompt') as node:
        node.wait()

        runs.append(node.ask(make_picture(64, 48)))
        node._process.kill()
        with pytest.raises(BenchmarkError, match='ended by itself'):
            node.ask(make_picture(64, 48))
    assert runs[0]['total'] > 0
    assert node.peak_memory is not None


def test_lost_images(
    nano_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One lost image is counted and made up for, five in a row are an error."""
    runs: list[dict[str, float]] = []
    with RunningNode(nano_bundle, 'cpu', 1, tmp_path, 'prompt') as node:
        node.wait()
        ask, answers = node._ask_once, iter([False, True, True, True, False, True])

        def sometimes(picture: Any, prompted: bool) -> dict[str, float] | None:
            return ask(picture, prompted) if next(answers, False) else None

        monkeypatch.setattr(node, '_ask_once', sometimes)
        runs += [node.ask(make_picture(64, 48)) for _ in range(4)]
        with pytest.raises(BenchmarkError, match='5 images in a row got no masks'):
            node.ask(make_picture(64, 48))
    assert len(runs) == 4
    assert node.lost == 2 + 5


def test_the_process_ends_with_the_measurement(nano_bundle: Path, tmp_path: Path) -> None:
    """Ctrl-C to the benchmark ends the node, which is in a session of its own."""
    node = RunningNode(nano_bundle, 'cpu', 1, tmp_path, 'prompt')

    def interrupted() -> None:
        with node:
            node.wait()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert node._process.returncode == 0
    with pytest.raises(ProcessLookupError):
        os.kill(node._process.pid, 0)


def test_the_process_ends_with_a_killed_benchmark(nano_bundle: Path, tmp_path: Path) -> None:
    """After kill -9 nobody is left to end the node."""
    benchmark = subprocess.Popen(
        [sys.executable, '-c', f"""
from pathlib import Path
from sam2_ros.evaluate.running_node import RunningNode
with RunningNode(Path({str(nano_bundle)!r}), 'cpu', 1, Path({str(tmp_path)!r}), 'prompt') as node:
    node.wait()
    print(node._process.pid, flush=True)
    input()
"""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert benchmark.stdout is not None
    node = int(benchmark.stdout.readline())
    gone = os.pidfd_open(node)

    benchmark.kill()

    assert select.select([gone], [], [], 30.0)[0], 'the node is still there'
    os.close(gone)
    benchmark.communicate()


def test_image_that_never_comes(nano_bundle: Path, tmp_path: Path) -> None:
    """The node refuses the prompt, which ends the waiting; the image counts as lost."""
    with RunningNode(nano_bundle, 'cpu', 1, tmp_path, 'prompt') as node:
        node.wait()
        node._images = node._node.create_publisher(Image, 'elsewhere', 10)
        said = r'5 images .* no masks \(the node: .*no image has come'
        with pytest.raises(BenchmarkError, match=said):
            node.ask(make_picture(64, 48))
    assert node.lost == 5


def test_frames_that_never_come(
    nano_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody refuses a frame without a prompt: it is lost when the node does not tell of it."""
    monkeypatch.setattr(running_node, 'ARRIVAL_TIMEOUT', 0.5)  # five diagnostics
    with RunningNode(nano_bundle, 'cpu', 1, tmp_path, 'track') as node:
        node.wait()
        node.warm_up(make_picture(64, 48), 2)
        assert node.ask(make_picture(64, 48))['memory_attention'] > 0
        node._images = node._node.create_publisher(Image, 'elsewhere', 10)
        with pytest.raises(BenchmarkError, match='5 images in a row got no masks'):
            node.ask(make_picture(64, 48))
    assert node.lost == 5
