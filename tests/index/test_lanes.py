"""Tests of p2pshare.index.lanes; the threads are replaced by a list of jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import interfaces
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from p2pshare.errors import RequestRefused, StorageError
from p2pshare.index import lanes
from p2pshare.index.lanes import Busy, Lane


@implementer(interfaces.IReactorFromThreads)
class NoThreads:
    """The reactor, for which there is no other thread."""

    def callFromThread(self, callable: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        callable(*args, **kwargs)


class Jobs:
    """Stands in for a pool of threads: its jobs are done one by one when the test says so."""

    def __init__(self, **said: Any) -> None:
        self.said = said
        self.events: list[str] = []
        self.waiting: list[tuple[Any, ...]] = []

    def start(self) -> None:
        self.events.append("start")

    def stop(self) -> None:
        self.events.append("stop")

    def callInThreadWithCallback(self, onResult: Any, function: Any, *args: Any) -> None:
        self.waiting.append((onResult, function, args))

    def do_next(self) -> None:
        """Do the job that has waited longest."""
        answer, function, args = self.waiting.pop(0)
        try:
            result = function(*args)
        except Exception:
            answer(False, Failure())
        else:
            answer(True, result)


class LaneTests(SynchronousTestCase):
    """Lane"""

    def setUp(self) -> None:
        self.patch(lanes, "ThreadPool", Jobs)
        self.lane = Lane(NoThreads(), "index", longest=2)
        self.jobs: Any = self.lane._pool

    def test_in_order(self) -> None:
        """Jobs are begun in the order given, and each answer goes to whoever asked."""
        answers = [self.lane.run(int, digits) for digits in ("1", "2")]
        self.jobs.do_next()
        self.assertEqual(self.successResultOf(answers[0]), 1)
        self.assertNoResult(answers[1])
        self.jobs.do_next()
        self.assertEqual(self.successResultOf(answers[1]), 2)

    def test_busy(self) -> None:
        """When too many wait, one more is refused in words; when one is answered there is room again."""
        for _ in range(2):
            self.lane.run(int)
        refused = self.failureResultOf(self.lane.run(int), Busy)
        self.assertEqual(str(refused.value), "the index is busy: 2 requests wait already")
        self.assertTrue(refused.check(RequestRefused))
        self.jobs.do_next()
        self.assertNoResult(self.lane.run(int))

    def test_stopped(self) -> None:
        """Who stops waits for the answers to all that was accepted; nothing else is accepted."""
        answer = self.lane.run(int, "7")
        stopped = self.lane.stop()
        self.assertNoResult(stopped)
        self.assertEqual(str(self.failureResultOf(self.lane.run(int), StorageError).value), "the index has been closed")
        self.jobs.do_next()
        self.assertEqual(self.successResultOf(answer), 7)
        self.successResultOf(stopped)
        self.assertEqual(self.jobs.events, ["start", "stop"])

    def test_stopped_while_idle(self) -> None:
        """With nothing under way the end comes at once."""
        self.successResultOf(self.lane.stop())
        self.assertEqual(self.jobs.events, ["start", "stop"])

    def test_threads(self) -> None:
        """A lane has one thread unless more are asked for, and none that waits for work it does not have."""
        self.assertEqual(self.jobs.said, {"minthreads": 0, "maxthreads": 1, "name": "index"})
        other: Any = Lane(NoThreads(), "read", threads=2)._pool
        self.assertEqual(other.said["maxthreads"], 2)
        self.assertTrue(lanes._Daemon().daemon)

    def test_a_job_that_fails(self) -> None:
        """An error comes back as it is, and makes room."""
        failed: Deferred[Any] = self.lane.run(int, "x")
        self.jobs.do_next()
        self.failureResultOf(failed, ValueError)
        self.successResultOf(self.lane.stop())
