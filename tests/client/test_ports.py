"""Finding a port to listen on."""

from __future__ import annotations

import errno
import os
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import ServerFactory
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.client.ports import listen
from p2pshare.errors import PortError

FREE = "listening"


class Machine:
    """A reactor on which some ports and addresses cannot be had."""

    def __init__(self, **refusals: int) -> None:
        self._refusals = refusals  # p6881=EADDRINUSE, v6=EAFNOSUPPORT, …
        self.tried: list[tuple[int, str]] = []

    def listenTCP(self, port: int, factory: ServerFactory, backlog: int, interface: str) -> Any:
        self.tried.append((port, interface))
        family = "v6" if ":" in interface else "v4"
        for what in (family, f"p{port}"):
            if what in self._refusals:
                code = self._refusals[what]
                raise CannotListenError(interface, port, OSError(code, os.strerror(code)))
        return FREE


class ListenTests(SynchronousTestCase):
    def listen(self, machine: Machine, *ports: int, bind: str | None = None) -> Any:
        """Try these ports."""
        return listen(machine, ports, ServerFactory(), bind)

    def test_both_families(self) -> None:
        """One port on :: hears IPv6 and IPv4."""
        machine = Machine()
        self.assertEqual(self.listen(machine, 6881), FREE)
        self.assertEqual(machine.tried, [(6881, "::")])

    def test_no_ipv6(self) -> None:
        """Where IPv6 is switched off, IPv4 alone will do."""
        for code in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            machine = Machine(v6=code)
            self.assertEqual(self.listen(machine, 6881), FREE)
            self.assertEqual(machine.tried, [(6881, "::"), (6881, "0.0.0.0")])

    def test_next_one(self) -> None:
        """A port in use is passed over, in both families at once."""
        machine = Machine(p6881=errno.EADDRINUSE, p6882=errno.EADDRINUSE)
        self.assertEqual(self.listen(machine, 6881, 6882, 6883), FREE)
        self.assertEqual(machine.tried, [(6881, "::"), (6882, "::"), (6883, "::")])

    def test_one_address(self) -> None:
        """Told an address, it listens there and nowhere else."""
        machine = Machine()
        self.listen(machine, 6881, bind="192.0.2.7")
        self.assertEqual(machine.tried, [(6881, "192.0.2.7")])

    def test_none_to_be_had(self) -> None:
        """If a port cannot be had, the error names it and the reason."""
        error = self.assertRaises(PortError, self.listen, Machine(p6881=errno.EADDRINUSE), 6881)
        self.assertEqual(str(error), "cannot listen on port 6881: address already in use")
        error = self.assertRaises(PortError, self.listen, Machine(p80=errno.EACCES), 80, bind="192.0.2.7")
        self.assertEqual(str(error), "cannot listen on 192.0.2.7:80: permission denied")

    def test_no_address_of_ours(self) -> None:
        """An address that is not this machine's is said to be that, and no other port is tried."""
        machine = Machine(v4=errno.EADDRNOTAVAIL)
        error = self.assertRaises(PortError, self.listen, machine, 6881, 6882, 0, bind="192.0.2.7")
        self.assertEqual(str(error), "cannot listen on 192.0.2.7: not an address of this machine")
        self.assertEqual(machine.tried, [(6881, "192.0.2.7")])

    def test_all_that_were_tried(self) -> None:
        """On one address, too, the error names all ports that were tried, not the last one."""
        for ports, tried in (((6881, 6882, 0), "ports 6881-6882 or any other"), ((0,), "any port")):
            error = self.assertRaises(PortError, self.listen, Machine(v4=errno.EACCES), *ports, bind="192.0.2.7")
            self.assertEqual(str(error), f"cannot listen on 192.0.2.7, {tried}: permission denied")

    def test_range(self) -> None:
        """Without an address the error names the range."""
        machine = Machine(p6881=errno.EADDRINUSE, p6882=errno.EADDRINUSE)
        error = self.assertRaises(PortError, self.listen, machine, 6881, 6882)
        self.assertEqual(str(error), "cannot listen on ports 6881-6882: address already in use")
