# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The session: what it has encoded ahead, and what becomes of refusals."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('sensor_msgs', reason='no ROS 2 in this environment')

from std_msgs.msg import Header

from sam2_ros.node.conversions import to_image
from sam2_ros.node.diagnostics import Statistics
from sam2_ros.node.frame_buffer import Frame
from sam2_ros.node.parameters import Settings
from sam2_ros.node.prompt_queue import PromptRequest
from sam2_ros.node.session import Session

# Nothing takes this long.
TIMEOUT = 20.0


@pytest.fixture
def session(trained_bundle: Path) -> Iterator[Session]:
    settings = Settings(
        bundle=str(trained_bundle), provider='cpu', mode='prompt', encode_ahead=True)
    session = Session(lambda: settings, Statistics(), lambda error: None, lambda line: None)
    yield session
    session.stop()


def wait_for_worker(session: Session) -> None:
    through = threading.Event()
    session.submit(through.set, through.set)
    assert through.wait(TIMEOUT)


def test_an_encode_that_ends_after_it_was_forgotten(
    session: Session, coffee: Any, monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def follow(frame: Frame) -> None:
        begun.set()
        assert may_end.wait(TIMEOUT)

    monkeypatch.setattr(session._mode, 'follow', follow)
    before, after = (Frame(to_image(coffee, 'rgb8', Header())) for _ in range(2))
    session.frame_came(before, print)
    assert begun.wait(TIMEOUT)
    session.forget_encoded_ahead()
    may_end.set()
    wait_for_worker(session)
    assert session.encoded_ahead is None
    begun.clear()
    session.frame_came(after, print)
    assert begun.wait(TIMEOUT)
    wait_for_worker(session)
    assert session.encoded_ahead is after


def test_refusals_are_told_even_if_publishing_fails(session: Session, coffee: Any) -> None:
    frame = Frame(to_image(coffee, 'rgb8', Header()))
    good = PromptRequest('test', points=[(300.0, 200.0)])
    bad = PromptRequest('test', points=[(9999.0, 200.0)])
    refused: list[Any] = []

    def publish(*answer: Any) -> None:
        raise RuntimeError('the publisher is gone')

    session.answer(lambda: (frame, [good, bad]), publish, refused.extend)
    wait_for_worker(session)
    assert [refusal.request for refusal in refused] == [bad]


@pytest.mark.parametrize('mode', ['track', 'prompt'])
def test_a_frame_is_dropped_if_neither_time_nor_a_prompt_brings_it(
    trained_bundle: Path, coffee: Any, mode: str,
) -> None:
    settings = Settings(
        bundle=str(trained_bundle), provider='cpu', mode=mode, encode_ahead=True, kept_frames=1,
        cached_embeddings=1)
    statistics = Statistics()
    session = Session(lambda: settings, statistics, lambda error: None, lambda line: None)
    frames = [Frame(to_image(coffee, 'rgb8', Header())) for _ in range(6)]
    answers: list[Any] = []
    batches: deque[Any] = deque()
    may_begin = threading.Event()

    def wait() -> None:
        assert may_begin.wait(TIMEOUT)

    session.submit(wait, wait)
    for number, frame in enumerate(frames):
        session.frame_came(frame, answers.append)
        if number in (1, 2, 4):
            batches.append((frame, [PromptRequest('test', points=[(300.0, 200.0)])]))
            session.answer(batches.popleft, answers.append, lambda refused: None)
    may_begin.set()
    wait_for_worker(session)
    session.stop()  # the newest frame is in work now, or dropped unseen
    assert [answer.frame for answer in answers[:3]] == [frames[1], frames[2], frames[4]]
    assert statistics.total('frames dropped') == 2
