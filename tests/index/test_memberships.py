"""Tests of p2pshare.index.memberships: facts are written in rounds, in order, and nobody waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import evolve
from sqlalchemy import Connection
from twisted.logger import LogLevel, capturedLogs

from p2pshare.errors import DiskFull, StorageError
from p2pshare.index import memberships
from p2pshare.index.memberships import Pace
from tests.index.opened import INFO_HASH, TODAY, HeldBack, IndexTestCase, member, torrent_claim

COUNT = "SELECT count(*) FROM membership"


class MembershipsTests(IndexTestCase):
    """Memberships"""

    def setUp(self) -> None:
        super().setUp()
        self.start(Pace())

    def start(self, pace: Pace) -> None:
        """Begin anew with writes that are held back."""
        self.pace = pace
        self.held = HeldBack()
        self.catalogue = self.open(run_write=self.held.run)
        self.memberships = self.catalogue.memberships
        self.memberships.startService()

    def join(self, *peers: str) -> None:
        """Have peers announce themselves."""
        for peer_id in peers:
            self.memberships.joined(INFO_HASH, member(peer_id))

    def count(self) -> int:
        """Count the members that are written down."""
        ((count,),) = self.rows(COUNT)
        return int(count)

    def test_written_in_rounds(self) -> None:
        """Nothing is written before a round is over; then all is, in one go."""
        self.join("a", "b")
        self.clock.advance(9.9)
        self.assertEqual((self.held.waiting, self.count()), ([], 0))
        self.clock.advance(0.1)
        self.assertEqual(len(self.held.waiting), 1)
        self.held.release()
        self.assertEqual(self.count(), 2)

    def test_strangers(self) -> None:
        """Facts about what is not indexed are wanted in a limited number each round; those about the rest always."""
        self.start(Pace(strangers=2))
        wanted = [self.memberships.wants(INFO_HASH) for _ in range(3)]
        self.assertEqual(wanted, [True, True, False])
        self.clock.advance(10)
        self.assertTrue(self.memberships.wants(INFO_HASH))
        self.memberships.indexed(INFO_HASH)
        self.assertTrue(all(self.memberships.wants(INFO_HASH) for _ in range(10)))

    def test_indexed_from_the_start(self) -> None:
        """What was indexed before a restart is no stranger after it."""
        self.pace = Pace(strangers=0)
        path = self.open_in_file()
        self.assertFalse(self.catalogue.memberships.wants(INFO_HASH))
        self.successResultOf(self.catalogue.torrents.add(torrent_claim()))
        self.assertTrue(self.catalogue.memberships.wants(INFO_HASH))
        self.reopen(path)
        self.assertFalse(self.catalogue.memberships.wants(INFO_HASH))
        self.catalogue.startService()
        self.assertTrue(self.catalogue.memberships.wants(INFO_HASH))
        self.catalogue.stopService()

    def test_no_work_without_facts(self) -> None:
        """A round in which nothing was told writes nothing."""
        self.clock.advance(10)
        self.assertEqual(self.held.waiting, [])

    def test_a_round_waits_for_the_one_before(self) -> None:
        """While a slow write is under way no second one begins; facts told meanwhile go with the next."""
        self.join("a")
        self.clock.advance(10)
        self.join("b")
        self.clock.advance(30)
        self.assertEqual(len(self.held.waiting), 1)
        self.held.release()
        self.assertEqual(self.count(), 1)
        self.clock.advance(10)
        self.held.release()
        self.assertEqual(self.count(), 2)

    def test_many_facts_are_written_early(self) -> None:
        """So many facts are worth a write before its time, and one at a time."""
        self.start(Pace(early=3))
        self.join("a", "b")
        self.assertEqual(self.held.waiting, [])
        self.join("c", "d", "e", "f", "g")
        self.assertEqual(len(self.held.waiting), 1)
        self.held.release()
        self.assertEqual(self.count(), 3)

    def test_in_order(self) -> None:
        """Who left and came back is there; who came back and left is not."""
        self.join("a", "b")
        self.memberships.left(INFO_HASH, "a")
        self.memberships.left(INFO_HASH, "b")
        self.join("a")
        self.clock.advance(10)
        self.held.release()
        self.assertEqual(self.rows("SELECT peer_id FROM membership"), [("a",)])

    def test_told_while_writing(self) -> None:
        """What is told while an older fact is being written is written after it."""
        self.join("a")
        self.clock.advance(10)
        self.memberships.left(INFO_HASH, "a")
        flushed = self.memberships.flush()
        self.assertNoResult(flushed)
        self.held.release()
        self.assertEqual(self.count(), 1)
        self.held.release()
        self.successResultOf(flushed)
        self.assertEqual(self.count(), 0)

    def test_flush_waits_for_what_is_under_way(self) -> None:
        """Who wants to read all waits for the write that has it, and asks for no other."""
        self.join("a")
        self.clock.advance(10)
        flushed = self.memberships.flush()
        self.held.release()
        self.successResultOf(flushed)
        self.assertEqual(self.held.waiting, [])
        self.successResultOf(self.memberships.flush())

    def test_written_at_stop(self) -> None:
        """At the end all is written that was told, before the end is told."""
        self.join("a")
        stopped = self.memberships.stopService()
        self.assertNoResult(stopped)
        self.held.release()
        self.successResultOf(stopped)
        self.assertEqual(self.count(), 1)
        self.clock.advance(100)
        self.assertEqual((self.held.waiting, self.clock.getDelayedCalls()), ([], []))

    def test_dropped_when_full(self) -> None:
        """Beyond the limit facts are dropped; the log tells how many, once they could be written."""
        self.start(Pace(most=2, early=100))
        with capturedLogs() as events:
            self.join("a", "b", "c", "d")
            self.clock.advance(10)
            self.held.release()
            self.join("c")
            self.clock.advance(10)
            self.held.release()
        self.assertEqual((self.count(), [event["count"] for event in events]), (3, [2]))

    def test_downloads_wait_too(self) -> None:
        """Downloads are counted as pending until they are written."""
        for share_id in ("s", "s", "t"):
            self.memberships.downloaded(share_id)
        self.assertEqual((self.memberships.pending_downloads("s"), self.memberships.all_pending_downloads()), (2, 3))
        self.clock.advance(10)
        self.memberships.downloaded("s")
        self.assertEqual((self.memberships.pending_downloads("s"), self.memberships.all_pending_downloads()), (3, 4))
        self.held.release()
        self.assertEqual((self.memberships.pending_downloads("s"), self.memberships.all_pending_downloads()), (1, 1))
        self.assertEqual(self.memberships.pending_downloads("unknown"), 0)

    def test_silent_members_are_forgotten(self) -> None:
        """Once an hour, members are forgotten that were silent for thirty days."""
        self.join("a")
        self.clock.advance(10)
        self.held.release()
        self.clock.advance(3590)
        self.held.release()
        self.assertEqual(self.count(), 1)
        self.pace = evolve(self.pace, keep=100.0)
        self.memberships._pace = self.pace
        self.clock.advance(3590)
        self.assertEqual(self.held.waiting, [])
        self.clock.advance(10)
        self.held.release()
        self.assertEqual(self.count(), 0)


class TroubleTests(IndexTestCase):
    """When the database cannot be written."""

    def setUp(self) -> None:
        super().setUp()
        self.trouble: Exception | None = None
        self.memberships = self.catalogue.memberships
        real = memberships.write_batch

        def write_batch(connection: Connection, changes: Any, downloads: Any) -> None:
            if self.trouble is not None:
                raise self.trouble
            real(connection, changes, downloads)

        self.patch(memberships, "write_batch", write_batch)
        self.memberships.startService()
        self.addCleanup(self.memberships.stopService)

    def told(self, work: Callable[[], object]) -> list[tuple[LogLevel, int]]:
        """Do something; gives what the log tells of it: how bad, and of how many facts."""
        with capturedLogs() as events:
            work()
        return [(event["log_level"], event["count"]) for event in events]

    def test_facts_wait(self) -> None:
        """Facts are kept for the next round, behind newer ones, and the trouble is told in the log."""
        self.trouble = StorageError("locked")
        self.memberships.completed(INFO_HASH, member("a", 0, uploaded=1))
        self.memberships.downloaded("s")
        self.assertEqual(self.told(lambda: self.clock.advance(10)), [(LogLevel.error, 2)])
        self.assertEqual(self.memberships.pending_downloads("s"), 1)
        self.memberships.joined(INFO_HASH, member("a", 0, uploaded=2))
        self.trouble = None
        self.clock.advance(10)
        self.assertEqual(self.rows("SELECT uploaded, completed FROM membership"), [(2, 1)])
        self.assertEqual(self.rows("SELECT completed FROM swarm"), [(1,)])
        self.assertEqual(self.memberships.all_pending_downloads(), 0)

    def test_f91_disk_full(self) -> None:
        """A full disk is such a trouble: who asks meanwhile is answered with what is there."""
        self.trouble = DiskFull("full")
        self.memberships.joined(INFO_HASH, member("a"))
        told = self.told(lambda: self.assertEqual(self.successResultOf(self.catalogue.torrents.newest()), []))
        self.assertEqual(told, [(LogLevel.error, 1)])
        self.trouble = None

    def test_not_early_while_in_trouble(self) -> None:
        """While writes fail, many facts wait for the round; one attempt for each fact would be too many."""
        self.memberships._pace = Pace(early=2)
        self.trouble = StorageError("locked")
        told = self.told(lambda: [self.memberships.joined(INFO_HASH, member(peer_id)) for peer_id in "abcdef"])
        self.assertEqual(told, [(LogLevel.error, 2)])
        self.trouble = None

    def test_a_bug_of_ours(self) -> None:
        """Facts that can never be written are told as a failure and given up; later ones are written."""
        self.trouble = ValueError("bug")
        self.memberships.joined(INFO_HASH, member("a"))
        self.assertEqual(self.told(lambda: self.clock.advance(10)), [(LogLevel.critical, 1)])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.trouble = None
        self.memberships.joined(INFO_HASH, member("b", at=TODAY))
        self.clock.advance(10)
        self.assertEqual(self.rows("SELECT peer_id FROM membership"), [("b",)])
