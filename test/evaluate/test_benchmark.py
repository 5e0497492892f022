# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sam2-ros benchmark`` as people run it. Nothing here depends on how fast the machine is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip('matplotlib', reason='no matplotlib here: nothing can be measured')
pytest.importorskip('psutil', reason='no psutil here: nothing can be measured')
pytest.importorskip('tqdm', reason='no tqdm here: nothing can be measured')

from sam2_ros import cli
from sam2_ros.evaluate import benchmark as benchmark_module
from sam2_ros.evaluate.benchmark import JSON_FILE, PLOT_FILE, TABLE_FILE, Benchmark
from sam2_ros.evaluate.benchmark import BenchmarkOptions as Options
from sam2_ros.evaluate.cold_start import ColdStart
from sam2_ros.model.segmenter import ImageSegmenter

STAGES = ['resize', 'encode', 'decode 1', 'upscale', 'decode 4', 'decode 16']
OFFICIAL_STAGES = ['encode', 'decode 1', 'decode 4', 'decode 16']
NODE_STAGES = ['total', 'resize', 'encode', 'decode', 'upscale', 'publish', 'overhead']
MODEL_STAGES = ['encode', 'memory_attention', 'decode', 'memory_encode']
TRACKING_STAGES = ['step', 'resize', 'encode', 'memory_attention', 'decode', 'fill_holes',
                   'memory_encode', 'upscale', 'host']
MEMORIES = ['step, 0 memories', 'step, 1 memory', 'step, 2 memories', 'step, 4 memories']
TRACKING_NODE_STAGES = ['total', *TRACKING_STAGES[1:-1], 'publish', 'overhead',
                        'total at 20 images a second']
RUNS = 3
#: Seconds; nothing here takes this long, it keeps a hanging benchmark from hanging the tests.
TIMEOUT = 300.0


def command(*arguments: object) -> list[str]:
    """Return the command line of the benchmark."""
    return [sys.executable, '-c', 'import sys; from sam2_ros.cli import main; sys.exit(main())',
            'benchmark', *map(str, arguments)]


