"""Torrents that are stopped for a while, hashed anew, and kept for the next start."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.client.kept import KeptTorrents
from p2pshare.client.pausing import PausableTorrents
from p2pshare.client.session import Session
from p2pshare.client.settings import PeerSettings
from p2pshare.errors import ConfigError, RequestRefused, StorageError
from p2pshare.metainfo import parse
from p2pshare.storage import checking
from p2pshare.swarm.events import State
from tests.client.fakes import RecordingDiscovery, ThreadsOfNow, torrent_file
from tests.storage.fakes import run_now, some_bytes

CONTENT = some_bytes(40_000)


class PausingTests(SynchronousTestCase):
    """A session that runs, with one torrent whose content is there."""

    def setUp(self) -> None:
        self.top = Path(self.mktemp()).absolute()
        self.data = self.top / "data"
        self.data.mkdir(parents=True)
        (self.data / "one").write_bytes(CONTENT)
        self.one = parse(torrent_file("one", CONTENT))
        self.hash = self.one.info_hash
        self.events: list[Any] = []
        self.goodbyes: list[Deferred[None]] = []
        self.reactor = MemoryReactorClock()
        self.session = Session(
            self.reactor, PeerSettings(), Random(0), threads=ThreadsOfNow(self.events), resume=self.top / "resume"
        )
        self.session.discover = self.discover
        self.torrents = PausableTorrents(self.session, self.top / "resume", self.reactor.seconds)
        self.session.startService()
        self.addCleanup(lambda: self.successResultOf(self.session.stopService()))
        self.hashed: list[int] = []
        original: Any = checking.hash_pieces

        def hash_pieces(geometry: Any, opener: Any, pieces: Any, *rest: Any, **more: Any) -> Any:
            pieces = list(pieces)
            self.hashed += pieces
            return original(geometry, opener, pieces, *rest, **more)

        self.patch(checking, "hash_pieces", hash_pieces)

    def discover(self, swarm: Any) -> RecordingDiscovery:
        discovery = RecordingDiscovery(self.events)
        discovery.goodbye = self.goodbyes.pop() if self.goodbyes else succeed(None)
        return discovery

    def state(self) -> State:
        """Tell how the torrent is."""
        return self.torrents.swarms[self.hash].state

    def test_paused_and_resumed(self) -> None:
        """A paused torrent is stopped and still here; resumed, it goes on without hashing anything again."""
        self.torrents.add(self.one, self.data)
        self.assertEqual((self.state(), self.hashed), (State.SEEDING, [0, 1, 2]))
        self.successResultOf(self.torrents.pause(self.hash))
        self.assertEqual((dict(self.torrents.swarms), self.torrents.holds(self.hash)), ({}, True))
        self.assertEqual(self.torrents.paused[self.hash].bytes_done, len(CONTENT))
        self.successResultOf(self.torrents.resume(self.hash))
        self.assertEqual((self.state(), self.torrents.paused), (State.SEEDING, {}))
        self.assertEqual(self.hashed, [0, 1, 2])

    def test_added_while_paused(self) -> None:
        """A paused torrent cannot be added a second time."""
        self.torrents.add(self.one, self.data)
        self.successResultOf(self.torrents.pause(self.hash))
        error = self.assertRaises(ConfigError, self.torrents.add, self.one, self.data)
        self.assertIn("is here, and paused", str(error))

    def test_checked_anew(self) -> None:
        """A check hashes everything again, whatever is remembered, and finds what went wrong meanwhile."""
        self.torrents.add(self.one, self.data)
        path = self.data / "one"
        before = path.stat()
        path.write_bytes(b"x" + CONTENT[1:])
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        self.hashed.clear()
        self.successResultOf(self.torrents.recheck(self.hash))
        self.assertEqual((self.hashed, self.torrents.paused), ([0, 1, 2], {}))
        self.assertIs(self.state(), State.FAILED)  # a whole file that is not the torrent's is left alone

    def test_resumed_while_stopping(self) -> None:
        """What is resumed before it has stopped goes on once it has."""
        goodbye: Deferred[None] = Deferred()
        self.goodbyes.append(goodbye)
        self.torrents.add(self.one, self.data)
        pausing, resuming = self.torrents.pause(self.hash), self.torrents.resume(self.hash)
        self.assertNoResult(pausing)
        self.assertNoResult(resuming)
        self.assertFalse(self.torrents.is_leaving(self.hash))
        goodbye.callback(None)
        self.successResultOf(pausing)
        self.successResultOf(resuming)
        self.assertIs(self.state(), State.SEEDING)

    def test_removed_while_stopping(self) -> None:
        """What is removed while it is being paused or checked does not come back, and may be added again after."""
        goodbye: Deferred[None] = Deferred()
        self.goodbyes.append(goodbye)
        self.torrents.add(self.one, self.data)
        checking_anew, removing = self.torrents.recheck(self.hash), self.torrents.remove(self.hash)
        self.assertTrue(self.torrents.is_leaving(self.hash))
        goodbye.callback(None)
        self.successResultOf(checking_anew)
        self.successResultOf(removing)
        self.assertEqual((self.torrents.holds(self.hash), self.torrents.came_here(self.hash)), (False, False))
        self.torrents.add(self.one, self.data)

    def test_of_somebody_else(self) -> None:
        """Torrents of the session that did not come through here are not paused."""
        self.session.add(self.one, self.data)
        self.assertRaises(RequestRefused, self.torrents.pause, self.hash)
        self.assertRaises(RequestRefused, self.torrents.recheck, self.hash)
        self.assertIs(self.state(), State.SEEDING)


class KeptTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.top = Path(self.mktemp()).absolute()
        self.kept = KeptTorrents(self.top / "torrents", run_now)
        self.one = parse(torrent_file("one", CONTENT, "http://tracker.test/announce"))

    def test_kept(self) -> None:
        """What is kept is there at the next start as it was; what is forgotten is not, and may be forgotten twice."""
        self.assertEqual(self.kept.load(self.top), [])
        self.successResultOf(self.kept.remember(self.one))
        (intake,) = KeptTorrents(self.top / "torrents", run_now).load(self.top)
        self.assertEqual((intake.content, intake.folder), (self.one, self.top))
        for _ in range(2):
            self.successResultOf(self.kept.forget(self.one.info_hash))
        self.assertEqual(self.kept.load(self.top), [])

    def test_damaged(self) -> None:
        """A file that cannot be read costs its own torrent only."""
        self.successResultOf(self.kept.remember(self.one))
        (self.top / "torrents" / "broken.torrent").write_bytes(b"d")
        self.assertEqual([intake.content.name for intake in self.kept.load(self.top)], ["one"])

    def test_disk_refuses(self) -> None:
        """What cannot be kept is an error that names the place."""
        (self.top).mkdir()
        (self.top / "torrents").write_bytes(b"a file is in the way")
        error = self.failureResultOf(self.kept.remember(self.one), StorageError).value
        self.assertIn("torrents", str(error))
