"""Tests of p2pshare.web.outlet: sockets that threads write to."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.web.outlet import UNSENT, Outlet
from tests.web.connections import Transport

MORE_THAN_FITS = memoryview(bytes(16 << 20))


class FakeReactor:
    """Knows who waits for room."""

    def __init__(self) -> None:
        self.writers: list[Any] = []

    def addWriter(self, writer: Any) -> None:
        self.writers.append(writer)

    def removeWriter(self, writer: Any) -> None:
        self.writers.remove(writer)


class SocketTransport(Transport):
    """A transport on a socket; ``theirs`` is the other end of it."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.reactor = FakeReactor()
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.theirs.setblocking(False)

    def getHandle(self) -> socket.socket:
        """Give the socket, as Twisted's TCP connections do."""
        return self.ours

    def arrived(self) -> bytes:
        """Take what has come at the other end."""
        data = b""
        try:
            while more := self.theirs.recv(1 << 20):
                data += more
        except BlockingIOError:
            pass
        return data

    def release(self) -> None:
        """Close both ends."""
        self.ours.close()
        self.theirs.close()


class OutletTests(SynchronousTestCase):
    """Outlet"""

    def setUp(self) -> None:
        self.transport = SocketTransport()
        self.addCleanup(self.transport.release)
        outlet = Outlet.of(self.transport)
        assert outlet is not None
        self.outlet = outlet
        self.addCleanup(self.outlet.close)

    def test_sends_what_there_is_room_for(self) -> None:
        """All of a little; of much as much as fits, which is what arrives."""
        self.assertEqual(self.outlet.send(memoryview(b"hello")), 5)
        self.assertEqual(self.transport.arrived(), b"hello")
        sent = self.outlet.send(MORE_THAN_FITS)
        self.assertTrue(0 < sent < len(MORE_THAN_FITS))
        self.assertEqual(self.outlet.send(memoryview(b"x")), 0)
        self.assertEqual(len(self.transport.arrived()), sent)

    def test_little_waits_in_the_system(self) -> None:
        """Of a TCP connection the system holds no more unsent than what a slow client takes in a while."""
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as ours:
            self.patch(self.transport, "getHandle", lambda: ours)
            outlet = Outlet.of(self.transport)
            assert outlet is not None
            self.assertEqual(ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT), UNSENT)
            outlet.close()

    def test_waits_for_room(self) -> None:
        """The reactor says when there is room, once."""
        reactor = self.transport.reactor
        room = self.outlet.room()
        self.assertNoResult(room)
        self.assertEqual(reactor.writers, [self.outlet])
        self.outlet.doWrite()
        self.successResultOf(room)
        self.assertEqual(reactor.writers, [])
        self.outlet.doWrite()

    def test_waits_no_more(self) -> None:
        """Whoever gives up waiting, and whoever closes it while somebody waits, leaves nothing with the reactor."""
        reactor = self.transport.reactor
        room = self.outlet.room()
        room.cancel()
        self.failureResultOf(room)
        self.assertEqual(reactor.writers, [])
        self.assertNoResult(self.outlet.room())
        self.outlet.close()
        self.assertEqual(reactor.writers, [])

    def test_connection_gone(self) -> None:
        """When the other side has gone, waiting ends, and sending says so."""
        room = self.outlet.room()
        self.transport.theirs.close()
        self.outlet.connectionLost(Failure(ConnectionError()))
        self.successResultOf(room)
        self.assertRaises(OSError, self.outlet.send, memoryview(b"x"))

    def test_has_a_descriptor_of_its_own(self) -> None:
        """A thread that is late sends to this connection or to nobody, whoever has the number of the transport now."""
        number = self.transport.ours.fileno()
        self.transport.ours.close()
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        self.addCleanup(os.close, write)
        self.assertIn(number, (read, write))
        self.outlet.send(memoryview(b"hello"))
        self.assertEqual(self.transport.arrived(), b"hello")
        self.outlet.close()
        self.assertRaises(OSError, self.outlet.send, memoryview(b"hello"))

    def test_no_socket(self) -> None:
        """A transport without a socket has none: its bytes are encrypted, say."""
        self.assertIsNone(Outlet.of(StringTransport()))
        self.patch(self.transport, "getHandle", lambda: object())
        self.assertIsNone(Outlet.of(self.transport))

    def test_no_descriptor_left(self) -> None:
        """Where the process may open nothing more, there is none, either."""
        self.transport.ours.close()  # as little to be duplicated
        self.assertIsNone(Outlet.of(self.transport))
