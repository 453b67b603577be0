"""Tests of p2pshare.course.roll_call."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.course.roll_call import REMIND, RollCall


class RollCallTests(SynchronousTestCase):
    """RollCall"""

    def setUp(self) -> None:
        self.clock = Clock()
        self.missed: list[set[int]] = []
        self.said: list[LogEvent] = []
        globalLogPublisher.addObserver(self.said.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.said.append)

    def call(self, *absent: int, wait: float | None = None) -> RollCall:
        """Begin to wait."""
        roll_call = RollCall(set(absent), self.clock, wait, self.missed.append)
        roll_call.start()
        return roll_call

    def test_reminders(self) -> None:
        """Once a minute it is told who is not here yet; nobody is missed without a limit."""
        self.call(3, 2, 1).came(1)
        self.clock.pump([REMIND] * 100)
        self.assertEqual([event["names"] for event in self.said], ["2, 3"] * 100)
        self.assertEqual(self.missed, [])

    def test_limit(self) -> None:
        """When the limit is reached those who have not come are missed, once."""
        self.call(1, 2, wait=REMIND + 30).came(2)
        self.clock.pump([REMIND, 29.0])
        self.assertEqual(self.missed, [])
        self.clock.advance(1)
        self.clock.advance(1000)
        self.assertEqual((self.missed, len(self.said), self.clock.getDelayedCalls()), ([{1}], 2, []))

    def test_all_here(self) -> None:
        """When everybody was here nobody is waited for, though somebody may leave; nor when it is stopped."""
        roll_call = self.call(1, wait=10.0)
        roll_call.came(1)
        roll_call.came(1)
        self.call(2, wait=10.0).stop()
        self.call(wait=10.0)
        self.clock.advance(1000)
        self.assertEqual((self.missed, self.said, self.clock.getDelayedCalls()), ([], [], []))
