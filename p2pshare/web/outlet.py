"""The socket of a connection, for threads: what they read goes into it at once, past the reactor."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Lock
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFDSet, IWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

# Bytes that wait in the system. By itself it would take megabytes, and have room again when a third of them has gone:
# to a slow client nothing would move for a minute.
UNSENT = 256 * 1024
_LIMIT: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)  # not every system has it


@implementer(IWriteDescriptor)
@define(eq=False)
class Outlet:
    """
    A way around a transport that has nothing left to write, and is given nothing until this is closed.

    It has a descriptor of its own: a thread that is late never writes to whatever gets the transport's number next.
    """

    _socket: socket.socket
    _reactor: IReactorFDSet
    sent: int = field(init=False, default=0)  # bytes; final once this is closed
    _lock: Lock = field(init=False, factory=Lock)  # held while a thread sends
    _room: Deferred[None] | None = field(init=False, default=None)  # what is waited for while the socket is full

    @classmethod
    def of(cls, transport: Any) -> Outlet | None:
        """Give that of a transport; None: its bytes are not those of a socket (TLS), or there is no descriptor left."""
        handle = transport.getHandle() if hasattr(transport, "getHandle") else None
        if not isinstance(handle, socket.socket):
            return None
        try:
            own = handle.dup()
        except OSError:
            return None
        own.setblocking(False)
        if _LIMIT is not None and own.family in (socket.AF_INET, socket.AF_INET6):
            with suppress(OSError):  # of a connection that is gone, say: sending tells
                own.setsockopt(socket.IPPROTO_TCP, _LIMIT, UNSENT)
        return cls(own, transport.reactor)

    def send(self, data: memoryview) -> int:
        """
        Send as much as there is room for now, from any thread.

        :return: the number of bytes.
        :raise OSError: the connection is gone, or this is closed.
        """
        sent = 0
        with self._lock:
            try:
                while sent < len(data):
                    sent += self._socket.send(data[sent:])
            except BlockingIOError:
                pass
            finally:
                self.sent += sent
        return sent

    def room(self) -> Deferred[None]:
        """Fire when there is room, in the reactor's thread; also when the connection is gone, as sending tells."""
        self._room = Deferred(self._given_up)
        self._reactor.addWriter(self)
        return self._room

    def close(self) -> None:
        """Give the transport back. Waits for a thread that is sending just now: no longer than a copy takes."""
        self._stop_waiting()
        with self._lock:
            self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def doWrite(self) -> None:
        room = self._stop_waiting()
        if room is not None:
            room.callback(None)

    def connectionLost(self, reason: Failure) -> None:
        self.doWrite()

    def logPrefix(self) -> str:
        return type(self).__name__

    def _given_up(self, _: Deferred[None]) -> None:
        self._stop_waiting()

    def _stop_waiting(self) -> Deferred[None] | None:
        room, self._room = self._room, None
        if room is not None:
            self._reactor.removeWriter(self)
        return room
