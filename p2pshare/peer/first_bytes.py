"""One port for all dialects: who connects says with its first bytes which one it speaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.tcp import Connection
from twisted.python.failure import Failure
from zope.interface import implementer

# First bytes of a dialect -> who builds its connections. BEP 3 has all others.
Dialects = dict[bytes, IProtocolFactory]


@define(eq=False)
class FirstBytes(Protocol):
    """
    Waits for the first bytes of a connection, and then is whichever dialect they begin. Says nothing itself.

    A dialect that greets first does so as soon as it is known.
    """

    _dialects: Dialects
    _peer: IAddress  # where the connection comes from
    _otherwise: Callable[[], Protocol]  # builds what has no first bytes of its own, and counts itself from then on
    _on_closed: Callable[[], None]  # unless it became that
    _clock: IReactorTime
    _timeout: float
    transport: Connection = field(init=False)
    proved: bool = field(init=False, default=False)
    _early: bytes = field(init=False, default=b"")  # less than the longest of first bytes, and one read
    _chosen: IProtocol | None = field(init=False, default=None)
    _deadline: IDelayedCall | None = field(init=False, default=None)

    def connectionMade(self) -> None:
        self._deadline = self._clock.callLater(self._timeout, self.abort, "says nothing")

    def dataReceived(self, data: bytes) -> None:
        if self._chosen is not None:
            self._chosen.dataReceived(data)
            return
        early = self._early = self._early + data
        found = next((first for first in self._dialects if early.startswith(first)), None)
        if found is None and any(first.startswith(early) for first in self._dialects):
            return
        self._drop_deadline()
        self._early = b""
        if found is None:
            self._become(self._otherwise(), early)
            return
        chosen = self._dialects[found].buildProtocol(self._peer)
        if chosen is None:
            self.abort("no room")
            return
        self._chosen, self.proved = chosen, True  # its dialect knows who has to go
        chosen.makeConnection(self.transport)
        chosen.dataReceived(early)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._drop_deadline()
        if self._chosen is not None:
            self._chosen.connectionLost(reason)
        self._on_closed()

    def abort(self, reason: str) -> None:
        """End it at once."""
        self.transport.abortConnection()

    def _become(self, link: Protocol, early: bytes) -> None:
        """Step aside: from now on the transport speaks to a dialect without us between."""
        self.transport.protocol = link
        link.makeConnection(self.transport)
        link.dataReceived(early)

    def _drop_deadline(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()


@implementer(IListeningPort)
@define(eq=False)
class _Part:
    """The part of a port that one dialect has."""

    _dialects: Dialects
    _first: bytes
    _host: Callable[[], Any]

    def startListening(self) -> None:
        """It does already."""

    def stopListening(self) -> None:
        """Build no more connections of this dialect."""
        self._dialects.pop(self._first, None)

    def getHost(self) -> Any:
        """Tell where the whole port is."""
        return self._host()


@implementer(IStreamServerEndpoint)
@define(eq=False)
class SharedPort:
    """An endpoint for one dialect on a port that others have, too."""

    _dialects: Dialects
    _first: bytes
    _host: Callable[[], Any]  # the address of the port

    def listen(self, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Have whatever begins with these bytes; fails when somebody has them."""
        if self._first in self._dialects:
            return fail(CannotListenError(None, self._first, OSError("another swarm has this dialect here")))
        self._dialects[self._first] = factory
        return succeed(_Part(self._dialects, self._first, self._host))
