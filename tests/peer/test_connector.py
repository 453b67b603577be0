"""Tests for dialling peers."""

import errno
import os
from collections import Counter
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectBindError, ConnectionDone, ConnectionRefusedError, TimeoutError
from twisted.internet.interfaces import IHostResolution, IReactorPluggableNameResolver
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from p2pshare.addresses import Address
from p2pshare.peer.budget import ConnectionBudget
from p2pshare.peer.connector import REST, Connector
from p2pshare.peer.limits import Commons, ConnectionLimits
from p2pshare.peer.protocol import PeerProtocol
from tests.fakes import PeerTransport, RecordingListener, handshake


@implementer(IHostResolution)
class Resolution:
    """One look-up of a name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """Nothing to cancel: it is over before it began."""


class Names:
    """A resolver that knows a few names."""

    def __init__(self, known: dict[str, str]) -> None:
        self.known = known

    def resolveHostName(
        self, receiver: Any, hostName: str, portNumber: int = 0, *others: Any, **more: Any
    ) -> Resolution:
        resolution = Resolution(hostName)
        receiver.resolutionBegan(resolution)
        if hostName in self.known:
            receiver.addressResolved(IPv4Address("TCP", self.known[hostName], portNumber))
        receiver.resolutionComplete()
        return resolution


@implementer(IReactorPluggableNameResolver)
class Reactor(MemoryReactorClock):
    """A reactor that connects nowhere, and resolves names at once."""

    def __init__(self, names: dict[str, str] | None = None) -> None:
        super().__init__()
        self.nameResolver: Any = Names(names or {})


PUBLIC = Address("9.9.9.9", 6881)


class ConnectorTests(SynchronousTestCase):
    """Connections that come about, and those that do not."""

    def setUp(self) -> None:
        self.reactor = Reactor({"client2": "127.0.0.1", "nowhere": "0.0.0.0"})
        self.budget = ConnectionBudget(10, 3)
        self.connector = Connector(self.reactor, self.budget)
        self.listener = RecordingListener()

    def limited(self, **limits: int) -> ConnectionBudget:
        """A budget with other limits."""
        self.hits: Counter[str] = Counter()
        return ConnectionBudget(100, 3, Commons(ConnectionLimits(**limits), self.hits))

    def answer(self, number: int = -1) -> tuple[PeerProtocol, PeerTransport]:
        """Let a dialled connection come about."""
        host, port, factory, _, _ = self.reactor.tcpClients[number]
        wrapper: Any = factory.buildProtocol(IPv4Address("TCP", host, port))
        transport = PeerTransport()
        wrapper.makeConnection(transport)
        link = wrapper._wrappedProtocol
        assert isinstance(link, PeerProtocol)
        return link, transport

    def refuse(self, number: int = -1) -> None:
        """Let a dialled connection fail."""
        factory: Any = self.reactor.tcpClients[number][2]
        factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))

    def test_greets(self) -> None:
        """A connection that comes about is greeted on, and joins when the other side greets back."""
        self.connector.dial(PUBLIC, self.listener)
        link, transport = self.answer()
        self.assertEqual(transport.value(), self.listener.hello())
        self.assertFalse(link.is_incoming)
        link.dataReceived(handshake())
        self.assertEqual([event[0] for event in self.listener.events], ["welcome", "joined"])
        link.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.listener.events[-1][0], "lost")
        self.assertEqual(len(self.budget), 0)

    def test_refused(self) -> None:
        """A connection that is refused is told of once, and its place is free again."""
        self.connector.dial(PUBLIC, self.listener)
        self.refuse()
        self.assertEqual([event[:2] for event in self.listener.events], [("failed", PUBLIC)])
        self.assertEqual(len(self.budget), 0)
        self.assertTrue(self.connector.has_room(self.listener))

    def test_other_torrent(self) -> None:
        """Who answers with another torrent's handshake is no peer: dialling has failed, once."""
        self.connector.dial(PUBLIC, self.listener)
        link, transport = self.answer()
        link.dataReceived(handshake(info_hash=b"?" * 20))
        self.assertTrue(transport.aborted)
        link.connectionLost(Failure(ConnectionDone()))
        self.assertEqual([event[:2] for event in self.listener.events], [("failed", PUBLIC)])
        self.assertEqual(len(self.budget), 0)

    def test_times_out(self) -> None:
        """Nobody is waited for longer than the connect timeout."""
        self.connector.dial(PUBLIC, self.listener)
        self.assertEqual(self.reactor.tcpClients[0][3], ConnectionLimits().connect_timeout)

    def test_bind(self) -> None:
        """Dialling starts from the address we are bound to."""
        connector = Connector(self.reactor, self.budget, "9.9.9.1")
        connector.dial(PUBLIC, self.listener)
        connector.dial(Address("client2", 6881), self.listener)
        self.reactor.advance(0)
        self.assertEqual([client[4] for client in self.reactor.tcpClients], [("9.9.9.1", 0)] * 2)

    def test_timeout_is_counted(self) -> None:
        """A dial that nobody answers in time is one hit of that limit, any other failure is none."""
        self.connector.dial(PUBLIC, self.listener)
        self.refuse()
        self.assertEqual(self.budget.commons.hits, {})
        self.connector.dial(PUBLIC, self.listener)
        factory: Any = self.reactor.tcpClients[-1][2]
        factory.clientConnectionFailed(None, Failure(TimeoutError()))
        self.assertEqual(self.budget.commons.hits, {"connect_timeout": 1})

    def fail(self, error: Exception) -> None:  # type: ignore[override]
        """Let the last dial fail by an error of the system's."""
        factory: Any = self.reactor.tcpClients[-1][2]
        factory.clientConnectionFailed(None, Failure(error))

    def test_f48_no_descriptor_to_dial_with(self) -> None:
        """A dial that fails for want of means is no fault of the peer's; all dialling rests for some seconds."""
        for code in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            self.listener.events.clear()
            self.connector.dial(PUBLIC, self.listener)
            self.fail(ConnectBindError(code, os.strerror(code)))
            self.assertEqual(self.listener.events, [])  # not while the swarm is dialling
            self.reactor.advance(0)
            self.assertEqual(self.listener.events, [("postponed", PUBLIC)])
            self.assertFalse(self.connector.has_room(self.listener))
            self.assertFalse(self.connector.has_room(RecordingListener()))
            self.reactor.advance(REST)
            self.assertTrue(self.connector.has_room(self.listener))
        self.assertEqual(len(self.budget), 0)

    def test_f48_descriptors_are_reserved(self) -> None:
        """With only the spare descriptors left nobody is dialled, nor looked for again before some seconds."""
        left = [64]
        asked = []
        budget = ConnectionBudget(descriptors_left=lambda: asked.append(1) or left[0])  # type: ignore[func-returns-value]
        connector = Connector(self.reactor, budget)
        for _ in range(100):
            self.assertFalse(connector.has_room(self.listener))
        self.assertEqual((len(asked), budget.commons.hits), (1, {"spare_files": 1}))
        left[0] = 65
        self.reactor.advance(REST)
        self.assertTrue(connector.has_room(self.listener))

    def test_half_open(self) -> None:
        """A torrent has at most so many connections that are neither there nor refused."""
        connector = Connector(self.reactor, self.limited(half_open=3, half_open_per_torrent=2))
        other = RecordingListener()
        for n in range(2):
            self.assertTrue(connector.has_room(self.listener))
            connector.dial(Address(f"9.9.9.{n}", 6881), self.listener)
        self.assertFalse(connector.has_room(self.listener))
        self.assertTrue(connector.has_room(other))
        connector.dial(Address("9.9.9.7", 6881), other)
        self.assertFalse(connector.has_room(other))
        self.assertEqual(self.hits, {"half_open_per_torrent": 1, "half_open": 1})
        self.answer(0)
        self.assertTrue(connector.has_room(self.listener))
        self.refuse(1)
        self.assertTrue(connector.has_room(other))

    def test_per_second(self) -> None:
        """No more than so many are dialled within a second."""
        connector = Connector(self.reactor, self.limited(dials_per_second=2))
        for n in range(2):
            connector.dial(Address(f"9.9.9.{n}", 6881), self.listener)
        self.assertFalse(connector.has_room(self.listener))
        self.reactor.advance(0.9)
        self.assertFalse(connector.has_room(self.listener))
        self.assertEqual(self.hits, {"dials_per_second": 2})
        self.reactor.advance(0.2)
        self.assertTrue(connector.has_room(self.listener))

    def test_max_connections(self) -> None:
        """Nobody is dialled while all places are taken."""
        connector = Connector(self.reactor, ConnectionBudget(2))
        connector.dial(Address("9.9.9.1", 6881), self.listener)
        self.assertTrue(connector.has_room(self.listener))
        connector.dial(Address("9.9.9.2", 6881), self.listener)
        self.assertFalse(connector.has_room(self.listener))
        self.refuse()
        self.assertTrue(connector.has_room(self.listener))

    def test_host_is_full(self) -> None:
        """One more connection to a host that has its share fails, after the call has returned."""
        for _ in range(4):
            self.connector.dial(PUBLIC, self.listener)
        self.assertEqual((len(self.reactor.tcpClients), self.listener.events), (3, []))
        self.reactor.advance(0)
        self.assertEqual([event[:2] for event in self.listener.events], [("failed", PUBLIC)])
        self.assertEqual(len(self.budget), 3)

    def test_s1_19_name(self) -> None:
        """A peer given by name is resolved when it is dialled; it keeps the name it is known by."""
        self.connector.dial(Address("client2", 6881), self.listener)
        self.reactor.advance(0)
        self.assertEqual(self.reactor.tcpClients[0][:2], ("127.0.0.1", 6881))
        link, transport = self.answer()
        self.assertEqual(link.address, Address("client2", 6881))
        self.assertEqual(transport.value(), self.listener.hello())

    def test_s1_19_name_that_does_not_resolve(self) -> None:
        """It costs that peer only: told of as one failure, the others are dialled."""
        unknown = Address("client3", 6881)
        self.connector.dial(unknown, self.listener)
        self.connector.dial(Address("client2", 6881), self.listener)
        self.reactor.advance(0)
        self.assertEqual([event[:2] for event in self.listener.events], [("failed", unknown)])
        self.answer()
        self.assertEqual(len(self.budget), 1)

    def test_s1_19_name_of_nobody(self) -> None:
        """What a name resolved to is checked like any address."""
        nowhere = Address("nowhere", 6881)
        self.connector.dial(nowhere, self.listener)
        self.reactor.advance(0)
        host, port, factory, _, _ = self.reactor.tcpClients[0]
        self.assertIsNone(factory.buildProtocol(IPv4Address("TCP", host, port)))
        self.reactor.advance(ConnectionLimits().connect_timeout)
        self.assertEqual([event[:2] for event in self.listener.events], [("failed", nowhere)])
        self.assertEqual(len(self.budget), 0)
        self.assertTrue(self.connector.has_room(self.listener))
