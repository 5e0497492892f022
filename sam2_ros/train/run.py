# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Put a training run together from its config: model, tasks, validation, loop."""

from __future__ import annotations

import contextlib
import hashlib
import signal
from collections.abc import Iterator
from types import FrameType

import numpy as np
import torch
from sam2.modeling.sam2_base import SAM2Base

from sam2_ros.export.configs import load_model, random_model
from sam2_ros.export.options import checked_image_size
from sam2_ros.train.config import TrainConfig
from sam2_ros.train.errors import TrainError
from sam2_ros.train.initialise import initialise_memory
from sam2_ros.train.losses import MaskLosses
from sam2_ros.train.tasks import ClipTask, ShotSource
from sam2_ros.train.trainer import Trainer
from sam2_ros.train.validation import HeldOut

#: Pictures that starting values are computed from.
_PICTURES = 24


def train(
    config: TrainConfig, source: ShotSource, held_out: HeldOut,
) -> int:
    """
    Train as ``config`` says, from the state in its folder if there is one; return 0.

    :raises TrainError: a device that is not there, a checkpoint or a state that does not fit.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    device = _device(config.device)
    size = checked_image_size(config.model, config.image_size)
    losses = MaskLosses(config.losses)
    tasks = [ClipTask(source, options, losses, size) for options in config.tasks]
    model = _model(config).to(device)
    if config.initialise_memory:
        pictures = _pictures(tasks[0], config.run.seed).to(device)
        with torch.random.fork_rng():
            torch.manual_seed(config.run.seed)
            initialise_memory(model, pictures)
    trainer = Trainer(
        model, tasks, held_out, config.schedule, config.run, identity=_identity(config))
    with _stop_at_signals(trainer):
        trainer.run()
    return 0


def _device(name: str) -> torch.device:
    there = torch.cuda.is_available()
    if name == 'cuda' and not there:
        raise TrainError(
            'device: PyTorch finds no CUDA GPU; install a PyTorch with CUDA, or take cpu or auto')
    return torch.device('cuda' if there and name != 'cpu' else 'cpu')


def _model(config: TrainConfig) -> SAM2Base:
    if config.checkpoint is None:
        return random_model(config.model, config.image_size, config.run.seed)
    return load_model(config.model, config.checkpoint, config.image_size)


def _pictures(task: ClipTask, seed: int) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    pictures = task.batch(rng).pictures
    while len(pictures) < _PICTURES:
        pictures = torch.cat([pictures, task.batch(rng).pictures])
    return pictures[:_PICTURES]


def _identity(config: TrainConfig) -> str:
    """Return what may not change between the parts of one run: all that its weights depend on."""
    parts = (config.model, config.image_size, config.initialise_memory, config.run.seed,
             config.run.bfloat16, config.schedule, config.losses, config.tasks)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


@contextlib.contextmanager
def _stop_at_signals(trainer: Trainer) -> Iterator[None]:
    """Let Ctrl-C and ``kill`` end the run after the step that it is in."""
    def stop(number: int, frame: FrameType | None) -> None:
        trainer.stop()

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
