# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The worker: order, the newest frame wins, errors do not end it."""

from __future__ import annotations

import threading

from sam2_ros.node.worker import Worker

# Nothing takes this long.
TIMEOUT = 20.0


def test_jobs_in_order_and_only_the_newest_frame() -> None:
    done: list[str] = []
    begun, may_end, all_done = threading.Event(), threading.Event(), threading.Event()

    def busy() -> None:
        begun.set()
        assert may_end.wait(TIMEOUT)

    def last() -> None:
        done.append('frame 3')
        all_done.set()

    worker = Worker(lambda error: done.append(f'{error}'))
    worker.submit(busy)
    assert begun.wait(TIMEOUT)
    assert not worker.offer(lambda: done.append('frame 1'))
    assert worker.offer(lambda: done.append('frame 2'))
    worker.submit(lambda: done.append('prompt 1'))
    worker.submit(lambda: done.append('prompt 2'))
    assert worker.offer(last)
    may_end.set()
    assert all_done.wait(TIMEOUT)
    worker.stop()
    assert done == ['prompt 1', 'prompt 2', 'frame 3']


def test_an_error_is_reported_and_the_next_job_done() -> None:
    errors: list[str] = []
    done = threading.Event()

    def fail() -> None:
        raise ValueError('broken')

    worker = Worker(lambda error: errors.append(str(error)))
    worker.submit(fail)
    worker.submit(done.set)
    worker.stop()
    assert errors == ['broken']
    assert done.is_set()


def test_stop_drops_an_offered_frame() -> None:
    begun, may_end = threading.Event(), threading.Event()
    frames: list[int] = []

    def busy() -> None:
        begun.set()
        assert may_end.wait(TIMEOUT)

    worker = Worker(lambda error: None)
    worker.submit(busy)
    assert begun.wait(TIMEOUT)
    worker.offer(lambda: frames.append(1))
    worker.forget_newest()
    may_end.set()
    worker.stop()
    assert not frames
