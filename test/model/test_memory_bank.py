# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A frame attends to what the official code would attend to."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_ros.model.memory_bank import Memory, MemoryBank, MemoryLimits, Recall

LIMITS = st.builds(
    MemoryLimits, memories=st.integers(0, 6), stride=st.integers(1, 4),
    object_pointers=st.integers(1, 16),
    attended_prompted_frames=st.none() | st.integers(2, 4))


def memory(frame: int) -> Memory:
    """Return a memory by whose numbers the frame is known."""
    return Memory(np.full((1, 4), frame, np.float32), np.full(4, frame, np.float32))


def bank(prompted: set[int], tracked: set[int]) -> MemoryBank:
    made = MemoryBank()
    for frame in sorted(tracked):
        made.store(frame, memory(frame), prompted=False)
    for frame in sorted(prompted):
        made.store(frame, memory(frame), prompted=True)
    return made


@dataclass(frozen=True)
class Chosen:
    """Frames with their steps; sorted, since attention does not care for the order."""

    memories: list[tuple[int, int]]
    pointers: list[tuple[int, int]]


def chosen(recall: Recall) -> Chosen:
    return Chosen(
        sorted((int(each[0, 0]), step)
               for each, step in zip(recall.memories, recall.memory_steps, strict=True)),
        sorted((int(each[0]), step)
               for each, step in zip(recall.pointers, recall.pointer_steps, strict=True)))


def officially_chosen(
    frame: int, prompted: set[int], tracked: set[int], limits: MemoryLimits,
) -> Chosen:
    """
    Run ``SAM2Base._prepare_memory_conditioned_features`` and read what reaches its attention.

    Its memories are as wide as the pointers (4), one place each, and hold their frame's number; of
    the temporal encodings, row k holds k, and that of pointers what it is given.
    """
    torch = pytest.importorskip('torch')
    base = pytest.importorskip('sam2.modeling.sam2_base')
    rows = limits.memories + 1
    seen: dict[str, Any] = {}

    def attention(**inputs: Any) -> Any:
        seen.update(inputs)
        return inputs['curr'][0]

    model = SimpleNamespace(
        num_maskmem=rows, hidden_dim=4, mem_dim=4, training=False, use_obj_ptrs_in_encoder=True,
        max_obj_ptrs_in_encoder=limits.object_pointers, only_obj_ptrs_in_the_past_for_eval=True,
        max_cond_frames_in_attn=limits.attended_prompted_frames or -1,
        memory_temporal_stride_for_eval=limits.stride, use_signed_tpos_enc_to_obj_ptrs=True,
        add_tpos_enc_to_obj_ptrs=True, proj_tpos_enc_in_obj_ptrs=True,
        obj_ptr_tpos_proj=lambda encoding: encoding, memory_attention=attention,
        maskmem_tpos_enc=torch.arange(rows).float().reshape(rows, 1, 1, 1).expand(-1, 1, 1, 4))
    outputs = {each: {
        'maskmem_features': torch.full((1, 4, 1, 1), float(each)),
        'maskmem_pos_enc': [torch.zeros(1, 4, 1, 1)],
        'obj_ptr': torch.full((1, 4), float(each)),
    } for each in prompted | tracked}
    with pytest.MonkeyPatch.context() as patch:
        # The number of frames by which a pointer is away, instead of its sines.
        patch.setattr(base, 'get_1d_sine_pe', lambda time, dim: (
            time * max(limits.object_pointers - 1, 1)).reshape(-1, 1).expand(-1, dim))
        base.SAM2Base._prepare_memory_conditioned_features(
            model, frame, False, [torch.zeros(1, 1, 4)], [torch.zeros(1, 1, 4)], [(1, 1)],
            {'cond_frame_outputs': {each: outputs[each] for each in sorted(prompted)},
             'non_cond_frame_outputs': {each: outputs[each] for each in tracked}}, 10**6)
    values = seen['memory'][:, 0, 0].int().tolist()
    times = seen['memory_pos'][:, 0, 0].round().int().tolist()
    places = len(values) - seen['num_obj_ptr_tokens']
    # The last row stands for prompted frames, row k for k + 1 steps back.
    steps = [0 if row == rows - 1 and value in prompted else row + 1
             for value, row in zip(values, times, strict=True)][:places]
    return Chosen(sorted(zip(values, steps, strict=False)),
                  sorted(zip(values[places:], times[places:], strict=True)))


