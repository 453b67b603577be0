"""A download over BitTorrent that may be given up for another way."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.addresses import Address
from p2pshare.cli.attempt import NobodyThere, attempt
from p2pshare.cli.exits import Ended, ExitCode
from p2pshare.cli.progress import Silence
from p2pshare.cli.transfer import Terms
from p2pshare.client.goal import FOREVER, NOTHING, SeedGoal
from p2pshare.client.session import Session
from p2pshare.client.settings import PeerSettings
from p2pshare.metainfo import parse
from tests.cli.test_transfer import CONTENT, Reactor, status
from tests.client.fakes import RecordingDiscovery, ThreadsOfNow, torrent_file


class AttemptTests(SynchronousTestCase):
    """A real session over a fake reactor that goes on afterwards."""

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.events: list[Any] = []
        self.discovery = RecordingDiscovery(self.events)
        self.folder = Path(self.mktemp())

    def begin(
        self, patience: float | None = 3.0, goal: SeedGoal = NOTHING, known: bool = False, timeout: float = 60.0
    ) -> Deferred[None]:
        """Begin a download; the tracker has not answered yet."""
        session = Session(self.reactor, PeerSettings(port=0), Random(0), threads=ThreadsOfNow(self.events))
        session.discover = lambda swarm: self.discovery
        content = parse(torrent_file("a.bin", CONTENT))
        self.swarm = session.add(content, self.folder, peers=[Address("192.0.2.9", 6881)] if known else ())
        self.discovery.status = lambda: (status("http://t.example/announce", self.tracker),)  # type: ignore[method-assign]
        self.tracker = "asking"
        terms = Terms("a.bin", goal, timeout)
        return Deferred.fromCoroutine(
            attempt(self.reactor, session, self.swarm, terms, Silence(), lambda text: None, patience)
        )

    def test_nobody(self) -> None:
        """When nobody was there for as long as one would wait, the session stops and the reactor goes on."""
        running = self.begin()
        self.reactor.pump([0.05] * 59)
        self.assertNoResult(running)
        self.reactor.pump([0.05] * 10)
        self.failureResultOf(running, NobodyThere)
        self.assertIn("threads ended", self.events)
        self.assertTrue(self.reactor.running)

    def test_deserted(self) -> None:
        """As soon as the tracker has said that it knows nobody, there is nothing to wait for."""
        running = self.begin()
        self.tracker = "working"
        self.reactor.pump([0.05] * 4)
        self.failureResultOf(running, NobodyThere)

    def test_somebody_may_be_there(self) -> None:
        """An address to try is worth the wait."""
        running = self.begin(known=True)
        self.tracker = "working"
        self.reactor.pump([0.05] * 20)
        self.assertNoResult(running)
        running.cancel()
        self.reactor.pump([0.05] * 4)
        self.failureResultOf(running, CancelledError)

    def test_without_another_way(self) -> None:
        """Where there is no other way, nobody is as in any download: exit code 4 after the timeout."""
        running = self.begin(patience=None, timeout=5.0)
        self.tracker = "working"
        self.reactor.pump([0.25] * 19)
        self.assertNoResult(running)
        self.reactor.pump([0.25] * 4)
        self.assertEqual(self.failureResultOf(running, Ended).value.code, ExitCode.NOBODY_FOUND)

    def test_told_to_stop(self) -> None:
        """Cancelled while it is incomplete, it says goodbye first."""
        running = self.begin()
        self.reactor.advance(0.1)
        running.cancel()
        self.assertNoResult(running)
        self.reactor.pump([0.05] * 4)
        self.failureResultOf(running, CancelledError)
        self.assertIn("threads ended", self.events)

    def test_complete(self) -> None:
        """What is there already is complete at once."""
        self.folder.mkdir()
        (self.folder / "a.bin").write_bytes(CONTENT)
        running = self.begin()
        self.reactor.pump([0.25] * 4)
        self.successResultOf(running)

    def test_seed_that_is_stopped(self) -> None:
        """Cancelled while it seeds, it ends well."""
        self.folder.mkdir()
        (self.folder / "a.bin").write_bytes(CONTENT)
        running = self.begin(goal=FOREVER)
        self.reactor.pump([0.25] * 40)
        self.assertNoResult(running)
        running.cancel()
        self.reactor.pump([0.05] * 4)
        self.successResultOf(running)
