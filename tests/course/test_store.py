"""The file of a course peer."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.course.store import CourseStore
from p2pshare.errors import StorageError
from p2pshare.geometry import Geometry

GEOMETRY = Geometry(4, (18,))  # 5 pieces, the last of 2 bytes
CONTENT = b"aaaabbbbccccddddee"


class SlowWorkers:
    """Do what they are given when they are told to."""

    def __init__(self) -> None:
        self.waiting: list[Deferred[None]] = []

    def run(self, function: object, *args: object) -> Deferred[object]:
        turn: Deferred[None] = Deferred()
        self.waiting.append(turn)
        return turn.addCallback(lambda _: function(*args))  # type: ignore[operator]

    def work(self) -> None:
        while self.waiting:
            self.waiting.pop(0).callback(None)


class StoreTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "peer_1002" / "TheFile.dat"

    def seed(self) -> CourseStore:
        """A store over the whole file."""
        self.path.parent.mkdir(parents=True)
        self.path.write_bytes(CONTENT)
        store = CourseStore.at(self.path, GEOMETRY, True, maybeDeferred)
        self.successResultOf(store.check())
        return store

    def leech(self) -> CourseStore:
        """A store over nothing."""
        store = CourseStore.at(self.path, GEOMETRY, False, maybeDeferred)
        self.successResultOf(store.check())
        return store


class SeedTests(StoreTestCase):
    def test_all_there(self) -> None:
        """A peer that has the file has every piece, and gives its bytes; the last piece is shorter."""
        store = self.seed()
        self.assertEqual((store.is_complete, store.verified_bytes), (True, 18))
        self.assertIs(store.read_now(1, 0, 4), None)
        self.assertEqual(self.successResultOf(store.read(1, 0, 4)), b"bbbb")
        self.assertEqual(self.successResultOf(store.read(4, 0, 2)), b"ee")
        self.successResultOf(store.close())
        self.assertEqual(self.path.read_bytes(), CONTENT)

    def test_s4_12_missing_or_of_another_size(self) -> None:
        """A file that is not there, or not as long as it should be, is no file to share."""
        store = CourseStore.at(self.path, GEOMETRY, True, maybeDeferred)
        self.assertIn("TheFile.dat", str(self.failureResultOf(store.check(), StorageError).value))
        self.path.parent.mkdir(parents=True)
        self.path.write_bytes(CONTENT[:-1])
        error = self.failureResultOf(store.check(), StorageError).value
        self.assertIn("17 bytes, expected the 18 of the whole file", str(error))

    def test_shortened_meanwhile(self) -> None:
        """A file that somebody cuts is the disk's trouble, and no wrong bytes are given."""
        store = self.seed()
        os.truncate(self.path, 6)
        error = self.failureResultOf(store.read(1, 0, 4), StorageError).value
        self.assertIn("ends within piece 1", str(error))


class LeechTests(StoreTestCase):
    def test_pieces_are_written_in_place(self) -> None:
        """A piece that was put and sealed is in the file, and can be read; the file is whole with the last."""
        store = self.leech()
        self.assertEqual((list(store.have), self.path.stat().st_size), ([], 18))
        for piece in (4, 0, 2, 3, 1):
            content = CONTENT[4 * piece : 4 * piece + 4]
            store.put(piece, 0, content)
            sealed = self.successResultOf(store.seal(piece))
            self.assertEqual((sealed.piece, sealed.ok), (piece, True))
            self.assertEqual(self.successResultOf(store.read(piece, 0, len(content))), content)
        self.assertTrue(store.is_complete)
        self.assertEqual((store.verified_bytes, store.buffered), (18, 0))
        self.successResultOf(store.close())
        self.assertEqual(self.path.read_bytes(), CONTENT)

    def test_what_an_earlier_run_left(self) -> None:
        """A peer without the file starts with nothing, whatever lies there."""
        self.path.parent.mkdir(parents=True)
        self.path.write_bytes(b"something longer than the file")
        store = self.leech()
        self.assertEqual((list(store.have), self.path.read_bytes()), ([], bytes(18)))

    def test_link(self) -> None:
        """Nothing is written through a symbolic link."""
        self.path.parent.mkdir(parents=True)
        target = self.path.parent / "precious"
        target.write_bytes(b"precious")
        self.path.symlink_to(target.name)
        store = CourseStore.at(self.path, GEOMETRY, False, maybeDeferred)
        self.assertIn("symbolic link", str(self.failureResultOf(store.check(), StorageError).value))
        self.assertEqual(target.read_bytes(), b"precious")

    def test_pieces_that_are_not_here(self) -> None:
        """What we have not got is not given, and what we have is not written again."""
        store = self.leech()
        self.assertRaises(ValueError, store.read, 0, 0, 4)
        self.assertRaises(ValueError, store.read_now, 0, 0, 4)
        self.assertRaises(ValueError, store.seal, 0)
        store.put(0, 0, b"aaaa")
        self.successResultOf(store.seal(0))
        self.assertRaises(ValueError, store.put, 0, 0, b"aaaa")

    def test_full_disk(self) -> None:
        """When the disk refuses, nothing more is sealed until somebody tries again."""
        store = self.leech()
        assert store._descriptor is not None
        full = os.open("/dev/full", os.O_RDWR)
        self.addCleanup(os.close, full)
        os.dup2(full, store._descriptor)
        for piece in (0, 1):
            store.put(piece, 0, b"xxxx")
            self.failureResultOf(store.seal(piece), StorageError)
        self.assertEqual((list(store.have), store.buffered), ([], 0))
        self.assertIn("no space is left", str(store.failed))
        store.retry()
        self.assertIs(store.failed, None)

    def test_slow_disk(self) -> None:
        """When too much waits for the disk that can be seen, and is told when it is over; closing waits, too."""
        workers, told = SlowWorkers(), []
        store = CourseStore.at(self.path, GEOMETRY, False, workers.run, memory_limit=4)
        store.on_relief = lambda: told.append("relief")
        store.check()
        workers.work()
        for piece in (0, 1):
            store.put(piece, 0, b"xxxx")
            store.seal(piece)
        self.assertTrue(store.is_pressed)
        closing = store.close()
        self.assertNoResult(closing)
        workers.work()
        self.successResultOf(closing)
        self.assertEqual((told, store.is_pressed, list(store.have)), (["relief"], False, [0, 1]))

    def test_closed(self) -> None:
        """Afterwards nothing is read or written."""
        store = self.leech()
        store.put(0, 0, b"aaaa")
        self.successResultOf(store.seal(0))
        self.successResultOf(store.close())
        self.successResultOf(store.close())
        store.put(1, 0, b"bbbb")
        for doing in (store.read(0, 0, 4), store.seal(1), store.check()):
            self.assertIn("is closed", str(self.failureResultOf(doing, StorageError).value))
