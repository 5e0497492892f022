# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every kind of damage to a bundle is refused with one line that names the file and the reason."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sam2_ros.model.bundle import (
    IMAGE_GRAPHS,
    TRACKING_GRAPHS,
    Bundle,
    Manifest,
    shipped_bundle,
)
from sam2_ros.model.errors import BundleError

Document = dict[str, Any]

GRAPHS = (*IMAGE_GRAPHS, *TRACKING_GRAPHS)
GRAPH_FILES = [f'{name}.onnx' for name in GRAPHS]
#: Reading it at its beginning fails for everybody, also for root, whom no permission stops.
UNREADABLE = Path('/proc/self/mem')


@pytest.fixture
def folder(nano_bundle: Path, tmp_path: Path) -> Path:
    """Return a copy of a good bundle, to be damaged."""
    return Path(shutil.copytree(nano_bundle, tmp_path / 'bundle'))


@pytest.fixture
def edit(folder: Path) -> Callable[[Callable[[Document], Any]], Path]:
    """Return a function that changes the manifest's document and returns its file."""
    def change(act: Callable[[Document], Any]) -> Path:
        file = folder / 'manifest.json'
        document = json.loads(file.read_text())
        act(document)
        file.write_text(json.dumps(document))
        return file

    return change


def refusal(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        Bundle.load(folder)
    message = str(caught.value)
    assert '\n' not in message
    return message


def test_a_good_bundle(nano_bundle: Path) -> None:
    bundle = Bundle.load(str(nano_bundle))
    assert bundle.path == nano_bundle
    assert bundle.manifest.model == 'sam2_nano'
    assert not bundle.manifest.trained
    assert bundle.graph_path('image_encoder') == nano_bundle / 'image_encoder.onnx'
    assert bundle.size_bytes == sum((nano_bundle / name).stat().st_size for name in GRAPH_FILES)


def test_the_bundle_that_comes_with_the_package() -> None:
    bundle = Bundle.load(shipped_bundle())
    assert bundle.manifest.model == bundle.path.name == 'sam2_nano'
    assert bundle.manifest.trained
    assert bundle.can_track
    assert bundle.size_bytes <= 20e6  # so that it may come with every installation


def test_a_manifest_survives_its_own_text(nano_bundle: Path) -> None:
    manifest = Bundle.load(nano_bundle).manifest
    assert Manifest.from_json(manifest.to_json(), nano_bundle / 'manifest.json') == manifest


def test_the_manifest_of_an_image_only_bundle_survives_its_own_text(
    image_only_bundle: Path,
) -> None:
    manifest = Bundle.load(image_only_bundle).manifest
    assert manifest.tracking is None
    assert Manifest.from_json(manifest.to_json(), image_only_bundle / 'manifest.json') == manifest


def test_a_home_folder_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('HOME', str(folder.parent))
    assert Bundle.load('~/bundle').path == folder


def test_a_graph_that_is_not_there(image_only_bundle: Path) -> None:
    with pytest.raises(BundleError, match='the bundle has no graph "memory_encoder"'):
        Bundle.load(image_only_bundle).graph_path('memory_encoder')


def test_a_bundle_tells_whether_it_can_track(nano_bundle: Path, image_only_bundle: Path) -> None:
    assert Bundle.load(nano_bundle).can_track
    image_only = Bundle.load(image_only_bundle)
    assert not image_only.can_track
    assert set(image_only.manifest.graphs) == set(IMAGE_GRAPHS)
    assert not set(TRACKING_GRAPHS) & {file.stem for file in image_only_bundle.iterdir()}


# The folder

def test_no_such_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path / 'nowhere') == (
        f'{tmp_path}/nowhere: the bundle does not exist; make one with '
        f'`sam2-ros export --output {tmp_path}/nowhere`')


def test_a_file_instead_of_a_folder(tmp_path: Path) -> None:
    file = tmp_path / 'model.onnx'
    file.touch()
    assert refusal(file).startswith(f'{file}: the bundle is not a folder; make one with')


