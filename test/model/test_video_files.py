# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Videos from files and folders, whole and damaged, and to files that can be read back."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from sam2_ros.model.errors import ImageError
from sam2_ros.model.image_files import read_photo, write_png
from sam2_ros.model.video_files import CODECS, Video, VideoFrame, VideoWriter, open_video

Image = npt.NDArray[np.uint8]
FRAMES = 24


@pytest.fixture(scope='module')
def scene(photos: Path) -> list[Image]:
    """Return frames of a camera that pans over a cup of coffee, 4 pixels a frame, 160x120."""
    coffee = read_photo(photos / 'coffee.png')
    return [coffee[150:270, 120 + 4 * index:280 + 4 * index] for index in range(FRAMES)]


def write(file: Path, scene: list[Image], rate: float = 10.0) -> Path:
    writer = VideoWriter(file, rate, (scene[0].shape[0], scene[0].shape[1]))
    for image in scene:
        writer.write(image)
    writer.close()
    return file


def folder(path: Path, scene: list[Image], names: list[str]) -> Path:
    path.mkdir()
    for name, image in zip(names, scene, strict=False):
        write_png(path / name, image)
    return path


def images(video: Video) -> list[Image]:
    return [frame.image for frame in video.frames() if frame.image is not None]


def problems(frames: list[VideoFrame]) -> dict[int, str]:
    return {frame.index: frame.problem for frame in frames if frame.image is None}


@pytest.mark.parametrize('suffix', CODECS)
@pytest.mark.parametrize('rate', [10.0, 30000 / 1001])
def test_what_is_written_is_read_back(
    tmp_path: Path, scene: list[Image], suffix: str, rate: float,
) -> None:
    video = open_video(write(tmp_path / f'clip{suffix}', scene, rate), 24.0)
    assert video.count == FRAMES
    assert video.rate == pytest.approx(rate, rel=1e-3)
    frames = list(video.frames())
    assert [frame.index for frame in frames] == list(range(FRAMES))
    assert [frame.name for frame in frames[:2]] == ['00000', '00001']
    for frame, image in zip(frames, scene, strict=True):
        assert frame.image is not None
        # Compression blurs; a frame too early or late, or red for blue, differs by more than 10.
        assert np.abs(frame.image.astype(float) - image).mean() < 5


@pytest.mark.parametrize('suffix', CODECS)
def test_an_odd_size_loses_a_column_and_a_row(
    tmp_path: Path, scene: list[Image], suffix: str,
) -> None:
    odd = [image[:119, :159] for image in scene]
    [first, *_] = images(open_video(write(tmp_path / f'clip{suffix}', odd), 24.0))
    # Motion JPEG knows odd sizes
    assert first.shape in ((118, 158, 3), (119, 159, 3))
    assert np.abs(first.astype(float) - odd[0][:first.shape[0], :first.shape[1]]).mean() < 5


def test_a_video_can_be_read_twice_and_every_nth_frame_alone(
    tmp_path: Path, scene: list[Image],
) -> None:
    video = open_video(write(tmp_path / 'clip.avi', scene), 24.0)
    every_frame = images(video)
    assert [frame.index for frame in video.frames(7)] == [0, 7, 14, 21]
    for frame in video.frames(7):
        np.testing.assert_array_equal(frame.image, every_frame[frame.index])


def test_a_folder_is_read_in_natural_order(tmp_path: Path, scene: list[Image]) -> None:
    names = ['frame2.png', 'frame10.png', 'frame9.png', 'frame01.png']
    path = folder(tmp_path / 'frames', scene, names)
    (path / 'notes.txt').write_text('not a photograph')
    video = open_video(path, 12.5)
    assert (video.rate, video.count) == (12.5, 4)
    frames = list(video.frames())
    assert [frame.name for frame in frames] == ['frame01', 'frame2', 'frame9', 'frame10']
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    np.testing.assert_array_equal(frames[3].image, scene[1])
    assert [frame.name for frame in video.frames(3)] == ['frame01', 'frame10']


def test_an_unreadable_photograph_is_named_and_the_next_one_follows(
    tmp_path: Path, scene: list[Image],
) -> None:
    path = folder(tmp_path / 'frames', scene, [f'{index}.png' for index in range(5)])
    (path / '2.png').write_bytes((path / '2.png').read_bytes()[:40])
    write_png(path / '3.png', scene[3][:60])
    frames = list(open_video(path, 24.0).frames())
    found = problems(frames)
    assert set(found) == {2, 3}
    assert str(path / '2.png') in found[2]
    assert found[3] == 'frame 3 (3) is 160x60, but the first is 160x120'


