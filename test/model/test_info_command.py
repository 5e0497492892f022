# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sam2-ros info`` on a real bundle, whole and broken."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest

pytest.importorskip('onnx', reason='no onnx here: nothing can be exported')

import onnx

from sam2_ros.model import info_command
from sam2_ros.model.errors import BundleError


def command(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    info_command.add_arguments(parser)
    return info_command.run(parser.parse_args([str(argument) for argument in arguments]))


@pytest.fixture
def copy(nano_bundle: Path, tmp_path: Path) -> Path:
    """Return a copy of the bundle that a test may break."""
    return Path(shutil.copytree(nano_bundle, tmp_path / 'copy'))


def replace_graph(bundle: Path, name: str, content: bytes) -> None:
    """Put another file in a graph's place, with a manifest that knows its hash."""
    manifest_file = bundle / 'manifest.json'
    manifest = json.loads(manifest_file.read_text())
    graph = manifest['graphs'][name]
    (bundle / graph['file']).write_bytes(content)
    graph['sha256'] = hashlib.sha256(content).hexdigest()
    manifest_file.write_text(json.dumps(manifest))


def test_tells_what_the_bundle_is(
    nano_bundle: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    assert command(nano_bundle) == 0
    text = capsys.readouterr().out
    for fact in (
        f'bundle +{re.escape(str(nano_bundle))}', 'model +sam2_nano',
        'trained +no: random weights, its masks mean nothing', 'loads +yes',
        'image size +256 x 256', 'precision +fp32', r'opset +\d+', r'size +2\d\.\d MB',
        'tracks +yes',
    ):
        assert re.search(f'^{fact}$', text, re.MULTILINE), fact
    assert re.search(r'^image_encoder +\d+\.\d MB$', text, re.MULTILINE)
    assert re.search(r'^  in  image +uint8 +\[1, height, width, 3\]$', text, re.MULTILINE)
    assert re.search(r'^  out  masks +float32 +\[B, 4, 64, 64\]$', text, re.MULTILINE)
    assert re.search(r'^  mask_size +64$', text, re.MULTILINE)
    assert re.search(r'^  num_maskmem +7$', text, re.MULTILINE)
    assert re.search(r'^  versions\.torch +\d+\.', text, re.MULTILINE)
    assert re.search(r'^  seed +0$', text, re.MULTILINE)


def test_tells_that_a_bundle_cannot_track(
    image_only_bundle: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    assert command(image_only_bundle) == 0
    text = capsys.readouterr().out
    assert re.search(r'^tracks +no: exported with --image-only$', text, re.MULTILINE)
    assert 'num_maskmem' not in text


def test_json_holds_the_manifest_and_what_was_found(
    nano_bundle: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    assert command(nano_bundle, '--json') == 0
    found = json.loads(capsys.readouterr().out)
    manifest = json.loads((nano_bundle / 'manifest.json').read_text())
    sizes = {
        name: (nano_bundle / graph['file']).stat().st_size
        for name, graph in manifest['graphs'].items()}
    for name, size in sizes.items():
        assert found['graphs'][name].pop('size_bytes') == size
    assert {key: found[key] for key in manifest} == manifest
    assert {key: found[key] for key in found if key not in manifest} == {
        'path': str(nano_bundle.resolve()), 'size_bytes': sum(sizes.values()),
        'loads': True, 'problem': None}


@pytest.mark.parametrize('arguments', [[], ['--json']])
@pytest.mark.parametrize('name', ['image_decoder', 'memory_attention'])
def test_a_graph_that_does_not_load_is_told_beside_the_rest(
    copy: Path, capsys: pytest.CaptureFixture[str], name: str, arguments: list[str],
) -> None:
    replace_graph(copy, name, b'this is no ONNX file')
    assert command(copy, *arguments) == 1
    text = capsys.readouterr().out
    assert 'sam2_nano' in text
    if arguments:
        assert json.loads(text)['loads'] is False
        assert f'{name}.onnx' in json.loads(text)['problem']
    else:
        assert re.search(rf'^loads +no: .*{name}\.onnx.*$', text, re.MULTILINE)


def test_a_graph_with_other_inputs_than_stated_is_told(
    copy: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    graph = onnx.load(copy / 'image_encoder.onnx')
    for node in graph.graph.node:
        node.input[:] = ['picture' if name == 'image' else name for name in node.input]
    graph.graph.input[0].name = 'picture'
    replace_graph(copy, 'image_encoder', graph.SerializeToString())
    assert command(copy) == 1
    assert re.search(
        r'^loads +no: .*image_encoder\.onnx.*picture.*$', capsys.readouterr().out, re.MULTILINE)


def test_a_damaged_file_is_an_error_that_names_it(copy: Path) -> None:
    with (copy / 'image_encoder.onnx').open('r+b') as stream:
        stream.truncate(1000)
    with pytest.raises(BundleError, match=r'image_encoder\.onnx: damaged'):
        command(copy)


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r'manifest\.json: missing'):
        command(tmp_path)
    with pytest.raises(BundleError, match='does not exist'):
        command(tmp_path / 'nowhere')
