# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sam2-ros export``: a checkpoint becomes a bundle."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from sam2_ros.export.errors import ExportError
from sam2_ros.export.options import (
    DEFAULT_OPSET,
    OPSETS,
    VARIANTS,
    ExportOptions,
    checked_image_size,
    find_variant,
)
from sam2_ros.model.bundle import PRECISIONS

DESCRIPTION = 'Export a SAM 2 or SAM 2.1 checkpoint to a bundle of ONNX graphs.'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``sam2-ros export``."""
    parser.add_argument(
        '--model', default='sam2.1_tiny', choices=tuple(VARIANTS), metavar='MODEL',
        help=f'one of {", ".join(VARIANTS)} (default: %(default)s)')
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument(
        '--checkpoint', type=Path, metavar='FILE',
        help='the weights, as SAM 2 publishes them; see `sam2-ros checkpoints` (default: for '
             'sam2_nano, those that come with the package)')
    weights.add_argument(
        '--random-weights', action='store_true',
        help='for trials without a checkpoint: right in size and speed, masks mean nothing')
    parser.add_argument(
        '--seed', type=int, default=0, help='of the random weights (default: %(default)s)')
    parser.add_argument(
        '--image-size', type=int, metavar='PIXELS',
        help='side of the picture that the model sees; smaller is faster and coarser (default: the '
             f"model's own, 1024 for all but sam2_nano's {VARIANTS['sam2_nano'].image_size})")
    parser.add_argument(
        '--precision', choices=PRECISIONS, default='fp32',
        help='fp16 halves image encoder and memory attention, which are most of the bundle, and is '
             'meant for GPUs (default: %(default)s)')
    parser.add_argument(
        '--opset', type=int, choices=OPSETS, default=DEFAULT_OPSET,
        help='version of the ONNX operators (default: %(default)s)')
    parser.add_argument(
        '--image-only', action='store_true',
        help='leave out the memory graphs: the bundle segments images and cannot track')
    parser.add_argument(
        '--output', type=Path, metavar='FOLDER',
        help='the bundle to write (default: MODEL_IMAGESIZE_PRECISION in the current folder)')
    parser.add_argument(
        '--force', action='store_true', help='replace the bundle that is there')


def run(args: argparse.Namespace) -> int:
    """Export as the arguments say; :raises ExportError: one line that says why not."""
    size = checked_image_size(args.model, args.image_size)
    options = ExportOptions(
        model=args.model, output=args.output or Path(f'{args.model}_{size}_{args.precision}'),
        checkpoint=_checkpoint(args), seed=args.seed, image_size=size, precision=args.precision,
        opset=args.opset, image_only=args.image_only, force=args.force)
    # Here and not above: `--help` needs no PyTorch and does not wait for it.
    from sam2_ros.export.exporter import export_bundle

    with _sigterm_as_interrupt():
        bundle = export_bundle(options, _write)
    print(f'{bundle.path}: bundle ready; `sam2-ros info {bundle.path}` describes it')
    return 0


def _checkpoint(args: argparse.Namespace) -> Path | None:
    """Return the file of the weights, None for random ones; :raises ExportError: none is named."""
    if args.random_weights:
        return None
    checkpoint: Path | None = args.checkpoint or find_variant(args.model).checkpoint
    if checkpoint is None:
        raise ExportError(
            f'the weights of {args.model} do not come with the package: name them with '
            '--checkpoint FILE (`sam2-ros checkpoints` lists what can be downloaded)')
    return checkpoint


@contextlib.contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Let ``kill`` leave through the clean-up, as Ctrl-C does."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
