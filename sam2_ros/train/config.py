# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The config file of a training run: YAML that becomes dataclasses, checked as it is read."""

from __future__ import annotations

import contextlib
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml

from sam2_ros.export.options import VARIANTS, checked_image_size
from sam2_ros.model.errors import Sam2RosError, first_line
from sam2_ros.train.errors import TrainError
from sam2_ros.train.losses import LossOptions
from sam2_ros.train.simulated_user import BOX, CLICK, MASK
from sam2_ros.train.tasks import TaskOptions
from sam2_ros.train.trainer import RunOptions, ScheduleOptions

DEVICES = ('auto', 'cpu', 'cuda')


@dataclass(frozen=True)
class DataOptions:
    """Folders of scenes that ``sam2-ros scenes`` wrote."""

    train: Path
    held_out: Path
    #: Frames of each clip to train on.
    train_frames: int = 12
    #: How often a picture to train on is a frame of a clip.
    clip_frames: float = 0.0
    #: How many of the held-out images and clips a validation uses, and frames of a clip.
    images: int = 100
    clips: int = 10
    frames: int = 60


@dataclass(frozen=True)
class TrainConfig:
    """A training run; relative paths are seen from the config file's folder."""

    data: DataOptions
    schedule: ScheduleOptions
    run: RunOptions
    tasks: tuple[TaskOptions, ...]
    model: str = 'sam2_nano'
    image_size: int | None = None
    #: Where the weights begin; None: at random.
    checkpoint: Path | None = None
    #: The checkpoint was trained on images only: give the memory modules starting values.
    initialise_memory: bool = False
    #: The checkpoint tracks, but its object score is of no use yet: fit it before the first step.
    initialise_object_score: bool = False
    device: str = 'auto'
    #: Of PyTorch; 0: its own choice.
    threads: int = 0
    losses: LossOptions = field(default_factory=LossOptions)


def read_config(file: Path) -> TrainConfig:
    """Return the run that ``file`` describes; :raises TrainError: one line that says why not."""
    try:
        document = yaml.safe_load(file.read_text(encoding='utf-8'))
    except OSError as error:
        raise TrainError(f'{file}: cannot be read: {error.strerror}') from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        text = ' '.join(str(error).split())
        raise TrainError(f'{file}: is no YAML: {text[:150]}') from None
    try:
        config: TrainConfig = _build(TrainConfig, document, '', file.resolve().parent)
        _check(config)
    except Sam2RosError as error:
        raise TrainError(f'{file}: {first_line(error)}') from None
    return config


def _check(config: TrainConfig) -> None:
    if config.model not in VARIANTS:
        raise TrainError(f'model: "{config.model}" is unknown; there are: {", ".join(VARIANTS)}')
    checked_image_size(config.model, config.image_size)
    if config.device not in DEVICES:
        raise TrainError(f'device: "{config.device}" is none of {", ".join(DEVICES)}')
    if not config.tasks:
        raise TrainError('tasks: is empty; name at least one')
    for index, task in enumerate(config.tasks):
        try:
            checked_image_size(config.model, task.image_size)
        except Sam2RosError as error:
            raise TrainError(f'tasks[{index}].image_size: {first_line(error)}') from None
        _check_task(task, f'tasks[{index}]', config.data.train_frames)
    if not any(task.weight for task in config.tasks):
        raise TrainError('tasks: all have weight 0; give one more')
    data, schedule, run = config.data, config.schedule, config.run
    if config.initialise_object_score and all(task.frames == 1 for task in config.tasks):
        raise TrainError('initialise_object_score: takes clips; name a task of 2 frames or more')
    _is_share('data.clip_frames', data.clip_frames)
    for least, where, value in (
            (1, 'data.train_frames', data.train_frames), (0, 'data.images', data.images),
            (0, 'data.clips', data.clips), (2, 'data.frames', data.frames),
            (1, 'data.images + data.clips', data.images + data.clips),
            (1, 'schedule.steps', schedule.steps), (0, 'schedule.warm_up', schedule.warm_up),
            (0, 'schedule.learning_rate', schedule.learning_rate),
            (0, 'schedule.weight_decay', schedule.weight_decay),
            (0, 'schedule.clip_gradient', schedule.clip_gradient),
            *((0, f'schedule.rates.{name}', rate) for name, rate in schedule.rates.items()),
            (0, 'run.seed', run.seed), (1, 'run.save_every', run.save_every),
            (0, 'run.validate_every', run.validate_every), (1, 'run.log_every', run.log_every),
            (1, 'run.loaders', run.loaders), (0, 'threads', config.threads)):
        _at_least(least, where, value)
    for name in ('cool_down', 'final_rate', 'average'):
        _is_share(f'schedule.{name}', getattr(schedule, name))


