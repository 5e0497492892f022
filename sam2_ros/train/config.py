# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The config file of a training run: YAML that becomes dataclasses, checked as it is read."""

from __future__ import annotations

import contextlib
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
        unknown = sorted(set(task.prompts) - {CLICK, BOX, MASK})
        if unknown or not sum(task.prompts.values()) > 0:
            raise TrainError(
                f'tasks[{index}].prompts: takes shares above 0 of {CLICK}, {BOX} and {MASK}'
                + (f', not "{unknown[0]}"' if unknown else ''))
        for name, least in (
                ('frames', 1), ('scenes', 1), ('objects', 1), ('dialogues', 1), ('stride', 1),
                ('leap', 1), ('corrections', 0)):
            _at_least(least, f'tasks[{index}].{name}', getattr(task, name))
    for path, least, value in (
            ('schedule.steps', 1, config.schedule.steps), ('run.save_every', 1,
                                                           config.run.save_every),
            ('run.log_every', 1, config.run.log_every), ('run.loaders', 1, config.run.loaders),
            ('threads', 0, config.threads), ('data.frames', 2, config.data.frames)):
        _at_least(least, path, value)


def _at_least(least: int, where: str, value: int) -> None:
    if value < least:
        raise TrainError(f'{where}: is {value}, must be {least} or more')


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
            return float(value)
    if hint in (int, str, bool) and type(value) is hint:
        return value
    kind = {int: 'a whole number', float: 'a number', str: 'a text', bool: 'true or false',
            Path: 'a path', tuple: 'a list', Mapping: 'a list of "name: number"'}
    raise TrainError(f'{where}: must be {kind[origin or hint]}, not {value!r}')
