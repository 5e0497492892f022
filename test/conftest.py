# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of all layers share: a ROS domain, real bundles, real photographs."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import skimage

# Seconds depend on what else the machine does; no test here is about them.
hypothesis.settings.register_profile('sam2_ros', deadline=None)
hypothesis.settings.load_profile('sam2_ros')

# The domains whose ports lie below Linux's ephemeral ones; 0 is everybody's default.
ROS_DOMAINS = range(1, 102)
# A taken domain is a bound port, as in ROS's own domain_coordinator, so that both can run at once.
ROS_DOMAIN_PORT = 22119


@pytest.fixture(scope='module', autouse=True)
def ros_domain() -> Iterator[int]:
    """
    Keep each test module in a ROS domain that no other test run on this machine uses.

    Of a module and not of a test: the tests of a module may share a node.
    """
    with pytest.MonkeyPatch.context() as environment:
        for domain in ROS_DOMAINS:
            with socket.socket() as claim:
                try:
                    claim.bind(('localhost', ROS_DOMAIN_PORT + domain))
                except OSError:
                    continue
                environment.setenv('ROS_DOMAIN_ID', str(domain))
                environment.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
                yield domain
                return
    pytest.fail('every ROS domain of this machine is taken by another test run')


@pytest.fixture(scope='session')
def can_export() -> None:
    """Skip the tests that need a bundle where there is nothing to export one with."""
    for module, name in (
            ('torch', 'PyTorch'), ('sam2', 'sam2'), ('onnx', 'onnx'), ('onnxsim', 'onnxsim')):
        pytest.importorskip(module, reason=f'no {name} here: nothing can be exported')


@pytest.fixture(scope='session')
def nano_export(can_export: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return what ``nano_bundle`` does, and what its export wrote on the way."""
    # Imported here, so that tests without a bundle do not wait for PyTorch.
    from sam2_ros.export.exporter import ExportOptions, export_bundle

    folder = tmp_path_factory.mktemp('bundles') / 'nano'
    lines: list[str] = []
    export_bundle(
        ExportOptions(model='sam2_nano', output=folder, image_size=256), lines.append)
    return folder, ''.join(lines)


@pytest.fixture(scope='session')
def nano_bundle(nano_export: tuple[Path, str]) -> Path:
    """Return the folder of a bundle of sam2_nano (256 x 256) with random weights, seed 0."""
    return nano_export[0]


@pytest.fixture(scope='session')
def image_only_bundle(can_export: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a bundle like ``nano_bundle`` that cannot track."""
    from sam2_ros.export.exporter import ExportOptions, export_bundle

    folder = tmp_path_factory.mktemp('bundles') / 'image_only'
    options = ExportOptions(model='sam2_nano', output=folder, image_size=256, image_only=True)
    return export_bundle(options).path


@pytest.fixture(scope='session')
def trained_bundle() -> Path:
    """Return the folder of the bundle that comes with the package, a trained sam2_nano."""
    from sam2_ros.model.bundle import shipped_bundle

    return shipped_bundle()


@pytest.fixture(scope='session')
def sam2_tiny_512_bundle(
    can_export: None, tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Return the folder of a bundle of SAM 2.0 tiny at 512 x 512, random weights, seed 0."""
    from sam2_ros.export.exporter import ExportOptions, export_bundle

    folder = tmp_path_factory.mktemp('bundles') / 'sam2_tiny_512'
    return export_bundle(ExportOptions(model='sam2_tiny', output=folder, image_size=512)).path


@pytest.fixture(scope='session')
def tiny_bundle(can_export: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a bundle of SAM 2.1 tiny at 1024 x 1024, random weights, seed 0."""
    from sam2_ros.export.exporter import ExportOptions, export_bundle

    folder = tmp_path_factory.mktemp('bundles') / 'tiny'
    return export_bundle(ExportOptions(model='sam2.1_tiny', output=folder)).path


@pytest.fixture(scope='session')
def photos() -> Path:
    """
    Return the folder of the photographs in scikit-image's wheel.

    Among them: coffee.png 600x400, chelsea.png 451x300, rocket.jpg 640x427, astronaut.png
    512x512, camera.png 512x512 grey; their origins and licences are in its README.txt.
    """
    return Path(skimage.__file__).parent / 'data'
