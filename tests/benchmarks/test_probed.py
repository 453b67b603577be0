"""The probe in the reactor."""

from __future__ import annotations

import sys

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.probed import PERIOD, Probe, where


class ProbeTests(SynchronousTestCase):
    """Probe"""

    def setUp(self) -> None:
        self.clock = Clock()
        self.probe = Probe(self.clock.callLater, self.clock.seconds)
        self.probe.start()

    def lateness(self) -> list[float]:
        """What it has seen, in periods."""
        return [round(late / PERIOD, 3) for _, late in self.probe.samples]

    def test_a_punctual_reactor_is_not_late(self) -> None:
        """A timer that comes when it is due is not late."""
        for _ in range(3):
            self.clock.advance(PERIOD)
        self.assertEqual([late for late in self.lateness() if late > 0.001], [])
        self.assertEqual(len(self.lateness()), 3)

    def test_every_moment_of_a_stall_counts(self) -> None:
        """Whoever came in the middle of a stall waited for the rest of it: one long stall is many late moments."""
        self.clock.advance(4.5 * PERIOD)
        self.assertEqual(self.lateness(), [3.5, 2.5, 1.5, 0.5])

    def test_it_goes_on_after_a_stall(self) -> None:
        """After a stall the timer is due when it would have been without."""
        self.clock.advance(4.5 * PERIOD)
        self.clock.advance(0.6 * PERIOD)
        self.assertEqual(self.lateness()[4:], [0.1])


class WhereTests(SynchronousTestCase):
    """where()"""

    def test_code_of_others_is_elsewhere(self) -> None:
        """Only functions of ours and of the reactor are named."""
        self.assertEqual(where(sys._getframe()), "elsewhere")
