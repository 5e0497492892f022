# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The link between two hosts: what it does to packets, and that nothing is left of it."""

from __future__ import annotations

import json
import math
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_ros.evaluate.link import Host, probe_link
from sam2_ros.evaluate.link_process import JITTER_TIME, LinkOptions, Way, carry

#: Seconds; nothing here takes this long.
TIMEOUT = 60.0


def arrivals(way: Way) -> list[tuple[float, bytes]]:
    """Return all packets that are on their way, and when they arrive."""
    found = []
    while not math.isinf(due := way.due):
        found += [(due, packet) for packet in way.arrive(due)]
    return found


def test_delay_and_rate() -> None:
    """Packets that are sent at once arrive one transmission after the other, after the delay."""
    way = Way(LinkOptions(delay=0.02, rate=8e6), seed=0)  # a kilobyte takes a millisecond
    for number in range(10):
        way.send(bytes([number]) * 1000, now=1.0)
    found = arrivals(way)
    assert [packet[0] for _, packet in found] == list(range(10))
    assert [due for due, _ in found] == pytest.approx([1.021 + 0.001 * each for each in range(10)])
    assert way.traffic.waited == pytest.approx(0.001 * sum(range(10)))
    assert way.traffic.waited_longest == pytest.approx(0.009)


def test_full_queue() -> None:
    """What finds it full is dropped and counted; it empties with the transmission."""
    way = Way(LinkOptions(delay=5.0, rate=8e6, queue=10), seed=0)
    for _ in range(15):
        way.send(bytes(1000), now=0.0)
    assert way.traffic.dropped == 5
    way.send(bytes(1000), now=0.0035)  # three are sent by now, which have not arrived for long
    assert way.traffic.dropped == 5
    assert (way.traffic.packets, way.traffic.bytes) == (11, 11_000)
    assert len(arrivals(way)) == 11


def test_jitter() -> None:
    """Its deviation is the one asked for; packets that are close have about the same."""
    way = Way(LinkOptions(delay=0.1, jitter=0.005), seed=0)
    delays, steps = [], []
    for number in range(2000):
        now = 1.0 * number
        for sent in (now, now + JITTER_TIME / 100):
            way.send(b'packet', sent)
        (first, _), (second, _) = arrivals(way)
        delays.append(first - now)
        steps.append(second - first - JITTER_TIME / 100)
    # Of 2000 independent ones, the error of either is below 1.6 % in two of three tries.
    assert np.mean(delays) == pytest.approx(0.1, abs=0.0005)
    assert np.std(delays) == pytest.approx(0.005, rel=0.06)
    # sqrt(1 - exp(-2 / 100)) of the deviation, less what keeps the order
    assert np.std(steps) < 0.15 * 0.005


@given(st.lists(st.tuples(st.floats(0.0, 0.1), st.integers(20, 1500)), max_size=50),
       st.floats(0.0, 0.1), st.floats(0.0, 0.1), st.floats(1e5, 1e9), st.integers(10, 20))
def test_any_packets(
    packets: list[tuple[float, int]], delay: float, jitter: float, rate: float, queue: int,
) -> None:
    """None is reordered, faster than the rate, or neither carried nor dropped."""
    way = Way(LinkOptions(delay, jitter, rate, queue), seed=1)
    now = 0.0
    sent: list[tuple[float, int]] = []
    for pause, size in packets:
        now += pause
        dropped = way.traffic.dropped
        way.send(len(sent).to_bytes(4, 'big') + bytes(size - 4), now)
        if way.traffic.dropped == dropped:
            sent.append((now, size))
    found = arrivals(way)
    assert [int.from_bytes(packet[:4], 'big') for _, packet in found] == list(range(len(sent)))
    assert len(sent) + way.traffic.dropped == len(packets)
    for (at, size), (due, packet) in zip(sent, found, strict=True):
        assert len(packet) == size
        assert due >= at + 8 * size / rate - 1e-9


