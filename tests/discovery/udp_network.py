"""A network of UDP trackers in memory, with a clock and a DNS."""

from __future__ import annotations

from collections.abc import Callable
from socket import SO_ERROR, SOL_SOCKET
from typing import Any

from attrs import define, field
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IHostnameResolver, IHostResolution, IResolutionReceiver
from twisted.internet.task import Clock
from zope.interface import implementer

from p2pshare.addresses import Address
from p2pshare.wire import udp_tracker as wire

Serve = Callable[[bytes], bytes | None]  # what a tracker says to a datagram, if anything


@define(eq=False)
class FakeSocket:
    """One end of a connected socket; the other end is whatever listens at that address of the network."""

    _network: UDPNetwork
    protocol: Any
    interface: str
    address: Address | None = None
    sent: list[bytes] = field(factory=list)
    is_open: bool = True
    error: int = 0  # the socket's own

    def connect(self, host: str, port: int) -> None:
        self.address = Address(host, port)
        if host in self._network.no_route:
            raise OSError(101, "Network is unreachable")

    def write(self, datagram: bytes, addr: object) -> None:
        assert self.is_open
        assert addr is None
        assert self.address is not None
        self.sent.append(datagram)
        self._network.log.append((self._network.seconds(), self.address.host, int.from_bytes(datagram[8:12], "big")))
        if self._network.problem is not None:
            raise self._network.problem
        if self.address not in self._network.trackers:
            self.protocol.connectionRefused()
        elif (reply := self._network.trackers[self.address](datagram)) is not None:
            self.deliver(reply)

    def deliver(self, datagram: bytes, sender: tuple[str, int] | None = None) -> None:
        """Receive something."""
        assert self.address is not None
        self.protocol.datagramReceived(datagram, sender or (self.address.host, self.address.port))

    def getHandle(self) -> FakeSocket:
        return self

    def getsockopt(self, level: int, option: int) -> int:
        assert (level, option) == (SOL_SOCKET, SO_ERROR)
        return self.error

    def drop(self, error: int) -> None:
        """Be dropped by the reactor, because of an error or for a reason of its own."""
        self.is_open, self.error = False, error
        self.protocol.doStop()

    def stopListening(self) -> Deferred[None]:
        assert self.is_open
        self.is_open = False
        self.protocol.doStop()
        return succeed(None)


@implementer(IHostnameResolver)
class UDPNetwork(Clock):
    """
    A reactor as far as a UDP client needs one. Replies come at once.

    Where nobody listens, an ICMP message says so.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trackers: dict[Address, Serve] = {}
        self.names: dict[str, list[str]] = {}  # an unknown name leads nowhere, a number to itself
        self.sockets: list[FakeSocket] = []
        self.log: list[tuple[float, str, int]] = []  # time, host, action of each request
        self.no_route: set[str] = set()
        self.problem: OSError | None = None  # of every write
        self.no_sockets: Exception | None = None
        self.nameResolver = self

    def resolveHostName(self, receiver: IResolutionReceiver, name: str, *_: Any, **more: Any) -> IHostResolution:
        assert more == {"transportSemantics": "UDP"}
        for host in self.names.get(name, [name] if name[:1].isdigit() or ":" in name else []):
            make = IPv6Address if ":" in host else IPv4Address
            receiver.addressResolved(make("UDP", host, 0))
        receiver.resolutionComplete()
        return None  # type: ignore[return-value]

    def listenUDP(self, port: int, protocol: Any, interface: str, maxPacketSize: int) -> FakeSocket:
        assert (port, maxPacketSize) == (0, wire.MAX_REPLY)
        if self.no_sockets is not None:
            raise self.no_sockets
        socket = FakeSocket(self, protocol, interface)
        self.sockets.append(socket)
        protocol.makeConnection(socket)
        return socket

    @property
    def open_sockets(self) -> list[FakeSocket]:
        """List those that are not closed."""
        return [socket for socket in self.sockets if socket.is_open]

    def times(self, action: int, host: str | None = None) -> list[float]:
        """Tell when requests of a kind were sent, to one host or to any."""
        return [time for time, to, what in self.log if what == action and host in (None, to)]


@define(eq=False)
class FakeUDPTracker:
    """Gives out connection ids and answers announces with whatever it is told to; silent where that is None."""

    connection_id: bytes = b"CONNECT0"
    answer: Callable[[bytes, bytes], bytes | None] = lambda transaction_id, request: wire.encode_announced(
        transaction_id, 1800, 1, 2, b"\xc0\x00\x02\x07\x1a\xe1"
    )
    is_silent: bool = False
    requests: list[bytes] = field(factory=list)  # but for connect requests

    def __call__(self, datagram: bytes) -> bytes | None:
        connection_id, action, transaction_id = wire.decode_request(datagram)
        if self.is_silent:
            return None
        if action == wire.CONNECT:
            return wire.encode_connected(transaction_id, self.connection_id)
        self.requests.append(datagram)
        return None if connection_id != self.connection_id else self.answer(transaction_id, datagram)
