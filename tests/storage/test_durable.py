"""Tests for stores that keep resume data: what survives, what is looked at again, what is refused."""

from __future__ import annotations

import os
import shutil
from typing import Any

from p2pshare.errors import StorageError
from p2pshare.metainfo import Metainfo
from p2pshare.storage import resume, startup, trust
from p2pshare.storage.checking import ContentCheck
from p2pshare.storage.signatures import Signature
from p2pshare.storage.store import PieceStore
from tests.contracts.piece_store import CONTENT, PIECE, PieceStoreContract
from tests.storage.durable import DurableTestCase
from tests.storage.fakes import put_piece, some_bytes, torrent, tree

THING = torrent(CONTENT, PIECE)


class DurableContractTests(PieceStoreContract, DurableTestCase):
    """The contract of every store, with resume data."""

    def make_store(self, metainfo: Metainfo, content: bytes | None) -> PieceStore:
        if content is not None:
            self.write(metainfo.name if len(content) == metainfo.total_length else metainfo.name + ".part", content)
        return self.unchecked(metainfo)


class StrictContractTests(DurableContractTests):
    """The same when a piece counts only once a power cut cannot take it."""

    def unchecked(self, metainfo: Metainfo, **settings: Any) -> PieceStore:
        return super().unchecked(metainfo, strict=True, **settings)


