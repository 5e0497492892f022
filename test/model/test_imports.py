# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The run time needs neither PyTorch, which a robot lacks, nor ROS, which a desk lacks."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import sam2_ros.model

#: Refuses, and so finds, an import anywhere below, also one that is caught where it stands.
HOOK = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('torch', 'torchvision', 'sam2', 'onnx', 'rclpy'):
            sys.exit(f'imported {name}')
        if name.startswith('sam2_ros.') and name.split('.')[1] not in ('model', 'cli'):
            sys.exit(f'imported {name}')

sys.meta_path.insert(0, Refuse())
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    # not in the current folder, which would come before the installed package
    return subprocess.run(
        [sys.executable, '-c', HOOK + code], capture_output=True, text=True, check=False, cwd='/')


def test_the_hook_finds_what_it_looks_for() -> None:
    assert run('import torch').stderr == 'imported torch\n'
    assert run('import sam2_ros.export.options').stderr == 'imported sam2_ros.export\n'


def test_the_run_time_imports_no_other_layer() -> None:
    modules = [module.name for module in pkgutil.iter_modules(
        sam2_ros.model.__path__, 'sam2_ros.model.')]
    assert len(modules) > 10
    process = run('\n'.join(f'import {module}' for module in ['sam2_ros.model', *modules]))
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize('arguments', [['--help'], ['segment', '--help'], ['info', '--help']])
def test_the_command_line_imports_no_other_layer(arguments: list[str]) -> None:
    process = run(f'from sam2_ros.cli import main\nmain({arguments!r})')
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith('usage: sam2-ros')


def test_a_bundle_is_used_without_pytorch(nano_bundle: object) -> None:
    process = run(f"""
import numpy
from sam2_ros.model import Bundle, ImageSegmenter, Prompt
segmenter = ImageSegmenter(Bundle.load({str(nano_bundle)!r}), 'cpu')
embedding = segmenter.encode(numpy.zeros((48, 64, 3), numpy.uint8))
[answer] = segmenter.segment(embedding, [Prompt(points=[(32, 24)])])
print(answer.mask().to_image().shape)
""")
    assert process.returncode == 0, process.stderr
    assert process.stdout == '(48, 64)\n'
