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

from p2pshare.addresses import Address
from p2pshare.errors import RemoteWireError
from p2pshare.peer.holds import Holds
from p2pshare.peer.limiter import Allowance
from p2pshare.peer.outbox import FRAMING, Block, BlockSource, Outbox
from p2pshare.peer.promises import Promises
from p2pshare.wire import course
from p2pshare.wire.messages import Message, Request
from p2pshare.wire.session import WireSession

HANDSHAKE_TIMEOUT = 10.0  # s
GRACE = 5.0  # s a polite close may take until the transport is aborted
# Bytes of messages that may wait for a neighbor which reads nothing. Pieces wait as requests.
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

    def batch_received(self, connection: NeighborConnection) -> None:
        """Every message of one read was handed over."""

    def blocks_sent(self, connection: NeighborConnection, amount: int) -> None:
        """So many bytes of pieces went out."""

    def blocks_unreadable(self, connection: NeighborConnection, blocks: list[Block], reason: Failure) -> None:
        """Promised pieces could not be read from disk."""

    def lost(self, connection: NeighborConnection, reason: str) -> None:
        """The connection is gone, whether it was admitted or not."""


@implementer(IPushProducer)
@define(eq=False)
class NeighborConnection(Holds, Promises, Protocol):
    """
    Carries bytes between one transport and one WireSession; decides nothing. It is a swarm's Link.

    Promised pieces wait as requests. One at a time goes to the transport, and none while that holds enough, so a
    neighbor that does not read costs no memory.
    """

    _listener: ConnectionListener
    _clock: IReactorTime
    _source: BlockSource
    _piece_size: int
    address: Address
    expected: int | None = None  # whom we dialled; None: it dialled us
    id: int | None = field(init=False, default=None)  # of the neighbor, once it was admitted
    transport: Connection = field(init=False)
    proved: bool = field(init=False, default=False)  # a piece went one way or the other; the swarm says so
    _wire: WireSession | None = field(init=False, default=None)
    _outbox: Outbox | None = field(init=False, default=None)
    _holds: set[str] = field(init=False, factory=set)  # why reading is paused
    _early: bytes = field(init=False, default=b"")  # a handshake that is not whole yet: < 32 bytes and one read
    _deadline: IDelayedCall | None = field(init=False, default=None)
    _unread: int | None = field(init=False, default=None)  # bytes written since the transport had enough
    _closing: str | None = field(init=False, default=None)  # the reason, once we hang up
    log = Logger()

    @property
    def is_incoming(self) -> bool:
        """Whether the neighbor dialled."""
        return self.expected is None

    @property
    def is_closing(self) -> bool:
        """Whether it ends: nothing more is said or heard."""
        return self._closing is not None

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
        self._close_outbox()
        self._closing = self._closing or reason.getErrorMessage()
        self._listener.lost(self, self._closing)

    def pauseProducing(self) -> None:
        """The transport holds enough: count what comes on top, as whoever does not read must not fill our memory."""
        self._unread = self._unread or 0

    def resumeProducing(self) -> None:
        """The transport holds nothing of ours any more."""
        self._unread = None
        self.pump()

    def stopProducing(self) -> None:
        self._close_outbox()

    # The swarm's side

    def send(self, message: Message) -> None:
        """
        Say something.

        :raise LocalWireError: it cannot be said, or not now.
        """
        if self._wire is not None and self._closing is None:
            self._say(self._wire.encode(message))

    mention = send  # one write more or less does not matter here

    def request(self, blocks: list[Block]) -> None:
        """Ask for pieces in one write."""
        if self._wire is not None and self._closing is None:
            self._say(self._wire.encode_blocks(Request, blocks))

    def _say(self, data: bytes) -> None:
        if self._unread is not None:
            self._unread += len(data)
            if self._unread > MOST_UNREAD:
                self.abort("does not read what we send")
                return
        self.transport.write(data)

    def pump(self) -> None:
        """Send promised pieces as far as the transport takes them."""
        if self._outbox is not None and self._closing is None:
            self._outbox.pump()

    def expect_blocks(self, coming: bool) -> None:
        """Reads stay as they are: a piece is one message."""

    def tick(self) -> None:
        """No deadline: a neighbor may be silent for as long as it likes."""

    def turn_away(self, hello: bytes, reason: str) -> None:
        """Hang up; our handshake went out before."""
        self.close(reason)

    def close(self, reason: str) -> None:
        """Hang up politely: what was written still goes out, within a grace period."""
        if self._closing is None:
            self._end(reason)
            self._deadline = self._clock.callLater(GRACE, self.transport.abortConnection)
            self._close_outbox()
            self.transport.unregisterProducer()  # or the transport would wait for more from us
            self.transport.loseConnection()

    def abort(self, reason: str) -> None:
        """Hang up at once."""
        if self._closing is None:
            self._end(reason)
            self._close_outbox()
            self.transport.abortConnection()

    # What an Outbox needs

    @property
    def room(self) -> int:
        """How many bytes of pieces the transport may be handed now: one piece, unless it holds enough."""
        return self._piece_size + FRAMING if self._unread is None else 0

    def write(self, data: bytes) -> None:
        """Hand a piece to the transport."""
        self.transport.write(data)

    def blocks_sent(self, amount: int) -> None:
        """Tell what went out."""
        self._listener.blocks_sent(self, amount)

    def blocks_unreadable(self, blocks: list[Block], reason: Failure) -> None:
        """Tell what could not be read."""
        self._listener.blocks_unreadable(self, blocks, reason)

    # Inside

    def _close_outbox(self) -> None:
        if self._outbox is not None:
            self._outbox.close()

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
        self._outbox = Outbox(self._source, self, Allowance(), wire.dialect.piece_header)
        self._listener.joined(self)
        if len(early) > course.HANDSHAKE_SIZE and self._closing is None:
            self._receive(wire, early[course.HANDSHAKE_SIZE :])

    def _receive(self, wire: WireSession, data: bytes) -> None:
        for message in wire.receive(data):
            self._listener.received(self, message)
            if self._closing is not None:  # the listener hung up half way through
                return
        self._listener.batch_received(self)
