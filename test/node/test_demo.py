# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo: real photographs and prompts through the node's executable."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='no ROS 2 in this environment')

from sam2_ros import cli
from sam2_ros.model.image_files import read_photo
from sam2_ros.node import demo, demo_scenes
from sam2_ros.node.demo import Answer, DemoError, run_demo
from sam2_ros.node.demo_scenes import PHOTOS, SCENES

PROMPTS = [(photo, prompt) for photo, prompts in SCENES.items() for prompt in prompts]


def test_photographs_have_the_sizes_of_cameras_and_an_origin() -> None:
    sources = (PHOTOS / 'SOURCES.md').read_text(encoding='utf-8')
    sizes = set()
    for file in PHOTOS.glob('*.jpg'):
        height, width = read_photo(file).shape[:2]
        sizes.add((width, height))
        assert f'| {file.name} | {width}x{height} |' in sources
    assert sizes == {(640, 480), (1280, 720)}
    assert {file.name for file in PHOTOS.glob('*.jpg')} == set(SCENES)


@pytest.mark.parametrize(('photo', 'prompt'), PROMPTS)
def test_prompts_lie_in_their_photograph(photo: str, prompt: demo_scenes.DemoPrompt) -> None:
    prompt.to_model().check_inside(read_photo(PHOTOS / photo).shape[:2])


def test_points_boxes_and_mouse_clicks_are_shown() -> None:
    prompts = [prompt for _, prompt in PROMPTS]
    assert any(prompt.box for prompt in prompts)
    assert any(prompt.point and not prompt.mouse for prompt in prompts)
    assert any(prompt.mouse for prompt in prompts)


def test_every_prompt_is_answered_by_a_node_of_its_own(nano_bundle: Path, tmp_path: Path) -> None:
    # In a process of its own, as when it is typed: Fast DDS reads its profile once a process.
    process = subprocess.run(
        ['sam2-ros', 'demo', nano_bundle, '--output', tmp_path, '--provider', 'cpu'],
        capture_output=True, text=True, check=False, cwd=tmp_path)

    # The weights are random: a mask may be empty, but then the demo has to say so.
    rows = (tmp_path / 'table.txt').read_text(encoding='utf-8').split('\n')[1:len(PROMPTS) + 1]
    *_, last = process.stdout.splitlines()
    for row, (photo, prompt) in zip(rows, PROMPTS, strict=True):
        assert row.startswith(photo)
        assert prompt.text in row
        figures = row.split()
        assert all(re.fullmatch(r'\d+\.\d', figure) for figure in figures[-5:]), process.stdout
        if figures[-6] == '0':
            assert process.returncode == 1
            assert f'{prompt.what} ({photo})' in last
    for photo in SCENES:
        overlay = read_photo(tmp_path / f'{Path(photo).stem}.png')
        assert overlay.shape == read_photo(PHOTOS / photo).shape
    # The rate is told, and not held to a limit: a busy machine may be slower than the camera.
    assert len(re.findall(r'at \d+\.\d Hz', process.stdout)) == len(SCENES)


def test_a_node_that_does_not_start_is_told_with_its_own_words(
    nano_bundle: Path, tmp_path: Path,
) -> None:
    with pytest.raises(DemoError, match=r'ended by itself, status 1: .*provider'):
        run_demo(nano_bundle, tmp_path / 'demo', 'abacus')


def test_a_prompt_without_a_mask_fails_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(demo, 'run_demo', lambda *arguments: ['cup (coffee.jpg)'])
    assert cli.main(['demo', 'bundle', '--output', str(tmp_path)]) == 1
    assert 'no mask for: cup (coffee.jpg)' in capsys.readouterr().out


def test_an_unanswered_prompt_has_a_row_without_figures() -> None:
    photo, prompt = PROMPTS[0]
    row = Answer(photo, prompt).row()
    assert len(row) == len(demo.HEADER)
    assert row[4:] == ['-'] * (len(demo.HEADER) - 4)


def test_a_missing_bundle_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(['demo', str(tmp_path / 'none'), '--output', str(tmp_path / 'demo')]) == 1
    assert capsys.readouterr().err.count('\n') == 1
    assert not (tmp_path / 'demo').exists()