@pytest.fixture(scope='module')
def everything(
    nano_bundle: Path, tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Return the output folder of a benchmark with all there is to measure, and how it ended."""
    pytest.importorskip('rclpy', reason='no ROS 2 in this environment')
    folder = tmp_path_factory.mktemp('benchmark') / 'new' / 'folder'
    ended = subprocess.run(
        # One thread: on a busy machine, PyTorch's threads wait for each other for minutes.
        command(nano_bundle, '--runs', RUNS, '--tracked-frames', RUNS, '--provider', 'cpu',
                '--threads', 1, '--image-size', '640x480', '--against-pytorch', '--ros',
                '--camera-rate', '20', '--output', folder),
        cwd=folder.parents[1], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert ended.returncode == 0, ended.stderr
    return folder, ended


@pytest.fixture
def document(everything: tuple[Path, subprocess.CompletedProcess[str]]) -> Any:
    """Return the JSON of it."""
    return json.loads((everything[0] / JSON_FILE).read_text(encoding='utf-8'))


def runs_of(part: Any) -> dict[tuple[str, str], Any]:
    """Return the runs in milliseconds by contender and stage."""
    return {(each['contender'], each['stage']): np.array(each['runs_ms'])
            for each in part['measurements']}


def test_every_stage_of_everybody(document: Any) -> None:
    """Every run is there, and the figures are those of the runs."""
    assert list(runs_of(document['segmentation'])) == [
        *(('sam2_ros', stage) for stage in STAGES),
        *(('pytorch', stage) for stage in OFFICIAL_STAGES),
        *(('node', stage) for stage in NODE_STAGES)]
    assert list(runs_of(document['tracking'])) == [
        *(('sam2_ros, 1 object', stage) for stage in TRACKING_STAGES + MEMORIES),
        *(('sam2_ros, 4 objects', stage) for stage in TRACKING_STAGES),
        *(('pytorch, 1 object', stage) for stage in ['step', *MODEL_STAGES]),
        *(('pytorch, 4 objects', stage) for stage in ['step', *MODEL_STAGES]),
        *(('node', stage) for stage in TRACKING_NODE_STAGES)]
    for part in ('segmentation', 'tracking'):
        for each in document[part]['measurements']:
            assert each['runs'] == len(each['runs_ms']) == RUNS
            assert each['median_ms'] == pytest.approx(np.median(each['runs_ms']), abs=1e-3)
            assert min(each['runs_ms']) - 1e-3 <= each['median_ms'] <= each['p95_ms'] + 1e-3
            assert each['p95_ms'] <= max(each['runs_ms']) + 1e-3


def test_overhead_is_the_rest(document: Any) -> None:
    """It is the total without what the node tells of the model."""
    for part, stages in (('segmentation', ['encode', 'decode']), ('tracking', MODEL_STAGES)):
        runs = runs_of(document[part])
        model = sum(runs['node', stage] for stage in stages)
        assert runs['node', 'total'] - model == pytest.approx(runs['node', 'overhead'], abs=1e-3)
        # the diagnostics round to 0.1 ms
        assert (runs['node', 'overhead'] + 0.3
                > runs['node', 'resize'] + runs['node', 'upscale']).all()


def test_stages_and_host_are_parts_of_a_step(document: Any) -> None:
    """Stages do not overlap; the host has all outside ONNX Runtime, and nothing inside it."""
    runs = runs_of(document['tracking'])
    for contender in ('sam2_ros, 1 object', 'sam2_ros, 4 objects'):
        mine = {stage: runs[contender, stage] for stage in TRACKING_STAGES}
        assert (sum(mine[stage] for stage in TRACKING_STAGES[1:-1]) <= mine['step'] + 1e-2).all()
        assert (mine['host'] >= mine['fill_holes'] + mine['upscale'] - 1e-2).all()
        assert (mine['host'] <= mine['step'] - 0.5 * sum(
            mine[stage] for stage in MODEL_STAGES)).all()
    for contender in ('pytorch, 1 object', 'pytorch, 4 objects'):
        assert (sum(runs[contender, stage] for stage in MODEL_STAGES)
                <= runs[contender, 'step'] + 1e-2).all()


def test_ratios_and_targets(document: Any) -> None:
    """Ratios are of the runs in the same turn; a target says itself whether it is reached."""
    assert {part: {ours: list(ratios)
                   for ours, ratios in document[part]['ratios_to_pytorch'].items()}
            for part in ('segmentation', 'tracking')} == {
        'segmentation': {'sam2_ros': OFFICIAL_STAGES},
        'tracking': {'sam2_ros, 1 object': ['step', *MODEL_STAGES],
                     'sam2_ros, 4 objects': ['step', *MODEL_STAGES]}}
    for part in ('segmentation', 'tracking'):
        runs = runs_of(document[part])
        for ours, ratios in document[part]['ratios_to_pytorch'].items():
            theirs = ours.replace('sam2_ros', 'pytorch')
            for stage, ratio in ratios.items():
                expected = np.median(runs[ours, stage] / runs[theirs, stage])
                assert ratio == pytest.approx(expected, rel=0.01)
    runs = runs_of(document['tracking'])
    targets = {target['name']: target['value'] for target in document['targets']}
    assert len(targets) == 7
    assert targets['tracked frame, 4 objects beside one'] == pytest.approx(np.median(
        runs['sam2_ros, 4 objects', 'step'] / runs['sam2_ros, 1 object', 'step']), rel=0.01)
    assert targets['tracked frame, one object, part that is host code'] == pytest.approx(np.median(
        runs['sam2_ros, 1 object', 'host'] / runs['sam2_ros, 1 object', 'step']), rel=0.01)
    for target in document['targets']:
        assert target['reached'] == (target['value'] <= target['limit'])


def test_camera(document: Any) -> None:
    """Every image that was published is answered, dropped, lost, or still in work at the end."""
    camera = document['tracking']['node']['camera']
    assert document['segmentation']['node']['camera'] is None
    assert camera['rate'] == 20.0
    assert camera['answered'] == RUNS
    assert camera['published'] / camera['seconds'] <= 1.1 * (camera['rate'] + 1 / camera['seconds'])
    rest = camera['published'] - camera['answered'] - camera['dropped'] - camera['lost']
    assert 0 <= rest <= 10  # diagnostics come a moment later, by when a few more are answered


def test_what_was_measured_and_where(document: Any, nano_bundle: Path) -> None:
    """A figure without its machine is worth nothing."""
    assert document['complete'] is True
    assert document['provider'] == 'cpu'
    assert document['threads'] == 1
    assert document['machine']['usable cores'] >= 1
    assert document['picture_size'] == [640, 480]
    assert document['bundle']['path'] == str(nano_bundle.resolve())
    assert document['bundle']['model'] == 'sam2_nano'
    assert {'cpu', 'physical cores', 'memory bytes', 'system', 'python', 'sam2_ros',
            'onnxruntime', 'torch', 'sam2'} <= set(document['machine'])


def test_memory_is_plausible(document: Any) -> None:
    """
    Of the process that loads the bundle, not of the one that has PyTorch as well.

    Python, NumPy, OpenCV and ONNX Runtime alone have some 60 MB, with PyTorch it is over 300.
    """
    for part, objects, processes in (('segmentation', 16, 3), ('tracking', 4, 1)):
        process, node = document[part]['cold_start'], document[part]['node']
        alone, many = process['peak_memory_bytes'], process[f'peak_memory_{objects}_objects_bytes']
        assert len(alone) == len(process['load_ms']) == processes
        assert all(50e6 < one <= more < 300e6 for one, more in zip(alone, many, strict=True))
        assert 50e6 < node['peak_memory_bytes'] < 600e6
        assert node['rmw'].startswith('rmw_')


def test_table_and_plot(everything: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """The tables are printed and kept; the plots have a panel for each stage."""
    folder, ended = everything
    table = (folder / TABLE_FILE).read_text(encoding='utf-8')
    assert table in ended.stdout
    assert str(folder) in ended.stdout
    for text in ('cold start', 'first run', *STAGES, *NODE_STAGES, 'peak memory', 'beside PyTorch',
                 *TRACKING_STAGES, *MEMORIES, *TRACKING_NODE_STAGES, 'camera of 20 images'):
        assert text in table
    # of 260 pixels: of 6 stages and 7 of the node, of 13 and 11
    for part, rows in (('segmentation', 5), ('tracking', 8)):
        picture = cv2.imread(str(folder / PLOT_FILE.format(part)))
        assert picture is not None
        assert picture.shape[:2] == (260 * rows + 40, 1200)
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 10  # not blank


def test_ctrl_c_keeps_what_is_done(nano_bundle: Path, tmp_path: Path) -> None:
    """A real SIGINT to a benchmark that would take hours."""
    process = subprocess.Popen(
        command(nano_bundle, '--runs', 1_000_000, '--output', tmp_path), cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        progress = ''
        # the cold starts are done when this bar appears
        while 'segmentation: stages' not in progress:
            character = process.stderr.read(1)
            assert character, progress
            progress += character
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == cli.INTERRUPTED
    assert f'what is done is kept in {tmp_path}' in errors
    assert 'Traceback' not in errors
    assert 'INCOMPLETE' in output
    document = json.loads((tmp_path / JSON_FILE).read_text(encoding='utf-8'))
    assert document['complete'] is False
    assert len(document['segmentation']['cold_start']['load_ms']) == 3
    assert document['tracking']['measurements'] == []
    for part in ('segmentation', 'tracking'):
        assert (tmp_path / PLOT_FILE.format(part)).stat().st_size > 0


def test_runs_before_ctrl_c_are_kept(
    nano_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C in the decoder of the third run that counts: two and a half are there."""
    monkeypatch.setattr(
        benchmark_module, 'cold_start', lambda *_: ColdStart(1.0, 0.5, 10**8, 10**8))
    benchmark = Benchmark(Options(nano_bundle, tmp_path, 'cpu', 1, (64, 48), runs=5))
    decode, calls = ImageSegmenter.segment, iter(range(1000))

    def interrupted(*arguments: Any) -> Any:
        if next(calls) == 3 * (2 + 2):  # three decodings a run, two runs to warm up
            raise KeyboardInterrupt
        return decode(*arguments)

    monkeypatch.setattr(ImageSegmenter, 'segment', interrupted)
    with pytest.raises(KeyboardInterrupt):
        benchmark.run()
    benchmark.write()
    document = json.loads((tmp_path / JSON_FILE).read_text(encoding='utf-8'))
    found = document['segmentation']['measurements']
    assert {each['stage']: each['runs'] for each in found} == {
        'resize': 3, 'encode': 3, 'decode 1': 2, 'upscale': 2, 'decode 4': 2, 'decode 16': 2}
    assert 'INCOMPLETE' in (tmp_path / TABLE_FILE).read_text(encoding='utf-8')


@pytest.mark.parametrize(('arguments', 'expected'), [
    (['--runs', '0'], '"0" is no number of runs'),
    (['--runs', 'many'], '"many" is no number of runs'),
    (['--threads', '-1'], '"-1" is no such number: 0 or more'),
    (['--tracked-frames', 'x'], '"x" is no such number: 0 or more'),
    (['--camera-rate', '0'], '"0" is no camera rate: 0.1 to 1000 images a second'),
    (['--camera-rate', 'nan'], '"nan" is no camera rate'),
    (['--image-size', '1280'], '"1280" is no size such as 1280x720'),
    (['--image-size', '4x4'], '"4x4" is no size such as 1280x720'),
    (['--image-size', '1280x99999'], 'is no size such as 1280x720'),
    (['--provider', 'abacus'], "invalid choice: 'abacus'"),
])
def test_wrong_arguments(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str],
) -> None:
    """One line under the usage says what is wrong."""
    with pytest.raises(SystemExit, match='2'):
        cli.main(['benchmark', 'bundle', *arguments])
    assert expected in capsys.readouterr().err.strip().splitlines()[-1]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file where a folder or a checkpoint is wanted."""
    path = tmp_path / 'file'
    path.write_bytes(b'neither')
    return path


def test_what_cannot_be_measured(
    nano_bundle: Path, file: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """One line, before anything is measured, and no half result."""
    output = file.parent / 'output'
    for arguments, expected in (
            ([file.parent / 'nowhere'], 'nowhere'),
            ([nano_bundle, '--output', file / 'below'], 'no folder can be made there'),
            ([nano_bundle, '--provider', 'tensorrt', '--output', output], 'tensorrt'),
            ([nano_bundle, '--provider', 'cpu', '--output', output, '--against-pytorch', file],
             'cannot be read as a PyTorch checkpoint')):
        assert cli.main(['benchmark', *map(str, arguments)]) == 1
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1
        assert expected in lines[0]
    assert not list(output.glob('*'))


def test_a_folder_of_another_user(
    nano_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is told before anything is measured; the tests may run as root, who can write it."""
    monkeypatch.setattr(benchmark_module.os, 'access', lambda folder, mode: folder != tmp_path)
    assert cli.main(['benchmark', str(nano_bundle), '--output', str(tmp_path)]) == 1
    assert f'{tmp_path}: cannot be written to' in capsys.readouterr().err


