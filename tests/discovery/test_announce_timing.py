"""Tests of the waits between announces."""

from __future__ import annotations

import math
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.discovery.announce_timing import AnnouncerSettings, pause, regular_wait, shortest_wait
from p2pshare.wire.announce import AnnounceResponse

EXACT = AnnouncerSettings(jitter=0.0)
DAY = 86400.0


class RegularWaitTests(SynchronousTestCase):
    """The wait after an answer."""

    def wait(self, interval: int, min_interval: int | None = None, settings: AnnouncerSettings = EXACT) -> float:
        """Give the wait after one answer."""
        return regular_wait(AnnounceResponse(interval, min_interval), settings, Random(0))

    def test_the_tracker_decides(self) -> None:
        """The interval is the tracker's, where it is within reason."""
        self.assertEqual(self.wait(1800), 1800)

    def test_f86_clamped(self) -> None:
        """Intervals are moved into one minute to one day, whatever the tracker says."""
        for interval, wait in ((0, 60), (-1, 60), (59, 60), (60, 60), (86400, DAY), (86401, DAY), (2**31, DAY)):
            self.assertEqual(self.wait(interval), wait)

    def test_min_interval_counts(self) -> None:
        """The wait is never shorter than the tracker's minimum, itself at most a day."""
        self.assertEqual(self.wait(100, 300), 300)
        self.assertEqual(self.wait(100, 2**31), DAY)

    def test_s1_18_one_second_can_be_configured(self) -> None:
        """With a minimum of one second, a tracker's small interval is taken as it is."""
        self.assertEqual(self.wait(2, None, AnnouncerSettings(min_interval=1.0, jitter=0.0)), 2)
        self.assertRaises(ValueError, AnnouncerSettings, min_interval=0.5)

    @given(st.integers(-5, 2**31), st.none() | st.integers(0, 2**31), st.integers(0, 99))
    def test_f86_jitter(self, interval: int, min_interval: int | None, seed: int) -> None:
        """Chance moves the wait by at most a tenth, and never below a minimum or above a day."""
        answer = AnnounceResponse(interval, min_interval)
        wait = regular_wait(answer, AnnouncerSettings(), Random(seed))
        exact = min(max(interval, 60), DAY)
        self.assertTrue(shortest_wait(answer, EXACT) <= wait <= DAY)
        self.assertTrue(exact * 0.9 <= wait <= max(exact * 1.1, shortest_wait(answer, EXACT)))

    def test_jitter_spreads(self) -> None:
        """Peers that came together do not come together again."""
        random = Random(0)
        waits = {regular_wait(AnnounceResponse(1800), AnnouncerSettings(), random) for _ in range(100)}
        self.assertEqual(len(waits), 100)
        self.assertTrue(min(waits) < 1640 and max(waits) > 1960)


class PauseTests(SynchronousTestCase):
    """The rest after a failure."""

    def test_f88_doubles_up_to_half_an_hour(self) -> None:
        """The rest begins with 15 seconds, doubles with each failure and ends at 30 minutes."""
        pauses = [pause(n, None, EXACT, Random(0)) for n in range(1, 11)]
        self.assertEqual(pauses, [15, 30, 60, 120, 240, 480, 960, 1800, 1800, 1800])
        self.assertEqual(pause(10**9, None, AnnouncerSettings(), Random(1)) // 1800, 0)

    def test_the_tracker_names_a_time(self) -> None:
        """What the tracker says (BEP 31) counts more than our rule, but not less than 15 seconds."""
        self.assertEqual(pause(9, 120.0, EXACT, Random(0)), 120)
        self.assertEqual(pause(1, math.inf, EXACT, Random(0)), math.inf)
        self.assertEqual(pause(1, 0.0, EXACT, Random(0)), 15)
