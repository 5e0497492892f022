# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The work that is timed is a tracked frame with full memory, of us and of the official code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('torch', reason='no PyTorch here: nothing to compare with')
pytest.importorskip('sam2', reason='no sam2 here: nothing to compare with')

from sam2.modeling.memory_attention import MemoryAttention

from sam2_ros.evaluate.official import official_model
from sam2_ros.evaluate.official_tracking import OfficialTracking
from sam2_ros.evaluate.scene import make_picture
from sam2_ros.evaluate.tracking import OurTracking, frames_to_full_memory
from sam2_ros.model import Bundle, ProviderOptions, TrackedObject, VideoTracker
from sam2_ros.model.network import Network

PICTURE = make_picture(96, 64)
#: Memories of a frame, its pointers: the prompted frame's and 6, or 15, of frames before.
FULL = (7, 16)


@pytest.fixture(scope='module')
def bundle(nano_bundle: Path) -> Bundle:
    """Return a bundle that can track."""
    return Bundle.load(nano_bundle)


@pytest.fixture
def attended(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return a list of the (memories, pointers) of each object on each frame that we track."""
    seen: list[tuple[int, int]] = []
    attend = Network.attend

    def watched(network: Network, embedding: Any, recalls: Sequence[Any]) -> Any:
        seen.extend((len(recall.memories), len(recall.pointers)) for recall in recalls)
        return attend(network, embedding, recalls)

    monkeypatch.setattr(Network, 'attend', watched)
    return seen


@pytest.mark.parametrize('objects', [1, 4])
def test_our_frames_have_full_memory(
    bundle: Bundle, attended: list[tuple[int, int]], objects: int,
) -> None:
    """From the first that counts, and in every run, however few memories it had in between."""
    ours = OurTracking(
        'ours', bundle, 'cpu', ProviderOptions(threads=1), PICTURE, objects, lambda: None)
    for _ in range(2):
        attended.clear()
        ours.run(1)
        fewer = [(1 + memories, FULL[1]) for memories in (0, 1, 2, 4)]
        assert attended == ([FULL, *fewer] if objects == 1 else [FULL] * objects)


def test_progress_while_the_memory_fills(bundle: Bundle) -> None:
    """It takes as many frames as are announced."""
    calls: list[None] = []
    OurTracking(
        'ours', bundle, 'cpu', ProviderOptions(threads=1), PICTURE, 1, lambda: calls.append(None))
    assert len(calls) == frames_to_full_memory(bundle) == 15


@pytest.mark.parametrize('objects', [1, 4])
def test_official_frames_have_full_memory(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, objects: int,
) -> None:
    """As many memories and pointers as ours, on every frame, object by object."""
    model = official_model(bundle, None)
    official = OfficialTracking(
        'theirs', model, PICTURE, objects, 1, frames_to_full_memory(bundle))
    seen: list[tuple[int, int]] = []
    forward = MemoryAttention.forward

    def watched(self: Any, *, memory: Any, num_obj_ptr_tokens: int, **others: Any) -> Any:
        places = (model.image_size // 16) ** 2
        seen.append(((len(memory) - num_obj_ptr_tokens) // places,
                     num_obj_ptr_tokens // (model.hidden_dim // model.mem_dim)))
        return forward(self, memory=memory, num_obj_ptr_tokens=num_obj_ptr_tokens, **others)

    monkeypatch.setattr(MemoryAttention, 'forward', watched)
    for _ in range(2):
        seen.clear()
        durations = official.run(1).seconds
        assert seen == [FULL] * objects
        assert list(durations) == ['step', 'encode', 'memory_attention', 'decode', 'memory_encode']


def test_both_find_the_same(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What is timed on both sides gives the same masks, since the weights and prompts are the same.

    Not exactly: the official predictor reads JPEG and resizes with another filter, and its
    memories are copies of its first one.
    """
    answers: list[TrackedObject] = []
    step = VideoTracker.step

    def watched(tracker: VideoTracker, *arguments: Any) -> list[TrackedObject]:
        answers[:] = step(tracker, *arguments)
        return answers

    monkeypatch.setattr(VideoTracker, 'step', watched)
    OurTracking('ours', bundle, 'cpu', ProviderOptions(threads=1), PICTURE, 1, lambda: None)
    official = OfficialTracking(
        'theirs', official_model(bundle, None), PICTURE, 1, 1, frames_to_full_memory(bundle))
    _, _, [[theirs]] = next(official._masks)
    ours = answers[0].mask.to_image()
    theirs = theirs.numpy() > 0
    assert theirs.any()
    assert np.logical_and(ours, theirs).sum() > 0.5 * np.logical_or(ours, theirs).sum()
