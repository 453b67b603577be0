"""Where the clients of one test talk to each other: loopback addresses, never anything that leaves this machine."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from tests import real_parts

ADDRESSES = 8  # how many hosts a network has; Linux answers on all of 127.0.0.0/8 anyway

_CLONE_NEWNET = 0x40000000  # <linux/sched.h>
_SIOCSIFFLAGS, _SIOCSIFADDR = 0x8914, 0x8916  # <linux/sockios.h>
_IFF_UP, _IFF_RUNNING = 0x1, 0x40  # <linux/if.h>

_Result = TypeVar("_Result")


class Loopback:
    """The machine's own loopback interface: every client gets an address of its own, 127.0.0.N."""

    def host(self, number: int) -> str:
        """Give the address of the client with this number, from 1."""
        return f"127.0.0.{number}"

    def run(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Do something in this network."""
        return function(*arguments)

    def close(self) -> None:
        """Nothing to do."""


class PrivateNetwork:
    """
    A network namespace with a loopback interface only, which has the addresses 10.77.0.N too.

    For Transmission, which takes peers on 127.0.0.0/8 for an error of the tracker ("martian") and never dials them.
    A namespace belongs to a thread, is inherited by what this thread starts, and lives as long as somebody is in it or
    has its file open: so the tests themselves stay outside.
    """

    def __init__(self) -> None:
        """
        Make the namespace.

        :raise SkipTest: that takes Linux and root.
        """
        try:
            self._file = _in_a_thread(self._make)
        except (OSError, AttributeError) as error:
            # Not a program, but the same rule: skip with one line, fail where real parts are required.
            raise real_parts.missing(
                f"a private network for Transmission cannot be made (run as root): {error}"
            ) from None

    def host(self, number: int) -> str:
        """Give the address of the client with this number, from 1."""
        return f"10.77.0.{number}"

    def run(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Do something in this network: open a socket, start a process."""
        return _in_a_thread(self._inside, function, *arguments)

    def close(self) -> None:
        """Let go of it; it ends with the last process in it."""
        os.close(self._file)

    def _make(self) -> int:
        _call("unshare", _CLONE_NEWNET)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            _set(control, b"lo", _SIOCSIFFLAGS, struct.pack("=h", _IFF_UP | _IFF_RUNNING))
            for number in range(1, ADDRESSES + 1):
                address = socket.inet_aton(self.host(number))
                _set(control, b"lo:%d" % number, _SIOCSIFADDR, struct.pack("=HH4s", socket.AF_INET, 0, address))
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def _inside(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        _call("setns", self._file, _CLONE_NEWNET)
        return function(*arguments)


def free_port(host: str) -> int:
    """Find a TCP port of ``host`` that nobody has, for clients that cannot choose one themselves."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _in_a_thread(function: Callable[..., _Result], *arguments: Any) -> _Result:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(function, *arguments).result()


def _call(name: str, *arguments: int) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def _set(control: socket.socket, interface: bytes, what: int, value: bytes) -> None:
    import fcntl  # not on every system, and neither are namespaces

    fcntl.ioctl(control, what, struct.pack("=16s24s", interface, value))
