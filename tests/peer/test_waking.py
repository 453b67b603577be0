"""Connections whose torrent has to wake up first."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.addresses import Address
from p2pshare.peer.limits import Commons
from p2pshare.peer.protocol import PeerProtocol
from p2pshare.wire import messages
from tests.fakes import PeerTransport, RecordingListener, handshake

INTERESTED = b"\0\0\0\x01\x02"


class WakingTests(SynchronousTestCase):
    """A route that takes its time."""

    def setUp(self) -> None:
        self.clock, self.commons, self.listener = Clock(), Commons(), RecordingListener()
        self.waking: list[Deferred[RecordingListener | None]] = []
        self.link = PeerProtocol(self.clock, Address("127.0.0.1", 50000), lambda _: self.wake(), self.commons)
        self.transport = PeerTransport()
        self.link.makeConnection(self.transport)

    def wake(self) -> Deferred[RecordingListener | None]:
        """Have somebody wait."""
        self.waking.append(Deferred())
        return self.waking[-1]

    def test_waits(self) -> None:
        """It reads nothing and says nothing until its torrent is there; what came before is then heard in order."""
        self.link.dataReceived(handshake() + INTERESTED[:2])
        self.assertEqual((self.transport.producerState, self.transport.value()), ("paused", b""))
        self.link.dataReceived(INTERESTED[2:])  # as a transport may deliver what it has read already
        self.waking.pop().callback(self.listener)
        self.assertEqual(self.transport.producerState, "producing")
        self.assertEqual(self.transport.value()[:68], self.listener.hello())
        said = [event[1] for event in self.listener.events if event[0] == "message"]
        self.assertEqual((said, self.waking), ([messages.Interested()], []))
        self.clock.advance(60)
        self.assertFalse(self.transport.aborted)

    def test_cannot_wake(self) -> None:
        """When the torrent cannot be had, the stranger gets no byte."""
        self.link.dataReceived(handshake())
        self.waking.pop().callback(None)
        self.assertEqual((self.transport.aborted, self.transport.value()), (True, b""))

    def test_too_late(self) -> None:
        """It does not wait longer than for a handshake, and what comes afterwards does no harm."""
        self.link.dataReceived(handshake())
        self.clock.advance(self.commons.limits.handshake_timeout)
        self.assertTrue(self.transport.aborted)
        self.waking.pop().callback(self.listener)
        self.assertEqual((self.listener.events, self.transport.value()), ([], b""))

    def test_failed(self) -> None:
        """A bug in the waking is logged, and the connection ends with its time."""
        self.link.dataReceived(handshake())
        self.waking.pop().errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.clock.advance(self.commons.limits.handshake_timeout)
        self.assertTrue(self.transport.aborted)
