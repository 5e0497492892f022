# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The official SAM 2 and SAM 2.1 checkpoints, and a download that survives a broken connection."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from sam2_ros.model.bundle import sha256_of
from sam2_ros.model.errors import Sam2RosError

#: The publisher's address, from checkpoints/download_ckpts.sh of facebookresearch/sam2.
OFFICIAL_BASE_URL = 'https://dl.fbaipublicfiles.com/segment_anything_2'
#: Attempts in a row that bring not one new byte, after which a download gives up.
ATTEMPTS = 5
#: Seconds before the second attempt; doubled for each further one.
FIRST_DELAY = 1.0
DEFAULT_TIMEOUT = 30.0

_BLOCK = 1 << 18
_BUSY = (429, 500, 502, 503, 504)

#: Called with the bytes that are on disk and the bytes of the whole file.
ProgressCallback = Callable[[int, int], None]
#: Called with a line that says why the transfer is being tried again.
NoticeCallback = Callable[[str], None]


class DownloadError(Sam2RosError):
    """A checkpoint could not be downloaded, or is not the official file."""


@dataclass(frozen=True)
class Checkpoint:
    """
    A published checkpoint.

    ``name`` is the model's name in this package, ``folder`` the publisher's folder under the base
    address, ``parameters`` the model's size in millions as the publisher's README gives it.
    """

    name: str
    folder: str
    file: str
    parameters: float
    size_bytes: int
    sha256: str

    def url(self, base_url: str = OFFICIAL_BASE_URL) -> str:
        """Return the file's address at the publisher, or at a mirror with the same folders."""
        return f'{base_url.rstrip("/")}/{self.folder}/{self.file}'


# Sizes and SHA-256, each found alike in two independent places on 2026-11-21: the Git LFS pointers
# of uploads of these files (SAM 2: the publisher's own model repositories facebook/sam2-hiera-*,
# base_plus also merve/sam2-hiera-base-plus; SAM 2.1: facebook/sam2.1-hiera-tiny and
# camenduru/sam2-1-hiera), and the table in micro_sam/v2/util.py of
# computational-cell-analytics/micro-sam. The hash of sam2_hiera_large is from that table and from
# tools that check it on a download from the address above.
CHECKPOINTS: tuple[Checkpoint, ...] = (
    Checkpoint(
        'sam2.1_tiny', '092824', 'sam2.1_hiera_tiny.pt', 38.9, 156_008_466,
        '7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69'),
    Checkpoint(
        'sam2.1_small', '092824', 'sam2.1_hiera_small.pt', 46.0, 184_416_285,
        '6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38'),
    Checkpoint(
        'sam2.1_base_plus', '092824', 'sam2.1_hiera_base_plus.pt', 80.8, 323_606_802,
        'a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5'),
    Checkpoint(
        'sam2.1_large', '092824', 'sam2.1_hiera_large.pt', 224.4, 898_083_611,
        '2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318'),
    Checkpoint(
        'sam2_tiny', '072824', 'sam2_hiera_tiny.pt', 38.9, 155_906_050,
        '65b50056e05bcb13694174f51bb6da89c894b57b75ccdf0ba6352c597c5d1125'),
    Checkpoint(
        'sam2_small', '072824', 'sam2_hiera_small.pt', 46.0, 184_309_650,
        '95949964d4e548409021d47b22712d5f1abf2564cc0c3c765ba599a24ac7dce3'),
    Checkpoint(
        'sam2_base_plus', '072824', 'sam2_hiera_base_plus.pt', 80.8, 323_493_298,
        'd0bb7f236400a49669ffdd1be617959a8b1d1065081789d7bbff88eded3a8071'),
    Checkpoint(
        'sam2_large', '072824', 'sam2_hiera_large.pt', 224.4, 897_952_466,
        '7442e4e9b732a508f80e141e7c2913437a3610ee0c77381a66658c3a445df87b'),
)


def find_checkpoint(name: str) -> Checkpoint:
    """
    Return the checkpoint of the model called ``name``, or of the file of that name.

    :raises DownloadError: there is none, naming those there are.
    """
    for checkpoint in CHECKPOINTS:
        if name in (checkpoint.name, checkpoint.file, checkpoint.file.removesuffix('.pt')):
            return checkpoint
    known = ', '.join(checkpoint.name for checkpoint in CHECKPOINTS)
    raise DownloadError(f'"{name}" has no official checkpoint; there are {known}')


