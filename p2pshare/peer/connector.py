"""Dial peers, a bounded number at a time."""

from __future__ import annotations

from collections import Counter
from typing import Any
from typing import Protocol as Seam

from attrs import define, field
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IAddress, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.addresses import Address, is_dialable, is_ipv6, is_numeric, plain_host
from p2pshare.peer.budget import ConnectionBudget
from p2pshare.peer.protocol import PeerListener, PeerProtocol

CONNECT_TIMEOUT = 10.0  # s


class DiallingListener(PeerListener, Seam):
    """A swarm that has peers dialled for it."""

    def dial_failed(self, address: Address, reason: str) -> None:
        """No connection came of it, or it ended before both handshakes were through."""


@define(frozen=True)
class DialLimits:
    """How hard we may knock on other people's doors."""

    half_open: int = 100  # anacrolix: 100 in all, 25 a torrent
    half_open_per_torrent: int = 25
    per_second: int = 20  # libtorrent 30, Transmission 18


@define(eq=False)
class Connector:
    """Opens connections for all swarms of a session, and greets on them."""

    _reactor: Any  # IReactorTCP and IReactorTime and IReactorPluggableNameResolver
    _budget: ConnectionBudget
    _bind: str | None = None  # dial from this address
    _limits: DialLimits = field(factory=DialLimits)
    _half_open: Counter[PeerListener] = field(init=False, factory=Counter)
    _recent: list[float] = field(init=False, factory=list)  # when we dialled within the last second
    log = Logger()

    def has_room(self, listener: PeerListener) -> bool:
        """Whether this swarm may dial one more peer now."""
        now = self._reactor.seconds()
        self._recent = [when for when in self._recent if when > now - 1.0]
        return (
            self._budget.has_room
            and len(self._recent) < self._limits.per_second
            and self._half_open[listener] < self._limits.half_open_per_torrent
            and self._half_open.total() < self._limits.half_open
        )

    def dial(self, address: Address, listener: DiallingListener) -> None:
        """Connect and greet; the swarm hears ``peer_joined`` or ``dial_failed``, later."""
        if not self._budget.admit(address.host):
            self._reactor.callLater(0, listener.dial_failed, address, "too many connections to this host")
            return
        self._half_open[listener] += 1
        self._recent.append(self._reactor.seconds())
        dialled = _DialFactory(self, address, listener)
        dialling = self._endpoint(address).connect(dialled)
        dialling.addErrback(self._failed, address, listener)
        dialling.addErrback(lambda failure: self.log.failure("dialling {address}", failure, address=address))

    def _endpoint(self, address: Address) -> IStreamClientEndpoint:
        bind = None if self._bind is None else (self._bind, 0)
        if not is_numeric(address.host):
            return HostnameEndpoint(
                self._reactor, address.host, address.port, timeout=CONNECT_TIMEOUT, bindAddress=self._bind
            )
        endpoint = TCP6ClientEndpoint if is_ipv6(address.host) else TCP4ClientEndpoint
        return endpoint(self._reactor, address.host, address.port, timeout=CONNECT_TIMEOUT, bindAddress=bind)

    def settled(self, listener: PeerListener) -> None:
        """A dialled connection has ended its half-open life, one way or the other."""
        self._half_open[listener] -= 1
        if self._half_open[listener] <= 0:
            del self._half_open[listener]

    def _failed(self, failure: Failure, address: Address, listener: DiallingListener) -> None:
        self.settled(listener)
        self._budget.release(address.host)
        listener.dial_failed(address, failure.getErrorMessage())

    def closed(self, link: PeerProtocol, listener: DiallingListener) -> None:
        """A dialled connection is gone."""
        self._budget.release(link.address.host)
        if link.listener is None:
            listener.dial_failed(link.address, link.close_reason)


@define(eq=False)
class _DialFactory(Factory):
    """Builds the one protocol of one dialled connection."""

    _connector: Connector
    _address: Address
    _listener: DiallingListener
    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        assert isinstance(addr, IPv4Address | IPv6Address)
        host, port = plain_host(addr.host), addr.port
        if not is_dialable(Address(host, port)):  # what a name resolved to is checked like any address
            return None
        self._connector.settled(self._listener)
        return PeerProtocol(
            self._connector._reactor,
            self._address,
            lambda handshake: None,
            self._connector._budget.memory,
            dialled=self._listener,
            on_closed=lambda link: self._connector.closed(link, self._listener),
        )
