# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The loaded model and the worker that owns it, while the node is configured."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from sensor_msgs.msg import Image

from sam2_ros.model.bundle import Bundle, Manifest
from sam2_ros.model.errors import BundleError
from sam2_ros.model.providers import ProviderOptions
from sam2_ros.model.segmenter import ImageSegmenter
from sam2_ros.node.diagnostics import Statistics
from sam2_ros.node.frame_buffer import Frame
from sam2_ros.node.parameters import Settings
from sam2_ros.node.prompt_queue import PromptRequest, Refusal
from sam2_ros.node.prompt_segmentation import Answer, ObjectMask, PromptSegmentation
from sam2_ros.node.worker import Job, Worker

Batch = tuple[Frame, list[PromptRequest]]


class Session:
    """
    Loads and warms up the model of `settings().bundle`, then does all with it in one thread.

    :raises BundleError: the bundle is missing or damaged.
    :raises ProviderError: the provider cannot be had.
    """

    def __init__(
        self, settings: Callable[[], Settings], statistics: Statistics,
        on_error: Callable[[Exception], None],
    ) -> None:
        now = settings()
        if not now.bundle:
            raise BundleError('parameter bundle is empty: give the folder that `sam2-ros export` '
                              'wrote, as in -p bundle:=FOLDER')
        bundle = Bundle.load(Path(now.bundle).expanduser())
        self.manifest: Manifest = bundle.manifest
        self._segmenter = ImageSegmenter(
            bundle, now.provider, ProviderOptions(
                threads=now.threads, device_id=now.device_id, fp16=now.fp16,
                cache_dir=Path(now.cache_dir).expanduser() if now.cache_dir else None))
        self._segmenter.warm_up()
        self._statistics = statistics
        self._segmentation = PromptSegmentation(self._segmenter, settings)
        self._worker = Worker(on_error)
        # An encode may end after what it encoded was forgotten: it belongs to a generation.
        self._lock = threading.Lock()
        self._generation = 0
        #: The frame that was encoded ahead last; read by the callbacks.
        self.encoded_ahead: Frame | None = None

    @property
    def provider(self) -> str:
        """The execution provider that is really used."""
        return self._segmenter.provider

    def facts(self) -> dict[str, str]:
        """Return what a reader of diagnostics wants to know of the model."""
        size = self.manifest.image_size
        return {
            'model': self.manifest.model, 'trained': str(self.manifest.trained).lower(),
            'image size': f'{size}x{size}', 'precision': self.manifest.precision,
            'provider': self.provider, 'objects': str(len(self._segmentation.object_ids))}

    def submit(self, job: Job, cancel: Job) -> None:
        """Do `job` in the worker's thread; `cancel` is called if `stop` comes before."""
        self._worker.submit(job, cancel)

    def stop(self) -> None:
        """Drop what has not begun, end the worker's thread after the job in work, wait for it."""
        self._worker.stop()

    def encode_ahead(self, frame: Frame) -> None:
        """Encode a frame when there is time, unless a newer one comes first."""
        generation = self._generation
        if self._worker.offer(lambda: self._encode(frame, generation)):
            self._statistics.count('frames dropped')

    def answer(
        self, take_batch: Callable[[], Batch | None],
        publish: Callable[[Frame, Answer], None], refuse: Callable[[list[Refusal]], None],
    ) -> None:
        """Answer the batch that `take_batch` then returns (None: an earlier job took it)."""
        def job() -> None:
            batch = take_batch()
            if batch is None:
                return
            with _Timed(self._statistics, self._segmenter):
                answer = self._segmentation.answer(*batch)
            refuse(answer.refused)
            begin = perf_counter()
            if answer.objects:
                publish(batch[0], answer)
                self._statistics.time('publish', perf_counter() - begin)
                self._statistics.count('answers', len(answer.objects))

        self._worker.submit(job)

    # ---- in the worker's thread ----

    def segment_once(self, image: Image, requests: list[PromptRequest]) -> list[ObjectMask]:
        """See `PromptSegmentation.segment_once`."""
        with _Timed(self._statistics, self._segmenter):
            return self._segmentation.segment_once(image, requests)

    def remove(self, object_id: int) -> None:
        """Forget an object; raises PromptError."""
        self._segmentation.remove(object_id)

    def reset(self) -> int:
        """Forget all objects; returns how many."""
        return self._segmentation.reset()

    def _encode(self, frame: Frame, generation: int) -> None:
        with _Timed(self._statistics, self._segmenter):
            self._segmentation.encode(frame)
        with self._lock:
            if generation == self._generation:
                self.encoded_ahead = frame

    # ---- in any thread ----

    def forget_frames(self) -> None:
        """Forget images and what is known of them, once the worker is through with them."""
        self.forget_encoded_ahead()
        self._worker.submit(self._segmentation.forget_frames)

    def forget_encoded_ahead(self) -> None:
        """Let no prompt mean a frame that was encoded ahead until now."""
        self._worker.forget_newest()
        with self._lock:
            self._generation += 1
            self.encoded_ahead = None


class _Timed:
    """Adds the stages that the segmenter runs within a `with` statement to the statistics."""

    def __init__(self, statistics: Statistics, segmenter: ImageSegmenter) -> None:
        self._statistics = statistics
        self._segmenter = segmenter

    def __enter__(self) -> None:
        self._before = self._segmenter.last_timings

    def __exit__(self, *error: object) -> None:
        for stage, seconds in self._segmenter.last_timings.items():
            if self._before.get(stage) != seconds:  # else it did not run now
                self._statistics.time(stage, seconds)
                if stage == 'encode':
                    self._statistics.count('encoder runs')
