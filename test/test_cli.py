# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command line: what every command shares."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from sam2_ros import cli
from sam2_ros.model.errors import Sam2RosError


def run_fresh(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a new interpreter, where nothing is imported yet."""
    # not in the current folder, which would come before the installed package
    return subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=False, cwd='/')


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], int]], None]:
    """Return a function that makes ``sam2-ros try`` do what it is given."""
    def install(act: Callable[[], int]) -> None:
        def run(args: argparse.Namespace) -> int:
            return act()

        module = ModuleType('sam2_ros_try')
        vars(module).update(DESCRIPTION='Try.', add_arguments=lambda parser: None, run=run)
        monkeypatch.setitem(sys.modules, 'sam2_ros_try', module)
        monkeypatch.setitem(cli.COMMANDS, 'try', cli.Command('sam2_ros_try', 'try'))

    return install


@pytest.mark.parametrize('name', cli.COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([name, '--help'])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f'usage: sam2-ros {name}')


def test_help_lists_the_commands_and_imports_no_heavy_module() -> None:
    process = run_fresh(
        'import sys; from sam2_ros import cli\n'
        'try: cli.main(["--help"])\n'
        'except SystemExit: pass\n'
        'print("imported:", *{"torch", "rclpy", "onnxruntime", "cv2"} & set(sys.modules))')
    assert process.returncode == 0, process.stderr
    *help_text, imported = process.stdout.splitlines()
    assert imported == 'imported:'
    listed = {line.split()[0] for line in help_text if line.startswith('    ')}
    assert set(cli.COMMANDS) <= listed


@pytest.mark.parametrize('name', ['info', 'segment'])
def test_commands_of_the_run_time_need_neither_pytorch_nor_ros(name: str) -> None:
    process = run_fresh(
        'import sys\n'
        'sys.modules.update({"torch": None, "rclpy": None})\n'
        f'from sam2_ros import cli; cli.main(["{name}", "--help"])')
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize('missing', ['onnxruntime', 'cv2'])
def test_a_missing_dependency_is_one_line_that_says_what_to_install(missing: str) -> None:
    process = run_fresh(
        'import sys\n'
        f'sys.modules["{missing}"] = None\n'
        'from sam2_ros import cli; sys.exit(cli.main(["segment", "photo.png"]))')
    assert process.returncode == 1
    assert len(process.stderr.splitlines()) == 1
    assert cli.INSTALL[missing] in process.stderr


def test_messages_that_were_not_built_are_one_line(
    command: Callable[[Callable[[], int]], None], capsys: pytest.CaptureFixture[str],
) -> None:
    def act() -> int:
        raise ModuleNotFoundError("No module named 'sam2_ros.msg'", name='sam2_ros.msg')

    command(act)
    assert cli.main(['try']) == 1
    assert 'install/setup.bash' in capsys.readouterr().err


def test_a_missing_module_of_our_own_is_no_advice_but_a_bug(
    command: Callable[[Callable[[], int]], None],
) -> None:
    def act() -> int:
        raise ModuleNotFoundError("No module named 'sam2_ros.x'", name='sam2_ros.x')

    command(act)
    with pytest.raises(ModuleNotFoundError):
        cli.main(['try'])


def test_an_error_of_ours_is_one_line_and_status_1(
    command: Callable[[Callable[[], int]], None], capsys: pytest.CaptureFixture[str],
) -> None:
    def act() -> int:
        raise Sam2RosError('the reason')

    command(act)
    assert cli.main(['try']) == 1
    assert capsys.readouterr().err == 'sam2-ros: the reason\n'


def test_ctrl_c_is_status_130_without_a_traceback(
    command: Callable[[Callable[[], int]], None], capsys: pytest.CaptureFixture[str],
) -> None:
    def act() -> int:
        raise KeyboardInterrupt

    command(act)
    assert cli.main(['try']) == 130
    assert 'Traceback' not in capsys.readouterr().err


def test_the_status_of_the_command_is_passed_on(
    command: Callable[[Callable[[], int]], None],
) -> None:
    command(lambda: 7)
    assert cli.main(['try']) == 7


def test_a_closed_pipe_ends_quietly() -> None:
    script = (
        'import sys; from sam2_ros import cli\n'
        'class Endless:\n'
        '    DESCRIPTION = ""\n'
        '    def add_arguments(self, parser): pass\n'
        '    def run(self, args):\n'
        '        while True: print("line")\n'
        'sys.modules["endless"] = Endless()\n'
        'cli.COMMANDS["endless"] = cli.Command("endless", "")\n'
        'sys.exit(cli.main(["endless"]))')
    with subprocess.Popen(
            [sys.executable, '-c', script],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd='/') as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == 'line\n'
        process.stdout.close()
        assert process.wait(timeout=60) == 1
        assert process.stderr.read() == ''
