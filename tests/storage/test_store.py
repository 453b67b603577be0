"""Tests for pieces on disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import DiskFull, StorageError
from p2pshare.geometry import BLOCK_SIZE
from p2pshare.metainfo import Metainfo
from p2pshare.storage import checking, exact, hashing
from p2pshare.storage.store import PieceStore
from tests.contracts.piece_store import CONTENT, PIECE, PieceStoreContract
from tests.storage.fakes import Steps, put_piece, run_now, some_bytes, torrent, tree


class DiskTestCase(SynchronousTestCase):
    """A folder of its own for every test."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)

    def write(self, path: str, content: bytes) -> Path:
        """Put a file below the folder."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return target

    def store(self, metainfo: Metainfo, *, writable: bool = True) -> PieceStore:
        """Make a store and check it."""
        store = PieceStore(metainfo, self.folder, run_now)
        self.successResultOf(store.check(writable=writable))
        return store

    def fetch(self, store: PieceStore, content: bytes, *pieces: int) -> None:
        """Put and seal pieces, or all that are missing."""
        for piece in pieces or list(store.have.missing()):
            put_piece(store, content, piece)
            self.assertTrue(self.successResultOf(store.seal(piece)).ok)


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


class QueueTests(DiskTestCase):
    """Pieces that wait for the disk."""

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
        """A file that appears under the final name is not overwritten: the torrent stops, and keeps its part."""
        store = self.store(torrent(CONTENT, PIECE))
        self.fetch(store, CONTENT, 0, 1, 2)
        self.write("thing", b"mine")
        put_piece(store, CONTENT, 3)
        failure = self.failureResultOf(store.seal(3), StorageError)
        self.assertIn("thing: exists already and is never overwritten", str(failure.value))
        self.assertIs(store.failed, failure.value)
        self.assertFalse(store.is_complete)
        self.assertEqual(tree(self.folder), {"thing": b"mine", "thing.part": CONTENT})

    def test_f99_moved_away_and_retried(self) -> None:
        """Once the name is free, sealing the piece again finishes the file."""
        self.test_f99_final_name_taken_during_the_download()
        store = PieceStore(torrent(CONTENT, PIECE), self.folder, run_now)
        os.unlink(self.folder / "thing")
        self.successResultOf(store.check())
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


class TroubleTests(DiskTestCase):
    """A disk that refuses, and one that loses what it had."""

    def refuse(self, number: int) -> None:
        """Let every write fail from now on."""

        def refused(fd: int, view: memoryview, offset: int) -> int:
            raise OSError(number, os.strerror(number))

        defaults = dict(exact.write_exactly.__kwdefaults__ or {})
        self.patch(exact.write_exactly, "__kwdefaults__", {**defaults, "pwrite": refused})

    def test_f90_disk_full(self) -> None:
        """No space: DiskFull naming the file, nothing had, later pieces refused, verified ones served; then retry."""
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
        exact.write_exactly.__kwdefaults__["pwrite"] = os.pwrite
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

        def broken(fd: int, views: Any, offset: int) -> int:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        self.patch(exact.read_exactly, "__kwdefaults__", {"preadv": broken})
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