def _check_task(task: TaskOptions, where: str, train_frames: int) -> None:
    unknown = sorted(set(task.prompts) - {CLICK, BOX, MASK})
    shares = task.prompts.values()
    if unknown or not sum(shares) > 0 or min(shares) < 0:
        raise TrainError(
            f'{where}.prompts: takes shares above 0 of {CLICK}, {BOX} and {MASK}'
            + (f', not "{unknown[0]}"' if unknown else ''))
    for least, names in ((0, ('weight', 'corrections')),
                         (1, ('frames', 'scenes', 'objects', 'dialogues', 'stride', 'leap'))):
        for name in names:
            _at_least(least, f'{where}.{name}', getattr(task, name))
    for name in ('later', 'leaps', 'cuts', 'vanishing', 'smallest'):
        _is_share(f'{where}.{name}', getattr(task, name))
    # Said here and not when such frames are drawn, which may be after hours.
    last = task.longest
    if task.frames > 1 and last >= train_frames:
        raise TrainError(
            f'{where}: its last frame can be {last} after the first, clips have {train_frames} '
            'frames (data.train_frames); make the stride or the leap smaller')


def _is_share(where: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise TrainError(f'{where}: is {value:g}, must be from 0 to 1')


def _at_least(least: int, where: str, value: float) -> None:
    if value < least:
        raise TrainError(f'{where}: is {value:g}, must be {least} or more')


def _build(cls: type[Any], value: Any, where: str, folder: Path) -> Any:
    """Return dataclass ``cls`` from a mapping; ``where`` names it in errors."""
    if not isinstance(value, Mapping):
        raise TrainError(f'{where or "the file"}: must be a list of "name: value"')
    hints = typing.get_type_hints(cls)
    known = {item.name: item for item in fields(cls)}
    prefix = f'{where}.' if where else ''
    for name in value:
        if name not in known:
            raise TrainError(f'{prefix}{name}: is unknown; there are: {", ".join(known)}')
    for name, item in known.items():
        if name not in value and item.default is MISSING and item.default_factory is MISSING:
            raise TrainError(f'{prefix}{name}: is missing')
    return cls(**{
        name: _convert(hints[name], value[name], f'{prefix}{name}', folder) for name in value})


def _convert(hint: Any, value: Any, where: str, folder: Path) -> Any:
    """Return ``value`` as the type that a field declares."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType or origin is typing.Union:
        if value is None:
            return None
        hint = next(argument for argument in arguments if argument is not type(None))
        return _convert(hint, value, where, folder)
    if is_dataclass(hint):
        assert isinstance(hint, type)
        return _build(hint, value, where, folder)
    if origin is tuple and isinstance(value, list):
        return tuple(
            _convert(arguments[0], item, f'{where}[{index}]', folder)
            for index, item in enumerate(value))
    if origin is Mapping and isinstance(value, dict):
        return {
            str(name): _convert(arguments[1], item, f'{where}.{name}', folder)
            for name, item in value.items()}
    if hint is Path and isinstance(value, str):
        return folder / Path(value).expanduser()
    if hint is float and not isinstance(value, bool):
        # a text too: YAML takes 1e-4 for one
        with contextlib.suppress(ValueError, TypeError):
            if math.isfinite(number := float(value)):
                return number
    if hint in (int, str, bool) and type(value) is hint:
        return value
    kind = {int: 'a whole number', float: 'a number', str: 'a text', bool: 'true or false',
            Path: 'a path', tuple: 'a list', Mapping: 'a list of "name: number"'}
    raise TrainError(f'{where}: must be {kind[origin or hint]}, not {value!r}')
