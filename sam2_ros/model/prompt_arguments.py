# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Points and boxes as they are typed: ``--point X,Y[,LABEL]``, ``--box X0,Y0,X1,Y1``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NamedTuple

from sam2_ros.model.prompts import POSITIVE


class Point(NamedTuple):
    """A point in pixels, and whether it is on the object (1) or beside it (0)."""

    x: float
    y: float
    label: int


class Box(NamedTuple):
    """Two opposite corners in pixels."""

    x0: float
    y0: float
    x1: float
    y1: float


def parse_point(text: str) -> Point:
    """:raises argparse.ArgumentTypeError: the text is not of the form."""
    values = _numbers(text, (2, 3), 'X,Y or X,Y,LABEL')
    label = values[2] if len(values) == 3 else float(POSITIVE)
    if label not in (0.0, 1.0):
        raise argparse.ArgumentTypeError(
            f'the label in "{text}" is neither 1 (on the object) nor 0 (beside it)')
    return Point(values[0], values[1], int(label))


def parse_box(text: str) -> Box:
    """:raises argparse.ArgumentTypeError: the text is not of the form."""
    return Box(*_numbers(text, (4,), 'X0,Y0,X1,Y1'))


def _numbers(text: str, counts: Sequence[int], form: str) -> list[float]:
    try:
        values = [float(value) for value in text.split(',')]
    except ValueError:
        values = []
    if len(values) not in counts:
        raise argparse.ArgumentTypeError(f'"{text}" is not of the form {form}')
    return values
