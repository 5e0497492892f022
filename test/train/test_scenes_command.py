# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sam2-ros scenes``, as typed: its layouts, the same bytes each time, going on after a kill."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

pytest.importorskip('pycocotools', reason='no pycocotools here: no COCO annotations')

from sam2_ros import cli
from sam2_ros.train.scenes import SceneGenerator
from sam2_ros.train.shards import Shards

Arguments = Callable[..., list[str]]


@pytest.fixture(scope='module')
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache folder that the commands of this module share."""
    return tmp_path_factory.mktemp('cache')


@pytest.fixture
def arguments(scene_assets: Path, cache: Path) -> Arguments:
    """Return a function that gives the arguments of the command for a folder and a format."""
    def make(output: Path, layout: str, *more: str) -> list[str]:
        return ['scenes', '--output', str(output), '--format', layout, '--size', '64',
                '--kind', 'composite', '--assets', str(scene_assets), '--cache', str(cache),
                '--partial', *more]
    return make


def files(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all files in a folder."""
    return {str(file.relative_to(folder)): file.read_bytes()
            for file in sorted(folder.rglob('*')) if file.is_file()}


def started(typed: list[str]) -> subprocess.Popen[str]:
    """Start the command in a process of its own."""
    # As installed: the processes that it starts load its script again.
    return subprocess.Popen(
        ['sam2-ros', *typed], cwd='/', stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True)


def wait_for(process: subprocess.Popen[str], folder: Path) -> None:
    """Wait until three files are in a folder."""
    while process.poll() is None and len(list(folder.glob('[0-9]*'))) < 3:
        time.sleep(.02)


