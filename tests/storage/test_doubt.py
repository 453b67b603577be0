"""Tests for files that somebody else wrote to in the moment in which our own last writes explain how they look."""

from __future__ import annotations

import os

from p2pshare.storage.safe_files import SafeFiles
from p2pshare.storage.serving import Serving
from p2pshare.storage.startup import Startup
from p2pshare.storage.store import PieceStore
from tests.contracts.piece_store import CONTENT, PIECE
from tests.storage.durable import DurableTestCase
from tests.storage.fakes import torrent, tree

THING = torrent(CONTENT, PIECE)


class DoubtTests(DurableTestCase):
    """After a crash, what may not be as it was is hashed before anybody gets it, and before it counts as finished."""

    def crashed(self, *pieces: int) -> None:
        """Leave behind a process that died with these pieces safe on the disk."""
        store = self.store(THING)
        self.fetch(store, CONTENT, *pieces)
        self.clock.advance(1)
        self.crash(store)

    def edit(self, offset: int = 0, *, keep_time: bool = False) -> None:
        """Write to the unfinished file as another program would, within the moment, or without its time advancing."""
        part = self.folder / "thing.part"
        before = part.stat()
        with part.open("r+b") as file:
            file.seek(offset)
            file.write(b"other")
        if keep_time:
            os.utime(part, ns=(before.st_atime_ns, before.st_mtime_ns))

    def restarted(self) -> PieceStore:
        """Start again, noting what is lost from then on."""
        self.lost: list[int] = []
        store = self.unchecked(THING)
        store.on_lost = self.lost.append
        self.successResultOf(store.check())
        return store

    def assert_caught(self) -> None:
        """Restart, fetch what is missing, and insist that the file does not get its final name as it is."""
        store = self.restarted()
        self.fetch(store, CONTENT)
        self.assertEqual(self.lost, [0])
        self.assertEqual(list(store.have.missing()), [0])
        self.assertEqual(list(tree(self.folder)), ["thing.part"])
        self.fetch(store, CONTENT, 0)
        self.assertTrue(store.is_complete)
        self.assertEqual(tree(self.folder), {"thing": CONTENT})

    def test_f97_edited_within_the_moment(self) -> None:
        """A piece that was edited right after a crash is found before the file is finished, and fetched again."""
        self.crashed(0, 1)
        self.edit()
        self.assert_caught()

    def test_f97_edited_with_the_same_time(self) -> None:
        """The same when size, inode and time are to the letter what we signed."""
        self.crashed(0, 1)
        self.edit(keep_time=True)
        self.assert_caught()

    def test_f97_same_time_is_hashed_before_it_is_given(self) -> None:
        """After a crash nobody gets a byte of an unfinished file before its hash was right."""
        self.crashed(0, 1)
        self.edit(keep_time=True)
        store = self.restarted()
        self.assertIsNone(store.read_now(0, 0, 5))
        self.failureResultOf(store.read(0, 0, 5))
        self.assertEqual(self.lost, [0])
        self.assertEqual(self.successResultOf(store.read(1, 0, 5)), CONTENT[PIECE : PIECE + 5])

    def test_f96_cut_and_lengthened_within_the_moment(self) -> None:
        """A file that was cut and has its old size again has lost what was cut, and no more."""
        self.crashed(0, 1)
        os.truncate(self.folder / "thing.part", PIECE)
        os.truncate(self.folder / "thing.part", len(CONTENT))
        store = self.restarted()
        self.assertEqual(self.successResultOf(store.read(0, 0, 5)), CONTENT[:5])
        self.fetch(store, CONTENT)
        self.assertEqual(self.lost, [1])
        self.fetch(store, CONTENT)
        self.assertEqual(tree(self.folder), {"thing": CONTENT})

    def test_f96_cut_within_the_moment(self) -> None:
        """A file that was cut is hashed at once: its size says that it was."""
        self.crashed(0, 1)
        os.truncate(self.folder / "thing.part", PIECE)
        self.assertEqual(list(self.restarted().have), [0])

    def test_f97_edited_before_it_got_its_name(self) -> None:
        """A file that only lacked its final name when the process died is hashed before it gets it at the start."""
        real = SafeFiles.finish
        self.patch(SafeFiles, "finish", lambda safe, files, passed: None)
        self.crashed(0, 1, 2, 3)
        self.patch(SafeFiles, "finish", real)
        self.edit(PIECE)
        store = self.restarted()
        self.assertEqual(list(store.have), [0, 2, 3])
        self.assertEqual(list(tree(self.folder)), ["thing.part"])
        self.fetch(store, CONTENT)
        self.assertEqual(tree(self.folder), {"thing": CONTENT})

    def test_mistake_of_finishing_unseen(self) -> None:
        """Without that look the wrong file would get its final name: the tests above can fail."""

        async def blind(serving: Serving, pieces: object) -> None:
            return None

        self.patch(Serving, "settle", blind)
        self.crashed(0, 1)
        self.edit()
        self.assertRaises(self.failureException, self.assert_caught)
        self.assertNotEqual(tree(self.folder), {"thing": CONTENT})

    def test_mistake_of_naming_unseen(self) -> None:
        """The same for the look at the start."""

        async def blind(startup: Startup) -> None:
            return None

        real = SafeFiles.finish
        self.patch(SafeFiles, "finish", lambda safe, files, passed: None)
        self.patch(Startup, "_prove_whole", blind)
        self.crashed(0, 1, 2, 3)
        self.patch(SafeFiles, "finish", real)
        self.edit(PIECE)
        self.assertTrue(self.restarted().is_complete)
        self.assertNotEqual(tree(self.folder), {"thing": CONTENT})
