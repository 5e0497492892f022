# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The demo: what a camera, a person with a mouse and a user of the masks do around the node.

It speaks with the node through ROS only: the node is a process of its own, with a parameter file.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rclpy
import yaml
from ament_index_python.packages import get_package_prefix
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Point
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from sam2_ros.model.bundle import Bundle
from sam2_ros.model.errors import Sam2RosError
from sam2_ros.model.image_files import read_photo, write_png
from sam2_ros.model.masks import Mask
from sam2_ros.model.overlay import draw_overlay
from sam2_ros.model.tables import format_table
from sam2_ros.msg import Mask as MaskMessage
from sam2_ros.msg import MaskArray, Prompt
from sam2_ros.node.conversions import mono_from_image, to_image
from sam2_ros.node.demo_scenes import PHOTOS, SCENES, DemoPrompt

CAMERA_RATE = 10.0
#: Seconds; loading and warming up a model of 900 MB from a slow disk is within.
START_TIMEOUT = 120.0
#: Seconds; the largest model takes some on a small CPU.
ANSWER_TIMEOUT = 60.0
#: Seconds; many times the node's period.
FIGURES_TIMEOUT = 5.0
#: A camera's pictures are best effort: a prompt on one that got lost is refused, and given again.
TRIES = 3
STAGES = ('resize', 'encode', 'decode', 'upscale')
HEADER = ('photo', 'object', 'prompt', 'topic', 'IoU', 'box', 'area',
          *(f'{stage} ms' for stage in STAGES), 'total ms')
FLUSH_RIGHT = ('IoU', 'area', *HEADER[-len(STAGES) - 1:])
NOTE = ("IoU: the model's own estimate. total: from the publication of the prompt to the "
        "reception of the masks.\nThe stages are the node's figures, from /diagnostics.")


class DemoError(Sam2RosError):
    """The node of the demo does not do what it should."""


@dataclass
class Answer:
    """What came back for a prompt; ``mask`` None: nothing in time. Latencies in ms."""

    photo: str
    prompt: DemoPrompt
    object_id: int = 0
    mask: Mask | None = None
    total: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return which prompt it was."""
        return f'{self.prompt.what} ({self.photo})'

    def row(self) -> list[str]:
        """Return the answer's line of the table."""
        via = 'image_mouse_left' if self.prompt.mouse else '~/prompt'
        start = [self.photo, self.prompt.what, self.prompt.text, via]
        if self.mask is None:
            return [*start, *['-'] * (len(HEADER) - len(start))]
        x0, y0, x1, y1 = self.mask.box
        return [
            *start, f'{self.mask.iou_prediction:.2f}', f'{x0},{y0} {x1 - x0}x{y1 - y0}',
            str(self.mask.area),
            *(f'{self.stages[stage]:.1f}' if stage in self.stages else '-' for stage in STAGES),
            f'{self.total:.1f}']


def run_demo(bundle: Path, output: Path, provider: str) -> list[str]:
    """
    Show the photographs to a node with this bundle and write to ``output`` what it answers.

    Returns the prompts that got no mask.

    :raises Sam2RosError: the bundle is unusable or the node does not start.
    """
    Bundle.load(bundle)
    prefix = Path(get_package_prefix('sam2_ros'))
    output.mkdir(parents=True, exist_ok=True)
    # Neither a robot on the same network nor another demo must hear it.
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    # Shared memory for whole images, at the camera's side and the node's; the file says why.
    os.environ.setdefault(
        'FASTRTPS_DEFAULT_PROFILES_FILE', str(prefix / 'share/sam2_ros/config/fastdds.xml'))
    namespace = f'/sam2_demo_{os.getpid()}'
    parameters = {
        'bundle': str(bundle.resolve()), 'provider': provider,
        # often, so that the figures of one prompt can be read before the next
        'diagnostics_period': 0.1}
    answers: list[Answer] = []
    executable = prefix / 'lib' / 'sam2_ros' / 'sam2_node'
    with _node_process(executable, parameters, output, namespace) as process, \
            _operator(namespace, process) as operator:
        operator.wait_for_node()
        for photo, prompts in SCENES.items():
            pixels = read_photo(PHOTOS / photo)
            here = operator.show(photo, pixels, prompts)
            _write_overlay(output / f'{Path(photo).stem}.png', pixels, here)
            answers += here
    table = format_table(HEADER, [answer.row() for answer in answers], FLUSH_RIGHT)
    (output / 'table.txt').write_text(f'{table}\n\n{NOTE}\n', encoding='utf-8')
    print(f'\n{table}\n\n{NOTE}')
    return [answer.name for answer in answers if answer.mask is None or not answer.mask.area]


def _write_overlay(file: Path, pixels: npt.NDArray[np.uint8], answers: Sequence[Answer]) -> None:
    masks = [(answer.object_id, answer.mask) for answer in answers if answer.mask is not None]
    # Large ones first, so that what lies on them stays visible.
    masks.sort(key=lambda found: -found[1].area)
    write_png(file, draw_overlay(pixels, masks, [answer.prompt.to_model() for answer in answers]))


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
def _node_process(
    executable: Path, parameters: dict[str, Any], output: Path, namespace: str,
) -> Iterator[NodeProcess]:
    """Run the node as ``ros2 run`` does, with a parameter file."""
    file = output / 'parameters.yaml'
    file.write_text(yaml.safe_dump({'/**': {'ros__parameters': parameters}}), encoding='utf-8')
    process = NodeProcess(
        [str(executable), '--ros-args', '--params-file', str(file), '-r', f'__ns:={namespace}'],
        output / 'node.log')
    try:
        yield process
    finally:
        process.stop()


