# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Edge against cloud as people run it. Nothing here depends on how fast the machine is."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import psutil
import pytest

pytest.importorskip('matplotlib', reason='no matplotlib here: nothing can be measured')
pytest.importorskip('rclpy', reason='no ROS 2 in this environment')

from sam2_ros import cli
from sam2_ros.evaluate.camera import to_jpeg
from sam2_ros.evaluate.errors import BenchmarkError
from sam2_ros.evaluate.result_folder import RECORDS_FILE, REPORT_FILE
from sam2_ros.evaluate.robot import Order, Robot
from sam2_ros.evaluate.scene import make_picture

RUNS, FRAMES, SIZE = 3, 4, (320, 240)
STAGES = {'total', 'resize', 'encode', 'decode', 'upscale', 'publish', 'transport'}
#: Seconds; nothing here takes this long, it keeps a hanging benchmark from hanging the tests.
TIMEOUT = 300.0


def command(bundle: Path, output: Path, *arguments: object) -> list[str]:
    """Return the command line of the benchmark over a link of 20 ms each way."""
    return [sys.executable, '-c', 'import sys; from sam2_ros.cli import main; sys.exit(main())',
            'benchmark', str(bundle), '--ros', '--link', 'delay=20ms,rate=50mbit', '--provider',
            'cpu', '--threads', '1', '--image-size', '{}x{}'.format(*SIZE), '--output', str(output),
            *map(str, arguments)]


