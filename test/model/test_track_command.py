# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sam2-ros track`` on clips made of photographs: the answers of the Python API, in files."""

from __future__ import annotations

import argparse
import csv
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from sam2_ros.model import track_command
from sam2_ros.model.bundle import Bundle
from sam2_ros.model.errors import BundleError, ImageError, OptionError, PromptError, Sam2RosError
from sam2_ros.model.image_files import read_photo, write_png
from sam2_ros.model.masks import Mask
from sam2_ros.model.overlay import object_colour
from sam2_ros.model.prompts import Prompt
from sam2_ros.model.tracking_options import TrackingOptions
from sam2_ros.model.video_files import VideoWriter, open_video
from sam2_ros.model.video_tracker import ObjectState, TrackedObject, VideoTracker

Frame = npt.NDArray[np.uint8]
FRAMES, HEIGHT, WIDTH, RATE = 12, 120, 160, 10.0
#: On the head in the first frame.
HEAD = Prompt(points=[(37, 50)])


@pytest.fixture(scope='module')
def scene(photos: Path) -> list[Frame]:
    """Return frames of a cat's head that moves over a cup of coffee, 4 pixels a frame."""
    coffee = read_photo(photos / 'coffee.png')[150:150 + HEIGHT, 200:200 + WIDTH]
    head = read_photo(photos / 'chelsea.png')[60:220:4, 110:330:4]  # 40x55
    y, x = np.mgrid[-1:1:40j, -1:1:55j]
    oval = x**2 + y**2 < 1
    frames = []
    for index in range(FRAMES):
        frame = coffee.copy()
        region = frame[30:70, 10 + 4 * index:65 + 4 * index]
        region[oval] = head[oval]
        frames.append(frame)
    return frames


class Workplace:
    """A folder of frames, the same as a video, a bundle, and an output folder."""

    def __init__(self, scene: list[Frame], bundle: Path, folder: Path) -> None:
        self.scene = scene
        self.bundle = bundle
        self.output = folder / 'new' / 'output'
        self.frames = folder / 'frames'
        self.frames.mkdir()
        for index, frame in enumerate(scene):
            write_png(self.frames / f'{index}.png', frame)
        self.video = folder / 'clip.avi'
        writer = VideoWriter(self.video, RATE, (HEIGHT, WIDTH))
        for frame in scene:
            writer.write(frame)
        writer.close()

    def track(self, *arguments: str | Path, video: Path | None = None) -> None:
        parser = argparse.ArgumentParser()
        track_command.add_arguments(parser)
        words = [video or self.frames, '--bundle', self.bundle, '--provider', 'cpu', '--output',
                 self.output, '--rate', RATE, *arguments]
        assert track_command.run(parser.parse_args([str(word) for word in words])) == 0

    def failure(
        self, kind: type[Sam2RosError], *arguments: str | Path, video: Path | None = None,
    ) -> str:
        """Run the command, which must fail and write nothing; return its one line."""
        with pytest.raises(kind) as caught:
            self.track(*arguments, video=video)
        assert not self.output.exists()
        message = str(caught.value)
        assert '\n' not in message
        return message

    def rows(self) -> list[dict[str, str]]:
        with (self.output / 'objects.csv').open(encoding='utf-8') as table:
            return list(csv.DictReader(table))

    def masks(self) -> dict[str, Frame]:
        files = sorted((self.output / 'masks').iterdir(), key=lambda file: int(file.stem))
        return {file.stem: np.asarray(Image.open(file)) for file in files}

    def overlay(self) -> list[Frame]:
        return [frame.image for frame in open_video(self.output / 'overlay.webm', 1.0).frames()
                if frame.image is not None]

    def answers(
        self, told: dict[int, list[Callable[[VideoTracker], list[TrackedObject]]]],
        count: int = FRAMES, **options: Any,
    ) -> list[list[TrackedObject]]:
        """Return the API's answers on the first ``count`` frames, on some of which it is told."""
        tracker = VideoTracker(
            Bundle.load(self.bundle), 'cpu', tracking=TrackingOptions(**options))
        answers = []
        for index, frame in enumerate(self.scene[:count]):
            objects = {found.object_id: found for found in tracker.step(frame, index / RATE)}
            for tell in told.get(index, []):
                *_, found = tell(tracker)
                objects[found.object_id] = found
            answers.append(list(objects.values()))
        return answers

    def check(self, expected: list[list[TrackedObject]]) -> None:
        """Check masks and table against the API's answers on each frame."""
        rows = self.rows()
        assert [(int(row['frame']), int(row['object'])) for row in rows] == [
            (index, found.object_id) for index, answers in enumerate(expected) for found in answers]
        for row, found in zip(rows, [one for each in expected for one in each], strict=True):
            assert row['state'] == found.state.name.lower()
            assert float(row['predicted_iou']) == pytest.approx(
                found.mask.iou_prediction, abs=1e-3)
            assert int(row['area']) == found.mask.area
            assert tuple(int(row[name]) for name in ('x0', 'y0', 'x1', 'y1')) == found.mask.box
        for picture, answers in zip(self.masks().values(), expected, strict=True):
            labels = np.zeros((HEIGHT, WIDTH), np.uint8)
            for found in sorted(answers, key=lambda one: -one.object_id):
                labels[found.mask.to_image() > 0] = found.object_id
            np.testing.assert_array_equal(picture, labels)


