# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is installed, and that the descriptions of the package agree with each other."""

from __future__ import annotations

import ast
import configparser
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import sam2_ros
from sam2_ros.model.bundle import Bundle, shipped_bundle
from sam2_ros.model.image_files import read_photo

SOURCE = Path(__file__).parents[1]
INTERFACES = sorted([*SOURCE.glob('msg/*.msg'), *SOURCE.glob('srv/*.srv')])


@pytest.fixture
def package() -> ElementTree.Element:
    """Return package.xml."""
    return ElementTree.parse(SOURCE / 'package.xml').getroot()


@pytest.fixture
def prefix() -> Path:
    """Return the folder that colcon installed the package into."""
    index = pytest.importorskip('ament_index_python.packages', reason='no ROS 2 here')
    return Path(index.get_package_prefix('sam2_ros'))


def requirements() -> dict[str, list[str]]:
    """Return the names of what each extra of setup.cfg installs."""
    config = configparser.ConfigParser()
    config.read(SOURCE / 'setup.cfg')
    return {
        extra: [re.split(r'[<>=!~]', line)[0].strip() for line in lines.split('\n') if line.strip()]
        for extra, lines in config['options.extras_require'].items()}


def test_the_tests_see_the_installed_package_and_not_the_sources(prefix: Path) -> None:
    assert Path(sam2_ros.__file__).is_relative_to(prefix)


def test_versions_agree(package: ElementTree.Element) -> None:
    assert package.findtext('version') == sam2_ros.__version__


def test_the_licence_is_the_one_that_is_declared(package: ElementTree.Element) -> None:
    text = (SOURCE / 'LICENSE').read_text(encoding='utf-8')
    assert 'Apache License' in text
    assert 'END OF TERMS AND CONDITIONS' in text
    assert package.findtext('license') == 'Apache-2.0'


def test_every_source_names_its_licence() -> None:
    files = [*SOURCE.glob('sam2_ros/**/*.py'), *SOURCE.glob('test/**/*.py'), *INTERFACES,
             *SOURCE.glob('launch/*.py'), *SOURCE.glob('config/*.yaml'),
             *SOURCE.glob('resource/bin/*')]
    without = [
        str(file.relative_to(SOURCE)) for file in files
        if 'SPDX-License-Identifier: Apache-2.0' not in file.read_text(encoding='utf-8')[:300]]
    assert without == []


def test_executables_are_where_ros2_run_and_the_shell_look(prefix: Path) -> None:
    for file in ('lib/sam2_ros/sam2_node', 'lib/sam2_ros/export', 'bin/sam2-ros'):
        assert (prefix / file).stat().st_mode & stat.S_IXUSR, file
        assert (prefix / file).read_text(encoding='utf-8').startswith('#!/usr/bin/env python3\n')


