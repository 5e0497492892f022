# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The process that is a link between two hosts: delay, jitter, limited bandwidth, a bounded queue.

Started by ``link``. It does what ``tc netem`` does in kernels that have it, which those of many
clouds and containers do not; and it counts what it carries.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import random
import re
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from sam2_ros.evaluate.host import end_with_parent

#: What a camera can send through a link.
COMPRESSED, RAW = 'compressed', 'raw'
#: Seconds in which jitter changes: about as long as the burst of somebody else that causes it.
JITTER_TIME = 0.05
#: Bits a second, seconds, packets; beyond these a link carries no images.
SLOWEST, LONGEST_DELAY, SHORTEST_QUEUE = 100e3, 10.0, 10
_TIMES = {'us': 1e-6, 'ms': 1e-3, 's': 1.0}
_RATES = {'kbit': 1e3, 'mbit': 1e6, 'gbit': 1e9}
#: Packets that are read before those that are due are written.
_BATCH = 64
_LARGEST_PACKET = 65536


@dataclass(frozen=True)
class LinkOptions:
    """
    What a link does to packets, each way for itself.

    ``delay``: seconds that each packet takes; ``jitter``: standard deviation of the delay, which
    changes within ``JITTER_TIME`` and never reorders packets; ``rate``: bits a second of IP
    packets; ``queue``: packets that may wait for their transmission, others are dropped.
    """

    delay: float = 0.0
    jitter: float = 0.0
    rate: float = math.inf
    queue: int = 1000

    @classmethod
    def parse(cls, text: str) -> LinkOptions:
        """
        Read ``delay=20ms,jitter=5ms,rate=100mbit,queue=1000``; what is left out is not limited.

        :raises ValueError: the text is no such list; says what is wrong.
        """
        values: dict[str, float] = {}
        for part in text.split(','):
            key, _, value = part.strip().partition('=')
            if key in values:
                raise ValueError(f'"{key}" is there twice')
            if key in ('delay', 'jitter'):
                values[key] = _quantity(key, value, _TIMES, '20ms')
            elif key == 'rate':
                values[key] = _quantity(key, value, _RATES, '100mbit')
            elif key == 'queue' and value.isdecimal() and int(value) >= SHORTEST_QUEUE:
                values[key] = int(value)
            else:
                raise ValueError(
                    f'"{part.strip()}" is none of delay=20ms, jitter=5ms, rate=100mbit and '
                    f'queue=1000 (packets, {SHORTEST_QUEUE} or more)')
        return cls(**values)  # type: ignore[arg-type]  # queue is an int

    def travel(self, size: int) -> float:
        """Return seconds that so many bytes take at most; jitter above four deviations is rare."""
        return self.delay + 4.0 * self.jitter + 8 * size / self.rate

    def __str__(self) -> str:
        rate = 'any' if math.isinf(self.rate) else f'{self.rate / 1e6:g} Mbit/s'
        return (f'delay {1e3 * self.delay:g} ms and jitter {1e3 * self.jitter:g} ms each way, rate '
                f'{rate}, queue {self.queue} packets')


@dataclass
class Traffic:
    """
    What went one way: packets and bytes, packets dropped by the full queue, seconds.

    ``waited``: in the queue, all packets together, and the longest; ``late``: what the carrying
    process added since it was not there in time, the same.
    """

    packets: int = 0
    bytes: int = 0
    dropped: int = 0
    waited: float = 0.0
    waited_longest: float = 0.0
    late: float = 0.0
    late_longest: float = 0.0


