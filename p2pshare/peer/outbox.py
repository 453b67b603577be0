"""Blocks promised to one peer: kept as requests, read and framed only when the transport has room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol as Seam

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.errors import StorageError
from p2pshare.peer.limiter import Allowance

FRAMING = 16  # bytes to allow for what a dialect puts before a block; BEP 3 needs 13
# While a rate limit binds, a batch is at most this share of a second, so that the flow stays smooth.
LIMITED_SHARE = 0.1

Block = tuple[int, int, int]  # piece, begin, length


class BlockSource(Seam):
    """Where verified bytes are read; a PieceStore."""

    def read_now(self, piece: int, begin: int, length: int) -> bytes | None:
        """
        Give the bytes if that needs no waiting for a disk.

        :raise ValueError: they are not to be had any more.
        """

    def read(self, piece: int, begin: int, length: int) -> Deferred[bytes]:
        """Give the bytes when the disk has them."""


class Pipe(Seam):
    """The few things an outbox needs of its connection."""

    @property
    def room(self) -> int:
        """How many bytes the transport may be handed now; once it has sent all it holds, it has the outbox pump."""

    def write(self, data: bytes) -> None:
        """Hand bytes to the transport."""

    def blocks_sent(self, amount: int) -> None:
        """So many payload bytes were handed to the transport."""

    def blocks_unreadable(self, blocks: list[Block], reason: Failure) -> None:
        """The disk could not deliver what was promised."""


@define(eq=False)
class Outbox:
    """
    The queue of one peer's requests and the one place where they become bytes.

    Outgoing blocks wait as requests, so that a choke or cancel drops them at no cost (BEP 3). Knows
    neither choking nor validity: what is put in here is meant to be sent.
    """

    _source: BlockSource
    _pipe: Pipe
    _allowance: Allowance
    _header: Callable[[int, int, int], bytes]  # what the dialect puts before a block's bytes
    # In the order asked. A block asked for twice is sent once; and taking any back costs the same, or a stranger could
    # have us search a long queue for each of thousands of cancels.
    _queue: dict[Block, None] = field(init=False, factory=dict)
    _reading: list[Block] = field(init=False, factory=list)  # asked of the disk, and not taken back since
    _is_reading: bool = field(init=False, default=False)  # the disk has not answered: one read at a time
    _waiting_for_rate: bool = field(init=False, default=False)
    _closed: bool = field(init=False, default=False)
    log = Logger()

    def __len__(self) -> int:
        return len(self._queue) + len(self._reading)

    def add(self, block: Block) -> None:
        """Promise a block; nothing is read before :meth:`pump`."""
        self._queue[block] = None

    def cancel(self, block: Block) -> bool:
        """Take a promise back (BEP 3 ``cancel``); False when the block is not waiting here any more."""
        if block in self._queue:
            del self._queue[block]
        elif block in self._reading:
            self._reading.remove(block)
        else:
            return False
        return True

    def cancel_piece(self, piece: int) -> list[Block]:
        """Take back the promises of one piece, oldest first, and name them."""
        dropped = [block for block in (*self._reading, *self._queue) if block[0] == piece]
        for block in dropped:
            self.cancel(block)
        return dropped

    def clear(self) -> list[Block]:
        """Take all promises back, oldest first, and name them."""
        dropped = [*self._reading, *self._queue]
        self._reading.clear()
        self._queue.clear()
        return dropped

    def close(self) -> None:
        """The connection is gone: drop everything, send nothing more."""
        self._closed = True
        self.clear()

    def pump(self) -> None:
        """Send blocks until the transport, the disk or a rate limit says stop."""
        while self._queue and not (self._is_reading or self._closed):
            if not self._allowance.is_ready():
                self._wait_for_rate()
                return
            run, amount = self._next_run(self._pipe.room)
            if not run:
                return
            piece, begin, _ = run[0]
            try:
                data = self._source.read_now(piece, begin, amount)
            except ValueError:  # it was verified when it was promised
                gone = StorageError(f"piece {piece} is not to be had any more")
                self._pipe.blocks_unreadable(run, Failure(gone))
                continue
            if data is None:
                self._read(run, piece, begin, amount)
            else:
                self._send(run, begin, data, amount)

    def _next_run(self, room: int) -> tuple[list[Block], int]:
        """
        Take the blocks at the head that lie one behind the other in one piece: one read, one write.

        :return: the blocks, none when the transport has no room even for the first, and their bytes.
        """
        piece, begin, length = next(iter(self._queue))
        rate = self._allowance.rate
        if rate is not None:  # but always the first
            room = min(room, max(int(rate * LIMITED_SHARE), length + FRAMING))
        run: list[Block] = []
        end = begin
        for block in self._queue:
            room -= block[2] + FRAMING
            if block[1] != end or block[0] != piece or room < 0:
                break
            run.append(block)
            end += block[2]
        for block in run:
            del self._queue[block]
        return run, end - begin

    def _read(self, run: list[Block], piece: int, begin: int, amount: int) -> None:
        self._reading, self._is_reading = run, True
        reading = self._source.read(piece, begin, amount)
        reading.addCallbacks(self._arrived, self._unreadable, callbackArgs=(begin,))
        reading.addErrback(lambda failure: self.log.failure("sending blocks", failure=failure))

    def _send(self, run: list[Block], start: int, data: bytes, amount: int) -> None:
        view = memoryview(data)
        parts: list[bytes | memoryview] = []
        for piece, begin, length in run:
            parts.append(self._header(piece, begin, length))
            parts.append(view[begin - start : begin - start + length])
        self._allowance.spend(amount)
        self._pipe.write(b"".join(parts))
        self._pipe.blocks_sent(amount)

    def _arrived(self, data: bytes, start: int) -> None:
        # A choke or cancel may have thinned it out since; nothing else was read meanwhile.
        run, self._reading, self._is_reading = self._reading, [], False
        if run and not self._closed:
            self._send(run, start, data, sum(length for _, _, length in run))
        self.pump()

    def _unreadable(self, failure: Failure) -> None:
        blocks, self._reading, self._is_reading = self._reading, [], False
        if blocks and not self._closed:
            self._pipe.blocks_unreadable(blocks, failure)
        self.pump()

    def _wait_for_rate(self) -> None:
        if not self._waiting_for_rate:
            self._waiting_for_rate = True
            self._allowance.call_when_ready(self._rate_ready)

    def _rate_ready(self) -> None:
        self._waiting_for_rate = False
        self.pump()
