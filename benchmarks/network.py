"""Where the clients of a benchmark talk to each other: a loopback interface of our own if that can be had."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path

from attrs import frozen

MOST = 60  # hosts

_COUNTERS = Path("/proc/self/net/dev")
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000  # <linux/sched.h>
_SIOCSIFFLAGS, _SIOCSIFADDR = 0x8914, 0x8916  # <linux/sockios.h>
_UP, _RUNNING = 0x1, 0x40  # <linux/if.h>


@frozen
class Network:
    """Addresses for clients, one each. Nothing leaves the machine."""

    is_private: bool
    why_not: str = ""

    def host(self, number: int) -> str:
        """Give the address of the client with this number, from 1."""
        # Transmission takes peers on 127.0.0.0/8 for an error of the tracker ("martian"), and never dials them.
        return f"10.77.0.{number}" if self.is_private else f"127.0.0.{number}"


def enter() -> Network:
    """
    Move this process, and so all it starts, into a network namespace with nothing but a loopback interface.

    Nobody else's bytes are counted there. Where it cannot be made, the machine's own loopback has to do.

    :raise SystemExit: this is no Linux.
    """
    if not _COUNTERS.exists():
        raise SystemExit("processes and bytes are measured with /proc, which only Linux has")
    try:
        _leave_the_machine()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            _set(control, b"lo", _SIOCSIFFLAGS, struct.pack("=h", _UP | _RUNNING))
            for number in range(1, MOST + 1):
                address = socket.inet_aton(f"10.77.0.{number}")
                _set(control, b"lo:%d" % number, _SIOCSIFADDR, struct.pack("=HH4s", socket.AF_INET, 0, address))
    except (OSError, AttributeError) as error:
        return Network(False, str(error))
    return Network(True)


def free_ports(count: int) -> list[int]:
    """Find TCP ports that nobody has, no two alike."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def loopback_bytes() -> int:
    """Count the bytes that went over the loopback interface."""
    for line in _COUNTERS.read_text().splitlines():
        name, _, figures = line.partition(":")
        if name.strip() == "lo":
            return int(figures.split()[0])
    return 0


def _leave_the_machine() -> None:
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        _unshare(_CLONE_NEWNET)
        return
    _unshare(_CLONE_NEWUSER | _CLONE_NEWNET)  # in a user namespace of its own, anybody may
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _unshare(flags: int) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), f"no network of our own: {os.strerror(ctypes.get_errno())}")


def _set(control: socket.socket, interface: bytes, what: int, value: bytes) -> None:
    fcntl.ioctl(control, what, struct.pack("=16s24s", interface, value))