def part_path(checkpoint: Checkpoint, folder: Path) -> Path:
    """Return the file that holds what has arrived of an unfinished download."""
    return folder / f'{checkpoint.file}.part'


def download(
    checkpoint: Checkpoint,
    folder: Path,
    base_url: str = OFFICIAL_BASE_URL,
    timeout: float = DEFAULT_TIMEOUT,
    progress: ProgressCallback | None = None,
    notice: NoticeCallback | None = None,
) -> bool:
    """
    Put ``checkpoint`` into ``folder``; return whether anything had to be downloaded.

    A file that is already there is verified and kept. What arrives goes to ``NAME.pt.part`` and
    is renamed only when its size and SHA-256 are right; whatever ends the download, a part stays
    and the next call goes on from it. A connection that breaks is taken up again by itself.

    :param timeout: seconds without a byte after which a connection counts as broken.
    :raises DownloadError: the server, the network, the disk or the file's content, in one line.
    """
    if not base_url.startswith(('http://', 'https://')):
        raise DownloadError(f'"{base_url}" is not an http:// or https:// address')
    target = folder / checkpoint.file
    try:
        if target.exists():
            _check_existing(checkpoint, target)
            return False
        folder.mkdir(parents=True, exist_ok=True)
        transfer = _Transfer(checkpoint, folder, base_url, timeout, progress, notice)
        resumed = transfer.offset() > 0
        transfer.run()
        found = sha256_of(transfer.part)
        if found != checkpoint.sha256 and resumed:
            # The earlier part may be of another version of the file, or damaged.
            transfer.discard('what had arrived earlier does not fit the official file')
            transfer.run()
            found = sha256_of(transfer.part)
        if found != checkpoint.sha256:
            transfer.discard()
            raise DownloadError(
                f'{transfer.url}: not the official file, its SHA-256 is {found} and not '
                f'{checkpoint.sha256}; what arrived was deleted')
        transfer.part.replace(target)
    except OSError as error:
        raise DownloadError(f'{error.filename or folder}: {error.strerror or error}') from None
    return True


def _check_existing(checkpoint: Checkpoint, file: Path) -> None:
    found = sha256_of(file)
    if found != checkpoint.sha256:
        raise DownloadError(
            f'{file}: exists but is not the official file (SHA-256 {found[:12]}..., official '
            f'{checkpoint.sha256[:12]}...); move it away to download the official one')


class _InterruptedError(Exception):
    """The transfer broke in a way that another attempt may mend."""


