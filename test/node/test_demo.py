# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo: real photographs, a clip and prompts through the node's executable."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='no ROS 2 in this environment')

from sam2_ros import cli
from sam2_ros.model.image_files import read_photo
from sam2_ros.model.video_files import open_video
from sam2_ros.node import demo, demo_photographs, demo_scenes
from sam2_ros.node.demo import run_demo
from sam2_ros.node.demo_clip import Track
from sam2_ros.node.demo_node import DemoError
from sam2_ros.node.demo_photographs import Answer
from sam2_ros.node.demo_scenes import CLIP, CLIP_PROMPTS, PHOTOS, SCENES

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


def test_the_clip_is_long_enough_small_enough_and_has_an_origin() -> None:
    frames = list(open_video(CLIP, 1.0).frames())
    assert len(frames) >= 60
    assert all(frame.image is not None and frame.image.shape == (480, 640, 3) for frame in frames)
    assert CLIP.stat().st_size < 1e6
    assert f'{CLIP.name}, 640x480, {len(frames)} frames' in (
        CLIP.parent / 'SOURCES.md').read_text(encoding='utf-8')


@pytest.mark.parametrize('prompt', CLIP_PROMPTS)
def test_prompts_lie_in_the_clip(prompt: demo_scenes.DemoPrompt) -> None:
    prompt.to_model().check_inside((480, 640))


def test_points_boxes_and_mouse_clicks_are_shown() -> None:
    prompts = [prompt for _, prompt in PROMPTS]
    assert any(prompt.box for prompt in prompts)
    assert any(prompt.point and not prompt.mouse for prompt in prompts)
    assert any(prompt.mouse for prompt in prompts)


def run(output: Path, *bundle: Path) -> subprocess.CompletedProcess[str]:
    """Run the demo as when it is typed: a process reads Fast DDS's profile only once."""
    return subprocess.run(
        ['sam2-ros', 'demo', *bundle, '--output', output, '--provider', 'cpu'],
        capture_output=True, text=True, check=False, cwd=output)


def test_the_model_of_the_package_answers_every_prompt(tmp_path: Path) -> None:
    process = run(tmp_path)

    assert process.returncode == 0, process.stdout + process.stderr
    rows = (tmp_path / 'photographs.txt').read_text(encoding='utf-8').split('\n')
    for row, (photo, prompt) in zip(rows[1:], PROMPTS, strict=False):
        assert row.startswith(photo), process.stdout
        assert prompt.text in row
        area, *milliseconds = row.split()[-6:]
        assert int(area) > 0
        assert all(re.fullmatch(r'\d+\.\d', figure) for figure in milliseconds), process.stdout
    for photo in SCENES:
        overlay = read_photo(tmp_path / f'{Path(photo).stem}.png')
        assert overlay.shape == read_photo(PHOTOS / photo).shape
    # The rate is told, and not held to a limit: a busy machine may be slower than the camera.
    assert len(re.findall(r'at \d+\.\d Hz', process.stdout)) == len(SCENES)

    check_clip(tmp_path, process)


def check_clip(output: Path, process: subprocess.CompletedProcess[str]) -> None:
    """Check what the demo says and writes of the clip."""
    frames = open_video(CLIP, 1.0).count
    table = (output / 'clip.txt').read_text(encoding='utf-8')
    assert table in process.stdout
    summary = re.search(
        r'(\d+) frames published, (\d+) answered; dropped by the node: (\d+), '
        r'lost on the way: (\d+)', table)
    assert summary, process.stdout
    published, answered, dropped, lost = map(int, summary.groups())
    assert published >= (frames or 0)
    # Nothing is dropped: the camera waits. What was lost on the way was not answered.
    assert dropped == 0
    assert 60 <= answered == published - lost
    assert len(list(open_video(output / 'clip.webm', 1.0).frames())) == answered
    assert read_photo(output / 'clip.png').shape == (3 * 240, 4 * 320, 3)
    for row, prompt in zip(table.split('\n')[1:], CLIP_PROMPTS, strict=False):
        assert row.startswith(prompt.what)
        counts = [int(count) for count in re.findall(r' (\d+)(?=  )', row)[-4:]]
        assert sum(counts) == answered
        assert counts[0] > 0, table  # visible


def test_a_bundle_that_cannot_track_shows_the_photographs_alone(
    image_only_bundle: Path, tmp_path: Path,
) -> None:
    process = run(tmp_path, image_only_bundle)
    assert 'cannot track; export it without --image-only' in process.stdout
    assert (tmp_path / 'photographs.txt').exists()
    assert not list(tmp_path.glob('clip*'))


def test_changes_of_an_object_are_told_by_frame() -> None:
    track = Track(CLIP_PROMPTS[0], 3, dict(enumerate(
        ['visible'] * 4 + ['occluded'] * 2 + ['lost', 'no mask', 'visible'])))
    *_, seen, hidden, away, unseen, changes = track.row()
    assert (seen, hidden, away, unseen) == ('5', '2', '1', '1')
    assert changes == (
        'visible at first, occluded from 4, lost from 6, no mask from 7, visible from 8')


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
    assert len(row) == len(demo_photographs.HEADER)
    assert row[4:] == ['-'] * (len(demo_photographs.HEADER) - 4)


def test_a_missing_bundle_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(['demo', str(tmp_path / 'none'), '--output', str(tmp_path / 'demo')]) == 1
    assert capsys.readouterr().err.count('\n') == 1
    assert not (tmp_path / 'demo').exists()


def test_a_folder_that_cannot_be_made_is_one_line(
    nano_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / 'file').touch()
    output = tmp_path / 'file' / 'demo'
    assert cli.main(['demo', str(nano_bundle), '--output', str(output)]) == 1
    assert capsys.readouterr().err == (
        f'sam2-ros: {output}: cannot be written to (Not a directory)\n')
