# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What of a data set cannot be evaluated; each is named and counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """``kind``: what it is counted under; ``where``: file and object; ``detail``: one line."""

    kind: str
    where: str
    detail: str


class UnusableError(Exception):
    """A whole picture or clip cannot be evaluated."""

    def __init__(self, kind: str, where: str, detail: str) -> None:
        super().__init__(f'{where}: {kind}: {detail}')
        self.problem = Problem(kind, where, detail)
