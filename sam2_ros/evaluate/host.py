# Copyright 2026 The sam2_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A command on a host of its own: as ``python -m sam2_ros.evaluate.host ADDRESS SOCKET COMMAND ...``.

The host is this process and what it becomes: a network namespace with one interface, a TUN device,
and a ``/dev/shm`` that it shares with nobody, so that nothing goes to another host but through the
device. That one is handed to whoever carries packets between hosts (``link``). A host has no name
and leaves nothing behind: it is gone with its last process, however that one ends.

Linux only. Made by root, or by anyone who may make user namespaces, which a process with threads
cannot: this module imports nothing that could start one.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
import sys
from pathlib import Path

#: Of Ethernet and of a TUN device, in bytes.
MTU = 1500
#: Packets that wait until the link has read them; the link has its own queue, whose drops count.
DEVICE_QUEUE = 10_000
_DEVICE = 'link'
_TUN = '/dev/net/tun'
_NEEDED = ('a host of its own needs root (in a container --privileged) or a system where users may '
           'make user namespaces')

# of <linux/sched.h>, mount.h, prctl.h, sockios.h, if.h, if_tun.h
_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000
_PR_SET_PDEATHSIG = 1
_SIOCSIFADDR, _SIOCSIFNETMASK, _SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8916, 0x891c, 0x8913, 0x8914
_IFF_UP = 0x1
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454ca, 0x1, 0x1000
# <linux/netlink.h>, rtnetlink.h, if_link.h
_NLM_F_REQUEST, _NLM_F_ACK, _RTM_NEWLINK, _IFLA_TXQLEN = 0x1, 0x4, 16, 13


class HostError(Exception):
    """No host can be made here; says what is needed."""


def end_with_parent(number: signal.Signals) -> None:
    """Let this process get a signal when the one that started it is gone, however that ended."""
    _libc().prctl(_PR_SET_PDEATHSIG, number)


def enter_host(address: str) -> int:
    """
    Move this process, which must have one thread, to a new host with an IPv4 address.

    Returns the open TUN device: each read of it is an IP packet that leaves the host, each write
    one that comes.

    :raises HostError: this user or this system may not; tells what is needed.
    """
    if sys.platform != 'linux':
        raise HostError('a host of its own can only be made by Linux')
    _unshare()
    _mount_own_shared_memory()
    device = _open_device()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        _bring_up(control, 'lo')
        _set(control, _SIOCSIFADDR, _socket_address(address))
        _set(control, _SIOCSIFNETMASK, _socket_address('255.255.255.0'))
        _bring_up(control, _DEVICE)
    _lengthen_queue()
    return device


def _unshare() -> None:
    spaces = _CLONE_NEWNET | _CLONE_NEWNS
    user, group = os.geteuid(), os.getegid()
    if _libc().unshare(spaces) == 0:
        return
    # Without root, a user namespace gives the right to the others.
    if _libc().unshare(spaces | _CLONE_NEWUSER) != 0:
        raise HostError(f'no network namespace can be made ({_last_error()}): {_NEEDED}')
    try:
        for file, line in (
                ('setgroups', 'deny'), ('uid_map', f'{user} {user} 1'),
                ('gid_map', f'{group} {group} 1')):
            Path('/proc/self', file).write_text(line, encoding='ascii')
    except OSError as error:
        raise HostError(
            f'no user namespace can be made ({error.strerror}): {_NEEDED}') from None


def _mount_own_shared_memory() -> None:
    # Private first: else the mount would show on the host below.
    if (_libc().mount(None, b'/', None, _MS_REC | _MS_PRIVATE, None) != 0
            or _libc().mount(b'tmpfs', b'/dev/shm', b'tmpfs', 0, None) != 0):
        raise HostError(f'/dev/shm: no own one can be mounted ({_last_error()}): {_NEEDED}')


def _open_device() -> int:
    try:
        device = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK)
        _ioctl(device, _TUNSETIFF, _request(struct.pack('h', _IFF_TUN | _IFF_NO_PI)))
    except OSError as error:
        raise HostError(
            f'{_TUN}: cannot be used ({error.strerror}): a host of its own needs this device '
            '(modprobe tun; in a container --device /dev/net/tun) and the right to write to it'
        ) from None
    return device


def _bring_up(control: socket.socket, interface: str) -> None:
    name = interface.encode()
    request = struct.pack('16sh22x', name, 0)
    flags = struct.unpack('16xh22x', _ioctl(control, _SIOCGIFFLAGS, request))[0]
    _ioctl(control, _SIOCSIFFLAGS, struct.pack('16sh22x', name, flags | _IFF_UP))


def _lengthen_queue() -> None:
    """Give the device its ``DEVICE_QUEUE``, by netlink: the ioctl is for the real root alone."""
    attribute = struct.pack('HHI', 8, _IFLA_TXQLEN, DEVICE_QUEUE)
    message = struct.pack('BxHiII', 0, 0, socket.if_nametoindex(_DEVICE), 0, 0) + attribute
    header = struct.pack(
        'IHHII', 16 + len(message), _RTM_NEWLINK, _NLM_F_REQUEST | _NLM_F_ACK, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.send(header + message)
        error = struct.unpack_from('i', netlink.recv(4096), 16)[0]
    if error:
        raise HostError(f'the queue of {_TUN} cannot be set ({os.strerror(-error)}): {_NEEDED}')


def _set(control: socket.socket, what: int, value: bytes) -> None:
    _ioctl(control, what, _request(value))


def _request(value: bytes) -> bytes:
    """Return a ``struct ifreq`` of the device."""
    return struct.pack('16s24s', _DEVICE.encode(), value)


def _socket_address(address: str) -> bytes:
    """Return a ``struct sockaddr_in``."""
    return struct.pack('HH4s', socket.AF_INET, 0, socket.inet_aton(address))


def _ioctl(file: int | socket.socket, what: int, request: bytes) -> bytes:
    import fcntl  # which is not everywhere where this module can be imported

    return fcntl.ioctl(file, what, request)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _last_error() -> str:
    return os.strerror(ctypes.get_errno())


def main() -> None:
    """Enter a host, send its device through the socket, and become the command."""
    address, number, *command = sys.argv[1:]
    try:
        device = enter_host(address)
    except HostError as error:
        sys.exit(str(error))
    with socket.socket(fileno=int(number)) as hand_over:
        socket.send_fds(hand_over, [b'\0'], [device])
    os.close(device)
    end_with_parent(signal.SIGKILL)
    os.execvp(command[0], command)


if __name__ == '__main__':
    main()
