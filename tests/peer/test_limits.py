"""Each limit of one connection: just below it, at it, and one beyond it, where it is counted."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.peer.limits import Commons, ConnectionLimits
from p2pshare.peer.outbox import FRAMING
from p2pshare.peer.protocol import PeerProtocol
from p2pshare.peer.unsent import SHARE
from p2pshare.wire import bep3, messages
from tests.fakes import FakeSource, PeerTransport, RecordingListener, accepted, handshake

JUST = 2**-10  # s; floats take it without rounding


class ConnectionLimitsTests(SynchronousTestCase):
    """The table ``[peer.connections]``; what counts connections is tested beside the budget and the connector."""

    def make(self, *, greet: bool = True, **limits: Any) -> tuple[PeerProtocol, PeerTransport]:
        """Accept a connection under these limits."""
        self.clock = Clock()
        self.commons = Commons(ConnectionLimits(**limits))
        self.listener = RecordingListener(FakeSource([bytes(1 << 20)]))
        link, transport = accepted(self.listener, self.clock, self.commons)
        if greet:
            link.dataReceived(handshake())
            transport.drain()
        return link, transport

    def assert_ends_after(self, seconds: float, limit: str, link: PeerProtocol, transport: PeerTransport) -> None:
        """Make sure that a connection lives for so long, and no longer."""
        self.clock.advance(seconds - JUST)
        link.tick()
        self.assertFalse(transport.aborted)
        self.clock.advance(JUST)
        if limit != "handshake_timeout":  # that one is a timer of its own
            link.tick()
            self.assertFalse(transport.aborted)
            self.assertEqual(self.commons.hits, {})
        self.clock.advance(JUST)
        link.tick()
        self.assertTrue(transport.aborted)
        self.assertEqual(self.commons.hits, {limit: 1})
        link.tick()
        link.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.commons.hits, {limit: 1})
        self.assertEqual((self.commons.memory.held, self.clock.getDelayedCalls()), (0, []))

    def test_handshake_timeout(self) -> None:
        """A handshake has its time, whatever of it has come."""
        link, transport = self.make(greet=False, handshake_timeout=4.0)
        link.dataReceived(handshake()[:67])
        self.assert_ends_after(4.0, "handshake_timeout", link, transport)

    def test_handshake_in_time(self) -> None:
        """One that is whole in the last moment is in time."""
        link, transport = self.make(greet=False, handshake_timeout=4.0)
        self.clock.advance(4.0 - JUST)
        link.dataReceived(handshake())
        self.clock.advance(60.0)
        self.assertFalse(transport.aborted)
        self.assertEqual(self.commons.hits, {})

    def test_idle_timeout(self) -> None:
        """Silence has its time."""
        self.assert_ends_after(50.0, "idle_timeout", *self.make(idle_timeout=50.0))

    def test_message_timeout(self) -> None:
        """So has a message."""
        link, transport = self.make(message_timeout=7.0)
        link.dataReceived(b"\0\0\0\5\4")
        self.assert_ends_after(7.0, "message_timeout", link, transport)

    def test_unread_timeout(self) -> None:
        """And the other side to read what is sent to it."""
        link, transport = self.make(unread_timeout=30.0)
        link.send(messages.Have(1))
        self.assert_ends_after(30.0, "unread_timeout", link, transport)

    def test_keepalive(self) -> None:
        """After so much silence of ours we speak up."""
        link, transport = self.make(keepalive=20.0)
        self.clock.advance(20.0)
        link.tick()
        self.assertEqual(transport.value(), b"")
        self.clock.advance(JUST)
        link.tick()
        self.assertEqual(transport.value(), bytes(4))

    def test_send_buffer(self) -> None:
        """So many bytes of blocks wait for a peer that does not read, and not one block more."""
        frame = 16384 + 13
        edge = 2 * frame + 16384 + FRAMING  # here a third one fits
        for size, blocks in ((edge - 1, 2), (edge, 3), (edge + 1, 3)):
            link, transport = self.make(send_buffer=size)
            for begin in range(0, 1 << 20, 16384):
                link.promise((0, begin, 16384))
            link.pump()
            self.assertEqual(len(transport.value()), blocks * frame)

    def test_send_buffer_and_reading(self) -> None:
        """With twice as much unread, which only answers can bring about, we do not listen; that is counted once."""
        for over in (-1, 0, 1):
            link, transport = self.make(send_buffer=32 * 1024)
            link.write(bytes(2 * 32 * 1024 + over))
            link.dataReceived(bytes(4))
            self.assertEqual(transport.producerState, "paused" if over > 0 else "producing")
            self.assertEqual(self.commons.hits, {"send_buffer": 1} if over > 0 else {})
            transport.drain()
            self.assertEqual(transport.producerState, "producing")

    def test_send_memory(self) -> None:
        """As long as a full window is a small part of what is free nobody hears of the memory of all."""
        total, window = 8 << 20, 128 * 1024
        free = SHARE * window  # at which the window is still whole
        for held, share, hits in (
            (total - free - 1, window, {}),
            (total - free, window, {}),
            (total - free + SHARE, window - 1, {"send_memory": 1}),
        ):
            self.make(send_buffer=window, send_memory=total)
            self.commons.memory.held = held
            self.assertEqual((self.commons.memory.share, self.commons.hits), (share, hits))

    def test_too_long_a_message(self) -> None:
        """A message beyond its limit closes the connection and is counted, by the kind's own limit as well."""
        for frame, hits in (
            (b"\0\0\x40\x09\7" + bytes(0x4008), {}),  # a block of 16 KiB
            (b"\0\0\x40\x0a\7", {"message_size": 1}),
            ((bep3.MAX_FRAME + 1).to_bytes(4, "big"), {"message_size": 1}),
        ):
            link, transport = self.make()
            link.dataReceived(frame)
            self.assertEqual((transport.aborted, self.commons.hits), (bool(hits), hits))
