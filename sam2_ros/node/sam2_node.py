# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The managed node: topics and services in, masks out. docs/node.md describes it from outside."""

from __future__ import annotations

import signal
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Point, PointStamped
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from sam2_ros.model.errors import ImageError, OptionError, PromptError, Sam2RosError, reason_of
from sam2_ros.msg import Prompt
from sam2_ros.node.clicks import Clicks
from sam2_ros.node.conversions import check_image
from sam2_ros.node.declared import declare, on_change, refuse_if
from sam2_ros.node.diagnostics import Statistics, Throttle
from sam2_ros.node.frame_buffer import Arrival, Frame, FrameBuffer
from sam2_ros.node.model_logs import model_logs_to
from sam2_ros.node.parameters import Settings
from sam2_ros.node.projection import image_size, project
from sam2_ros.node.prompt_queue import PromptQueue, PromptRequest, Refusal, request_from_message
from sam2_ros.node.results import Results
from sam2_ros.node.services import Services
from sam2_ros.node.session import Session
from sam2_ros.node.transforms import Transforms

#: Prompts and clicks come in bursts, and none may be lost.
PROMPT_DEPTH = 100
#: Seconds between two looks at prompts that wait for their image or their transform.
WAITING_PERIOD = 0.05

_Transition = Callable[['Sam2Node', LifecycleState], TransitionCallbackReturn]


