"""Reading again, slowly, what we vouch for: so that rot is found before somebody asks for it."""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain
from random import Random
from typing import Protocol as Seam

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.bitfield import Bitfield
from p2pshare.errors import StorageError

DAY = 86400.0  # s
DOUBT_PAUSE = 0.25  # s after each piece in doubt: a disk has to have time for others
BUSY_PAUSE = 10.0  # s until a store that was at work, or could not read, is asked again
LOOK = 60.0  # s: at least so often it is seen what there is to do, as pieces come and go
POSITION = "scrubbed"  # the counter that remembers where the last process got to


class Rereadable(Seam):
    """Where the pieces are; a PieceStore."""

    have: Bitfield

    @property
    def counters(self) -> dict[str, int]:
        """Numbers that outlive this process."""

    @property
    def in_doubt(self) -> Collection[int]:
        """Pieces we have and that are not certain."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits for a thread."""

    def reread(self, piece: int) -> Deferred[bool]:
        """Hash a piece as the device has it; it is lost if that is wrong."""


@define(eq=False)
class Scrub:
    """
    Has one piece after the other hashed again, round and round, those in doubt first and much faster.

    It gives way: nothing is read while the store hashes, writes or checks, and never more than one piece at a time.
    What is wrong the store loses, in the same way as when reading for a peer had found it. Knows no file.
    """

    _store: Rereadable
    _clock: IReactorTime
    _random: Random
    percent_a_day: float = field(kw_only=True, default=1.0)  # of the pieces we have; 0: only those in doubt
    looked_at: int = field(init=False, default=0)  # pieces, since the start
    wrong: int = field(init=False, default=0)  # of these
    _next: int = field(init=False, default=0)  # where the round goes on
    _due: float = field(init=False, default=0.0)  # pieces; from 1 on, the next is read
    _since: float = field(init=False, default=0.0)  # when that was counted
    _timer: IDelayedCall | None = field(init=False, default=None)
    _running: bool = field(init=False, default=False)
    log = Logger()

    def start(self) -> None:
        """Begin, or go on; the store must have been checked."""
        if self._running:
            return
        self._running = True
        self._next = self._store.counters.get(POSITION, 0) % max(1, len(self._store.have))
        # Anywhere between two pieces: who runs for a minute at a time gets round, too, only not as fast.
        self._due, self._since = self._random.random(), self._clock.seconds()
        self._wait()

    def stop(self) -> None:
        """Read nothing more; what is being read is for the store to wait for. Harmless when it never began."""
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _count(self) -> float:
        """Bring up to date how much is due; tell the pieces that fall due in a second."""
        now = self._clock.seconds()
        rate = self._store.have.count * self.percent_a_day / 100 / DAY
        # No more than one is made up for of what was not done while the store was busy, or the machine asleep.
        self._due = min(2.0, self._due + (now - self._since) * rate)
        self._since = now
        return rate

    def _wait(self, least: float = 0.0) -> None:
        if not self._running:
            return
        rate = self._count()
        pause = LOOK
        if self._doubtful() is not None:
            pause = DOUBT_PAUSE
        elif rate:
            pause = min(LOOK, max(DOUBT_PAUSE, (1 - self._due) / rate))
        self._timer = self._clock.callLater(max(least, pause), self._step)

    def _step(self) -> None:
        self._timer = None
        if not self._store.is_idle:
            self._wait(BUSY_PAUSE)
            return
        piece = self._pick()
        if piece is None:
            self._wait()
            return
        reading = self._store.reread(piece)
        reading.addCallbacks(self._reread, self._refused, callbackArgs=(piece,))
        reading.addErrback(lambda failure: self.log.failure("reading piece {piece} again", failure, piece=piece))

    def _doubtful(self) -> int | None:
        return next((piece for piece in self._store.in_doubt if piece in self._store.have), None)

    def _pick(self) -> int | None:
        doubtful, have = self._doubtful(), self._store.have
        self._count()
        if doubtful is not None or self._due < 1:
            return doubtful
        for piece in chain(range(self._next, len(have)), range(min(self._next, len(have)))):
            if piece in have:
                self._due -= 1
                self._next = self._store.counters[POSITION] = piece + 1
                return piece
        return None

    def _reread(self, is_right: bool, piece: int) -> None:
        self.looked_at += 1
        if not is_right:
            self.wrong += 1
        self._wait()

    def _refused(self, failure: Failure) -> None:
        failure.trap(StorageError)
        self.log.debug("cannot read again: {error}", error=failure.value)
        self._wait(BUSY_PAUSE)