def test_coco_tools_read_what_was_made(
    arguments: Arguments, scene_assets: Path, cache: Path, tmp_path: Path,
) -> None:
    from pycocotools.coco import COCO

    assert cli.main(arguments(tmp_path, 'coco', '--count', '3')) == 0
    coco = COCO(str(tmp_path / 'annotations' / 'instances.json'))
    generator = SceneGenerator('held_out', 64, 0, assets=scene_assets, cache=cache,
                               kind='composite', partial=True)
    assert coco.getImgIds() == [0, 1, 2]
    for index in coco.getImgIds():
        scene = generator.image(index)
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=[index]))
        masks = np.stack([coco.annToMask(annotation) for annotation in annotations])
        np.testing.assert_array_equal(masks, scene.masks)
        for annotation, mask in zip(annotations, scene.masks, strict=True):
            rows, columns = np.nonzero(mask)
            assert annotation['area'] == mask.sum()
            assert annotation['bbox'] == [
                columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        file = tmp_path / 'images' / coco.loadImgs([index])[0]['file_name']
        picture = np.asarray(cv2.imread(str(file)))[..., ::-1]
        assert np.abs(picture.astype(int) - scene.image).mean() < 6


def test_davis_layout(
    arguments: Arguments, scene_assets: Path, cache: Path, tmp_path: Path,
) -> None:
    from PIL import Image

    assert cli.main(arguments(tmp_path, 'davis', '--count', '2', '--frames', '4')) == 0
    names = (tmp_path / 'ImageSets' / '2017' / 'val.txt').read_text().split()
    assert names == ['clip00000', 'clip00001']
    generator = SceneGenerator('held_out', 64, 0, assets=scene_assets, cache=cache,
                               kind='composite', partial=True)
    for index, name in enumerate(names):
        clip = generator.clip(index, 4)
        objects = clip.masks[0].sum((1, 2)) >= 150 / 16
        expected = np.zeros((4, 64, 64), int)
        for label, masks in enumerate(clip.masks[:, objects].swapaxes(0, 1), 1):
            expected[masks] = label
        for frame in range(4):
            labels = Image.open(tmp_path / 'Annotations' / '480p' / name / f'{frame:05d}.png')
            assert labels.mode == 'P'
            assert (labels.getpalette() or [])[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]
            np.testing.assert_array_equal(np.asarray(labels), expected[frame])
            assert (tmp_path / 'JPEGImages' / '480p' / name / f'{frame:05d}.jpg').exists()


def test_shards_for_training(arguments: Arguments, tmp_path: Path) -> None:
    common = ('--split', 'train')
    assert cli.main(arguments(tmp_path / 'a', 'image-shards', '--count', '51', *common)) == 0
    assert cli.main(
        arguments(tmp_path / 'b', 'clip-shards', '--count', '6', '--frames', '3', *common)) == 0
    shards = Shards(tmp_path)
    assert (shards.image_count, shards.clip_count) == (51, 6)
    assert shards.clip(5, 3).images.shape == (3, 64, 64, 3)


def test_the_number_of_processes_changes_no_byte(arguments: Arguments, tmp_path: Path) -> None:
    for jobs in ('1', '2'):
        assert cli.main(arguments(tmp_path / jobs, 'coco', '--count', '5', '--jobs', jobs)) == 0
    assert files(tmp_path / '1') == files(tmp_path / '2')


def test_it_goes_on_after_a_kill(arguments: Arguments, tmp_path: Path) -> None:
    """Kill -9 it when the first scenes are there; what is there stays, and the rest is made."""
    folder = tmp_path / 'killed'
    typed = arguments(folder, 'coco', '--count', '24')
    process = started(typed)
    done = folder / 'annotations' / 'images'
    wait_for(process, done)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    assert not psutil.wait_procs(children, timeout=60)[1], 'its processes outlive it'
    assert not (folder / 'annotations' / 'instances.json').exists(), 'it was not killed in time'
    finished = {file: file.stat().st_mtime_ns for file in done.glob('[0-9]*.json')}
    assert cli.main(typed) == 0
    for file, written in finished.items():
        assert file.stat().st_mtime_ns == written, f'{file} was made twice'
    assert cli.main(arguments(tmp_path / 'whole', 'coco', '--count', '24')) == 0
    # A hidden file is what the kill left of the one that was being written.
    assert {name: content for name, content in files(folder).items()
            if not Path(name).name.startswith('.')} == files(tmp_path / 'whole')


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_is_told_and_leaves_no_process(
    arguments: Arguments, tmp_path: Path, number: signal.Signals,
) -> None:
    process = started(arguments(tmp_path, 'coco', '--count', '5000'))
    wait_for(process, tmp_path / 'images')
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told.splitlines()[-1] == 'sam2-ros: interrupted'
    assert not psutil.wait_procs(children, timeout=60)[1]


def test_more_scenes_are_added_to_those_that_are_there(
    arguments: Arguments, tmp_path: Path,
) -> None:
    assert cli.main(arguments(tmp_path, 'coco', '--count', '2')) == 0
    first = files(tmp_path)
    assert cli.main(arguments(tmp_path, 'coco', '--count', '4')) == 0
    annotations = json.loads((tmp_path / 'annotations' / 'instances.json').read_bytes())
    assert [image['id'] for image in annotations['images']] == [0, 1, 2, 3]
    assert {name: content for name, content in files(tmp_path).items()
            if name in first and not name.endswith('instances.json')} == {
        name: content for name, content in first.items() if not name.endswith('instances.json')}


@pytest.mark.parametrize(('layout', 'few'), [('image-shards', 3), ('clip-shards', 2)])
def test_a_shard_that_is_not_full_is_filled(
    arguments: Arguments, tmp_path: Path, layout: str, few: int,
) -> None:
    for folder, count in (('a', few), ('a', few + 5), ('b', few + 5)):
        assert cli.main(arguments(
            tmp_path / folder, layout, '--frames', '2', '--count', str(count))) == 0
    shards = Shards(tmp_path / 'a')
    assert shards.image_count + shards.clip_count == few + 5
    assert files(tmp_path / 'a') == files(tmp_path / 'b')


@pytest.mark.parametrize(('more', 'message'), [
    (('--count', '0'), 'count, frames and jobs: 1 or more are needed'),
    (('--count', '1', '--jobs', '0'), 'count, frames and jobs: 1 or more are needed'),
    (('--count', '1', '--size', '4'), 'a size of 4 pixels: 32 or more are needed'),
    (('--count', '1', '--assets', '/nowhere'), '/nowhere: no such folder of assets'),
    (('--count', '1', '--seed', '9'), 'holds scenes with another seed (0, not 9)'),
    (('--count', '1', '--output', '/dev/null/x'), '/dev/null'),
])
def test_bad_input_is_told_in_one_line(
    arguments: Arguments, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...], message: str,
) -> None:
    (tmp_path / 'settings.json').write_text(json.dumps({
        'format': 'coco', 'split': 'held_out', 'size': 64, 'seed': 0}))
    assert cli.main(arguments(tmp_path, 'coco', *more)) == 1
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith('sam2-ros: ')
    assert message in told
