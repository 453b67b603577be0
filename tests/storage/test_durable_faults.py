"""Tests for damaged state files, and disks that refuse while resume data is kept."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from p2pshare.errors import ConfigError, DiskFull, StorageError
from p2pshare.storage import failpoints
from p2pshare.storage.disk import OS_DISK, OSDisk
from p2pshare.storage.failpoints import FailPoint
from p2pshare.storage.resume import Durability
from p2pshare.storage.store import PieceStore
from tests.contracts.piece_store import CONTENT, PIECE
from tests.storage.durable import DurableTestCase
from tests.storage.fakes import put_piece, run_now, torrent, tree

THING = torrent(CONTENT, PIECE)


class DamageTests(DurableTestCase):
    """State files that are not as they were written: nothing is believed, nothing is lost, nothing crashes."""

    def setUp(self) -> None:
        super().setUp()
        store = self.store(THING)
        self.fetch(store, CONTENT, 0, 3)
        self.close(store)
        store = self.store(THING)
        self.fetch(store, CONTENT, 1)
        self.clock.advance(1)
        self.crash(store)

    def file(self, ending: str) -> Path:
        """Find a state file."""
        return next(path for path in self.state.iterdir() if path.name.endswith(ending))

    def assert_resumed(self) -> None:
        """Start, and insist that every piece is there, and that none was made up."""
        store = self.store(THING)
        self.assertEqual(list(store.have), [0, 1, 3])
        self.close(store)

    def damage(self, how: Callable[[bytes], bytes]) -> None:
        """Change every state file in turn, then all of them, and start each time."""
        files = {
            path: path.read_bytes() for path in sorted(self.state.iterdir()) if path.suffix not in (".lock", ".writer")
        }
        self.assertGreaterEqual(len(files), 3)
        for damaged in (*((path,) for path in files), tuple(files)):
            for path in list(self.state.iterdir()):
                path.unlink()
            for path, content in files.items():
                path.write_bytes(how(content) if path in damaged else content)
            self.assert_resumed()

    def test_f103_empty(self) -> None:
        """Files without a byte."""
        self.damage(lambda content: b"")

    def test_f103_cut(self) -> None:
        """Files of which only the first half was written."""
        self.damage(lambda content: content[: len(content) // 2])

    def test_f103_bit_flipped(self) -> None:
        """Files with one wrong bit, each in many places."""
        random = Random(0)

        def flip(content: bytes) -> bytes:
            bit = random.randrange(len(content) * 8)
            return content[: bit // 8] + bytes([content[bit // 8] ^ 1 << bit % 8]) + content[bit // 8 + 1 :]

        for _ in range(20):
            self.damage(flip)

    def test_f103_noise(self) -> None:
        """Files of something else."""
        self.damage(lambda content: Random(1).randbytes(300))

    def test_f103_of_another_torrent(self) -> None:
        """Files that another torrent's state was copied over."""
        self.damage(lambda content: content.replace(THING.info_hash, b"o" * 20))

    def test_f103_older_version(self) -> None:
        """Files of a version that we do not know."""
        self.damage(lambda content: content[:8] + b"\0\0" + content[10:])

    def test_f103_gone(self) -> None:
        """One file after the other taken away."""
        for ending in (".journal", ".lock", ".resume", ".resume.bak", ".writer"):
            self.file(ending).unlink()
            self.assert_resumed()

    def test_f103_time_in_the_future(self) -> None:
        """A clock that jumped by years, either way, costs hashing and nothing else."""
        for years in (10, -10):
            os.utime(self.folder / "thing.part", ns=(0, OS_DISK.now() + years * 365 * 86400 * 10**9))
            self.assert_resumed()


class Refusing(OSDisk):
    """The real disk, until told to refuse calls on the state folder's or the content's files."""

    refusals: dict[str, int] = {}

    def pwrite(self, fd: int, data: Any, offset: int) -> int:
        self._look("pwrite", fd)
        return super().pwrite(fd, data, offset)

    def fdatasync(self, fd: int) -> None:
        self._look("fdatasync", fd)
        super().fdatasync(fd)

    def room(self, fd: int) -> int:
        return self.refusals.get("room", 1 << 40)

    def _look(self, call: str, fd: int) -> None:
        path = os.readlink(f"/proc/self/fd/{fd}")
        for what, number in self.refusals.items():
            name, _, ending = what.partition(" ")
            if name == call and path.endswith(ending):
                raise OSError(number, os.strerror(number))


