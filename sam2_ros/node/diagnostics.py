# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node says of its own health on /diagnostics."""

from __future__ import annotations

import re
import threading
from collections import Counter, defaultdict
from collections.abc import Mapping

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

#: Seconds for which an error keeps the status at WARN.
ERROR_MEMORY = 10.0


class Statistics:
    """Counts, stage times and the last error; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._before: Counter[str] = Counter()
        self._times: defaultdict[str, list[float]] = defaultdict(list)
        self._last_times: dict[str, tuple[float, float]] = {}
        self._error: tuple[str, float] | None = None
        self._since: float | None = None

    def count(self, what: str, number: int = 1) -> None:
        """Count that something happened."""
        with self._lock:
            self._counts[what] += number

    def total(self, what: str) -> int:
        """Return how often something happened."""
        with self._lock:
            return self._counts[what]

    def time(self, stage: str, seconds: float) -> None:
        """Note how long a stage took."""
        with self._lock:
            self._times[stage].append(seconds)

    def error(self, message: str, now: float) -> None:
        """Note an error at `now`, seconds of a steady clock."""
        with self._lock:
            self._counts['errors'] += 1
            self._error = (message, now)

    def status(
        self, name: str, now: float, facts: Mapping[str, str], summary: str = 'running',
        warning: str | None = None,
    ) -> DiagnosticStatus:
        """
        Return the status since the last call; `facts` stand before what was counted.

        `summary` is its message while there is neither a recent error nor a `warning`.

        Rates are per second, latencies mean and longest of the stage's runs since it last ran.
        """
        with self._lock:
            seconds = max(now - self._since, 1e-9) if self._since is not None else None
            values = dict(facts)
            for what in ('images', 'frames tracked', 'answers'):
                rate = (self._counts[what] - self._before[what]) / seconds if seconds else 0.0
                values[f'{what} per second'] = f'{rate:.2f}'
            for what in ('images', 'images refused', 'images late', 'frames tracked',
                         'frames dropped', 'prompts', 'prompts refused', 'answers',
                         'encoder runs', 'errors'):
                values[what] = str(self._counts[what])
            for stage, times in self._times.items():
                self._last_times[stage] = (sum(times) / len(times), max(times))
            for stage, (mean, longest) in self._last_times.items():
                values[f'{stage} ms'] = f'{1e3 * mean:.1f} (max {1e3 * longest:.1f})'
            self._times.clear()
            self._before, self._since = self._counts.copy(), now
            error = self._error
        level = DiagnosticStatus.OK
        if warning is not None:
            level, summary = DiagnosticStatus.WARN, warning
        if error is not None:
            age = now - error[1]
            values['last error'] = error[0]
            values['last error seconds ago'] = f'{age:.1f}'
            if age < ERROR_MEMORY:
                level, summary = DiagnosticStatus.WARN, error[0]
        return DiagnosticStatus(
            level=level, name=name, message=summary,
            values=[KeyValue(key=key, value=value) for key, value in values.items()])


class Throttle:
    """Lets the same text, whatever the numbers in it, through once in a while."""

    def __init__(self, period: float = 5.0) -> None:
        """`period`: seconds between two times the same text passes; a person can read that."""
        self._period = period
        self._passed: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def passes(self, text: str, now: float) -> str | None:
        """Return what to log of `text` at `now` (steady seconds), None if it was said already."""
        key = re.sub(r'\d+', '0', text)
        with self._lock:
            last, suppressed = self._passed.get(key, (float('-inf'), 0))
            if now - last < self._period:
                self._passed[key] = (last, suppressed + 1)
                return None
            if len(self._passed) > 100:  # names that somebody sent, such as frames, may be many
                self._passed.clear()
            self._passed[key] = (now, 0)
        return f'{text} ({suppressed} more times since)' if suppressed else text
