"""What is known of shared files, and survives."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import StorageError
from p2pshare.sharing.digest import Digest
from p2pshare.sharing.shelf import SharedFile, Shelf, file_id
from p2pshare.sharing.walk import Stamp

SONG = SharedFile('albums/a "b"\n.mp3', Digest(Stamp(5, 1, 2, 3), "ab" * 32, 16384, b"x" * 20), 1000.5)
TEXT = SharedFile("thesis.pdf", Digest(Stamp(2**40, 2**61, 2, 3), "cd" * 32, 2**24, b""), 2000.0, 7)


class ShelfTests(SynchronousTestCase):
    """The file."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "state" / "shelf"

    def open(self) -> Shelf:
        """Open it, until the test ends."""
        shelf = Shelf(self.path)
        self.addCleanup(shelf.close)
        return shelf

    def test_kept(self) -> None:
        """What was put is there after a restart, whatever the names."""
        shelf = self.open()
        shelf.put([SONG, TEXT])
        shelf.close()
        self.assertEqual(self.open().load(), {SONG.name: SONG, TEXT.name: TEXT})

    def test_replaced_and_dropped(self) -> None:
        """A name has one entry; a dropped one has none."""
        shelf = self.open()
        shelf.put([SONG, TEXT])
        newer = evolve(SONG, shared_at=3000.0)
        shelf.put([newer])
        shelf.drop([TEXT.name, "unknown"])
        self.assertEqual(shelf.load(), {SONG.name: newer})

    def test_downloads(self) -> None:
        """Downloads add up."""
        shelf = self.open()
        shelf.put([TEXT])
        shelf.count_downloads([(TEXT.name, 2), ("unknown", 1)])
        self.assertEqual(shelf.load()[TEXT.name].downloads, 9)

    def test_damaged(self) -> None:
        """Nonsense instead of a database, or a cut one, costs the knowledge and nothing else."""
        for damage in (b"nonsense" * 1000, b""):
            self.open().put([SONG])
            self.path.write_bytes(damage)
            self.path.with_name("shelf-wal").unlink(missing_ok=True)
            shelf = self.open()
            shelf.put([TEXT])
            self.assertIn(TEXT.name, shelf.load())

    def test_other_version(self) -> None:
        """A file of another version is not guessed at."""
        self.open().put([SONG])
        with sqlite3.connect(self.path) as database:
            database.execute("PRAGMA user_version=99")
        self.assertEqual(self.open().load(), {})

    def test_no_room(self) -> None:
        """A place that cannot be used is one clear error."""
        self.path.parent.parent.mkdir(parents=True)
        self.path.parent.write_bytes(b"a file")
        error = self.assertRaises(StorageError, Shelf, self.path)
        self.assertIn(str(self.path), str(error))


class SharedFileTests(SynchronousTestCase):
    """What follows from a name."""

    def test_ids(self) -> None:
        """An id is the same at every start, and another one for another name or owner."""
        self.assertEqual(file_id("a.txt", "anna"), file_id("a.txt", "anna"))
        ids = {file_id("a.txt", "anna"), file_id("b.txt", "anna"), file_id("a.txt", "berta")}
        self.assertEqual(len(ids), 3)
        for each in ids:
            self.assertRegex(each, "^file_[0-9a-f]{11}$")

    def test_labels(self) -> None:
        """Its name says what kind it is."""
        self.assertEqual((SONG.category, SONG.size), ("audio", 5))
        self.assertEqual(evolve(TEXT, name="music/song.txt").tags, ("music",))
        self.assertEqual(evolve(TEXT, name="music/song.txt").filename, "song.txt")
