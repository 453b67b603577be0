"""Tests for the store without a disk."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import DiskFull
from p2pshare.metainfo import Metainfo
from p2pshare.storage.memory import MemoryStore
from tests.contracts.piece_store import CONTENT, PIECE, PieceStoreContract
from tests.storage.fakes import put_piece, torrent


class MemoryStoreTests(PieceStoreContract, SynchronousTestCase):
    """The contract, and what only this store can do."""

    def make_store(self, metainfo: Metainfo, content: bytes | None) -> MemoryStore:
        return MemoryStore(metainfo, content or b"")

    def test_content_collects_the_pieces(self) -> None:
        """What was sealed can be looked at as one run of bytes."""
        store = self.checked_store()
        for piece in range(4):
            put_piece(store, CONTENT, piece)
            self.successResultOf(store.seal(piece))
        self.assertEqual(store.content, CONTENT)

    def test_f90_failed_store_seals_nothing_until_retry(self) -> None:
        """A test can let the disk be full and free again; what is verified can be read all the time."""
        store = MemoryStore(torrent(CONTENT, PIECE), CONTENT[:PIECE])
        self.successResultOf(store.check())
        store.failed = DiskFull("thing.part: no space is left")
        put_piece(store, CONTENT, 1)
        self.failureResultOf(store.seal(1), DiskFull)
        self.assertEqual(store.read_now(0, 0, 4), CONTENT[:4])
        store.retry()
        put_piece(store, CONTENT, 1)
        self.assertTrue(self.successResultOf(store.seal(1)).ok)