class Way:
    """One direction of a link. Times are seconds of one clock, which never goes back."""

    def __init__(self, options: LinkOptions, seed: int) -> None:
        self.traffic = Traffic()
        self._options = options
        self._random = random.Random(seed)
        self._queue: deque[float] = deque()
        self._flying: deque[tuple[float, bytes]] = deque()
        self._free = 0.0
        self._jitter, self._jittered = 0.0, -math.inf

    def send(self, packet: bytes, now: float) -> None:
        """Take a packet, or drop it."""
        while self._queue and self._queue[0] <= now:
            self._queue.popleft()
        if len(self._queue) >= self._options.queue:
            self.traffic.dropped += 1
            return
        begin = max(now, self._free)
        self._free = begin + 8 * len(packet) / self._options.rate
        self._queue.append(self._free)
        arrival = self._free + max(0.0, self._options.delay + self._next_jitter(self._free))
        if self._flying:
            arrival = max(arrival, self._flying[-1][0])
        self._flying.append((arrival, packet))
        self.traffic.packets += 1
        self.traffic.bytes += len(packet)
        self.traffic.waited += begin - now
        self.traffic.waited_longest = max(self.traffic.waited_longest, begin - now)

    @property
    def due(self) -> float:
        """When the next packet arrives; infinite: none is on its way."""
        return self._flying[0][0] if self._flying else math.inf

    def arrive(self, now: float) -> Iterator[bytes]:
        """Yield the packets that have arrived, in their order."""
        while self._flying and self._flying[0][0] <= now:
            due, packet = self._flying.popleft()
            self.traffic.late += now - due
            self.traffic.late_longest = max(self.traffic.late_longest, now - due)
            yield packet

    def _next_jitter(self, now: float) -> float:
        """Return seconds beside the delay: normally distributed, and close to the last ones."""
        if not self._options.jitter:
            return 0.0
        kept = math.exp(-(now - self._jittered) / JITTER_TIME)
        self._jittered = now
        self._jitter = kept * self._jitter + self._random.gauss(
            0.0, self._options.jitter * math.sqrt(1.0 - kept * kept))
        return self._jitter


def carry(options: LinkOptions, ends: tuple[int, int], control: socket.socket) -> None:
    """
    Carry packets between two open devices until ``control`` is closed at the other side.

    Each byte that comes there is answered with a line of JSON: the ``Traffic`` of both ways.
    """
    ways = tuple(Way(options, seed) for seed in range(2))
    sources: list[int | socket.socket] = [*ends, control]
    while True:
        timeout = min(way.due for way in ways) - time.monotonic()
        ready = select.select(
            sources, [], [], None if math.isinf(timeout) else max(0.0, timeout))[0]
        for way, end in zip(ways, ends, strict=True):
            if end in ready:
                for packet in _read(end):
                    way.send(packet, time.monotonic())
        for way, end in zip(ways, reversed(ends), strict=True):
            for packet in way.arrive(time.monotonic()):
                os.write(end, packet)
        if control in ready:
            if not control.recv(1):
                return
            traffic = [dataclasses.asdict(way.traffic) for way in ways]
            control.sendall(json.dumps(traffic).encode() + b'\n')


def _read(end: int) -> Iterator[bytes]:
    for _ in range(_BATCH):
        try:
            yield os.read(end, _LARGEST_PACKET)
        except BlockingIOError:
            return


def _quantity(key: str, text: str, units: dict[str, float], example: str) -> float:
    found = re.fullmatch(r'(\d+(?:\.\d+)?)([a-z]+)', text)
    if found is None or found[2] not in units:
        raise ValueError(
            f'{key}={text}: a number and one of {", ".join(units)}, such as {key}={example}')
    value = float(found[1]) * units[found[2]]
    if key == 'rate' and value < SLOWEST:
        raise ValueError(f'{key}={text}: an image would take minutes; 100kbit or more')
    if key != 'rate' and value > LONGEST_DELAY:
        raise ValueError(f'{key}={text}: 10s at most')
    return value


def main() -> None:
    """Wait for the devices of both hosts, then carry packets between them."""
    end_with_parent(signal.SIGKILL)
    options, control, *hosts = sys.argv[1:]
    ends = []
    for number in hosts:
        with socket.socket(fileno=int(number)) as hand_over:
            ends += socket.recv_fds(hand_over, 1, 1)[1]
    carry(LinkOptions(**json.loads(options)), (ends[0], ends[1]),
          socket.socket(fileno=int(control)))


if __name__ == '__main__':
    main()
