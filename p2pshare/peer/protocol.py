"""One peer connection: bytes of a transport on one side, messages for a swarm on the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import Protocol as Seam

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPullProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.tcp import Connection
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pshare.addresses import Address
from p2pshare.errors import RemoteWireError
from p2pshare.peer.greeting import Greeting
from p2pshare.peer.holds import Holds
from p2pshare.peer.limiter import Allowance
from p2pshare.peer.limits import Commons
from p2pshare.peer.outbox import Block, BlockSource, Outbox
from p2pshare.peer.patience import COMPLAINTS, Patience
from p2pshare.peer.promises import Promises
from p2pshare.peer.speech import Speech
from p2pshare.peer.unsent import Backlog
from p2pshare.wire import bep3, messages
from p2pshare.wire.framing import FrameTooLong
from p2pshare.wire.session import WireSession

# One recv and one turn of the reactor: measured, larger reads are what makes Twisted fast here.
READ_SIZE = 1024 * 1024
IDLE_READ_SIZE = 128 * 1024  # while no blocks are expected
GRACE = 2.0  # s a polite close may take until the transport is aborted


class PeerListener(Seam):
    """The swarm a connection belongs to."""

    info_hash: bytes

    def hello(self) -> bytes:
        """Our handshake."""

    def welcome(self, link: PeerProtocol, handshake: bep3.Handshake) -> WireSession | None:
        """Admit the peer that sent this handshake, or say None: the connection is closed."""

    def source(self) -> BlockSource:
        """Where blocks for it are read."""

    def allowances(self) -> tuple[Allowance, Allowance]:
        """Its limits: upload, download."""

    def peer_joined(self, link: PeerProtocol) -> None:
        """Both handshakes are through; messages may be sent."""

    def message_received(self, link: PeerProtocol, message: messages.Message) -> None:
        """One message came."""

    def batch_received(self, link: PeerProtocol) -> None:
        """Every message of one read was handed over: the moment to answer them together."""

    def blocks_sent(self, link: PeerProtocol, amount: int) -> None:
        """So many payload bytes went out."""

    def blocks_unreadable(self, link: PeerProtocol, blocks: list[Block], reason: Failure) -> None:
        """Promised blocks could not be read from disk."""

    def peer_lost(self, link: PeerProtocol, reason: str) -> None:
        """An admitted peer's connection is gone."""


Route = Callable[[bep3.Handshake], "PeerListener | Deferred[Any] | None"]  # a Deferred: its torrent has to wake first


