# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ids of objects: 1 to 65535, since 0 is the background of a mono16 label image."""

from __future__ import annotations

from collections.abc import Collection

from sam2_ros.model.errors import PromptError
from sam2_ros.node.prompt_queue import PromptRequest

LARGEST_ID = 65535


def next_id(last: int, taken: Collection[int]) -> int:
    """Return the first id after `last`, around the end, that is not taken; raises PromptError."""
    for step in range(LARGEST_ID):
        object_id = (last + step) % LARGEST_ID + 1
        if object_id not in taken:
            return object_id
    raise PromptError(f'all {LARGEST_ID} object ids are in use; call ~/reset')


def refined_id(request: PromptRequest, known: Collection[int]) -> int | None:
    """
    Return the id of the object that a request refines, None if it begins an object.

    `known`: ids in the order in which the objects were prompted, the last one last.

    :raises PromptError: there is no such object.
    """
    if not request.refine:
        return None
    if request.object_id == 0 and known:
        return list(known)[-1]
    if request.object_id in known:
        return request.object_id
    if request.may_begin:
        return None
    raise PromptError(f'object {request.object_id} is not known, so it cannot be refined: it was '
                      'never prompted, or was removed or forgotten')


def check_known(object_id: int, known: Collection[int]) -> None:
    """:raises PromptError: the object is not among the known ones."""
    if object_id not in known:
        raise PromptError(f'object {object_id} is not known; known: '
                          f'{", ".join(map(str, sorted(known))) or "none"}')
