# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the pipeline writes, what it leaves behind when it fails, and what it never touches."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('torch', reason='no PyTorch here: nothing can be exported')
pytest.importorskip('sam2', reason='no sam2 here: nothing can be exported')
pytest.importorskip('onnx', reason='no onnx here: nothing can be exported')
pytest.importorskip('onnxsim', reason='no onnxsim here: nothing can be exported')

import torch

import sam2_ros
from sam2_ros.export import exporter, verify
from sam2_ros.export.configs import random_model
from sam2_ros.export.errors import ExportError
from sam2_ros.export.exporter import ExportOptions, export_bundle
from sam2_ros.model.bundle import Bundle, Tracking, sha256_of
from sam2_ros.model.errors import BundleError


@pytest.fixture
def stop_before_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an export fail when two of its graphs are there."""
    def fail(*args: object) -> None:
        raise ExportError('image_decoder: differs')

    monkeypatch.setattr(exporter.verify, 'decoder_cases', fail)


def test_manifest_of_random_weights(nano_bundle: Path) -> None:
    manifest = Bundle.load(nano_bundle).manifest

    assert (manifest.model, manifest.trained, manifest.image_size) == ('sam2_nano', False, 256)
    assert (manifest.precision, manifest.opset) == ('fp32', 18)
    assert manifest.mean == (0.485, 0.456, 0.406)
    assert manifest.std == (0.229, 0.224, 0.225)
    assert manifest.constants.mask_size == 64
    assert manifest.constants.dynamic_multimask_via_stability
    assert manifest.constants.stability_delta == 0.05
    assert manifest.constants.stability_threshold == 0.98
    assert manifest.provenance['checkpoint'] is None
    assert manifest.provenance['checkpoint_sha256'] is None
    assert manifest.provenance['seed'] == 0
    assert manifest.provenance['versions']['torch'] == torch.__version__
    assert manifest.provenance['versions']['sam2_ros'] == sam2_ros.__version__
    assert manifest.provenance['versions']['sam2']


def test_graphs_have_the_agreed_inputs_and_outputs(nano_bundle: Path) -> None:
    graphs = Bundle.load(nano_bundle).manifest.graphs

    shapes = {
        name: [{tensor.name: tensor.shape for tensor in tensors}
               for tensors in (graph.inputs, graph.outputs)]
        for name, graph in graphs.items()}
    features = {
        'image_embed': (1, 128, 16, 16), 'high_res_features_0': (1, 16, 64, 64),
        'high_res_features_1': (1, 32, 32, 32)}
    assert shapes == {
        'image_resize': [
            {'image': (1, 'height', 'width', 3)}, {'resized': (1, 256, 256, 3)}],
        'image_encoder': [{'image': (1, 256, 256, 3)}, features],
        'image_decoder': [
            {**features, 'image_embed': ('I', 128, 16, 16), 'point_coords': ('B', 'N', 2),
             'point_labels': ('B', 'N'), 'mask_input': ('K', 1, 64, 64),
             'has_mask_input': ('K',), 'memory_conditioned': (1,)},
            {'masks': ('B', 4, 64, 64), 'iou_predictions': ('B', 4),
             'object_score_logits': ('B', 1), 'object_pointers': ('B', 4, 128)}],
        'memory_attention': [
            {'image_embed': (1, 128, 16, 16), 'memory_features': ('B', 'F', 256, 64),
             'memory_steps': ('B', 'F'), 'object_pointers': ('B', 'Q', 128),
             'pointer_steps': ('B', 'Q')},
            {'conditioned_embed': ('B', 128, 16, 16)}],
        'memory_encoder': [
            {'image_embed': (1, 128, 16, 16), 'masks': ('B', 1, 64, 64),
             'object_score_logits': ('B', 1), 'is_prompted': ('B',)},
            {'memory_features': ('B', 256, 64)}],
        'mask_prompt': [
            {'mask': ('height', 'width')},
            {'mask_logits': (1, 1, 64, 64), 'mask_input': (1, 1, 64, 64)}]}


def test_the_manifest_states_what_tracking_needs(nano_bundle: Path) -> None:
    """The values are those of sam2_nano.yaml and, of holes, of build_sam2_video_predictor."""
    assert Bundle.load(nano_bundle).manifest.tracking == Tracking(
        num_maskmem=7, max_object_pointers=16, max_cond_frames_in_attn=None,
        memory_temporal_stride=1, multimask_output_in_sam=True,
        multimask_output_for_tracking=True, multimask_min_points=0, multimask_max_points=1,
        use_multimask_token_for_pointer=True, fill_hole_area=8)


def test_an_image_only_bundle_segments_as_a_whole_one(
        nano_bundle: Path, image_only_bundle: Path) -> None:
    whole, part = Bundle.load(nano_bundle).manifest, Bundle.load(image_only_bundle).manifest

    assert part.tracking is None
    assert list(part.graphs) == ['image_resize', 'image_encoder', 'image_decoder']
    for name, graph in part.graphs.items():
        assert (graph.inputs, graph.outputs) == (
            whole.graphs[name].inputs, whole.graphs[name].outputs)


def test_manifest_of_a_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / 'weights.pt'
    torch.save({'model': random_model('sam2_nano', seed=4).state_dict()}, file)

    bundle = export_bundle(ExportOptions(
        model='sam2_nano', output=tmp_path / 'bundle', checkpoint=file, image_only=True))

    assert bundle.manifest.trained
    assert bundle.manifest.provenance['checkpoint'] == 'weights.pt'
    assert bundle.manifest.provenance['checkpoint_sha256'] == sha256_of(file)
    assert bundle.manifest.provenance['seed'] is None


def test_every_stage_reports_its_time(nano_export: tuple[Path, str]) -> None:
    _, text = nano_export

    assert 'RANDOM weights' in text
    for stage in (
            'build model', 'image_resize: check against PyTorch', 'image_encoder: trace',
            'image_encoder: simplify', 'image_decoder: check against PyTorch',
            'memory_encoder: simplify', 'memory_attention: check against PyTorch',
            'mask_prompt: check against PyTorch', 'write manifest'):
        (line,) = [line for line in text.splitlines() if line.startswith(stage)]
        assert ' s' in line.removeprefix(stage)
    assert text.count('onnxsim kept: ') == 4


def test_a_failed_check_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    impossible = verify.Tolerance(0.0, 1.0)
    monkeypatch.setitem(verify.TOLERANCES, 'fp32', impossible)

    with pytest.raises(ExportError, match=r'^image_encoder, case 1, output "image_embed": differs'):
        export_bundle(ExportOptions(model='sam2_nano', output=tmp_path / 'bundle'))

    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures('stop_before_decoder')
def test_a_failure_half_way_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match='image_decoder: differs'):
        export_bundle(ExportOptions(model='sam2_nano', output=tmp_path / 'new' / 'bundle'))

    assert not list((tmp_path / 'new').iterdir())


@pytest.mark.usefixtures('stop_before_decoder')
def test_a_failure_leaves_the_old_bundle(nano_bundle: Path, tmp_path: Path) -> None:
    output = tmp_path / 'bundle'
    copy_folder(nano_bundle, output)

    with pytest.raises(ExportError, match='image_decoder: differs'):
        export_bundle(ExportOptions(model='sam2_nano', output=output, seed=9, force=True))

    assert Bundle.load(output).manifest == Bundle.load(nano_bundle).manifest
    assert [file.name for file in tmp_path.iterdir()] == ['bundle']


def test_a_bundle_is_replaced_only_by_force(nano_bundle: Path, tmp_path: Path) -> None:
    output = tmp_path / 'bundle'
    copy_folder(nano_bundle, output)

    with pytest.raises(ExportError, match='holds a bundle already; replace it with --force'):
        export_bundle(ExportOptions(model='sam2_nano', output=output))
    export_bundle(ExportOptions(
        model='sam2_nano', output=output, seed=9, force=True, image_only=True))

    assert Bundle.load(output).manifest.provenance['seed'] == 9
    assert not Bundle.load(output).can_track
    assert [file.name for file in tmp_path.iterdir()] == ['bundle']


def test_folders_that_are_no_bundles_are_never_replaced(tmp_path: Path) -> None:
    precious = tmp_path / 'thesis.tex'
    precious.write_text('years of work', encoding='utf-8')

    with pytest.raises(ExportError, match='holds something that is no bundle'):
        export_bundle(ExportOptions(model='sam2_nano', output=tmp_path, force=True))
    with pytest.raises(ExportError, match=r'thesis\.tex: is a file'):
        export_bundle(ExportOptions(model='sam2_nano', output=precious, force=True))

    assert precious.read_text(encoding='utf-8') == 'years of work'


def test_a_place_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()

    with pytest.raises(ExportError, match='cannot be written'):
        export_bundle(ExportOptions(model='sam2_nano', output=tmp_path / 'file' / 'bundle'))


@pytest.mark.parametrize(
    ('options', 'message'), [
        ({'opset': 16}, 'opset 16 is not possible; choose from 17 to 20'),
        ({'opset': 21}, 'opset 21 is not possible'),
        ({'precision': 'int8'}, 'precision "int8" is unknown; there are: fp32, fp16'),
        ({'image_size': 250}, 'image size 250 is not possible'),
        ({'model': 'sam'}, 'unknown model "sam"'),
        ({'checkpoint': Path('absent.pt')}, 'absent.pt: no such file'),
    ])
def test_impossible_options_are_refused(
        options: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=message):
        export_bundle(ExportOptions(
            **{'model': 'sam2_nano', 'output': tmp_path / 'bundle', **options}))  # type: ignore

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_export_that_is_killed_leaves_no_bundle(number: int, tmp_path: Path) -> None:
    output = tmp_path / 'bundle'
    process = subprocess.Popen(
        [sys.executable, '-m', 'sam2_ros.export', '--model', 'sam2_nano', '--random-weights',
         '--output', str(output)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=tmp_path)  # in the checkout its sources would come before the installed package
    assert process.stdout is not None
    while 'image_encoder: check' not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)

    left = list(tmp_path.iterdir())
    assert not output.exists()
    if number == signal.SIGKILL:
        assert all(folder.name.startswith('.bundle.') for folder in left)
        for folder in left:
            with pytest.raises(BundleError):
                Bundle.load(folder)
    else:
        assert process.returncode == 130
        assert errors == 'sam2-ros: interrupted\n'
        assert not left


def copy_folder(source: Path, target: Path) -> None:
    target.mkdir()
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
