# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The training loop: optimiser, schedule, moving average, validation, and a state that survives.

It knows nothing of what it trains: the model, the tasks (batches and their losses) and the
validation are given to it, so that quantization-aware training uses the same loop.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from sam2_ros.train.errors import TrainError
from sam2_ros.train.files import read_state, write_checkpoint, write_state

#: Of a run's folder: all that the run needs to go on.
STATE_FILE = 'state.pt'


class Task(Protocol):
    """One kind of batch, and how a model is wrong about it."""

    #: How often this task is drawn, relative to the others.
    weight: float

    def batch(self, rng: np.random.Generator) -> Any:
        """Return a batch that depends on ``rng`` alone; called in threads, ahead of time."""

    def loss(
        self, model: nn.Module, batch: Any, rng: np.random.Generator, step: int,
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of ``model``, and numbers for the log."""


#: Measures a model: names and figures, and the one by which the best checkpoint is chosen.
Validation = Callable[[nn.Module], tuple[dict[str, float], float]]


@dataclass(frozen=True)
class ScheduleOptions:
    """How many steps, how large, how averaged."""

    steps: int
    learning_rate: float = 5e-4
    warm_up: int = 100
    #: The last share of the steps, over which the rate falls (half a cosine) to its final share.
    cool_down: float = 0.3
    final_rate: float = 0.02
    weight_decay: float = 0.05
    clip_gradient: float = 1.0
    average: float = 0.998
    #: Factor of the learning rate by prefix of a parameter's name, the longest that fits; 0
    #: freezes.
    rates: Mapping[str, float] = field(default_factory=dict)

    def rate(self, step: int) -> float:
        """Return the factor of the learning rate at ``step`` (0: the first)."""
        warm = min(1.0, (step + 1) / max(1, self.warm_up))
        begin = (1 - self.cool_down) * self.steps
        if step < begin:
            return warm
        done = (step - begin) / max(1.0, self.steps - begin)
        return warm * (self.final_rate
                       + (1 - self.final_rate) * 0.5 * (1 + math.cos(math.pi * done)))


@dataclass(frozen=True)
class RunOptions:
    """Where a run lives, and when it writes and measures."""

    folder: Path
    seed: int = 0
    #: Steps between two savings of the state, and between two validations (0: at the end only).
    save_every: int = 100
    validate_every: int = 500
    log_every: int = 20
    #: Batches that are made ahead, each in a thread.
    loaders: int = 1
    #: bfloat16 where PyTorch's autocast uses it; meant for GPUs.
    bfloat16: bool = False


class Trainer:
    """
    Trains a model in a folder, from the state that the folder holds.

    Every random choice of a step is drawn from (seed, step), so that a run that was killed goes
    on from its last state to the weights that it would have had. The folder holds ``state.pt``
    (weights, average, optimiser, step), ``last.pt`` and ``best.pt`` (checkpoints in SAM 2's
    format, of the averaged weights, half precision) and ``log.txt``.
    """

    def __init__(
        self, model: nn.Module, tasks: Sequence[Task], validation: Validation,
        schedule: ScheduleOptions, options: RunOptions,
        write: Callable[[str], None] | None = None, identity: str = '',
    ) -> None:
        """
        Prepare a run of ``model``, which is trained in place on the device that it is on.

        :param write: takes a line of progress; None: print.
        :param identity: of what may not change when a run goes on; a state with another one is
            refused.
        :raises TrainError: no parameter is left to train, no folder can be made, or a state that
            cannot be taken.
        """
        self.model = model
        self.tasks = tuple(tasks)
        self.validation = validation
        self.schedule = schedule
        self.options = options
        self.identity = identity
        self.step = 0
        self.best = -math.inf
        self._stopping = False
        self._write = write or partial(print, flush=True)
        self._optimizer = _optimizer(model, schedule)
        self._average = {
            name: value.detach().clone().float() for name, value in model.state_dict().items()}
        self._recent: dict[str, list[float]] = {}
        try:
            options.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainError(
                f'{options.folder}: cannot be made a folder: {error.strerror}') from None
        self._resume()

    def run(self) -> None:
        """Train to the last step, or until ``stop``; save the state, validate what is complete."""
        begin, first = time.monotonic(), self.step
        loaders = self.options.loaders
        with ThreadPoolExecutor(max(1, loaders)) as pool:
            ahead: dict[int, Future[Any]] = {}
            while self.step < self.schedule.steps and not self._stopping:
                for step in range(self.step, min(self.schedule.steps, self.step + loaders + 1)):
                    if step not in ahead:
                        ahead[step] = pool.submit(self._batch, step)
                self._train_step(ahead.pop(self.step).result())
                self.step += 1
                self._after_step(begin, first)
            for future in ahead.values():
                future.cancel()
        if self.step == self.schedule.steps:
            self.validate()
        self.save()
        if self.step < self.schedule.steps:
            self._log(f'stopped at step {self.step} of {self.schedule.steps}, saved; the same '
                      'command goes on')

    def stop(self) -> None:
        """Let ``run`` end after the step that it is in; may be called by a signal handler."""
        self._stopping = True

    def averaged(self) -> dict[str, Tensor]:
        """Return the moving average of the weights, float32."""
        return dict(self._average)

    def save(self) -> None:
        """Write the state and the last checkpoint; a kill at any moment leaves the older ones."""
        write_state(self.options.folder / STATE_FILE, {
            'identity': self.identity, 'step': self.step, 'best': self.best,
            'model': self.model.state_dict(), 'average': self._average,
            'optimizer': self._optimizer.state_dict()})
        write_checkpoint(self.options.folder / 'last.pt', self._average)

    def validate(self) -> None:
        """Measure the averaged weights, and keep them if they are the best so far."""
        weights = {name: value.clone() for name, value in self.model.state_dict().items()}
        training = self.model.training
        self.model.load_state_dict(self._average)
        self.model.eval()
        try:
            with torch.no_grad():
                figures, score = self.validation(self.model)
        finally:
            self.model.load_state_dict(weights)
            self.model.train(training)
        better = score > self.best
        if better:
            self.best = score
            write_checkpoint(self.options.folder / 'best.pt', self._average)
        self._log(f'validation at step {self.step}: ' + ' '.join(
            f'{name} {value:.3f}' for name, value in figures.items())
            + (', the best so far' if better else f', best {self.best:.3f}'))

    def _batch(self, step: int) -> tuple[Task, Any, np.random.Generator]:
        rng = np.random.default_rng((self.options.seed, step))
        weights = np.array([task.weight for task in self.tasks])
        task = self.tasks[rng.choice(len(self.tasks), p=weights / weights.sum())]
        return task, task.batch(rng), rng

    def _train_step(self, drawn: tuple[Task, Any, np.random.Generator]) -> None:
        task, batch, rng = drawn
        torch.manual_seed(int(rng.integers(2**31)))
        rate = self.schedule.rate(self.step) * self.schedule.learning_rate
        for group in self._optimizer.param_groups:
            group['lr'] = rate * group['factor']
        self.model.train()
        device = next(self.model.parameters()).device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.options.bfloat16):
            loss, parts = task.loss(self.model, batch, rng, self.step)
        if not bool(torch.isfinite(loss)):
            raise TrainError(
                f'step {self.step}: the loss is {float(loss.detach())}; start another run with a '
                f'lower learning rate, from the checkpoint last.pt in {self.options.folder}')
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        parameters = [p for group in self._optimizer.param_groups for p in group['params']]
        nn.utils.clip_grad_norm_(parameters, self.schedule.clip_gradient)
        self._optimizer.step()
        self._follow()
        for name, value in {'loss': float(loss.detach()), **parts}.items():
            self._recent.setdefault(name, []).append(value)

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the weights; faster at first, as they change faster."""
        keep = min(self.schedule.average, (1 + self.step) / (10 + self.step))
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                self._average[name].lerp_(value.float(), 1 - keep)

    def _after_step(self, begin: float, first: int) -> None:
        options = self.options
        if self.step % options.log_every == 0:
            seconds = (time.monotonic() - begin) / (self.step - first)
            left = seconds * (self.schedule.steps - self.step)
            means = ' '.join(
                f'{name} {np.mean(values):.3f}' for name, values in self._recent.items())
            self._recent.clear()
            self._log(f'step {self.step}/{self.schedule.steps}: {means}; {seconds:.2f} s a step, '
                      f'{_duration(left)} left')
        if options.validate_every and self.step % options.validate_every == 0 \
                and self.step < self.schedule.steps:
            self.validate()
        if self.step % options.save_every == 0:
            self.save()

    def _log(self, line: str) -> None:
        self._write(line)
        with (self.options.folder / 'log.txt').open('a', encoding='utf-8') as file:
            file.write(f'{time.strftime("%Y-%m-%d %H:%M:%S")} {line}\n')

    def _resume(self) -> None:
        file = self.options.folder / STATE_FILE
        if not file.exists():
            return
        device = next(self.model.parameters()).device
        state = read_state(file, device)
        if state['identity'] != self.identity:
            raise TrainError(
                f'{file}: its run had other settings; name another output folder, or use the '
                'config file that it was started with')
        self.model.load_state_dict(state['model'])
        self._average = state['average']
        self._optimizer.load_state_dict(state['optimizer'])
        self.step, self.best = state['step'], state['best']
        self._log(f'goes on at step {self.step} of {self.schedule.steps}')


def _optimizer(model: nn.Module, schedule: ScheduleOptions) -> torch.optim.AdamW:
    """Return AdamW over what is trained; freeze the rest."""
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        fitting = [prefix for prefix in schedule.rates if name.startswith(prefix)]
        factor = schedule.rates[max(fitting, key=len)] if fitting else 1.0
        parameter.requires_grad_(factor > 0)
        if factor > 0:
            # biases, normalisations and single embeddings are not decayed
            groups.setdefault((factor, parameter.squeeze().ndim > 1), []).append(parameter)
    if not groups:
        raise TrainError('schedule.rates: every parameter is frozen; leave one rate above 0')
    return torch.optim.AdamW([
        {'params': parameters, 'factor': factor,
         'weight_decay': schedule.weight_decay if decayed else 0.0}
        for (factor, decayed), parameters in groups.items()],
        lr=schedule.learning_rate, betas=(0.9, 0.99))


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f'{minutes // 60} h {minutes % 60:02} min' if minutes >= 60 else f'{minutes} min'
