"""Tests for clearing away the resume data of contents that nobody has asked for in a long time."""

from __future__ import annotations

import os
from pathlib import Path

from p2pshare.storage import old_state
from p2pshare.storage.disk import OSDisk
from p2pshare.storage.old_state import OLD, sweep_state
from p2pshare.storage.state_files import InUse, StateFiles
from tests.contracts.piece_store import CONTENT, PIECE
from tests.storage.durable import DurableTestCase
from tests.storage.fakes import torrent

THING = torrent(CONTENT, PIECE)


class SweepTests(DurableTestCase):
    """What goes, and what has to stay."""

    def had(self, *pieces: int) -> None:
        """Leave behind a download that has some pieces."""
        store = self.store(THING)
        self.fetch(store, CONTENT, *pieces)
        self.close(store)

    def age(self, by: float = OLD + 60) -> None:
        """Let time pass for all state files."""
        for path in self.state.iterdir():
            then = path.stat().st_mtime_ns - int(by * 10**9)
            os.utime(path, ns=(then, then))

    def test_complete_and_old(self) -> None:
        """What is complete and was not used for long goes, to the last file; its next start only has to hash."""
        self.had(0, 1, 2, 3)
        self.age()
        self.assertEqual(sweep_state(self.state), 1)
        self.assertEqual(list(self.state.iterdir()), [])
        self.assertTrue(self.store(THING).is_complete)

    def test_not_old(self) -> None:
        """What was used not long ago stays, whatever became of it."""
        self.had(0, 1, 2, 3)
        self.age(OLD - 60)
        before = sorted(self.state.iterdir())
        self.assertEqual(sweep_state(self.state), 0)
        self.assertEqual(sorted(self.state.iterdir()), before)

    def test_unfinished(self) -> None:
        """An unfinished content keeps what is known of it as long as it is there; once it is gone that goes, too."""
        self.had(0, 1)
        self.age()
        self.assertEqual(sweep_state(self.state), 0)
        self.assertEqual(list(self.store(THING, writable=False).have), [0, 1])
        (self.folder / "thing.part").unlink()
        self.age()
        self.assertEqual(sweep_state(self.state), 0)  # a store uses it
        self.assertNotEqual(list(self.state.iterdir()), [])

    def test_gone(self) -> None:
        """Of a content that was deleted nothing is remembered for ever."""
        self.had(0, 1)
        (self.folder / "thing.part").unlink()
        self.age()
        self.assertEqual(sweep_state(self.state), 1)
        self.assertEqual(list(self.state.iterdir()), [])

    def test_f98_disk_is_not_mounted(self) -> None:
        """A content on a disk that is not there just now is not gone."""
        self.had(0, 1)
        (self.folder / "thing.part").unlink()
        self.age()
        self.patch(old_state, "is_mounted", lambda mount: False)
        self.assertEqual(sweep_state(self.state), 0)

    def test_in_use(self) -> None:
        """What a process works with stays, however long it has been at it."""
        store = self.store(THING)
        self.fetch(store, CONTENT)
        self.age()
        before = {path.name for path in self.state.iterdir()}
        self.assertEqual(sweep_state(self.state), 0)
        self.assertEqual({path.name for path in self.state.iterdir()}, before)
        self.close(store)
        self.assertTrue(self.store(THING).is_complete)

    def test_damaged(self) -> None:
        """Old files that nobody could make anything of go; files of others stay."""
        self.had(0, 1)
        for path in self.state.glob("*.resume*"):
            path.write_bytes(b"nonsense")
        (self.state / "letter.resume").write_bytes(b"dear all")
        self.age()
        self.assertEqual(sweep_state(self.state), 1)
        self.assertEqual([path.name for path in self.state.iterdir()], ["letter.resume"])

    def test_no_folder(self) -> None:
        """Where nothing was ever kept there is nothing to do."""
        self.assertEqual(sweep_state(Path(self.mktemp())), 0)

    def test_lock_swept_away_at_the_wrong_moment(self) -> None:
        """Who opened a lock just before it was swept away notices, and does not hold one that nobody else can see."""
        test = self

        class Swept(OSDisk):
            def lock(self, fd: int) -> bool:
                if not test.is_swept:
                    test.is_swept = True
                    os.unlink(os.readlink(f"/proc/self/fd/{fd}"))
                return super().lock(fd)

        self.is_swept = False
        first = StateFiles.open(Swept(), self.state, THING.info_hash, self.folder)
        first.lock(None)
        second = StateFiles.open(OSDisk(), self.state, THING.info_hash, self.folder)
        self.assertRaises(InUse, second.lock, None)
        first.close()
        second.lock(None)
        second.close()
