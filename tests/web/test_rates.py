"""Tests of p2pshare.web.rates."""

from __future__ import annotations

from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.web import rates
from p2pshare.web.rates import RateLimit


class RateLimitTests(SynchronousTestCase):
    """A bucket of tokens for each group."""

    def test_burst_then_rate(self) -> None:
        """After a burst of 3 there is one more every half second."""
        limit = RateLimit(2, 3)
        self.assertEqual([limit.take("a", 10.0) for _ in range(4)], [0, 0, 0, 0.5])
        self.assertEqual([limit.take("a", 10.5), limit.take("a", 10.5)], [0, 0.5])
        self.assertEqual([limit.take("a", 100.0) for _ in range(4)], [0, 0, 0, 0.5])

    def test_groups_are_apart(self) -> None:
        """What one group took is not missed by another."""
        limit = RateLimit(1, 1)
        self.assertEqual([limit.take("a", 0), limit.take("b", 0), limit.take("a", 0)], [0, 0, 1])

    @given(st.lists(st.floats(0, 2), min_size=1, max_size=60), st.floats(0.1, 10), st.integers(1, 10))
    def test_never_more_than_promised(self, steps: list[float], rate: float, burst: int) -> None:
        """In any stretch of time at most burst + rate x time are let through."""
        limit, now, taken = RateLimit(rate, burst), 1000.0, []
        for step in steps:
            now += step
            if not limit.take("a", now):
                taken.append(now)
        for first, start in enumerate(taken):
            for last in range(first, len(taken)):
                self.assertLessEqual(last - first + 1, burst + rate * (taken[last] - start) + 1e-6)

    def test_f67_memory_is_bounded(self) -> None:
        """With more groups than are remembered, full buckets are forgotten first, and in the worst case all."""
        with mock.patch.object(rates, "REMEMBERED", 10):
            limit = RateLimit(1, 2)
            for group in range(9):
                limit.take(str(group), 0.0)
            limit.take("late", 5.0)
            limit.take("later", 5.0)
            self.assertEqual(sorted(limit._full_at), ["late", "later"])
            for group in range(1000):
                limit.take(str(group), 5.0)
                self.assertLessEqual(len(limit._full_at), 10)
