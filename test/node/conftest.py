# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node as a process, and a robot that publishes pictures and prompts and hears the answers."""

from __future__ import annotations

import array
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

# Nothing takes this long; it keeps a hanging node from hanging the tests (2 shared cores).
TIMEOUT = 40.0
CAMERA = 'camera_optical_frame'


class NodeProcess:
    """The node's executable, started with parameters, and what it prints."""

    def __init__(self, namespace: str, parameters: dict[str, Any], arguments: list[str]) -> None:
        from ament_index_python import get_package_prefix

        executable = Path(get_package_prefix('sam2_ros')) / 'lib' / 'sam2_ros' / 'sam2_node'
        command = [sys.executable, str(executable), '--ros-args', '-r', f'__ns:={namespace}']
        for name, value in parameters.items():
            command += ['-p', f'{name}:={str(value).lower() if value in (True, False) else value}']
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self.popen = subprocess.Popen(
            [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, 'RCUTILS_COLORIZED_OUTPUT': '0'})
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        """All that was printed so far."""
        with self._changed:
            return ''.join(self._lines)

    def wait_for_output(self, text: str, count: int = 1) -> None:
        """Wait until `text` was printed `count` times."""
        with self._changed:
            found = self._changed.wait_for(
                lambda: ''.join(self._lines).count(text) >= count or self.popen.poll() is not None,
                TIMEOUT)
            output = ''.join(self._lines)
        assert found, f'{text!r} did not come:\n{output}'
        assert output.count(text) >= count, f'{text!r} is not in:\n{output}'

    def stop(self, with_signal: int = signal.SIGINT) -> int:
        """Stop the node as a person would; returns its exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(with_signal)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end of the process and of its output; returns the exit code."""
        code = self.popen.wait(TIMEOUT)
        self._reader.join(TIMEOUT)
        return code

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()


