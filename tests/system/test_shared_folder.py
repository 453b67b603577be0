"""A shared folder over real parts: sessions, swarms, stores and connections, with sockets of loopback."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet import defer, reactor, task
from twisted.trial.unittest import TestCase

from p2pshare.addresses import Address
from p2pshare.client.session import Session
from p2pshare.client.settings import PeerSettings
from p2pshare.metainfo import Metainfo
from p2pshare.sharing.library import Library
from p2pshare.sharing.seeding import Seeding
from p2pshare.sharing.shelf import Shelf
from p2pshare.sharing.torrents import torrent_of
from p2pshare.storage import checking
from p2pshare.storage.workers import Workers
from p2pshare.swarm.events import Completed, State


class SeedingPartsTests(TestCase):
    """Files that are fetched from a folder whose torrents sleep."""

    async def begin(self) -> None:
        """Share a folder."""
        self.top = Path(self.mktemp())
        self.folder = self.top / "shared"
        (self.folder / "deep").mkdir(parents=True)
        self.content = os.urandom(3_000_000)
        self.path = self.folder / "deep" / "song.mp3"
        self.path.write_bytes(self.content)
        os.utime(self.path, (1e9, 1e9))
        workers = Workers(reactor)
        clock: Any = reactor
        self.library = Library(
            self.folder, Shelf(self.top / "shelf"), workers.run, workers.run, clock, clock.seconds, 1
        )
        self.session = Session(reactor, PeerSettings(port=0, bind="127.0.0.1"), Random(), resume=self.top / "resume")
        self.seeding = Seeding(self.library, self.folder, self.session, clock)
        self.session.wake = self.seeding.wake
        for service in (self.session, self.library, self.seeding):
            service.startService()

        async def end() -> None:
            for service in (self.seeding, self.library, self.session):
                await defer.maybeDeferred(service.stopService)
            await workers.stop()

        self.addCleanup(lambda: defer.Deferred.fromCoroutine(end()))
        while not self.library.files:
            await task.deferLater(reactor, 0.01)

    async def fetch(self, torrent: Metainfo, where: str = "target") -> bytes:
        """Download it from the folder."""
        session = Session(reactor, PeerSettings(port=0, bind="127.0.0.1"), Random())
        target = self.top / where
        target.mkdir()
        session.startService()
        swarm = session.add(torrent, target, peers=[Address("127.0.0.1", self.session.port)])
        done: defer.Deferred[None] = defer.Deferred()
        swarm.subscribe(lambda event: done.callback(None) if isinstance(event, Completed) else None)
        try:
            await done.addTimeout(20, reactor)
        finally:
            await session.stopService()
        return (target / torrent.name).read_bytes()

    def test_two_at_once(self) -> defer.Deferred[None]:
        """Two who ask at the same moment wait for one swarm."""
        return defer.Deferred.fromCoroutine(self._two_at_once())

    async def _two_at_once(self) -> None:
        await self.begin()
        (file,) = self.library.files.values()
        torrent = torrent_of(file)
        fetching = [defer.Deferred.fromCoroutine(self.fetch(torrent, where)) for where in ("a", "b")]
        for content in await defer.gatherResults(fetching):
            self.assertEqual(content, self.content)

    def test_fetched(self) -> defer.Deferred[None]:
        """A leech that knows nothing but the torrent gets the file, at the first attempt and without a second hash."""
        return defer.Deferred.fromCoroutine(self._fetched())

    async def _fetched(self) -> None:
        await self.begin()
        (file,) = self.library.files.values()
        hashed: list[int] = []
        self.patch(checking, "hash_pieces", lambda geometry, opener, pieces, *rest, **more: hashed.extend(pieces))
        self.assertEqual(self.session.swarms, {})
        self.assertEqual(await self.fetch(torrent_of(file)), self.content)
        self.assertEqual(hashed, [])
        (swarm,) = self.session.swarms.values()
        self.assertIs(swarm.state, State.SEEDING)
        self.assertEqual(list(self.top.glob("resume/*")), [])

    def test_altered(self) -> defer.Deferred[None]:
        """A file that was altered since it was hashed is not served, not even a part of it."""
        return defer.Deferred.fromCoroutine(self._altered())

    async def _altered(self) -> None:
        await self.begin()
        (file,) = self.library.files.values()
        self.path.write_bytes(b"x" * len(self.content))
        waiting = self.seeding.wake(torrent_of(file).info_hash)
        assert waiting is not None
        self.assertIsNone(await waiting)
        self.assertEqual(self.session.swarms, {})
