# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The loaded model and the worker that owns it, while the node is configured."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from time import perf_counter

from sensor_msgs.msg import Image

from sam2_ros.model.bundle import Bundle
from sam2_ros.model.errors import reason_of
from sam2_ros.model.video_tracker import ObjectState
from sam2_ros.node.answers import Answer, Answered, KnownObject, ObjectMask
from sam2_ros.node.diagnostics import Statistics
from sam2_ros.node.frame_buffer import Frame
from sam2_ros.node.image_segmentation import segment_once
from sam2_ros.node.modes import Mode, load_mode
from sam2_ros.node.parameters import Settings
from sam2_ros.node.prompt_queue import PromptRequest, Refusal
from sam2_ros.node.worker import Job, Worker

Batch = tuple[Frame, list[PromptRequest]]
Publish = Callable[[Answer], None]


class Session:
    """
    Loads and warms up the model that the settings name, then does all with it in one thread.

    :param on_error: called in that thread with what a job raised.
    :param notice: called in that thread with a line that tells what became of all objects.
    :raises Sam2RosError: as `load_mode`.
    """

    def __init__(
        self, settings: Callable[[], Settings], statistics: Statistics,
        on_error: Callable[[Exception], None], notice: Callable[[str], None],
    ) -> None:
        self._mode, self._segmenter = load_mode(settings, statistics, notice)
        self.bundle: Bundle = self._segmenter.bundle
        self._settings = settings
        self._statistics = statistics
        self._worker = Worker(on_error)
        # A frame may be through after the frames until then were forgotten: it belongs to a
        # generation.
        self._lock = threading.Lock()
        self._generation = 0
        self._newest: Frame | None = None
        #: Numbers of frames of which it is not known yet whether the mode takes or drops them.
        self._undecided: deque[int] = deque()
        #: The frame that was encoded ahead last; read by the callbacks.
        self.encoded_ahead: Frame | None = None

    @property
    def mode(self) -> str:
        """What the model is used for: track or prompt."""
        return self._mode.name

    @property
    def provider(self) -> str:
        """The execution provider that is really used."""
        return self._segmenter.provider

    @property
    def objects(self) -> tuple[KnownObject, ...]:
        """The objects that can be refined, as of the last job; the one prompted last at the end."""
        return self._mode.objects

    @property
    def frames(self) -> tuple[Frame, ...]:
        """Frames that are still at hand, as of the last job, however old they are."""
        return self._mode.frames

    def facts(self) -> dict[str, str]:
        """Return what a reader of diagnostics wants to know of the model."""
        manifest, objects = self.bundle.manifest, self.objects
        states = Counter(one.state for one in objects)
        return {
            'model': manifest.model, 'trained': str(manifest.trained).lower(),
            'image size': f'{manifest.image_size}x{manifest.image_size}',
            'precision': manifest.precision,
            'provider': self.provider, 'mode': self.mode, 'objects': str(len(objects)),
            **{f'objects {state.name.lower()}': str(states[state]) for state in ObjectState}}

    def submit(self, job: Job, cancel: Job) -> None:
        """Do `job` in the worker's thread; `cancel` is called if `stop` comes before."""
        self._worker.submit(job, cancel)

    def stop(self) -> None:
        """Drop what has not begun, end the worker's thread after the job in work, wait for it."""
        self._worker.stop()

    def frame_came(self, frame: Frame, publish: Publish) -> None:
        """Let the mode follow a new frame when there is time, unless a newer one comes first."""
        self._newest = frame
        if self._mode.wants_frames:
            self._undecided.append(frame.number)
            self._worker.offer(self._following(frame, publish))

    def answer(
        self, take_batch: Callable[[], Batch | None], publish: Publish,
        refuse: Callable[[list[Refusal]], None],
    ) -> None:
        """Answer the batch that `take_batch` then returns (None: an earlier job took it)."""
        def job() -> None:
            batch = take_batch()
            if batch is None:
                return
            frame, requests = batch
            try:
                with _Timed(self._statistics, self._mode):
                    answered = self._mode.answer(frame, requests)
            except Exception as error:  # ONNX Runtime, out of memory: none of them is answered
                answered = Answered(
                    refused=[Refusal(request, reason_of(error)) for request in requests])
            if frame in self._mode.frames:
                self._count_dropped(frame)
            refuse(answered.refused)
            for answer in answered.answers:
                self._publish(answer, publish)
            # When it came, there may have been no object to look for.
            newest = self._newest
            if newest is not None and self._mode.wants_frames:
                self._worker.offer_again(self._following(newest, publish))

        self._worker.submit(job)

    # ---- in the worker's thread ----

    def segment_once(self, image: Image, requests: list[PromptRequest]) -> list[ObjectMask]:
        """See `image_segmentation.segment_once`."""
        with _Timed(self._statistics, self._mode):
            return segment_once(self._segmenter, image, requests)

    def remove(self, object_id: int) -> None:
        """Forget an object; raises PromptError."""
        self._mode.remove(object_id)

    def reset(self) -> int:
        """Forget all objects; returns how many."""
        return self._mode.reset()

    def _following(self, frame: Frame, publish: Publish) -> Job:
        generation = self._generation
        return lambda: self._follow(frame, generation, publish)

    def _follow(self, frame: Frame, generation: int, publish: Publish) -> None:
        begin = perf_counter()
        try:
            with _Timed(self._statistics, self._mode):
                answer = self._mode.follow(frame)
        finally:
            self._count_dropped(frame)
        with self._lock:
            if generation == self._generation and self._settings().encode_ahead:
                self.encoded_ahead = frame
        if answer is not None:
            self._publish(answer, publish)
            self._statistics.time('frame', perf_counter() - begin)
            self._statistics.time('image to masks', time.monotonic() - frame.received)

    def _count_dropped(self, frame: Frame) -> None:
        """Count the frames before this one that nobody asked for and there was no time for."""
        taken = {frame.number, *(one.number for one in self._mode.frames)}
        while self._undecided and self._undecided[0] <= frame.number:
            if self._undecided.popleft() not in taken:
                self._statistics.count('frames dropped')

    def _publish(self, answer: Answer, publish: Publish) -> None:
        begin = perf_counter()
        publish(answer)
        self._statistics.time('publish', perf_counter() - begin)
        self._statistics.count('answers', len(answer.objects))

    # ---- in any thread ----

    def check(self, settings: Settings) -> None:
        """:raises OptionError: the settings ask for more than the model can do."""
        self._mode.check(settings)

    def forget_objects(self) -> None:
        """Forget all objects, once the worker is through with what it was given before."""
        def job() -> None:
            self._mode.reset()

        self._worker.submit(job)

    def forget_frames(self) -> None:
        """Forget images and what is known of them, once the worker is through with them."""
        self._newest = None
        self._worker.forget_newest()
        self.forget_encoded_ahead()
        self._worker.submit(self._mode.forget_frames)

    def forget_encoded_ahead(self) -> None:
        """Let no prompt mean a frame that was encoded ahead until now."""
        with self._lock:
            self._generation += 1
            self.encoded_ahead = None


class _Timed:
    """Adds the stages that the model runs within a `with` statement to the statistics."""

    def __init__(self, statistics: Statistics, mode: Mode) -> None:
        self._statistics = statistics
        self._mode = mode

    def __enter__(self) -> None:
        self._before = self._mode.last_timings

    def __exit__(self, *error: object) -> None:
        for stage, seconds in self._mode.last_timings.items():
            if self._before.get(stage) != seconds:  # else it did not run now
                self._statistics.time(stage, seconds)
                if stage == 'encode':
                    self._statistics.count('encoder runs')
