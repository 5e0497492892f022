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
from sam2_ros.evaluate.latency import OurImage
from sam2_ros.evaluate.result_folder import FIGURES_FILE, RECORDS_FILE, REPORT_FILE

IMAGE_STAGES = ['resize', 'encode', 'decode', 'upscale', 'total']
COUNTS = (1, 2, 4, 8, 16, 24, 32)
POINTS = [f'{count} point{"s" if count > 1 else ""}' for count in COUNTS]
OBJECTS = [f'{count} object{"s" if count > 1 else ""}' for count in COUNTS]
NODE_STAGES = ['total', 'resize', 'encode', 'decode', 'upscale', 'publish', 'overhead']
MODEL_STAGES = ['encode', 'memory_attention', 'decode', 'memory_encode']
TRACKING_STAGES = ['step', 'resize', 'encode', 'memory_attention', 'decode', 'fill_holes',
                   'memory_encode', 'upscale', 'host']
MEMORIES = ['step, 0 memories', 'step, 1 memory', 'step, 2 memories', 'step, 4 memories']
PROCESS_STAGES = [f'{work}: {what}' for work in ('segmentation', 'tracking')
                  for what in ('process to loaded model', 'first run')]
RUNS, FRAMES = 3, 2
#: Seconds; nothing here takes this long, it keeps a hanging benchmark from hanging the tests.
TIMEOUT = 300.0
#: One thread: on a busy machine, PyTorch's threads wait for each other for minutes.
SMALL = ['--provider', 'cpu', '--threads', '1', '--image-size', '64x48']


def command(*arguments: object) -> list[str]:
    """Return the command line of the benchmark."""
    return [sys.executable, '-c', 'import sys; from sam2_ros.cli import main; sys.exit(main())',
            'benchmark', *map(str, arguments)]


def benchmark(*arguments: object) -> int:
    """Run the benchmark in this process; return its exit status."""
    return cli.main(['benchmark', *map(str, arguments), *SMALL])


def figures_in(folder: Path) -> Any:
    """Return the JSON that a benchmark wrote."""
    return json.loads((folder / FIGURES_FILE).read_text(encoding='utf-8'))


def records_in(folder: Path) -> list[Any]:
    """Return every run that a benchmark wrote."""
    lines = (folder / RECORDS_FILE).read_text(encoding='utf-8').splitlines()
    return [json.loads(line) for line in lines]


def stages_of(document: Any, experiment: str) -> dict[str, list[str]]:
    """Return the stages of each contender in an experiment."""
    found: dict[str, list[str]] = {}
    for each in document['figures']['measurements']:
        if each['experiment'] == experiment:
            found.setdefault(each['contender'], []).append(each['stage'])
    return found


def runs_of(folder: Path, experiment: str) -> dict[tuple[str, str], Any]:
    """Return the runs that count, in milliseconds, by contender and stage, repetition by run."""
    found: dict[tuple[str, str], Any] = {}
    records = [each for each in records_in(folder)
               if each['experiment'] == experiment and each['run'] > 0]
    for each in sorted(records, key=lambda record: (record['repetition'], record['run'])):
        for stage, seconds in each['seconds'].items():
            found.setdefault((each['contender'], stage), []).append(1e3 * seconds)
    return {key: np.array(values) for key, values in found.items()}


