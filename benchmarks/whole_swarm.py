"""A whole Swarm that downloads without sockets, disk or hashing: what is left is what its main thread decides."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from random import Random
from time import process_time
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from p2pshare.addresses import Address
from p2pshare.bitfield import Bitfield
from p2pshare.geometry import BLOCK_SIZE, Geometry
from p2pshare.metainfo import FileEntry, Metainfo
from p2pshare.peer.limiter import Allowance
from p2pshare.storage.buffers import PieceBuffers
from p2pshare.storage.sealing import Sealed
from p2pshare.swarm.introduction import Identity
from p2pshare.swarm.member import Block
from p2pshare.swarm.settings import SwarmSettings
from p2pshare.swarm.swarm import Swarm
from p2pshare.wire import bep3, messages

READ = 16  # blocks that one read of a socket brings
APART = 0.001  # s between two reads: 256 MB/s
_SEEN_FIRST = bytes(1 << 20)  # blocks are views of this, as of what a transport has read


@define(eq=False)
class QuickStore:
    """Puts pieces together as the real one does, finds every one of them right and forgets it."""

    geometry: Geometry
    have: Bitfield = field(init=False)
    failed: None = None
    is_pressed: bool = False
    on_relief: Any = None
    on_trouble: Any = None
    on_lost: Any = None
    is_wanted: Any = None
    counters: dict[str, int] = field(factory=dict)
    _buffers: PieceBuffers = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.have = Bitfield(self.geometry.num_pieces)
        self._buffers = PieceBuffers(self.geometry)

    @property
    def is_complete(self) -> bool:
        """Whether every piece was here."""
        return self.have.is_full

    def check(self, progress: Any = None, *, writable: bool = True) -> Deferred[None]:
        """Find nothing."""
        return succeed(None)

    def put(self, piece: int, begin: int, data: bytes | memoryview) -> None:
        """Copy a block to its place."""
        self._buffers.put(piece, begin, data)

    def seal(self, piece: int, *, digests: bool = False) -> Deferred[Sealed]:
        """Take a piece for right."""
        self._buffers.seal(piece)
        self._buffers.release(piece)
        self.have.add(piece)
        return succeed(Sealed(piece, True))

    def trim(self) -> None:
        """Let go of memory."""
        self._buffers.trim()

    def close(self) -> Deferred[None]:
        """Nothing to do."""
        return succeed(None)


@define(eq=False)
class Line:
    """The connection of a peer that sends what it is asked for when the benchmark says so."""

    address: Address
    asked: deque[Block] = field(init=False, factory=deque)
    said: int = field(init=False, default=0)  # messages to it, requests not counted
    is_incoming: bool = True
    is_closing: bool = False
    promised: int = 0
    proved: bool = False

    def send(self, message: messages.Message) -> None:
        """Count."""
        self.said += 1
        if isinstance(message, messages.Cancel):
            try:
                self.asked.remove((message.index, message.begin, message.length))
            except ValueError:
                pass  # it is on its way

    mention = send

    def request(self, blocks: list[Block]) -> None:
        """Remember what to send."""
        self.asked.extend(blocks)

    def next_read(self) -> list[messages.Message]:
        """Give the blocks that one read brings."""
        found: list[messages.Message] = []
        for _ in range(min(READ, len(self.asked))):
            piece, begin, length = self.asked.popleft()
            place = len(found) * BLOCK_SIZE
            found.append(messages.Piece(piece, begin, memoryview(_SEEN_FIRST)[place : place + length]))
        return found

    def nothing(self, *_: object) -> None:
        """Do nothing: the rest of what a connection is asked for does not matter here."""

    hold = release = expect_blocks = pump = tick = close = abort = nothing


class Nobody:
    """Dials nobody."""

    def has_room(self, listener: Any) -> bool:
        """Never."""
        return False

    def dial(self, address: Address, listener: Any) -> None:
        """Is not asked to."""


def make_swarm(geometry: Geometry, random: Random) -> tuple[Swarm, Clock]:
    """Build a swarm that lacks everything, and start it."""
    content = Metainfo(
        info_hash=bytes(20),
        name="content",
        piece_length=geometry.piece_length,
        pieces=bytes(20 * geometry.num_pieces),
        files=(FileEntry(("content",), geometry.total_length),),
        is_single=True,
        raw_info=b"",
    )
    clock = Clock()
    identity = Identity(content, b"-XX0001-benchmarking", lambda: 6881, (Allowance(), Allowance()))
    store: Any = QuickStore(geometry)
    swarm = Swarm(store, SwarmSettings(max_peers=1000), identity, clock, random, Nobody())
    swarm.startService()
    return swarm, clock


def join(swarm: Swarm, fields: Sequence[Bitfield]) -> list[Line]:
    """Let peers come that have these pieces and serve us."""
    lines = []
    for number, has in enumerate(fields):
        line: Any = Line(Address("10.0.0.1", 1024 + number))
        session = swarm.welcome(line, bep3.Handshake(bep3.RESERVED, bytes(20), b"-XX0002-%012d" % number))
        assert session is not None, "a peer was refused"
        swarm.peer_joined(line)
        swarm.message_received(line, messages.HaveAll() if has.is_full else messages.Bitfield(has.to_bytes()))
        swarm.message_received(line, messages.Unchoke())
        lines.append(line)
    return lines


def reads(lines: Sequence[Line]) -> Iterator[tuple[Line, list[messages.Message]]]:
    """Let the peers send in turn, until none has anything to send."""
    while any(line.asked for line in lines):
        for line in lines:
            if line.asked:
                yield line, line.next_read()


def cost_of_a_block(geometry: Geometry, fields: Sequence[Bitfield], most: int, random: Random) -> float:
    """
    Download up to so many blocks of a torrent from peers that have these pieces; tell the CPU seconds of each.

    From the message to the copy in its piece, with all requests, haves and looks of the ticker that go with it.
    """
    swarm, clock = make_swarm(geometry, random)
    lines = join(swarm, fields)
    taken, blocks = 0.0, 0
    for line, read in reads(lines):
        link: Any = line
        start = process_time()
        for message in read:
            swarm.message_received(link, message)
        swarm.batch_received(link)
        clock.advance(APART)
        taken += process_time() - start
        blocks += len(read)
        if blocks >= most:
            break
    return taken / blocks
