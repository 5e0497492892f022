# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sam2-ros train``, as typed: it learns, survives kill -9, and its checkpoints export."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('torch', reason='no PyTorch here: nothing can be trained')
pytest.importorskip('sam2', reason='no sam2 here: nothing can be trained')

import torch

from sam2_ros.export.configs import load_model, random_model
from sam2_ros.export.exporter import ExportOptions, export_bundle
from sam2_ros.model.errors import Sam2RosError
from sam2_ros.train.config import read_config
from sam2_ros.train.errors import TrainError
from sam2_ros.train.losses import MaskLosses
from sam2_ros.train.run import held_out, train
from sam2_ros.train.scenes import Clip, Scene
from sam2_ros.train.shards import clip_shard, image_shard
from sam2_ros.train.tasks import ClipTask, ShotSource, TaskOptions
from sam2_ros.train.trainer import RunOptions, ScheduleOptions, Trainer

FRAMES = 5
CONFIG = """
model: sam2_nano
image_size: 128
initialise_memory: true
device: cpu
threads: 1
data: {{train: {scenes}, held_out: {scenes}, train_frames: 5, images: 2, clips: 1, frames: 4}}
schedule: {{steps: 4, warm_up: 1}}
run: {{folder: {folder}, save_every: 2, log_every: 1, validate_every: 0}}
tasks:
  - {{frames: 1, scenes: 1, objects: 3}}
  - {{frames: 3, scenes: 1, objects: 3, stride: 1, leap: 2, later: 0.5, encoder: false}}
"""