def test_carrying_process() -> None:
    """Both directions go between the two ends, are counted, and end with who asks for them."""
    near, near_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    far, far_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours, control = socket.socketpair()
    for end in (near_end, far_end):
        end.setblocking(False)
    carrying = threading.Thread(target=carry, args=(
        LinkOptions(delay=0.01), (near_end.fileno(), far_end.fileno()), control))
    carrying.start()
    for number in range(100):
        near.send(bytes([number]) * 100)
    far.send(b'back')
    assert [far.recv(1500)[0] for _ in range(100)] == list(range(100))
    assert near.recv(1500) == b'back'
    ours.sendall(b'?')
    there, back = json.loads(ours.makefile().readline())
    assert (there['packets'], there['bytes'], there['dropped']) == (100, 10_000, 0)
    assert (back['packets'], back['bytes']) == (1, 4)
    ours.shutdown(socket.SHUT_RDWR)
    carrying.join(TIMEOUT)
    assert not carrying.is_alive()
    for each in (near, near_end, far, far_end, ours, control):
        each.close()


def test_reading_options() -> None:
    """Units are those of tc; what is left out is not limited."""
    options = LinkOptions.parse('delay=20ms, jitter=500us,rate=1.5gbit,queue=50')
    assert options == LinkOptions(0.02, 0.0005, 1.5e9, 50)
    assert LinkOptions.parse('rate=100mbit') == LinkOptions(rate=1e8)


@pytest.mark.parametrize(('text', 'said'), [
    ('', '"" is none of'), ('speed=3', '"speed=3" is none of'), ('delay', 'such as delay=20ms'),
    ('delay=20', 'one of us, ms, s'), ('delay=-1ms', 'delay=-1ms'), ('rate=5mb', 'kbit, mbit'),
    ('rate=0mbit', '100kbit or more'), ('delay=1000s', '10s at most'), ('queue=5', '10 or more'),
    ('delay=1ms,delay=2ms', '"delay" is there twice')])
def test_unusable_options(text: str, said: str) -> None:
    """Each is told what it should have been."""
    with pytest.raises(ValueError, match=re.escape(said)):
        LinkOptions.parse(text)


def test_probed_link(can_make_hosts: None) -> None:
    """Two real hosts see the delay and the rate that were asked for."""
    # A link that is wrong is so every time, one that a busy machine holds up is not.
    for _ in range(5):
        found = probe_link(LinkOptions(delay=0.02, rate=20e6))
        assert found.round_trip >= 0.04
        if found.round_trip < 0.05 and 18e6 < found.rate < 22e6:
            return
    pytest.fail(f'five probes, the last of which has {found}')


def test_host_is_alone(can_make_hosts: None) -> None:
    """It has its own interfaces and its own shared memory; this one gets none of its."""
    ours, its = socket.socketpair()
    before = socket.if_nameindex()
    look = ('import os, socket; '
            'print([name for _, name in socket.if_nameindex()], os.listdir("/dev/shm"))')
    with ours, its:
        seen = subprocess.run(
            Host('192.0.2.1', its.fileno()).command([sys.executable, '-c', look]),
            pass_fds=[its.fileno()], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert seen.strip() == "['lo', 'link'] []"
    assert socket.if_nameindex() == before


def test_nothing_is_left_after_a_kill(can_make_hosts: None) -> None:
    """Hosts and link end with the process that made them, even if it cannot clean up."""
    script = """
import subprocess, sys
from sam2_ros.evaluate.link import Link, LinkOptions
with Link(LinkOptions()) as link:
    for host in link.hosts:
        subprocess.Popen(host.command(['sleep', '1000']), pass_fds=[host.socket])
    print(link.traffic(), flush=True)  # both hosts are there
    sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, '-c', script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], TIMEOUT)[0]
    assert 'Traffic' in process.stdout.readline()
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) == 3
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert psutil.wait_procs(children, TIMEOUT)[1] == []


def test_forbidden_hosts() -> None:
    """One line says what is needed."""
    unshare = shutil.which('unshare')
    forbid = 'echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"'
    wrapper = [unshare or '', '--user', '--map-root-user', 'sh', '-c', forbid, 'sh']
    if unshare is None or subprocess.run(
            [*wrapper, 'true'], stderr=subprocess.PIPE, check=False).returncode:
        pytest.skip('no user namespaces here, in which network namespaces could be forbidden')
    failed = subprocess.run(
        [*wrapper, *Host('192.0.2.1', 0).command(['true'])], stderr=subprocess.PIPE, text=True,
        check=False)
    assert failed.returncode == 1
    assert len(failed.stderr.splitlines()) == 1
    assert 'no network namespace can be made' in failed.stderr
    assert 'needs root' in failed.stderr
