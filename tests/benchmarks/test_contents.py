"""Whether a copy is found to be the same."""

from __future__ import annotations

import shutil
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.contents import difference, write_file, write_tree


class ContentsTests(SynchronousTestCase):
    """write_file(), write_tree() and difference()"""

    def copied_tree(self) -> tuple[Path, Path]:
        """A tree of 250 files in 1 MB, and its copy."""
        original, copy = Path(self.mktemp()), Path(self.mktemp())
        write_tree(original, 250, 1_000_000)
        shutil.copytree(original, copy)
        return original, copy

    def test_a_tree_is_as_large_as_asked_for(self) -> None:
        """The tree has so many files, and so many bytes together."""
        original, copy = self.copied_tree()
        sizes = [file.stat().st_size for file in original.rglob("*") if file.is_file()]
        self.assertEqual((len(sizes), sum(sizes)), (250, 1_000_000))
        self.assertIsNone(difference(original, copy))

    def test_one_wrong_byte_is_found(self) -> None:
        """A copy of the same length with one other byte differs."""
        original, copy = Path(self.mktemp()), Path(self.mktemp())
        write_file(original, 3_000_000)
        data = bytearray(original.read_bytes())
        data[2_999_999] ^= 1
        copy.write_bytes(data)
        self.assertEqual(difference(original, copy), f"{copy.name} differs")

    def test_a_missing_file_is_found(self) -> None:
        """A copy that lacks a file is not the same."""
        original, copy = self.copied_tree()
        (original / "new").write_bytes(b"1")
        self.assertEqual(difference(original, copy), "new is missing")

    def test_a_file_too_many_is_found(self) -> None:
        """A copy with something else in it, such as an unfinished file, is not the same."""
        original, copy = self.copied_tree()
        (copy / "content.part").write_bytes(b"1")
        self.assertEqual(difference(original, copy), "content.part is one too many")

    def test_empty_files_may_be_missing(self) -> None:
        """Some clients make no empty files; that is no reason to fail them."""
        original, copy = self.copied_tree()
        (original / "empty").write_bytes(b"")
        self.assertIsNone(difference(original, copy))