def test_a_frame_of_mp4_that_cannot_be_decoded_is_named(
    tmp_path: Path, scene: list[Image],
) -> None:
    """Each frame is a packet of its own: one is overwritten, and the decoder gives it up."""
    file = write(tmp_path / 'clip.mp4', scene)
    content = bytearray(file.read_bytes())
    at = [found.start() for found in re.finditer(b'\x00\x00\x01\xb6', content)]  # MPEG-4's planes
    content[at[9]:at[10]] = bytes(at[10] - at[9])
    file.write_bytes(content)
    frames = list(open_video(file, 24.0).frames())
    assert problems(frames) == {9: f'{file}: frame 9 cannot be decoded'}
    assert [frame.index for frame in frames] == list(range(FRAMES))


def test_a_video_that_ends_early_says_how_much_of_it_was_read(
    tmp_path: Path, scene: list[Image],
) -> None:
    """As after a crash of the recorder, or a copy that broke off."""
    file = write(tmp_path / 'clip.webm', scene)
    file.write_bytes(file.read_bytes()[:file.stat().st_size * 2 // 3])
    *whole, last = open_video(file, 24.0).frames()
    assert all(frame.image is not None for frame in whole)
    assert 8 <= len(whole) < FRAMES
    assert last.image is None
    assert last.problem == (
        f'{file}: {len(whole)} of the {FRAMES} frames that it announces could be read')


@pytest.mark.parametrize('suffix', ['.webm', '.avi'])
def test_what_was_written_until_a_kill_can_be_read(
    tmp_path: Path, photos: Path, suffix: str,
) -> None:
    """A process that is killed, or a robot that is switched off, closes no file."""
    file = tmp_path / f'clip{suffix}'
    process = subprocess.run(
        [sys.executable, '-c', f"""
import os, signal
from pathlib import Path
from sam2_ros.model.image_files import read_photo
from sam2_ros.model.video_files import VideoWriter
coffee = read_photo(Path({str(photos / 'coffee.png')!r}))
writer = VideoWriter(Path({str(file)!r}), 10.0, (400, 598))
for index in range(100):
    writer.write(coffee[:, index % 2:598 + index % 2])
os.kill(os.getpid(), signal.SIGKILL)
"""], check=False, cwd='/')
    assert process.returncode == -9
    # The last cluster may still have been in memory.
    assert len(images(open_video(file, 24.0))) > 50


def test_a_photograph_is_a_video_of_one_frame(photos: Path) -> None:
    [frame] = open_video(photos / 'coffee.png', 24.0).frames()
    np.testing.assert_array_equal(frame.image, read_photo(photos / 'coffee.png'))


def test_what_is_no_video(tmp_path: Path, photos: Path) -> None:
    (tmp_path / 'text.mp4').write_text('a text')
    (tmp_path / 'empty.mp4').touch()
    (tmp_path / 'nothing').mkdir()
    twice = tmp_path / 'twice'
    twice.mkdir()
    for name in ('1.png', '1.jpg'):
        shutil.copy(photos / 'coffee.png', twice / name)
    for name, message in (
        ('nowhere.mp4', 'cannot be read (No such file or directory)'),
        (300 * 'n', 'cannot be read (File name too long)'),
        ('text.mp4', 'not a video that OpenCV can decode'),
        ('empty.mp4', 'not a video that OpenCV can decode'),
        ('nothing', 'there is no photograph in it'),
        ('twice', '1.jpg and 1.png have the same name'),
    ):
        with pytest.raises(ImageError) as caught:
            open_video(tmp_path / name, 24.0)
        assert str(caught.value).startswith(f'{tmp_path / name}: {message}')
        assert '\n' not in str(caught.value)


def test_a_folder_without_a_readable_frame(tmp_path: Path) -> None:
    (tmp_path / '1.jpg').write_text('a text')
    frames = open_video(tmp_path, 24.0).frames()
    assert 'not a picture' in next(frames).problem
    with pytest.raises(ImageError, match='not one frame of it can be read'):
        next(frames)


def test_files_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(ImageError, match=r'clip.webm: cannot be written \(Not a directory\)'):
        VideoWriter(tmp_path / 'file' / 'clip.webm', 10.0, (120, 160))


def test_a_codec_that_is_missing_is_told_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(CODECS, '.webm', 'NONE')
    with pytest.raises(ImageError, match='cannot write NONE of 160x120 at 10 Hz; try another of'):
        VideoWriter(tmp_path / 'clip.webm', 10.0, (120, 160))
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_read_back_is_told(tmp_path: Path, scene: list[Image]) -> None:
    """As on a full disk, of which OpenCV says nothing."""
    file = tmp_path / 'clip.webm'
    writer = VideoWriter(file, 10.0, (120, 160))
    writer.write(scene[0])
    file.unlink()
    with pytest.raises(ImageError, match='cannot be read back; is the disk full'):
        writer.close()


def test_opening_a_writer_says_nothing_on_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str],
) -> None:
    writer = VideoWriter(tmp_path / 'clip.webm', 10.0, (120, 160))
    os.write(2, b'after')
    writer.write(np.zeros((120, 160, 3), np.uint8))
    writer.close()
    assert capfd.readouterr() == ('', 'after')