@pytest.fixture(scope='module')
def small_bundle(can_export: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the same model at another image size."""
    from sam2_ros.export.exporter import ExportOptions, export_bundle

    folder = tmp_path_factory.mktemp('bundles') / 'small'
    return export_bundle(ExportOptions(model='sam2_nano', output=folder, image_size=128)).path


@pytest.fixture(scope='module')
def everything(
    nano_bundle: Path, small_bundle: Path, tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Return the output folder of two bundles beside PyTorch, and how it ended."""
    folder = tmp_path_factory.mktemp('benchmark') / 'new' / 'folder'
    ended = subprocess.run(
        command(nano_bundle, small_bundle, '--pytorch', '--runs', RUNS, '--tracked-frames', FRAMES,
                *SMALL, '--output', folder),
        cwd=folder.parents[1], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert ended.returncode == 0, ended.stderr
    return folder, ended


@pytest.fixture
def document(everything: tuple[Path, subprocess.CompletedProcess[str]]) -> Any:
    """Return the JSON of it."""
    return figures_in(everything[0])


def test_every_stage_of_everybody(document: Any) -> None:
    """Both bundles, and the official code with the weights of each, in all experiments."""
    ours, theirs = ['nano', 'small'], ['pytorch, nano', 'pytorch, small']
    assert stages_of(document, 'cold-start') == dict.fromkeys(ours, PROCESS_STAGES)
    for experiment, stages in (
            ('consecutive', IMAGE_STAGES), ('varying', IMAGE_STAGES), ('points', POINTS),
            ('objects', OBJECTS)):
        assert stages_of(document, experiment) == dict.fromkeys([*ours, *theirs], stages)
    assert stages_of(document, 'tracking') == {
        **{f'{name}, 1 object': TRACKING_STAGES + MEMORIES for name in ours},
        **{f'{name}, 4 objects': TRACKING_STAGES for name in ours},
        **{f'{name}, {count}': ['step', *MODEL_STAGES] for name in theirs
           for count in ('1 object', '4 objects')}}
    assert document['complete'] is True


def test_figures_are_those_of_the_runs(
    everything: tuple[Path, subprocess.CompletedProcess[str]], document: Any,
) -> None:
    """The first run is apart."""
    for experiment in ('consecutive', 'points', 'tracking'):
        runs = runs_of(everything[0], experiment)
        for each in document['figures']['measurements']:
            if each['experiment'] != experiment:
                continue
            values = runs[each['contender'], each['stage']]
            count = FRAMES if experiment == 'tracking' else RUNS
            assert each['runs'] == len(values) == count
            assert each['median_ms'] == pytest.approx(np.median(values), abs=1e-3)
            assert each['p95_ms'] <= each['p99_ms'] <= values.max() + 1e-3
            assert len(each['first_ms']) == (0 if experiment == 'tracking' else 1)


def test_turns_are_taken_run_by_run(
    everything: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    """All contenders run once before one of them runs again."""
    order = [(each['run'], each['contender'])
             for each in records_in(everything[0]) if each['experiment'] == 'consecutive']
    names = ['nano', 'small', 'pytorch, nano', 'pytorch, small']
    assert order == [
        (run, name) for run in range(RUNS + 1) for name in (names[::-1] if run % 2 else names)]


def test_stages_are_parts_of_the_whole(
    everything: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    """Stages do not overlap; the host has all outside ONNX Runtime, and nothing inside it."""
    runs = runs_of(everything[0], 'consecutive')
    for contender in ('nano', 'pytorch, nano'):
        parts = sum(runs[contender, stage] for stage in IMAGE_STAGES[:-1])
        assert (parts <= runs[contender, 'total'] + 1e-3).all()
    runs = runs_of(everything[0], 'tracking')
    for contender in ('nano, 1 object', 'nano, 4 objects'):
        mine = {stage: runs[contender, stage] for stage in TRACKING_STAGES}
        assert (sum(mine[stage] for stage in TRACKING_STAGES[1:-1]) <= mine['step'] + 1e-2).all()
        assert (mine['host'] >= mine['fill_holes'] + mine['upscale'] - 1e-2).all()
        assert (mine['host'] <= mine['step'] - 0.5 * sum(
            mine[stage] for stage in MODEL_STAGES)).all()
    for contender in ('pytorch, nano, 1 object', 'pytorch, nano, 4 objects'):
        assert (sum(runs[contender, stage] for stage in MODEL_STAGES)
                <= runs[contender, 'step'] + 1e-2).all()


def test_ratios_and_targets(
    everything: tuple[Path, subprocess.CompletedProcess[str]], document: Any,
) -> None:
    """Ratios are of the runs in the same turn; a target says itself whether it is reached."""
    runs = {experiment: runs_of(everything[0], experiment)
            for experiment in ('consecutive', 'objects', 'tracking')}
    compared = 0
    for each in document['figures']['measurements']:
        if each['experiment'] not in runs or each['contender'].startswith('pytorch'):
            continue
        its = runs[each['experiment']]
        theirs = its.get((f'pytorch, {each["contender"]}', each['stage']))
        if theirs is None:
            assert each['ratio_to_pytorch'] is None
            continue
        compared += 1
        ratios = its[each['contender'], each['stage']] / theirs
        assert each['ratio_to_pytorch'] == pytest.approx(np.median(ratios), rel=0.01)
    # two bundles; the images' stages, the numbers of objects, and twice the stages of tracking
    assert compared == 2 * (5 + 7 + 2 * 5)
    targets = {(each['contender'], each['name']): each for each in document['figures']['targets']}
    assert len(targets) == 2 * 5
    tracked = runs['tracking']
    for name, of, to in (
            ('tracked frame, 4 objects beside one',
             ('nano, 4 objects', 'step'), ('nano, 1 object', 'step')),
            ('tracked frame, one object, part that is host code',
             ('nano, 1 object', 'host'), ('nano, 1 object', 'step'))):
        assert targets['nano', name]['value'] == pytest.approx(
            np.median(tracked[of] / tracked[to]), rel=0.01)
    for target in targets.values():
        assert target['reached'] == (target['value'] <= target['limit'])


def test_what_was_measured_and_where(document: Any) -> None:
    """A figure without its machine is worth nothing."""
    settings = document['settings']
    assert {name: (each['model'], each['image_size'], each['provider'])
            for name, each in settings['bundles'].items()} == {
        'nano': ('sam2_nano', 256, 'cpu'), 'small': ('sam2_nano', 128, 'cpu')}
    assert settings['threads'] == document['threads'] == 1
    assert settings['picture_size'] == [64, 48]
    assert {'cpu', 'physical cores', 'usable cores', 'memory bytes', 'system', 'python', 'sam2_ros',
            'onnxruntime', 'torch', 'sam2'} <= set(document['machine'])


def test_memory_is_plausible(document: Any) -> None:
    """
    Of the process that loads the bundle, not of the one that has PyTorch as well.

    Python, NumPy, OpenCV and ONNX Runtime alone have some 60 MB, with PyTorch it is over 300.
    """
    memory = {(each['contender'], each['what']): each['bytes']
              for each in document['figures']['memory']}
    for name in ('nano', 'small'):
        for work, objects in (('segmentation', 16), ('tracking', 4)):
            few = memory[name, f'{work}, 1 object']
            many = memory[name, f'{work}, {objects} objects']
            assert 50e6 < few <= many < 300e6


def test_report_and_plots(everything: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """The report is printed and kept; every experiment but the processes has a plot."""
    folder, ended = everything
    report = (folder / REPORT_FILE).read_text(encoding='utf-8')
    assert report in ended.stdout
    assert str(folder) in ended.stdout
    assert 'INCOMPLETE' not in report
    for text in (*IMAGE_STAGES, *POINTS, *OBJECTS, *TRACKING_STAGES, *MEMORIES, *PROCESS_STAGES,
                 'p99', 'std', 'beside PyTorch', 'Peak memory',
                 'random weights',
                 'nano: sam2_nano, 256 pixels', 'small: sam2_nano, 128 pixels'):
        assert text in report
    for name in ('consecutive', 'varying', 'points', 'objects', 'tracking'):
        assert f'({name}.png)' in report
        picture = cv2.imread(str(folder / f'{name}.png'))
        assert picture is not None
        assert (picture != 255).any()


@pytest.fixture(scope='module')
def through_node(nano_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the output folder of a benchmark of the running node."""
    pytest.importorskip('rclpy', reason='no ROS 2 in this environment')
    folder = tmp_path_factory.mktemp('node')
    ended = subprocess.run(
        command(nano_bundle, '--ros', '--runs', RUNS, '--tracked-frames', RUNS, '--camera-rate',
                '20', *SMALL, '--output', folder),
        cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert ended.returncode == 0, ended.stderr
    return folder


def test_stages_of_the_node(through_node: Path) -> None:
    """Overhead is the total without what the node tells of the model."""
    document = figures_in(through_node)
    assert stages_of(document, 'consecutive') == {'nano': NODE_STAGES}
    assert stages_of(document, 'varying') == {'nano': NODE_STAGES}
    assert stages_of(document, 'tracking') == {
        'nano': ['total', *TRACKING_STAGES[1:-1], 'publish', 'overhead']}
    assert stages_of(document, 'camera') == {'nano': ['total at 20 images a second']}
    for experiment, stages in (('consecutive', ['encode', 'decode']), ('tracking', MODEL_STAGES)):
        runs = runs_of(through_node, experiment)
        assert len(runs['nano', 'total']) == RUNS
        model = sum(runs['nano', stage] for stage in stages)
        assert runs['nano', 'total'] - model == pytest.approx(runs['nano', 'overhead'], abs=1e-3)
        # the diagnostics round to 0.1 ms
        assert (runs['nano', 'overhead'] + 0.3
                > runs['nano', 'resize'] + runs['nano', 'upscale']).all()
    assert [each['name'] for each in document['figures']['targets']] == [
        'node, neither encode nor decode (median)', 'node, peak memory']


def test_what_else_is_told_of_the_node(through_node: Path) -> None:
    """What is between the processes, its memory, and what became of the camera's images."""
    document = figures_in(through_node)
    notes = [each['note'] for each in document['figures']['notes']]
    assert any(note.startswith('rmw: rmw_') for note in notes)
    assert any(note.startswith('camera of 20 images a second') and f'{RUNS} answered' in note
               for note in notes)
    report = (through_node / REPORT_FILE).read_text(encoding='utf-8')
    assert all(note in report for note in notes)
    memory = {each['experiment']: each['bytes'] for each in document['figures']['memory']}
    assert list(memory) == ['consecutive', 'varying', 'tracking', 'camera']
    assert all(50e6 < count < 600e6 for count in memory.values())


def test_two_providers(
    nano_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """Each runs the bundle, under its own name; ``auto`` is one of them and must not be twice."""
    from sam2_ros.model.providers import available_providers

    others = [name for name in available_providers() if name != 'cpu']
    if others:
        folder = tmp_path / 'both'
        assert cli.main([
            'benchmark', str(nano_bundle), *SMALL, '--provider', f'cpu,{others[0]}', '--runs', '1',
            '--experiments', 'consecutive', '--output', str(folder)]) == 0
        assert list(stages_of(figures_in(folder), 'consecutive')) == [
            'nano, cpu', f'nano, {others[0]}']
    best = available_providers()[-1]
    capsys.readouterr()
    assert cli.main(['benchmark', str(nano_bundle), *SMALL, '--provider', f'{best},auto']) == 1
    assert f'provider "auto" is "{best}" here, which is named too' in capsys.readouterr().err


def test_interrupted_and_resumed(
    nano_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ctrl-C in the third run: two are kept, and are not measured again."""
    arguments = [nano_bundle, '--experiments', 'consecutive', '--runs', '4', '--output', tmp_path]
    plain = OurImage.run

    def interrupted(self: OurImage, run: int) -> Any:
        if run == 3:
            raise KeyboardInterrupt
        return plain(self, run)

    with monkeypatch.context() as patch:
        patch.setattr(OurImage, 'run', interrupted)
        assert benchmark(*arguments) == cli.INTERRUPTED
    assert f'what is done is kept in {tmp_path}' in capsys.readouterr().err
    assert 'INCOMPLETE' in (tmp_path / REPORT_FILE).read_text(encoding='utf-8')
    assert figures_in(tmp_path)['complete'] is False
    begun = records_in(tmp_path)
    assert [each['run'] for each in begun] == [0, 1, 2]

    assert benchmark(*arguments) == 1
    assert 'holds results already' in capsys.readouterr().err
    assert benchmark(*arguments, '--resume', '--camera-rate', '3') == 1
    assert 'begun with other settings: camera_rate was 30.0 and is 3.0' in capsys.readouterr().err
    assert benchmark(*arguments, '--resume') == 0
    assert records_in(tmp_path)[:3] == begun
    assert [each['run'] for each in records_in(tmp_path)] == [0, 1, 2, 3, 4]
    assert figures_in(tmp_path)['complete'] is True

    # More of it: other experiments, and more runs.
    more = [nano_bundle, '--experiments', 'consecutive,points', '--runs', '5', '--output', tmp_path]
    assert benchmark(*more, '--resume') == 0
    assert [(each['experiment'], each['run']) for each in records_in(tmp_path)[5:]] == [
        ('consecutive', 5), *(('points', run) for run in range(6))]


def test_a_real_ctrl_c(nano_bundle: Path, tmp_path: Path) -> None:
    """A real SIGINT to a benchmark that would take days, when a run is done."""
    process = subprocess.Popen(
        command(nano_bundle, '--experiments', 'consecutive', '--runs', 100_000, *SMALL,
                '--output', tmp_path),
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    records = tmp_path / RECORDS_FILE
    try:
        while not (records.exists() and records.stat().st_size):
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.1)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == cli.INTERRUPTED
    assert f'what is done is kept in {tmp_path}' in errors
    assert 'Traceback' not in errors
    assert 'INCOMPLETE' in output
    assert figures_in(tmp_path)['complete'] is False


def test_repetitions(nano_bundle: Path, tmp_path: Path) -> None:
    """Each has a first run, and its own median; the report tells how far they are apart."""
    assert benchmark(nano_bundle, '--experiments', 'consecutive,varying', '--runs', RUNS,
                     '--repetitions', '3', '--output', tmp_path) == 0
    order = [(each['repetition'], each['experiment'], each['run'])
             for each in records_in(tmp_path)]
    assert order == [(repetition, experiment, run) for repetition in (1, 2, 3)
                     for experiment in ('consecutive', 'varying') for run in range(RUNS + 1)]
    runs = runs_of(tmp_path, 'varying')
    for each in figures_in(tmp_path)['figures']['measurements']:
        assert each['runs'] == 3 * RUNS
        assert len(each['first_ms']) == 3
        if each['experiment'] == 'varying':
            values = runs['nano', each['stage']].reshape(3, RUNS)
            assert each['repetition_medians_ms'] == pytest.approx(
                np.median(values, axis=1), abs=1e-3)
    assert 'spread of medians' in (tmp_path / REPORT_FILE).read_text(encoding='utf-8')


def test_time_limit(nano_bundle: Path, tmp_path: Path) -> None:
    """A repetition ends when its time is over, is complete then, and stays so when resumed."""
    arguments = [nano_bundle, '--experiments', 'consecutive', '--runs', '1000', '--time-limit',
                 '0.01', '--repetitions', '2', '--output', tmp_path]
    assert benchmark(*arguments) == 0
    assert figures_in(tmp_path)['complete'] is True
    records = records_in(tmp_path)
    assert {each['repetition'] for each in records if 'run' in each} == {1, 2}
    assert benchmark(*arguments, '--resume') == 0
    assert records_in(tmp_path) == records


def test_compared_with_an_earlier_one(
    nano_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    """What got slower is in one table; other machines and settings are told."""
    arguments = [nano_bundle, '--experiments', 'consecutive', '--runs', '3']
    first = tmp_path / 'first'
    assert benchmark(*arguments, '--output', first) == 0
    old = figures_in(first)
    for each in old['figures']['measurements']:
        # a hundred times as slow as any machine is from one minute to the next, or as fast
        each['median_ms'] *= 0.001 if each['stage'] == 'encode' else 1000.0
    old['settings']['machine']['cpu'] = 'Abacus'
    changed = tmp_path / 'old.json'
    changed.write_text(json.dumps(old), encoding='utf-8')
    capsys.readouterr()

    second = tmp_path / 'second'
    compared = [*arguments, '--output', second, '--compare', changed, '--ratio', '1.5']
    assert benchmark(*compared) == 1
    captured = capsys.readouterr()
    assert f'1 figures are more than 1.5 times those in {changed}' in captured.err
    for text in ('1 of 5 figures (medians, memory) are more than 1.5 times what they were',
                 '| consecutive | nano      | encode |', 'machine, cpu: Abacus before, '):
        assert text in captured.out
    assert captured.out.count(' before, ') == 1  # all else is the same
    old['figures']['measurements'] = [
        each for each in old['figures']['measurements'] if each['stage'] != 'encode']
    changed.write_text(json.dumps(old), encoding='utf-8')
    assert benchmark(*compared, '--resume') == 0
    output = capsys.readouterr().out
    assert 'None of 4 figures (medians, memory) is more than 1.5 times what it was.' in output
    assert 'only this one has 1 figures: consecutive, nano, encode' in output


@pytest.mark.parametrize(('text', 'expected'), [
    (None, 'cannot be read (No such file or directory)'),
    ('no JSON', 'is no JSON'),
    ('[]', 'is no figures.json that `sam2-ros benchmark` wrote'),
    ('{"figures": {"iou": {}}, "settings": {}}', 'is no figures.json that'),
    ('{"figures": {"measurements": [], "memory": []}, "settings": {"bundles": {"tiny": {}}}}',
     'is of other bundles, tiny; they are known by the names of their folders'),
    ('{"figures": {"measurements": [{"experiment": "camera", "contender": "nano", "stage": "total",'
     ' "median_ms": 1}], "memory": []}, "settings": {"bundles": {"nano": {}}}}',
     'is of other experiments, camera; name them with --experiments'),
])
def test_nothing_to_compare_with(
    nano_bundle: Path, tmp_path: Path, text: str | None, expected: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is told before anything is measured."""
    old, output = tmp_path / 'old.json', tmp_path / 'output'
    if text is not None:
        old.write_text(text, encoding='utf-8')
    assert benchmark(nano_bundle, '--compare', old, '--output', output) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f'sam2-ros: {old}: {expected}')
    assert not output.exists()


@pytest.mark.parametrize(('arguments', 'expected'), [
    (['--runs', '0'], '"0" is no number: 1 or more'),
    (['--runs', 'many'], '"many" is no number: 1 or more'),
    (['--repetitions', '0'], '"0" is no number: 1 or more'),
    (['--threads', '-1'], '"-1" is no number: 0 or more'),
    (['--tracked-frames', 'x'], '"x" is no number: 1 or more'),
    (['--time-limit', 'nan'], '"nan" is no time: more than 0 seconds'),
    (['--ratio', '0.5'], '"0.5" is no ratio: 1 or more'),
    (['--camera-rate', '0'], '"0" is no camera rate: 0.1 to 1000 images a second'),
    (['--camera-rate', 'nan'], '"nan" is no camera rate'),
    (['--image-size', '1280'], '"1280" is no size such as 1280x720'),
    (['--image-size', '4x4'], '"4x4" is no size such as 1280x720'),
    (['--image-size', '1280x99999'], 'is no size such as 1280x720'),
    (['--provider', 'cpu,abacus'], '"abacus" is no provider; there are: cpu'),
])
def test_wrong_arguments(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str],
) -> None:
    """One line under the usage says what is wrong."""
    with pytest.raises(SystemExit, match='2'):
        cli.main(['benchmark', 'bundle', *arguments])
    assert expected in capsys.readouterr().err.strip().splitlines()[-1]


def test_what_cannot_be_measured(
    nano_bundle: Path, image_only_bundle: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line, before anything is measured, and no half result."""
    from sam2_ros.export.options import SHIPPED_CHECKPOINT

    output, file = tmp_path / 'output', tmp_path / 'file'
    file.write_bytes(b'neither')
    cpu = ['--output', output, '--provider', 'cpu']
    for arguments, expected in (
            ([tmp_path / 'nowhere'], 'nowhere'),
            ([nano_bundle, '--output', file / 'below'], 'cannot be written to'),
            ([nano_bundle, '--provider', 'tensorrt', '--output', output], 'tensorrt'),
            ([nano_bundle, *cpu, '--experiments', 'camera'],
             'there is no experiment "camera" in this process; there are: cold-start,'),
            ([nano_bundle, *cpu, '--ros', '--experiments', 'points'],
             'there is no experiment "points" with --ros; there are: consecutive,'),
            ([image_only_bundle, *cpu, '--experiments', 'tracking'],
             'the bundle can only segment images'),
            ([nano_bundle, *cpu, '--ros', '--pytorch'], 'either --ros or --pytorch'),
            ([nano_bundle, *cpu, '--pytorch', tmp_path / 'nothing.pt'], 'no such file'),
            ([nano_bundle, *cpu, '--pytorch', file],
             'no bundle was exported from it, but from random weights of seed 0'),
            ([nano_bundle, *cpu, '--pytorch', SHIPPED_CHECKPOINT],
             'no bundle was exported from it, but from random weights of seed 0')):
        assert cli.main(['benchmark', *map(str, arguments)]) == 1
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1
        assert expected in lines[0]
    assert not output.exists()


def test_bundle_that_cannot_track(image_only_bundle: Path, tmp_path: Path) -> None:
    """All else is measured."""
    assert benchmark(image_only_bundle, '--runs', '1', '--output', tmp_path) == 0
    experiments = {each['experiment'] for each in records_in(tmp_path)}
    assert experiments == {'cold-start', 'consecutive', 'varying', 'points', 'objects'}


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
    for option in ('--runs', '--repetitions', '--tracked-frames', '--time-limit', '--experiments',
                   '--camera-rate', '--image-size', '--provider', '--threads', '--pytorch', '--ros',
                   '--output', '--resume', '--compare', '--ratio', 'cold-start', 'varying'):
        assert option in text
