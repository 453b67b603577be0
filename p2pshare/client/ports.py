"""Find a port to listen on, for IPv4 and IPv6 at once where the machine has both."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort

from p2pshare.addresses import Address
from p2pshare.errors import PortError
from p2pshare.peer.door import open_door
from p2pshare.peer.factory import AcceptFactory


def listen(reactor: Any, ports: Iterable[int], factory: AcceptFactory, bind: str | None) -> IListeningPort:
    """
    Listen on the first of these ports that is free.

    Without ``bind`` that is ``::``, which on Linux hears IPv4, too; where IPv6 is switched off, 0.0.0.0.

    :raise PortError: none of them can be had; it names the address, all ports that were tried, and the last reason.
        Or the address is not ours, on whatever port.
    """
    interfaces = ["::", "0.0.0.0"] if bind is None else [bind]
    ports = list(ports)
    reason = "no port was given"
    for port in ports:
        for interface in interfaces:
            try:
                return open_door(reactor, port, factory, interface)
            except CannotListenError as error:
                reason = getattr(error.socketError, "strerror", None) or str(error.socketError)
                code = getattr(error.socketError, "errno", None)
                if code == errno.EADDRNOTAVAIL and bind is not None:
                    raise PortError(f"cannot listen on {bind}: not an address of this machine") from error
                if code == errno.EADDRINUSE:
                    break  # the other family would not help
    raise PortError(f"cannot listen on {_place(ports, bind)}: {reason.lower()}")


def _place(ports: Sequence[int], bind: str | None) -> str:
    named = [port for port in ports if port]
    if len(ports) == 1 and named:
        return f"port {ports[0]}" if bind is None else str(Address(bind, ports[0]))
    which = f"ports {min(named)}-{max(named)}" if named else "any port"
    if named and 0 in ports:
        which += " or any other"
    return which if bind is None else f"{bind}, {which}"
