"""Tests for accepting connections."""

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.addresses import Address
from p2pshare.peer.budget import ConnectionBudget
from p2pshare.peer.factory import AcceptFactory
from p2pshare.peer.limits import ConnectionLimits
from p2pshare.peer.protocol import PeerProtocol
from tests.fakes import PeerTransport, RecordingListener, handshake


class AcceptFactoryTests(SynchronousTestCase):
    """Who gets in, and what happens to the count."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.listener = RecordingListener()
        self.budget = ConnectionBudget(3, 2)
        self.factory = AcceptFactory(
            self.clock, lambda seen: self.listener if seen.info_hash == self.listener.info_hash else None, self.budget
        )

    def knock(self, host: str) -> PeerProtocol | None:
        """Let somebody connect."""
        link = self.factory.buildProtocol(IPv4Address("TCP", host, 50000))
        if link is None:
            return None
        assert isinstance(link, PeerProtocol)
        link.makeConnection(PeerTransport())
        return link

    def test_admits(self) -> None:
        """A connection is routed by its handshake, and knows where it comes from."""
        link = self.knock("9.9.9.9")
        assert link is not None
        link.dataReceived(handshake())
        self.assertEqual((link.address, link.is_incoming), (Address("9.9.9.9", 50000), True))
        self.assertEqual(self.listener.events[-1], ("joined",))

    def test_mapped_address(self) -> None:
        """An IPv4 peer that came through an IPv6 socket has its IPv4 address."""
        link = self.factory.buildProtocol(IPv6Address("TCP", "::ffff:9.9.9.9", 50000))
        assert isinstance(link, PeerProtocol)
        self.assertEqual(link.address, Address("9.9.9.9", 50000))

    def test_budget(self) -> None:
        """Beyond the limits, for one host and in all, nobody gets in until somebody useful leaves."""
        links = []
        for host in ("9.9.9.9", "9.9.9.9", "9.9.9.8"):
            link = self.knock(host)
            assert link is not None
            link.proved = True
            links.append(link)
        self.assertIsNone(self.knock("9.9.9.9"))
        self.assertIsNone(self.knock("9.9.9.7"))
        self.assertEqual(self.budget.commons.hits, {"max_connections_per_host": 1, "max_connections": 1})
        links[0].connectionLost(Failure(ConnectionDone()))
        self.assertIsNotNone(self.knock("9.9.9.7"))

    def test_f47_newcomer(self) -> None:
        """When all places are taken the oldest that never proved useful is hung up on, its end heard of once."""
        links = [link for n in range(3) if (link := self.knock(f"9.9.9.{n}")) is not None]
        links[0].proved = True
        self.assertIsNotNone(self.knock("9.9.9.9"))
        self.assertEqual([link.is_closing for link in links], [False, True, False])
        second = links[1]
        self.assertEqual(second.close_reason, "makes room for a newcomer")
        second.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(len(self.budget), 3)

    def test_silent_strangers_make_room(self) -> None:
        """Connections that never greet give their places back after the handshake limit."""
        links = [self.knock(f"9.9.9.{n}") for n in range(3)]
        self.clock.advance(ConnectionLimits().handshake_timeout)
        for link in links:
            assert link is not None
            self.assertTrue(link.is_closing)
            link.connectionLost(Failure(ConnectionDone()))
        self.assertIsNotNone(self.knock("9.9.9.9"))

    def test_one_memory(self) -> None:
        """What all of them send counts against one limit."""
        link = self.knock("9.9.9.9")
        assert link is not None
        link.dataReceived(handshake())
        self.assertEqual(self.budget.commons.memory.held, 68)
        link.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.budget.commons.memory.held, 0)
