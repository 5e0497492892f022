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
from sam2_ros.evaluate.benchmark import COLD_STARTS, JSON_FILE, PLOT_FILE, TABLE_FILE, Benchmark
from sam2_ros.evaluate.benchmark import BenchmarkOptions as Options
from sam2_ros.evaluate.cold_start import ColdStart

STAGES = ['resize', 'encode', 'decode 1', 'upscale', 'decode 4', 'decode 16']
OFFICIAL_STAGES = ['encode', 'decode 1', 'decode 4', 'decode 16']
NODE_STAGES = ['total', 'resize', 'encode', 'decode', 'upscale', 'publish', 'overhead']
RUNS = 3
#: Seconds; nothing here takes this long, it keeps a hanging benchmark from hanging the tests.
TIMEOUT = 120.0


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
        command(nano_bundle, '--runs', RUNS, '--provider', 'cpu', '--image-size', '640x480',
                '--against-pytorch', '--ros', '--output', folder),
        cwd=folder.parents[1], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert ended.returncode == 0, ended.stderr
    return folder, ended


@pytest.fixture
def document(everything: tuple[Path, subprocess.CompletedProcess[str]]) -> Any:
    """Return the JSON of it."""
    return json.loads((everything[0] / JSON_FILE).read_text(encoding='utf-8'))


def test_every_stage_of_everybody(document: Any) -> None:
    """Every run is there, and the figures are those of the runs."""
    stages = [(each['contender'], each['stage']) for each in document['measurements']]
    assert stages == [
        *(('sam2_ros', stage) for stage in STAGES),
        *(('pytorch', stage) for stage in OFFICIAL_STAGES),
        *(('node', stage) for stage in NODE_STAGES)]
    for each in document['measurements']:
        assert each['runs'] == len(each['runs_ms']) == RUNS
        assert each['median_ms'] == pytest.approx(np.median(each['runs_ms']), abs=1e-3)
        assert min(each['runs_ms']) - 1e-3 <= each['median_ms'] <= each['p95_ms'] + 1e-3
        assert each['p95_ms'] <= max(each['runs_ms']) + 1e-3


def test_overhead_is_the_rest(document: Any) -> None:
    """It is the total without the node's own encoder and decoder."""
    node = {each['stage']: np.array(each['runs_ms']) for each in document['measurements']
            if each['contender'] == 'node'}
    assert node['total'] - node['encode'] - node['decode'] == pytest.approx(
        node['overhead'], abs=1e-3)
    # the diagnostics round to 0.1 ms
    assert (node['overhead'] + 0.3 > node['resize'] + node['upscale']).all()


def test_ratios_and_targets(document: Any) -> None:
    """Ratios are of the runs in the same turn; a target says itself whether it is reached."""
    runs = {(each['contender'], each['stage']): np.array(each['runs_ms'])
            for each in document['measurements']}
    assert list(document['ratios_to_pytorch']) == OFFICIAL_STAGES
    for stage, ratio in document['ratios_to_pytorch'].items():
        expected = np.median(runs['sam2_ros', stage] / runs['pytorch', stage])
        assert ratio == pytest.approx(expected, rel=0.01)
    assert len(document['targets']) == 4
    for target in document['targets']:
        assert target['reached'] == (target['value'] <= target['limit'])


def test_what_was_measured_and_where(document: Any, nano_bundle: Path) -> None:
    """A figure without its machine is worth nothing."""
    assert document['complete'] is True
    assert document['provider'] == 'cpu'
    assert document['threads'] == document['machine']['usable cores'] >= 1
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
    alone = document['cold_start']['peak_memory_bytes']
    many = document['cold_start']['peak_memory_16_objects_bytes']
    assert len(alone) == len(document['cold_start']['load_ms']) == COLD_STARTS
    assert all(50e6 < one <= more < 300e6 for one, more in zip(alone, many, strict=True))
    assert 50e6 < document['node']['peak_memory_bytes'] < 600e6
    assert document['node']['rmw'].startswith('rmw_')


def test_table_and_plot(everything: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """The table is printed and kept; the plot has a panel for each stage."""
    folder, ended = everything
    table = (folder / TABLE_FILE).read_text(encoding='utf-8')
    assert table in ended.stdout
    assert str(folder) in ended.stdout
    for text in ('cold start', 'first run', *STAGES, *NODE_STAGES, 'peak memory', 'beside PyTorch'):
        assert text in table
    picture = cv2.imread(str(folder / PLOT_FILE))
    assert picture is not None
    assert picture.shape[0] > 1000  # five rows: 6 stages and 7 of the node
    assert picture.shape[1] == 1200
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 10  # not blank


def test_ctrl_c_keeps_what_is_done(nano_bundle: Path, tmp_path: Path) -> None:
    """A real SIGINT to a benchmark that would take hours."""
    process = subprocess.Popen(
        command(nano_bundle, '--runs', 1_000_000, '--output', tmp_path), cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        progress = ''
        while 'stages' not in progress:  # the cold starts are done when this bar appears
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
    assert len(document['cold_start']['load_ms']) == COLD_STARTS
    assert (tmp_path / PLOT_FILE).stat().st_size > 0


def test_runs_before_ctrl_c_are_kept(
    nano_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C in the decoder of the third run that counts: two and a half are there."""
    monkeypatch.setattr(
        benchmark_module, 'cold_start', lambda *_: ColdStart(1.0, 0.5, 10**8, 10**8))
    benchmark = Benchmark(Options(nano_bundle, tmp_path, 'cpu', 1, (64, 48), runs=5))
    contender = benchmark._contenders[0]
    segmenter = contender._segmenter
    decode, calls = segmenter.segment, iter(range(1000))

    def interrupted(*arguments: Any) -> Any:
        if next(calls) == 3 * (2 + 2):  # three decodings a run, two runs to warm up
            raise KeyboardInterrupt
        return decode(*arguments)

    monkeypatch.setattr(segmenter, 'segment', interrupted)
    with pytest.raises(KeyboardInterrupt):
        benchmark.run()
    benchmark.write()
    document = json.loads((tmp_path / JSON_FILE).read_text(encoding='utf-8'))
    assert {each['stage']: each['runs'] for each in document['measurements']} == {
        'resize': 3, 'encode': 3, 'decode 1': 2, 'upscale': 2, 'decode 4': 2, 'decode 16': 2}
    assert 'INCOMPLETE' in (tmp_path / TABLE_FILE).read_text(encoding='utf-8')


@pytest.mark.parametrize(('arguments', 'expected'), [
    (['--runs', '0'], '"0" is no number of runs'),
    (['--runs', 'many'], '"many" is no number of runs'),
    (['--threads', '-1'], '"-1" is no number of threads'),
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
    from sam2_ros.export.options import PROTOTYPE

    assert cli.main(['benchmark', str(nano_bundle), '--provider', 'cpu', '--output', str(tmp_path),
                     '--against-pytorch', str(PROTOTYPE)]) == 1
    assert 'was made from other weights, random ones of seed 0' in capsys.readouterr().err


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
    assert f"needs the Python module {module}: pip install '.[evaluate]'" in ended.stderr
    assert not (tmp_path / 'output').exists()


def test_help_needs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """It names all that can be asked for."""
    with pytest.raises(SystemExit, match='0'):
        cli.main(['benchmark', '--help'])
    text = capsys.readouterr().out
    for option in ('--runs', '--image-size', '--provider', '--threads', '--against-pytorch',
                   '--ros', '--output'):
        assert option in text
