# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of a training run; each is replaced in one piece, so that a kill leaves the older one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sam2_ros.model.errors import first_line
from sam2_ros.train.errors import TrainError


def write_checkpoint(file: Path, weights: Mapping[str, Tensor]) -> None:
    """Write ``weights`` as SAM 2 publishes checkpoints, ``{'model': ...}``, half precision."""
    _replace(file, {'model': {
        name: value.half() if value.is_floating_point() else value
        for name, value in weights.items()}})


def write_state(file: Path, state: Mapping[str, Any]) -> None:
    """Write everything that a run needs to go on."""
    _replace(file, dict(state))


def read_state(file: Path, device: torch.device) -> dict[str, Any]:
    """Return what ``write_state`` wrote; :raises TrainError: it cannot be read."""
    try:
        state: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
    except Exception as error:  # Its unpickler raises what the bytes make it raise.
        raise TrainError(
            f'{file}: cannot be read as the state of a run: {first_line(error)[:120]}; remove it '
            'to start anew') from None
    return state


def _replace(file: Path, content: dict[str, Any]) -> None:
    beside = file.with_name(f'.{file.name}.{os.getpid()}')
    try:
        with beside.open('wb') as stream:
            torch.save(content, stream)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
