"""Content that somebody else has hashed, and vouches for."""

from __future__ import annotations

import os
from hashlib import sha1
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pshare import metainfo
from p2pshare.storage.signatures import Signature
from p2pshare.storage.store import PieceStore
from tests.client.fakes import PIECE, torrent_file
from tests.storage.fakes import run_now

CONTENT = os.urandom(3 * PIECE + 5)


class VouchedTests(SynchronousTestCase):
    """A file, and its torrent."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "a.bin"
        self.path.write_bytes(CONTENT)
        os.utime(self.path, (1e9, 1e9))
        self.content = metainfo.parse(torrent_file("a.bin", CONTENT))
        self.signature = Signature.of(self.path.stat())

    def store(self, signature: Signature | None = None, *, writable: bool = False) -> PieceStore:
        """Look at the file, vouched for."""
        store = PieceStore(self.content, self.folder, run_now, vouched={0: signature or self.signature})
        self.addCleanup(store.close)
        self.successResultOf(store.check(writable=writable))
        return store

    def spoil(self) -> None:
        """Change the file so that it looks as before."""
        self.path.write_bytes(b"x" * len(CONTENT))
        os.utime(self.path, ns=(self.signature.mtime, self.signature.mtime))

    def test_not_hashed(self) -> None:
        """What looks as it is vouched for is had without being read."""
        self.spoil()
        self.assertTrue(self.store().is_complete)

    def test_looks_different(self) -> None:
        """What looks different is hashed."""
        self.spoil()
        self.assertTrue(self.store(Signature(len(CONTENT), 7, self.signature.inode)).have.is_empty)

    def test_writable(self) -> None:
        """Nobody's word counts for content that is going to be written to."""
        self.assertTrue(self.store(writable=True).is_complete)
        self.spoil()
        store = PieceStore(self.content, self.folder, run_now, vouched={0: self.signature})
        self.addCleanup(store.close)
        self.failureResultOf(store.check(writable=True))

    def test_second_look(self) -> None:
        """Who looks again wants everything looked at."""
        store = self.store()
        self.spoil()
        self.successResultOf(store.check(writable=False))
        self.assertTrue(store.have.is_empty)

    def test_changed_afterwards(self) -> None:
        """A file that changes while it is served is hashed before another byte goes out."""
        store = self.store()
        self.assertEqual(sha1(self.successResultOf(store.read(0, 0, PIECE))).digest(), self.content.piece_hash(0))
        self.path.write_bytes(b"x" * len(CONTENT))
        self.failureResultOf(store.read(1, 0, PIECE))
        self.assertNotIn(1, store.have)