class ResumeTests(DurableTestCase):
    """What the next process finds out without hashing."""

    def setUp(self) -> None:
        super().setUp()
        self.hashed: list[int] = []

    def store(self, metainfo: Metainfo = THING, *, writable: bool = True, **settings: object) -> PieceStore:
        store = self.unchecked(metainfo, **settings)
        looked: list[int] = []
        real = ContentCheck._hash

        def spy(check: ContentCheck, pieces: list[int]) -> list[tuple[int, bool]]:
            looked.extend(pieces)
            return real(check, pieces)

        self.patch(ContentCheck, "_hash", spy)
        self.successResultOf(store.check(writable=writable))
        self.patch(ContentCheck, "_hash", real)
        self.hashed = sorted(looked)
        return store

    def fetched(self, *pieces: int) -> PieceStore:
        """Make a store that has fetched some pieces."""
        store = self.store()
        self.fetch(store, CONTENT, *pieces)
        return store

    def test_f101_old_records_never_meet_a_new_file(self) -> None:
        """
        A content that was had is deleted, and the next process dies right after it made the new ``.part``: even if
        that looks like the old file to the last detail, nothing of it is believed.
        """
        first = self.fetched(*range(THING.num_pieces))
        self.crash(first)
        signature = first._files.signatures[0]
        (self.folder / "thing").unlink()

        def killed(*args: object) -> None:
            raise StorageError("killed")

        self.patch(startup, "ContentCheck", killed)
        second = self.unchecked(THING)
        self.failureResultOf(second.check(), StorageError)
        self.crash(second)
        self.patch(startup, "ContentCheck", ContentCheck)
        self.patch(Signature, "of", classmethod(lambda cls, status: signature))
        self.assertEqual(list(self.store().have), [])

    def test_closed_in_order(self) -> None:
        """After an orderly end nothing is hashed, and everything is had."""
        self.close(self.fetched(1, 3))
        store = self.store()
        self.assertEqual((list(store.have), self.hashed), ([1, 3], []))
        self.fetch(store, CONTENT)
        self.assertEqual(tree(self.folder), {"thing": CONTENT})
        self.close(store)
        self.assertTrue(self.store().is_complete)
        self.assertEqual(self.hashed, [])

    def test_f101_killed(self) -> None:
        """After a kill every piece that was had is had again; only those since the last commit are hashed."""
        store = self.fetched(1)
        self.clock.advance(1)
        self.fetch(store, CONTENT, 3)
        self.crash(store)
        store = self.store()
        self.assertEqual((list(store.have), self.hashed), ([1, 3], [3]))
        self.clock.advance(1)
        self.crash(store)
        self.assertEqual((list(self.store().have), self.hashed), ([1, 3], []))

    def test_f101_killed_twice_in_a_row(self) -> None:
        """What was found after one kill is still known after the next, committed or not."""
        self.crash(self.fetched(0, 2))
        self.crash(self.store())
        self.assertEqual((list(self.store().have), self.hashed), ([0, 2], [0, 2]))

    def test_f96_file_edited_while_stopped(self) -> None:
        """A file that was edited is hashed again, all of it, and only what is wrong is lost."""
        self.close(self.fetched(0, 1, 3))
        with (self.folder / "thing.part").open("r+b") as part:
            part.seek(PIECE)
            part.write(b"other")
        store = self.store()
        self.assertEqual((list(store.have), self.hashed), ([0, 3], [0, 1, 3]))

    def test_f96_other_files_stay_certain(self) -> None:
        """Only pieces with bytes in the edited file are looked at."""
        files = {"a": some_bytes(2 * PIECE + 10, 1), "b": some_bytes(2 * PIECE, 2)}
        content = b"".join(files.values())
        store = self.store(torrent(files, PIECE))
        self.fetch(store, content)
        self.close(store)
        os.utime(self.folder / "thing/b", (1, 1))
        self.assertTrue(self.store(torrent(files, PIECE)).is_complete)
        self.assertEqual(self.hashed, [2, 3, 4])

    def test_f96_file_truncated_while_stopped(self) -> None:
        """A file that was cut keeps what is left of it."""
        self.close(self.fetched(0, 3))
        os.truncate(self.folder / "thing.part", PIECE)
        self.assertEqual(list(self.store().have), [0])

    def test_f96_file_deleted_while_stopped(self) -> None:
        """A file that is gone is downloaded again."""
        self.close(self.fetched(0, 1, 2, 3))
        os.unlink(self.folder / "thing")
        store = self.store()
        self.assertEqual((list(store.have), self.hashed), ([], []))
        self.fetch(store, CONTENT)
        self.assertEqual(tree(self.folder), {"thing": CONTENT})

    def test_f96_file_edited_while_served(self) -> None:
        """A piece of an edited file is hashed before it is given again: the right ones are, the wrong one never."""
        store = self.fetched(0, 1, 2, 3)
        with (self.folder / "thing").open("r+b") as thing:
            thing.write(b"other")
        os.utime(self.folder / "thing", ns=(1, 1))
        self.assertIsNone(store.read_now(0, 0, 5))
        self.failureResultOf(store.read(0, 0, 5), StorageError)
        self.assertEqual(list(store.have), [1, 2, 3])
        self.assertIsNone(store.read_now(1, 0, 5))
        self.assertEqual(self.successResultOf(store.read(1, 0, 5)), CONTENT[PIECE : PIECE + 5])
        self.assertIn(store.read_now(1, 0, 5), (CONTENT[PIECE : PIECE + 5], None))

    def test_f97_bytes_changed_after_a_kill(self) -> None:
        """Where only our own last writes can explain a file's time, a piece is hashed before it is first given."""
        store = self.fetched(0, 1)
        self.clock.advance(1)
        self.crash(store)
        with (self.folder / "thing.part").open("r+b") as part:
            part.write(b"other")
        store = self.store()
        self.assertEqual((list(store.have), self.hashed), ([0, 1], []))
        self.assertIsNone(store.read_now(0, 0, 5))
        self.failureResultOf(store.read(0, 0, 5), StorageError)
        self.assertEqual(self.successResultOf(store.read(1, 0, 5)), CONTENT[PIECE : PIECE + 5])
        self.assertEqual(list(store.have), [1])
        self.crash(store)
        self.assertEqual(list(self.store().have), [1])

    def test_f98_disk_is_not_mounted(self) -> None:
        """Where a disk with pieces was mounted and is not, nothing is begun; on a disk that is there it may be."""
        self.patch(resume, "mount_of", lambda folder: str(self.folder))
        self.close(self.fetched(0, 1))
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        store = self.unchecked(THING)
        said = str(self.failureResultOf(store.check(), StorageError).value)
        self.assertIn(f"held 2 verified pieces on a disk mounted at {self.folder}", said)
        self.assertEqual(tree(self.folder), {})
        self.close(store)
        self.patch(trust, "is_mounted", lambda mount: True)
        self.assertEqual(list(self.store().have), [])

    def test_f98_folder_deleted_on_purpose(self) -> None:
        """A folder that is simply gone from a disk that is there is filled again."""
        self.close(self.fetched(0, 1, 2, 3))
        shutil.rmtree(self.folder)
        store = self.store()
        self.fetch(store, CONTENT)
        self.assertEqual(tree(self.folder), {"thing": CONTENT})

    def test_f105_second_store_on_the_same_folder(self) -> None:
        """A second download into the same folder is refused and names the process; one elsewhere, or a seed, is not."""
        store = self.fetched(0)
        second = self.unchecked(THING)
        said = str(self.failureResultOf(second.check(), StorageError).value)
        self.assertIn(f"process {os.getpid()} works on this torrent in the same folder", said)
        self.close(second)
        self.assertEqual(list(self.store(writable=False).have), [0])
        self.close(store)
        self.assertEqual(list(self.store().have), [0])

    def test_f105_seed_does_not_stop_a_download(self) -> None:
        """Where a process shares a content, others are welcome: the same torrent, and another one of other names."""
        self.close(self.fetched(0, 1, 2, 3))
        seed = self.store(writable=False)
        again = self.store()
        self.assertTrue(again.is_complete)
        other = some_bytes(3 * PIECE, 9)
        download = self.store(torrent(other, PIECE, name="other"))
        self.fetch(download, other)
        for store in (seed, again, download):
            self.close(store)
        self.assertEqual(tree(self.folder), {"thing": CONTENT, "other": other})

    def test_f105_two_torrents_of_one_name(self) -> None:
        """Two torrents that would be written to the same place are told apart in one line; in turns they may."""
        other = torrent(some_bytes(3 * PIECE, 9), PIECE)
        first = self.fetched(0)
        second = self.unchecked(other)
        said = str(self.failureResultOf(second.check(), StorageError).value)
        self.assertEqual(
            said,
            f"thing: process {os.getpid()} downloads another torrent to {self.folder}/thing; "
            "wait for it or choose another folder",
        )
        self.close(second)
        self.fetch(first, CONTENT)
        self.close(first)
        said = str(self.failureResultOf(self.unchecked(other).check(), StorageError).value)
        self.assertIn("exists and has", said)
        self.assertIn("move it away or choose another folder", said)
        self.assertEqual(tree(self.folder), {"thing": CONTENT})

    def test_f104_recheck_broken_off(self) -> None:
        """A check of everything that was asked for and broken off is made up for by the next start."""
        store = self.fetched(0, 1)
        self.clock.advance(1)
        before = (self.folder / "thing.part").stat()
        with (self.folder / "thing.part").open("r+b") as part:
            part.write(b"other")
        os.utime(self.folder / "thing.part", ns=(before.st_atime_ns, before.st_mtime_ns))

        def broken_off(*args: object) -> None:
            raise StorageError("closed before it was checked to the end")

        self.patch(startup, "ContentCheck", broken_off)
        self.failureResultOf(store.check(), StorageError)
        self.close(store)
        self.patch(startup, "ContentCheck", ContentCheck)
        store = self.store()
        self.assertEqual((list(store.have), self.hashed), ([1], [0, 1]))

    def test_state_folder_that_cannot_be_used(self) -> None:
        """Without a usable state folder a download works as one without resume data, and says so."""
        self.state.write_bytes(b"a file")
        self.fetch(self.store(), CONTENT)
        self.assertEqual(tree(self.folder), {"thing": CONTENT})
        self.assertTrue(self.store().is_complete)
        self.assertEqual(self.hashed, [0, 1, 2, 3])

    def test_check_again_hashes_everything(self) -> None:
        """A second check of one store trusts nothing."""
        store = self.fetched(0, 1)
        with (self.folder / "thing.part").open("r+b") as part:
            part.write(b"other")
        self.successResultOf(store.check())
        self.assertEqual(list(store.have), [1])
        put_piece(store, CONTENT, 0)
        self.assertTrue(self.successResultOf(store.seal(0)).ok)

    def test_counters_survive(self) -> None:
        """Numbers that the session counts are there again."""
        store = self.fetched(0)
        store.counters["uploaded"] = 12345
        self.close(store)
        self.assertEqual(self.store().counters, {"uploaded": 12345})
