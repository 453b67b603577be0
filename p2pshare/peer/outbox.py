"""Blocks promised to one peer: kept as requests, read and framed only when the transport has room."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol as Seam

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.peer.limiter import Allowance

# One write: large enough that system calls stop mattering, small enough that a peer that does not
# read holds little memory. Twisted hands the kernel 128 KiB at a time.
BATCH = 256 * 1024
# While a rate limit binds, a batch is at most this share of a second, so that the flow stays smooth.
LIMITED_SHARE = 0.1

Block = tuple[int, int, int]  # piece, begin, length


class BlockSource(Seam):
    """Where verified bytes are read; a PieceStore."""

    def read_now(self, piece: int, begin: int, length: int) -> bytes | None:
        """Give the bytes if that needs no waiting for a disk."""

    def read(self, piece: int, begin: int, length: int) -> Deferred[bytes]:
        """Give the bytes when the disk has them."""


class Pipe(Seam):
    """The few things an outbox needs of its connection."""

    def write(self, data: bytes) -> None:
        """Hand bytes to the transport; it may ask us to pause while it does."""

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
    _queue: deque[Block] = field(init=False, factory=deque)
    _reading: list[Block] = field(init=False, factory=list)  # asked of the disk, not yet arrived
    _paused: bool = field(init=False, default=False)
    _waiting_for_rate: bool = field(init=False, default=False)
    _closed: bool = field(init=False, default=False)
    log = Logger()

    def __len__(self) -> int:
        return len(self._queue) + len(self._reading)

    def add(self, block: Block) -> None:
        """Promise a block; nothing is read before :meth:`pump`."""
        self._queue.append(block)

    def cancel(self, block: Block) -> bool:
        """Take a promise back (BEP 3 ``cancel``); False when the block is not waiting here any more."""
        for waiting in (self._queue, self._reading):
            if block in waiting:
                waiting.remove(block)
                return True
        return False

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

    def pause(self) -> None:
        """The transport holds enough bytes."""
        self._paused = True

    def resume(self) -> None:
        """The transport has room again."""
        self._paused = False
        self.pump()

    def pump(self) -> None:
        """Send blocks until the transport, the disk or a rate limit says stop."""
        while self._queue and not (self._paused or self._reading or self._closed):
            if not self._allowance.is_ready():
                self._wait_for_rate()
                return
            run = self._next_run()
            piece, begin, _ = run[0]
            length = run[-1][1] + run[-1][2] - begin
            data = self._source.read_now(piece, begin, length)
            if data is None:
                self._reading = run
                reading = self._source.read(piece, begin, length)
                reading.addCallbacks(self._arrived, self._unreadable, callbackArgs=(run, begin))
                reading.addErrback(lambda failure: self.log.failure("sending blocks", failure=failure))
            else:
                self._send(run, begin, data)

    def _next_run(self) -> list[Block]:
        """Take the blocks at the head that lie one behind the other in one piece: one read, one write."""
        rate = self._allowance.rate
        limit = BATCH if rate is None else min(BATCH, int(rate * LIMITED_SHARE))
        queue = self._queue
        run = [queue.popleft()]
        piece, begin, length = run[0]
        end, total = begin + length, length
        while queue:
            block = queue[0]
            if block[0] != piece or block[1] != end or total + block[2] > limit:
                break
            run.append(queue.popleft())
            end += block[2]
            total += block[2]
        return run

    def _send(self, run: list[Block], start: int, data: bytes) -> None:
        view = memoryview(data)
        parts: list[bytes | memoryview] = []
        for piece, begin, length in run:
            parts.append(self._header(piece, begin, length))
            parts.append(view[begin - start : begin - start + length])
        sent = b"".join(parts)
        amount = sum(length for _, _, length in run)
        self._allowance.spend(amount)
        self._pipe.write(sent)
        self._pipe.blocks_sent(amount)

    def _arrived(self, data: bytes, run: list[Block], start: int) -> None:
        still_wanted, self._reading = self._reading, []  # a choke or cancel may have thinned it out
        if still_wanted and not self._closed:
            self._send(still_wanted, start, data)
        self.pump()

    def _unreadable(self, failure: Failure) -> None:
        blocks, self._reading = self._reading, []
        if not self._closed:
            self._pipe.blocks_unreadable(blocks, failure)
            self.pump()

    def _wait_for_rate(self) -> None:
        if not self._waiting_for_rate:
            self._waiting_for_rate = True
            self._allowance.call_when_ready(self._rate_ready)

    def _rate_ready(self) -> None:
        self._waiting_for_rate = False
        self.pump()
