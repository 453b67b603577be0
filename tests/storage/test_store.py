"""Tests for pieces on their way to the disk and into place."""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from p2pshare.errors import StorageError
from p2pshare.geometry import BLOCK_SIZE
from p2pshare.metainfo import Metainfo
from p2pshare.storage import checking
from p2pshare.storage.disk import OS_DISK
from p2pshare.storage.store import PieceStore
from p2pshare.storage.workers import Workers
from tests.contracts.piece_store import CONTENT, PIECE, PieceStoreContract
from tests.storage.disk import DiskTestCase
from tests.storage.fakes import Crossing, Steps, put_piece, run_now, some_bytes, torrent, tree


class PieceStoreTests(PieceStoreContract, DiskTestCase):
    """The contract, on a disk."""

    def make_store(self, metainfo: Metainfo, content: bytes | None) -> PieceStore:
        if content is not None:
            self.write(metainfo.name if len(content) == metainfo.total_length else metainfo.name + ".part", content)
        return PieceStore(metainfo, self.folder, run_now)


class DownloadTests(DiskTestCase):
    """From nothing to files in place."""

    def test_s1_16_only_the_part_until_complete(self) -> None:
        """While pieces are missing only ``name.part`` exists, sized; with the last Sealed there is only ``name``."""
        store = self.store(torrent(CONTENT, PIECE))
        for piece in (2, 0, 3):
            self.fetch(store, CONTENT, piece)
            self.assertEqual(os.listdir(self.folder), ["thing.part"])
        self.assertEqual((self.folder / "thing.part").stat().st_size, len(CONTENT))
        self.fetch(store, CONTENT, 1)
        self.assertEqual(tree(self.folder), {"thing": CONTENT})

    def test_s1_16_killed_and_restarted(self) -> None:
        """Without any goodbye, the next store finds every verified piece in the part file and asks for no other."""
        self.fetch(self.store(torrent(CONTENT, PIECE)), CONTENT, 1, 3)
        store = self.store(torrent(CONTENT, PIECE))
        self.assertEqual(list(store.have), [1, 3])
        self.fetch(store, CONTENT)
        self.assertEqual(tree(self.folder), {"thing": CONTENT})

    def test_s1_16_killed_between_last_write_and_rename(self) -> None:
        """A part file with every piece right gets its final name at the next start, cut to its length."""
        self.write("thing.part", CONTENT + b"more")
        store = self.store(torrent(CONTENT, PIECE))
        self.assertTrue(store.is_complete)
        self.assertEqual(tree(self.folder), {"thing": CONTENT})

    def test_s1_16_killed_between_the_two_names(self) -> None:
        """A file left with both names keeps the final one."""
        part = self.write("thing.part", CONTENT)
        os.link(part, self.folder / "thing")
        self.assertTrue(self.store(torrent(CONTENT, PIECE)).is_complete)
        self.assertEqual(tree(self.folder), {"thing": CONTENT})

    def test_files_of_a_folder_finish_one_by_one(self) -> None:
        """Each file is renamed as soon as its own pieces are verified."""
        files = {"a": some_bytes(PIECE, 1), "sub/b": some_bytes(PIECE // 2, 2), "sub/c": some_bytes(PIECE, 3)}
        content = b"".join(files.values())
        store = self.store(torrent(files, PIECE))
        self.fetch(store, content, 0)
        self.assertEqual(tree(self.folder), {"thing/a": files["a"]})
        self.fetch(store, content, 1)
        self.assertEqual(sorted(tree(self.folder)), ["thing/a", "thing/sub/b", "thing/sub/c.part"])
        self.fetch(store, content, 2)
        self.assertEqual(tree(self.folder), {f"thing/{path}": data for path, data in files.items()})

    def test_f13_empty_files_are_there_from_the_start(self) -> None:
        """Files without a byte, and the folders they are in, exist as soon as the content was checked."""
        files = {"empty": b"", "deep/er/empty": b"", "full": some_bytes(100), "last": b""}
        store = self.store(torrent(files, PIECE))
        found = tree(self.folder)
        self.assertEqual([found.pop(f"thing/{path}") for path in ("empty", "deep/er/empty", "last")], [b""] * 3)
        self.assertEqual(list(found), ["thing/full.part"])
        self.fetch(store, files["full"])
        self.assertEqual(tree(self.folder), {f"thing/{path}": data for path, data in files.items()})

    def test_pad_files_are_zeros_and_never_on_disk(self) -> None:
        """Padding (BEP 47) is hashed and served as zeros; no file is made for it."""
        files = {"a": some_bytes(100, 1), ".pad/1": bytes(PIECE - 100), "b": some_bytes(50, 2)}
        content = b"".join(files.values())
        store = self.store(torrent(files, PIECE))
        self.fetch(store, content)
        self.assertEqual(tree(self.folder), {"thing/a": files["a"], "thing/b": files["b"]})
        self.assertEqual(self.successResultOf(store.read(0, 50, 100)), content[50:150])
        self.assertIn(store.read_now(0, 50, 100), (content[50:150], None))
        self.assertTrue(self.store(torrent(files, PIECE)).is_complete)

    def test_many_small_files_in_a_piece(self) -> None:
        """A piece may span more files than are ever open at once."""
        files = {f"{number % 7}/{number}": some_bytes(number % 90, number) for number in range(500)}
        content = b"".join(files.values())
        store = self.store(torrent(files, PIECE))
        self.fetch(store, content)
        self.assertEqual(tree(self.folder), {f"thing/{path}": data for path, data in files.items()})
        self.assertEqual(self.successResultOf(store.read(0, 0, len(content))), content)
        self.assertTrue(self.store(torrent(files, PIECE)).is_complete)

    def test_name_that_looks_like_a_part(self) -> None:
        """A torrent that itself holds ``a`` and ``a.part`` comes out right."""
        files = {"a": some_bytes(PIECE, 1), "a.part": some_bytes(PIECE, 2), "a.part.part": some_bytes(10, 3)}
        content = b"".join(files.values())
        store = self.store(torrent(files, PIECE))
        self.fetch(store, content, 1)
        self.fetch(store, content, 0, 2)
        self.assertEqual(tree(self.folder), {f"thing/{path}": data for path, data in files.items()})


class QueueTestCase(DiskTestCase):
    """A store whose disk does one thing after the other, when told to."""

    def setUp(self) -> None:
        super().setUp()
        self.steps = Steps()
        self.content = some_bytes(8 * PIECE)
        self.pieces = PieceStore(torrent(self.content, PIECE), self.folder, self.steps, memory_limit=4 * PIECE)
        checked = self.pieces.check()
        self.steps.finish()
        self.successResultOf(checked)

    def seal(self, *pieces: int) -> list[Any]:
        for piece in pieces:
            put_piece(self.pieces, self.content, piece)
        return [self.pieces.seal(piece) for piece in pieces]


class QueueTests(QueueTestCase):
    """Pieces that wait for the disk."""

    def test_piece_takes_one_hop(self) -> None:
        """Hashing and writing are one job; only a piece that makes a file whole needs a second one."""
        self.seal(0)
        self.steps.step()
        self.assertEqual(self.steps.waiting, [])
        self.assertIn(0, self.pieces.have)

    def test_not_had_before_it_is_written(self) -> None:
        """A sealed piece is neither had nor readable while it waits, and takes no more blocks."""
        (sealed,) = self.seal(0)
        self.assertNotIn(0, self.pieces.have)
        self.assertRaises(ValueError, self.pieces.read_now, 0, 0, 1)
        self.assertRaises(ValueError, self.pieces.put, 0, 0, b"x")
        self.assertRaises(ValueError, self.pieces.seal, 0)
        self.assertNoResult(sealed)
        self.steps.finish()
        self.assertTrue(self.successResultOf(sealed).ok)

    def test_complete_means_renamed(self) -> None:
        """Between the last write and the final name the store is not complete, and the piece not had."""
        self.seal(*range(8))
        for _ in range(8):
            self.steps.step()
        self.assertTrue((self.folder / "thing.part").exists())
        self.assertFalse(self.pieces.is_complete)
        self.steps.finish()
        self.assertEqual(os.listdir(self.folder), ["thing"])
        self.assertTrue(self.pieces.is_complete)

    def test_f100_pressed_until_half_of_the_limit(self) -> None:
        """More sealed bytes than the limit press; relief comes once, at half of the limit."""
        told: list[int] = []
        self.pieces.on_relief = lambda: told.append(self.pieces.buffered // PIECE)
        self.seal(0, 1, 2, 3)
        self.assertFalse(self.pieces.is_pressed)
        self.seal(4)
        self.assertTrue(self.pieces.is_pressed)
        self.steps.step()
        self.steps.step()
        self.assertTrue(self.pieces.is_pressed)
        self.assertEqual(told, [])
        self.steps.step()
        self.assertFalse(self.pieces.is_pressed)
        self.steps.finish()
        self.assertEqual(told, [2])

    def test_assembling_does_not_press(self) -> None:
        """Only what waits for the disk counts, or peers would be paused with nothing to wait for."""
        for piece in range(8):
            self.pieces.put(piece, 0, b"x")
        self.assertEqual(self.pieces.buffered, 8 * PIECE)
        self.assertFalse(self.pieces.is_pressed)

    def test_cancelled_seal_keeps_its_memory(self) -> None:
        """Giving up on a seal does not free memory that a thread still reads; the piece is verified all the same."""
        (sealed,) = self.seal(0)
        sealed.cancel()
        self.failureResultOf(sealed, CancelledError)
        self.assertEqual(self.pieces.buffered, PIECE)
        self.steps.finish()
        self.assertEqual(self.pieces.buffered, 0)
        self.assertIn(0, self.pieces.have)

    def test_close_waits_for_sealed_pieces(self) -> None:
        """Sealed pieces are still written and renamed; what was only put is forgotten."""
        sealing = self.seal(*range(8))
        closed, again = self.pieces.close(), self.pieces.close()
        self.assertNoResult(closed)
        self.steps.finish()
        for sealed in sealing:
            self.assertTrue(self.successResultOf(sealed).ok)
        self.successResultOf(closed)
        self.successResultOf(again)
        self.assertEqual(tree(self.folder), {"thing": self.content})

    def test_close_breaks_off_a_check(self) -> None:
        """A check under way ends with an error after the slices being hashed, and close waits for it."""
        self.patch(checking, "SLICE", PIECE)
        self.seal(*range(8))
        self.steps.finish()
        under_way = self.pieces.check()
        self.steps.step()
        self.steps.step()
        closed = self.pieces.close()
        self.assertNoResult(under_way)
        self.steps.finish()
        self.failureResultOf(under_way, StorageError)
        self.successResultOf(closed)


class RecheckTests(QueueTestCase):
    """A check of a store that is at work."""

    def written(self) -> int:
        """Count the bytes that were handed to the disk so far."""
        return sum(self.amounts)

    def setUp(self) -> None:
        super().setUp()
        self.amounts: list[int] = []
        pwrite = os.pwrite

        def counted(fd: int, view: memoryview, offset: int) -> int:
            self.amounts.append(len(view))
            return pwrite(fd, view, offset)

        self.patch(os, "pwrite", counted)

    def test_f104_recheck_while_downloading(self) -> None:
        """Pieces on their way are written before the check begins, those sealed during it after it ended."""
        before = self.seal(0, 1)
        checked = self.pieces.check()
        during = self.seal(2, 3)
        self.steps.step()
        self.steps.step()
        self.assertEqual(self.written(), 2 * PIECE)
        while not checked.called:
            self.assertEqual(self.written(), 2 * PIECE)
            self.steps.step()
        self.successResultOf(checked)
        self.steps.finish()
        for sealed in (*before, *during):
            self.assertTrue(self.successResultOf(sealed).ok)
        self.assertEqual((list(self.pieces.have), self.written()), ([0, 1, 2, 3], 4 * PIECE))
        self.seal(4, 5, 6, 7)
        self.steps.finish()
        self.assertEqual(tree(self.folder), {"thing": self.content})

    def test_f104_sealed_and_found_by_the_check(self) -> None:
        """A piece that was sealed during a check, and that the check found on the disk, counts once."""
        self.seal(0)
        self.steps.finish()
        checked = self.pieces.check()
        self.assertEqual(list(self.pieces.have), [])
        (sealed,) = self.seal(0)
        self.steps.finish()
        self.successResultOf(checked)
        self.assertTrue(self.successResultOf(sealed).ok)
        self.seal(*range(1, 8))
        self.steps.finish()
        self.assertEqual(tree(self.folder), {"thing": self.content})

    def test_f104_closed_during_a_recheck(self) -> None:
        """What is sealed while a check is broken off comes to nothing, and nothing is lost by it."""
        self.patch(checking, "SLICE", PIECE)
        self.seal(0, 1, 2)
        self.steps.finish()
        checked = self.pieces.check()
        (sealed,) = self.seal(3)
        self.steps.step()
        closed = self.pieces.close()
        self.steps.finish()
        self.successResultOf(closed)
        self.failureResultOf(checked, StorageError)
        self.failureResultOf(sealed, StorageError)
        self.assertEqual(self.pieces.buffered, 0)
        self.assertEqual(list(self.store(torrent(self.content, PIECE)).have), [0, 1, 2])


class StalledDiskTests(DiskTestCase):
    """A disk that does not answer for as long as it likes."""

    def test_f100_reactor_waits_for_nothing(self) -> None:
        """Whatever the reactor asks of a store, what may wait for the disk is done elsewhere."""
        stalled = Stalled()
        steps = Steps()

        def run(function: Callable[..., Any], *args: Any) -> Deferred[Any]:
            def elsewhere() -> Any:
                stalled.in_thread.append(True)
                try:
                    return function(*args)
                finally:
                    stalled.in_thread.pop()

            return steps(elsewhere)

        content = some_bytes(4 * PIECE)
        store = PieceStore(torrent(content, PIECE), self.folder, run, disk=stalled)
        checked = store.check()
        self.assertNoResult(checked)
        steps.finish()
        self.successResultOf(checked)
        for piece in range(4):
            put_piece(store, content, piece)
        sealing = [store.seal(piece) for piece in range(4)]
        steps.finish()
        for sealed in sealing:
            self.assertTrue(self.successResultOf(sealed).ok)
        store.read_now(0, 0, 10)  # finds the file closed, and opens nothing
        reading = store.read(1, 5, 10)
        self.assertNoResult(reading)
        steps.finish()
        self.assertEqual(self.successResultOf(reading), content[PIECE + 5 : PIECE + 15])
        store.read_now(1, 5, 10)
        closed = store.close()
        steps.finish()
        self.successResultOf(closed)
        self.assertGreater(stalled.asked, 10)


class Stalled:
    """A disk that may be asked only where waiting does not matter, but for what memory holds."""

    def __init__(self) -> None:
        self.in_thread: list[bool] = []
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        self.asked += 1
        if not self.in_thread and name not in ("preadv", "fstat"):
            raise AssertionError(f"{name} in the reactor")
        return getattr(OS_DISK, name)

    def preadv(self, fd: int, buffers: Any, offset: int, flags: int = 0) -> int:
        if not self.in_thread and flags != os.RWF_NOWAIT:
            raise AssertionError("a read that may wait in the reactor")
        return OS_DISK.preadv(fd, buffers, offset, flags)


class ThreadTests(DiskTestCase):
    """The same with real threads, which are what is tested here."""

    def test_pieces_and_readers_at_once(self) -> None:
        """Pieces sealed in a burst over many files, while verified ones are read, come out right and in place."""
        files = {f"{number % 3}/{number}": some_bytes(5000 + 997 * number, number) for number in range(60)}
        content = b"".join(files.values())
        reactor = Crossing()
        workers = Workers(reactor, limit=4)
        store = PieceStore(torrent(files, BLOCK_SIZE), self.folder, workers.run)
        pieces = list(range(store.geometry.num_pieces))
        Random(0).shuffle(pieces)
        jobs = [store.check()]
        reactor.turn_until(jobs[0])
        read = []
        for number, piece in enumerate(pieces):
            put_piece(store, content, piece)
            jobs.append(store.seal(piece))
            if number % 5 == 0:
                reactor.turn_until(jobs[-1])
                read += [(known, store.read(known, 0, store.geometry.piece_size(known))) for known in store.have]
        reactor.turn_until(store.close())
        reactor.turn_until(workers.stop())
        for job in jobs:
            self.successResultOf(job)
        for piece, reading in read:
            self.assertEqual(self.successResultOf(reading), content[piece * BLOCK_SIZE : (piece + 1) * BLOCK_SIZE])
        self.assertTrue(store.is_complete)
        self.assertEqual(tree(self.folder), {f"thing/{path}": data for path, data in files.items()})
