# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
``sam2-ros <command>``: one command a module, imported when it is used.

A command's module lives in the layer that it belongs to and has ``DESCRIPTION``,
``add_arguments(parser)`` and ``run(args) -> exit status``. Only the module of the command that
was typed is imported, so that a robot without PyTorch and a workstation without ROS have every
command that they can run.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import NamedTuple

from sam2_ros import __version__


class Command(NamedTuple):
    """Where a command lives, and its line in ``sam2-ros --help``."""

    module: str
    help: str


COMMANDS = {
    'export': Command(
        'sam2_ros.export.command', 'turn a SAM 2 or SAM 2.1 checkpoint into a bundle'),
    'checkpoints': Command(
        'sam2_ros.export.checkpoints_command', 'list and download the official checkpoints'),
    'scenes': Command(
        'sam2_ros.train.scenes_command', 'write scenes with exact masks'),
    'train': Command('sam2_ros.train.command', 'train a model on scenes'),
    'info': Command('sam2_ros.model.info_command', 'print what a bundle is'),
    'segment': Command('sam2_ros.model.segment_command', 'segment a photograph, without ROS'),
    'track': Command(
        'sam2_ros.model.track_command', 'track objects through a video, without ROS'),
    'evaluate': Command(
        'sam2_ros.evaluate.evaluate_command', 'measure accuracy on COCO or DAVIS'),
    'benchmark': Command(
        'sam2_ros.evaluate.benchmark_command', 'measure latency and memory of a bundle'),
    'demo': Command(
        'sam2_ros.node.demo_command', 'photographs and clicks through a real node'),
}

# What to type when the module on the left cannot be imported.
_PIP = "pip install '.[{}]' in the checkout of sam2_ros"
_ROS = 'source a ROS 2, then the install/setup.bash of the workspace that sam2_ros was built in'
INSTALL = {
    'onnxruntime':
        "pip install onnxruntime (or a sibling of it: see README, 'Choosing a provider')",
    'cv2': 'pip install opencv-python-headless (robot: sudo apt install python3-opencv)',
    'numpy': 'pip install numpy (robot: sudo apt install python3-numpy)',
    'tqdm': 'pip install tqdm (robot: sudo apt install python3-tqdm)',
    'sam2': 'SAM2_BUILD_CUDA=0 pip install --no-deps --no-build-isolation sam2==1.1.0',
    'matplotlib': _PIP.format('evaluate'),
    'psutil': _PIP.format('evaluate'),
    'pycocotools': _PIP.format('evaluate'),
    'PIL': _PIP.format('evaluate'),
    'ament_index_python': _ROS,
    'fontTools': _PIP.format('train'),
    'pybullet': _PIP.format('train'),
    'rclpy': _ROS,
    'sam2_ros.msg': _ROS,
    'sam2_ros.srv': _ROS,
    **dict.fromkeys(
        ('hydra', 'iopath', 'omegaconf', 'onnx', 'onnxscript', 'onnxsim', 'torch', 'yaml'),
        _PIP.format('export')),
}

# What a shell reports for a program that Ctrl-C ended: 128 + SIGINT.
INTERRUPTED = 128 + signal.SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command line and return its exit status.

    0: done; 1: an error, told in one line on stderr; 2: wrong arguments; 130: Ctrl-C.

    :param arguments: what follows ``sam2-ros``; None: ``sys.argv``.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        args = _parser(arguments).parse_args(arguments)
        status: int = args.run(args)
        sys.stdout.flush()
        return status
    except ModuleNotFoundError as error:
        if (advice := _advice(error)) is None:
            raise
        print(f'sam2-ros: {advice}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('sam2-ros: interrupted', file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # `sam2-ros info BUNDLE | head`: as Python's documentation of SIGPIPE says, so that the
        # interpreter does not stumble over the closed pipe once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if not _is_ours(error):
            raise
        print(f'sam2-ros: {error}', file=sys.stderr)
        return 1


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser, with the arguments of the command that was typed, and only of that."""
    parser = argparse.ArgumentParser(
        prog='sam2-ros', description='Segment anything: SAM 2 through ONNX Runtime.',
        epilog='`sam2-ros COMMAND --help` prints the arguments of a command.')
    parser.add_argument('--version', action='version', version=f'sam2-ros {__version__}')
    subparsers = parser.add_subparsers(metavar='COMMAND', required=True)
    typed = next((word for word in arguments if not word.startswith('-')), None)
    for name, command in COMMANDS.items():
        if name != typed:
            subparsers.add_parser(name, help=command.help)
            continue
        module = importlib.import_module(command.module)
        subparser = subparsers.add_parser(
            name, help=command.help, description=module.DESCRIPTION)
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run)
    return parser


def _is_ours(error: Exception) -> bool:
    """Tell a Sam2RosError without importing the run time, which ``--help`` can do without."""
    errors = sys.modules.get('sam2_ros.model.errors')
    return errors is not None and isinstance(error, errors.Sam2RosError)


def _advice(error: ModuleNotFoundError) -> str | None:
    """Return what to install, in one line; None if what is missing is no dependency of ours."""
    name = error.name or ''
    # sam2_ros.msg.x: longest known name first, else the top-level package
    for known in (name, '.'.join(name.split('.')[:2]), name.split('.')[0]):
        if known in INSTALL:
            return f'this command needs the Python module {known}: {INSTALL[known]}'
    return None
