"""Tests for reading again what we vouch for."""

from __future__ import annotations

import errno
import os
from random import Random
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.bitfield import Bitfield
from p2pshare.errors import StorageError
from p2pshare.storage.scrub import BUSY_PAUSE, DAY, DOUBT_PAUSE, Scrub
from p2pshare.storage.store import PieceStore
from tests.contracts.piece_store import CONTENT, PIECE
from tests.storage.durable import DurableTestCase
from tests.storage.fakes import torrent

THING = torrent(CONTENT, PIECE)
PIECES = 50


def pass_by(clock: Clock, seconds: float) -> None:
    """Let time pass, stopping wherever something is due."""
    end = clock.seconds() + seconds
    while due := [call.getTime() for call in clock.getDelayedCalls() if call.getTime() <= end]:
        clock.advance(max(0.001, min(due) - clock.seconds()))
    clock.advance(max(0.0, end - clock.seconds()))


@define(eq=False)
class FakeStore:
    """Has pieces, and notes which are read again."""

    have: Bitfield = field(factory=lambda: Bitfield.full(PIECES))
    counters: dict[str, int] = field(factory=dict)
    in_doubt: set[int] = field(factory=set)
    is_idle: bool = True
    read: list[int] = field(factory=list)
    answer: Deferred[bool] | None = None  # of the next one; None: at once, and right

    def reread(self, piece: int) -> Deferred[bool]:
        self.read.append(piece)
        self.in_doubt.discard(piece)
        answer, self.answer = self.answer, None
        return succeed(True) if answer is None else answer


