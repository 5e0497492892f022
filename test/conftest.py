# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of all layers share: a small real bundle, and real photographs."""

from __future__ import annotations

from pathlib import Path

import pytest
import skimage


@pytest.fixture(scope='session')
def nano_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a bundle of sam2_nano (256 x 256) with random weights, seed 0."""
    # Imported here, so that tests without a bundle do not wait for PyTorch.
    from sam2_ros.export.exporter import ExportOptions, export_bundle

    folder = tmp_path_factory.mktemp('bundles') / 'nano'
    return export_bundle(ExportOptions(model='sam2_nano', output=folder)).path


@pytest.fixture(scope='session')
def photos() -> Path:
    """
    Return the folder of the photographs in scikit-image's wheel.

    Among them: coffee.png 600x400, chelsea.png 451x300, rocket.jpg 640x427, astronaut.png
    512x512, camera.png 512x512 grey; their origins and licences are in its README.txt.
    """
    return Path(skimage.__file__).parent / 'data'
