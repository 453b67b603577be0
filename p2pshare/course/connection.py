"""One connection to a neighbor: greets first, then carries messages either way."""

from __future__ import annotations

from typing import Protocol as Seam

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.tcp import Connection
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pshare.errors import RemoteWireError
from p2pshare.wire import course
from p2pshare.wire.messages import Message
from p2pshare.wire.session import WireSession

HANDSHAKE_TIMEOUT = 10.0  # s
GRACE = 5.0  # s a polite close may take until the transport is aborted
# Bytes that may wait for a neighbor beside one piece: it has asked for one at most, and haves are small.
MOST_UNREAD = 1024 * 1024


class ConnectionListener(Seam):
    """The network that a connection belongs to."""

    def hello(self) -> bytes:
        """Our handshake."""

    def greeted(self, connection: NeighborConnection, id: int) -> WireSession | None:
        """Admit who has greeted, or say None: the connection is closed."""

    def joined(self, connection: NeighborConnection) -> None:
        """Messages may be sent."""

    def received(self, connection: NeighborConnection, message: Message) -> None:
        """One message came."""

    def lost(self, connection: NeighborConnection, reason: str) -> None:
        """The connection is gone, whether it was admitted or not."""


@implementer(IPushProducer)
@define(eq=False)
class NeighborConnection(Protocol):
    """Carries bytes between one transport and one WireSession; decides nothing."""

    _listener: ConnectionListener
    _clock: IReactorTime
    _piece_size: int
    expected: int | None = None  # whom we dialled; None: it dialled us
    id: int | None = field(init=False, default=None)  # of the neighbor, once it was admitted
    transport: Connection = field(init=False)
    _wire: WireSession | None = field(init=False, default=None)
    _early: bytes = field(init=False, default=b"")  # a handshake that is not whole yet: < 32 bytes and one read
    _deadline: IDelayedCall | None = field(init=False, default=None)
    _unread: int | None = field(init=False, default=None)  # bytes written since the transport had enough
    _closing: str | None = field(init=False, default=None)  # the reason, once we hang up
    log = Logger()

    @property
    def is_incoming(self) -> bool:
        """Whether the neighbor dialled."""
        return self.expected is None

    # The transport's side

    def connectionMade(self) -> None:
        self._deadline = self._clock.callLater(HANDSHAKE_TIMEOUT, self.abort, "no handshake in time")
        self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        self.transport.write(self._listener.hello())

    def dataReceived(self, data: bytes) -> None:
        if self._closing is not None:
            return
        try:
            if self._wire is None:
                self._greet(data)
            else:
                self._receive(self._wire, data)
        except RemoteWireError as error:
            self.abort(str(error))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._drop_deadline()
        self._closing = self._closing or reason.getErrorMessage()
        self._listener.lost(self, self._closing)

    def pauseProducing(self) -> None:
        """The transport holds enough: count what comes on top, as whoever does not read must not fill our memory."""
        self._unread = self._unread or 0

    def resumeProducing(self) -> None:
        """The transport holds nothing of ours any more."""
        self._unread = None

    def stopProducing(self) -> None:
        """The connection is gone, and connectionLost says so."""

    # The network's side

    def send(self, message: Message) -> None:
        """
        Say something.

        :raise LocalWireError: it cannot be said, or not now.
        """
        if self._wire is None or self._closing is not None:
            return
        data = self._wire.encode(message)
        if self._unread is not None:
            self._unread += len(data)
            if self._unread > self._piece_size + MOST_UNREAD:
                self.abort("does not read what we send")
                return
        self.transport.write(data)

    def close(self, reason: str) -> None:
        """Hang up politely: what was written still goes out, within a grace period."""
        if self._closing is None:
            self._end(reason)
            self._deadline = self._clock.callLater(GRACE, self.transport.abortConnection)
            self.transport.unregisterProducer()  # or the transport would wait for more from us
            self.transport.loseConnection()

    def abort(self, reason: str) -> None:
        """Hang up at once."""
        if self._closing is None:
            self._end(reason)
            self.transport.abortConnection()

    # Inside

    def _end(self, reason: str) -> None:
        self._closing = reason
        self.log.debug("closing {peer}: {reason}", peer=self.id or self.expected, reason=reason)
        self._drop_deadline()

    def _drop_deadline(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None

    def _greet(self, data: bytes) -> None:
        """Gather the other side's handshake; anything that cannot become one closes at its first wrong byte."""
        early = self._early = self._early + data
        prefix = course.PROTOCOL_PREFIX
        if early[: len(prefix)] != prefix[: len(early)]:
            raise RemoteWireError(f"begins with {early[: len(prefix)]!r}, which is no handshake of the course protocol")
        if len(early) < course.HANDSHAKE_SIZE:
            return
        id = course.decode_handshake(early[: course.HANDSHAKE_SIZE]).id
        wire = self._listener.greeted(self, id)
        if wire is None:
            raise RemoteWireError(f"peer {id} is not admitted")
        self._drop_deadline()
        self._early = b""
        self._wire, self.id = wire, id
        self._listener.joined(self)
        if len(early) > course.HANDSHAKE_SIZE and self._closing is None:
            self._receive(wire, early[course.HANDSHAKE_SIZE :])

    def _receive(self, wire: WireSession, data: bytes) -> None:
        for message in wire.receive(data):
            self._listener.received(self, message)
            if self._closing is not None:  # the listener hung up half way through
                return
