# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clicks of a person on a picture, turned into prompts."""

from __future__ import annotations

import math

from sam2_ros.model.errors import PromptError
from sam2_ros.model.prompts import NEGATIVE, POSITIVE
from sam2_ros.node.parameters import Settings
from sam2_ros.node.prompt_queue import PromptRequest, default_multimask

Corner = tuple[float, float]


class Clicks:
    """Makes a point prompt of each click, or in box mode a box prompt of each two clicks."""

    def __init__(self) -> None:
        self._corner: Corner | None = None

    @property
    def waits_for_second_corner(self) -> bool:
        """Say whether the first corner of a box has been clicked."""
        return self._corner is not None

    def reset(self) -> None:
        """Forget the first corner of a box."""
        self._corner = None

    def click(
        self, x: float, y: float, settings: Settings, source: str,
        image_size: tuple[int, int] | None = None,
    ) -> PromptRequest | None:
        """
        Return the prompt that a click at pixel (x, y) completes; None for a box's first corner.

        :raises PromptError: a coordinate is not finite or negative, or the corners span no box.
        """
        if not (math.isfinite(x) and math.isfinite(y)):
            raise PromptError(f'the click ({x:g}, {y:g}) is not finite')
        if x < 0 or y < 0:
            raise PromptError(f'the click ({x:g}, {y:g}) lies outside the image')
        if settings.click_mode == 'point':
            self._corner = None
            label = POSITIVE if settings.click_label == 'positive' else NEGATIVE
            return PromptRequest(
                source, object_id=settings.click_object_id, points=[(x, y)], labels=[label],
                multimask=default_multimask(settings), refine=settings.click_refine, may_begin=True,
                image_size=image_size)
        if self._corner is None:
            self._corner = (x, y)
            return None
        box, self._corner = box_of(self._corner, (x, y)), None
        if box[0] == box[2] or box[1] == box[3]:
            raise PromptError(f'the two clicks span no box: ({box[0]:g}, {box[1]:g}) and '
                              f'({box[2]:g}, {box[3]:g})')
        return PromptRequest(
            source, object_id=settings.click_object_id, box=box,
            multimask=default_multimask(settings), refine=settings.click_refine, may_begin=True,
            image_size=image_size, corners_inside=True)


def box_of(first: Corner, second: Corner) -> tuple[float, float, float, float]:
    """Return the box (x0, y0, x1, y1) that has the two corners, in whatever order they came."""
    return (min(first[0], second[0]), min(first[1], second[1]),
            max(first[0], second[0]), max(first[1], second[1]))
