"""Tests for the threads that do the waiting. These use real threads: they are what is tested."""

from __future__ import annotations

from queue import Empty
from threading import Event, current_thread

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import StorageError
from p2pshare.storage.workers import Workers
from tests.storage.fakes import PATIENCE, Crossing


class WorkersTests(SynchronousTestCase):
    """Jobs go in on the reactor's side and come out there, in few turns."""

    def setUp(self) -> None:
        self.reactor = Crossing()
        self.workers = Workers(self.reactor, limit=2, name="test")
        self.addCleanup(self._stop)

    def _stop(self) -> None:
        stopped = self.workers.stop()
        while not stopped.called:
            self.reactor.turn()

    def test_result_arrives_in_the_reactor_thread(self) -> None:
        """The function runs in a named thread of ours, and its result is there after one turn."""
        job = self.workers.run(lambda value: (value, current_thread().name), 7)
        self.assertNoResult(job)
        self.reactor.turn()
        self.assertEqual(self.successResultOf(job), (7, "test-0"))

    def test_error_arrives_too(self) -> None:
        """What the function raises is the failure of its Deferred."""
        job = self.workers.run(divmod, 1, 0)
        self.reactor.turn()
        self.failureResultOf(job, ZeroDivisionError)

    def test_no_thread_before_the_first_job(self) -> None:
        """A pool that nobody uses starts nothing, and stops at once."""
        self.successResultOf(self.workers.stop())
        self.assertTrue(self.reactor.is_quiet())

    def test_threads_start_as_needed_up_to_the_limit(self) -> None:
        """One job after the other shares a thread; many at once share as many as allowed."""
        names = set()
        for _ in range(3):
            job = self.workers.run(lambda: current_thread().name)
            self.reactor.turn()
            names.add(self.successResultOf(job))
        self.assertEqual(names, {"test-0"})
        gate = Event()
        jobs = [self.workers.run(lambda: (gate.wait(PATIENCE), current_thread().name)[1]) for _ in range(6)]
        gate.set()
        while not all(job.called for job in jobs):
            self.reactor.turn()
        self.assertLessEqual({self.successResultOf(job) for job in jobs}, {"test-0", "test-1"})

    def test_results_cross_together(self) -> None:
        """Whatever ends while the reactor has not yet woken up comes with the same turn."""
        ended = [Event() for _ in range(5)]
        jobs = [self.workers.run(event.set) for event in ended]
        last = self.workers.run(lambda: None)
        for event in ended:
            event.wait(PATIENCE)
        turns = 0
        while not (last.called and all(job.called for job in jobs)):
            self.reactor.turn()
            turns += 1
        # The reactor slept until all but the last were over: one wake-up for those, at most two for stragglers.
        self.assertLessEqual(turns, 3)

    def test_callback_may_start_more_work(self) -> None:
        """A job started while results are delivered runs as any other."""
        more = self.workers.run(lambda: 1).addCallback(lambda value: self.workers.run(lambda: value + 1))
        self.reactor.turn()
        self.reactor.turn()
        self.assertEqual(self.successResultOf(more), 2)

    def test_stop_waits_for_every_job(self) -> None:
        """Jobs accepted before stop are answered before it fires; jobs after it are refused."""
        gate = Event()
        jobs = [self.workers.run(gate.wait, PATIENCE) for _ in range(4)]
        stopped, again = self.workers.stop(), self.workers.stop()
        self.assertNoResult(stopped)
        self.failureResultOf(self.workers.run(lambda: None), StorageError)
        gate.set()
        while not stopped.called:
            self.assertFalse(all(job.called for job in jobs))
            self.reactor.turn()
        self.successResultOf(stopped)
        self.successResultOf(again)
        for job in jobs:
            self.assertTrue(self.successResultOf(job))
        self.assertRaises(Empty, self.reactor._calls.get_nowait)

    def test_cancelled_job_is_only_forgotten(self) -> None:
        """Cancelling stops the waiting, not the thread; nothing breaks when the result comes."""
        gate = Event()
        job = self.workers.run(gate.wait, PATIENCE)
        job.addErrback(lambda failure: None)
        job.cancel()
        gate.set()
        self.reactor.turn()
        self.assertIsNone(self.successResultOf(job))
