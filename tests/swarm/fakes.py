"""A real Swarm on a fake clock, and scripted peers that speak real bytes to it over PeerProtocol."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.addresses import Address
from p2pshare.bitfield import Bitfield
from p2pshare.errors import StorageError
from p2pshare.geometry import BLOCK_SIZE
from p2pshare.peer.limiter import Allowance
from p2pshare.peer.limits import Commons
from p2pshare.peer.protocol import PeerProtocol
from p2pshare.storage.memory import MemoryStore
from p2pshare.storage.sealing import Sealed
from p2pshare.swarm.events import Event
from p2pshare.swarm.introduction import Identity
from p2pshare.swarm.settings import SwarmSettings
from p2pshare.swarm.swarm import Swarm
from p2pshare.wire import bep3, messages
from p2pshare.wire.session import WireSession
from tests.fakes import OUR_ID, PeerTransport
from tests.storage.fakes import some_bytes, torrent

PIECE = 4 * BLOCK_SIZE
PIECES = 8
# The last piece has three blocks, the last of them short.
CONTENT = some_bytes((PIECES - 1) * PIECE + 2 * BLOCK_SIZE + 7232)
TORRENT = torrent(CONTENT, PIECE)
ALL = tuple(range(PIECES))
PLAIN = bytes(8)  # the reserved bytes of a peer that speaks BEP 3 and nothing else

Block = tuple[int, int, int]


def blocks_of(piece: int) -> list[Block]:
    """All blocks of a piece, in order, as requests name them."""
    geometry = TORRENT.geometry
    return [(piece, n * BLOCK_SIZE, geometry.block_length(piece, n)) for n in range(geometry.num_blocks(piece))]


def data_of(block: Iterable[int]) -> bytes:
    """The right bytes of a block."""
    piece, begin, length = block
    first = piece * PIECE + begin
    return CONTENT[first : first + length]


def piece_of(block: Iterable[int]) -> messages.Piece:
    """The right answer to a request."""
    piece, begin, length = block
    return messages.Piece(piece, begin, data_of((piece, begin, length)))


def bad_piece_of(block: Iterable[int]) -> messages.Piece:
    """An answer of the right size whose bytes are wrong."""
    right = piece_of(block)
    return messages.Piece(right.index, right.begin, bytes(octet ^ 0xFF for octet in right.data))


def some_content(pieces: Iterable[int]) -> bytes:
    """The content with only these pieces right, the others zero."""
    content = bytearray(len(CONTENT))
    for piece in pieces:
        part = slice(piece * PIECE, (piece + 1) * PIECE)
        content[part] = CONTENT[part]
    return bytes(content)


def bitfield(pieces: Iterable[int]) -> messages.Bitfield:
    """Say that one holds these pieces."""
    bits = Bitfield(PIECES)
    for piece in pieces:
        bits.add(piece)
    return messages.Bitfield(bits.to_bytes())


def requests_in(heard: list[messages.Message]) -> list[Block]:
    """The requests among messages."""
    return [(m.index, m.begin, m.length) for m in heard if isinstance(m, messages.Request)]


class RecordingDialer:
    """Dials nobody, and writes down whom it should have."""

    def __init__(self) -> None:
        self.dialled: list[Address] = []
        self.room = True

    def has_room(self, listener: Any) -> bool:
        return self.room

    def dial(self, address: Address, listener: Any) -> None:
        self.dialled.append(address)


class RecordingDiscovery:
    """Finds nobody, and writes down what it is told. Its goodbye takes as long as the test wants."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.goodbye: Deferred[None] = succeed(None)

    def start(self) -> None:
        self.events.append("started")

    def completed(self) -> None:
        self.events.append("completed")

    def announce_now(self) -> None:
        self.events.append("announce now")

    def status(self) -> list[Any]:
        return []

    def stop(self) -> Deferred[None]:
        self.events.append("stopped")
        return self.goodbye


