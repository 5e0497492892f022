# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bundles side by side: their names, and what is told of them beside their figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sam2_ros.model.bundle import Bundle, sha256_of


def load_bundles(folders: Sequence[Path], reserved: Iterable[str]) -> dict[str, Bundle]:
    """
    Load bundles and name them by their folders, with a number where two are equal.

    :param reserved: names of others who are measured beside them.
    :raises BundleError: one of them is not what it must be.
    """
    seen = Counter(reserved)
    bundles = {}
    for folder in folders:
        name = folder.resolve().name
        seen[name] += 1
        bundles[name if seen[name] == 1 else f'{name} ({seen[name]})'] = Bundle.load(folder)
    return bundles


def describe_bundle(bundle: Bundle, provider: str) -> dict[str, Any]:
    """Return which bundle it is and by what it is really run, as JSON."""
    manifest = bundle.manifest
    return {
        'model': manifest.model, 'image_size': manifest.image_size,
        'precision': manifest.precision, 'provider': provider,
        'manifest_sha256': sha256_of(bundle.path / 'manifest.json')}


def bundle_line(bundle: Bundle, provider: str) -> str:
    """Return the same for people."""
    manifest = bundle.manifest
    weights = '' if manifest.trained else ', random weights'
    return (f'{manifest.model}, {manifest.image_size} pixels, {manifest.precision}{weights}, '
            f'provider {provider}')
