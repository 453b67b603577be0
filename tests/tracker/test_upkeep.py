"""Tests of p2pshare.tracker.upkeep: silent peers go, and everybody else survives a restart (row S1-20)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.addresses import Address
from p2pshare.tracker.settings import TrackerSettings
from p2pshare.tracker.snapshot_file import read_snapshot
from p2pshare.tracker.swarm_store import MemorySwarms
from p2pshare.tracker.upkeep import Upkeep
from p2pshare.wire.announce import AnnounceRequest, Event, ScrapeCounts
from tests.contracts.swarm_store import OTHER, TORRENT, peer, peer_id


class UpkeepCase(SynchronousTestCase):
    """Has trackers that follow one another on the same state."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "swarms"
        self.jobs: list[Callable[[], object]] | None = None  # a list: threads that work only when told to
        self.start()

    def start(self, path: Path | None = None, **settings: Any) -> None:
        """Begin as a new process does: with an empty store, and a clock that starts anew."""
        self.clock = Clock()
        self.store = MemorySwarms(Random(0).random)
        self.upkeep = Upkeep(
            self.store,
            TrackerSettings(**settings),
            path or self.path,
            self.run_job,
            self.clock,
            self.clock.seconds,
            Random(0).random,
        )
        self.upkeep.startService()
        self.addCleanup(lambda: self.upkeep.running and self.upkeep.stopService())

    def run_job(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Do a thread's work: at once, or when the test says so."""
        if self.jobs is None:
            return maybeDeferred(function, *args)
        done: Deferred[Any] = Deferred()
        self.jobs.append(lambda: maybeDeferred(function, *args).chainDeferred(done))
        return done

    def stop(self) -> None:
        """End as a process does that was asked to."""
        self.successResultOf(self.upkeep.stopService())

    def pass_time(self, seconds: float) -> None:
        """Let time pass a second at a time."""
        for _ in range(round(seconds)):
            self.clock.advance(1)

    def announce(self, number: int = 1, torrent: bytes = TORRENT, **fields: Any) -> None:
        """Let a peer announce."""
        request = AnnounceRequest(torrent, peer_id(number), 6881, **{"left": 1, **fields})
        self.store.announce(request, peer(number), 50, None, self.clock.seconds())

    def incomplete(self) -> int:
        """Count the leeches."""
        return self.store.scrape([TORRENT])[TORRENT].incomplete


class ExpiryTests(UpkeepCase):
    """How long a silent peer stays."""

    def test_s1_20_two_intervals(self) -> None:
        """A peer that has not announced for two intervals is dropped, one that has is not."""
        self.announce(1)
        self.announce(2)
        self.pass_time(1800)
        self.announce(2)
        self.pass_time(1799)
        self.assertEqual(self.incomplete(), 2)
        self.pass_time(62)
        self.assertEqual(self.incomplete(), 1)
        self.assertIsNone(self.store.last_seen(TORRENT, peer(1)))
        self.pass_time(1800)
        self.assertFalse(self.store.knows(TORRENT))

    def test_short_interval(self) -> None:
        """With an interval of one second a peer is gone soon after two."""
        self.start(interval=1)
        self.announce()
        self.clock.pump([0.1] * 19)
        self.assertEqual(self.incomplete(), 1)
        self.clock.pump([0.1] * 3)
        self.assertEqual(self.incomplete(), 0)

    def test_own_timeout(self) -> None:
        """The time can be set apart from the interval."""
        self.start(peer_timeout=300.0)
        self.announce()
        self.pass_time(299)
        self.assertEqual(self.incomplete(), 1)
        self.pass_time(12)
        self.assertEqual(self.incomplete(), 0)


class RestartTests(UpkeepCase):
    """What a tracker still knows after a restart."""

    def test_s1_20_restart_loses_nobody(self) -> None:
        """A tracker that was stopped and started again knows every peer and every count, as if nothing had been."""
        for number in range(20):
            self.announce(number, left=number % 2)
        self.announce(7, event=Event.COMPLETED)
        self.store.announce(
            AnnounceRequest(OTHER, peer_id(1), 1, left=1), Address("client1", 1), 50, None, self.clock.seconds()
        )
        before = self.store.scrape([TORRENT, OTHER])
        self.stop()
        self.start()
        self.assertEqual(self.store.scrape([TORRENT, OTHER]), before)
        self.assertEqual(before[TORRENT], ScrapeCounts(11, 9, 1))
        self.announce(7, event=Event.COMPLETED)
        self.assertEqual(self.store.scrape([TORRENT])[TORRENT].downloaded, 1)

    def test_s1_20_time_away_does_not_count(self) -> None:
        """A silent peer has as long to live after the restart as it had before, however long the tracker was away."""
        self.announce(1)
        self.pass_time(3000)
        self.announce(2)
        self.stop()
        self.start()
        self.pass_time(590)
        self.assertEqual(self.incomplete(), 2)
        self.pass_time(80)
        self.assertEqual(self.incomplete(), 1)

    def test_s1_20_killed(self) -> None:
        """A tracker that was killed knows what it had saved last: at most a minute is missing."""
        self.announce(1)
        self.pass_time(61)
        self.announce(2)
        self.start()
        self.assertEqual(self.incomplete(), 1)

    def test_nothing_new_nothing_written(self) -> None:
        """Only what has changed is saved again."""
        self.announce(1)
        self.pass_time(61)
        self.path.unlink()
        self.pass_time(600)
        self.stop()
        self.assertFalse(self.path.exists())

    def test_forgetting_is_a_change(self) -> None:
        """Who was forgotten does not come back by a restart."""
        self.announce(1)
        self.pass_time(3800)
        self.start()
        self.assertFalse(self.store.knows(TORRENT))

    def test_without_state(self) -> None:
        """Without a file nothing is kept, and nothing goes wrong."""
        store = MemorySwarms(Random(0).random)
        clock = Clock()
        upkeep = Upkeep(store, TrackerSettings(), None, self.run_job, clock, clock.seconds, Random(0).random)
        upkeep.startService()
        clock.pump([60.0] * 10)
        self.successResultOf(upkeep.stopService())
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_many_swarms(self) -> None:
        """A large store is saved in steps, between which announces are answered."""
        for number in range(1000):
            self.announce(1, torrent=number.to_bytes(20, "big"))
        between: list[bool] = []

        def announce() -> None:
            between.append(self.path.exists())
            self.announce(2, torrent=OTHER)

        self.clock.callLater(60, self.clock.callLater, 0, announce)  # after the first step
        self.clock.advance(60)
        self.assertEqual((between, self.path.exists()), ([False], True))
        self.start()
        self.assertTrue(all(self.store.knows(number.to_bytes(20, "big")) for number in range(1000)))


class TroubleTests(UpkeepCase):
    """Files and disks that do not do what they should."""

    def test_f103_broken_snapshot(self) -> None:
        """A broken snapshot is reported and set aside; the tracker begins empty and saves again."""
        self.path.write_bytes(b"not a snapshot, but long enough to look like one")
        with capturedLogs() as events:
            self.start()
        self.assertEqual(len([e for e in events if e["log_level"] is LogLevel.error]), 2)
        self.assertEqual(sorted(os.listdir(self.folder)), ["swarms.broken"])
        self.announce(1)
        self.stop()
        self.start()
        self.assertEqual(self.incomplete(), 1)

    def test_f103_backup(self) -> None:
        """When the last snapshot is broken or missing, the one before it is used; when both are broken, none."""
        self.announce(1)
        self.pass_time(61)
        self.announce(2)
        self.stop()
        last = self.path.read_bytes()
        for broken in (b"", last[:-1], b"x" * len(last), None):
            if broken is None:
                self.path.unlink(missing_ok=True)  # killed between the two renames
            else:
                self.path.write_bytes(broken)
            with capturedLogs() as events:
                self.start()
            self.assertEqual(self.incomplete(), 1)
            errors = [event for event in events if event["log_level"] is LogLevel.error]
            self.assertEqual(len(errors), 0 if broken is None else 2)
            self.assertIn("swarms.bak", str([event.get("path") for event in events]))
        self.folder.joinpath("swarms.bak").write_bytes(b"")
        self.start()
        self.assertFalse(self.store.knows(TORRENT))
        self.assertIn("swarms.bak.broken", os.listdir(self.folder))

    def test_f91_cannot_save(self) -> None:
        """A full disk is reported in one line, the tracker goes on, and saves when there is space again."""
        self.announce(1)
        moved = self.folder.with_name("elsewhere")
        self.folder.rename(moved)
        with capturedLogs() as events:
            self.pass_time(61)
        (event,) = [e for e in events if e["log_level"] is LogLevel.error]
        self.assertEqual(event["reason"], "No such file or directory")
        moved.rename(self.folder)
        self.pass_time(60)
        self.start()
        self.assertEqual(self.incomplete(), 1)

    def test_stop_while_saving(self) -> None:
        """A stop waits for the writing that is under way, and then writes what is new since."""
        self.jobs = []
        self.announce(1)
        self.pass_time(61)
        self.announce(2)
        stopping = self.upkeep.stopService()
        self.assertEqual(len(self.jobs), 1)
        self.jobs.pop()()
        self.assertNoResult(stopping)
        self.jobs.pop()()
        self.successResultOf(stopping)
        self.jobs = None
        self.start()
        self.assertEqual(self.incomplete(), 2)

    def test_stop_while_copying(self) -> None:
        """A stop in the middle of copying or sweeping begins again with a whole copy."""
        for number in range(1000):
            self.announce(1, torrent=number.to_bytes(20, "big"))
        self.clock.callLater(60, self.clock.callLater, 0, self.stop)  # after the first step
        self.clock.advance(60)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.start()
        self.assertEqual(len(self.store.swarms), 1000)

    def test_f107_clock_of_the_system(self) -> None:
        """Times are those of the clock that is handed in: what the system's clock does has no effect."""
        self.announce(1)
        self.stop()
        body = read_snapshot(self.path)
        os.utime(self.path, (10**9, 10**9))
        self.start()
        self.assertEqual((self.incomplete(), read_snapshot(self.path)), (1, body))
