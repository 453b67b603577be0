"""A shared folder over real parts: sessions, swarms, stores and connections, with sockets of loopback."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet import defer, reactor, task
from twisted.internet.inotify import INotify
from twisted.trial.unittest import TestCase

from p2pshare.addresses import Address
from p2pshare.client.session import Session
from p2pshare.client.settings import PeerSettings
from p2pshare.faces.node_downloads import NodeDownloads, WantedFile
from p2pshare.faces.node_offer import Offer
from p2pshare.faces.node_stats import Uploaded
from p2pshare.metainfo import Metainfo
from p2pshare.sharing.hints import Hints
from p2pshare.sharing.library import FileAdded, Library
from p2pshare.sharing.seeding import Seeding
from p2pshare.sharing.shelf import Shelf
from p2pshare.sharing.torrents import torrent_of
from p2pshare.sharing.walk import open_below
from p2pshare.storage import checking
from p2pshare.storage.workers import Workers
from p2pshare.swarm.events import Completed, State
from p2pshare.web.replies import Refused, Streamed
from p2pshare.web.routes import Call
from p2pshare.web.sources import Source


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


class NoticingTests(TestCase):
    """How soon changes are noticed, with the hints of the kernel and its times."""

    WITHIN = 2.0  # s

    async def begin(self) -> None:
        """Share a folder with one old file, whose rounds are too far apart to be of use."""
        self.top = Path(self.mktemp()).absolute()
        self.folder = self.top / "shared"
        self.folder.mkdir(parents=True)
        self.old = self.folder / "old.txt"
        self.old.write_bytes(b"content")
        os.utime(self.old, (1e9, 1e9))
        workers = Workers(reactor)
        clock: Any = reactor
        self.library = Library(self.folder, Shelf(self.top / "shelf"), workers.run, workers.run, clock, time.time, 1)
        hints = Hints(self.folder, self.library.poke, lambda: INotify(reactor))
        self.library.on_folders = hints.cover
        self.told: dict[str, float] = {}
        self.pokes = 0
        offer = Offer(self.library.files, str)
        self.downloads = NodeDownloads(
            offer,
            self.folder,
            open_below,
            workers.run,
            clock,
            20.0,
            Counter(),
            Uploaded(),
            self.library.count_download,
            self.poke,
        )
        hints.start()
        self.library.startService()

        async def end() -> None:
            hints.stop()
            await self.library.stopService()
            await workers.stop()

        self.addCleanup(lambda: defer.Deferred.fromCoroutine(end()))
        await self.until(lambda: self.library.is_known)
        self.library.subscribe(self.heard)

    def poke(self) -> None:
        self.pokes += 1
        self.library.poke()

    def heard(self, event: Any) -> None:
        self.assertIsInstance(event, FileAdded)
        self.told[event.file.name] = time.time()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that has to come in time."""
        latest = time.time() + self.WITHIN
        while not condition():
            self.assertLess(time.time(), latest, "it takes too long")
            await task.deferLater(reactor, 0.01)

    async def download(self) -> Streamed:
        """Ask for the old file."""
        return await self.downloads.by_name(
            Call(Source("192.0.2.1", "192.0.2.1", False), {}, WantedFile("old.txt"), None)
        )

    def is_current(self) -> bool:
        """Whether the old file was read as it is now."""
        return self.library.files["old.txt"].digest.stamp.changed == self.old.stat().st_ctime_ns

    def test_one_after_another(self) -> defer.Deferred[None]:
        """Small files that are written one after another, and one that is added to meanwhile, are noticed in time."""
        return defer.Deferred.fromCoroutine(self._one_after_another())

    async def _one_after_another(self) -> None:
        await self.begin()
        paths = [self.folder / f"{number}.txt" for number in range(8)]
        for path in paths:
            path.write_bytes(b"content")
            with open(self.folder / "lines.txt", "a") as lines:
                lines.write("one more\n")
            await task.deferLater(reactor, 0.4)
        paths.append(self.folder / "lines.txt")
        await self.until(lambda: len(self.told) == len(paths))
        took = {path.name: self.told[path.name] - path.stat().st_mtime for path in paths}
        self.assertEqual({name: seconds for name, seconds in took.items() if not 0.9 < seconds < self.WITHIN}, {})

    def test_attributes(self) -> defer.Deferred[None]:
        """A file with other permissions, or a second name in the folder, can be fetched again in a moment."""
        return defer.Deferred.fromCoroutine(self._attributes())

    async def _attributes(self) -> None:
        await self.begin()
        self.old.chmod(0o600)
        self.assertFalse(self.is_current())
        await self.until(self.is_current)
        self.assertEqual(self.told, {})
        os.link(self.old, self.folder / "second.txt")
        await self.until(lambda: self.is_current() and "second.txt" in self.library.files)
        self.assertEqual(list(self.told), ["second.txt"])
        (await self.download()).drop()
        self.assertEqual(self.pokes, 0)

    def test_doubted(self) -> defer.Deferred[None]:
        """Of what the kernel does not tell, a download does that finds the file another one; it does so once."""
        return defer.Deferred.fromCoroutine(self._doubted())

    async def _doubted(self) -> None:
        await self.begin()
        for times in (1, 2):
            os.link(self.old, self.top / f"outside {times}")
            for _ in range(3):
                with self.assertRaises(Refused):
                    await self.download()
            self.assertEqual(self.pokes, times)
            await self.until(self.is_current)
            (await self.download()).drop()
        self.assertEqual((self.told, self.pokes), ({}, 2))