def test_other_weights_than_the_bundle(
    nano_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """A checkpoint of the same model that is not the bundle's origin is refused."""
    from sam2_ros.export.options import SHIPPED_CHECKPOINT

    assert cli.main(['benchmark', str(nano_bundle), '--provider', 'cpu', '--output', str(tmp_path),
                     '--against-pytorch', str(SHIPPED_CHECKPOINT)]) == 1
    assert 'was made from other weights, random ones of seed 0' in capsys.readouterr().err


def test_bundle_that_cannot_track(
    can_export: None, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """Images alone are measured; frames that are asked for by number are refused."""
    from sam2_ros.export.exporter import ExportOptions, export_bundle

    bundle = export_bundle(ExportOptions(
        model='sam2_nano', output=tmp_path / 'bundle', image_size=128, image_only=True)).path
    benchmark = Benchmark(Options(bundle, tmp_path, 'cpu', 1, (64, 48), runs=1))
    assert [part.name for part in benchmark.report.parts] == ['segmentation']
    assert cli.main(['benchmark', str(bundle), '--tracked-frames', '3']) == 1
    assert 'the bundle can only segment images' in capsys.readouterr().err


@pytest.mark.parametrize('module', ['matplotlib', 'psutil', 'tqdm'])
def test_a_module_is_missing(nano_bundle: Path, tmp_path: Path, module: str) -> None:
    """One line says what to install, before anything is measured."""
    (tmp_path / f'{module}.py').write_text(
        f'raise ModuleNotFoundError("no {module}", name={module!r})\n', encoding='utf-8')
    ended = subprocess.run(
        command(nano_bundle, '--output', tmp_path / 'output'), capture_output=True, text=True,
        env={**os.environ, 'PYTHONPATH': f'{tmp_path}:{os.environ.get("PYTHONPATH", "")}'},
        cwd=tmp_path, timeout=TIMEOUT, check=False)
    assert ended.returncode == 1
    assert ended.stderr.count('\n') == 1
    assert f'needs the Python module {module}: pip install' in ended.stderr
    assert not (tmp_path / 'output').exists()


def test_help_needs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """It names all that can be asked for."""
    with pytest.raises(SystemExit, match='0'):
        cli.main(['benchmark', '--help'])
    text = capsys.readouterr().out
    for option in ('--runs', '--tracked-frames', '--camera-rate', '--image-size', '--provider',
                   '--threads', '--against-pytorch', '--ros', '--output'):
        assert option in text
