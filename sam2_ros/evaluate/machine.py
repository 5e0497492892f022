# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The machine and the software that a measurement was made with."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

#: Key of the load in what `describe_machine` returns.
LOAD = 'load of the last minute'
_PACKAGES = ('sam2_ros', 'numpy', 'onnxruntime', 'onnxruntime-gpu', 'onnxruntime-openvino', 'torch',
             'sam2')


def describe_machine() -> dict[str, Any]:
    """Return processor, cores, memory, operating system, versions, and the load just now."""
    return {
        'cpu': _cpu_model(),
        'physical cores': psutil.cpu_count(logical=False) or 0,
        'logical cores': psutil.cpu_count() or 0,
        'usable cores': usable_cores(),
        'memory bytes': psutil.virtual_memory().total,
        'system': platform.platform(),
        'python': platform.python_version(),
        **{name: version for name in _PACKAGES if (version := _version(name))},
        # Of what ran before, not of the measurement: above 0 somebody else was at work.
        LOAD: round(os.getloadavg()[0], 2),
    }


def usable_cores() -> int:
    """Return how many physical cores this process may use; ONNX Runtime takes as many threads."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else None
    cores = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    return min(cores, allowed or cores)


def peak_memory(process: int | str = 'self') -> int | None:
    """
    Return the largest resident memory so far, in bytes, of the process with this id.

    None where the system does not tell (it is Linux's VmHWM, which unlike ``ru_maxrss`` is not
    handed down by the process that started this one).
    """
    try:
        status = Path(f'/proc/{process}/status').read_text(encoding='utf-8')
    except OSError:
        return None
    found = re.search(r'^VmHWM:\s*(\d+) kB', status, re.MULTILINE)
    return 1024 * int(found[1]) if found else None


def _cpu_model() -> str:
    try:
        text = Path('/proc/cpuinfo').read_text(encoding='utf-8')
    except OSError:
        text = ''
    found = re.search(r'^model name\s*:\s*(.+)', text, re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    if package == 'sam2_ros':
        from sam2_ros import __version__
        return __version__
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
