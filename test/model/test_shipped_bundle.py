# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The commands take the model that comes with the package where no other is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2_ros import cli
from sam2_ros.model import Bundle, ImageSegmenter, Prompt, VideoTracker, shipped_bundle
from sam2_ros.model.image_files import read_photo

HELMET = (250, 330)


@pytest.fixture
def photo(photos: Path) -> Path:
    return photos / 'astronaut.png'


def test_segment(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([
        'segment', str(photo), '--point', '250,330', '--provider', 'cpu',
        '--output', str(tmp_path)]) == 0
    segmenter = ImageSegmenter(Bundle.load(shipped_bundle()), 'cpu')
    [answer] = segmenter.segment(segmenter.encode(read_photo(photo)), [Prompt(points=[HELMET])])
    written = np.asarray(Image.open(tmp_path / 'astronaut_object_1.png'))
    np.testing.assert_array_equal(written, answer.mask().to_image())
    assert written.any()
    assert capsys.readouterr().err == ''  # where it would stand that weights are random


def test_track(photo: Path, tmp_path: Path) -> None:
    frames = tmp_path / 'frames'
    frames.mkdir()
    for number in range(3):
        (frames / f'{number}.png').symlink_to(photo)
    assert cli.main([
        'track', str(frames), '--point', '250,330', '--provider', 'cpu',
        '--output', str(tmp_path / 'tracked')]) == 0
    tracker = VideoTracker(Bundle.load(shipped_bundle()), 'cpu')
    for number in range(3):
        objects = tracker.step(read_photo(photo))
        if number == 0:
            objects = tracker.add(1, Prompt(points=[HELMET]))
    mask = np.asarray(Image.open(tmp_path / 'tracked' / 'masks' / '2.png')) > 0
    np.testing.assert_array_equal(mask, objects[0].mask.to_image() > 0)


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(['info']) == 0
    bundle, model, trained, *_ = capsys.readouterr().out.splitlines()
    assert bundle.split() == ['bundle', str(shipped_bundle())]
    assert model.split() == ['model', 'sam2_nano']
    assert trained.split() == ['trained', 'yes']