def _reported(transition: _Transition) -> _Transition:
    """Log what a transition raises: rclpy (Jazzy) drops it and goes to the error state."""
    @wraps(transition)
    def reporting(node: Sam2Node, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(node, state)
        except Exception:
            if node.context.ok():  # else a signal came in the midst of it
                node.get_logger().fatal(f'{transition.__name__} failed: {traceback.format_exc()}')
            raise
    return reporting


class Sam2Node(LifecycleNode):
    """
    Segments what it is pointed at.

    All callbacks run in one thread and none of them waits for the model, which belongs to the
    session's worker. configure loads the model, activate subscribes.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__('sam2', **options)
        self.settings: Settings = declare(self)
        refuse_if(self, self._beyond_the_model)
        on_change(self, self._settings_changed)
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._statistics = Statistics()
        self._throttle = Throttle()
        self._frames = FrameBuffer(self.settings.history_size)
        self._prompts = PromptQueue()
        self._clicks = Clicks()
        self._transforms = Transforms(self)
        self._camera_info: CameraInfo | None = None
        self._points: list[tuple[PointStamped, float]] = []
        self._session: Session | None = None
        self._results: Results | None = None
        self._active = False
        self._subscriptions_made: list[Any] = []
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._diagnostics_timer = self.create_timer(
            self.settings.diagnostics_period, self._publish_diagnostics, clock=self._steady)
        # Runs only while something waits: an idle node does not wake up for it.
        self._waiting_timer = self.create_timer(
            WAITING_PERIOD, self._look_at_waiting, clock=self._steady)
        self._waiting_timer.cancel()
        self._camera_timer = self.create_timer(
            self.settings.camera_timeout, self._camera_stopped, clock=self._steady)
        self._camera_timer.cancel()
        self._last_image = 0.0
        self._camera_is_silent = False
        Services(
            self, lambda: self._session, settings=lambda: self.settings,
            is_active=lambda: self._active, forget_prompts=self._forget_prompts,
            complain=self._complain)

    # ---- life cycle ----

    def start(self) -> bool:
        """Configure and activate; returns whether that worked (if not, the log says why)."""
        success = TransitionCallbackReturn.SUCCESS
        return self.trigger_configure() == success and self.trigger_activate() == success

    def close(self) -> None:
        """End the worker after the job it is doing; requests that still wait are refused."""
        if self._session is not None:
            self._session.stop()
            self._session = None

    @_reported
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model and run it once."""
        begin = time.monotonic()
        try:
            session = Session(
                lambda: self.settings, self._statistics, self._job_failed, self._warn)
        except Sam2RosError as error:
            return self._failed(str(error))
        except Exception as error:  # ONNX Runtime, out of memory: said here or nowhere
            return self._failed(f'the model cannot be loaded: {error}')
        self._session = session
        self._results = Results(self, lambda: self.settings)
        manifest = session.bundle.manifest
        weights = 'trained' if manifest.trained else 'UNTRAINED'
        self.get_logger().info(
            f'model {manifest.model} ({weights}, {manifest.image_size}x{manifest.image_size}, '
            f'{manifest.precision}) from {session.bundle.path}'
            f'{"" if self.settings.bundle else " (parameter bundle is empty)"}, '
            f'provider {session.provider}, mode {session.mode}, '
            f'loaded in {time.monotonic() - begin:.1f} s')
        if not manifest.trained:
            self.get_logger().warning(
                'the model is UNTRAINED: its weights are random, its masks mean nothing')
        return super().on_configure(state)

    @_reported
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe."""
        compressed = self.settings.image_transport == 'compressed'
        # As image_transport does: remapping `image` moves the compressed topic along.
        topic = self.resolve_topic_name('image') + ('/compressed' if compressed else '')
        try:
            self._subscribe(CompressedImage if compressed else Image, topic, self._image_came,
                            qos_profile_sensor_data, qos_overrides=True)
            self._subscribe(
                CameraInfo, 'camera_info', self._camera_info_came, qos_profile_sensor_data)
            self._subscribe(Prompt, '~/prompt', self._prompt_came, PROMPT_DEPTH)
            self._subscribe(Point, 'image_mouse_left', self._mouse_clicked, PROMPT_DEPTH)
            self._subscribe(PointStamped, 'clicked_point', self._point_clicked, PROMPT_DEPTH)
        except Exception as error:  # a QoS override that is no policy
            self._leave_active()
            return self._failed(f'cannot subscribe (images from {topic}): {error}')
        self._active = True
        self.get_logger().info(f'active, images from {topic}')
        return super().on_activate(state)

    @_reported
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe; objects are kept, images and waiting prompts are not."""
        self._leave_active()
        return super().on_deactivate(state)

    @_reported
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the model."""
        self._free()
        return TransitionCallbackReturn.SUCCESS

    @_reported
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the model, from whatever state."""
        self._leave_active()
        self._free()
        return TransitionCallbackReturn.SUCCESS

    @_reported
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Go back to the unconfigured state."""
        return self.on_shutdown(state)

    def _subscribe(
        self, kind: Any, topic: str, callback: Callable[[Any], None], qos: QoSProfile | int,
        *, qos_overrides: bool = False,
    ) -> None:
        overriding = QoSOverridingOptions.with_default_policies() if qos_overrides else None
        self._subscriptions_made.append(self.create_subscription(
            kind, topic, callback, qos, qos_overriding_options=overriding))

    def _failed(self, reason: str) -> TransitionCallbackReturn:
        """Say in log and diagnostics why a transition failed; the node stays as it is."""
        text = ' '.join(reason.split())
        self._statistics.error(text, time.monotonic())
        if self.context.ok():  # else a signal came in the midst of it
            self.get_logger().fatal(text)
        return TransitionCallbackReturn.FAILURE

    def _leave_active(self) -> None:
        self._active = False
        for subscription in self._subscriptions_made:
            self.destroy_subscription(subscription)
        self._subscriptions_made = []
        self._waiting_timer.cancel()
        self._camera_timer.cancel()
        self._camera_is_silent = False
        self._forget_prompts()
        self._frames.clear()
        self._camera_info = None
        if self._session is not None:
            self._session.forget_frames()

    def _free(self) -> None:
        self.close()
        if self._results is not None:
            self._results.destroy()
            self._results = None

    def _forget_prompts(self) -> None:
        self._prompts.clear()
        self._points.clear()
        self._clicks.reset()

    def _beyond_the_model(self, settings: Settings) -> str | None:
        """Return why the loaded model cannot do as the settings say, None if it can."""
        try:
            if self._session is not None:
                self._session.check(settings)
        except OptionError as error:
            return str(error)
        return None

    def _settings_changed(self, settings: Settings) -> None:
        self.settings = settings
        self._frames.resize(settings.history_size)
        self._diagnostics_timer.timer_period_ns = int(1e9 * settings.diagnostics_period)
        self._diagnostics_timer.reset()
        self._camera_timer.timer_period_ns = int(1e9 * settings.camera_timeout)
        if settings.click_mode == 'point':
            self._clicks.reset()
        if self._session is not None and not settings.encode_ahead:
            self._session.forget_encoded_ahead()

    # ---- images and prompts ----

    def _image_came(self, message: Image | CompressedImage) -> None:
        self._statistics.count('images')
        self._camera_is_there()
        try:
            if isinstance(message, Image):
                check_image(message)
            elif not message.data:
                raise ImageError('the compressed image is empty: 0 bytes of data')
        except ImageError as error:
            self._statistics.count('images refused')
            self._complain(str(error))
            return
        frame = Frame(message)
        arrival = self._frames.add(frame, self.settings.time_jump_tolerance)
        if arrival == Arrival.LATE:
            self._statistics.count('images late')
            return
        if arrival == Arrival.JUMPED_BACK:
            self._time_jumped()
        if self._session is not None and self._results is not None:
            self._session.frame_came(frame, self._results.publish)
        if self._prompts.waiting:
            self._match()

    def _time_jumped(self) -> None:
        if self._session is not None:
            self._session.forget_frames()
        self._warn('the time of the images jumped back: the earlier ones are forgotten'
                   + self._decide_on_objects(self.settings.on_time_jump))

    def _camera_is_there(self) -> None:
        """Begin to wait for the next image; say so if this one ends a silence."""
        now = time.monotonic()
        if self._camera_is_silent:
            self._camera_is_silent = False
            self.get_logger().info(
                f'images come again, after {now - self._last_image:.1f} s'
                + self._decide_on_objects(self.settings.on_camera_return))
        self._last_image = now
        self._camera_timer.reset()

    def _camera_stopped(self) -> None:
        self._camera_timer.cancel()
        self._camera_is_silent = True
        self.get_logger().warning(
            f'no image has come for {self.settings.camera_timeout:g} s: waiting for the camera')

    def _decide_on_objects(self, decision: str) -> str:
        """Keep or reset the objects; returns the end of a sentence that says so."""
        count = len(self._session.objects) if self._session is not None else 0
        if self._session is not None and decision == 'reset':
            self._session.forget_objects()
        if not count:
            return ''
        return f'; objects {"kept" if decision == "keep" else "forgotten"}: {count}'

    def _camera_info_came(self, message: CameraInfo) -> None:
        self._camera_info = message

    def _prompt_came(self, message: Prompt) -> None:
        self._take('~/prompt', lambda: request_from_message(message, self.settings, '~/prompt'))

    def _mouse_clicked(self, click: Point) -> None:
        source = 'image_mouse_left'
        self._take(source, lambda: self._click(click.x, click.y, source))

    def _point_clicked(self, message: PointStamped) -> None:
        self._take('clicked_point', lambda: self._project(
            message, time.monotonic() + self.settings.prompt_timeout))

    def _click(
        self, x: float, y: float, source: str, size: tuple[int, int] | None = None,
    ) -> PromptRequest | None:
        request = self._clicks.click(x, y, self.settings, source, size)
        if self._clicks.waits_for_second_corner:
            self.get_logger().info(f'corner of a box at ({x:g}, {y:g}); click the opposite one')
        return request

    def _project(self, message: PointStamped, deadline: float) -> PromptRequest | None:
        """Return the prompt of a click in space; None if it is a corner or waits for /tf."""
        info, frame_id = self._camera_info, message.header.frame_id
        if info is None:
            raise PromptError('there is no camera_info yet, so the point has no place in the '
                              'picture')
        if not frame_id:
            raise PromptError('the point has no frame_id')
        point = (message.point.x, message.point.y, message.point.z)
        camera = info.header.frame_id
        if frame_id.lstrip('/') != camera.lstrip('/'):
            newest = self._frames.newest
            late = time.monotonic() >= deadline
            seen = self._transforms.point(
                point, frame_id, camera, newest.stamp if newest else 0, or_newest=late)
            if seen is None and not late:
                self._points.append((message, deadline))
                self._look_again()
                return None
            if seen is None:
                raise PromptError(f"there is no transform from frame '{frame_id}' to the camera's "
                                  f"'{camera}'")
            point = seen
        x, y = project(point, info, rectified=self.settings.image_rectified)
        return self._click(x, y, 'clicked_point', image_size(info))

    def _take(self, source: str, make: Callable[[], PromptRequest | None]) -> None:
        """Queue the prompt that `make` returns, if it does; say why if it cannot."""
        try:
            request = make()
            if request is None:
                return
            self._statistics.count('prompts')
            self._prompts.add(request, time.monotonic(), self.settings.prompt_timeout)
        except PromptError as error:
            self._statistics.count('prompts refused')
            self._complain(f'{source}: {error}')
            return
        if self._frames.newest is None:
            self.get_logger().info(
                'a prompt waits for the first image', once=True)
        self._match()

    def _match(self) -> None:
        """Bring prompts together with their images and hand them to the worker."""
        if self._session is None or self._results is None:
            return
        newest = self._session.encoded_ahead if self.settings.encode_ahead else None
        matched, refused = self._prompts.match(
            self._frames, time.monotonic(), self.settings.stamp_tolerance, newest,
            self._session.frames)
        self._refuse(refused)
        for _ in range(matched):
            self._session.answer(self._prompts.take_batch, self._results.publish, self._refuse)
        if self._prompts.has_deadline:
            self._look_again()

    def _look_again(self) -> None:
        # A timer that runs is left alone: reset with each prompt, it would never be due.
        if self._waiting_timer.is_canceled():
            self._waiting_timer.reset()

    def _look_at_waiting(self) -> None:
        points, self._points = self._points, []
        self._waiting_timer.cancel()
        for message, deadline in points:
            self._take('clicked_point', partial(self._project, message, deadline))
        self._match()

    def _refuse(self, refused: list[Refusal]) -> None:
        """Say why prompts get no answer: one line for all that share the reason."""
        about: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for refusal in refused:
            self._statistics.count('prompts refused')
            about[refusal.request.source, refusal.reason].append(refusal.request.about)
        for (source, reason), objects in about.items():
            self._complain(f'{source} ({", ".join(objects)}): {reason}')

    # ---- health ----

    def _job_failed(self, error: Exception) -> None:
        if self.context.ok():
            self._complain(reason_of(error))

    def _complain(self, message: str) -> None:
        """Log an error, throttled, and put it into the diagnostics."""
        text = self._note(message)
        if text is not None:
            self.get_logger().error(text)

    def _warn(self, message: str) -> None:
        """Log what became of images or objects, throttled, and put it into the diagnostics."""
        text = self._note(message)
        if text is not None:
            self.get_logger().warning(text)

    def _note(self, message: str) -> str | None:
        """Put an error into the diagnostics; returns what to log of it."""
        now = time.monotonic()
        self._statistics.error(message, now)
        return self._throttle.passes(message, now)

    def _publish_diagnostics(self) -> None:
        state = ('active' if self._active else
                 'unconfigured' if self._session is None else 'inactive')
        facts = {'state': state}
        if self._session is not None:
            facts.update(self._session.facts())
        for subscription in self._subscriptions_made:
            facts[f'publishers on {subscription.topic_name}'] = str(
                subscription.get_publisher_count())
        if self._results is not None:
            facts['listeners to ~/masks'] = str(self._results.listeners)
        facts['prompts waiting for an image'] = str(self._prompts.waiting)
        facts['clicks waiting for a transform'] = str(len(self._points))
        silence = None
        if self._camera_is_silent:
            silence = f'no image for {time.monotonic() - self._last_image:.1f} s'
        facts['camera'] = silence or ('publishing' if len(self._frames) else 'no image yet')
        message = DiagnosticArray(status=[self._statistics.status(
            f'{self.get_fully_qualified_name()}: segmentation', time.monotonic(), facts,
            summary='running' if self._active else state, warning=silence)])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def main(args: list[str] | None = None) -> int:
    """Run the node until it is interrupted; returns the exit code."""
    node, initialized, spinning = None, False, False

    def interrupted(*signal_and_stack: object) -> None:
        # rclpy ends the context as well, and that ends the spinning. An exception beside it may
        # come up in the callback of a weak reference, where Python prints and forgets it.
        if not spinning:
            raise KeyboardInterrupt

    try:
        signal.signal(signal.SIGINT, interrupted)  # before rclpy, whose handler then calls it
        rclpy.init(args=args)
        initialized = True
        node = Sam2Node()
        # Python's logging is the process's, not the node's.
        model_logs_to(node.get_logger())
        if node.settings.autostart and not node.start():
            return 1 if node.context.ok() else 0  # a signal while the model loads is no failure
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        spinning = True
        executor.spin()
        return 0
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except Exception as error:
        # A signal ends the context, and rclpy notices that at any of its calls.
        if initialized and not rclpy.ok():
            return 0
        if node is not None:
            raise
        # A parameter of the wrong type or out of its range, an argument that ROS cannot parse.
        print(f'sam2_node cannot start: {" ".join(str(error).split())}', file=sys.stderr)
        return 1
    finally:
        if node is not None:
            node.close()
            node.destroy_node()
        rclpy.try_shutdown()


if __name__ == '__main__':
    sys.exit(main())
