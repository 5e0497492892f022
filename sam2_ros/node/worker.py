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
        self._jobs: deque[Job] = deque()
        self._newest: Job | None = None
        self._stopping = False
        self._condition = threading.Condition()
        self._thread = threading.Thread(target=self._run, name='sam2_worker', daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Do `job` after all that were submitted before."""
        with self._condition:
            self._jobs.append(job)
            self._condition.notify()

    def offer(self, job: Job) -> bool:
        """Do `job` when there is time; returns whether an older one was dropped for it."""
        with self._condition:
            dropped = self._newest is not None
            self._newest = job
            self._condition.notify()
        return dropped

    def forget_newest(self) -> None:
        """Drop the job that was offered, if it has not begun."""
        with self._condition:
            self._newest = None

    def stop(self) -> None:
        """Finish the job in work and those submitted, end the thread, and wait for that."""
        with self._condition:
            self._stopping = True
            self._newest = None
            self._condition.notify()
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
                    return self._jobs.popleft()
                if self._newest is not None:
                    job, self._newest = self._newest, None
                    return job
                if self._stopping:
                    return None
                self._condition.wait()
