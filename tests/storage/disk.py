"""A test case with a folder of its own and stores in it."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.metainfo import Metainfo
from p2pshare.storage.store import PieceStore
from tests.storage.fakes import put_piece, run_now


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
