"""Reading a file once for all its names."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import StorageError
from p2pshare.metainfo import choose_piece_length
from p2pshare.sharing.digest import BUFFER, LARGE, digest_file
from p2pshare.sharing.walk import Stamp


class DigestTests(SynchronousTestCase):
    """What comes of a file."""

    def write(self, content: bytes) -> int:
        """Write a file and open it."""
        self.path = Path(self.mktemp())
        self.path.write_bytes(content)
        descriptor = os.open(self.path, os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        return descriptor

    def expected(self, content: bytes, length: int) -> bytes:
        """Hash the pieces the plain way."""
        return b"".join(hashlib.sha1(content[at : at + length]).digest() for at in range(0, len(content), length))

    def test_sizes(self) -> None:
        """Whole and pieces are right for every size around the edges of pieces and buffers, large ones too."""
        whole = Random(0).randbytes(LARGE + BUFFER + 5)
        for size in (0, 1, 16383, 16384, 16385, BUFFER, BUFFER + 1, LARGE - 1, LARGE, LARGE + BUFFER + 5):
            for length in (16384, 4 * BUFFER):
                content = whole[:size]
                digest = digest_file(self.write(content), length)
                self.assertEqual(digest.sha256, hashlib.sha256(content).hexdigest(), size)
                self.assertEqual(digest.pieces, self.expected(content, length), (size, length))
                self.assertEqual(digest.stamp, Stamp.of(self.path.stat()))

    def test_chosen_length(self) -> None:
        """Without a piece length it is what a torrent of that size gets."""
        digest = digest_file(self.write(bytes(300_000)))
        self.assertEqual(digest.piece_length, choose_piece_length(300_000))

    def test_progress(self) -> None:
        """All bytes are told of."""
        told: list[int] = []
        digest_file(self.write(bytes(LARGE + 1)), on_bytes=told.append)
        self.assertEqual(sum(told), LARGE + 1)

    def test_changes(self) -> None:
        """A file that is written to while it is read has no digest: it would be one of neither state."""
        for change in (b"longer", b""):
            descriptor = self.write(bytes(3 * BUFFER))

            def interfere(count: int, change: bytes = change) -> None:
                if change:
                    with self.path.open("ab") as file:
                        file.write(change)
                else:
                    os.truncate(self.path, 10)

            self.assertRaises(StorageError, digest_file, descriptor, on_bytes=interfere)

    def test_stopped(self) -> None:
        """Reading is given up when it is not wanted any more, and no thread stays."""
        before = threading.active_count()
        descriptor = self.write(bytes(LARGE))
        error = self.assertRaises(StorageError, digest_file, descriptor, is_stopped=lambda: True)
        self.assertIn("not read to its end", str(error))
        self.assertEqual(threading.active_count(), before)
