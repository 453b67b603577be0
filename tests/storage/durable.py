"""A test case with a state folder, and stores that use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

from p2pshare.metainfo import Metainfo
from p2pshare.storage.resume import Durability
from p2pshare.storage.store import PieceStore
from tests.storage.disk import DiskTestCase
from tests.storage.fakes import run_now


class DurableTestCase(DiskTestCase):
    """A content folder and a state folder of its own for every test."""

    def setUp(self) -> None:
        super().setUp()
        self.state = Path(self.mktemp()).absolute()
        self.clock = Clock()

    def unchecked(self, metainfo: Metainfo, **settings: Any) -> PieceStore:
        """Make a store that keeps resume data."""
        settings = {"floor": 0, **settings}
        durability = Durability(self.state, self.clock, run_now, **settings)
        return PieceStore(metainfo, self.folder, run_now, durability=durability)

    def store(self, metainfo: Metainfo, *, writable: bool = True, **settings: Any) -> PieceStore:
        """Make a store that keeps resume data, and check it."""
        store = self.unchecked(metainfo, **settings)
        self.successResultOf(store.check(writable=writable))
        return store

    def crash(self, store: PieceStore) -> None:
        """Let a store vanish as its process would: its lock goes, nothing else is said."""
        resume = store._resume
        assert resume is not None
        if resume._state is not None:
            resume._state.close()
        if resume._log is not None:
            resume._log.close()
        if resume._commits is not None:
            resume._commits.stop()
        store._files.close()

    def close(self, store: PieceStore) -> None:
        """End a store in order."""
        self.successResultOf(store.close())