class Robot:
    """Publishes to the node in `namespace` and keeps what comes back, by topic."""

    def __init__(self, context: Any, namespace: str, compressed: bool = False) -> None:
        from diagnostic_msgs.msg import DiagnosticArray
        from geometry_msgs.msg import Point, PointStamped
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.node import Node
        from sensor_msgs.msg import CameraInfo, CompressedImage, Image

        from sam2_ros.msg import MaskArray, Prompt

        self.namespace = namespace
        self.received: dict[str, list[Any]] = defaultdict(list)
        self._changed = threading.Condition()
        self.node = Node('robot', context=context, namespace=namespace)
        create = self.node.create_publisher
        self.image = create(CompressedImage, 'image/compressed', 10) if compressed else create(
            Image, 'image', 10)
        self.camera_info = create(CameraInfo, 'camera_info', 10)
        self.prompt = create(Prompt, 'sam2/prompt', 10)
        self.mouse = create(Point, 'image_mouse_left', 10)
        self.clicked = create(PointStamped, 'clicked_point', 10)
        self.inputs = [self.image, self.camera_info, self.prompt, self.mouse, self.clicked]
        self.masks_subscription = self.listen(MaskArray, 'sam2/masks')
        self.listen(DiagnosticArray, '/diagnostics')
        self._stamp = 1000
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def listen(self, kind: Any, topic: str) -> Any:
        """Keep what comes on a topic in `received`."""
        return self.node.create_subscription(
            kind, topic, lambda message: self._note(topic, message), 10)

    def _note(self, topic: str, message: Any) -> None:
        with self._changed:
            self.received[topic].append(message)
            self._changed.notify_all()

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until `condition` holds; it is looked at with each message, and 20 times a second
        for what comes without one (discovery).
        """
        end = time.monotonic() + TIMEOUT
        with self._changed:
            while not (result := condition()):
                assert time.monotonic() < end, f'waited in vain for {what}'
                self._changed.wait(0.05)
        return result

    def connect(self) -> Robot:
        """
        Wait until the node hears all that is published here, and is heard.

        Both sides must have found the other: a message to one that has not is lost.
        """
        self.wait(lambda: all(publisher.get_subscription_count() for publisher in self.inputs),
                  'the node to subscribe')
        self.wait(self.masks_subscription.get_publisher_count, 'the node to advertise')
        self.received['/diagnostics'].clear()  # of an earlier connection
        for publisher in self.inputs:
            self.diagnosed(f'publishers on {publisher.topic_name}', lambda value: value != '0')
        self.diagnosed('listeners to ~/masks', lambda value: value != '0')
        return self

    def close(self) -> None:
        """Stop."""
        self._executor.shutdown()
        self._thread.join(TIMEOUT)
        self.node.destroy_node()

    # ---- speaking ----

    def header(self, frame_id: str = CAMERA) -> Any:
        """Return a header with a stamp of its own, 0.1 s after the last."""
        from builtin_interfaces.msg import Time
        from std_msgs.msg import Header

        self._stamp += 1
        return Header(frame_id=frame_id, stamp=Time(
            sec=self._stamp // 10, nanosec=self._stamp % 10 * 100_000_000))

    def show(self, pixels: npt.NDArray[np.uint8], encoding: str = 'rgb8', **fields: Any) -> Any:
        """Publish a picture; returns its header. `fields` overwrite those of the message."""
        message = image_message(pixels, encoding, self.header())
        for name, value in fields.items():
            setattr(message, name, value)
        self.image.publish(message)
        return message.header

    def show_jpeg(self, pixels: npt.NDArray[np.uint8], data: bytes | None = None) -> Any:
        """Publish a picture as JPEG (or `data` that pretends to be one); returns its header."""
        from sensor_msgs.msg import CompressedImage

        if data is None:
            encoded = cv2.imencode('.jpg', cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1]
            data = encoded.tobytes()
        message = CompressedImage(header=self.header(), format='jpeg')
        message.data = array.array('B', data)
        self.image.publish(message)
        return message.header

    def ask(self, points: Any = (), box: Any = None, stamp: Any = None, **fields: Any) -> None:
        """Publish a prompt."""
        self.prompt.publish(prompt_message(points, box, stamp, **fields))

    def click(self, x: float, y: float) -> None:
        """Click as in rqt_image_view."""
        from geometry_msgs.msg import Point

        self.mouse.publish(Point(x=float(x), y=float(y)))

    def click_in_space(self, x: float, y: float, z: float, frame_id: str = CAMERA) -> None:
        """Click as with RViz's Publish Point."""
        from geometry_msgs.msg import Point, PointStamped

        message = PointStamped(point=Point(x=float(x), y=float(y), z=float(z)))
        message.header.frame_id = frame_id
        self.clicked.publish(message)

    def calibrate(self, width: int, height: int, **fields: Any) -> None:
        """Publish a camera_info: focal length 500 pixels, the axis in the middle."""
        from sensor_msgs.msg import CameraInfo

        cx, cy = width / 2, height / 2
        info = CameraInfo(header=self.header(), width=width, height=height)
        info.k = [500.0, 0.0, cx, 0.0, 500.0, cy, 0.0, 0.0, 1.0]
        info.p = [500.0, 0.0, cx, 0.0, 0.0, 500.0, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
        for name, value in fields.items():
            setattr(info, name, value)
        self.camera_info.publish(info)

    # ---- hearing ----

    def masks(self, count: int) -> list[Any]:
        """Wait for `count` answers in all, and return them."""
        return self.wait_count('sam2/masks', count)

    def wait_count(self, topic: str, count: int) -> list[Any]:
        """Wait until `count` messages have come on a topic, and return them."""
        self.wait(lambda: len(self.received[topic]) >= count, f'{count} messages on {topic}')
        return self.received[topic]

    def answer(self, act: Callable[[], Any]) -> Any:
        """Do something and return the answer on ~/masks that follows."""
        before = len(self.received['sam2/masks'])
        act()
        return self.masks(before + 1)[before]

    def diagnosed(self, key: str, holds: Callable[[str], bool]) -> dict[str, str]:
        """Wait for a diagnostics message of the node whose value of `key` holds."""
        name = f'{self.namespace}/sam2: segmentation'

        def look() -> dict[str, str] | None:
            for message in reversed(self.received['/diagnostics']):
                for status in message.status:
                    if status.name == name:
                        values = {value.key: value.value for value in status.values}
                        return values if key in values and holds(values[key]) else None
            return None

        return dict(self.wait(look, f'diagnostics {key}'))

    def call(self, kind: Any, name: str, request: Any) -> Any:
        """Call a service of the node and return its response."""
        client = self.node.create_client(kind, f'sam2/{name}')
        assert client.wait_for_service(TIMEOUT), name
        future = client.call_async(request)
        self.wait(future.done, f'a response of {name}')
        self.node.destroy_client(client)
        return future.result()

    def set(self, **values: Any) -> list[Any]:
        """Set parameters of the node; returns the results, in order."""
        from rcl_interfaces.srv import SetParameters
        from rclpy.parameter import Parameter

        request = SetParameters.Request(parameters=[
            Parameter(name, value=value).to_parameter_msg() for name, value in values.items()])
        return list(self.call(SetParameters, 'set_parameters', request).results)

    def transition(self, transition: int) -> bool:
        """Ask the node for a transition of its life cycle."""
        from lifecycle_msgs.srv import ChangeState

        request = ChangeState.Request()
        request.transition.id = transition
        return bool(self.call(ChangeState, 'change_state', request).success)


def image_message(pixels: npt.NDArray[Any], encoding: str, header: Any) -> Any:
    """Return a sensor_msgs/Image."""
    from sensor_msgs.msg import Image

    pixels = np.ascontiguousarray(pixels)
    message = Image(header=header, height=pixels.shape[0], width=pixels.shape[1],
                    encoding=encoding, step=pixels.nbytes // pixels.shape[0])
    message.data = array.array('B', pixels.tobytes())
    return message


def prompt_message(points: Any = (), box: Any = None, stamp: Any = None, **fields: Any) -> Any:
    """Return a sam2_ros/Prompt."""
    from geometry_msgs.msg import Point

    from sam2_ros.msg import Prompt

    message = Prompt(points=[Point(x=float(x), y=float(y)) for x, y in points], **fields)
    if box is not None:
        names = ('x_min', 'y_min', 'x_max', 'y_max')
        for name, value in zip(names, box, strict=True):
            setattr(message.box, name, float(value))
    if stamp is not None:
        message.header.stamp = stamp
    return message


@pytest.fixture(scope='session')
def coffee(photos: Path) -> npt.NDArray[np.uint8]:
    """Return a photograph of a cup, [400, 600, 3] RGB; (300, 200) is on the coffee."""
    from sam2_ros.model.image_files import read_photo

    return read_photo(photos / 'coffee.png')


@pytest.fixture(scope='session')
def cat(photos: Path) -> npt.NDArray[np.uint8]:
    """Return a photograph of a cat, [300, 451, 3] RGB."""
    from sam2_ros.model.image_files import read_photo

    return read_photo(photos / 'chelsea.png')


@pytest.fixture(scope='session')
def failing_bundle(trained_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    Return the folder of a bundle whose decoder fails, in ONNX Runtime, for an odd number of points.

    The padding counts: a prompt of one point is answered, one of two points is not.
    """
    import onnx
    from onnx.helper import make_node

    from sam2_ros.model.bundle import sha256_of

    folder = tmp_path_factory.mktemp('bundles') / 'failing'
    shutil.copytree(trained_bundle, folder)
    path = folder / 'image_decoder.onnx'
    model = onnx.load(path)
    for node in model.graph.node:
        node.output[:] = ['answered' if name == 'iou_predictions' else name
                          for name in node.output]
    model.graph.initializer.extend([
        onnx.numpy_helper.from_array(np.array([0, -1, 2, 2], np.int64), 'pairs'),
        onnx.numpy_helper.from_array(np.float32(0), 'no_share')])
    model.graph.node.extend([
        make_node('Reshape', ['point_coords', 'pairs'], ['in_pairs'], 'fails'),
        make_node('ReduceSum', ['in_pairs'], ['sum_of_pairs'], keepdims=0),
        make_node('Mul', ['sum_of_pairs', 'no_share'], ['nothing']),
        make_node('Add', ['answered', 'nothing'], ['iou_predictions'])])
    onnx.save(model, path)
    manifest = json.loads((folder / 'manifest.json').read_text(encoding='utf-8'))
    manifest['graphs']['image_decoder']['sha256'] = sha256_of(path)
    (folder / 'manifest.json').write_text(json.dumps(manifest), encoding='utf-8')
    return folder


@pytest.fixture(scope='module')
def context(ros_domain: int) -> Iterator[Any]:
    """Return a context of rclpy in the module's ROS domain."""
    rclpy = pytest.importorskip('rclpy', reason='no ROS 2 in this environment')
    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.shutdown(context=context)


@pytest.fixture(scope='module')
def start_node(trained_bundle: Path, ros_domain: int) -> Iterator[Callable[..., NodeProcess]]:
    """Return a function that starts the node; what still runs at the end is stopped."""
    processes: list[NodeProcess] = []

    def start(namespace: str = '/test', arguments: Any = (), **parameters: Any) -> NodeProcess:
        # Pictures larger than Fast DDS's shared memory go through UDP in pieces, and best effort
        # loses them when the machine is busy. These tests are not about that.
        image = f'qos_overrides.{namespace}/image'
        qos = {f'{topic}.subscription.{policy}': value
               for topic in (image, f'{image}/compressed')
               for policy, value in (('reliability', 'reliable'), ('depth', 100))}
        parameters = {'bundle': trained_bundle, 'provider': 'cpu', 'threads': 1, 'mode': 'prompt',
                      'diagnostics_period': 0.1, 'prompt_timeout': TIMEOUT / 2, **qos,
                      **parameters}
        processes.append(NodeProcess(namespace, parameters, list(arguments)))
        return processes[-1]

    yield start
    for process in processes:
        if process.popen.poll() is None:
            process.popen.kill()
        process.wait()


@pytest.fixture(scope='module')
def make_robot(context: Any) -> Iterator[Callable[..., Robot]]:
    """Return a function that makes a robot for the node in a namespace."""
    robots: list[Robot] = []

    def make(namespace: str = '/test', compressed: bool = False) -> Robot:
        robots.append(Robot(context, namespace, compressed))
        return robots[-1]

    yield make
    for robot in robots:
        robot.close()


@pytest.fixture(scope='session')
def make_image() -> Callable[..., Any]:
    """Return `image_message`."""
    return image_message


@pytest.fixture(scope='session')
def make_prompt() -> Callable[..., Any]:
    """Return `prompt_message`."""
    return prompt_message
