"""Row S2-13 as a story: a real folder, what the library sees of it, and what the index has of it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.sharing.library import FileAdded, FileRemoved, Library
from p2pshare.sharing.listing import Listing, Presence
from p2pshare.sharing.registrar import Registrar
from p2pshare.sharing.shelf import Shelf
from p2pshare.sharing.told import Told
from tests.sharing.indexes import FakeIndex

NOW = 2_000_000_000.0
ROUND = 30.0  # s


class StoryTests(SynchronousTestCase):
    """A folder and an index."""

    def setUp(self) -> None:
        self.top = Path(self.mktemp())
        self.folder = self.top / "shared_files"
        self.folder.mkdir(parents=True)
        self.clock = Clock()
        self.index = FakeIndex(self.clock.seconds)
        self.events: list[Any] = []

    def start(self) -> None:
        """Begin to share, as the node does: what sockets hear is what the library tells."""
        shelf = Shelf(self.top / "shelf")
        self.library = Library(self.folder, shelf, maybeDeferred, maybeDeferred, self.clock, self.now, 1, ROUND)
        told = Told(self.top / "told", "http://index.test", maybeDeferred)
        listing = Listing(self.index, Presence("peer_00000000001", 9001))
        self.registrar = Registrar(listing, self.library, self.clock, told)
        self.library.subscribe(self.events.append)
        self.library.startService()
        self.registrar.startService()
        self.addCleanup(self.stop)
        self.pass_time(2)

    def stop(self) -> None:
        """End in order."""
        if self.library.running:
            self.successResultOf(self.registrar.stopService())
            self.successResultOf(self.library.stopService())

    def now(self) -> float:
        """The time of files."""
        return NOW + self.clock.seconds()

    def drop(self, name: str, content: bytes) -> Path:
        """Put a file into the folder; it is whole at once."""
        path = self.folder / name
        path.write_bytes(content)
        os.utime(path, (self.now(), self.now()))
        return path

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.pump([0.5] * round(2 * seconds))

    def test_s2_13_dropped_and_deleted(self) -> None:
        """A dropped file is in the index within 30 s with all that is said of it; deleted, it is gone from there."""
        self.start()
        self.pass_time(40)
        self.assertEqual(self.index.names(), [])
        path = self.drop("My Song.MP3", b"la la la")
        self.pass_time(ROUND)
        (file,) = self.index.files.values()
        said = {key: file[key] for key in ("filename", "size", "hash", "category", "tags", "owner", "peer_address")}
        self.assertEqual(
            said,
            {
                "filename": "My Song.MP3",
                "size": 8,
                "hash": hashlib.sha256(b"la la la").hexdigest(),
                "category": "audio",
                "tags": ["music"],
                "owner": "peer_00000000001",
                "peer_address": "10.0.0.7:9001",
            },
        )
        path.unlink()
        self.pass_time(ROUND)
        self.assertEqual(self.index.names(), [])
        self.assertEqual([type(event) for event in self.events], [FileAdded, FileRemoved])
        self.assertEqual({event.file.name for event in self.events}, {"My Song.MP3"})

    def test_s2_13_unchanged(self) -> None:
        """Rounds in which nothing changes cause no event, and the index hears heartbeats only."""
        self.drop("a.txt", b"a")
        os.utime(self.folder / "a.txt", (NOW - 60, NOW - 60))
        self.start()
        self.pass_time(ROUND)
        self.events.clear()
        self.index.asked.clear()
        self.pass_time(10 * ROUND)
        self.assertEqual(self.events, [])
        self.assertEqual({path for _, path, _ in self.index.asked}, {"/api/v1/peers/heartbeat"})

    def test_s2_13_changed(self) -> None:
        """A file with new content is another entry, and the old one is gone."""
        self.start()
        self.drop("a.txt", b"one")
        self.pass_time(ROUND)
        self.drop("a.txt", b"another")
        self.pass_time(ROUND + 2)
        self.assertEqual(
            [(file["filename"], file["hash"]) for file in self.index.files.values()],
            [("a.txt", hashlib.sha256(b"another").hexdigest())],
        )

    def test_s2_13_restart(self) -> None:
        """After a restart the ids are the same, nothing is read twice, and what was deleted meanwhile is taken back."""
        self.start()
        self.drop("a.txt", b"a")
        gone = self.drop("gone.txt", b"gone")
        self.pass_time(ROUND)
        ids = {file["filename"]: file_id for file_id, file in self.index.files.items()}
        self.stop()
        gone.unlink()
        self.pass_time(300)
        self.start()
        self.pass_time(ROUND)
        self.assertEqual(
            {file["filename"]: file_id for file_id, file in self.index.files.items()}, {"a.txt": ids["a.txt"]}
        )
        self.assertEqual(self.library.bytes_read, 0)
