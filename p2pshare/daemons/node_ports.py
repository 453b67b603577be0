"""Where a node listens over HTTP, and who can reach it there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort

from p2pshare.addresses import Address, is_numeric, plain_host
from p2pshare.errors import PortError
from p2pshare.web.limits import LimitedSite

EVERYWHERE = ("::", "0.0.0.0")
_BACKLOG = 128  # connections that wait for us


def listen(reactor: Any, site: LimitedSite, hosts: Sequence[str], ports: Iterable[int]) -> IListeningPort:
    """
    Serve a site on the first port that is free.

    :param hosts: our addresses to try for each port: ``::`` is IPv4, too, but some machines have no IPv6.
    :raise PortError: none of them can be had.
    """
    tried = Address("", 0), "no port was given"
    for port in ports:
        for host in hosts:
            try:
                listening: IListeningPort = reactor.listenTCP(port, site, _BACKLOG, host)
                return listening
            except CannotListenError as error:
                tried = Address(host, port), getattr(error.socketError, "strerror", None) or str(error.socketError)
    raise PortError(f"cannot listen on {tried[0]} (HTTP): {tried[1]}")


def port_of(listening: IListeningPort) -> int:
    """Tell which port was chosen."""
    host: Any = listening.getHost()
    port: int = host.port
    return port


def is_this_machine(host: str) -> bool:
    """Whether a host can be reached from this machine only."""
    return host == "localhost" or (is_numeric(host) and ip_address(plain_host(host)).is_loopback)


def is_here(index: str) -> bool:
    """Whether an index is reached through the loopback address."""
    return is_this_machine(urlsplit(index).hostname or "")