@settings(max_examples=300)
@given(
    frame=st.integers(1, 40), limits=LIMITS, seed=st.integers(0, 2**32 - 1),
    prompts=st.integers(1, 6), gaps=st.sampled_from([0.0, 0.2]))
def test_the_same_choice_as_the_official_function(
    frame: int, limits: MemoryLimits, seed: int, prompts: int, gaps: float,
) -> None:
    random = np.random.default_rng(seed)
    prompted = set(random.integers(0, frame, prompts).tolist())
    tracked = {each for each in range(frame) if random.random() >= gaps} - prompted
    found = chosen(bank(prompted, tracked).recall(frame, limits))
    expected = officially_chosen(frame, prompted, tracked, limits)
    if limits.object_pointers == 1:  # its time is 0 / 0 there, and 0 frames mean nothing
        assert [each for each, _ in found.pointers] == [each for each, _ in expected.pointers]
        expected = Chosen(expected.memories, found.pointers)
    assert found == expected


@given(limits=LIMITS, prompted=st.sets(st.integers(0, 60), min_size=1, max_size=6))
def test_what_is_forgotten_is_not_attended_to_again(
    limits: MemoryLimits, prompted: set[int],
) -> None:
    """A bank that forgets after each frame answers as one that never does, and stays small."""
    kept, forgetting = MemoryBank(), MemoryBank()
    for frame in range(min(prompted), 70):
        if frame not in prompted:
            recalls = [each.recall(frame, limits) for each in (kept, forgetting)]
            assert chosen(recalls[0]) == chosen(recalls[1])
        for each in (kept, forgetting):
            each.store(frame, memory(frame), frame in prompted)
        forgetting.forget_before(frame - 2, limits)
        assert len(forgetting.features) <= limits.stride * limits.memories + 4
        assert len(forgetting.pointers) <= limits.object_pointers + 2
    assert set(forgetting.prompted) == prompted


def test_only_the_past_is_attended_to() -> None:
    recall = bank({2, 8}, {3, 4, 5, 6, 7, 9, 10}).recall(6, MemoryLimits())
    assert chosen(recall) == Chosen([(2, 0), (3, 3), (4, 2), (5, 1)],
                                    [(2, 4), (3, 3), (4, 2), (5, 1)])


def test_no_pointers() -> None:
    recall = bank({0}, {1, 2}).recall(3, MemoryLimits(object_pointers=0))
    assert chosen(recall) == Chosen([(0, 0), (1, 2), (2, 1)], [])


def test_of_prompted_frames_the_newest_are_kept() -> None:
    limits = MemoryLimits(memories=0, object_pointers=1, prompted_frames=2)
    made = bank({0, 3, 6, 9}, set())
    assert chosen(made.recall(10, limits)).memories == [(6, 0), (9, 0)]
    # A frame that is tracked once more, before the newest, has its own newest two.
    assert chosen(made.recall(7, limits)).memories == [(3, 0), (6, 0)]
    made.forget_before(7, limits)
    assert set(made.prompted) == {3, 6, 9}
    assert chosen(made.recall(7, limits)).memories == [(3, 0), (6, 0)]


def test_a_frame_has_one_memory() -> None:
    made = bank({0}, {1, 2})
    made.store(1, memory(1), prompted=True)
    assert chosen(made.recall(3, MemoryLimits())).memories == [(0, 0), (1, 0), (2, 1)]
    made.store(1, memory(1), prompted=False)
    assert chosen(made.recall(3, MemoryLimits())).memories == [(0, 0), (1, 2), (2, 1)]


def test_later_frames_are_forgotten_but_not_prompts() -> None:
    made = bank({0, 5}, {1, 2, 3, 4, 6})
    made.forget_after(2)
    assert chosen(made.recall(7, MemoryLimits())) == Chosen(
        [(0, 0), (1, 6), (2, 5), (5, 0)], [(0, 7), (1, 6), (2, 5), (5, 2)])


def test_a_copy_stands_for_itself() -> None:
    made = bank({0}, {1, 2})
    other = made.copy()
    other.store(3, memory(3), prompted=True)
    other.forget_after(1)
    assert chosen(made.recall(3, MemoryLimits())).memories == [(0, 0), (1, 2), (2, 1)]
