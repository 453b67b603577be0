"""One connection of a text swarm: whoever dialled asks, whoever was dialled answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
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
from p2pshare.swarm.member import Block
from p2pshare.textswarm.asking import Answer, Asking, Got
from p2pshare.textswarm.identity import Greeting
from p2pshare.textswarm.torrent import TextTorrent
from p2pshare.wire import messages, textline
from p2pshare.wire.textline import LINE_SILENCE, Handshake, Holdings, LineReader

GREETING_TIMEOUT = 10.0  # s
ANSWER_TIMEOUT = 30.0  # s without a byte, when something was asked
IDLE_TIMEOUT = 600.0  # s in which whoever dialled us asks for nothing
ASK_AGAIN = 2.0  # s until a peer that had nothing for us is asked what it has now
GRACE = 5.0  # s a polite close may take


class Door(Seam):
    """The peer that a connection belongs to."""

    peer_id: bytes

    def find(self, torrent_hash: str) -> TextTorrent | None:
        """Find a content by the key that somebody asks for."""

    def met_ourselves(self, address: Address) -> None:
        """Whoever answers there is us."""

    def lost(self, connection: TextConnection) -> None:
        """A connection is gone."""


@implementer(IPushProducer)
@define(eq=False)
class TextConnection(Holds, Protocol):
    """Carries lines and pieces between one transport and one swarm; decides nothing. It is a swarm's Link."""

    _door: Door
    _clock: IReactorTime
    address: Address
    torrent: TextTorrent | None = None  # what we dialled for; None: somebody dialled us, and has not said
    proved: bool = field(init=False, default=False)
    transport: Connection = field(init=False)
    _asking: Asking | None = field(init=False, default=None)  # None: we answer
    _lines: LineReader = field(init=False, factory=lambda: LineReader(False))
    _answers: deque[Block | None] = field(init=False, factory=deque)  # pieces to send; None: a BITFIELD
    _reading: bool = field(init=False, default=False)  # a piece is on its way from the disk
    _full: bool = field(init=False, default=False)  # the transport holds enough
    _wanted: Block | None = field(init=False, default=None)  # to be asked for when the last answer has come
    _member: bool = field(init=False, default=False)
    _told: bool = field(init=False, default=False)  # we know what it has
    _holds: set[str] = field(init=False, factory=set)  # why reading is paused
    _heard_at: float = field(init=False, default=0.0)
    _timer: IDelayedCall | None = field(init=False, default=None)  # of the greeting, or the end
    _silence: IDelayedCall | None = field(init=False, default=None)
    _closing: str | None = field(init=False, default=None)
    log = Logger()

    def __attrs_post_init__(self) -> None:
        if self.torrent is not None:
            self._asking = Asking(self.torrent.torrent_hash, self.torrent.num_pieces)

    @property
    def is_incoming(self) -> bool:
        """Whether the other side dialled."""
        return self._asking is None

    @property
    def is_closing(self) -> bool:
        """Whether it ends."""
        return self._closing is not None

    @property
    def promised(self) -> int:
        """How many pieces wait to be sent."""
        return len(self._answers)

    # The transport's side

    def connectionMade(self) -> None:
        self._heard_at = self._clock.seconds()
        self._timer = self._clock.callLater(GREETING_TIMEOUT, self.abort, "no handshake in time")
        self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        if self._asking is not None:
            self.transport.write(self._asking.greet())

    def dataReceived(self, data: bytes) -> None:
        if self._closing is not None:
            return
        self._heard_at = self._clock.seconds()
        asking = self._asking
        self._attend(self._lines.feed(data) if asking is None else asking.feed(data))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._asking is not None and self._closing is None:
            self._attend(self._asking.ended())
        self._drop_timers()
        self._closing = self._closing or reason.getErrorMessage()
        self._answers.clear()
        if self._member:
            assert self.torrent is not None
            self.torrent.swarm.peer_lost(self, self._closing)
        self._door.lost(self)

    def pauseProducing(self) -> None:
        self._full = True

    def resumeProducing(self) -> None:
        self._full = False
        self.pump()

    def stopProducing(self) -> None:
        self._answers.clear()

    # What comes

    def _attend(self, said: Iterable[textline.Line | Answer]) -> None:
        """Act on what is over, and set a time for what only silence ends."""
        if self._silence is not None and self._silence.active():
            self._silence.cancel()
        try:
            for each in said:
                if self._asking is None:
                    self._answer(each)
                else:
                    self._learn(self._asking, each)
                if self._closing is not None:
                    return
            if self._member and self.torrent is not None:
                self.torrent.swarm.batch_received(self)
        except RemoteWireError as error:
            self.close(str(error))
            return
        patience = self._asking.patience if self._asking else LINE_SILENCE if self._lines.is_waiting else None
        if patience is not None and self._closing is None:
            self._silence = self._clock.callLater(patience, self._hear_silence)

    def _hear_silence(self) -> None:
        if self._asking is not None:
            self._attend(self._asking.silence())
        else:
            self._attend(_lines_after(self._lines))

    def _answer(self, line: object) -> None:
        """Somebody who dialled us says something. What cannot be served gets no byte: it would be taken for a piece."""
        torrent = self.torrent
        match line:
            case Handshake(torrent_hash=key) if torrent is None:
                torrent = self._door.find(key.lower())
                if torrent is None or not self._join(torrent, Greeting()):
                    raise RemoteWireError(f"asks for {key}, which is not here")
                self._lines.num_pieces = torrent.num_pieces
                self.transport.write(textline.encode_handshake(Handshake(key, self._door.peer_id.hex())))
                torrent.swarm.peer_joined(self)
                torrent.swarm.message_received(self, messages.Interested())
            case Holdings() if torrent is not None:
                if len(self._answers) > torrent.swarm.settings.limits.queued_requests:
                    raise RemoteWireError(f"asks for {len(self._answers)} things at once")
                self._answers.append(None)
                self.pump()
            case textline.Request(index=index) if torrent is not None and index in torrent.store.have:
                size = torrent.store.geometry.piece_size(index)
                torrent.swarm.message_received(self, messages.Request(index, 0, size))
            case _:
                raise RemoteWireError(f"{line}, which cannot be answered")

    def _learn(self, asking: Asking, answer: object) -> None:
        """Whom we dialled answers."""
        torrent = self.torrent
        assert torrent is not None
        match answer:
            case Handshake(peer_id=str(peer_id)):
                if bytes.fromhex(peer_id) == self._door.peer_id:
                    self._door.met_ourselves(self.address)
                    raise RemoteWireError("it is us")
                if not self._join(torrent, Greeting(bytes.fromhex(peer_id))):
                    raise RemoteWireError("the swarm does not run")
                self.transport.write(asking.tell(torrent.store.have))
            case Holdings(bits=bits):
                self._told_holdings(torrent, bits)
                if asking.is_idle and self._wanted is not None:
                    wanted, self._wanted = self._wanted, None
                    self.transport.write(asking.request(wanted[0]))
            case Got(index=index, content=content):
                if index == torrent.num_pieces - 1:
                    torrent.store.ends_at(len(content))
                    content = content.ljust(torrent.store.geometry.piece_size(index), b"\0")
                torrent.swarm.message_received(self, messages.Piece(index, 0, memoryview(content)))

    def _told_holdings(self, torrent: TextTorrent, bits: bytes) -> None:
        if not self._told:
            self._told = True
            torrent.swarm.peer_joined(self)
            torrent.swarm.message_received(self, messages.Bitfield(bits))
            torrent.swarm.message_received(self, messages.Unchoke())
            return
        remote = next(member.remote for member in torrent.swarm.members.values() if member.link is self)
        known = remote.has.to_bytes()
        now = bytes(old | new for old, new in zip(known, bits, strict=True))  # what it lost since it may have again
        if now != known:
            torrent.swarm.message_received(self, messages.Bitfield(now))

    def _join(self, torrent: TextTorrent, greeting: Greeting) -> bool:
        if torrent.swarm.welcome(self, greeting) is None:
            return False
        self.torrent, self._member = torrent, True
        self._drop_timers()
        return True

    # The swarm's side

    def send(self, message: messages.Message) -> None:
        """Say nothing: of all the engine's words this protocol has only requests and pieces."""

    mention = send

    def request(self, blocks: list[Block]) -> None:
        """Ask for a piece, or note it until the last answer has come."""
        if self._asking is None or self._closing is not None:
            return
        (block,) = blocks  # one at a time, as the swarm's settings have it
        if self._asking.is_idle:
            self._heard_at = self._clock.seconds()
            self.transport.write(self._asking.request(block[0]))
        else:
            self._wanted = block

    def promise(self, block: Block) -> None:
        """Queue a piece."""
        self._answers.append(block)

    def pump(self) -> None:
        """Answer what was asked, in its order, as far as the transport takes it."""
        torrent = self.torrent
        while self._answers and not (self._reading or self._full or self._closing or torrent is None):
            block = self._answers.popleft()
            if block is None:
                self.transport.write(textline.encode_bitfield(torrent.store.have))
                continue
            self._reading = True
            torrent.store.read(*block).addCallbacks(
                self._send_piece, self._unreadable, errbackArgs=(block,)
            ).addErrback(lambda failure: self.log.failure("answering {peer}", failure, peer=self.address))

    def _send_piece(self, content: bytes) -> None:
        self._reading = False
        if self._closing is None and self.torrent is not None:
            self.transport.write(content)
            self.torrent.swarm.blocks_sent(self, len(content))
            self.pump()

    def _unreadable(self, failure: Failure, block: Block) -> None:
        self._reading = False
        if self._closing is None and self.torrent is not None:
            self.torrent.swarm.blocks_unreadable(self, [block], failure)

    def take_back(self, block: Block) -> bool:
        """Drop one queued piece."""
        return self._take_back(lambda each: each == block) != []

    def take_back_piece(self, piece: int) -> list[Block]:
        """Drop what was promised of a piece."""
        return self._take_back(lambda each: each[0] == piece)

    def take_back_all(self) -> list[Block]:
        """Drop every queued piece."""
        return self._take_back(lambda each: True)

    def _take_back(self, fits: Callable[[Block], bool]) -> list[Block]:
        taken = [each for each in self._answers if each is not None and fits(each)]
        self._answers = deque(each for each in self._answers if each is None or not fits(each))
        return taken

    def expect_blocks(self, coming: bool) -> None:
        """Reads stay as they are: pieces are small."""

    def tick(self) -> None:
        """Look at deadlines; ask whoever had nothing for us what it has now."""
        quiet = self._clock.seconds() - self._heard_at
        asking, torrent = self._asking, self.torrent
        if asking is None:
            if quiet > IDLE_TIMEOUT:
                self.close("asks for nothing")
        elif not asking.is_idle:
            if quiet > ANSWER_TIMEOUT and not self._holds:
                self.abort("does not answer")
        elif quiet >= ASK_AGAIN and torrent is not None and not torrent.store.is_complete and not self._closing:
            self._heard_at = self._clock.seconds()
            self.transport.write(asking.tell(torrent.store.have))

    def turn_away(self, hello: bytes, reason: str) -> None:
        """Hang up."""
        self.close(reason)

    def close(self, reason: str) -> None:
        """Hang up politely: what was written still goes out, within a grace period."""
        if self._closing is None:
            self._end(reason)
            self._timer = self._clock.callLater(GRACE, self.transport.abortConnection)
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def abort(self, reason: str) -> None:
        """Hang up at once."""
        if self._closing is None:
            self._end(reason)
            self.transport.abortConnection()

    def _end(self, reason: str) -> None:
        self._closing = reason
        self.log.debug("closing {peer}: {reason}", peer=self.address, reason=reason)
        self._answers.clear()
        self._drop_timers()

    def _drop_timers(self) -> None:
        for timer in (self._timer, self._silence):
            if timer is not None and timer.active():
                timer.cancel()
        self._timer = self._silence = None


def _lines_after(reader: LineReader) -> Iterable[textline.Line]:
    """Read what silence has ended, once it is looked at."""
    line = reader.silence()
    if line is not None:
        yield line
