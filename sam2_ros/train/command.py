# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sam2-ros train``: train a model as a config file says."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = (
    'Train a SAM 2 model on scenes that sam2-ros scenes wrote. Ctrl-C or kill saves the state '
    'first; the same command goes on from the last one.')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``sam2-ros train``."""
    parser.add_argument(
        'config', type=Path, metavar='CONFIG.yaml', help='the run; docs/training.md explains it')


def run(args: argparse.Namespace) -> int:
    """Train; :raises TrainError: one line that says why not."""
    # Here and not above: `--help` needs no PyTorch and does not wait for it.
    from sam2_ros.train.config import read_config
    from sam2_ros.train.run import train

    train(read_config(args.config))
    return 0
