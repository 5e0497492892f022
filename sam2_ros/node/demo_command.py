# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sam2-ros demo``: photographs, clicks and boxes through a real node."""

from __future__ import annotations

import argparse
from pathlib import Path

from sam2_ros.model.bundle import shipped_bundle

DESCRIPTION = (
    'Start the node as a process of its own, publish photographs as a camera would, click and '
    'draw boxes on them, and write what comes back. Exits with 1 if a prompt gets no mask.')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        'bundle', type=Path, nargs='?', default=shipped_bundle(), metavar='BUNDLE',
        help='the model to run (default: sam2_nano, which comes with the package)')
    parser.add_argument(
        '--output', type=Path, default=Path('demo'), metavar='FOLDER',
        help='for the overlay pictures, the table, the log of the node (default: ./%(default)s)')
    parser.add_argument(
        '--provider', default='auto', choices=('auto', 'cpu', 'cuda', 'tensorrt', 'openvino'),
        help="the node's parameter `provider` (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """
    Run the demo; return 0, or 1 if a prompt got no mask.

    :raises Sam2RosError: the bundle is unusable or the node does not start.
    """
    # Here and not above: `--help` needs no ROS.
    from sam2_ros.node.demo import run_demo

    missing = run_demo(args.bundle, args.output, args.provider)
    print(f'pictures, table and log: {args.output.resolve()}')
    if missing:
        print(f'no mask for: {", ".join(missing)}')
    return 1 if missing else 0
