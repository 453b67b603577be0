"""Tests for when pieces are made safe."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import StorageError
from p2pshare.storage.group_commit import GroupCommit


class GroupCommitTests(SynchronousTestCase):
    """When a commit is called for."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.begun: list[tuple[float, set[int], bool]] = []
        self.under_way: list[Deferred[None]] = []
        self.failures: list[Failure] = []
        self.commits = GroupCommit(
            self.clock, self.commit, self.failures.append, interval=1.0, amount=100, save_every=60.0
        )

    def commit(self, whole: frozenset[int], save: bool) -> Deferred[None]:
        """Begin a commit that ends when the test says so."""
        self.begun.append((self.clock.seconds(), set(whole), save))
        self.under_way.append(Deferred())
        return self.under_way[-1]

    def end(self, result: Any = None) -> None:
        """End the commit that is under way."""
        self.under_way.pop(0).callback(result)

    def test_after_a_second(self) -> None:
        """What was written is made safe a second later, all of it at once, and then there is rest."""
        self.commits.written(10)
        self.clock.advance(0.5)
        self.commits.written(10)
        self.assertEqual(self.begun, [])
        self.clock.advance(0.5)
        self.assertEqual(self.begun, [(1.0, set(), False)])
        self.end()
        self.clock.advance(5)
        self.assertEqual(len(self.begun), 1)

    def test_after_enough_bytes(self) -> None:
        """Many bytes do not wait for the second to pass."""
        self.commits.written(99)
        self.assertEqual(self.begun, [])
        self.commits.written(1)
        self.assertEqual(len(self.begun), 1)

    def test_file_that_lacks_something_after_all(self) -> None:
        """A file of which a piece is lost while it waits for the next commit is not named by it."""
        self.commits.written(1, [4])
        self.commits.written(1, [5, 6])
        self.commits.lack([6, 7])
        self.end()
        self.assertEqual([whole for _, whole, _ in self.begun], [{4}, {5}])

    def test_at_the_end_of_a_file(self) -> None:
        """A whole file is named at once."""
        self.commits.written(1, [4])
        self.assertEqual(self.begun, [(0.0, {4}, False)])

    def test_one_at_a_time(self) -> None:
        """What is written meanwhile goes into the next commit, which begins when this one ends."""
        self.commits.written(1, [1])
        self.commits.written(200, [2])
        self.commits.written(1, [3])
        self.assertEqual(len(self.begun), 1)
        self.end()
        self.assertEqual(self.begun[1:], [(0.0, {2, 3}, False)])

    def test_who_waits_is_told_of_a_commit_that_began_later(self) -> None:
        """A commit under way may have begun before the piece was written: whoever waits gets the next."""
        self.commits.written(1, [1])
        settled = self.commits.settled()
        self.end()
        self.assertNoResult(settled)
        self.end()
        self.successResultOf(settled)

    def test_snapshot_every_minute(self) -> None:
        """A snapshot is due a minute after the first news, also when nothing more is written."""
        self.commits.written(1)
        self.clock.advance(1)
        self.end()
        self.clock.advance(58)
        self.assertEqual(len(self.begun), 1)
        self.clock.advance(1)
        self.assertEqual(self.begun[1:], [(60.0, set(), True)])

    def test_news_do_not_wait_for_the_snapshot(self) -> None:
        """While a snapshot is a minute away, what is written is still safe in a second."""
        self.commits.written(1)
        self.clock.advance(1)
        self.end()
        self.commits.written(1)
        self.clock.advance(1)
        self.assertEqual(self.begun[1:], [(2.0, set(), False)])

    def test_f92_nothing_follows_a_failure_until_it_is_understood(self) -> None:
        """After a failure whoever waits hears of it, and nothing is committed until what was lost is known."""
        self.commits.written(1, [1, 2])
        settled = self.commits.settled()
        self.end(Failure(StorageError("input/output error")))
        self.failureResultOf(settled, StorageError)
        self.assertEqual(len(self.failures), 1)
        self.commits.written(500)
        self.clock.advance(5)
        self.assertEqual(len(self.begun), 1)
        self.commits.release([2])
        self.assertEqual(self.begun[1:], [(5.0, {2}, False)])

    def test_stopped(self) -> None:
        """After a stop nothing begins by itself, and who waits is still served."""
        self.commits.written(1)
        self.commits.stop()
        self.clock.advance(5)
        self.assertEqual(self.begun, [])
        settled = self.commits.settled()
        self.end()
        self.successResultOf(settled)
        self.assertEqual(self.clock.getDelayedCalls(), [])
