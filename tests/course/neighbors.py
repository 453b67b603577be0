"""A course peer's network on fake transports, and scripted neighbors on the other end."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError, ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from p2pshare.course.connection import NeighborConnection
from p2pshare.course.networking import Network
from p2pshare.geometry import Geometry
from p2pshare.peer.outbox import Block
from p2pshare.wire import course, messages
from tests.fakes import FakeSource, PeerTransport

GEOMETRY = Geometry(4, (18,))  # 5 pieces, the last of 2 bytes
DIALECT = course.make_dialect(GEOMETRY)
OWN = 1002
KNOWN = range(1001, 1006)
STRANGER = IPv4Address("TCP", "127.0.0.1", 50000)


class FakePort:
    """A listening port that closes at once, or when the test says so."""

    def __init__(self) -> None:
        self.closed = False

    def stopListening(self) -> None:
        self.closed = True


class FakeEndpoint:
    """Where somebody listens, or is dialled."""

    def __init__(self, endpoints: FakeEndpoints, place: Any) -> None:
        self._endpoints, self._place = endpoints, place

    def listen(self, factory: IProtocolFactory) -> Deferred[Any]:
        if self._endpoints.taken:
            return fail(CannotListenError("", self._place, OSError(98, "Address already in use")))
        self._endpoints.factory = factory
        return succeed(self._endpoints.port)

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        dial: Deferred[Any] = Deferred()
        self._endpoints.dials.append((self._place, factory, dial))
        return dial


class FakeEndpoints:
    """Keeps who dials whom, until the test decides what comes of it."""

    def __init__(self) -> None:
        self.factory: Any = None
        self.port = FakePort()
        self.taken = False
        self.dials: list[tuple[Any, Any, Deferred[Any]]] = []

    def server(self, port: int) -> Any:
        return FakeEndpoint(self, port)

    def client(self, host: str, port: int) -> Any:
        return FakeEndpoint(self, (host, port))


class RecordingProcess:
    """Writes down what the network tells."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.ends: list[int] = []  # of reads, by who was read from

    def on_peer_connected(self, id: int, incoming: bool) -> None:
        self.events.append(("connected", id, incoming))

    def on_message(self, id: int, message: messages.Message) -> None:
        if isinstance(message, messages.Piece):
            message = messages.Piece(message.index, message.begin, bytes(message.data))
        self.events.append(("message", id, message))

    def on_messages_end(self, id: int) -> None:
        self.ends.append(id)

    def on_pieces_sent(self, id: int, amount: int) -> None:
        self.events.append(("sent", id, amount))

    def on_pieces_unreadable(self, id: int, blocks: list[Block], reason: Failure) -> None:
        self.events.append(("unreadable", id, blocks))

    def on_peer_disconnected(self, id: int, link: NeighborConnection, reason: str) -> None:
        self.events.append(("disconnected", id, reason))


class Neighbor:
    """The other end of one connection."""

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.transport = PeerTransport()
        protocol.makeConnection(self.transport)

    def says(self, data: bytes | messages.Message) -> None:
        """Send bytes, or a message."""
        self.protocol.dataReceived(data if isinstance(data, bytes) else DIALECT.encode(data))

    def greets(self, id: int) -> None:
        """Send a handshake."""
        self.says(course.encode_handshake(course.Handshake(id)))

    def heard(self) -> bytes:
        """Take what was written to it."""
        data = self.transport.value()
        self.transport.clear()
        return data

    def goes(self, *, cleanly: bool = True) -> None:
        """End the connection."""
        self.protocol.connectionLost(Failure(ConnectionDone() if cleanly else ConnectionLost()))


class World:
    """A network, and all that is around it."""

    def __init__(self, geometry: Geometry = GEOMETRY) -> None:
        self.clock = Clock()
        self.endpoints = FakeEndpoints()
        self.process = RecordingProcess()
        pieces = [bytes([97 + piece]) * geometry.piece_size(piece) for piece in range(geometry.num_pieces)]
        self.source = FakeSource(pieces)
        self.network = Network(OWN, KNOWN, geometry, self.source, self.endpoints, self.clock, self.process)

    def listening(self) -> World:
        """Have the port open."""
        self.network.start_server(6002)
        return self

    def accepted(self) -> Neighbor:
        """Somebody dials us."""
        protocol = self.endpoints.factory.buildProtocol(STRANGER)
        assert protocol is not None
        return Neighbor(protocol)

    def neighbor(self, id: int) -> Neighbor:
        """Somebody dials us and greets; what was said so far is forgotten."""
        neighbor = self.accepted()
        neighbor.greets(id)
        neighbor.heard()
        self.process.events.clear()
        return neighbor

    def answered(self) -> Neighbor:
        """Whom we dialled last answers."""
        _, factory, dial = self.endpoints.dials.pop()
        neighbor = Neighbor(factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 6001)))
        dial.callback(neighbor.protocol)
        return neighbor

    def refused(self) -> None:
        """Whom we dialled last is not up."""
        self.endpoints.dials.pop()[2].errback(ConnectionRefusedError())