def test_ros2_run_export_is_sam2_ros_export(prefix: Path) -> None:
    process = subprocess.run(
        [prefix / 'lib/sam2_ros/export', '--help'], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith('usage: sam2-ros export')


def test_launch_and_configuration_are_installed(prefix: Path) -> None:
    share = prefix / 'share' / 'sam2_ros'
    for file in ('launch/sam2.launch.py', 'config/sam2.yaml', 'package.xml'):
        assert (share / file).is_file(), file


def test_the_model_is_installed(prefix: Path) -> None:
    assert shipped_bundle().is_relative_to(prefix)
    assert Bundle.load(shipped_bundle()).manifest.model == 'sam2_nano'


def test_pip_installs_a_package_that_segments(photos: Path, tmp_path: Path) -> None:
    """Without ROS and PyTorch, and with nothing of the checkout in reach."""
    if not all(map(importlib.util.find_spec, ('pip', 'setuptools', 'wheel'))):
        pytest.skip('pip, setuptools or wheel is missing here: the package cannot be built')
    source, site = tmp_path / 'source', tmp_path / 'site'
    for file in ('setup.py', 'setup.cfg', 'LICENSE'):
        source.mkdir(exist_ok=True)
        shutil.copy(SOURCE / file, source)
    shutil.copytree(SOURCE / 'sam2_ros', source / 'sam2_ros')
    subprocess.run(
        [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--no-build-isolation',
         '--disable-pip-version-check', '--no-index', '--target', site, source], check=True)
    shutil.rmtree(source)

    script = (
        'import sys\n'
        f'sys.path.insert(0, {str(site)!r})\n'
        'sys.modules.update(dict.fromkeys(("torch", "sam2", "rclpy")))\n'
        'from sam2_ros import cli\n'
        'sys.exit(cli.main(sys.argv[1:]))')
    process = subprocess.run(
        [sys.executable, '-c', script, 'segment', photos / 'coffee.png', '--point', '300,200',
         '--provider', 'cpu', '--output', 'masks'],
        capture_output=True, text=True, check=False, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert read_photo(tmp_path / 'masks' / 'coffee_object_1.png').any()
    size = sum(file.stat().st_size for file in site.rglob('*') if file.is_file())
    assert size < 32e6  # README says 30 MB


def test_every_interface_file_is_generated(prefix: Path) -> None:
    marker = prefix / 'share/ament_index/resource_index/rosidl_interfaces/sam2_ros'
    built = {line for line in marker.read_text(encoding='utf-8').split() if not
             line.endswith('.idl')}
    assert {f'{file.parent.name}/{file.name}' for file in INTERFACES} <= built


def test_interfaces_say_what_their_fields_mean() -> None:
    for file in INTERFACES:
        lines = file.read_text(encoding='utf-8').splitlines()
        explained = sum(line.startswith('#') for line in lines) - 3  # licence, blank
        assert explained >= len([line for line in lines if line and line[0] not in '#-']) / 2, file


def test_messages_and_modules_live_in_one_package() -> None:
    messages = pytest.importorskip('sam2_ros.msg', reason='the messages are not built')
    prompt = messages.Prompt()
    assert (prompt.NEGATIVE, prompt.POSITIVE) == (0, 1)
    assert (prompt.AUTO, prompt.SINGLE, prompt.BEST_OF_THREE) == (0, 1, 2)
    assert messages.Box().x_min == 0.0
    assert messages.MaskArray().masks == []


@pytest.mark.parametrize(('machine', 'flavour'), [
    ('', 'python3-onnxruntime-pip'),
    ('cpu', 'python3-onnxruntime-pip'),
    ('gpu', 'python3-onnxruntime-gpu-pip'),
    ('openvino', 'python3-onnxruntime-openvino-pip'),
    ('none', None),
])
def test_rosdep_installs_one_flavour_of_onnxruntime(machine: str, flavour: str | None) -> None:
    catkin_pkg = pytest.importorskip('catkin_pkg.package', reason='comes with colcon')
    package = catkin_pkg.parse_package(str(SOURCE))
    package.evaluate_conditions({**os.environ, 'SAM2_ROS_ONNXRUNTIME': machine})
    chosen = [
        dependency.name for dependency in package.exec_depends
        if 'onnxruntime' in dependency.name and dependency.evaluated_condition]
    assert chosen == ([flavour] if flavour else [])


def test_package_xml_is_valid() -> None:
    catkin_pkg = pytest.importorskip('catkin_pkg.package', reason='comes with colcon')
    warnings: list[str] = []
    catkin_pkg.parse_package(str(SOURCE), warnings=warnings)
    assert warnings == []


def test_no_requirement_has_two_bounds() -> None:
    config = configparser.ConfigParser()
    config.read(SOURCE / 'setup.cfg')
    extras = config['options.extras_require'].values()
    bounds: dict[str, set[str]] = {}
    for line in '\n'.join([config['options']['install_requires'], *extras]).split('\n'):
        if line.strip():
            name = re.split(r'[<>=!~]', line)[0].strip()
            bounds.setdefault(name, set()).add(line.strip())
    assert [lines for lines in bounds.values() if len(lines) > 1] == []


def test_the_flavours_for_pip_are_alternatives() -> None:
    assert {
        extra: names for extra, names in requirements().items()
        if any(name.startswith('onnxruntime') for name in names)
    } == {'cpu': ['onnxruntime'], 'gpu': ['onnxruntime-gpu'], 'openvino': ['onnxruntime-openvino']}


def test_every_ros_package_that_is_imported_is_declared(package: ElementTree.Element) -> None:
    imported = set()
    for file in [*SOURCE.glob('sam2_ros/node/*.py'), *SOURCE.glob('launch/*.py')]:
        for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
            if isinstance(node, ast.ImportFrom):
                imported.add(str(node.module).split('.')[0])
            elif isinstance(node, ast.Import):
                imported |= {alias.name.split('.')[0] for alias in node.names}
    from_elsewhere = {'sam2_ros', 'cv2', 'numpy', 'yaml', *sys.stdlib_module_names}
    declared = {element.text for element in package if element.tag.endswith('depend')}
    assert imported - from_elsewhere <= declared


def test_python_310_can_parse_every_module() -> None:
    script = (
        'import ast, sys\n'
        'for name in sys.argv[1:]:\n'
        '    ast.parse(open(name, encoding="utf-8").read(), name, feature_version=(3, 10))')
    files = [str(file) for file in SOURCE.glob('sam2_ros/**/*.py')]
    assert files
    subprocess.run([sys.executable, '-c', script, *files], check=True)
