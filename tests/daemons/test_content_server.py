"""Uploads are seeded by a session of the peer's own code."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.addresses import is_numeric, pack_compact
from p2pshare.client.session import Session
from p2pshare.client.settings import PeerSettings
from p2pshare.daemons.content_server import SessionContentServer, reachable_host
from p2pshare.errors import StorageError
from p2pshare.index.content_server import ContentServer
from p2pshare.metainfo import parse
from p2pshare.swarm.events import State
from p2pshare.tracker.hits import Hits
from p2pshare.tracker.swarm_store import MemorySwarms
from p2pshare.wire.announce import AnnounceRequest
from tests.client.fakes import ThreadsOfNow, torrent_file
from tests.storage.fakes import some_bytes

DATA = some_bytes(40_000, 1)
INTERVAL = 1800.0
HERE = "198.51.100.7"


class SlowThreads(ThreadsOfNow):
    """Threads that work when they are told to."""

    def __init__(self) -> None:
        super().__init__([])
        self.waiting: list[Deferred[None]] | None = None

    def run(self, function: Any, *args: Any) -> Deferred[Any]:
        if self.waiting is None:
            return super().run(function, *args)
        waiting: Deferred[None] = Deferred()
        self.waiting.append(waiting)
        return waiting.addCallback(lambda _: function(*args))

    def release(self) -> None:
        waiting, self.waiting = self.waiting or [], None
        for job in waiting:
            job.callback(None)


class ContentServerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.content = parse(torrent_file("a.bin", DATA))
        self.path = self.folder / "a.bin"
        self.path.write_bytes(DATA)
        self.reactor = MemoryReactorClock()
        self.threads = SlowThreads()
        self.session = Session(self.reactor, PeerSettings(port=7000), Random(0), threads=self.threads)
        self.swarms = MemorySwarms(Random(0).random)
        self.host = HERE
        self.server: ContentServer = SessionContentServer(
            self.session, self.swarms, INTERVAL, lambda: self.host, self.reactor.seconds
        )
        self.session.startService()

    def serve(self, path: Path | None = None) -> Deferred[None]:
        """Begin to seed."""
        return Deferred.fromCoroutine(self.server.serve(self.content, path or self.path))

    def ask(self) -> Hits:
        """Announce as a leech at another address."""
        request = AnnounceRequest(self.content.info_hash, b"L" * 20, 6881, left=1, compact=True)
        return self.swarms.announce(request, pack_compact("203.0.113.9", 6881), 50, None, self.reactor.seconds())

    def test_served(self) -> None:
        """A content is seeded when the call returns, and whoever asks our tracker hears where."""
        self.successResultOf(self.serve())
        self.assertTrue(self.server.serves(self.content.info_hash))
        self.assertIs(self.session.swarms[self.content.info_hash].state, State.SEEDING)
        hits = self.ask()
        self.assertEqual((hits.complete, hits.packed4), (1, pack_compact(HERE, 7000)))

    def test_again(self) -> None:
        """What is seeded already stays as it is."""
        self.successResultOf(self.serve())
        swarm = self.session.swarms[self.content.info_hash]
        self.successResultOf(self.serve())
        self.assertIs(self.session.swarms[self.content.info_hash], swarm)

    def test_under_another_name(self) -> None:
        """It may be called otherwise than its torrent says."""
        other = self.path.rename(self.folder / "b.bin")
        self.successResultOf(self.serve(other))
        self.assertIs(self.session.swarms[self.content.info_hash].state, State.SEEDING)

    def test_looked_at(self) -> None:
        """It counts as served while it is looked at, and is announced only when it was found right."""
        self.threads.waiting = []
        serving = self.serve()
        self.assertNoResult(serving)
        self.assertTrue(self.server.serves(self.content.info_hash))
        self.assertFalse(self.swarms.knows(self.content.info_hash))
        self.threads.release()
        self.successResultOf(serving)
        self.assertTrue(self.swarms.knows(self.content.info_hash))

    def test_wrong(self) -> None:
        """A content that is not what its torrent says, or not there, is neither seeded nor announced."""
        for spoil in (lambda: self.path.write_bytes(DATA[:-1] + b"?"), self.path.unlink):
            spoil()
            self.failureResultOf(self.serve(), StorageError)
            self.assertFalse(self.server.serves(self.content.info_hash))
            self.assertFalse(self.swarms.knows(self.content.info_hash))

    def test_withdrawn(self) -> None:
        """What is withdrawn has left the swarm, and can come back."""
        self.successResultOf(self.serve())
        self.successResultOf(Deferred.fromCoroutine(self.server.withdraw(self.content.info_hash)))
        self.assertFalse(self.server.serves(self.content.info_hash))
        self.assertEqual(self.ask().complete, 0)
        self.successResultOf(Deferred.fromCoroutine(self.server.withdraw(self.content.info_hash)))
        self.successResultOf(self.serve())
        self.assertEqual(self.ask().complete, 1)

    def test_withdrawn_while_looked_at(self) -> None:
        """Who waits for a content that is withdrawn meanwhile is told so."""
        self.threads.waiting = []
        serving = self.serve()
        withdrawing = Deferred.fromCoroutine(self.server.withdraw(self.content.info_hash))
        self.threads.release()
        self.successResultOf(withdrawing)
        self.failureResultOf(serving, StorageError)

    def test_stays(self) -> None:
        """A seed announces itself again each interval, so that it never falls silent."""
        self.successResultOf(self.serve())
        self.reactor.advance(INTERVAL)
        seen = self.swarms.last_seen(self.content.info_hash, pack_compact(HERE, 7000))
        self.assertEqual(seen, self.reactor.seconds())

    def test_moved(self) -> None:
        """Where the machine has another address now, the next announce says that."""
        self.successResultOf(self.serve())
        self.host = "seedhost"
        self.reactor.advance(INTERVAL)
        self.assertEqual([(entry.host, entry.port) for entry in self.ask().named], [("seedhost", 7000)])
        self.successResultOf(self.session.stopService())
        self.assertEqual(self.ask().named, ())

    def test_dials(self) -> None:
        """A seed dials whom its swarm knows: some of them cannot be reached from outside themselves."""
        self.ask()
        self.successResultOf(self.serve())
        self.assertEqual([(host, port) for host, port, *_ in self.reactor.tcpClients], [("203.0.113.9", 6881)])


class ReachableHostTests(SynchronousTestCase):
    def test_bound(self) -> None:
        """What listens at one address is reached there."""
        self.assertEqual(reachable_host("192.0.2.7"), "192.0.2.7")

    def test_everywhere(self) -> None:
        """What listens everywhere is reached at the address this machine uses outwards, without a byte sent."""
        for bound in (None, "0.0.0.0", "::"):
            host = reachable_host(bound)
            self.assertTrue(is_numeric(host))
            self.assertNotEqual(host, "0.0.0.0")
