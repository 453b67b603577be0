"""The listening port, when the system runs out of means to accept connections."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall, IListeningPort
from twisted.internet.posixbase import PosixReactorBase
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Port
from twisted.python.failure import Failure

from p2pshare.peer.factory import AcceptFactory

REST = 1.0  # s
BACKLOG = 128  # connections that the system accepts for us meanwhile


class Door(Port):
    """
    A TCP port that rests for a second when it could not answer a knock: accept() failed, or descriptors are scarce.

    Whoever knocks waits in the system's queue. Twisted's own port would be told of the same connection again at once,
    and again, with a line in the log each time, until some file is closed somewhere.
    """

    factory: AcceptFactory
    reactor: Any
    _waking: IDelayedCall | None = None

    def doRead(self) -> None:
        """Accept who is waiting."""
        answered = self.factory.answered
        super().doRead()
        if self.factory.answered == answered and self.connected and not self.disconnecting:
            self.stopReading()
            self._waking = self.reactor.callLater(REST, self._wake)

    def _wake(self) -> None:
        self._waking = None
        self.startReading()

    def loseConnection(self, connDone: Failure = connectionDone) -> Any:
        """Close the port, awake or not."""
        if self._waking is not None:
            self._waking.cancel()
            self._waking = None
        return super().loseConnection(connDone)

    stopListening = loseConnection


def open_door(reactor: Any, port: int, factory: AcceptFactory, interface: str) -> IListeningPort:
    """
    Listen on a TCP port.

    :raise CannotListenError: it cannot be had.
    """
    if not isinstance(reactor, PosixReactorBase):  # one of a test: it has no sockets, and listens in its own way
        return reactor.listenTCP(port, factory, backlog=BACKLOG, interface=interface)  # type: ignore[no-any-return]
    door = Door(port, factory, BACKLOG, interface, reactor)
    door.startListening()
    return door