@pytest.fixture
def workplace(scene: list[Frame], trained_bundle: Path, tmp_path: Path) -> Workplace:
    return Workplace(scene, trained_bundle, tmp_path)


def test_one_click_is_tracked_to_the_end(
    workplace: Workplace, capsys: pytest.CaptureFixture[str],
) -> None:
    workplace.track('--point', '37,50')
    workplace.check(workplace.answers({0: [lambda tracker: tracker.add(1, HEAD)]}))
    assert list(workplace.masks()) == [str(index) for index in range(FRAMES)]
    rows = workplace.rows()
    assert [row['prompted'] for row in rows] == ['1', *['0'] * (FRAMES - 1)]
    assert [float(row['seconds']) for row in rows] == [index / RATE for index in range(FRAMES)]
    output = capsys.readouterr().out
    assert f'{FRAMES} of {FRAMES} frames: {workplace.output}' in output
    assert re.search(r'^cpu: \d+\.\d frames/s; last frame: .*encode \d+ ms', output, re.MULTILINE)


def test_several_objects_begun_and_corrected_on_several_frames(workplace: Workplace) -> None:
    workplace.track(
        '--point', '37,50', '--object', '--frame', '3', '--box', '80,60,150,110',
        '--object', '1', '--frame', '5', '--point', '57,50', '--point', '100,100,0')
    workplace.check(workplace.answers({
        0: [lambda tracker: tracker.add(1, HEAD)],
        3: [lambda tracker: tracker.add(2, Prompt(box=(80, 60, 150, 110)))],
        5: [lambda tracker: tracker.refine(
            1, Prompt(points=[(57, 50), (100, 100)], labels=[1, 0]))],
    }))
    assert [(row['frame'], row['object']) for row in workplace.rows() if row['prompted'] == '1'
            ] == [('0', '1'), ('3', '2'), ('5', '1')]


def test_a_mask_begins_an_object_which_points_correct_later(
    workplace: Workplace, tmp_path: Path,
) -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[32:68, 14:60] = 255
    write_png(tmp_path / 'mask.png', mask)
    workplace.track('--mask', tmp_path / 'mask.png', '--object', '--point', '130,90',
                    '--object', '1', '--frame', '2', '--point', '45,50', '--limit', '4')
    workplace.check(workplace.answers({
        0: [lambda tracker: tracker.add_mask(1, mask),
            lambda tracker: tracker.add(2, Prompt(points=[(130, 90)]))],
        2: [lambda tracker: tracker.refine(1, Prompt(points=[(45, 50)]))],
    }, count=4))


