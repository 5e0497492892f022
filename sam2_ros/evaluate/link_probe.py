# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What a link really does to packets, as seen from its two hosts.

This module is what runs on them (``main``), and what starts it (``probe_link``).
"""

from __future__ import annotations

import dataclasses
import json
import math
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

from sam2_ros.evaluate.errors import BenchmarkError
from sam2_ros.evaluate.link import ADDRESSES, Link, LinkOptions

#: Pings, and seconds between them: long enough that the jitter has changed; trains of packets.
PINGS, PING_PERIOD, TRAINS = 40, 0.05, 3
#: Bytes of an IP packet of a train, and of that IP's and UDP's heads.
_PACKET, _HEADS = 1500, 28
#: Seconds that a train takes at the rate that is asked for, and its packets at least and at most.
_TRAIN_TIME, _TRAIN_SHORTEST, _TRAIN_LONGEST = 0.2, 10, 500
#: What is no ping.
_REACH, _END = b'reach', b'end'
#: Seconds for two processes to start on a busy machine, and for an answer beside its travel.
_START_TIMEOUT, _PATIENCE = 20.0, 2.0
_PORT = 7  # echo


@dataclass(frozen=True)
class LinkFigures:
    """What was measured of a link: seconds there and back, and bits of IP packets a second."""

    round_trip: float
    round_trip_deviation: float
    rate: float

    def __str__(self) -> str:
        return (f'there and back {1e3 * self.round_trip:.1f} ms, standard deviation '
                f'{1e3 * self.round_trip_deviation:.1f} ms; {self.rate / 1e6:.1f} Mbit/s')


def probe_link(options: LinkOptions) -> LinkFigures:
    """
    Measure a link that is made for that; takes some seconds.

    :raises BenchmarkError: there can be no such link here, or nothing gets through it.
    """
    train = min(_TRAIN_LONGEST, options.queue - 1)  # and what follows it
    if not math.isinf(options.rate):
        train = min(train, max(_TRAIN_SHORTEST, int(_TRAIN_TIME * options.rate / (8 * _PACKET))))
    patience = _PATIENCE + 2 * options.travel(train * _PACKET)
    command = [sys.executable, '-m', __name__]
    with Link(options) as link:
        near, far = link.hosts
        with subprocess.Popen(far.command([*command, 'echo']), pass_fds=[far.socket]) as echo:
            try:
                found = subprocess.run(
                    near.command([*command, 'probe', str(train), str(patience)]),
                    pass_fds=[near.socket], capture_output=True, text=True, check=False)
            finally:
                echo.kill()
    if found.returncode:
        raise BenchmarkError(f'the link cannot be probed: {found.stderr.strip().splitlines()[-1]}')
    return LinkFigures(**json.loads(found.stdout))


def _echo() -> None:
    """Send back what comes; a train of packets as its length and when its ends came."""
    arrivals: list[float] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        port.bind((ADDRESSES[1], _PORT))
        while True:
            packet, sender = port.recvfrom(_PACKET)
            if len(packet) == _PACKET - _HEADS:
                arrivals.append(time.monotonic())
            elif packet == _END and arrivals:
                port.sendto(json.dumps([len(arrivals), arrivals[0], arrivals[-1]]).encode(), sender)
                arrivals.clear()
            else:
                port.sendto(packet, sender)


def _probe(train: int, patience: float) -> LinkFigures:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        port.connect((ADDRESSES[1], _PORT))
        _reach(port)
        port.settimeout(patience)
        trips = []
        for number in range(PINGS):
            begin = time.monotonic()
            ping = str(number).encode()
            port.send(ping)
            while port.recv(_PACKET) != ping:
                pass  # of _reach
            trips.append(time.monotonic() - begin)
            time.sleep(PING_PERIOD)
        rate = statistics.median(_rate(port, train) for _ in range(TRAINS))
    return LinkFigures(statistics.mean(trips), statistics.stdev(trips), rate)


def _reach(port: socket.socket) -> None:
    """Wait until the other host is there."""
    port.settimeout(0.1)
    end = time.monotonic() + _START_TIMEOUT
    while True:
        try:
            port.send(_REACH)
            port.recv(_PACKET)
            return
        except OSError:  # nobody listens yet, or the answer is on its way
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def _rate(port: socket.socket, train: int) -> float:
    for _ in range(train):
        port.send(bytes(_PACKET - _HEADS))
    port.send(_END)
    count, first, last = json.loads(port.recv(_PACKET))
    return float(8 * _PACKET * (count - 1) / (last - first))


def main() -> int:
    """Be one of the two ends."""
    what, *arguments = sys.argv[1:]
    if what == 'echo':
        _echo()
    train, patience = arguments
    try:
        print(json.dumps(dataclasses.asdict(_probe(int(train), float(patience)))))
    except OSError as error:
        print(f'nothing gets through ({error})', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
