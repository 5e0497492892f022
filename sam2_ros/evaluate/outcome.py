# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What comes of evaluating one picture or one clip."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sam2_ros.evaluate.figures import ImageFigures, VideoFigures
from sam2_ros.evaluate.result_folder import Record


@dataclass(frozen=True)
class Outcome:
    """``record``: JSON with ``key`` and ``problems``; ``picture`` [H, W, 3] uint8 RGB, or None."""

    record: Record
    picture: npt.NDArray[np.uint8] | None = None


class Task(Protocol):
    """A data set, those who answer, and what they are asked."""

    #: What one key stands for, for the progress bar.
    unit: str

    @property
    def keys(self) -> list[str]:
        """What there is to evaluate, in order."""

    def figures(self, records: Iterable[Record]) -> ImageFigures | VideoFigures:
        """Return what the records say together."""

    def evaluate(self, key: str, draw: bool) -> Outcome:
        """Evaluate one; with ``draw``, show it in a picture too."""