def test_a_point_beside_a_mask_corrects_it_at_once(workplace: Workplace, tmp_path: Path) -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[32:68, 14:60] = 255
    write_png(tmp_path / 'mask.png', mask)
    workplace.track('--point', '90,100,0', '--mask', tmp_path / 'mask.png', '--limit', '2')
    workplace.check(workplace.answers({0: [
        lambda tracker: tracker.add_mask(1, mask),
        lambda tracker: tracker.refine(1, Prompt(points=[(90, 100)], labels=[0]))]}, count=2))


def test_frames_before_the_first_prompt_are_shown_as_they_are(workplace: Workplace) -> None:
    workplace.track('--frame', '8', '--point', '69,50')
    assert [int(row['frame']) for row in workplace.rows()] == [8, 9, 10, 11]
    masks = list(workplace.masks().values())
    assert len(masks) == len(workplace.overlay()) == FRAMES
    assert not any(mask.any() for mask in masks[:8])


def test_the_overlay_video_shows_the_objects_and_the_prompts(workplace: Workplace) -> None:
    workplace.track('--point', '37,50', '--box', '8,28,66,72')
    video = open_video(workplace.output / 'overlay.webm', 1.0)
    assert (video.rate, video.count) == (RATE, FRAMES)
    [first, *_] = workplace.overlay()
    # The compression blurs colours: a green dot, and what is tinted differs from the frame.
    red, green, blue = first[50, 37].tolist()
    assert green > max(red, blue) + 60
    mask = next(iter(workplace.masks().values())) > 0
    difference = np.abs(first.astype(float) - workplace.scene[0]).max(axis=2)
    assert np.median(difference[mask]) > np.median(difference[~mask]) + 10


def test_masks_have_the_colours_of_the_overlay(workplace: Workplace) -> None:
    workplace.track('--object', '7', '--point', '37,50', '--limit', '1')
    picture = Image.open(workplace.output / 'masks' / '0.png')
    assert picture.mode == 'P'
    found = {tuple(colour) for colour in np.asarray(picture.convert('RGB')).reshape(-1, 3).tolist()}
    assert found <= {(0, 0, 0), object_colour(7)}
    assert np.unique(np.asarray(picture)).tolist() in ([0, 7], [7])


def test_a_video_file_gives_what_its_frames_give(workplace: Workplace) -> None:
    workplace.scene = [frame.image for frame in open_video(workplace.video, 1.0).frames()
                       if frame.image is not None]
    workplace.track('--point', '37,50', video=workplace.video)
    workplace.check(workplace.answers({0: [lambda tracker: tracker.add(1, HEAD)]}))
    assert list(workplace.masks()) == [f'{index:05}' for index in range(FRAMES)]


def test_every_nth_frame_up_to_a_limit(workplace: Workplace) -> None:
    workplace.track('--every', '3', '--limit', '3', '--point', '37,50', '--frame', '6',
                    '--object', '--point', '130,90')
    rows = workplace.rows()
    assert [(int(row['frame']), int(row['object'])) for row in rows] == [
        (0, 1), (3, 1), (6, 1), (6, 2)]
    assert [float(row['seconds']) for row in rows] == [0.0, 0.3, 0.6, 0.6]
    assert list(workplace.masks()) == ['0', '3', '6']
    video = open_video(workplace.output / 'overlay.webm', 1.0)
    assert video.rate == pytest.approx(RATE / 3, rel=1e-3)


@pytest.mark.parametrize('suffix', ['.webm', '.mp4', '.avi'])
def test_an_output_with_the_suffix_of_a_video_is_the_overlay_alone(
    workplace: Workplace, suffix: str,
) -> None:
    workplace.output = workplace.output.with_suffix(suffix)
    workplace.track('--point', '37,50', '--limit', '3')
    assert [file.name for file in workplace.output.parent.iterdir()] == [workplace.output.name]
    assert len(list(open_video(workplace.output, 1.0).frames())) == 3


