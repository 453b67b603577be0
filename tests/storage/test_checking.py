"""Tests for what is found in the folder when a torrent starts, and what is refused there."""

from __future__ import annotations

import errno
import os
from typing import Any

from p2pshare.errors import StorageError
from p2pshare.metainfo import Metainfo
from p2pshare.storage import checking, hashing
from p2pshare.storage.store import PieceStore
from tests.contracts.piece_store import CONTENT, PIECE
from tests.storage.disk import DiskTestCase
from tests.storage.fakes import put_piece, run_now, some_bytes, torrent, tree


class CheckTests(DiskTestCase):
    """What is found in the folder, and what is refused."""

    def refusal(self, metainfo: Metainfo, *, writable: bool = True) -> str:
        """Check, and return what the refusal says."""
        store = PieceStore(metainfo, self.folder, run_now)
        return str(self.failureResultOf(store.check(writable=writable), StorageError).value)

    def test_f99_other_file_under_the_final_name(self) -> None:
        """A file of the right length with other bytes is named, with how much differs, and stays as it is."""
        other = bytearray(CONTENT)
        other[PIECE] ^= 1
        self.write("thing", other)
        said = self.refusal(torrent(CONTENT, PIECE))
        self.assertIn(f"{self.folder}/thing: exists and differs from the torrent (1 of 4 pieces wrong)", said)
        self.assertEqual(tree(self.folder), {"thing": other})

    def test_f99_other_length_under_the_final_name(self) -> None:
        """A file of another length is refused before anything is hashed or made."""
        self.write("thing", CONTENT[:-1])
        said = self.refusal(torrent(CONTENT, PIECE))
        self.assertIn(f"thing: exists and has {len(CONTENT) - 1} bytes, in the torrent {len(CONTENT)}", said)
        self.assertEqual(os.listdir(self.folder), ["thing"])

    def test_f99_folder_under_the_final_name(self) -> None:
        """A folder where the file goes is refused."""
        (self.folder / "thing").mkdir()
        self.assertIn("thing: exists and is not a file", self.refusal(torrent(CONTENT, PIECE)))

    def test_f99_final_name_taken_during_the_download(self) -> None:
        """
        A file that appears under the final name is not overwritten: the torrent stops, and keeps its part.

        Once the name is free again, sealing the last piece again finishes the file.
        """
        store = self.store(torrent(CONTENT, PIECE))
        self.fetch(store, CONTENT, 0, 1, 2)
        mine = self.write("thing", b"mine")
        put_piece(store, CONTENT, 3)
        failure = self.failureResultOf(store.seal(3), StorageError)
        self.assertIn("thing: exists already and is never overwritten", str(failure.value))
        self.assertIs(store.failed, failure.value)
        self.assertFalse(store.is_complete)
        self.assertEqual(tree(self.folder), {"thing": b"mine", "thing.part": CONTENT})
        mine.unlink()
        store.retry()
        self.fetch(store, CONTENT)
        self.assertTrue(store.is_complete)
        self.assertEqual(tree(self.folder), {"thing": CONTENT})

    def test_reading_only_changes_nothing(self) -> None:
        """Not writable: nothing is made, renamed or cut, and what is right is verified."""
        files = {"a": some_bytes(PIECE, 1), "b": some_bytes(PIECE, 2), "empty": b"", "c": some_bytes(PIECE, 3)}
        self.write("thing/a.part", files["a"] + b"tail")
        self.write("thing/b", b"x" * PIECE)
        before = tree(self.folder)
        store = self.store(torrent(files, PIECE), writable=False)
        self.assertEqual(list(store.have), [0])
        self.assertEqual(tree(self.folder), before)
        self.assertEqual(self.successResultOf(store.read(0, 0, PIECE)), files["a"])

    def test_reading_only_where_nothing_is(self) -> None:
        """A folder that does not exist holds no piece, and is not made."""
        self.folder.rmdir()
        self.assertEqual(list(self.store(torrent(CONTENT, PIECE), writable=False).have), [])
        self.assertFalse(self.folder.exists())

    def test_folder_is_made(self) -> None:
        """The folder that the user chose is made when something is to go there."""
        self.folder.rmdir()
        self.fetch(self.store(torrent(CONTENT, PIECE)), CONTENT)
        self.assertEqual(tree(self.folder), {"thing": CONTENT})

    def test_shared_piece_fetched_again_beside_a_final_file(self) -> None:
        """A file lost next to a whole one is fetched again; the piece they share touches only the lost one."""
        files = {"a": some_bytes(PIECE + 100, 1), "b": some_bytes(PIECE, 2)}
        content = b"".join(files.values())
        a = self.write("thing/a", files["a"])
        before = a.stat()
        store = self.store(torrent(files, PIECE))
        self.assertEqual(list(store.have), [0])
        self.fetch(store, content)
        self.assertEqual(tree(self.folder), {"thing/a": files["a"], "thing/b": files["b"]})
        self.assertEqual((a.stat().st_mtime_ns, a.stat().st_ino), (before.st_mtime_ns, before.st_ino))

    def test_shared_piece_shows_that_a_final_file_differs(self) -> None:
        """If the final file turns out to hold other bytes in a shared piece, it is named and not written to."""
        files = {"a": some_bytes(PIECE + 100, 1), "b": some_bytes(PIECE, 2)}
        other = files["a"][:-1] + b"?"
        self.write("thing/a", other)
        store = self.store(torrent(files, PIECE))
        put_piece(store, b"".join(files.values()), 1)
        failure = self.failureResultOf(store.seal(1), StorageError)
        self.assertIn("thing/a: exists and differs from the torrent", str(failure.value))
        self.assertEqual((self.folder / "thing/a").read_bytes(), other)

    def test_worst_file_is_named(self) -> None:
        """Of several files that differ, the one that differs most is named."""
        files = {"a": some_bytes(4 * PIECE, 1), "b": some_bytes(2 * PIECE, 2)}
        self.write("thing/a", bytes(PIECE) + files["a"][PIECE:])
        self.write("thing/b", bytes(2 * PIECE))
        self.assertIn(
            "thing/b: exists and differs from the torrent (2 of 2 pieces", self.refusal(torrent(files, PIECE))
        )

    def test_f96_part_edited_and_truncated_while_stopped(self) -> None:
        """Only the pieces that overlap the damage are unverified; the rest is fetched and the file comes out right."""
        part = self.write("thing.part", CONTENT)
        with part.open("r+b") as file:
            file.seek(PIECE + 7)
            file.write(b"edited")
            file.truncate(3 * PIECE + 1)
        store = self.store(torrent(CONTENT, PIECE))
        self.assertEqual(list(store.have), [0, 2])
        self.fetch(store, CONTENT)
        self.assertEqual(tree(self.folder), {"thing": CONTENT})

    def test_f96_seeded_file_truncated_while_stopped(self) -> None:
        """A seed of a file that lost its end still has the pieces before that."""
        self.write("thing", CONTENT[: 2 * PIECE + 5])
        self.assertEqual(list(self.store(torrent(CONTENT, PIECE), writable=False).have), [0, 1])

    def test_f96_file_deleted_while_stopped(self) -> None:
        """A file that is gone takes only its own pieces along."""
        files = {"a": some_bytes(PIECE, 1), "b": some_bytes(PIECE, 2)}
        self.fetch(self.store(torrent(files, PIECE)), b"".join(files.values()))
        os.unlink(self.folder / "thing/a")
        self.assertEqual(list(self.store(torrent(files, PIECE)).have), [1])

    def test_f12_link_under_the_final_name(self) -> None:
        """A link with the file's name is refused for a download, and no content for a seed."""
        secret = self.write("secret", CONTENT)
        self.folder = self.folder / "below"
        self.folder.mkdir()
        (self.folder / "thing").symlink_to(secret)
        self.assertIn("thing: a symbolic link", self.refusal(torrent(CONTENT, PIECE)))
        self.assertEqual(list(self.store(torrent(CONTENT, PIECE), writable=False).have), [])

    def test_f12_link_under_the_part_name(self) -> None:
        """A planted ``.part`` link does not make us write to where it points."""
        secret = self.write("secret", b"precious")
        (self.folder / "thing.part").symlink_to(secret)
        self.assertIn("thing.part: a symbolic link", self.refusal(torrent(CONTENT, PIECE)))
        self.assertEqual(secret.read_bytes(), b"precious")

    def test_f12_link_in_place_of_a_folder(self) -> None:
        """A link for a folder below the chosen one is not followed, neither to look nor to write."""
        outside = self.folder / "outside"
        outside.mkdir()
        (self.folder / "thing").symlink_to(outside)
        files = {"a": CONTENT}
        self.assertIn("thing: a symbolic link", self.refusal(torrent(files, PIECE)))
        self.assertEqual(list(outside.iterdir()), [])

    def test_f12_link_planted_during_the_download(self) -> None:
        """A folder swapped for a link under way stops the torrent instead of leading it elsewhere."""
        files = {"a/1": some_bytes(PIECE, 1), "b/2": some_bytes(PIECE, 2)}
        store = self.store(torrent(files, PIECE))
        outside = self.folder / "outside"
        outside.mkdir()
        (self.folder / "thing/b").symlink_to(outside)
        put_piece(store, b"".join(files.values()), 1)
        failure = self.failureResultOf(store.seal(1), StorageError)
        self.assertIn("thing/b: a symbolic link", str(failure.value))
        self.assertEqual(list(outside.iterdir()), [])

    def test_f12_link_to_the_chosen_folder_is_fine(self) -> None:
        """How the user reaches the chosen folder is the user's business."""
        link = self.folder / "link"
        (self.folder / "real").mkdir()
        link.symlink_to(self.folder / "real")
        store = PieceStore(torrent(CONTENT, PIECE), link, run_now)
        self.successResultOf(store.check())
        self.fetch(store, CONTENT)
        self.assertEqual(tree(self.folder / "real"), {"thing": CONTENT})

    def test_fifo_does_not_hang(self) -> None:
        """A pipe under a file's name is refused or ignored, and never waited at."""
        os.mkfifo(self.folder / "thing.part")
        self.assertIn("is not a file", self.refusal(torrent(CONTENT, PIECE)))
        self.assertEqual(list(self.store(torrent(CONTENT, PIECE), writable=False).have), [])

    def test_f95_chosen_folder_is_a_file(self) -> None:
        """A file where the folder should be is named at once."""
        self.folder = self.write("file", b"")
        self.assertIn(f"{self.folder}: not a folder", self.refusal(torrent(CONTENT, PIECE)))
        self.assertIn(f"{self.folder}: not a folder", self.refusal(torrent(CONTENT, PIECE), writable=False))

    def test_f95_no_permission_to_write(self) -> None:
        """A folder that must not be written to is an error of the check, before anybody is asked for a block."""
        for number, words in ((errno.EACCES, "permission denied"), (errno.EROFS, "its disk is read-only")):
            with self.subTest(number):
                real = os.open

                def denied(
                    path: Any, flags: int, *rest: Any, number: int = number, real: Any = real, **more: Any
                ) -> int:
                    if flags & os.O_CREAT:
                        raise OSError(number, os.strerror(number), path)
                    return real(path, flags, *rest, **more)

                self.patch(os, "open", denied)
                try:
                    said = self.refusal(torrent(CONTENT, PIECE))
                finally:
                    self.patch(os, "open", real)
                self.assertIn(f"{self.folder}/thing.part: {words}", said)
                self.assertIn("choose another folder", said)

    def test_f95_read_only_disk_can_be_seeded(self) -> None:
        """Whole content is checked and served without opening anything for writing."""
        self.write("thing", CONTENT)
        real = os.open

        def read_only(path: Any, flags: int, *rest: Any, **more: Any) -> int:
            self.assertFalse(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
            return real(path, flags, *rest, **more)

        self.patch(os, "open", read_only)
        store = self.store(torrent(CONTENT, PIECE))
        self.assertEqual(self.successResultOf(store.read(0, 0, 10)), CONTENT[:10])

    def test_unreadable_file_is_an_error(self) -> None:
        """Content that may not be read is not mistaken for missing content."""
        self.write("thing", CONTENT)
        real = os.open

        def denied(path: Any, *rest: Any, **more: Any) -> int:
            if path == "thing":
                raise PermissionError(errno.EACCES, "Permission denied", path)
            return real(path, *rest, **more)

        self.patch(os, "open", denied)
        self.assertIn("thing: permission denied", self.refusal(torrent(CONTENT, PIECE), writable=False))

    def test_holes_are_not_hashed(self) -> None:
        """Resuming reads what was written and not the rest, however large; zeros the torrent wants are found anyway."""
        content = some_bytes(8 * PIECE) + bytes(8 * PIECE)
        part = self.write("thing.part", b"")
        with part.open("r+b") as file:
            file.truncate(len(content))
            file.seek(2 * PIECE)
            file.write(content[2 * PIECE : 3 * PIECE])
        read: list[int] = []
        real = hashing.hash_pieces

        def spy(geometry: Any, opener: Any, pieces: Any, *rest: Any, **more: Any) -> None:
            read.extend(pieces)
            real(geometry, opener, pieces, *rest, **more)

        self.patch(checking, "hash_pieces", spy)
        store = self.store(torrent(content, PIECE))
        self.assertEqual(list(store.have), [2, *range(8, 16)])
        self.assertIn(2, read)
        self.assertNotIn(6, read)

    def test_progress_counts_what_needs_no_hashing(self) -> None:
        """Pieces of missing files count as looked at from the start; done never passes the total."""
        files = {"a": some_bytes(2 * PIECE, 1), "b": some_bytes(3 * PIECE, 2)}
        self.write("thing/b", files["b"])
        told: list[tuple[int, int]] = []
        store = PieceStore(torrent(files, PIECE), self.folder, run_now)
        self.successResultOf(store.check(lambda done, total: told.append((done, total))))
        self.assertEqual(told, [(2, 5), (5, 5)])
