"""A few kills of a real download; benchmarks and nights run many more (python -m tests.system.crash)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.system.crash import run

KILLS = 30


class KillLoopTests(SynchronousTestCase):
    """A download that is killed, and others that rely on its word."""

    def test_f101_killed_again_and_again(self) -> None:
        """Whatever it said it has, the next process has, right on disk; and in the end it is all there."""
        toll = run(KILLS, seed=0, report=False)
        self.assertEqual(sum(toll.kills.values()), KILLS)
        self.assertGreater(toll.told, 0)
        self.assertEqual((toll.lost, toll.corrupt), (0, 0))
