# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bars with the remaining time."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm


def progress(what: str, total: int, done: int = 0, unit: str = 'run') -> Any:
    """Return a bar on stderr, to be used in a ``with`` statement; ``update()`` moves it on."""
    # Into a file, a line every ten seconds is enough.
    interval = 0.1 if sys.stderr.isatty() else 10.0
    return tqdm(total=total, initial=done, desc=what, unit=unit, mininterval=interval)
