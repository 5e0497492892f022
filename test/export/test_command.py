# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command line of ``sam2-ros export``."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from sam2_ros.export import command
from sam2_ros.export.errors import ExportError
from sam2_ros.export.options import VARIANTS
from sam2_ros.model.bundle import Bundle


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(arguments)


def test_the_bundle_lands_in_a_folder_named_after_what_it_is(
        can_export: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)

    status = command.run(parse('--model', 'sam2_nano', '--random-weights', '--image-size', '128'))

    assert status == 0
    bundle = Bundle.load(tmp_path / 'sam2_nano_128_fp32')
    assert bundle.manifest.image_size == 128
    assert bundle.can_track
    assert 'bundle ready' in capsys.readouterr().out


def test_the_model_that_comes_with_the_package(can_export: None, tmp_path: Path) -> None:
    output = tmp_path / 'bundle'

    assert command.run(parse('--model', 'sam2_nano', '--image-only', '--output', str(output))) == 0

    bundle = Bundle.load(output)
    assert bundle.manifest.trained
    assert bundle.manifest.provenance['checkpoint'] == 'sam2_nano.pt'
    assert not bundle.can_track, '--image-only leaves out what tracking needs'


@pytest.mark.parametrize(
    'arguments', [
        pytest.param(['--random-weights', '--checkpoint', 'file.pt'], id='two kinds of weights'),
        pytest.param(['--random-weights', '--model', 'sam2.1_huge'], id='unknown model'),
        pytest.param(['--random-weights', '--opset', '16'], id='old opset'),
        pytest.param(['--random-weights', '--precision', 'int4'], id='unknown precision'),
    ])
def test_wrong_arguments_end_with_the_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(*arguments)

    assert caught.value.code == 2


def test_weights_come_with_the_package_for_one_model_only(tmp_path: Path) -> None:
    output = tmp_path / 'bundle'
    with pytest.raises(ExportError, match=r'^the weights of sam2.1_tiny do not come with the '):
        command.run(parse('--output', str(output)))
    assert not output.exists()


def test_an_impossible_size_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match='image size 0 is not possible'):
        command.run(parse('--random-weights', '--image-size', '0'))


def test_help_needs_no_pytorch(tmp_path: Path) -> None:
    # not in the checkout, whose sources would come before the installed package
    code = (
        "import sys; sys.modules['torch'] = None; from sam2_ros.cli import main; "
        "main(['export', '--help'])")

    result = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=False, cwd=tmp_path)

    assert result.returncode == 0, result.stderr


def test_help_names_every_model(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse('--help')

    words = capsys.readouterr().out.replace('\n', ' ')
    assert all(name in words for name in VARIANTS)
