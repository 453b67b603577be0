"""Tests of p2pshare.web.spawn."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.web.spawn import Background


class BackgroundTests(SynchronousTestCase):
    """Coroutines that nobody waits for."""

    def setUp(self) -> None:
        self.background = Background()
        self.waiting: Deferred[str] = Deferred()
        self.ended: list[str] = []

    async def work(self) -> None:
        """Wait, and note how it ends."""
        try:
            self.ended.append(await self.waiting)
        except CancelledError:
            self.ended.append("cancelled")
            raise

    async def fail(self) -> None:
        """Break."""
        raise ValueError("broken")

    def test_known_while_it_runs(self) -> None:
        """What runs is known until it ends."""
        running = self.background.spawn(self.work(), "work")
        self.assertEqual(len(self.background), 1)
        self.assertNoResult(running)
        self.waiting.callback("done")
        self.assertIsNone(self.successResultOf(running))
        self.assertEqual((self.ended, len(self.background)), (["done"], 0))

    def test_failure(self) -> None:
        """What fails is in the log with its name, and counted; the one who started it need not care."""
        self.assertIsNone(self.successResultOf(self.background.spawn(self.fail(), "the sweep")))
        self.assertEqual(self.background.failed, 1)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_cancelled(self) -> None:
        """One can be ended early; that is no failure."""
        running = self.background.spawn(self.work(), "work")
        running.cancel()
        self.assertIsNone(self.successResultOf(running))
        self.assertEqual((self.ended, self.background.failed), (["cancelled"], 0))

    def test_stop(self) -> None:
        """At the end all are cancelled and waited for, and nothing new begins."""
        closing: Deferred[None] = Deferred()

        async def tidy() -> None:
            try:
                await self.work()
            except CancelledError:
                await closing

        self.background.spawn(tidy(), "tidy")
        stopped = self.background.stop()
        self.assertEqual(self.ended, ["cancelled"])
        self.assertNoResult(stopped)
        closing.callback(None)
        self.assertIsNone(self.successResultOf(stopped))
        self.assertIsNone(self.successResultOf(self.background.spawn(self.work(), "work")))
        self.assertEqual((self.ended, len(self.background)), (["cancelled"], 0))
