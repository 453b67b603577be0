"""Tests for a listening port whose system has run out of descriptors; no socket is real."""

from __future__ import annotations

import errno
import os
from typing import Any

from twisted.internet import tcp
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.peer.budget import ConnectionBudget
from p2pshare.peer.door import REST, Door, open_door
from p2pshare.peer.factory import AcceptFactory
from p2pshare.peer.protocol import PeerProtocol
from tests.fakes import RecordingListener


class Readers(Clock):
    """A reactor that knows who wants to read, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()

    def addReader(self, reader: Any) -> None:
        self.readers.add(reader)

    def removeReader(self, reader: Any) -> None:
        self.readers.discard(reader)

    def addWriter(self, writer: Any) -> None:
        """Nothing is written here."""

    removeWriter = addWriter


class Caller:
    """The socket of somebody who knocked."""

    def __init__(self) -> None:
        self.closed = False

    def fileno(self) -> int:
        return 99

    def setblocking(self, blocking: bool) -> None:
        """It never blocks."""

    def close(self) -> None:
        self.closed = True


class Listener:
    """A listening socket: accept() gives what the test wants, again and again."""

    def __init__(self) -> None:
        self.error: int | None = None
        self.waiting: list[Caller] = []
        self.accepts = 0

    def accept(self) -> tuple[Caller, tuple[str, int]]:
        self.accepts += 1
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))
        if not self.waiting:
            raise BlockingIOError(errno.EAGAIN, "nobody is there")
        return self.waiting.pop(0), ("9.9.9.9", 50000 + self.accepts)


class DoorTests(SynchronousTestCase):
    """F48: no descriptor for one more connection."""

    def setUp(self) -> None:
        self.reactor = Readers()
        self.left = 1000  # descriptors
        self.budget = ConnectionBudget(100, 100, descriptors_left=lambda: self.left)
        self.listener = RecordingListener()
        self.factory = AcceptFactory(self.reactor, lambda seen: self.listener, self.budget)
        self.links: list[PeerProtocol] = []
        self.door = Door(6881, self.factory, 128, "", self.reactor)
        self.socket = Listener()
        self.door.socket = self.socket
        self.door.connected, self.door.numberAccepts = True, 100
        self.door.transport = self.connected  # type: ignore[assignment]
        self.door.startReading()
        # Twisted keeps one descriptor to accept with and close, where it can. Here that one is gone, too.
        self.patch(tcp, "_reservedFD", tcp._NullFileDescriptorReservation())

    def connected(self, skt: Any, link: PeerProtocol, *others: Any) -> Any:
        """Stand in for the transport of an accepted connection."""
        self.links.append(link)
        return self

    def setTcpNoDelay(self, enabled: bool) -> None:
        """What that transport is told."""

    def turn(self, turns: int = 1) -> None:
        """Do what a reactor does while somebody is waiting at the socket."""
        for _ in range(turns):
            for reader in tuple(self.reactor.readers):
                reader.doRead()

    @property
    def is_open(self) -> bool:
        """Whether it would hear somebody knock."""
        return self.door in self.reactor.readers

    def test_f48_accept_fails(self) -> None:
        """Without descriptors, memory or the system's table accept() is tried once a second, and then works again."""
        for error in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            self.socket.error = error
            self.socket.waiting.append(Caller())
            before = self.socket.accepts
            self.turn(1000)
            self.assertEqual(self.socket.accepts, before + 1)
            self.assertFalse(self.is_open)
            self.reactor.advance(REST)
            self.turn(1000)
            self.assertEqual(self.socket.accepts, before + 2)
            self.socket.error = None
            self.reactor.advance(REST)
            self.turn()
            self.assertTrue(self.is_open)
            self.assertEqual(self.socket.waiting, [])
            self.assertFalse(self.links[-1].is_closing)
        self.assertEqual(len(self.links), 4)

    def test_f48_descriptors_are_reserved(self) -> None:
        """The last descriptors are not for peers: newcomers are sent away, and those who are here stay."""
        self.socket.waiting.append(Caller())
        self.turn()
        self.left = 64
        late = Caller()
        self.socket.waiting.append(late)
        self.turn(1000)
        self.assertTrue(late.closed)
        self.assertFalse(self.is_open)
        self.assertEqual(len(self.links), 1)
        self.assertFalse(self.links[0].is_closing)
        self.assertEqual(self.budget.commons.hits, {"spare_files": 1})
        self.left = 65
        self.reactor.advance(REST)
        self.socket.waiting.append(Caller())
        self.turn()
        self.assertEqual(len(self.links), 2)
        self.assertTrue(self.is_open)

    def test_refused_for_other_reasons(self) -> None:
        """A host that has its share is told no; that is an answer, and the door stays open."""
        self.budget._total = 0
        self.socket.waiting += [Caller(), Caller()]
        self.turn()
        self.assertEqual((self.socket.waiting, self.links), ([], []))
        self.assertTrue(self.is_open)

    def test_closed_while_it_rests(self) -> None:
        """Whoever closes a resting door does not find it open again."""
        self.socket.error = errno.EMFILE
        self.turn()
        self.door.stopListening()
        self.assertEqual([call for call in self.reactor.getDelayedCalls() if call.time > 0], [])
        self.assertFalse(self.is_open)

    def test_other_reactors(self) -> None:
        """A reactor without sockets listens as it always does."""
        reactor = MemoryReactorClock()
        open_door(reactor, 6881, self.factory, "::")
        self.assertEqual(reactor.tcpServers, [(6881, self.factory, 128, "::")])

    def tearDown(self) -> None:
        for link in self.links:
            link.connectionLost(Failure(ConnectionDone()))
