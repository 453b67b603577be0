"""Find a port to listen on, for IPv4 and IPv6 at once where the machine has both."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import ServerFactory

from p2pshare.addresses import Address
from p2pshare.errors import PortError


def listen(reactor: Any, ports: Iterable[int], factory: ServerFactory, bind: str | None) -> IListeningPort:
    """
    Listen on the first of these ports that is free.

    Without ``bind`` that is ``::``, which on Linux hears IPv4, too; where IPv6 is switched off, 0.0.0.0.

    :raise PortError: none of them can be had; it names the port and the reason.
    """
    interfaces = ["::", "0.0.0.0"] if bind is None else [bind]
    problem = "no port was given"
    for port in ports:
        for interface in interfaces:
            try:
                return reactor.listenTCP(port, factory, interface=interface, backlog=128)  # type: ignore[no-any-return]
            except CannotListenError as error:
                reason = getattr(error.socketError, "strerror", None) or str(error.socketError)
                where = f"port {port}" if bind is None else str(Address(bind, port))
                problem = f"cannot listen on {where}: {reason.lower()}"
                if getattr(error.socketError, "errno", None) == errno.EADDRINUSE:
                    break  # the other family would not help
    raise PortError(problem)
