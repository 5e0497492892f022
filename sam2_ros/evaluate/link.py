# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two hosts on this machine, and a link between them."""

from __future__ import annotations

import dataclasses
import json
import math
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from sam2_ros.evaluate import host, link_probe, link_process
from sam2_ros.evaluate.errors import BenchmarkError
from sam2_ros.evaluate.link_probe import PACKET, LinkFigures
from sam2_ros.evaluate.link_process import LinkOptions, Traffic

#: Addresses of the two hosts, from a network that is for examples (RFC 5737).
ADDRESSES = ('192.0.2.1', '192.0.2.2')
#: Seconds; the link counts while it carries.
ANSWER_TIMEOUT = 10.0
#: Seconds for an answer to a probe, beside its travel.
_PATIENCE = 2.0
#: Seconds that a train of packets takes at the rate asked for, and its packets: least and most.
_TRAIN_TIME, _TRAIN_SHORTEST, _TRAIN_LONGEST = 0.2, 10, 500


@dataclass(frozen=True)
class Host:
    """A host that is to be: its IPv4 address, and the socket that its device is sent through."""

    address: str
    socket: int

    def command(self, command: Sequence[str]) -> list[str]:
        """Return what starts ``command`` on the host; ``socket`` must be passed on to it."""
        return [sys.executable, '-m', host.__name__, self.address, str(self.socket), *command]


def require_hosts() -> None:
    """:raises BenchmarkError: no host can be made here; tells what is needed."""
    ours, its = socket.socketpair()
    with ours, its:
        tried = subprocess.run(
            Host(ADDRESSES[0], its.fileno()).command(['true']), pass_fds=[its.fileno()],
            stderr=subprocess.PIPE, text=True, check=False)
    if tried.returncode:
        raise BenchmarkError(tried.stderr.strip().splitlines()[-1])


class Link:
    """
    Two hosts and the link between them, for the time of a ``with`` statement.

    ``hosts``: ways to start a first command on each; packets go as soon as both run.
    """

    def __init__(self, options: LinkOptions) -> None:
        self.options = options

    def __enter__(self) -> Link:
        self._control, its_control = socket.socketpair()
        self._sockets = [socket.socketpair() for _ in ADDRESSES]
        self.hosts = [
            Host(address, ours.fileno())
            for address, (ours, _) in zip(ADDRESSES, self._sockets, strict=True)]
        numbers = [its_control.fileno(), *(its.fileno() for _, its in self._sockets)]
        document = json.dumps(dataclasses.asdict(self.options))
        # In a session of its own: Ctrl-C is for the benchmark, which then ends the process.
        self._process = subprocess.Popen(
            [sys.executable, '-m', link_process.__name__, document, *map(str, numbers)],
            pass_fds=numbers, start_new_session=True)
        for each in (its_control, *(its for _, its in self._sockets)):
            each.close()
        self._answers = self._control.makefile('rb')
        self._control.settimeout(ANSWER_TIMEOUT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._answers.close()
        for each in (self._control, *(ours for ours, _ in self._sockets)):
            each.close()

    def traffic(self) -> list[Traffic]:
        """
        Return what went from the first host to the second, and back, until now.

        :raises BenchmarkError: the process that carries the packets has failed.
        """
        try:
            self._control.sendall(b'?')
            return [Traffic(**way) for way in json.loads(self._answers.readline())]
        except (OSError, ValueError) as error:
            raise BenchmarkError(f'the link between the hosts has failed ({error})') from None


def probe_link(options: LinkOptions) -> LinkFigures:
    """
    Measure a link that is made for that; takes some seconds.

    :raises BenchmarkError: there can be no such link here, or nothing gets through it.
    """
    train = min(_TRAIN_LONGEST, options.queue - 1)  # and what follows it
    if not math.isinf(options.rate):
        train = min(train, max(_TRAIN_SHORTEST, int(_TRAIN_TIME * options.rate / (8 * PACKET))))
    patience = _PATIENCE + 2 * options.travel(train * PACKET)
    command = [sys.executable, '-m', link_probe.__name__]
    with Link(options) as link:
        near, far = link.hosts
        with subprocess.Popen(
                far.command([*command, 'echo', far.address]), pass_fds=[far.socket]) as echo:
            try:
                found = subprocess.run(
                    near.command([*command, 'probe', far.address, str(train), str(patience)]),
                    pass_fds=[near.socket], capture_output=True, text=True, check=False)
            finally:
                echo.kill()
    if found.returncode:
        raise BenchmarkError(f'the link cannot be probed: {found.stderr.strip().splitlines()[-1]}')
    return LinkFigures(**json.loads(found.stdout))
