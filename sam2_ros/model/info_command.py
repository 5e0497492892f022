# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sam2-ros info``: what a bundle is, and whether it can be used here."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from sam2_ros.model.bundle import Bundle, TensorInfo, shipped_bundle
from sam2_ros.model.errors import Sam2RosError
from sam2_ros.model.graph import Graph
from sam2_ros.model.providers import ProviderOptions
from sam2_ros.model.tables import format_table

DESCRIPTION = 'Print what a bundle is, and whether it loads on this machine.'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        'bundle', type=Path, nargs='?', default=shipped_bundle(), metavar='BUNDLE',
        help='folder of the bundle (default: sam2_nano, which comes with the package)')
    parser.add_argument('--json', action='store_true', help='print JSON in place of tables')


def run(args: argparse.Namespace) -> int:
    """
    Print what the bundle is; return 0, or 1 if it does not load.

    :raises BundleError: its manifest or a file is missing or damaged.
    """
    bundle = Bundle.load(args.bundle)
    problem = _problem(bundle)
    print(_as_json(bundle, problem) if args.json else _as_text(bundle, problem))
    return 0 if problem is None else 1


def _problem(bundle: Bundle) -> str | None:
    """Return why the graphs, whose hashes are right, do not load; None if they do."""
    try:
        # The CPU can be had everywhere, so what fails there is the bundle's own fault.
        for name in bundle.manifest.graphs:
            Graph(bundle, name, 'cpu', ProviderOptions())
    except Sam2RosError as error:
        return str(error)
    return None


def _as_json(bundle: Bundle, problem: str | None) -> str:
    document = dataclasses.asdict(bundle.manifest)
    for name, graph in document['graphs'].items():
        graph['size_bytes'] = bundle.graph_path(name).stat().st_size
    return json.dumps({
        'path': str(bundle.path.resolve()),
        'size_bytes': bundle.size_bytes,
        'loads': problem is None,
        'problem': problem,
        **document,
    }, indent=2)


def _as_text(bundle: Bundle, problem: str | None) -> str:
    manifest = bundle.manifest
    facts = {
        'bundle': str(bundle.path),
        'model': manifest.model,
        'trained': 'yes' if manifest.trained else 'no: random weights, its masks mean nothing',
        'loads': 'yes' if problem is None else f'no: {problem}',
        'tracks': 'yes' if bundle.can_track else 'no: exported with --image-only',
        'image size': f'{manifest.image_size} x {manifest.image_size}',
        'precision': manifest.precision,
        'opset': str(manifest.opset),
        'size': _readable(bundle.size_bytes),
        'mean, std': f'{_numbers(manifest.mean)}; {_numbers(manifest.std)}',
    }
    sections = {'constants': dataclasses.asdict(manifest.constants)}
    if manifest.tracking is not None:
        sections['tracking'] = dataclasses.asdict(manifest.tracking)
    sections['provenance'] = manifest.provenance
    return '\n\n'.join([
        _listing(facts),
        _graphs(bundle),
        *(f'{name}\n{_listing(_flat(section), indent=2)}' for name, section in sections.items()),
    ])


def _flat(document: dict[str, Any]) -> dict[str, str]:
    """Return nested objects as one, with keys like ``versions.torch``; without what is unknown."""
    flat = {}
    for key, value in document.items():
        if isinstance(value, dict):
            flat.update({f'{key}.{inner}': text for inner, text in _flat(value).items()})
        elif value is not None:
            flat[key] = f'{value:.3g}' if isinstance(value, float) else str(value)
    return flat


def _graphs(bundle: Bundle) -> str:
    rows = []
    for name, graph in bundle.manifest.graphs.items():
        rows.append((name, _readable(bundle.graph_path(name).stat().st_size), '', ''))
        for direction, tensors in (('in', graph.inputs), ('out', graph.outputs)):
            rows += [(f'  {direction}  {tensor.name}', '', tensor.dtype, _shape(tensor))
                     for tensor in tensors]
    return format_table(('graph', 'size', 'dtype', 'shape'), rows, right=('size',))


def _listing(facts: dict[str, str], indent: int = 0) -> str:
    width = max(map(len, facts), default=0)
    return '\n'.join(
        f'{" " * indent}{name:<{width}}  {value}' for name, value in facts.items())


def _shape(tensor: TensorInfo) -> str:
    return '[' + ', '.join(map(str, tensor.shape)) + ']'


def _numbers(values: tuple[float, ...]) -> str:
    return ' '.join(f'{value:g}' for value in values)


def _readable(size: int) -> str:
    return f'{size / 1e6:.1f} MB' if size >= 100_000 else f'{size / 1e3:.1f} kB'
