# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node as its own process: from an image's publication to the reception of its masks."""

from __future__ import annotations

import array
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import rclpy
from ament_index_python.packages import get_package_prefix
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Point
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from rclpy.utilities import get_rmw_implementation_identifier
from sensor_msgs.msg import CompressedImage, Image

from sam2_ros.evaluate.camera import CameraFacts, to_jpeg
from sam2_ros.evaluate.errors import BenchmarkError
from sam2_ros.evaluate.host import end_with_parent
from sam2_ros.evaluate.latency import TOTAL
from sam2_ros.evaluate.link import Host
from sam2_ros.evaluate.machine import peak_memory
from sam2_ros.evaluate.robot import OVERHEAD
from sam2_ros.evaluate.scene import make_prompts
from sam2_ros.evaluate.tracking import MODEL_STAGES, STAGES
from sam2_ros.msg import MaskArray, Prompt

#: Seconds; loading and warming up a model of 900 MB from a slow disk is within.
START_TIMEOUT = 120.0
#: Seconds; the largest model takes some on a small CPU.
ANSWER_TIMEOUT = 30.0
#: Seconds after which an image of which the node does not tell is lost.
ARRIVAL_TIMEOUT = 2.0
#: Seconds between the answer and the diagnostics that tell of it, on a busy machine.
DIAGNOSTICS_TIMEOUT = 10.0
#: Seconds between diagnostics: often, so that the figures of one run can be told from the next.
DIAGNOSTICS_PERIOD = 0.1
#: Seconds; the largest that the node takes.
LONGEST_PROMPT_TIMEOUT = 60.0
#: Images in a row without an answer that are an error and not bad luck.
LOST_IN_A_ROW = 5
#: What the node tells of each run on /diagnostics, by its mode.
_STAGES = {
    'prompt': ('resize', 'encode', 'decode', 'upscale', 'publish'),
    'track': (*STAGES, 'publish')}
_PROFILE = 'FASTRTPS_DEFAULT_PROFILES_FILE'
#: Prompts before those that count: with the first ones, the two processes get to know each other.
_WARM_UP = 2

#: Takes the seconds of every stage of a run.
Add = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class Connection:
    """
    What is between camera and node.

    ``host``: where the node is to run, None: here; ``compressed``: images go as JPEG; ``travel``:
    seconds that an image may be on its way.
    """

    host: Host | None = None
    compressed: bool = False
    travel: float = 0.0


#: On this host, uncompressed.
HERE = Connection()


