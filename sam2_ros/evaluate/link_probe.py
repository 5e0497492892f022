# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a link really does to packets, as seen by a process on each of its hosts."""

from __future__ import annotations

import dataclasses
import json
import socket
import statistics
import sys
import time
from dataclasses import dataclass

#: Pings, and seconds between them: long enough that the jitter has changed; trains of packets.
PINGS, PING_PERIOD, TRAINS = 40, 0.05, 3
#: Bytes of an IP packet of a train, and of that IP's and UDP's heads.
PACKET, _HEADS = 1500, 28
#: What is no ping.
_REACH, _END = b'reach', b'end'
#: Seconds for two processes to start on a busy machine.
_START_TIMEOUT = 20.0
_PORT = 9007


@dataclass(frozen=True)
class LinkFigures:
    """What was measured of a link: seconds there and back, and bits of IP packets a second."""

    round_trip: float
    round_trip_deviation: float
    rate: float

    def __str__(self) -> str:
        return (f'there and back {1e3 * self.round_trip:.1f} ms, standard deviation '
                f'{1e3 * self.round_trip_deviation:.1f} ms; {self.rate / 1e6:.1f} Mbit/s')


def _echo(address: str) -> None:
    """Send back what comes; a train of packets as its length and when its ends came."""
    arrivals: list[float] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        port.bind((address, _PORT))
        while True:
            packet, sender = port.recvfrom(PACKET)
            if len(packet) == PACKET - _HEADS:
                arrivals.append(time.monotonic())
            elif packet == _END and arrivals:
                port.sendto(json.dumps([len(arrivals), arrivals[0], arrivals[-1]]).encode(), sender)
                arrivals.clear()
            else:
                port.sendto(packet, sender)


def _probe(address: str, train: int, patience: float) -> LinkFigures:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        port.connect((address, _PORT))
        _reach(port)
        port.settimeout(patience)
        trips = []
        for number in range(PINGS):
            begin = time.monotonic()
            ping = str(number).encode()
            port.send(ping)
            while port.recv(PACKET) != ping:
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
            port.recv(PACKET)
            return
        except OSError:  # nobody listens yet, or the answer is on its way
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def _rate(port: socket.socket, train: int) -> float:
    for _ in range(train):
        port.send(bytes(PACKET - _HEADS))
    port.send(_END)
    count, first, last = json.loads(port.recv(PACKET))
    return float(8 * PACKET * (count - 1) / (last - first))


def main() -> None:
    """Be one of the two ends: ``echo ADDRESS``, or ``probe ADDRESS TRAIN PATIENCE``."""
    what, address, *arguments = sys.argv[1:]
    if what == 'echo':
        _echo(address)
    train, patience = arguments
    try:
        print(json.dumps(dataclasses.asdict(_probe(address, int(train), float(patience)))))
    except OSError as error:
        sys.exit(f'nothing gets through ({error})')


if __name__ == '__main__':
    main()