class _Transfer:
    """Fills the part file of one checkpoint, over as many connections as it takes."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        folder: Path,
        base_url: str,
        timeout: float,
        progress: ProgressCallback | None,
        notice: NoticeCallback | None,
    ) -> None:
        self.part = part_path(checkpoint, folder)
        self.url = checkpoint.url(base_url)
        self._size = checkpoint.size_bytes
        self._timeout = timeout
        self._answered = False
        self._progress = progress or (lambda done, total: None)
        self._notice = notice or (lambda line: None)

    def offset(self) -> int:
        """Return how many bytes of the file are on disk."""
        return self.part.stat().st_size if self.part.exists() else 0

    def discard(self, reason: str | None = None) -> None:
        """Delete what has arrived; with a ``reason``, say that the file is begun anew."""
        self.part.unlink(missing_ok=True)
        if reason:
            self._notice(f'{reason}; beginning anew')

    def run(self) -> None:
        """Bring the part to the size of the whole file."""
        if self.offset() > self._size:
            self.discard(f'{self.part} is larger than the official file')
        self._check_space()
        failures = 0
        while (before := self.offset()) < self._size:
            try:
                self._attempt(before)
                failures = 0
            except _InterruptedError as reason:
                failures = failures + 1 if self.offset() <= before else 1
                if failures >= ATTEMPTS:
                    raise DownloadError(
                        f'{self.url}: {reason}, {ATTEMPTS} times in a row{self._kept()}') from None
                delay = FIRST_DELAY * 2 ** (failures - 1)
                self._notice(f'{reason}; trying again in {delay:g} s')
                time.sleep(delay)

    def _attempt(self, offset: int) -> None:
        """Open one connection and write what it brings."""
        request = urllib.request.Request(self.url, headers={'User-Agent': 'sam2-ros'})
        if offset:
            request.add_header('Range', f'bytes={offset}-')
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as response:
                self._receive(response, offset)
        except urllib.error.HTTPError as error:
            self._refused(error)
        except urllib.error.URLError as error:
            self._unreachable(error.reason)
        except (ConnectionError, TimeoutError, http.client.HTTPException) as error:
            raise _InterruptedError(self._why(error)) from None

    def _receive(self, response: http.client.HTTPResponse, offset: int) -> None:
        self._answered = True
        start = self._start_of(response, offset)
        with self.part.open('ab', buffering=0) as stream:
            stream.truncate(start)
            done = start
            self._progress(done, self._size)
            while block := self._read(response):
                done += len(block)
                if done > self._size:
                    raise DownloadError(
                        f'{self.url}: sends more than the {self._size} bytes of the official file')
                self._write(stream, block)
                self._progress(done, self._size)
            os.fsync(stream.fileno())
        if done < self._size:
            raise _InterruptedError('the connection was closed early')

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        try:
            return response.read1(_BLOCK)
        except (OSError, http.client.HTTPException) as error:
            raise _InterruptedError(self._why(error)) from None

    def _write(self, stream: FileIO, block: bytes) -> None:
        rest = memoryview(block)
        try:
            while rest:
                rest = rest[stream.write(rest):]
        except OSError as error:
            raise DownloadError(f'{self.part}: {error.strerror}{self._kept()}') from None

    def _start_of(self, response: http.client.HTTPResponse, offset: int) -> int:
        """Return where in the file the answer begins; 0 if the server ignores the range."""
        if response.status == http.client.PARTIAL_CONTENT:
            found = re.fullmatch(
                r'bytes (\d+)-\d+/(\d+|\*)', response.headers.get('Content-Range', ''))
            if found is None or int(found[1]) != offset:
                self.discard()
                raise _InterruptedError('the server sent another range than the one asked for')
            self._check_size(None if found[2] == '*' else int(found[2]))
            return offset
        self._check_size(response.length)
        if offset:
            self._notice('the server does not go on from the middle; beginning anew')
        return 0

    def _check_size(self, offered: int | None) -> None:
        if offered not in (None, self._size):
            raise DownloadError(
                f'{self.url}: has {offered} bytes, the official file {self._size}; it is another '
                f'file{self._kept()}')

    def _refused(self, error: urllib.error.HTTPError) -> None:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            self.discard()
            raise _InterruptedError('the server refused to go on from the part') from None
        if error.code in _BUSY:
            raise _InterruptedError(f'HTTP {error.code} {error.reason}') from None
        raise DownloadError(f'{self.url}: HTTP {error.code} {error.reason}') from None

    def _unreachable(self, reason: str | BaseException) -> None:
        """Fail at once where the server never answered, so that a missing network is told fast."""
        if isinstance(reason, TimeoutError) or self._answered:
            raise _InterruptedError(self._why(reason)) from None
        raise DownloadError(f'{self.url}: {self._why(reason)}{self._kept()}') from None

    def _why(self, reason: str | BaseException) -> str:
        if isinstance(reason, TimeoutError):
            return f'no answer for {self._timeout:g} s'
        if isinstance(reason, socket.gaierror):
            return 'the host is not known here; is there a network?'
        if isinstance(reason, OSError) and reason.strerror:
            return reason.strerror
        return str(reason) or type(reason).__name__

    def _check_space(self) -> None:
        needed = self._size - self.offset()
        free = shutil.disk_usage(self.part.parent).free
        if free < needed:
            raise DownloadError(
                f'{self.part.parent}: {needed / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB '
                f'free{self._kept()}')

    def _kept(self) -> str:
        offset = self.offset()
        if not offset:
            return ''
        return f'; {offset / 1e6:.1f} MB are kept in {self.part}, the same command goes on'