class TroubledStore(MemoryStore):
    """A MemoryStore whose disk can be slow, or break."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.reads: list[Block] = []
        self.lost: set[int] = set()  # pieces whose bytes cannot be read any more
        self.passing: StorageError | None = None  # what every read fails with for now
        self.broken: Exception | None = None  # what sealing fails with
        self.is_slow = False  # sealing waits for catch_up()
        self.sealing: list[tuple[Deferred[Sealed], int, bool]] = []
        self.checking: Deferred[None] | None = None  # what a check waits for
        self.trims = 0

    def check(self, *args: Any, **more: Any) -> Deferred[None]:
        if self.checking is None:
            return super().check(*args, **more)
        return self.checking.addCallback(lambda _: super(TroubledStore, self).check(*args, **more))

    def read_now(self, piece: int, begin: int, length: int) -> bytes | None:
        self.reads.append((piece, begin, length))
        data = super().read_now(piece, begin, length)
        return None if piece in self.lost or self.passing else data

    def read(self, piece: int, begin: int, length: int) -> Deferred[bytes]:
        reading = super().read(piece, begin, length)
        if self.passing is not None:
            return fail(self.passing)
        if piece in self.lost:
            if self.have.discard(piece):
                self.on_lost(piece)
            return fail(StorageError(f"piece {piece}: input/output error"))
        return reading

    def seal(self, piece: int, *, digests: bool = False) -> Deferred[Sealed]:
        if self.broken is not None:
            self._buffers.seal(piece)
            self._buffers.release(piece)
            return fail(self.broken)
        if not self.is_slow:
            return super().seal(piece, digests=digests)
        done: Deferred[Sealed] = Deferred()
        self.sealing.append((done, piece, digests))
        return done

    def trim(self) -> None:
        self.trims += 1
        super().trim()

    def catch_up(self) -> None:
        """Do all the sealing that waits."""
        self.is_slow = False
        while self.sealing:
            done, piece, digests = self.sealing.pop(0)
            self.seal(piece, digests=digests).chainDeferred(done)


class ScriptedTransport(PeerTransport):
    """A PeerTransport whose connection really ends, in the next turn of the clock."""

    protocol: PeerProtocol

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.ending = False

    def end(self, reason: type[Exception]) -> None:
        """Tell the protocol, once."""
        if not self.ending:
            self.ending = True
            self.clock.callLater(0, self.protocol.connectionLost, Failure(reason()))

    def abortConnection(self) -> None:
        super().abortConnection()
        self.end(ConnectionAborted)

    def loseConnection(self) -> None:
        super().loseConnection()
        self.end(ConnectionDone)


class ScriptedPeer:
    """The other end of one connection: says what the test tells it to, and understands what it hears."""

    def __init__(
        self,
        swarm: Swarm,
        clock: Clock,
        number: int,
        *,
        reserved: bytes = bep3.RESERVED,
        peer_id: bytes | None = None,
        address: Address | None = None,
        dialled: bool = False,
        commons: Commons | None = None,
    ) -> None:
        self.peer_id = peer_id or b"-XX0001-%012d" % number
        self.address = address or Address(f"10.1.0.{number}", 50000)
        self.reserved = reserved
        self.reads = True  # whether it takes what is sent to it
        self._clock = clock
        self.hello = b""  # the handshake that was said to us, so far
        fast, extended = (bep3.Handshake(reserved, bytes(20), bytes(20)).fast, reserved != PLAIN)
        self._ears = WireSession(bep3.DIALECT, num_pieces=PIECES, fast=fast, extended=extended)
        self._heard: list[messages.Message] = []
        self.link = PeerProtocol(
            clock,
            self.address,
            lambda seen: swarm if seen.info_hash == swarm.info_hash else None,
            commons or Commons(),
            dialled=swarm if dialled else None,
            on_closed=self._closed,
        )
        self._swarm = swarm
        self.transport = ScriptedTransport(clock)
        self.transport.protocol = self.link
        self.link.makeConnection(self.transport)

    def _closed(self, link: PeerProtocol) -> None:
        if link.listener is None and not link.is_incoming:
            self._swarm.dial_failed(link.address, link.close_reason)

    def greet(self) -> None:
        """Say the handshake."""
        self.send(bep3.encode_handshake(bep3.Handshake(self.reserved, self._swarm.info_hash, self.peer_id)))

    def send(self, data: bytes) -> None:
        """Say raw bytes."""
        if not self.transport.ending:
            self.link.dataReceived(data)

    def say(self, *said: messages.Message) -> None:
        """Say these messages in one read."""
        self.send(b"".join(map(bep3.encode, said)))

    def hear(self) -> list[messages.Message]:
        """Take what was said to us since the last time; keep-alives are left out."""
        if self.reads:
            data = self.transport.drain()
            missing = bep3.HANDSHAKE_SIZE - len(self.hello)
            self.hello += data[:missing]
            for message in self._ears.receive(data[missing:]):
                if isinstance(message, messages.Piece):
                    message = messages.Piece(message.index, message.begin, bytes(message.data))
                if not isinstance(message, messages.KeepAlive):
                    self._heard.append(message)
        heard, self._heard = self._heard, []
        return heard

    def hear_about(self, *kinds: type[Any]) -> list[Any]:
        """The same, only messages of these kinds; the others are forgotten."""
        return [message for message in self.hear() if isinstance(message, kinds)]

    @property
    def is_gone(self) -> bool:
        """Whether we were hung up on."""
        self._clock.advance(0)
        return self.transport.ending

    def leave(self) -> None:
        """Hang up."""
        self.transport.end(ConnectionDone)
        self._clock.advance(0)


class SwarmTestCase(SynchronousTestCase):
    """One swarm under test, and as many peers as it takes."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.dialer = RecordingDialer()
        self.discovery = RecordingDiscovery()
        self.events: list[Event] = []
        self._peers = 0

    def prepare(self, have: Iterable[int] = (), *, seed_only: bool = False, **settings: Any) -> Swarm:
        """Build the swarm, with these pieces on its disk."""
        self.store = TroubledStore(TORRENT, some_content(have))
        identity = Identity(TORRENT, OUR_ID, lambda: 6881, (Allowance(), Allowance()))
        self.swarm = Swarm(
            self.store,  # type: ignore[arg-type]
            SwarmSettings(**settings),
            identity,
            self.clock,
            Random(0),
            self.dialer,
            seed_only,
            self.discovery,
        )
        self.swarm.subscribe(self.events.append)
        return self.swarm

    def start(self, have: Iterable[int] = (), **settings: Any) -> Swarm:
        """Build it and start it; what it says of that is forgotten."""
        swarm = self.prepare(have, **settings)
        swarm.startService()
        self.events.clear()
        return swarm

    def connect(self, **details: Any) -> ScriptedPeer:
        """Let a peer connect, without a word."""
        self._peers += 1
        return ScriptedPeer(self.swarm, self.clock, self._peers, **details)

    def meet(self, has: Iterable[int] | None = None, **details: Any) -> ScriptedPeer:
        """Let a peer connect, greet, and say what it has; what it hears in return is forgotten."""
        peer = self.connect(**details)
        peer.greet()
        if has is not None:
            peer.say(bitfield(has))
        peer.hear()
        return peer

    def meet_seed(self, **details: Any) -> ScriptedPeer:
        """Let a peer connect that has everything and serves us; the requests it got so far are still to be heard."""
        peer = self.meet(ALL, **details)
        peer.say(messages.Unchoke())
        return peer

    def meet_leech(self, has: Iterable[int] = (), **details: Any) -> ScriptedPeer:
        """Let a peer connect that wants something and is served."""
        peer = self.meet(has, **details)
        peer.say(messages.Interested())
        self.assertEqual(peer.hear_about(messages.Unchoke), [messages.Unchoke()])
        return peer

    def member(self, peer: ScriptedPeer) -> Any:
        """What the swarm knows of a peer."""
        return next(member for member in self.swarm.members.values() if member.link is peer.link)

    def assert_served(self, peer: ScriptedPeer, piece: int = 0) -> None:
        """Make sure that a peer is connected, and gets what it asks for."""
        block = (piece, 0, BLOCK_SIZE)
        peer.hear()
        peer.say(messages.Request(*block))
        self.assertEqual(peer.hear_about(messages.Piece), [piece_of(block)])
        self.assertFalse(peer.is_gone)

    def feed(self, peer: ScriptedPeer, rounds: int = 100) -> list[Block]:
        """Answer everything a peer is asked for, rightly, until nothing more is asked; name what was."""
        asked: list[Block] = []
        for _ in range(rounds):
            requests = [tuple(request) for request in peer.hear_about(messages.Request)]
            if not requests:
                return asked
            asked += requests
            for request in requests:
                peer.say(piece_of(request))
        raise AssertionError(f"still asked after {rounds} rounds")

    def pass_time(self, seconds: float) -> None:
        """Let time pass, a second at a time."""
        for _ in range(int(seconds)):
            self.clock.advance(1.0)