@pytest.mark.parametrize('path', [
    pytest.param('~no such user/bundle', id='a home of nobody'),
    pytest.param('/tmp/' + 300 * 'x', id='longer than names can be'),
])
def test_a_path_that_cannot_be_looked_at(path: str) -> None:
    assert refusal(Path(path)).startswith(f'{path}: the bundle cannot be read (')


def test_an_empty_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f'{tmp_path}/manifest.json: missing; this folder is not a bundle'


# Files

@pytest.mark.parametrize('name', GRAPH_FILES)
def test_a_missing_graph_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert refusal(folder).startswith(f'{folder / name}: missing, though the manifest names it')


@pytest.mark.parametrize('name', GRAPH_FILES)
def test_a_truncated_graph_file(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:len(content) // 2])
    assert refusal(folder).startswith(f'{folder / name}: damaged, its SHA-256 is ')


@pytest.mark.parametrize('name', GRAPH_FILES)
@pytest.mark.parametrize('place', [0.0, 0.5, 1.0], ids=['first', 'middle', 'last'])
def test_one_flipped_byte(folder: Path, name: str, place: float) -> None:
    content = bytearray((folder / name).read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    (folder / name).write_bytes(content)
    assert refusal(folder).startswith(f'{folder / name}: damaged, its SHA-256 is ')


@pytest.mark.parametrize('name', GRAPH_FILES)
def test_a_folder_instead_of_a_graph_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()
    assert refusal(folder).startswith(f'{folder / name}: missing')


@pytest.mark.parametrize('name', ['manifest.json', *GRAPH_FILES])
def test_a_file_that_cannot_be_read(folder: Path, name: str) -> None:
    if not UNREADABLE.exists():
        pytest.skip('this system has no file that nobody can read')
    (folder / name).unlink()
    (folder / name).symlink_to(UNREADABLE)
    assert refusal(folder).startswith(f'{folder / name}: cannot be read (')


# The manifest's text

@pytest.mark.parametrize('text', [
    pytest.param('', id='empty'),
    pytest.param('{"format_version": 2,', id='truncated'),
    pytest.param('model: sam2', id='YAML'),
    pytest.param(100_000 * '[', id='nested too deeply'),
])
def test_a_manifest_that_is_not_json(folder: Path, text: str) -> None:
    (folder / 'manifest.json').write_text(text)
    assert refusal(folder).startswith(f'{folder}/manifest.json: not valid JSON (')


def test_a_manifest_that_is_not_text(folder: Path) -> None:
    (folder / 'manifest.json').write_bytes(b'\xff\xfe\x00')
    assert refusal(folder).startswith(f'{folder}/manifest.json: cannot be read (')


@pytest.mark.parametrize('text', ['[]', '1', 'null', '"text"'])
def test_a_manifest_that_is_no_object(folder: Path, text: str) -> None:
    (folder / 'manifest.json').write_text(text)
    assert refusal(folder) == f'{folder}/manifest.json: manifest is not a JSON object'


@pytest.mark.parametrize('version', [0, 1, 99])
def test_another_format_version(
    edit: Callable[[Callable[[Document], Any]], Path], version: int,
) -> None:
    file = edit(lambda document: document.update(format_version=version, new_key=1))
    assert refusal(file.parent) == (
        f'{file}: format version {version}, but this sam2_ros reads 2; export the bundle again '
        'with this version')


# The manifest's keys. A place is the way to an object in the document.

TOP: tuple[Any, ...] = ()
CONSTANTS = ('constants',)
TRACKING = ('tracking',)
GRAPH = ('graphs', 'image_encoder')
TENSOR = (*GRAPH, 'inputs', 0)

KEYS = [
    *((TOP, key) for key in (
        'format_version', 'model', 'trained', 'image_size', 'mean', 'std', 'precision', 'opset',
        'graphs', 'constants', 'tracking', 'provenance')),
    *((CONSTANTS, key) for key in (
        'mask_threshold', 'mask_size', 'dynamic_multimask_via_stability', 'stability_delta',
        'stability_threshold')),
    *((TRACKING, key) for key in (
        'num_maskmem', 'max_object_pointers', 'max_cond_frames_in_attn', 'memory_temporal_stride',
        'multimask_output_in_sam', 'multimask_output_for_tracking', 'multimask_min_points',
        'multimask_max_points', 'use_multimask_token_for_pointer', 'fill_hole_area')),
    *((GRAPH, key) for key in ('file', 'sha256', 'inputs', 'outputs')),
    *((TENSOR, key) for key in ('name', 'shape', 'dtype')),
]

NAMES = {TOP: 'manifest', CONSTANTS: 'constants', TRACKING: 'tracking',
         GRAPH: 'graphs.image_encoder', TENSOR: 'graphs.image_encoder.inputs[0]'}


def inside(document: Document, place: tuple[Any, ...]) -> Document:
    for step in place:
        document = document[step]
    return document


def test_the_tests_below_know_every_key(nano_bundle: Path) -> None:
    document = json.loads((nano_bundle / 'manifest.json').read_text())
    for place in NAMES:
        assert set(inside(document, place)) == {key for where, key in KEYS if where == place}


@pytest.mark.parametrize(('place', 'key'), KEYS)
def test_a_missing_key(
    edit: Callable[[Callable[[Document], Any]], Path], place: tuple[Any, ...], key: str,
) -> None:
    file = edit(lambda document: inside(document, place).pop(key))
    assert refusal(file.parent) == f'{file}: {NAMES[place]} lacks "{key}"'


#: What JSON can hold, and which keys take it as it is; -1 is a number, but no size.
VALUES: list[tuple[Any, set[str]]] = [
    (None, {'max_cond_frames_in_attn'}), ({'a': 1}, {'provenance'}), ([[1.5]], set()),
    ('text', {'model', 'file', 'sha256', 'name'}),
    (True, {'trained', 'dynamic_multimask_via_stability', 'multimask_output_in_sam',
            'multimask_output_for_tracking', 'use_multimask_token_for_pointer'}),
    (-1, {'format_version', 'mask_threshold', 'stability_delta', 'stability_threshold'}),
]


@pytest.mark.parametrize(('place', 'key', 'value'), [
    (place, key, value) for place, key in KEYS for value, right in VALUES if key not in right])
def test_a_value_of_the_wrong_type(
    edit: Callable[[Callable[[Document], Any]], Path], place: tuple[Any, ...], key: str,
    value: Any,
) -> None:
    file = edit(lambda document: inside(document, place).update({key: value}))
    message = refusal(file.parent)
    assert message.startswith(f'{file}: ')
    assert key in message


@pytest.mark.parametrize('place', NAMES)
def test_an_unknown_key(
    edit: Callable[[Callable[[Document], Any]], Path], place: tuple[Any, ...],
) -> None:
    file = edit(lambda document: inside(document, place).update(zoo=1, ape=2))
    assert refusal(file.parent) == f'{file}: {NAMES[place]} has unknown keys: ape, zoo'


@pytest.mark.parametrize('number', ['NaN', 'Infinity', '-Infinity', '1e999', '1' + 400 * '0'])
@pytest.mark.parametrize(('place', 'key'), [
    (CONSTANTS, 'mask_threshold'), (CONSTANTS, 'stability_delta'),
    (CONSTANTS, 'stability_threshold'), (TOP, 'mean'), (TOP, 'std')])
def test_numbers_that_are_not_finite(
    edit: Callable[[Callable[[Document], Any]], Path], place: tuple[Any, ...], key: str,
    number: str,
) -> None:
    mark = 123456789
    value = [mark, mark, mark] if place == TOP else mark
    file = edit(lambda document: inside(document, place).update({key: value}))
    file.write_text(file.read_text().replace(str(mark), number))
    assert re.search(rf'\.{key} is .*, not (a|three) finite number', refusal(file.parent))


def test_whole_numbers_are_numbers_too(
    edit: Callable[[Callable[[Document], Any]], Path],
) -> None:
    file = edit(lambda document: document['constants'].update(mask_threshold=0))
    threshold = Bundle.load(file.parent).manifest.constants.mask_threshold
    assert isinstance(threshold, float)


@pytest.mark.parametrize('key', ['fill_hole_area', 'multimask_min_points', 'multimask_max_points'])
def test_counts_that_may_be_zero(
    edit: Callable[[Callable[[Document], Any]], Path], key: str,
) -> None:
    file = edit(lambda document: document['tracking'].update({key: 0}))
    assert getattr(Bundle.load(file.parent).manifest.tracking, key) == 0


@pytest.mark.parametrize('limit', [None, 4])
def test_prompted_frames_may_have_a_limit(
    edit: Callable[[Callable[[Document], Any]], Path], limit: int | None,
) -> None:
    file = edit(lambda document: document['tracking'].update(max_cond_frames_in_attn=limit))
    tracking = Bundle.load(file.parent).manifest.tracking
    assert tracking is not None
    assert tracking.max_cond_frames_in_attn == limit


# What the manifest says of the graphs

@pytest.mark.parametrize('name', GRAPHS)
def test_a_graph_that_is_not_named(
    edit: Callable[[Callable[[Document], Any]], Path], name: str,
) -> None:
    file = edit(lambda document: document['graphs'].pop(name))
    assert refusal(file.parent) == f'{file}: graph "{name}" is missing'


def test_a_graph_that_nobody_runs(edit: Callable[[Callable[[Document], Any]], Path]) -> None:
    file = edit(lambda document: document['graphs'].update(
        prompt_encoder=document['graphs']['image_encoder']))
    assert refusal(file.parent) == f'{file}: graph "prompt_encoder" is unknown'


def test_tracking_graphs_without_tracking(
    edit: Callable[[Callable[[Document], Any]], Path],
) -> None:
    file = edit(lambda document: document.update(tracking=None))
    assert re.fullmatch(
        rf'{file}: graph "(memory_attention|memory_encoder|mask_prompt)" is unknown, since '
        'tracking is null', refusal(file.parent))


@pytest.mark.parametrize('name', [
    '../image_encoder.onnx', '/etc/passwd', 'folder/graph.onnx', './image_encoder.onnx', '.',
    'image_encoder.onnx/'])
def test_a_file_name_that_leaves_the_folder(
    edit: Callable[[Callable[[Document], Any]], Path], name: str,
) -> None:
    file = edit(lambda document: inside(document, GRAPH).update(file=name))
    assert refusal(file.parent) == (
        f'{file}: graphs.image_encoder.file is "{name}", not a file of this folder')


@pytest.mark.parametrize('name', ['', '..'])
def test_a_file_name_that_is_a_folder(
    edit: Callable[[Callable[[Document], Any]], Path], name: str,
) -> None:
    file = edit(lambda document: inside(document, GRAPH).update(file=name))
    assert 'missing, though the manifest names it' in refusal(file.parent)


@pytest.mark.parametrize(('key', 'graph'), [('image_size', 'image_resize'),
                                            ('mask_size', 'image_decoder')])
def test_sizes_that_are_not_those_of_the_graphs(
    edit: Callable[[Callable[[Document], Any]], Path], key: str, graph: str,
) -> None:
    place = TOP if key == 'image_size' else CONSTANTS
    file = edit(lambda document: inside(document, place).update({key: 32}))
    message = refusal(file.parent)
    assert message.startswith(f'{file}: graphs.{graph} has ')
    assert f'{key} 32' in message


#: Inputs and outputs of the graphs, as the host gives and takes them.
TENSORS = [
    ('image_resize', 'input', ['image']), ('image_resize', 'output', ['resized']),
    ('image_encoder', 'input', ['image']),
    ('image_encoder', 'output', ['image_embed', 'high_res_features_0', 'high_res_features_1']),
    ('image_decoder', 'input', [
        'image_embed', 'high_res_features_0', 'high_res_features_1', 'point_coords',
        'point_labels', 'mask_input', 'has_mask_input', 'memory_conditioned']),
    ('image_decoder', 'output', [
        'masks', 'iou_predictions', 'object_score_logits', 'object_pointers']),
    ('memory_attention', 'input', [
        'image_embed', 'memory_features', 'memory_steps', 'object_pointers', 'pointer_steps']),
    ('memory_attention', 'output', ['conditioned_embed']),
    ('memory_encoder', 'input', ['image_embed', 'masks', 'object_score_logits', 'is_prompted']),
    ('memory_encoder', 'output', ['memory_features']),
    ('mask_prompt', 'input', ['mask']), ('mask_prompt', 'output', ['mask_logits', 'mask_input']),
]
EACH_TENSOR = [(graph, kind, name) for graph, kind, names in TENSORS for name in names]


def tensor_of(document: Document, graph: str, kind: str, name: str) -> Document:
    [tensor] = [tensor for tensor in document['graphs'][graph][f'{kind}s']
                if tensor['name'] == name]
    return dict(tensor)


@pytest.mark.parametrize(('graph', 'kind', 'name'), EACH_TENSOR)
def test_an_input_or_output_that_the_host_needs(
    edit: Callable[[Callable[[Document], Any]], Path], graph: str, kind: str, name: str,
) -> None:
    file = edit(lambda document: document['graphs'][graph][f'{kind}s'].remove(
        tensor_of(document, graph, kind, name)))
    assert refusal(file.parent) == f'{file}: graphs.{graph} has no {kind} "{name}"'


@pytest.mark.parametrize(('graph', 'kind'), [(graph, kind) for graph, kind, _ in TENSORS])
def test_an_input_or_output_that_the_host_does_not_know(
    edit: Callable[[Callable[[Document], Any]], Path], graph: str, kind: str,
) -> None:
    file = edit(lambda document: document['graphs'][graph][f'{kind}s'].append(
        {'name': 'other', 'shape': [1], 'dtype': 'float32'}))
    assert refusal(file.parent) == f'{file}: graphs.{graph} has an unknown {kind} "other"'


@pytest.mark.parametrize('change', [{'shape': [1, 2, 3, 5]}, {'dtype': 'float16'}])
@pytest.mark.parametrize(('giver', 'given', 'taker', 'taken'), [
    ('image_resize', 'resized', 'image_encoder', 'image'),
    ('image_encoder', 'image_embed', 'image_decoder', 'image_embed'),
    ('image_encoder', 'high_res_features_0', 'image_decoder', 'high_res_features_0'),
    ('image_encoder', 'high_res_features_1', 'image_decoder', 'high_res_features_1'),
    ('image_encoder', 'image_embed', 'memory_attention', 'image_embed'),
    ('image_encoder', 'image_embed', 'memory_encoder', 'image_embed'),
    ('image_decoder', 'masks', 'memory_encoder', 'masks'),
    ('image_decoder', 'object_pointers', 'memory_attention', 'object_pointers'),
    ('memory_encoder', 'memory_features', 'memory_attention', 'memory_features'),
    ('mask_prompt', 'mask_logits', 'memory_encoder', 'masks'),
])
def test_a_tensor_that_two_graphs_see_differently(
    edit: Callable[[Callable[[Document], Any]], Path], giver: str, given: str, taker: str,
    taken: str, change: Document,
) -> None:
    def act(document: Document) -> None:
        tensors = document['graphs'][taker]['inputs']
        tensor = tensor_of(document, taker, 'input', taken)
        tensors[tensors.index(tensor)] = {**tensor, **change}

    message = refusal(edit(act).parent)
    assert re.search(r'graphs\.\w+ gives "\w+" as .*, but ', message)
    assert f'but graphs.{taker} takes "{taken}" as ' in message


def test_a_conditioned_image_that_does_not_fit_the_decoder(
    edit: Callable[[Callable[[Document], Any]], Path],
) -> None:
    def act(document: Document) -> None:
        document['graphs']['memory_attention']['outputs'][0]['shape'][1] = 7

    assert 'graphs.memory_attention gives "conditioned_embed" as float32' in refusal(
        edit(act).parent)