class RefusalTests(DurableTestCase):
    """Disks that refuse."""

    def setUp(self) -> None:
        super().setUp()
        self.disk = Refusing()
        self.refusals: dict[str, int] = {}
        self.patch(Refusing, "refusals", self.refusals)
        self.troubles: list[StorageError] = []
        self.lost: list[int] = []

    def store(self, *_: Any, **settings: Any) -> PieceStore:
        durability = Durability(self.state, self.clock, run_now, **{"floor": 0, **settings})
        store = PieceStore(THING, self.folder, run_now, durability=durability, disk=self.disk)
        store.on_trouble, store.on_lost = self.troubles.append, self.lost.append
        self.successResultOf(store.check())
        return store

    def seal(self, store: PieceStore, piece: int) -> Any:
        """Put and seal a piece."""
        put_piece(store, CONTENT, piece)
        return store.seal(piece)

    def test_f91_journal_cannot_grow(self) -> None:
        """Without room for its record a piece is not had, DiskFull names the state folder; later it works again."""
        store = self.store()
        self.fetch(store, CONTENT, 0)
        self.refusals["pwrite journal"] = errno.ENOSPC
        error = self.failureResultOf(self.seal(store, 1), DiskFull).value
        self.assertIn(str(self.state), str(error))
        self.assertEqual(list(store.have), [0])
        self.refusals.clear()
        store.retry()
        self.fetch(store, CONTENT)
        self.assertEqual(tree(self.folder), {"thing": CONTENT})

    def test_f91_snapshot_cannot_be_written(self) -> None:
        """Without room for a new snapshot the old one stays, and the next start knows everything."""
        store = self.store(save_every=0.0)
        self.refusals["pwrite tmp"] = errno.ENOSPC
        self.fetch(store, CONTENT, 0, 1)
        self.clock.advance(1)
        self.assertIsInstance(store.failed, DiskFull)
        self.assertEqual(self.troubles, [store.failed])
        self.assertEqual(list(store.have), [0, 1])
        self.crash(store)
        self.refusals.clear()
        self.assertEqual(list(self.store().have), [0, 1])

    def test_f91_room_is_kept_for_the_state(self) -> None:
        """Content that would take the last room on the disk of its state is not fetched."""
        store = self.store(floor=1000)
        self.refusals["room"] = 999
        self.fetch(store, CONTENT, 0)
        self.clock.advance(1)
        self.failureResultOf(self.seal(store, 1), DiskFull)
        self.assertEqual(list(store.have), [0])
        self.refusals["room"] = 1000
        store.retry()
        self.fetch(store, CONTENT)
        self.assertTrue(store.is_complete)

    def test_f92_disk_does_not_keep_what_it_was_given(self) -> None:
        """After a failed sync pieces are had only if they are right when read again; the others are told."""
        store = self.store()
        self.fetch(store, CONTENT, 0)
        self.clock.advance(1)
        self.fetch(store, CONTENT, 1, 2)
        with (self.folder / "thing.part").open("r+b") as part:
            part.seek(2 * PIECE)
            part.write(b"as it was before")
        self.refusals["fdatasync part"] = errno.EIO
        self.clock.advance(1)
        self.assertIn("input/output error", str(store.failed))
        self.assertEqual((list(store.have), self.lost, len(self.troubles)), ([0, 1], [2], 1))
        self.failureResultOf(self.seal(store, 2), StorageError)
        self.refusals.clear()
        store.retry()
        self.fetch(store, CONTENT)
        self.assertEqual(tree(self.folder), {"thing": CONTENT})

    def test_f92_strict_seal_hears_of_it(self) -> None:
        """In strict mode a piece that could not be made safe is not had."""
        store = self.store(strict=True)
        self.refusals["fdatasync part"] = errno.EIO
        self.failureResultOf(self.seal(store, 0), StorageError)
        self.assertEqual(list(store.have), [])
        self.refusals.clear()
        store.retry()
        self.fetch(store, CONTENT, 0)
        self.crash(store)
        self.assertEqual(list(self.store().have), [0])

    def test_f92_journal_that_failed_is_used_no_more(self) -> None:
        """After a failed sync of the journal the next commit begins a new one."""
        store = self.store()
        before = sorted(path.name for path in self.state.iterdir() if path.suffix == ".journal")
        self.refusals["fdatasync journal"] = errno.EIO
        self.fetch(store, CONTENT, 0)
        self.clock.advance(1)
        self.assertEqual(list(store.have), [0])
        self.refusals.clear()
        store.retry()
        self.clock.advance(1)
        after = sorted(path.name for path in self.state.iterdir() if path.suffix == ".journal")
        self.assertNotEqual(before, after)
        self.crash(store)
        self.assertEqual(list(self.store().have), [0])


class FailPointTests(DurableTestCase):
    """Places at which a test ends the process."""

    def test_all_places_are_passed(self) -> None:
        """A download passes every named place, in the order of writing."""
        passed: list[str] = []

        class Recording(FailPoint):
            def reached(self, name: str) -> None:
                passed.append(name)

        store = self.store(THING, failpoint=Recording("", 0))
        passed.clear()
        self.fetch(store, CONTENT)
        self.assertEqual(set(passed), set(failpoints.NAMES))
        order = [passed.index(name) for name in failpoints.NAMES]
        self.assertEqual(order, sorted(order))

    def test_environment(self) -> None:
        """A place is named with a number or without; none is the rule, and a wrong one is refused."""
        self.assertIsNone(failpoints.from_environment({}))
        for text in ("after_pwrite", "after_pwrite:17"):
            self.assertIsNotNone(failpoints.from_environment({failpoints.VARIABLE: text}))
        for text in ("nowhere", "after_pwrite:x", "after_pwrite:-1"):
            with self.assertRaises(ConfigError):
                failpoints.from_environment({failpoints.VARIABLE: text})
