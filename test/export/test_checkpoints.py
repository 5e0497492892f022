# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sam2-ros checkpoints`` against a local server that breaks, lies and forgets like real ones."""

from __future__ import annotations

import argparse
import hashlib
import http.server
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sam2_ros.export import checkpoints, checkpoints_command
from sam2_ros.export.checkpoints import CHECKPOINTS, Checkpoint, DownloadError

# Larger than any socket buffer on loopback, so that a broken connection loses a part of it.
CONTENT = random.Random(2).randbytes(3_000_000)
HALF = len(CONTENT) // 2
MODEL = Checkpoint(
    'sam2.1_tiny', '092824', 'sam2.1_hiera_tiny.pt', 38.9, len(CONTENT),
    hashlib.sha256(CONTENT).hexdigest())


class Server(http.server.ThreadingHTTPServer):
    """Serves ``content``; each request first takes a fault from ``faults``, if there is one."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(('127.0.0.1', 0), Handler)
        self.content = CONTENT
        self.ranges = True
        self.faults: list[str] = []
        self.requests: list[tuple[str, str | None]] = []
        self.release = threading.Event()

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self.server_port}'

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that stop in the middle are what some tests are about."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:  # the name that http.server calls
        wanted = self.headers.get('Range')
        self.server.requests.append((self.path, wanted))
        fault = self.server.faults.pop(0) if self.server.faults else ''
        if fault.isdigit():
            self.send_error(int(fault))
            return
        content = self.server.content
        start = 0
        if wanted and self.server.ranges and fault != 'forget':
            start = int(wanted.removeprefix('bytes=').removesuffix('-'))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header(
                'Content-Range', f'bytes {start}-{len(content) - 1}/{len(content)}')
        else:
            self.send_response(200)
        if fault != 'unsized':
            self.send_header('Content-Length', str(len(content) - start))
        self.end_headers()
        self._send(content[start:], fault)

    def _send(self, rest: bytes, fault: str) -> None:
        if fault == 'break':
            self.wfile.write(rest[:len(rest) // 2])
        elif fault == 'reset':
            self.wfile.write(rest[:len(rest) // 2])
            # A linger time of zero makes close() send a reset instead of an orderly end.
            self.connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, b'\x01\0\0\0\0\0\0\0')
        elif fault == 'stall':
            self.wfile.write(rest[:len(rest) // 2])
            self.wfile.flush()
            self.server.release.wait(30)
        else:
            self.wfile.write(rest)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(checkpoints, 'CHECKPOINTS', (MODEL,))
    monkeypatch.setattr(checkpoints, 'FIRST_DELAY', 0.0)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.release.set()
        server.shutdown()
        thread.join()


def command(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    checkpoints_command.add_arguments(parser)
    return checkpoints_command.run(parser.parse_args([str(argument) for argument in arguments]))


def fetch(server: Server, folder: Path, *more: str) -> int:
    return command(
        '--download', MODEL.name, '--output', folder, '--base-url', server.url, *more)


def failure(*arguments: str | Path) -> str:
    """Run the command, which must fail; return its message, which must be one line."""
    with pytest.raises(DownloadError) as caught:
        command(*arguments)
    message = str(caught.value)
    assert '\n' not in message
    return message


def fetch_failure(server: Server, folder: Path, *more: str) -> str:
    return failure(
        '--download', MODEL.name, '--output', folder, '--base-url', server.url, *more)


def assert_complete(folder: Path) -> None:
    assert (folder / MODEL.file).read_bytes() == CONTENT
    assert [entry.name for entry in folder.iterdir()] == [MODEL.file]


def leave_part(folder: Path, content: bytes) -> Path:
    part = folder / f'{MODEL.file}.part'
    part.write_bytes(content)
    return part


def test_lists_the_eight_official_checkpoints(capsys: pytest.CaptureFixture[str]) -> None:
    assert command() == 0
    listing = capsys.readouterr().out
    for version, folder in (('sam2.1', '092824'), ('sam2', '072824')):
        for size in ('tiny', 'small', 'base_plus', 'large'):
            line = next(row for row in listing.splitlines() if row.startswith(f'{version}_{size} '))
            assert line.endswith(
                f'https://dl.fbaipublicfiles.com/segment_anything_2/{folder}/'
                f'{version}_hiera_{size}.pt')
    assert '156.0 MB' in listing
    assert 'Apache-2.0' in listing


def test_every_checkpoint_has_a_hash_and_a_plausible_size() -> None:
    assert len(CHECKPOINTS) == len({checkpoint.sha256 for checkpoint in CHECKPOINTS}) == 8
    for checkpoint in CHECKPOINTS:
        assert re.fullmatch('[0-9a-f]{64}', checkpoint.sha256)
        # Four bytes a parameter; the published counts are rounded to 0.1 million, and the files
        # hold up to 1 % more than the parameters.
        assert checkpoint.size_bytes == pytest.approx(4e6 * checkpoint.parameters, rel=0.01)


@pytest.mark.parametrize('name', ['sam2.1_tiny', 'sam2.1_hiera_tiny', 'sam2.1_hiera_tiny.pt'])
def test_downloads(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str,
) -> None:
    folder = tmp_path / 'new' / 'folder'
    assert command('--download', name, '--output', folder, '--base-url', f'{server.url}/') == 0
    assert_complete(folder)
    assert server.requests == [(f'/{MODEL.folder}/{MODEL.file}', None)]
    output = capsys.readouterr()
    file = folder / MODEL.file
    assert output.out.splitlines() == [
        f'{file}: downloaded, SHA-256 verified',
        f'export it: sam2-ros export --model sam2.1_tiny --checkpoint {file}']
    assert '100 % 3.0/3.0 MB' in output.err


def test_keeps_and_verifies_what_is_there(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / MODEL.file).write_bytes(CONTENT)
    assert fetch(server, tmp_path) == 0
    assert server.requests == []
    assert 'was already there, SHA-256 verified' in capsys.readouterr().out


def test_does_not_touch_another_file_of_that_name(server: Server, tmp_path: Path) -> None:
    (tmp_path / MODEL.file).write_bytes(b'my own fine-tuned weights')
    assert 'is not the official file' in fetch_failure(server, tmp_path)
    assert (tmp_path / MODEL.file).read_bytes() == b'my own fine-tuned weights'
    assert server.requests == []


@pytest.mark.parametrize('fault', ['break', 'reset'])
def test_takes_a_broken_connection_up_again(
    server: Server, tmp_path: Path, fault: str, capsys: pytest.CaptureFixture[str],
) -> None:
    server.faults = [fault, fault]
    assert fetch(server, tmp_path) == 0
    assert_complete(tmp_path)
    offsets = [int(wanted[6:-1]) for _, wanted in server.requests if wanted]
    assert len(offsets) == 2
    assert 0 < offsets[0] < offsets[1] < len(CONTENT)
    assert 'trying again' in capsys.readouterr().err


def test_resumes_the_part_of_an_earlier_run(server: Server, tmp_path: Path) -> None:
    leave_part(tmp_path, CONTENT[:HALF])
    assert fetch(server, tmp_path) == 0
    assert_complete(tmp_path)
    assert server.requests == [(f'/{MODEL.folder}/{MODEL.file}', f'bytes={HALF}-')]


def test_a_whole_part_needs_no_request(server: Server, tmp_path: Path) -> None:
    leave_part(tmp_path, CONTENT)
    assert fetch(server, tmp_path) == 0
    assert_complete(tmp_path)
    assert server.requests == []


def test_a_server_without_ranges_is_read_from_the_start(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    server.ranges = False
    leave_part(tmp_path, CONTENT[:HALF])
    assert fetch(server, tmp_path) == 0
    assert_complete(tmp_path)
    assert len(server.requests) == 1
    assert 'the server does not go on from the middle; beginning anew' in capsys.readouterr().err


def test_a_server_that_tells_no_length_is_read_to_the_end(server: Server, tmp_path: Path) -> None:
    server.faults = ['unsized']
    assert fetch(server, tmp_path) == 0
    assert_complete(tmp_path)


@pytest.mark.parametrize('part', [
    b'\0' * HALF,  # of another version of the file: its hash betrays it at the end
    CONTENT + b'tail',
])
def test_a_part_that_does_not_fit_is_begun_anew(
    server: Server, tmp_path: Path, part: bytes, capsys: pytest.CaptureFixture[str],
) -> None:
    leave_part(tmp_path, part)
    assert fetch(server, tmp_path) == 0
    assert_complete(tmp_path)
    assert server.requests[-1][1] is None
    progress = capsys.readouterr().err
    assert 'beginning anew' in progress
    assert not re.search(r'-[\d.]+ MB/s', progress)


def test_a_file_that_changed_its_size_on_the_server_is_refused(
    server: Server, tmp_path: Path,
) -> None:
    leave_part(tmp_path, CONTENT[:HALF])
    server.content = CONTENT + b'a later version'
    assert f'{MODEL.file}: has 3000015 bytes, the official file 3000000' in fetch_failure(
        server, tmp_path)
    # What had arrived is still of use once the server, or another one, has the right file.
    server.content = CONTENT
    assert fetch(server, tmp_path) == 0
    assert_complete(tmp_path)
    assert server.requests[-1][1] == f'bytes={HALF}-'


def test_a_part_that_the_server_refuses_to_continue_is_begun_anew(
    server: Server, tmp_path: Path,
) -> None:
    leave_part(tmp_path, CONTENT[:HALF])
    server.faults = ['416']
    assert fetch(server, tmp_path) == 0
    assert_complete(tmp_path)


def test_wrong_content_of_the_right_size_is_deleted(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b'\0'
    assert CONTENT[-1:] != b'\0'
    line = fetch_failure(server, tmp_path)
    assert hashlib.sha256(server.content).hexdigest() in line
    assert MODEL.sha256 in line
    assert list(tmp_path.iterdir()) == []


def test_a_login_page_in_place_of_the_file_is_refused_before_it_is_stored(
    server: Server, tmp_path: Path,
) -> None:
    server.content = b'<html>Please sign in to this network</html>'
    assert 'has 43 bytes, the official file 3000000' in fetch_failure(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_more_than_the_official_file_is_refused(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT * 2
    server.faults = ['unsized']
    assert 'sends more than the 3000000 bytes' in fetch_failure(server, tmp_path)
    assert not (tmp_path / MODEL.file).exists()


def test_a_missing_file_is_told_at_once(server: Server, tmp_path: Path) -> None:
    server.faults = ['404']
    assert f'{MODEL.url(server.url)}: HTTP 404 Not Found' in fetch_failure(server, tmp_path)
    assert len(server.requests) == 1


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.faults = ['503', '429']
    assert fetch(server, tmp_path) == 0
    assert_complete(tmp_path)


def test_gives_up_where_nothing_arrives_any_more_and_keeps_the_part(
    server: Server, tmp_path: Path,
) -> None:
    server.faults = ['break'] + ['503'] * checkpoints.ATTEMPTS
    line = fetch_failure(server, tmp_path)
    assert 'HTTP 503' in line
    assert '1.5 MB are kept' in line
    assert (tmp_path / f'{MODEL.file}.part').read_bytes() == CONTENT[:HALF]
    assert fetch(server, tmp_path) == 0
    assert_complete(tmp_path)


def test_a_silent_server_times_out(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    server.faults = ['stall']
    assert fetch(server, tmp_path, '--timeout', '0.2') == 0
    assert_complete(tmp_path)
    assert 'no answer for 0.2 s; trying again' in capsys.readouterr().err


def test_a_server_that_is_not_there_is_told_at_once(server: Server, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(('127.0.0.1', 0))  # bound but not listening: connections are refused
        url = f'http://127.0.0.1:{unused.getsockname()[1]}'
        message = failure('--download', MODEL.name, '--output', tmp_path, '--base-url', url)
    assert message.endswith(f'{MODEL.file}: Connection refused')


def test_too_little_space_is_told_before_the_download(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=2_000_000)
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: usage)
    leave_part(tmp_path, CONTENT[:500_000])
    line = fetch_failure(server, tmp_path)
    assert '2 MB are needed and 2 MB free' in line
    assert '0.5 MB are kept' in line
    assert server.requests == []


def test_a_disk_that_fills_up_keeps_the_part(server: Server, tmp_path: Path) -> None:
    # A limit on the size of files makes write() fail as a full disk does.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        line = fetch_failure(server, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert f'{MODEL.file}.part: File too large' in line
    assert 'the same command goes on' in line
    part = (tmp_path / f'{MODEL.file}.part').read_bytes()
    assert part
    assert CONTENT.startswith(part)
    assert fetch(server, tmp_path) == 0
    assert_complete(tmp_path)


def test_a_folder_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    (tmp_path / 'file').write_bytes(b'')
    assert 'Not a directory' in fetch_failure(server, tmp_path / 'file' / 'folder')


@pytest.mark.parametrize('address', ['ftp://127.0.0.1', 'file:///tmp', 'mirror.example'])
def test_only_http_addresses(tmp_path: Path, address: str) -> None:
    assert f'"{address}" is not an http:// or https:// address' in failure(
        '--download', MODEL.name, '--output', tmp_path, '--base-url', address)


def test_an_unknown_name() -> None:
    line = failure('--download', 'sam3_tiny')
    assert '"sam3_tiny" has no official checkpoint' in line
    assert 'sam2.1_base_plus' in line


@pytest.mark.parametrize('timeout', ['0', '-1', 'nan', 'inf', 'soon'])
def test_a_timeout_that_is_none(timeout: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command('--timeout', timeout)
    assert f'"{timeout}" is not a positive number of seconds' in capsys.readouterr().err


def test_ctrl_c_keeps_the_part(server: Server, tmp_path: Path) -> None:
    # The child process has the real table: a file that begins like one of 156 MB, then silence.
    official = CHECKPOINTS[0]
    server.content = bytes(official.size_bytes)
    server.faults = ['stall']
    program = (
        'import argparse, sys; from sam2_ros.export import checkpoints_command as command; '
        'parser = argparse.ArgumentParser(); command.add_arguments(parser); '
        'sys.exit(command.run(parser.parse_args()))')
    with subprocess.Popen(
        [sys.executable, '-c', program, '--download', official.name, '--output', str(tmp_path),
         '--base-url', server.url],
        stderr=subprocess.PIPE, text=True,
    ) as child:
        assert child.stderr is not None
        for line in child.stderr:
            if ' 40 % ' in line:
                break
        child.send_signal(signal.SIGINT)
        rest = child.stderr.read()
        assert child.wait(30) == 130
    part = tmp_path / f'{official.file}.part'
    assert part.stat().st_size >= 0.4 * official.size_bytes
    assert rest.splitlines()[-1] == (
        f'sam2-ros: stopped; {part} is kept, the same command goes on')
    assert 'Traceback' not in rest
