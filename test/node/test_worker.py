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
    worker.offer(lambda: done.append('frame 1'))
    worker.offer(lambda: done.append('frame 2'))
    worker.submit(lambda: done.append('prompt 1'))
    worker.submit(lambda: done.append('prompt 2'))
    worker.offer(last)
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
    assert done.wait(TIMEOUT)
    worker.stop()
    assert errors == ['broken']


def test_stop_drops_what_has_not_begun_and_says_so() -> None:
    begun, may_end = threading.Event(), threading.Event()
    done: list[str] = []

    def busy() -> None:
        begun.set()
        assert may_end.wait(TIMEOUT)
        done.append('busy')

    def cancel() -> None:
        done.append('cancelled')
        may_end.set()  # stop waits for the job in work

    worker = Worker(lambda error: None)
    worker.submit(busy)
    assert begun.wait(TIMEOUT)
    worker.submit(lambda: done.append('a job that was dropped'))
    worker.submit(lambda: done.append('another'), cancel)
    worker.stop()
    assert done == ['cancelled', 'busy']
    worker.submit(lambda: done.append('after the end'), cancel)
    assert done == ['cancelled', 'busy', 'cancelled']


def test_a_frame_offered_again_does_not_replace_a_newer_one() -> None:
    begun, may_end = threading.Event(), threading.Event()
    frames: list[int] = []

    def busy() -> None:
        begun.set()
        assert may_end.wait(TIMEOUT)

    worker = Worker(lambda error: None)
    worker.submit(busy)
    assert begun.wait(TIMEOUT)
    worker.offer_again(lambda: frames.append(1))
    done = threading.Event()

    def newest() -> None:
        frames.append(2)
        done.set()

    worker.offer(newest)
    worker.offer_again(lambda: frames.append(1))
    may_end.set()
    assert done.wait(TIMEOUT)
    worker.stop()
    assert frames == [2]


def test_a_forgotten_frame_is_dropped() -> None:
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