class RunningNode:
    """
    Starts the installed node with a bundle, and ends it with the ``with`` statement.

    :param folder: for the node's parameters and its log.
    :param mode: of the node, ``prompt`` or ``track``.
    """

    def __init__(
        self, bundle: Path, provider: str, threads: int, folder: Path, mode: str,
        connection: Connection = HERE,
    ) -> None:
        prefix = Path(get_package_prefix('sam2_ros'))
        # Neither a robot on the same network nor another benchmark must hear it.
        os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        # docs/node.md, "Images get lost": for the node and for this process
        os.environ.setdefault(_PROFILE, str(prefix / 'share/sam2_ros/config/fastdds.xml'))
        self._connection = connection
        self._namespace = f'/sam2_benchmark_{os.getpid()}'
        self._topic = 'image/compressed' if connection.compressed else 'image'
        self._log = folder / f'node_{mode}.log'
        parameters = folder / f'node_{mode}.yaml'
        # JSON is YAML, too
        parameters.write_text(json.dumps({'/**': {'ros__parameters': {
            'bundle': str(bundle.resolve()), 'mode': mode, 'provider': provider,
            'threads': threads, 'diagnostics_period': DIAGNOSTICS_PERIOD,
            'prompt_timeout': min(1.0 + connection.travel, LONGEST_PROMPT_TIMEOUT),
            'image_transport': 'compressed' if connection.compressed else 'raw',
            }}}, indent=2) + '\n', encoding='utf-8')
        self._command = [
            str(prefix / 'lib/sam2_ros/sam2_node'), '--ros-args', '--params-file', str(parameters),
            '-r', f'__ns:={self._namespace}']
        self._mode, self._stages = mode, _STAGES[mode]
        self.lost = 0
        self.peak_memory: int | None = None
        self._masks: list[tuple[int, float]] = []
        self._figures: dict[str, str] = {}

    def __enter__(self) -> RunningNode:
        self._context = rclpy.Context()
        self._context.init()
        self._node = rclpy.create_node(
            'benchmark', namespace=self._namespace, context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._images = self._node.create_publisher(
            CompressedImage if self._connection.compressed else Image, self._topic,
            qos_profile_sensor_data)
        self._prompts = self._node.create_publisher(Prompt, 'sam2/prompt', 10)
        self._node.create_subscription(MaskArray, 'sam2/masks', self._masks_came, 10)
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._diagnostics_came, 10)
        with self._log.open('wb') as log:
            # In a session of its own: Ctrl-C is for the benchmark, which then ends the node; and
            # nothing else would, were the benchmark killed.
            host = self._connection.host
            self._process = subprocess.Popen(
                self._command if host is None else host.command(self._command),
                pass_fds=[] if host is None else [host.socket],
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=partial(end_with_parent, signal.SIGKILL))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout=10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()

    def facts(self) -> dict[str, str]:
        """Return what is between the two processes."""
        return {'rmw': get_rmw_implementation_identifier(),
                'dds profile': os.environ.get(_PROFILE, '')}

    def wait(self) -> None:
        """:raises BenchmarkError: the node is not there in time, or ends by itself."""
        ready = self._spin_until(
            lambda: bool(self._images.get_subscription_count())
            and bool(self._prompts.get_subscription_count())
            and bool(self._node.count_publishers(f'{self._namespace}/sam2/masks'))
            and bool(self._figures), START_TIMEOUT)
        if not ready:
            raise BenchmarkError(f'the node did not subscribe within {START_TIMEOUT:g} s; its log '
                                 f'is {self._log}')

    def watch_camera(
        self, picture: npt.NDArray[np.uint8], camera: CameraFacts, answers: int, add: Add,
    ) -> None:
        """
        Publish images at ``camera.rate`` until so many are answered; the node tracks already.

        Notes in ``camera`` what became of them. Stage ``total at ... images a second``: from an
        image's publication to its masks' reception, which includes the wait for the one in work.

        :raises BenchmarkError: the node has ended or answers no longer.
        """
        stage = f'total at {camera.rate:g} images a second'
        image = _message(picture)
        came, dropped = self._count('images'), self._count('frames dropped')
        published: dict[int, float] = {}
        self._masks.clear()
        begin = last = time.perf_counter()
        while camera.answered < answers:
            # The camera does not wait: what is late is published at once.
            self._spin_for(begin + camera.published / camera.rate - time.perf_counter())
            image.header.stamp = self._node.get_clock().now().to_msg()
            published[_nanoseconds(image)] = time.perf_counter()
            self._publish(image)
            camera.published += 1
            masks, self._masks = self._masks, []
            for stamp, at in masks:
                if stamp in published and camera.answered < answers:
                    last = at
                    camera.answered += 1
                    add({stage: at - published[stamp]})
            camera.seconds = time.perf_counter() - begin
            if time.perf_counter() - last > ANSWER_TIMEOUT + self._connection.travel:
                raise self._no_answers(f'for {time.perf_counter() - last:.0f} s')
        # The last ones are on their way yet, and the node has not told of those that came.
        self._spin_until(
            lambda: self._count('images') == came + camera.published,
            ARRIVAL_TIMEOUT + self._connection.travel)
        self.peak_memory = peak_memory(self._process.pid) or self.peak_memory
        camera.dropped = self._count('frames dropped') - dropped
        camera.lost = camera.published - (self._count('images') - came)

    def warm_up(self, picture: npt.NDArray[np.uint8], frames: int = 0) -> None:
        """
        Bring the node to where runs count: past the first ones, or to a full memory.

        :param frames: of mode ``track``: after how many frames the memory is full.
        :raises BenchmarkError: the node has ended or answers no longer.
        """
        for _ in range(1 if self._mode == 'track' else _WARM_UP):
            self._ask(picture, prompted=True)
        for _ in range(frames):
            self._ask(picture, prompted=False)

    def ask(self, picture: npt.NDArray[np.uint8]) -> dict[str, float]:
        """
        Publish an image, in mode ``prompt`` with a point on it, until it is answered.

        Returns stages in seconds: ``total`` from the image's publication to the masks' reception,
        those that the node tells, and ``overhead``: total without the model's stages.

        :raises BenchmarkError: the node has ended or answers no longer.
        """
        # Always the same object: the node remembers no more of them with every run.
        return self._stages_of(self._ask(picture, prompted=self._mode == 'prompt'))

    def _ask(self, picture: npt.NDArray[np.uint8], prompted: bool) -> dict[str, float]:
        """Publish an image until it is answered; returns what this side sees of it."""
        for _ in range(LOST_IN_A_ROW):
            seen = self._ask_once(picture, prompted)
            self.peak_memory = peak_memory(self._process.pid) or self.peak_memory
            if seen is not None:
                return seen
            self.lost += 1
        raise self._no_answers(f'{LOST_IN_A_ROW} images in a row')

    def _no_answers(self, what: str) -> BenchmarkError:
        return BenchmarkError(
            f'{what} got no masks (the node: {self._figures.get("last error", "no error")}); see '
            f'"Images get lost" in docs/node.md, and the log of the node, {self._log}')

    def _ask_once(
        self, picture: npt.NDArray[np.uint8], prompted: bool,
    ) -> dict[str, float] | None:
        """Publish an image, and a point on it; returns seconds by stage, None: no answer."""
        image = _message(picture)
        image.header.stamp = self._node.get_clock().now().to_msg()
        stamp = _nanoseconds(image)
        x, y = make_prompts(1, image.width, image.height)[0].points[0]
        prompt = Prompt(header=image.header, object_id=1, points=[Point(x=float(x), y=float(y))])
        before = {what: self._count(what) for what in ('images', 'answers', 'prompts refused')}
        self._masks.clear()
        begin = time.perf_counter()
        compressed = self._publish(image)
        if prompted:
            self._prompts.publish(prompt)

        def is_lost() -> bool:  # the prompt of a lost image is refused after a second
            return self._count('prompts refused') > before['prompts refused'] or (
                time.perf_counter() > begin + ARRIVAL_TIMEOUT + self._connection.travel
                and self._count('images') == before['images'])

        self._spin_until(
            lambda: any(its == stamp for its, _ in self._masks) or is_lost(),
            ANSWER_TIMEOUT + self._connection.travel)
        received = next((at for its, at in self._masks if its == stamp), None)
        if received is None or not self._spin_until(
                lambda: self._count('answers') > before['answers'], DIAGNOSTICS_TIMEOUT):
            return None
        return {TOTAL: received - begin, **compressed}

    def _publish(self, image: Image) -> dict[str, float]:
        """Publish as image_transport does, which compresses now; returns seconds of that."""
        if not self._connection.compressed:
            self._images.publish(image)
            return {}
        begin = time.perf_counter()
        message = _compress(image)
        seconds = time.perf_counter() - begin
        self._images.publish(message)
        return {'compress': seconds}

    def _stages_of(self, seen: dict[str, float]) -> dict[str, float]:
        """Return what this side saw of the last answer, and its stages as the node tells them."""
        stages = {stage: self._milliseconds(stage) / 1e3 for stage in self._stages}
        model = sum(seconds for stage, seconds in stages.items() if stage in MODEL_STAGES)
        return {**seen, **stages, OVERHEAD: seen[TOTAL] - model}

    def _count(self, what: str) -> int:
        return int(self._figures.get(what, '0'))

    def _milliseconds(self, stage: str) -> float:
        try:
            return float(self._figures[f'{stage} ms'].split()[0])
        except (KeyError, ValueError, IndexError):
            raise BenchmarkError(
                f'the node does not tell the latency of stage "{stage}" on /diagnostics') from None

    def _spin_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                return False
            self._spin_once(0.05)
        return True

    def _spin_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self._spin_once(0.0)  # also where there is no time left
        while (left := end - time.monotonic()) > 0.0:
            self._spin_once(left)

    def _spin_once(self, timeout: float) -> None:
        if self._process.poll() is not None:
            raise BenchmarkError(f'the node ended by itself: {self._last_line()} (all of it: '
                                 f'{self._log})')
        self._executor.spin_once(timeout_sec=timeout)

    def _last_line(self) -> str:
        lines = self._log.read_text(encoding='utf-8', errors='replace').strip().splitlines()
        return (lines or ['without a word'])[-1]

    def _masks_came(self, message: MaskArray) -> None:
        self._masks.append((_nanoseconds(message), time.perf_counter()))

    def _diagnostics_came(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(f'{self._namespace}/sam2:'):
                self._figures = {item.key: item.value for item in status.values}


def _message(picture: npt.NDArray[np.uint8]) -> Image:
    height, width = picture.shape[:2]
    image = Image(height=height, width=width, encoding='rgb8', step=3 * width,
                  data=array.array('B', picture.tobytes()))
    image.header.frame_id = 'camera'
    return image


def _compress(image: Image) -> CompressedImage:
    pixels = np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, 3)
    return CompressedImage(
        header=image.header, format='jpeg', data=array.array('B', to_jpeg(pixels)))


def _nanoseconds(message: Any) -> int:
    stamp = message.header.stamp
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)
