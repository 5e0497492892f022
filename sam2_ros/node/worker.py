# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one thread that owns the model."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

Job = Callable[[], None]


class Worker:
    """
    Runs jobs one after another in a thread of its own; nobody waits for it.

    Jobs that are submitted are done in their order. Besides, there is one place for a job on the
    newest frame: it is done when nothing else is to do, and a newer one takes its place.
    """

    def __init__(self, on_error: Callable[[Exception], None]) -> None:
        """Start the thread; `on_error` is called in it with what a job raised."""
        self._on_error = on_error
        self._jobs: deque[tuple[Job, Job | None]] = deque()
        self._newest: Job | None = None
        self._stopping = False
        self._condition = threading.Condition()
        self._thread = threading.Thread(target=self._run, name='sam2_worker', daemon=True)
        self._thread.start()

    def submit(self, job: Job, cancel: Job | None = None) -> None:
        """Do `job` after all that were submitted before; `cancel` is called if it is dropped."""
        with self._condition:
            stopping = self._stopping
            if not stopping:
                self._jobs.append((job, cancel))
                self._condition.notify()
        if stopping and cancel is not None:
            cancel()

    def offer(self, job: Job) -> None:
        """Do `job` when there is time, and not the one that was offered before."""
        with self._condition:
            self._newest = job
            self._condition.notify()

    def offer_again(self, job: Job) -> None:
        """Do `job` when there is time, unless one that was offered later waits already."""
        with self._condition:
            self._newest = self._newest or job
            self._condition.notify()

    def forget_newest(self) -> None:
        """Drop the job that was offered, if it has not begun."""
        with self._condition:
            self._newest = None

    def stop(self) -> None:
        """Drop the jobs that have not begun, end the thread after the one in work, wait for it."""
        with self._condition:
            self._stopping = True
            self._newest = None
            dropped, self._jobs = self._jobs, deque()
            self._condition.notify()
        for _, cancel in dropped:
            if cancel is not None:
                cancel()
        self._thread.join()

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except Exception as error:  # a job must not end the thread that owns the model
                self._on_error(error)
            # Not kept while waiting: a job holds its image.
            del job

    def _next(self) -> Job | None:
        with self._condition:
            while True:
                if self._jobs:
                    return self._jobs.popleft()[0]
                if self._newest is not None:
                    job, self._newest = self._newest, None
                    return job
                if self._stopping:
                    return None
                self._condition.wait()
