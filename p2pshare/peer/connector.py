"""Dial peers, a bounded number at a time."""

from __future__ import annotations

import errno
from collections import Counter
from typing import Any
from typing import Protocol as Seam

from attrs import define, field
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError, TimeoutError
from twisted.internet.interfaces import IAddress, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.addresses import Address, is_dialable, is_ipv6, is_numeric, plain_host
from p2pshare.peer.budget import ConnectionBudget, Place
from p2pshare.peer.protocol import PeerListener, PeerProtocol

REST = 5.0  # s without dialling when the system has no means for one more connection
_NO_MEANS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class DiallingListener(PeerListener, Seam):
    """A swarm that has peers dialled for it."""

    def dial_failed(self, address: Address, reason: str) -> None:
        """No connection came of it, or it ended before both handshakes were through."""

    def dial_postponed(self, address: Address) -> None:
        """We have no means to dial anybody just now. That says nothing about this one."""


@define(eq=False)
class Connector:
    """Opens connections for all swarms of a session, a bounded number at a time, and greets on them."""

    _reactor: Any  # IReactorTCP and IReactorTime and IReactorPluggableNameResolver
    _budget: ConnectionBudget
    _bind: str | None = None  # dial from this address
    _half_open: Counter[PeerListener] = field(init=False, factory=Counter)
    _recent: list[float] = field(init=False, factory=list)  # when we dialled within the last second
    _rests_until: float = field(init=False, default=float("-inf"))
    log = Logger()

    def has_room(self, listener: PeerListener) -> bool:
        """Whether this swarm may dial one more peer now; asked by one that has somebody to dial."""
        if self._reactor.seconds() < self._rests_until:
            return False
        limit = self._reached(listener)
        if limit is not None:
            self._budget.commons.hits[limit] += 1
            return False
        if not self._budget.has_descriptors:
            self._rest()
            return False
        return True

    def _reached(self, listener: PeerListener) -> str | None:
        """Name a limit that forbids dialling now."""
        limits = self._budget.commons.limits
        now = self._reactor.seconds()
        self._recent = [when for when in self._recent if when > now - 1.0]
        if not self._budget.has_room:
            return "max_connections"
        if len(self._recent) >= limits.dials_per_second:
            return "dials_per_second"
        if self._half_open[listener] >= limits.half_open_per_torrent:
            return "half_open_per_torrent"
        return "half_open" if self._half_open.total() >= limits.half_open else None

    def _rest(self) -> None:
        self._rests_until = self._reactor.seconds() + REST

    def dial(self, address: Address, listener: DiallingListener) -> None:
        """Connect and greet; the swarm hears ``peer_joined``, ``dial_failed`` or ``dial_postponed``, later."""
        place = self._budget.admit(address.host, newcomer=False)
        if place is None:
            self._reactor.callLater(0, listener.dial_failed, address, "too many connections to this host")
            return
        self._half_open[listener] += 1
        self._recent.append(self._reactor.seconds())
        dialled = _DialFactory(self, address, listener, place)
        dialling = self._endpoint(address).connect(dialled)
        dialling.addErrback(self._failed, address, listener, place)
        dialling.addErrback(lambda failure: self.log.failure("dialling {address}", failure, address=address))

    def _endpoint(self, address: Address) -> IStreamClientEndpoint:
        timeout = self._budget.commons.limits.connect_timeout
        if not is_numeric(address.host):
            return HostnameEndpoint(self._reactor, address.host, address.port, timeout, self._bind)
        endpoint = TCP6ClientEndpoint if is_ipv6(address.host) else TCP4ClientEndpoint
        bind = None if self._bind is None else (self._bind, 0)
        return endpoint(self._reactor, address.host, address.port, timeout, bind)

    def settled(self, listener: PeerListener) -> None:
        """A dialled connection has ended its half-open life, one way or the other."""
        self._half_open[listener] -= 1
        if self._half_open[listener] <= 0:
            del self._half_open[listener]

    def _failed(self, failure: Failure, address: Address, listener: DiallingListener, place: Place) -> None:
        self.settled(listener)
        self._budget.release(place)
        if failure.check(TimeoutError):
            self._budget.commons.hits["connect_timeout"] += 1
        if isinstance(failure.value, ConnectError) and failure.value.osError in _NO_MEANS:
            self._rest()
            self.log.warn("cannot dial {address}: {error}", address=address, error=failure.getErrorMessage())
            # Later: the swarm is just about to dial the next one.
            self._reactor.callLater(0, listener.dial_postponed, address)
        else:
            listener.dial_failed(address, failure.getErrorMessage())

    def closed(self, link: PeerProtocol, listener: DiallingListener, place: Place) -> None:
        """A dialled connection is gone."""
        self._budget.release(place)
        if link.listener is None:
            listener.dial_failed(link.address, link.close_reason)


@define(eq=False)
class _DialFactory(Factory):
    """Builds the one protocol of one dialled connection."""

    _connector: Connector
    _address: Address
    _listener: DiallingListener
    _place: Place
    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        assert isinstance(addr, IPv4Address | IPv6Address)
        host, port = plain_host(addr.host), addr.port
        if not is_dialable(Address(host, port)):  # what a name resolved to is checked like any address
            return None
        connector, place = self._connector, self._place
        connector.settled(self._listener)
        place.guest = link = PeerProtocol(
            connector._reactor,
            self._address,
            lambda handshake: None,
            connector._budget.commons,
            dialled=self._listener,
            on_closed=lambda link: connector.closed(link, self._listener, place),
        )
        return link
