# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A config file becomes a run, and a bad one is refused in one line that says where."""

from __future__ import annotations

from dataclasses import fields
from importlib import resources
from pathlib import Path

import pytest

pytest.importorskip('torch', reason='no PyTorch here: nothing can be trained')
pytest.importorskip('sam2', reason='no sam2 here: nothing can be trained')

from sam2_ros.train.config import DataOptions, TrainConfig, read_config
from sam2_ros.train.errors import TrainError
from sam2_ros.train.tasks import TaskOptions
from sam2_ros.train.trainer import RunOptions, ScheduleOptions

DOCUMENTATION = Path(__file__).parents[2] / 'docs' / 'training.md'

GOOD = """
model: sam2_nano
checkpoint: weights/start.pt
data: {train: scenes/train, held_out: /scenes/held_out}
schedule: {steps: 200, learning_rate: 1e-4, rates: {image_encoder: 0}}
run: {folder: run}
tasks:
  - {frames: 1, prompts: {click: 0.6, box: 0.4}}
  - {frames: 4, weight: 2}
"""


def written(folder: Path, text: str) -> Path:
    file = folder / 'config.yaml'
    file.write_text(text, encoding='utf-8')
    return file


def test_a_config_is_read_with_its_paths_beside_it(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, GOOD))

    assert config.checkpoint == tmp_path / 'weights/start.pt'
    assert config.data.train == tmp_path / 'scenes/train'
    assert config.data.held_out == Path('/scenes/held_out')
    assert config.run.folder == tmp_path / 'run'
    assert config.schedule.learning_rate == 1e-4
    assert config.schedule.rates == {'image_encoder': 0.0}
    assert [task.frames for task in config.tasks] == [1, 4]
    assert config.tasks[0].prompts == {'click': 0.6, 'box': 0.4}


@pytest.mark.parametrize(('old', 'new', 'complaint'), [
    ('steps: 200', 'stops: 200', 'schedule.stops: is unknown; there are: steps, learning_rate'),
    ('steps: 200, ', '', 'schedule.steps: is missing'),
    ('steps: 200', 'steps: many', "schedule.steps: must be a whole number, not 'many'"),
    ('steps: 200', 'steps: 0', 'schedule.steps: is 0, must be 1 or more'),
    ('1e-4', 'fast', "schedule.learning_rate: must be a number, not 'fast'"),
    ('frames: 4', 'frames: 0', 'tasks[1].frames: is 0, must be 1 or more'),
    ('click: 0.6', 'wink: 0.6', 'tasks[0].prompts: takes shares above 0 of click, box and mask, '
                                'not "wink"'),
    ('model: sam2_nano', 'model: sam2_mega', 'model: "sam2_mega" is unknown; there are: '),
    ('model: sam2_nano', 'image_size: 250', 'image size 250 is not possible'),
    ('model: sam2_nano', 'device: tpu', 'device: "tpu" is none of auto, cpu, cuda'),
    ('run: {folder: run}', 'run: run', 'run: must be a list of "name: value"'),
    ('model: sam2_nano', 'model: [', 'is no YAML'),
    ('1e-4', '-1', 'schedule.learning_rate: is -1, must be 0 or more'),
    ('1e-4', '.nan', 'schedule.learning_rate: must be a number, not nan'),
    ('steps: 200', 'steps: 200, average: 1.5', 'schedule.average: is 1.5, must be from 0 to 1'),
    ('{folder: run}', '{folder: run, seed: -1}', 'run.seed: is -1, must be 0 or more'),
    ('click: 0.6', 'click: -0.1', 'tasks[0].prompts: takes shares above 0'),
    ('weight: 2', 'weight: -2', 'tasks[1].weight: is -2, must be 0 or more'),
    ('weight: 2', 'image_size: 250', 'tasks[1].image_size: image size 250 is not possible'),
    ('weight: 2', 'vanishing: 2', 'tasks[1].vanishing: is 2, must be from 0 to 1'),
    ('weight: 2', 'stride: 4', 'tasks[1]: its last frame can be 14 after the first, clips have 12'),
    ('held_out: /scenes/held_out', 'held_out: /scenes, images: 0, clips: 0',
     'data.images + data.clips: is 0, must be 1 or more'),
])
def test_a_bad_config_is_one_line(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    file = written(tmp_path, GOOD.replace(old, new))

    with pytest.raises(TrainError) as caught:
        read_config(file)

    assert complaint in str(caught.value)
    assert str(caught.value).startswith(f'{file}: ')
    assert '\n' not in str(caught.value)


def test_a_config_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r'nothing\.yaml: cannot be read: No such file'):
        read_config(tmp_path / 'nothing.yaml')


@pytest.mark.parametrize(('prefix', 'options'), [
    ('data.', DataOptions), ('schedule.', ScheduleOptions), ('run.', RunOptions),
    ('tasks[].', TaskOptions)])
def test_every_setting_is_documented(prefix: str, options: type) -> None:
    text = DOCUMENTATION.read_text(encoding='utf-8')

    assert [item.name for item in fields(options) if f'`{prefix}{item.name}`' not in text] == []


def test_every_name_at_the_top_is_documented() -> None:
    text = DOCUMENTATION.read_text(encoding='utf-8')

    assert [item.name for item in fields(TrainConfig)
            if f'`{item.name}`' not in text and f'`{item.name}.' not in text] == []


def test_the_config_that_comes_with_the_package_is_good() -> None:
    with resources.as_file(resources.files('sam2_ros.train') / 'sam2_nano.yaml') as file:
        config = read_config(file)

    assert config.model == 'sam2_nano'
