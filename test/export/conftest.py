# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bundles of the official sizes, each exported once for all tests of the exporter."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2_ros.export.exporter import ExportOptions, export_bundle
from sam2_ros.export.options import PROTOTYPE


@pytest.fixture(scope='session')
def sam2_tiny_512_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a bundle of SAM 2.0 tiny at 512 x 512, random weights, seed 0."""
    folder = tmp_path_factory.mktemp('bundles') / 'sam2_tiny_512'
    return export_bundle(ExportOptions(model='sam2_tiny', output=folder, image_size=512)).path


@pytest.fixture(scope='session')
def prototype_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a bundle of the sam2_nano prototype that comes with the package."""
    folder = tmp_path_factory.mktemp('bundles') / 'prototype'
    options = ExportOptions(model='sam2_nano', output=folder, checkpoint=PROTOTYPE)
    return export_bundle(options).path


@pytest.fixture(scope='session')
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a bundle of SAM 2.1 tiny at 1024 x 1024, random weights, seed 0."""
    folder = tmp_path_factory.mktemp('bundles') / 'tiny'
    return export_bundle(ExportOptions(model='sam2.1_tiny', output=folder)).path
