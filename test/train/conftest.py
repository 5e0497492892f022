# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scenes that cost nothing: enough for a model to learn something in seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from sam2_ros.train.tasks import Shot

SIDE = 128


class MovingSquares:
    """Rectangles over noise, as a source of shots; the third is gone from the third frame on."""

    def draw(self, rng: np.random.Generator, numbers: tuple[int, ...]) -> Shot:
        """Return frames ``numbers`` of three rectangles that move a few pixels a frame."""
        from sam2_ros.train.tasks import Shot

        background = rng.integers(0, 90, (SIDE, SIDE, 3))
        images = np.repeat(background[None], len(numbers), axis=0).astype(np.uint8)
        masks = np.zeros((len(numbers), 3, SIDE, SIDE), bool)
        for index in range(3):
            left, width = 8 + 40 * index, rng.integers(20, 32)
            top, height = rng.integers(8, 60), rng.integers(20, 40)
            step, colour = rng.integers(-2, 3), rng.integers(120, 256, 3)
            for frame, number in enumerate(numbers):
                if index == 2 and frame >= 2:
                    continue
                y = int(np.clip(top + step * number, 0, SIDE - height))
                masks[frame, index, y:y + height, left:left + width] = True
                images[frame][masks[frame, index]] = colour
        return Shot(images, masks, numbers)


@pytest.fixture(scope='session')
def squares() -> MovingSquares:
    """Return a source of 128 x 128 shots of three moving rectangles."""
    pytest.importorskip('torch', reason='no PyTorch here: nothing can be trained')
    pytest.importorskip('sam2', reason='no sam2 here: nothing can be trained')
    return MovingSquares()
