# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Put a training run together from its config: model, tasks, validation, loop."""

from __future__ import annotations

import contextlib
import hashlib
import signal
from collections.abc import Iterable, Iterator, Sequence
from types import FrameType

import numpy as np
import torch
from sam2.modeling.sam2_base import SAM2Base

from sam2_ros.export.configs import load_model, random_model
from sam2_ros.export.options import checked_image_size
from sam2_ros.model.bundle import sha256_of
from sam2_ros.train.config import DataOptions, TrainConfig
from sam2_ros.train.errors import TrainError
from sam2_ros.train.initialise import initialise_decoder, initialise_memory
from sam2_ros.train.losses import MaskLosses
from sam2_ros.train.object_score import initialise_object_score, score_tokens
from sam2_ros.train.rollout import Clip
from sam2_ros.train.shards import Shards
from sam2_ros.train.shots import SceneShots
from sam2_ros.train.tasks import ClipTask, Shot, joined, resized
from sam2_ros.train.trainer import STATE_FILE, Trainer
from sam2_ros.train.validation import HeldOut

#: Of a held-out object on its first frame, as a share of the picture: 150 pixels of 256 x 256.
_SMALLEST = 150 / 256**2
#: Pictures that starting values are computed from.
_PICTURES = 24


def train(config: TrainConfig) -> None:
    """
    Train as ``config`` says, from the state in its folder if there is one.

    :raises TrainError: a device or scenes that are not there, a checkpoint or a state that does
        not fit.
    :raises KeyboardInterrupt: Ctrl-C or ``kill`` ended it early; its state is saved.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    device = _device(config.device)
    size = checked_image_size(config.model, config.image_size)
    source = SceneShots(
        Shards(config.data.train), config.data.train_frames, config.data.clip_frames)
    losses = MaskLosses(config.losses)
    tasks = [ClipTask(source, options, losses, size) for options in config.tasks]
    model = _model(config).to(device)
    if not (config.run.folder / STATE_FILE).exists():
        with torch.random.fork_rng():
            torch.manual_seed(config.run.seed)
            _initialise(model, config, tasks)
    trainer = Trainer(
        model, tasks, held_out(config.data, size), config.schedule, config.run,
        identity=_identity(config))
    with _stop_at_signals(trainer):
        trainer.run()
    if trainer.step < config.schedule.steps:
        raise KeyboardInterrupt


def _initialise(model: SAM2Base, config: TrainConfig, tasks: Sequence[ClipTask]) -> None:
    """Give starting values to what the checkpoint has not learnt."""
    if config.initialise_memory:
        initialise_memory(model, _pictures(tasks[0], config.run.seed).to(model.device))
    if config.initialise_object_score:
        clips = next(task for task, options in zip(tasks, config.tasks, strict=True)
                     if options.frames > 1)
        initialise_object_score(model, *score_tokens(model, clips, config.run.seed))


def held_out(data: DataOptions, size: int) -> HeldOut:
    """Return the validation; :raises TrainError: the folder has too few scenes for it."""
    shards = Shards(data.held_out)
    for count, wanted, what in (
            (shards.image_count, data.images, 'images'), (shards.clip_count, data.clips, 'clips')):
        if count < wanted:
            raise TrainError(
                f'{data.held_out}: has {count} {what}, data.{what} asks for {wanted}')
    images = (shards.image(index) for index in range(data.images))
    clips = (shards.clip(index, data.frames) for index in range(data.clips))
    return HeldOut(
        _clips((Shot(scene.image[None], scene.masks[None], (0,)) for scene in images), size),
        _clips((Shot(clip.images, clip.masks, tuple(range(data.frames))) for clip in clips), size))


def _clips(shots: Iterable[Shot], size: int) -> list[Clip]:
    """Return shots with the objects that can be prompted on their first frame, if any."""
    clips = []
    for shot in shots:
        prompted = np.flatnonzero(shot.masks[0].mean(axis=(1, 2)) >= _SMALLEST)
        if prompted.size:
            clips.append(joined([resized(shot, prompted, size)]))
    return clips


def _device(name: str) -> torch.device:
    there = torch.cuda.is_available()
    if name == 'cuda' and not there:
        raise TrainError(
            'device: PyTorch finds no CUDA GPU; install a PyTorch with CUDA, or take cpu or auto')
    return torch.device('cuda' if there and name != 'cpu' else 'cpu')


def _model(config: TrainConfig) -> SAM2Base:
    if config.checkpoint is None:
        model = random_model(config.model, config.image_size, config.run.seed)
        initialise_decoder(model)
        return model
    return load_model(config.model, config.checkpoint, config.image_size)


def _pictures(task: ClipTask, seed: int) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    pictures = task.batch(rng).pictures
    while len(pictures) < _PICTURES:
        pictures = torch.cat([pictures, task.batch(rng).pictures])
    return pictures[:_PICTURES]


def _identity(config: TrainConfig) -> str:
    """
    Return what may not change between the parts of one run: all that its weights depend on.

    The scenes are not in it: they may be moved, and there may be more of them later.
    """
    checkpoint = config.checkpoint and sha256_of(config.checkpoint)
    parts = (config.model, config.image_size, checkpoint, config.initialise_memory,
             config.initialise_object_score, config.data.train_frames, config.data.clip_frames,
             config.run.seed, config.run.bfloat16, config.schedule,
             config.losses, config.tasks)
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