@contextmanager
def _operator(namespace: str, process: NodeProcess) -> Iterator[Operator]:
    context = rclpy.Context()
    context.init()
    operator = Operator(namespace, process, context)
    try:
        yield operator
    finally:
        operator.close()
        context.try_shutdown()


class Operator:
    """Camera, mouse and reader of the masks, in one ROS node beside the one that segments."""

    def __init__(self, namespace: str, process: NodeProcess, context: Any) -> None:
        self._process = process
        self._name = f'{namespace}/sam2'
        self._node = rclpy.create_node('operator', namespace=namespace, context=context)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self._node)
        self._images = self._node.create_publisher(Image, 'image', qos_profile_sensor_data)
        self._prompts = self._node.create_publisher(Prompt, 'sam2/prompt', 10)
        self._clicks = self._node.create_publisher(Point, 'image_mouse_left', 10)
        self._node.create_subscription(MaskArray, 'sam2/masks', self._masks_came, 10)
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._diagnostics_came, 10)
        self._node.create_timer(1.0 / CAMERA_RATE, self._publish_image)
        self._picture: Image | None = None
        self._published_at: list[float] = []
        self._received: tuple[MaskArray, float] | None = None
        self._figures: dict[str, str] = {}

    def close(self) -> None:
        """Leave ROS."""
        self._executor.shutdown()
        self._node.destroy_node()

    def wait_for_node(self) -> None:
        """:raises DemoError: the node is not there in time."""
        publishers = (self._images, self._prompts, self._clicks)
        if not self._spin_until(
                lambda: all(topic.get_subscription_count() for topic in publishers)
                and self._node.count_publishers(f'{self._name}/masks') > 0, START_TIMEOUT):
            raise DemoError(f'the node did not subscribe within {START_TIMEOUT:g} s')

    def show(
        self, photo: str, pixels: npt.NDArray[np.uint8], prompts: Sequence[DemoPrompt],
    ) -> list[Answer]:
        """Let the camera see the photograph, give the prompts one by one, return the answers."""
        self._picture = to_image(pixels, 'rgb8', Header(frame_id='camera'))
        self._published_at = []
        # A second of it, so that the node's newest picture is certainly of this photograph.
        self._wait_for_pictures(round(CAMERA_RATE))
        answers = [self._ask(photo, prompt) for prompt in prompts]
        times = self._published_at
        rate = (len(times) - 1) / (times[-1] - times[0])
        print(f'{photo}, {pixels.shape[1]}x{pixels.shape[0]} at {rate:.1f} Hz: '
              f'{sum(answer.mask is not None for answer in answers)} of {len(answers)} prompts '
              'answered', flush=True)
        return answers

    def _ask(self, photo: str, prompt: DemoPrompt) -> Answer:
        answer = Answer(photo, prompt)
        for _ in range(TRIES):
            if self._try(prompt, answer):
                break
            reason = self._figures.get('last error', 'no answer')
            print(f'{answer.name}: {reason}', flush=True)
        return answer

    def _try(self, prompt: DemoPrompt, answer: Answer) -> bool:
        """Give the prompt once and fill in what comes back; False if it is refused."""
        assert self._picture is not None
        # Every prompt on a picture of its own, which the node then has to encode.
        self._wait_for_pictures(1)
        answered, encoded = self._count('answers'), self._count('encoder runs')
        refused = self._count('prompts refused')
        self._received = None
        begin = time.monotonic()
        if prompt.mouse:
            assert prompt.point is not None
            self._clicks.publish(Point(x=prompt.point[0], y=prompt.point[1]))
        else:
            self._prompts.publish(prompt.to_message(self._picture.header))
        self._spin_until(
            lambda: self._received is not None or self._count('prompts refused') > refused,
            ANSWER_TIMEOUT)
        if self._received is None:
            return False
        masks, received_at = self._received
        if len(masks.masks) != 1:
            raise DemoError(f'one prompt was answered with {len(masks.masks)} masks')
        answer.object_id = masks.masks[0].object_id
        answer.mask = _mask(masks, masks.masks[0])
        answer.total = 1e3 * (received_at - begin)
        self._spin_until(lambda: self._count('answers') > answered, FIGURES_TIMEOUT)
        remembered = ('resize', 'encode') if self._count('encoder runs') == encoded else ()
        for stage in STAGES:
            if f'{stage} ms' in self._figures and stage not in remembered:
                answer.stages[stage] = float(self._figures[f'{stage} ms'].split()[0])
        return True

    def _count(self, what: str) -> int:
        return int(self._figures.get(what, '0'))

    def _wait_for_pictures(self, number: int) -> None:
        enough = len(self._published_at) + number
        self._spin_until(lambda: len(self._published_at) >= enough, ANSWER_TIMEOUT)

    def _spin_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        end = time.monotonic() + timeout
        while not condition():
            self._process.check()
            if time.monotonic() > end:
                return False
            self._executor.spin_once(timeout_sec=0.05)
        return True

    def _publish_image(self) -> None:
        if self._picture is None:
            return
        self._picture.header.stamp = self._node.get_clock().now().to_msg()
        self._images.publish(self._picture)
        self._published_at.append(time.monotonic())

    def _masks_came(self, message: MaskArray) -> None:
        self._received = (message, time.monotonic())

    def _diagnostics_came(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(f'{self._name}:'):
                self._figures = {item.key: item.value for item in status.values}


def _mask(masks: MaskArray, message: MaskMessage) -> Mask:
    box = message.box
    x0, y0 = box.x_offset, box.y_offset
    return Mask(
        box=(x0, y0, x0 + box.width, y0 + box.height),
        crop=mono_from_image(message.mask) if box.width else np.empty((0, 0), np.uint8),
        image_size=(masks.height, masks.width),
        iou_prediction=message.predicted_iou,
        object_score=message.object_score)
