# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of pictures that show truth and answers side by side (the edge SAM 2 paper's Figure 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from sam2_ros.evaluate import accuracy
from sam2_ros.evaluate.accuracy import iou, to_runs
from sam2_ros.evaluate.contenders import Answer, Image
from sam2_ros.evaluate.truth_prompts import BOX, CENTRE, JITTERED_BOX, POINTS
from sam2_ros.model.masks import Mask
from sam2_ros.model.overlay import draw_overlay
from sam2_ros.model.prompts import Prompt

#: Rows of the grid: pictures or clips that are shown.
ROWS = 6
TRUTH = 'truth'
#: Pixels of a tile's longer side, of the line of text above it, and between tiles.
_TILE, _TEXT, _GAP = 240, 22, 4
#: The first of each that there is gets a row.
_SHOWN = ((CENTRE, *POINTS), (JITTERED_BOX, BOX))


def answer_rows(
    image: Image, truth: accuracy.Mask, prompts: Mapping[str, Prompt],
    answers: Mapping[str, Mapping[str, Answer]],
) -> Image | None:
    """Return a row for a click and one for a box, as far as they were asked: truth, answers."""
    rows = []
    for names in _SHOWN:
        name = next((each for each in names if each in prompts), None)
        if name is None:
            continue
        prompt = prompts[name]
        tiles = [tile(image, {1: truth}, f'{TRUTH}, {name}', [prompt])]
        for who, theirs in answers.items():
            if name in theirs:
                fit = iou(to_runs(theirs[name].mask), to_runs(truth))
                tiles.append(tile(image, {1: theirs[name].mask}, f'{who} {fit:.2f}', [prompt]))
            else:
                tiles.append(np.full_like(tiles[0], 255))  # it takes no such prompt
        rows.append(np.concatenate(tiles, axis=1))
    return np.concatenate(rows) if rows else None


def tile(
    image: Image, masks: Mapping[int, accuracy.Mask], text: str, prompts: Sequence[Prompt] = (),
) -> Image:
    """Return a picture of a fixed size with masks by object id, prompts, and a line of text."""
    overlay = draw_overlay(image, [(key, _to_mask(mask)) for key, mask in masks.items()], prompts)
    height, width = overlay.shape[:2]
    scale = _TILE / max(height, width)
    size = (max(round(scale * width), 1), max(round(scale * height), 1))
    result = np.full((_TEXT + size[1] + _GAP, size[0] + _GAP, 3), 255, np.uint8)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    result[_TEXT:_TEXT + size[1], :size[0]] = cv2.resize(
        overlay, size, interpolation=interpolation)
    cv2.putText(result, text, (2, _TEXT - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1,
                cv2.LINE_AA)
    return result


def stack(rows: Sequence[Image]) -> Image:
    """Put pictures below each other, the narrower ones beside white."""
    width = max(row.shape[1] for row in rows)
    return np.concatenate([
        np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255)
        for row in rows])


def _to_mask(mask: accuracy.Mask) -> Mask:
    pixels = mask.astype(np.uint8) * np.uint8(255)
    x, y, width, height = cv2.boundingRect(pixels)
    box = (x, y, x + width, y + height)
    return Mask(box, pixels[y:y + height, x:x + width].copy(), (mask.shape[0], mask.shape[1]),
                1.0, 0.0)
