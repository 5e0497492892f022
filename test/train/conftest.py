# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scenes that cost nothing: enough for a model to learn something in seconds."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import sam2_ros

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


@pytest.fixture(scope='session')
def scene_assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    Return a folder of assets as their packages would fill it, with pictures of our own.

    Photographs of both splits, and sprites of both, cut from the photographs of the demo.
    """
    import cv2

    folder = tmp_path_factory.mktemp('assets')
    photos = Path(sam2_ros.__file__).parent / 'node' / 'demo_photos'
    for source, copy in (
            ('coffee.jpg', 'usr/share/wallpapers/Cup/contents/images/2560x1600.jpg'),
            ('astronaut.jpg', 'usr/share/backgrounds/someone_by_Peter_Nerlich.jpg')):
        (folder / copy).parent.mkdir(parents=True)
        shutil.copy(photos / source, folder / copy)
    coins = np.asarray(cv2.imread(str(photos / 'coins.jpg')))
    sprites = folder / 'node_modules' / '@lobehub' / 'fluent-emoji-3d' / 'assets'
    sprites.mkdir(parents=True)
    for number in range(24):
        row, column = divmod(number, 6)
        sprite = cv2.cvtColor(coins[50 * row:50 * row + 60, 50 * column:50 * column + 48],
                              cv2.COLOR_BGR2BGRA)
        sprite[..., 3] = cv2.ellipse(
            np.zeros(sprite.shape[:2], np.uint8), (24, 30), (23, 20 + number % 9), 0, 0, 360, 255,
            -1)
        cv2.imwrite(str(sprites / f'{0x1f600 + number:x}.webp'), sprite)
    return folder
