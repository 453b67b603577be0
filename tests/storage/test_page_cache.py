"""Tests for what is dropped from the page cache once it is safe on the disk."""

from __future__ import annotations

import os
from collections.abc import Collection

from attrs import field, frozen

from p2pshare.storage.disk import OSDisk
from p2pshare.storage.resume import Durability
from p2pshare.storage.resume_log import ResumeLog
from p2pshare.storage.store import PieceStore
from tests.storage.durable import DurableTestCase
from tests.storage.fakes import run_now, some_bytes, torrent

PIECE = 64 * 1024
CONTENT = some_bytes(5 * PIECE)


@frozen(eq=False)
class Watched(OSDisk):
    """A disk that notes what it was told to forget, and may refuse."""

    forgotten: list[tuple[int, int]] = field(factory=list)  # offset, length
    refusing: list[bool] = field(factory=list)
    unsafe: dict[str, set[int]] = field(factory=dict)  # by path: where something was written and not synced since
    dropped: list[int] = field(factory=list)  # offsets that were not safe when they were to be forgotten

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        count = super().pwrite(fd, data, offset)
        self._unsafe(fd).update(range(offset, offset + count, 512))
        return count

    def fdatasync(self, fd: int) -> None:
        super().fdatasync(fd)
        self._unsafe(fd).clear()

    def fsync(self, fd: int) -> None:
        super().fsync(fd)
        self._unsafe(fd).clear()

    def forget(self, fd: int, offset: int, length: int) -> None:
        if self.refusing:
            raise OSError(5, "input/output error")
        self.forgotten.append((offset, length))
        self.dropped.extend(self._unsafe(fd).intersection(range(offset, offset + length)))

    def _unsafe(self, fd: int) -> set[int]:
        return self.unsafe.setdefault(os.readlink(f"/proc/self/fd/{fd}").removesuffix(".part"), set())


class PageCacheTests(DurableTestCase):
    """A download does not push everything else out of memory."""

    def setUp(self) -> None:
        super().setUp()
        self.disk = Watched()

    def watched(self, piece_length: int = PIECE, amount: int = 1) -> PieceStore:
        """Make a store that commits after every piece, and of which nobody wants anything."""
        durability = Durability(self.state, self.clock, run_now, floor=0, amount=amount)
        store = PieceStore(torrent(CONTENT, piece_length), self.folder, run_now, durability=durability, disk=self.disk)
        store.is_wanted = lambda piece: False
        self.successResultOf(store.check())
        return store

    def test_safe_pieces_that_nobody_lacks_are_forgotten(self) -> None:
        """After its commit a piece leaves the page cache, and is read from the disk when somebody asks."""
        store = self.watched()
        self.fetch(store, CONTENT, 1, 3)
        self.assertEqual(self.disk.forgotten, [(PIECE, PIECE), (3 * PIECE, PIECE)])
        self.assertEqual(self.successResultOf(store.read(3, 0, PIECE)), CONTENT[3 * PIECE : 4 * PIECE])

    def test_only_what_is_safe_is_forgotten(self) -> None:
        """Pieces written since the last commit stay in memory, however often commits come."""
        store = self.watched(amount=2 * PIECE)
        self.fetch(store, CONTENT, 0, 3, 1)
        self.clock.advance(1)
        self.fetch(store, CONTENT, 2)
        self.clock.advance(1)
        self.assertEqual(sorted(offset // PIECE for offset, _ in self.disk.forgotten), [0, 1, 2, 3])
        self.assertEqual(self.disk.dropped, [])

    def test_mistake_of_forgetting_what_is_not_safe(self) -> None:
        """Dropped before its commit, made on purpose, is found by the test above."""
        real = ResumeLog.commit

        def hasty(log: ResumeLog, whole: Collection[int] = (), *, save: bool = False) -> list[int]:
            log._safe.forget(log.unsafe())
            return real(log, whole, save=save)

        self.patch(ResumeLog, "commit", hasty)
        self.assertRaises(self.failureException, self.test_only_what_is_safe_is_forgotten)
        self.assertNotEqual(self.disk.dropped, [])

    def test_wanted_pieces_stay(self) -> None:
        """What a peer may ask for soon stays where it is read fastest."""
        store = self.watched()
        store.is_wanted = lambda piece: piece == 1
        self.fetch(store, CONTENT, 1, 3)
        self.assertEqual(self.disk.forgotten, [(3 * PIECE, PIECE)])

    def test_end_of_a_download_stays(self) -> None:
        """What the last commit makes safe stays: so does all of a small content, whose user is waiting for it."""
        store = self.watched()
        self.fetch(store, CONTENT, 0, 1, 2, 3)
        del self.disk.forgotten[:]
        self.fetch(store, CONTENT, 4)
        self.assertTrue(store.is_complete)
        self.assertEqual(self.disk.forgotten, [])

    def test_crumbs_stay(self) -> None:
        """Small pieces are not worth a system call each."""
        store = self.watched(piece_length=PIECE // 2)
        self.fetch(store, CONTENT, 1, 2, 3)
        self.assertEqual(self.disk.forgotten, [])

    def test_refusal_costs_nothing(self) -> None:
        """A disk that does not forget keeps every promise all the same."""
        self.disk.refusing.append(True)
        store = self.watched()
        self.fetch(store, CONTENT)
        self.assertTrue(store.is_complete)
        self.assertIsNone(store.failed)
