"""One port, several dialects."""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.peer.budget import ConnectionBudget
from p2pshare.peer.factory import AcceptFactory
from p2pshare.peer.first_bytes import SharedPort
from tests.fakes import PeerTransport, RecordingListener, handshake

PLACE = IPv4Address("TCP", "9.9.9.9", 50000)


class Recorder(Protocol):
    """Greets first, and keeps what it hears."""

    def __init__(self) -> None:
        self.heard, self.gone = b"", False

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"hello")

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.gone = True


class Recorders(Factory):
    def __init__(self) -> None:
        self.built: list[Recorder] = []

    def buildProtocol(self, addr: IAddress | None) -> Recorder:
        self.built.append(Recorder())
        return self.built[-1]


class FirstBytesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.listener, self.budget = Clock(), RecordingListener(), ConnectionBudget(2, 2)
        self.factory = AcceptFactory(self.clock, lambda seen: self.listener, self.budget)
        self.course, self.text = Recorders(), Recorders()
        for first, factory in ((b"P2PFILE", self.course), (b"HANDSHAKE ", self.text)):
            endpoint = SharedPort(self.factory.dialects, first, lambda: PLACE)
            self.part = self.successResultOf(endpoint.listen(factory))

    def knock(self) -> tuple[Protocol, PeerTransport]:
        """Somebody connects, and says nothing yet."""
        protocol, transport = self.factory.buildProtocol(PLACE), PeerTransport()
        assert protocol is not None
        transport.protocol = protocol
        protocol.makeConnection(transport)
        return protocol, transport

    def test_by_the_first_bytes(self) -> None:
        """Each dialect gets its connections from their first byte on, however they come."""
        for first, factory in ((b"P2PFILESHARINGPROJ", self.course), (b"HANDSHAKE 0123", self.text)):
            for size in (1, 3, 50):
                _, transport = self.knock()
                self.assertEqual(transport.value(), b"")
                for begin in range(0, len(first), size):
                    transport.protocol.dataReceived(first[begin : begin + size])
                self.assertEqual((factory.built[-1].heard, transport.value()), (first, b"hello"))
                transport.protocol.connectionLost(Failure(ConnectionDone()))
                self.assertTrue(factory.built[-1].gone)
                self.assertEqual(len(self.budget), 0)

    def test_bep3(self) -> None:
        """Whatever nobody else has is BEP 3's, with nothing between it and its transport."""
        first, transport = self.knock()
        data = handshake(self.listener.info_hash)
        transport.protocol.dataReceived(data[:1])
        self.assertIsNot(transport.protocol, first)
        transport.protocol.dataReceived(data[1:])
        self.assertTrue(transport.value().startswith(b"\x13BitTorrent protocol"))
        transport.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(len(self.budget), 0)

    def test_silence(self) -> None:
        """Who says nothing, or never enough, is closed in time, and its place given back."""
        first, transport = self.knock()
        first.dataReceived(b"P2")
        self.clock.advance(self.budget.commons.limits.handshake_timeout)
        self.assertTrue(transport.disconnected or transport.disconnecting)
        if len(self.budget):
            first.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((len(self.budget), self.course.built), (0, []))

    def test_one_swarm_a_dialect(self) -> None:
        """First bytes that somebody has cannot be had twice; given back they can."""
        endpoint = SharedPort(self.factory.dialects, b"HANDSHAKE ", lambda: PLACE)
        self.failureResultOf(endpoint.listen(Recorders()), CannotListenError)
        self.part.stopListening()
        self.successResultOf(endpoint.listen(Recorders()))
