"""Checking content against its torrent."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.bencoding import encode
from p2pshare.errors import StorageError
from p2pshare.metainfo import FileEntry, Metainfo, parse
from p2pshare.storage import verify as module
from p2pshare.storage.create import CreateSettings, create
from p2pshare.storage.verify import VerifyReport, WrongSize, check_data

PIECE = 16 * 1024


class CheckDataTests(SynchronousTestCase):
    """A folder of three files and one empty one, of ten pieces in all; then something happens to it."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute() / "content"
        (self.folder / "sub").mkdir(parents=True)
        random = Random(0)
        # Pieces: a 0–2, b 2–6 (from the middle of 2 to that of 6), c 6–9.
        for path, pieces in (("a", 2.5), ("empty", 0), ("sub/b", 4), ("z", 3.5)):
            (self.folder / path).write_bytes(random.randbytes(int(pieces * PIECE)))
        self.metainfo = create(self.folder, CreateSettings(), threads=1)

    def check(self, metainfo: Metainfo | None = None, threads: int = 1) -> VerifyReport:
        return check_data(metainfo or self.metainfo, self.folder, threads=threads)

    def test_good_content(self) -> None:
        """Every piece is right and nothing is amiss, on any number of threads."""
        for threads in (1, 3):
            report = self.check(threads=threads)
            self.assertTrue(report.is_complete)
            self.assertEqual((report.num_pieces, report.good.count, list(report.bad())), (10, 10, []))
            self.assertEqual((report.missing, report.wrong_size, report.unreadable), ((), (), ()))

    def test_content_or_the_folder_around_it(self) -> None:
        """Both can be named; a path with neither is an error."""
        self.assertTrue(check_data(self.metainfo, self.folder.parent, threads=1).is_complete)
        self.assertRaises(StorageError, check_data, self.metainfo, self.folder / "sub" / "no")

    def test_single_file(self) -> None:
        """A lone file is checked under whatever name it bears."""
        metainfo = create(self.folder / "z", CreateSettings(), threads=1)
        os.rename(self.folder / "z", self.folder / "y")
        self.assertTrue(check_data(metainfo, self.folder / "y", threads=1).is_complete)
        self.assertRaises(StorageError, check_data, metainfo, self.folder)

    def test_one_wrong_byte(self) -> None:
        """Only the piece that holds it is bad; nothing is missing."""
        with open(self.folder / "sub/b", "r+b") as file:
            file.seek(PIECE)
            file.write(bytes(1))
        report = self.check()
        self.assertEqual((list(report.bad()), report.missing, report.wrong_size), ([3], (), ()))
        self.assertFalse(report.is_complete)

    def test_f96_missing_file(self) -> None:
        """A file that is gone spoils the pieces it has bytes in, those it shares included, and no others."""
        os.remove(self.folder / "sub/b")
        report = self.check()
        self.assertEqual((list(report.bad()), report.missing), ([2, 3, 4, 5, 6], ("sub/b",)))
        self.assertFalse(report.is_complete)

    def test_f96_short_file(self) -> None:
        """A file that was cut spoils the pieces of what was cut off; its sizes are told."""
        os.truncate(self.folder / "sub/b", 2 * PIECE)
        report = self.check()
        self.assertEqual(list(report.bad()), [4, 5, 6])
        self.assertEqual(report.wrong_size, (WrongSize("sub/b", 4 * PIECE, 2 * PIECE),))

    def test_long_file(self) -> None:
        """More bytes than there should be spoil no piece, yet the content is not what the torrent describes."""
        with open(self.folder / "a", "ab") as file:
            file.write(b"x")
        report = self.check()
        self.assertEqual((list(report.bad()), report.is_complete), ([], False))
        self.assertEqual(report.wrong_size, (WrongSize("a", int(2.5 * PIECE), int(2.5 * PIECE) + 1),))

    def test_missing_empty_file(self) -> None:
        """An empty file has no piece to spoil, but is missed all the same."""
        os.remove(self.folder / "empty")
        report = self.check()
        self.assertEqual((report.good.is_full, report.missing, report.is_complete), (True, ("empty",), False))

    def test_everything_missing(self) -> None:
        """In the folder of the torrent's name with nothing in it, all files are missing."""
        for path in ("a", "empty", "sub/b", "z"):
            os.remove(self.folder / path)
        report = check_data(self.metainfo, self.folder.parent, threads=1)
        self.assertEqual((report.good.count, report.missing), (0, ("a", "empty", "sub/b", "z")))

    def test_f12_link_in_a_files_place(self) -> None:
        """A planted link is no file of the torrent, even when it leads to the right bytes."""
        os.rename(self.folder / "z", self.folder.parent / "elsewhere")
        os.symlink("../elsewhere", self.folder / "z")
        report = self.check()
        self.assertEqual((list(report.bad()), report.missing), ([6, 7, 8, 9], ("z",)))

    def test_unreadable_file(self) -> None:
        """A file that is there and cannot be read is told with the reason, and not called missing."""
        hash_pieces = module.hash_pieces

        def failing(geometry: object, opener: object, *rest: object, **settings: object) -> None:
            def refuse(file: int) -> int | None:
                if file == 2:
                    raise PermissionError(13, "Permission denied")
                return opener(file)  # type: ignore[operator,no-any-return]

            hash_pieces(geometry, refuse, *rest, **settings)  # type: ignore[arg-type]

        self.patch(module, "hash_pieces", failing)  # the super-user of a test machine may read everything
        report = self.check()
        self.assertEqual(report.unreadable, ("sub/b: Permission denied",))
        self.assertEqual((list(report.bad()), report.missing, report.is_complete), ([2, 3, 4, 5, 6], (), False))

    def test_pad_files_are_not_looked_for(self) -> None:
        """BEP 47 padding counts as zeros and never lies on disk."""
        files = [{"length": 3, "path": ["a"]}, {"attr": "p", "length": PIECE - 3, "path": [".pad", "1"]}]
        (self.folder / "a").write_bytes(b"abc" + bytes(PIECE - 3))
        pieces = create(self.folder / "a", CreateSettings(), threads=1).pieces
        (self.folder / "a").write_bytes(b"abc")
        info = {"files": files, "name": "content", "piece length": PIECE, "pieces": pieces}
        report = self.check(parse(encode({"info": info})))
        self.assertEqual((report.is_complete, report.num_pieces), (True, 1))

    def test_content_without_pieces(self) -> None:
        """A torrent of empty files is complete when they are there."""
        empty = evolve(self.metainfo, files=(FileEntry(("empty",), 0),), pieces=b"")
        self.assertTrue(self.check(empty).is_complete)
        os.remove(self.folder / "empty")
        os.mkdir(self.folder / "empty")
        self.assertEqual(check_data(empty, self.folder.parent, threads=1).missing, ("empty",))

    def test_progress(self) -> None:
        """Bytes done rise from 0 to all, missing ones included."""
        os.remove(self.folder / "sub/b")
        told: list[tuple[int, int]] = []
        check_data(self.metainfo, self.folder, lambda done, total: told.append((done, total)), threads=1)
        self.assertEqual(told, [(0, 10 * PIECE), (10 * PIECE, 10 * PIECE)])