@implementer(IPullProducer)
@define(eq=False)
class PeerProtocol(Holds, Promises, Protocol):
    """
    Carries bytes between one transport and one WireSession; decides nothing.

    A dialled connection knows its swarm from the start and greets first; an accepted one asks
    ``route`` for the swarm of the handshake it reads, and a stranger gets no byte.

    It is the transport's pull producer: that is how Twisted says that all it held has gone to the kernel. As a push
    producer it would be paused only beyond ``bufferSize``, which is the size of a read as well: far more memory than a
    peer that does not read deserves.
    """

    _clock: IReactorTime
    address: Address  # where the connection comes from or goes to
    _route: Route
    _commons: Commons = field(factory=Commons)
    _dialled: PeerListener | None = None
    _on_closed: Callable[[PeerProtocol], None] | None = None
    transport: Connection = field(init=False)
    listener: PeerListener | None = field(init=False, default=None)
    proved: bool = field(init=False, default=False)  # a block went one way or the other; its swarm says so
    _wire: WireSession | None = field(init=False, default=None)
    _outbox: Outbox | None = field(init=False, default=None)
    _download: Allowance = field(init=False, factory=Allowance)
    _greeting: Greeting = field(init=False, factory=Greeting)
    _speech: Speech = field(init=False)
    _holds: set[str] = field(init=False, factory=set)  # why reading is paused
    _deadline: IDelayedCall | None = field(init=False, default=None)
    _closing: str | None = field(init=False, default=None)  # the reason, once we hang up
    _patience: Patience = field(init=False)
    _backlog: Backlog = field(init=False)
    log = Logger()

    def __attrs_post_init__(self) -> None:
        now = self._clock.seconds()
        self._patience, self._backlog = Patience(self._commons.limits, now, now), Backlog(self._commons.memory)
        self._speech = Speech(self.write)

    @property
    def is_incoming(self) -> bool:
        """Whether the other side dialled."""
        return self._dialled is None

    @property
    def is_closing(self) -> bool:
        """Whether it ends: nothing more is said or heard."""
        return self._closing is not None

    @property
    def close_reason(self) -> str:
        """Why the connection ended, empty while it lives."""
        return self._closing or ""

    # The transport's side

    def connectionMade(self) -> None:
        self._deadline = self._clock.callLater(
            self._commons.limits.handshake_timeout, self._lose_patience, "handshake_timeout"
        )
        self.transport.setTcpNoDelay(True)
        if self._dialled is not None:
            self.write(self._dialled.hello())

    def dataReceived(self, data: bytes) -> None:
        if self._closing is not None:
            return
        try:
            if self._wire is None:
                self._greet(data)
            else:
                self._receive(self._wire, data)
        except RemoteWireError as error:
            if isinstance(error, FrameTooLong):
                self._commons.hits["message_size"] += 1
            self.abort(str(error))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._close_outbox()
        self._backlog.drained()
        why = self._closing or reason.getErrorMessage()
        self._closing = why
        if self._on_closed is not None:
            self._on_closed(self)
        if self.listener is not None:
            self.listener.peer_lost(self, why)

    def resumeProducing(self) -> None:
        """The transport holds nothing of ours any more."""
        self._backlog.drained()
        self.release("unread")
        self.pump()

    def stopProducing(self) -> None:
        self._close_outbox()

    # The swarm's side

    def send(self, message: messages.Message) -> None:
        """Say something. Inside a batch it waits for the batch's end, so that one write carries all."""
        if self._wire is not None and self._closing is None:
            self._speech.say(self._wire.encode(message))

    def mention(self, message: messages.Message) -> None:
        """Say something that can wait for the next write, or the next :meth:`tick`."""
        if self._wire is not None and self._closing is None:
            self._speech.mention(self._wire.encode(message))

    def request(self, blocks: list[Block]) -> None:
        """Ask for many blocks in one write."""
        if self._wire is not None and self._closing is None:
            self._speech.say(self._wire.encode_blocks(messages.Request, blocks))

    def pump(self) -> None:
        """Send promised blocks as far as the transport takes them; what was said before them goes first."""
        if self._outbox is not None and self._closing is None:
            self._speech.flush()
            self._outbox.pump()

    def _read_again(self) -> None:
        self._patience.excuse(self._clock.seconds())
        super()._read_again()

    def tick(self) -> None:
        """Check the connection's deadlines and keep it alive; called about once a second."""
        if self._wire is None or self._closing is not None:
            return
        now = self._clock.seconds()
        if self._holds:
            self._patience.excuse(now)
        exhausted = self._patience.exhausted(now, self._backlog.since if self._backlog.size else None)
        if exhausted is not None:
            self._lose_patience(exhausted)
            return
        if self._patience.is_keepalive_due(now):
            self.send(messages.KeepAlive())
        self.pump()  # when all memory for sending was taken, nobody else says that there is some again

    def close(self, reason: str) -> None:
        """Hang up politely: what was written still goes out, within a grace period."""
        if self._closing is None:
            self._speech.flush()
            self._closing = reason
            self.log.debug("closing {address}: {reason}", address=self.address, reason=reason)
            self._drop_deadline()
            self._deadline = self._clock.callLater(GRACE, self.transport.abortConnection)
            if self._outbox is not None:
                self._outbox.close()
                self.transport.unregisterProducer()  # or the transport would wait for more from us
            self.transport.loseConnection()

    def abort(self, reason: str) -> None:
        """Hang up at once: the peer misbehaved, or has used up its time."""
        if self._closing is None:
            self._closing = reason
            self.log.debug("dropping {address}: {reason}", address=self.address, reason=reason)
            self._speech.forget()
            self._drop_deadline()
            self._close_outbox()
            self.transport.abortConnection()

    def turn_away(self, hello: bytes, reason: str) -> None:
        """Answer a handshake with ours, for it to be recognised, and hang up."""
        if self._closing is None:
            self.write(hello)
            self.close(reason)

    # What an Outbox needs

    @property
    def room(self) -> int:
        """How many bytes of blocks the transport may be handed now."""
        return self._backlog.room

    def write(self, data: bytes) -> None:
        """Hand bytes to the transport."""
        now = self._clock.seconds()
        self._patience.spoke(now)
        self._backlog.wrote(len(data), now)
        self.transport.write(data)

    def blocks_sent(self, amount: int) -> None:
        """Tell the swarm what went out."""
        if self.listener is not None:
            self.listener.blocks_sent(self, amount)

    def blocks_unreadable(self, blocks: list[Block], reason: Failure) -> None:
        """Tell the swarm what could not be read."""
        if self.listener is not None:
            self.listener.blocks_unreadable(self, blocks, reason)

    # Inside

    def _lose_patience(self, limit: str) -> None:
        self._commons.hits[limit] += 1
        self.abort(COMPLAINTS[limit])

    def _drop_deadline(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None

    def _close_outbox(self) -> None:
        if self._outbox is not None:
            self._outbox.close()

    def _greet(self, data: bytes) -> None:
        """Find out which swarm the other side's handshake is for, once it is whole."""
        handshake = self._greeting.take(data)
        if handshake is None or "torrent" in self._holds:  # in which case more was read before we paused
            return
        listener = self._dialled or self._route(handshake)
        if isinstance(listener, Deferred):
            self.hold("torrent")
            listener.addCallback(self._ready, handshake)
            listener.addErrback(lambda failure: self.log.failure("a torrent cannot be made ready", failure))
        else:
            self._meet(listener, handshake)

    def _ready(self, listener: PeerListener | None, handshake: bep3.Handshake) -> None:
        if self._closing is None:
            try:
                self._meet(listener, handshake)
            except RemoteWireError as error:
                self.abort(str(error))
            self.release("torrent")

    def _meet(self, listener: PeerListener | None, handshake: bep3.Handshake) -> None:
        if listener is None or handshake.info_hash != listener.info_hash:
            raise RemoteWireError("the handshake names a torrent that is not here")
        wire = listener.welcome(self, handshake)
        if self._closing is not None:
            return
        if wire is None:
            raise RemoteWireError("not admitted")
        self._drop_deadline()
        self._join(listener, wire)
        if (rest := self._greeting.rest()) and self._closing is None:
            self._receive(wire, rest)

    def _join(self, listener: PeerListener, wire: WireSession) -> None:
        upload, self._download = listener.allowances()
        self._wire = wire
        self._outbox = Outbox(listener.source(), self, upload, wire.dialect.piece_header)
        self.transport.registerProducer(self, False)
        self.expect_blocks(False)
        self._patience.heard(whole=True, more=False, now=self._clock.seconds())
        self._speech.begin()
        if self.is_incoming:
            self._speech.say(listener.hello())
        self.listener = listener
        listener.peer_joined(self)
        self._speech.end()

    def expect_blocks(self, coming: bool) -> None:
        """Size the transport's reads (Twisted's ``bufferSize``): large while blocks stream in, small otherwise."""
        size = IDLE_READ_SIZE
        if coming:
            rate = self._download.rate
            size = READ_SIZE if rate is None else max(16 * 1024, min(READ_SIZE, int(rate * 0.1)))
        self.transport.bufferSize = size

    def _receive(self, wire: WireSession, data: bytes) -> None:
        listener = self.listener
        assert listener is not None
        self._speech.begin()
        heard = False
        try:
            for message in wire.receive(data):
                heard = True
                listener.message_received(self, message)
                if self._closing is not None:  # the listener hung up half way through
                    break
            self._patience.heard(whole=heard, more=wire.is_mid_message, now=self._clock.seconds())
            listener.batch_received(self)
        finally:
            self._speech.end()
        if self._backlog.is_unheard:
            self._commons.hits["send_buffer"] += 1
            self.hold("unread")
        self._download.spend(len(data))
        if not self._download.is_ready():
            self.hold("rate")
            self._download.call_when_ready(self._rate_ready)

    def _rate_ready(self) -> None:
        if self._download.is_ready():
            self.release("rate")
        else:
            self._download.call_when_ready(self._rate_ready)