@pytest.fixture(scope='module')
def scenes(squares: ShotSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of shards: four pictures and two clips of five frames."""
    folder = tmp_path_factory.mktemp('scenes')
    names = ('a', 'b', 'c')
    pictures, clips = [], []
    for index in range(4):
        shot = squares.draw(np.random.default_rng(index), tuple(range(FRAMES)))
        pictures.append((index, Scene(shot.images[0], shot.masks[0], names, 'composite')))
        clips.append((index, Clip(shot.images, shot.masks, names, 'composite')))
    (folder / 'images-000000.tar').write_bytes(image_shard(pictures))
    (folder / 'clips-000000.tar').write_bytes(clip_shard(clips[:2]))
    return folder


def config(folder: Path, scenes: Path, text: str = CONFIG) -> Path:
    """Write the config of a run in ``folder``."""
    folder.mkdir()
    file = folder / 'config.yaml'
    file.write_text(text.format(scenes=scenes, folder='run'), encoding='utf-8')
    return file


def start(file: Path) -> subprocess.Popen[str]:
    """Start ``sam2-ros train``."""
    return subprocess.Popen(
        [sys.executable, '-c', 'import sys; from sam2_ros.cli import main; sys.exit(main())',
         'train', str(file)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd='/')


@pytest.fixture(scope='module')
def finished(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of four steps that nothing disturbed."""
    file = config(tmp_path_factory.mktemp('finished') / 'a', scenes)
    output, errors = (process := start(file)).communicate()
    assert process.returncode == 0, errors
    assert 'step 4/4: loss ' in output
    assert 'validation at step 4: click ' in output
    return file.parent / 'run'


def test_the_object_score_is_fitted_before_the_first_step_and_frames_of_clips_are_pictures(
    scenes: Path, tmp_path: Path,
) -> None:
    text = (CONFIG.replace('initialise_memory', 'initialise_object_score')
            .replace('train_frames: 5', 'train_frames: 5, clip_frames: 1')
            .replace('steps: 4', 'steps: 1, learning_rate: 0'))
    file = config(tmp_path / 'a', scenes, text)
    (scenes_of_clips := tmp_path / 'clips').mkdir()
    shutil.copy(scenes / 'clips-000000.tar', scenes_of_clips)
    file.write_text(file.read_text().replace(f'train: {scenes}', f'train: {scenes_of_clips}'))

    train(read_config(file))

    weights = torch.load(tmp_path / 'a/run/last.pt', weights_only=True)['model']
    last = weights['sam_mask_decoder.pred_obj_score_head.layers.2.weight']
    assert last[0, :3].tolist() == [1, -1, 0]


def test_a_killed_run_goes_on_to_the_same_weights(
    finished: Path, scenes: Path, tmp_path: Path,
) -> None:
    file = config(tmp_path / 'a', scenes)
    process = start(file)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith('step 3/4'):
            break
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL

    output, errors = (resumed := start(file)).communicate()

    assert resumed.returncode == 0, errors
    assert 'goes on at step 2 of 4' in output
    ours, theirs = (
        torch.load(folder / 'state.pt', weights_only=True) for folder in (
            tmp_path / 'a/run', finished))
    for part in ('model', 'average'):
        for name, value in theirs[part].items():
            assert torch.equal(value, ours[part][name]), (part, name)


def test_an_interruption_saves_the_step_and_is_told(scenes: Path, tmp_path: Path) -> None:
    """What follows in a script, such as the export, must not take it for a finished run."""
    file = config(tmp_path / 'a', scenes, CONFIG.replace('steps: 4', 'steps: 4000'))
    process = start(file)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith('step 1/'):
            break
    process.send_signal(signal.SIGINT)

    output, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert 'of 4000, saved; the same command goes on' in output
    assert errors.splitlines()[-1] == 'sam2-ros: interrupted'
    assert torch.load(tmp_path / 'a/run/state.pt', weights_only=True)['step'] >= 1


def test_a_checkpoint_exports_and_tracks(finished: Path, tmp_path: Path) -> None:
    model = load_model('sam2_nano', finished / 'best.pt', image_size=128)
    bundle = export_bundle(ExportOptions(
        model='sam2_nano', checkpoint=finished / 'last.pt', image_size=128,
        output=tmp_path / 'bundle'))

    assert model.image_size == 128
    assert bundle.can_track


def test_a_run_from_other_weights_does_not_go_on(finished: Path) -> None:
    """It would go on from its state, and never look at the checkpoint that is named."""
    first = finished.parent / 'config.yaml'
    other = first.with_name('other.yaml')
    other.write_text(f'checkpoint: {finished / "best.pt"}\n{first.read_text()}')

    with pytest.raises(TrainError, match='its run had other settings'):
        train(read_config(other))


def test_training_lowers_the_loss(squares: ShotSource, tmp_path: Path) -> None:
    lines: list[str] = []
    task = ClipTask(squares, TaskOptions(
        frames=2, scenes=2, objects=3, stride=1, leaps=0, corrections=0,
        prompts={'box': 1.0}), MaskLosses(), 128)
    trainer = Trainer(
        random_model('sam2_nano', 128), [task], lambda model: ({}, 0.0),
        ScheduleOptions(steps=15, warm_up=3), RunOptions(tmp_path, log_every=3, validate_every=0),
        write=lines.append)

    trainer.run()

    losses = [float(line.split('loss ')[1].split()[0]) for line in lines if 'loss ' in line]
    assert losses[-1] < 0.8 * losses[0]


def test_validation_measures_prompts_and_tracks(finished: Path, scenes: Path) -> None:
    data = read_config(finished.parent / 'config.yaml').data
    model = load_model('sam2_nano', finished / 'best.pt', image_size=128)

    figures, score = held_out(data, 128)(model)

    assert list(figures) == ['click', '3 clicks', 'box', 'J', 'J present', 'absent', 'present']
    assert all(0 <= figure <= 1 for figure in figures.values())
    assert score == pytest.approx(np.mean(list(figures.values())))


@pytest.mark.parametrize(('old', 'new', 'complaint'), [
    ('images: 2', 'images: 5', 'has 4 images, data.images asks for 5'),
    ('clips: 1', 'clips: 3', 'has 2 clips, data.clips asks for 3'),
    ('train: {scenes}', 'train: /nowhere', '/nowhere: no such folder of shards'),
    ('model: sam2_nano', 'checkpoint: nothing.pt', 'nothing.pt: no such file'),
    ('stride: 1, leap: 2', 'stride: 3, leap: 2', 'make the stride or the leap'),
    ('device: cpu', 'device: cuda', 'PyTorch finds no CUDA GPU'),
])
def test_a_run_that_cannot_be_is_one_line(
    scenes: Path, tmp_path: Path, old: str, new: str, complaint: str,
) -> None:
    if 'cuda' in new and torch.cuda.is_available():
        pytest.skip('there is a GPU here')
    file = config(tmp_path / 'a', scenes, CONFIG.replace(old, new))

    with pytest.raises(Sam2RosError) as caught:
        train(read_config(file))

    assert complaint in str(caught.value)
    assert '\n' not in str(caught.value)