@pytest.mark.parametrize(('words', 'options'), [
    (['--memories', '0', '--object-pointers', '2'], {'memories': 0, 'object_pointers': 2}),
    (['--prompted-frames', '1', '--remember-corrections'],
     {'prompted_frames': 1, 'remember_corrections': True}),
    (['--non-overlapping', '--fill-hole-area', '0'],
     {'non_overlapping': True, 'fill_hole_area': 0}),
])
def test_options_of_the_tracker(
    workplace: Workplace, words: list[str], options: dict[str, Any],
) -> None:
    workplace.track('--point', '37,50', '--object', '--point', '40,55', '--object', '1',
                    '--frame', '2', '--point', '45,50', '--limit', '6', *words)
    workplace.check(workplace.answers({
        0: [lambda tracker: tracker.add(1, HEAD),
            lambda tracker: tracker.add(2, Prompt(points=[(40, 55)]))],
        2: [lambda tracker: tracker.refine(1, Prompt(points=[(45, 50)]))],
    }, count=6, **options))


def test_states_and_absent_objects(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    """The model may see its object all the time, so the answers are set here."""
    step = VideoTracker.step

    def hidden(self: VideoTracker, image: Frame, stamp: float | None = None) -> Any:
        state = ObjectState.OCCLUDED if (stamp or 0.0) < 0.55 else ObjectState.LOST
        nothing = Mask((0, 0, 0, 0), np.empty((0, 0), np.uint8), (HEIGHT, WIDTH), 0.1, -5.0)
        return [replace(found, state=state, mask=nothing) for found in step(self, image, stamp)]

    monkeypatch.setattr(VideoTracker, 'step', hidden)
    workplace.track('--point', '37,50')
    assert [row['state'] for row in workplace.rows()] == [
        'visible', *['occluded'] * 5, *['lost'] * 6]
    *_, row = [line for line in capsys.readouterr().out.splitlines() if line.split()[:1] == ['1']]
    assert row.split()[:6] == ['1', '0', '12', '1', '5', '6']
    # The words stand on black in the upper left corner, where the frame is bright.
    corner = np.s_[4:20, 4:60]
    assert np.median(workplace.scene[3][corner]) > 100
    assert np.median(workplace.overlay()[3][corner]) < 30


def test_an_unreadable_frame_is_named_and_left_out(
    workplace: Workplace, capsys: pytest.CaptureFixture[str],
) -> None:
    (workplace.frames / '4.png').write_bytes(b'no picture')
    workplace.track('--point', '37,50')
    assert f'sam2-ros: {workplace.frames / "4.png"}: not a picture' in capsys.readouterr().err
    assert [int(row['frame']) for row in workplace.rows()] == [
        index for index in range(FRAMES) if index != 4]
    assert '4' not in workplace.masks()


def test_what_is_done_is_kept_when_something_goes_wrong(
    workplace: Workplace, capsys: pytest.CaptureFixture[str],
) -> None:
    (workplace.frames / '5.png').write_bytes(b'no picture')
    with pytest.raises(ImageError, match='frame 5 cannot be prompted, since it cannot be read'):
        workplace.track('--point', '37,50', '--frame', '5', '--point', '57,50')
    assert f'5 of {FRAMES} frames: {workplace.output}' in capsys.readouterr().out
    assert len(workplace.rows()) == len(workplace.masks()) == len(workplace.overlay()) == 5


def test_a_video_that_ends_before_a_prompt(workplace: Workplace) -> None:
    content = workplace.video.read_bytes()
    workplace.video.write_bytes(content[:len(content) // 2])
    with pytest.raises(PromptError, match=r'frame 11 cannot be prompted: .* has ended before'):
        workplace.track('--point', '37,50', '--frame', '11', '--point', '57,50',
                        video=workplace.video)
    assert 2 <= len(workplace.overlay()) < FRAMES


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_finishes_the_frame_and_the_files(
    workplace: Workplace, number: signal.Signals,
) -> None:
    for index in range(FRAMES, 40 * FRAMES):
        os.link(workplace.frames / f'{index % FRAMES}.png', workplace.frames / f'{index}.png')
    with subprocess.Popen(
            ['sam2-ros', 'track', str(workplace.frames), '--bundle', str(workplace.bundle),
             '--provider', 'cpu', '--point', '37,50', '--output', str(workplace.output)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd='/') as process:
        table = workplace.output / 'objects.csv'
        while not table.exists() or len(table.read_text().splitlines()) < 5:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    done = len(workplace.rows())
    assert 4 <= done < 40 * FRAMES
    assert len(workplace.masks()) == len(workplace.overlay()) == done
    assert f'{done} of {40 * FRAMES} frames' in output
    assert errors.splitlines()[-1] == 'sam2-ros: interrupted'


def test_results_of_an_earlier_run_are_replaced_only_by_force(workplace: Workplace) -> None:
    workplace.track('--point', '37,50')
    with pytest.raises(ImageError, match=r'overlay\.webm: is there from an earlier run'):
        workplace.track('--point', '37,50', '--limit', '2')
    assert len(workplace.masks()) == FRAMES
    with pytest.raises(PromptError):  # nothing is lost before there is something new
        workplace.track('--point', '500,50', '--force')
    assert len(workplace.masks()) == FRAMES
    workplace.track('--point', '37,50', '--limit', '2', '--force')
    assert len(workplace.masks()) == len(workplace.rows()) == len(workplace.overlay()) == 2


def test_a_table_that_is_there_is_replaced_only_by_force(workplace: Workplace) -> None:
    workplace.output.mkdir(parents=True)
    table = workplace.output / 'objects.csv'
    table.write_text('mine')
    with pytest.raises(ImageError, match=r'objects\.csv: is there from an earlier run'):
        workplace.track('--point', '37,50', '--limit', '1')
    assert table.read_text() == 'mine'
    workplace.track('--point', '37,50', '--limit', '1', '--force')
    assert len(workplace.rows()) == 1


def test_frames_that_no_video_can_hold_leave_no_table(
    workplace: Workplace, tmp_path: Path,
) -> None:
    (tmp_path / 'dots').mkdir()
    write_png(tmp_path / 'dots' / '0.png', np.zeros((1, 1, 3), np.uint8))
    with pytest.raises(ImageError, match='cannot write VP80 of 1x1'):
        workplace.track('--point', '0,0', video=tmp_path / 'dots')
    assert not [file for file in workplace.output.rglob('*') if file.is_file()]


def test_what_ends_the_first_frame_is_told_and_leaves_no_video(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(file: Path, *_: object) -> None:
        raise ImageError(f'{file}: cannot be written (No space left on device)')

    monkeypatch.setattr('sam2_ros.model.track_results.write_palette_png', fail)
    with pytest.raises(ImageError, match=r'masks/0\.png: cannot be written \(No space left'):
        workplace.track('--point', '37,50')
    assert not (workplace.output / 'overlay.webm').exists()


def test_the_source_is_never_overwritten(workplace: Workplace) -> None:
    before = workplace.video.read_bytes()
    with pytest.raises(ImageError, match='would overwrite the video'):
        workplace.track('--point', '37,50', '--output', workplace.video, '--force',
                        video=workplace.video)
    assert workplace.video.read_bytes() == before


@pytest.mark.parametrize(('arguments', 'message'), [
    ([], 'nothing to track; give --point'),
    (['--object', '--frame', '2'], 'no prompt follows --frame'),
    (['--point', '1,1', '--object'], 'no prompt follows --object'),
    (['--object', '255', '--point', '1,1', '--object', '--point', '2,2'],
     '--object begins object 256, but numbers end at 255; name one'),
    (['--point', '160,10'], r'object 1, frame 0: point \(160, 10\) lies outside the 160x120 image'),
    (['--point', '1,1', '--frame', '3', '--object', '--box', '200,1,210,9'],
     'object 2, frame 3: box .* lies outside'),
    (['--point', 'nan,1'], 'object 1, frame 0: points holds a number that is not finite'),
    (['--box', '1,1,9,9', '--box', '2,2,9,9'], 'object 1, frame 0: it has 2 boxes'),
    (['--point', '1,1', '--frame', '12', '--point', '2,2'],
     'object 1: there is no frame 12; the last one that is read is 11'),
    (['--point', '1,1', '--frame', '7', '--point', '2,2', '--limit', '7'],
     'object 1: there is no frame 7; the last one that is read is 6'),
    (['--every', '2', '--frame', '7', '--point', '2,2'],
     'object 1: frame 7 is left out by --every 2'),
])
def test_prompts_that_make_no_sense(
    workplace: Workplace, arguments: list[str], message: str,
) -> None:
    assert re.match(message, workplace.failure(PromptError, *arguments))


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--point', '1'], '"1" is not of the form X,Y or X,Y,LABEL'),
    (['--object', '0'], '"0" is not a whole number of 1 or more'),
    (['--object', '256'], '256 is more than 255'),
    (['--frame', '-1'], '"-1" is not a whole number of 0 or more'),
    (['--frame', 'last'], '"last" is not a whole number of 0 or more'),
    (['--every', '0'], '"0" is not a whole number of 1 or more'),
    (['--rate', 'nan'], '"nan" is not a number from 0.1 to 1000'),
    (['--memories', 'all'], "invalid int value: 'all'"),
])
def test_arguments_of_the_wrong_form(
    workplace: Workplace, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str,
) -> None:
    with pytest.raises(SystemExit) as caught:
        workplace.track('--point', '1,1', *arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_what_cannot_be_used(workplace: Workplace, tmp_path: Path, photos: Path) -> None:
    click = ('--point', '1,1')
    assert 'nowhere.mp4: cannot be read (No such file' in workplace.failure(
        ImageError, *click, video=tmp_path / 'nowhere.mp4')
    assert 'there is no photograph in it' in workplace.failure(
        ImageError, *click, video=tmp_path.parent)
    assert 'the mask is 600x400, but the photo is 160x120' in workplace.failure(
        ImageError, '--mask', photos / 'coffee.png')
    assert 'memories is 9, but this model' in workplace.failure(
        OptionError, *click, '--memories', '9')
    assert 'lost_after is nan' in workplace.failure(OptionError, *click, '--lost-after', 'nan')
    (tmp_path / 'file').touch()
    with pytest.raises(ImageError, match=r'folder: cannot be written to \(Not a directory'):
        workplace.track(*click, '--output', tmp_path / 'file' / 'folder')
    for name in (300 * 'n', 300 * 'n' + '.mp4'):
        with pytest.raises(ImageError, match=f'{name}: cannot be written .File name too long'):
            workplace.track(*click, '--output', tmp_path / name)
    (tmp_path / 'loop').symlink_to('loop')
    with pytest.raises(ImageError, match='loop: cannot be written to'):
        workplace.track(*click, '--output', tmp_path / 'loop')
    workplace.bundle = tmp_path / 'nowhere'
    assert 'nowhere: the bundle does not exist' in workplace.failure(BundleError, *click)


def test_bundles_that_are_not_trained_or_cannot_track(
    workplace: Workplace, nano_bundle: Path, image_only_bundle: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    workplace.bundle = image_only_bundle
    assert 'can only segment images' in workplace.failure(BundleError, '--point', '1,1')
    workplace.bundle = nano_bundle
    workplace.track('--point', '37,50', '--limit', '1')
    assert f'sam2-ros: {nano_bundle} has random weights' in capsys.readouterr().err
