"""Tests for a disk that refuses, and one that loses what it had."""

from __future__ import annotations

import errno
import os
from typing import Any

from p2pshare.errors import DiskFull, StorageError
from p2pshare.geometry import BLOCK_SIZE
from tests.contracts.piece_store import CONTENT, PIECE
from tests.storage.disk import DiskTestCase
from tests.storage.fakes import put_piece, torrent, tree


class TroubleTests(DiskTestCase):
    """A disk that refuses, and one that loses what it had."""

    def refuse(self, number: int) -> None:
        """Let every write fail from now on."""

        def refused(fd: int, view: memoryview, offset: int) -> int:
            raise OSError(number, os.strerror(number))

        self.patch(os, "pwrite", refused)

    def test_f90_disk_full(self) -> None:
        """No space: DiskFull naming the file, nothing had, later pieces refused, verified ones served; then retry."""
        pwrite = os.pwrite
        store = self.store(torrent(CONTENT, PIECE))
        self.fetch(store, CONTENT, 0)
        for number in (errno.ENOSPC, errno.EDQUOT):
            self.refuse(number)
            put_piece(store, CONTENT, 1)
            error = self.failureResultOf(store.seal(1), DiskFull).value
            self.assertIn(f"{self.folder}/thing.part: ", str(error))
            self.assertIs(store.failed, error)
            store.retry()
        self.refuse(errno.ENOSPC)
        put_piece(store, CONTENT, 1)
        self.failureResultOf(store.seal(1), DiskFull)
        self.patch(os, "pwrite", pwrite)
        put_piece(store, CONTENT, 2)
        self.failureResultOf(store.seal(2), DiskFull)
        self.assertEqual(list(store.have), [0])
        self.assertEqual(store.buffered, 0)
        self.assertEqual(self.successResultOf(store.read(0, 0, 10)), CONTENT[:10])
        store.retry()
        self.fetch(store, CONTENT)
        self.assertEqual(tree(self.folder), {"thing": CONTENT})

    def test_f90_wrong_piece_is_still_told_apart(self) -> None:
        """A full disk does not blame peers, and a wrong piece is not blamed on the disk."""
        store = self.store(torrent(CONTENT, PIECE))
        self.refuse(errno.ENOSPC)
        put_piece(store, CONTENT, 0)
        store.put(0, 0, bytes(BLOCK_SIZE))
        self.assertFalse(self.successResultOf(store.seal(0)).ok)
        self.assertIsNone(store.failed)

    def test_f95_disk_becomes_read_only(self) -> None:
        """Other refusals name the file and what to do."""
        for number, words in ((errno.EROFS, "read-only"), (errno.EACCES, "permission"), (errno.EIO, "input/output")):
            store = self.store(torrent(CONTENT, PIECE))
            self.refuse(number)
            put_piece(store, CONTENT, 1)
            error = self.failureResultOf(store.seal(1), StorageError).value
            self.assertNotIsInstance(error, DiskFull)
            self.assertIn(f"{self.folder}/thing.part: ", str(error))
            self.assertIn(words, str(error))

    def test_f98_part_vanishes(self) -> None:
        """A part file that was there is not silently made anew in what may be an empty mount point."""
        store = self.store(torrent(CONTENT, PIECE))
        self.fetch(store, CONTENT, 0)
        self.successResultOf(store.close())
        store = self.store(torrent(CONTENT, PIECE))
        store._files.close()
        os.unlink(self.folder / "thing.part")
        put_piece(store, CONTENT, 1)
        self.assertIn("thing.part: is gone", str(self.failureResultOf(store.seal(1), StorageError).value))
        self.assertEqual(os.listdir(self.folder), [])

    def test_f93_short_read_while_serving(self) -> None:
        """A piece whose bytes are gone is not served, leaves the bitfield, and the store is complete no more."""
        self.write("thing", CONTENT)
        store = self.store(torrent(CONTENT, PIECE))
        os.truncate(self.folder / "thing", 2 * PIECE + 10)
        self.assertIsNone(store.read_now(2, 0, 20))
        failure = self.failureResultOf(store.read(2, 0, 20), StorageError)
        self.assertIn(f"thing: ends before byte {2 * PIECE + 20}", str(failure.value))
        self.assertEqual(list(store.have), [0, 1, 3])
        self.assertFalse(store.is_complete)
        self.assertIsNone(store.failed)
        self.assertEqual(self.successResultOf(store.read(1, 0, 10)), CONTENT[PIECE : PIECE + 10])

    def test_f93_input_output_error_while_serving(self) -> None:
        """A read error costs the piece, not the torrent."""
        self.write("thing", CONTENT)
        store = self.store(torrent(CONTENT, PIECE))

        def broken(fd: int, views: Any, offset: int, flags: int = 0) -> int:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        self.patch(os, "preadv", broken)
        failure = self.failureResultOf(store.read(0, 0, 20), StorageError)
        self.assertIn("thing: the disk reports an input/output error", str(failure.value))
        self.assertEqual(list(store.have), [1, 2, 3])

    def test_f93_file_deleted_while_serving(self) -> None:
        """A file that cannot be opened any more costs the pieces asked for."""
        self.write("thing", CONTENT)
        store = self.store(torrent(CONTENT, PIECE))
        os.unlink(self.folder / "thing")
        self.failureResultOf(store.read(0, 0, 20), StorageError)
        self.assertNotIn(0, store.have)

    def test_f93_lost_piece_of_a_part_is_fetched_again(self) -> None:
        """In an unfinished file a lost piece is simply missing, and the file is finished with it."""
        store = self.store(torrent(CONTENT, PIECE))
        self.fetch(store, CONTENT, 0, 1)
        os.truncate(self.folder / "thing.part", PIECE)
        self.failureResultOf(store.read(1, 0, 20), StorageError)
        self.fetch(store, CONTENT)
        self.assertEqual(tree(self.folder), {"thing": CONTENT})

    def test_passing_trouble_costs_no_piece(self) -> None:
        """Too many open files is an error of the moment: the piece stays verified."""
        self.write("thing", CONTENT)
        store = self.store(torrent(CONTENT, PIECE))
        real = os.open

        def exhausted(*args: Any, **more: Any) -> int:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        self.patch(os, "open", exhausted)
        self.failureResultOf(store.read(0, 0, 20), StorageError)
        self.patch(os, "open", real)
        self.assertEqual(self.successResultOf(store.read(0, 0, 20)), CONTENT[:20])

    def test_cold_pages_are_left_to_a_thread(self) -> None:
        """Where the page cache cannot answer at once, or the filesystem cannot say, read_now gives None."""
        self.write("thing", CONTENT)
        store = self.store(torrent(CONTENT, PIECE))
        self.successResultOf(store.read(0, 0, 10))
        real, asked = os.preadv, []

        def cold(fd: int, buffers: Any, offset: int, flags: int = 0) -> int:
            if not flags:
                return real(fd, buffers, offset)
            asked.append(offset)
            raise OSError(*trouble)

        self.patch(os, "preadv", cold)
        trouble = (errno.EAGAIN, "Resource temporarily unavailable")
        self.assertIsNone(store.read_now(0, 0, 10))
        trouble = (errno.EOPNOTSUPP, "Operation not supported")
        self.assertIsNone(store.read_now(0, 1, 10))
        self.assertIsNone(store.read_now(0, 2, 10))
        self.assertEqual(asked, [0, 1])  # and is not asked again once it said that it cannot
        self.assertEqual(self.successResultOf(store.read(0, 0, 10)), CONTENT[:10])