@pytest.fixture(scope='module')
def results(
    nano_bundle: Path, can_make_hosts: None, tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Return the output folder of a benchmark."""
    folder = tmp_path_factory.mktemp('edge_and_cloud') / 'out'
    ended = subprocess.run(
        command(nano_bundle, folder, '--experiments', 'consecutive,camera', '--runs', RUNS,
                '--tracked-frames', FRAMES, '--camera-rate', 20),
        capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert ended.returncode == 0, ended.stderr
    return folder


def records_in(folder: Path, experiment: str) -> list[Any]:
    """Return every run of an experiment."""
    lines = (folder / RECORDS_FILE).read_text(encoding='utf-8').splitlines()
    return [each for each in map(json.loads, lines) if each['experiment'] == experiment]


def notes_in(folder: Path, experiment: str, contender: str) -> str:
    """Return what is told of a contender."""
    return '\n'.join(note for each in records_in(folder, experiment)
                     if each['contender'] == contender for note in each.get('notes', []))


def test_the_same_measurement_in_both_places(results: Path) -> None:
    """Every run has every stage; those in the cloud have been there and back."""
    records = records_in(results, 'consecutive')
    # Who begins changes.
    assert [each['contender'] for each in records] == [
        f'nano, {place}' for place in ('edge', 'cloud', 'cloud', 'edge', 'edge', 'cloud')]
    for each in records:
        seconds = each['seconds']
        in_cloud = each['contender'].endswith('cloud')
        assert seconds.keys() == STAGES | ({'compress'} if in_cloud else set())
        parts = sum(value for stage, value in seconds.items() if stage != 'total')
        assert parts == pytest.approx(seconds['total'], abs=1e-6)
        if in_cloud:
            size = len(to_jpeg(make_picture(*SIZE)))
            # what the link takes: an image there, a mask back
            assert seconds['transport'] >= 0.04 + 8 * size / 50e6


def test_images_go_over_the_link(results: Path) -> None:
    """They are counted by it, so that no shared memory can be a shortcut."""
    notes = notes_in(results, 'consecutive', 'nano, cloud')
    size = len(to_jpeg(make_picture(*SIZE)))
    carried = re.search(r'one image takes ([0-9.]+) kB to the cloud and ([0-9.]+) kB back', notes)
    assert carried is not None
    assert float(carried[1]) * 1e3 > size
    assert float(carried[2]) > 0.0
    total = re.search(r'to the cloud: ([0-9.]+) MB in \d+ packets, 0 dropped', notes)
    assert total is not None
    # beside the runs, two to warm up and the one above; less what rounding may have taken
    assert float(total[1]) * 1e6 + 0.05e6 > (RUNS + 3) * size
    assert 'compressed images; delay 20 ms and jitter 0 ms each way, rate 50 Mbit/s' in notes
    assert 'probed before: there and back' in notes
    assert 'link' not in notes_in(results, 'consecutive', 'nano, edge')


def test_camera_that_does_not_wait(results: Path) -> None:
    """Rate and drops are told of both places."""
    records = records_in(results, 'camera')
    assert len(records) == 2 * FRAMES
    for place in ('edge', 'cloud'):
        found = re.search(
            r'(\d+) published, (\d+) answered, (\d+) dropped for newer ones, (\d+) lost',
            notes_in(results, 'camera', f'nano, {place}'))
        assert found is not None
        published, answered, dropped, lost = map(int, found.groups())
        assert answered == FRAMES
        assert published >= answered + dropped + lost
    stage = 'total at 20 images a second'
    assert all(each['seconds'][stage] >= 0.04
               for each in records if each['contender'] == 'nano, cloud')


def test_report_and_plots(results: Path) -> None:
    """The report says what the paper's comparison says, beside it."""
    report = (results / REPORT_FILE).read_text(encoding='utf-8')
    assert re.search(r'nano: \d+ ms on the edge \(standard deviation \d+\), \d+ ms in the cloud '
                     r'\(\d+\); the paper has 246 ms and 529 ms', report)
    for experiment in ('consecutive', 'camera'):
        assert f'![{experiment}]({experiment}.png)' in report
        assert cv2.imread(str(results / f'{experiment}.png')) is not None
    assert {'node_prompt.log', 'node_track.log', 'robot.log'} <= {
        file.name for file in (results / 'cloud').iterdir()}


def test_nothing_is_left_after_a_kill(
    nano_bundle: Path, can_make_hosts: None, tmp_path: Path,
) -> None:
    """Robots, nodes and link end with the command, even if it cannot clean up."""
    process = subprocess.Popen(
        command(nano_bundle, tmp_path / 'out', '--experiments', 'consecutive', '--runs', 10_000),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    shown = b''
    while b'1/20000' not in shown:  # of the progress bar
        assert select.select([process.stderr], [], [], TIMEOUT)[0]
        more = os.read(process.stderr.fileno(), 65536)
        assert more, shown
        shown += more
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) == 5  # the link; in each place robot and node
    process.kill()
    process.communicate()
    assert psutil.wait_procs(children, TIMEOUT)[1] == []


def test_robot_without_a_node(tmp_path: Path) -> None:
    """The robot's error comes back as one."""
    order = Order(tmp_path / 'no_bundle', 'cpu', 1, tmp_path / 'edge', 'prompt', SIZE)
    with Robot(order) as robot, pytest.raises(
            BenchmarkError, match=r'ended by itself: .*no_bundle'):
        robot.wait()


@pytest.mark.parametrize(('arguments', 'status', 'said'), [
    (['--link', 'delay=20ms'], 1, '--link is between a camera and a node: give --ros, too'),
    (['--ros', '--link', 'delay=20'], 2, 'delay=20: a number and one of us, ms, s'),
    (['--ros', '--link', 'rate=100mbit', '--link-images', 'raw'], 1,
     'an image of 2.8 MB is 1869 packets, of which the queue of the link holds 1000: none would '
     'come whole. Give --link ...,queue=2336, smaller images by --image-size, or '
     '--link-images compressed')], ids=['no --ros', 'no unit', 'too large'])
def test_what_cannot_be_measured(
    nano_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str],
    status: int, said: str,
) -> None:
    """One line, before anything is measured."""
    try:
        found = cli.main(
            ['benchmark', str(nano_bundle), '--output', str(tmp_path / 'out'), *arguments])
    except SystemExit as error:
        found = error.code  # type: ignore[assignment]  # of argparse
    assert found == status
    assert said in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