class ScrubTests(SynchronousTestCase):
    """When which piece is read again."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.pieces = FakeStore()

    def started(self, percent: float = 1.0) -> Scrub:
        scrub = Scrub(self.pieces, self.clock, Random(0), percent_a_day=percent)
        scrub.start()
        return scrub

    def pass_by(self, seconds: float) -> None:
        """Let time pass from timer to timer, as timers set timers."""
        pass_by(self.clock, seconds)

    def test_one_percent_a_day(self) -> None:
        """Of fifty pieces, one percent a day is one every other day."""
        self.started()
        self.pass_by(8 * DAY)
        self.assertEqual(self.pieces.read, [0, 1, 2, 3])

    def test_round_after_round(self) -> None:
        """Each piece is read once before any is read again."""
        scrub = self.started(100)
        self.pass_by(DAY)
        self.assertEqual(self.pieces.read, list(range(PIECES)))
        self.pass_by(DAY)
        self.assertEqual(self.pieces.read, [*range(PIECES), *range(PIECES)])
        self.assertEqual((scrub.looked_at, scrub.wrong), (2 * PIECES, 0))

    def test_mistake_of_skipping(self) -> None:
        """A round that leaves out pieces, made on purpose, is found by the test above."""
        real = Scrub._pick

        def hasty(scrub: Scrub) -> int | None:
            piece = real(scrub)
            scrub._next += 1
            return piece

        self.patch(Scrub, "_pick", hasty)
        self.assertRaises(self.failureException, self.test_round_after_round)

    def test_faster(self) -> None:
        """At 200 percent a day everything is read twice a day."""
        self.started(200)
        self.pass_by(DAY)
        self.assertEqual(len(self.pieces.read), 2 * PIECES)

    def test_off(self) -> None:
        """At 0 percent nothing is read but what is in doubt."""
        self.started(0)
        self.pass_by(DAY)
        self.assertEqual(self.pieces.read, [])
        self.pieces.in_doubt = {7}
        self.pass_by(60)
        self.assertEqual(self.pieces.read, [7])

    def test_doubt_comes_first(self) -> None:
        """What is in doubt when it begins is read within seconds, one piece at a time."""
        self.pieces.in_doubt = {3, 30, 17}
        self.started()
        self.assertEqual(self.pieces.read, [])
        for count in (1, 2, 3, 3):
            self.clock.advance(DOUBT_PAUSE)
            self.assertEqual(len(self.pieces.read), count)
        self.assertEqual((sorted(self.pieces.read), self.pieces.in_doubt), ([3, 17, 30], set()))

    def test_gives_way(self) -> None:
        """While the store is at work nothing is read; a moment after, it goes on where it was."""
        self.pieces.is_idle = False
        self.pieces.in_doubt = {5}
        self.started()
        self.pass_by(3600)
        self.assertEqual(self.pieces.read, [])
        self.pieces.is_idle = True
        self.clock.advance(BUSY_PAUSE)
        self.assertEqual(self.pieces.read, [5])

    def test_one_at_a_time(self) -> None:
        """A disk that takes its time is asked for nothing else meanwhile."""
        self.pieces.in_doubt = {1, 2}
        answer = self.pieces.answer = Deferred()
        self.started()
        self.pass_by(DAY)
        self.assertEqual(len(self.pieces.read), 1)
        answer.callback(True)
        self.clock.advance(DOUBT_PAUSE)
        self.assertEqual(sorted(self.pieces.read), [1, 2])

    def test_pieces_that_come_later(self) -> None:
        """A download that begins with nothing is read as fast as its pieces are there for."""
        self.pieces.have = Bitfield(PIECES)
        self.started(100)
        self.pass_by(2 * DAY)
        self.pieces.have = Bitfield.full(PIECES)
        self.pass_by(1.1 * DAY)
        self.assertEqual(sorted(set(self.pieces.read)), list(range(PIECES)))

    def test_nothing_is_made_up_for(self) -> None:
        """After a long time of work, or of sleep, there is no burst."""
        self.pieces.is_idle = False
        self.started(1000)
        self.pass_by(DAY / 2)
        self.pieces.is_idle = True
        self.pass_by(DAY / 10)
        self.assertLessEqual(len(self.pieces.read), PIECES + 2)

    def test_only_what_we_have(self) -> None:
        """Pieces that are missing, or lost meanwhile though they were in doubt, are not read."""
        self.pieces.have = Bitfield.from_bytes(b"\x50" + bytes(6), PIECES)
        self.pieces.in_doubt = {40}
        self.started(10_000)
        self.pass_by(DAY / 100)
        self.assertEqual(self.pieces.read, [1, 3])
        self.pieces.have = Bitfield(PIECES)
        self.pass_by(DAY)
        self.assertEqual(self.pieces.read, [1, 3])

    def test_next_process_goes_on(self) -> None:
        """Short lives read on where the last one ended, so that no piece waits for ever."""
        for _ in range(10):
            scrub = self.started(100)
            self.pass_by(DAY / 5)
            scrub.stop()
            self.assertEqual(self.clock.getDelayedCalls(), [])
        read = self.pieces.read
        self.assertEqual(read, [number % PIECES for number in range(len(read))])
        self.assertGreaterEqual(len(read), PIECES)

    def test_trouble_passes(self) -> None:
        """A piece that cannot be read just now is no loss, and not the end of it."""
        self.pieces.in_doubt = {1}
        self.pieces.answer = fail(StorageError("too many open files"))
        scrub = self.started(1000)
        self.clock.advance(DOUBT_PAUSE)
        self.assertEqual((scrub.looked_at, scrub.wrong), (0, 0))
        self.pass_by(DAY / 10)
        self.assertEqual(scrub.looked_at, PIECES)
        self.assertEqual(scrub.wrong, 0)

    def test_stop_while_reading(self) -> None:
        """What comes of a piece after the end sets nothing in motion; stopping twice, or before the start, is fine."""
        self.pieces.in_doubt = {1, 2}
        answer = self.pieces.answer = Deferred()
        scrub = self.started()
        self.clock.advance(DOUBT_PAUSE)
        scrub.stop()
        answer.callback(True)
        scrub.stop()
        Scrub(self.pieces, self.clock, Random(0)).stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class RotTests(DurableTestCase):
    """With a store: bytes that change while nothing says so."""

    def rotten(self, store: PieceStore, path: str, piece: int) -> list[int]:
        """Change a byte of a piece without a trace in size or time; give the pieces that are lost from now on."""
        file = self.folder / path
        before = file.stat()
        with file.open("r+b") as content:
            content.seek(piece * PIECE)
            content.write(bytes([CONTENT[piece * PIECE] ^ 1]))
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        lost: list[int] = []
        store.on_lost = lost.append
        return lost

    def scrub(self, store: PieceStore) -> Scrub:
        """Read everything again, at once."""
        scrub = Scrub(store, self.clock, Random(0), percent_a_day=100)
        scrub.start()
        pass_by(self.clock, 2 * DAY)
        scrub.stop()
        return scrub

    def test_f97_rot_of_a_whole_file(self) -> None:
        """A piece that changed on the disk is lost and told, and no byte of it is given; the others stay."""
        store = self.store(THING)
        self.fetch(store, CONTENT)
        lost = self.rotten(store, "thing", 2)
        scrub = self.scrub(store)
        self.assertEqual((lost, scrub.wrong), ([2], 1))
        self.assertEqual(list(store.have), [0, 1, 3])
        self.assertRaises(ValueError, store.read_now, 2, 0, 5)
        self.crash(store)
        self.assertEqual(list(self.store(THING, writable=False).have), [0, 1, 3])

    def test_f97_rot_of_an_unfinished_file(self) -> None:
        """What is lost of an unfinished file is fetched again."""
        store = self.store(THING)
        self.fetch(store, CONTENT, 0, 1)
        self.clock.advance(1)
        lost = self.rotten(store, "thing.part", 1)
        self.scrub(store)
        self.assertEqual((lost, list(store.have)), ([1], [0]))
        self.fetch(store, CONTENT)
        self.assertTrue(store.is_complete)

    def test_f96_edited_while_nobody_reads(self) -> None:
        """One look at a file that somebody wrote to, and the rest of it follows within seconds."""
        store = self.store(THING)
        self.fetch(store, CONTENT)
        lost = self.rotten(store, "thing", 3)
        os.utime(self.folder / "thing", ns=(1, 1))
        self.assertTrue(self.successResultOf(store.reread(0)))
        self.assertEqual(set(store.in_doubt), {1, 2, 3})
        scrub = Scrub(store, self.clock, Random(0), percent_a_day=0)
        scrub.start()
        pass_by(self.clock, 4 * DOUBT_PAUSE)
        scrub.stop()
        self.assertEqual((lost, list(store.have), set(store.in_doubt)), ([3], [0, 1, 2], set()))

    def test_doubt_after_a_crash_ends(self) -> None:
        """Pieces that a crash left in doubt are certain a moment later, and given without being hashed first."""
        store = self.store(THING)
        self.fetch(store, CONTENT, 0, 1)
        self.clock.advance(1)
        self.crash(store)
        store = self.store(THING)
        self.assertEqual(set(store.in_doubt), {0, 1})
        scrub = Scrub(store, self.clock, Random(0))
        scrub.start()
        self.clock.pump([DOUBT_PAUSE] * 2)
        scrub.stop()
        self.assertEqual((set(store.in_doubt), list(store.have)), (set(), [0, 1]))

    def test_passing_trouble_costs_no_piece(self) -> None:
        """A process that has too many files open has not lost anything."""
        store = self.store(THING)
        self.fetch(store, CONTENT)
        store._files.close()
        real = os.open

        def refused(path: Any, flags: int, *args: Any, **names: Any) -> int:
            if path == "thing":
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return real(path, flags, *args, **names)

        self.patch(os, "open", refused)
        self.failureResultOf(store.reread(1), StorageError)
        self.assertTrue(store.is_complete)

    def test_f93_file_is_gone(self) -> None:
        """Of a file that was deleted and is not open any more nothing is had."""
        store = self.store(THING)
        self.fetch(store, CONTENT)
        store._files.close()
        (self.folder / "thing").unlink()
        self.assertFalse(self.successResultOf(store.reread(0)))
        self.assertNotIn(0, store.have)
        self.assertRaises(ValueError, store.reread, 0)
