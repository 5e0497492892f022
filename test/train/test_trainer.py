# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The loop learns, measures, keeps the best, and survives being killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('torch', reason='no PyTorch here: nothing can be trained')

import torch
from torch import Tensor, nn

from sam2_ros.train.errors import TrainError
from sam2_ros.train.trainer import RunOptions, ScheduleOptions, Trainer

SCHEDULE = ScheduleOptions(steps=60, learning_rate=0.05, warm_up=5, average=0.9)


class Sums:
    """Learn to add up: any model from 4 numbers to one."""

    weight = 1.0

    def batch(self, rng: np.random.Generator) -> Tensor:
        """Return 16 rows of 4 numbers."""
        return torch.from_numpy(rng.normal(size=(16, 4))).float()

    def loss(
        self, model: nn.Module, batch: Tensor, rng: np.random.Generator, step: int,
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the squared error."""
        return (model(batch)[:, 0] - batch.sum(dim=1)).square().mean(), {'steps': float(step)}


def adder() -> nn.Module:
    """Return a model whose dropout draws from PyTorch's generator."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.1), nn.Linear(16, 1))


def error_of(model: nn.Module) -> tuple[dict[str, float], float]:
    """Return how wrong the model is, and a score that grows when it gets better."""
    numbers = torch.eye(4)
    error = (model(numbers)[:, 0] - 1).square().mean().item()
    return {'error': error}, -error


def trainer(folder: Path, schedule: ScheduleOptions = SCHEDULE, **options: Any) -> Trainer:
    """Return a trainer of a small model in ``folder``."""
    return Trainer(
        adder(), [Sums()], error_of, schedule,
        RunOptions(folder, **{'save_every': 7, 'validate_every': 20, **options}),
        write=lambda line: None, identity='sums')


def test_a_run_learns_and_keeps_the_best(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    before = -error_of(run.model)[1]

    run.run()

    run.model.load_state_dict(run.averaged())
    assert -error_of(run.model.eval())[1] < 0.1 * before
    assert run.best >= -0.1 * before
    log = (tmp_path / 'log.txt').read_text(encoding='utf-8')
    assert 'validation at step 20: error ' in log
    assert 'validation at step 60: error ' in log
    assert ' left' in log
    best = torch.load(tmp_path / 'best.pt', weights_only=True)
    assert list(best) == ['model']
    assert best['model']['0.weight'].dtype == torch.float16


def test_a_killed_run_ends_with_the_weights_of_an_undisturbed_one(tmp_path: Path) -> None:
    undisturbed = trainer(tmp_path / 'undisturbed')
    undisturbed.run()
    script = tmp_path / 'run.py'
    script.write_text(
        f'import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n'
        'import os, signal\nfrom pathlib import Path\nfrom test_trainer import Sums, trainer\n'
        'class Deadly(Sums):\n'
        '    def loss(self, model, batch, rng, step):\n'
        '        if step == 40: os.kill(os.getpid(), signal.SIGKILL)\n'
        '        return super().loss(model, batch, rng, step)\n'
        f'run = trainer(Path({str(tmp_path / "killed")!r}))\n'
        'run.tasks = (Deadly(),)\nrun.run()\n', encoding='utf-8')

    process = subprocess.run([sys.executable, script], check=False)
    resumed = trainer(tmp_path / 'killed')

    assert process.returncode == -signal.SIGKILL
    assert resumed.step == 35, 'the last multiple of save_every'
    resumed.run()
    for name, value in undisturbed.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
        assert torch.equal(undisturbed.averaged()[name], resumed.averaged()[name]), name
    assert resumed.best == undisturbed.best


def test_a_stopped_run_saves_the_step_that_it_is_in(tmp_path: Path) -> None:
    run = trainer(tmp_path)

    class Stopping(Sums):
        def loss(self, model: nn.Module, batch: Tensor, rng: np.random.Generator,
                 step: int) -> tuple[Tensor, dict[str, float]]:
            if step == 11:
                run.stop()
            return super().loss(model, batch, rng, step)

    run.tasks = (Stopping(),)
    run.run()

    assert trainer(tmp_path).step == 12


def test_frozen_parameters_stay(tmp_path: Path) -> None:
    run = trainer(tmp_path, replace(SCHEDULE, rates={'0.': 0.0, '0.bias': 1.0}))
    before = {name: value.clone() for name, value in run.model.state_dict().items()}

    run.run()

    after = run.model.state_dict()
    assert [name for name in before if torch.equal(before[name], after[name])] == ['0.weight']


def test_a_run_with_nothing_to_train_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match='every parameter is frozen'):
        trainer(tmp_path, replace(SCHEDULE, rates={'': 0.0}))


def test_a_state_of_another_run_is_refused(tmp_path: Path) -> None:
    trainer(tmp_path).save()

    with pytest.raises(TrainError, match='its run had other settings; name another output folder'):
        Trainer(adder(), [Sums()], error_of, SCHEDULE, RunOptions(tmp_path), identity='products')


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()

    with pytest.raises(TrainError, match='file: cannot be made a folder'):
        trainer(tmp_path / 'file')


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'state.pt').write_bytes(b'no state')

    with pytest.raises(TrainError, match='cannot be read as the state of a run'):
        trainer(tmp_path)


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    class Diverging(Sums):
        def loss(self, model: nn.Module, batch: Tensor, rng: np.random.Generator,
                 step: int) -> tuple[Tensor, dict[str, float]]:
            loss, parts = super().loss(model, batch, rng, step)
            return loss * (float('nan') if step == 9 else 1), parts

    run = trainer(tmp_path)
    run.tasks = (Diverging(),)

    with pytest.raises(TrainError, match='step 9: the loss is nan; start another run with a lower'):
        run.run()
    assert trainer(tmp_path).step == 7, 'the state before it is left'


def test_the_rate_warms_up_stays_and_cools_down() -> None:
    schedule = ScheduleOptions(steps=1000, warm_up=100, cool_down=0.3, final_rate=0.02)

    assert schedule.rate(0) == pytest.approx(0.01)
    assert schedule.rate(99) == schedule.rate(699) == 1
    assert schedule.rate(850) == pytest.approx(0.51, abs=0.01)
    assert schedule.rate(999) == pytest.approx(0.02, abs=0.01)
