"""Tests of p2pshare.faces.times."""

from __future__ import annotations

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.faces.times import rfc3339


class TimeTests(SynchronousTestCase):
    """Points in time as text."""

    def test_written(self) -> None:
        """A time is written in UTC, with as many digits whatever it is."""
        self.assertEqual(rfc3339(0), "1970-01-01T00:00:00.000000Z")
        self.assertEqual(rfc3339(1.7e9 + 0.25), "2023-11-14T22:13:20.250000Z")

    @given(st.floats(0, 4e9))
    def test_read_again(self, seconds: float) -> None:
        """Whoever reads it gets the same time, to the microsecond."""
        self.assertLess(abs(datetime.fromisoformat(rfc3339(seconds)).timestamp() - seconds), 1e-6)
