# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which id a new object gets, and which object a prompt refines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip('sensor_msgs', reason='no ROS 2 in this environment')

from sam2_ros.model.errors import PromptError
from sam2_ros.node.object_ids import LARGEST_ID, check_known, next_id, refined_id
from sam2_ros.node.prompt_queue import PromptRequest

# few enough that they often meet, at both ends of the range
IDS = st.sampled_from([*range(1, 5), *range(LARGEST_ID - 3, LARGEST_ID + 1)])


@given(last=st.just(0) | IDS, taken=st.sets(IDS))
def test_the_next_id_is_free_and_the_first_such_after_the_last(last: int, taken: set[int]) -> None:
    found = next_id(last, taken)
    assert 1 <= found <= LARGEST_ID
    assert found not in taken
    passed = (found - last - 1) % LARGEST_ID
    assert all((last + step) % LARGEST_ID + 1 in taken for step in range(passed))


def test_all_ids_may_be_in_use() -> None:
    with pytest.raises(PromptError, match='all 65535 object ids are in use'):
        next_id(7, range(1, LARGEST_ID + 1))


@given(object_id=st.just(0) | IDS, known=st.lists(IDS, unique=True), refine=st.booleans(),
       may_begin=st.booleans())
def test_what_is_refined(object_id: int, known: list[int], refine: bool, may_begin: bool) -> None:
    request = PromptRequest('test', object_id=object_id, refine=refine, may_begin=may_begin)
    meant = object_id or (known[-1] if known else 0)
    if refine and meant not in known and not may_begin:
        with pytest.raises(PromptError, match=f'object {object_id} is not known'):
            refined_id(request, known)
    else:
        assert refined_id(request, known) == (meant if refine and meant in known else None)


def test_an_unknown_object() -> None:
    check_known(2, [1, 2])
    with pytest.raises(PromptError, match='object 3 is not known; known: 1, 2'):
        check_known(3, [2, 1])
    with pytest.raises(PromptError, match='known: none'):
        check_known(3, [])
