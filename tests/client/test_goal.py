"""How long a finished torrent goes on giving."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.client.goal import FOREVER, NOTHING, SeedGoal, parse_goal
from p2pshare.errors import ConfigError

amounts = st.floats(min_value=0, max_value=1e12)


class SeedGoalTests(SynchronousTestCase):
    def test_ratio(self) -> None:
        """A ratio is reached by giving, not by waiting."""
        goal = SeedGoal(ratio=1.5)
        self.assertEqual([goal.is_reached(ratio, 1e9) for ratio in (0, 1.49, 1.5, 2)], [False, False, True, True])

    def test_time(self) -> None:
        """A time is reached by waiting, whatever was given."""
        goal = SeedGoal(seconds=600)
        self.assertEqual([goal.is_reached(99, seconds) for seconds in (0, 599, 600)], [False, False, True])

    def test_both(self) -> None:
        """Of two goals the first that is reached counts."""
        goal = SeedGoal(ratio=1, seconds=60)
        self.assertEqual([goal.is_reached(0, 0), goal.is_reached(1, 0), goal.is_reached(0, 60)], [False, True, True])

    @given(amounts, amounts)
    def test_ends(self, ratio: float, seconds: float) -> None:
        """Nothing is always enough for one goal, and no amount for the other."""
        self.assertTrue(NOTHING.is_reached(ratio, seconds))
        self.assertFalse(FOREVER.is_reached(ratio, seconds))


class ParseGoalTests(SynchronousTestCase):
    def test_written(self) -> None:
        """People write none, forever, a ratio or a time."""
        self.assertEqual(parse_goal("none"), NOTHING)
        self.assertEqual(parse_goal("forever"), FOREVER)
        self.assertEqual(parse_goal("ratio=1.5"), SeedGoal(ratio=1.5))
        self.assertEqual(parse_goal("time=10m"), SeedGoal(seconds=600.0))

    def test_anything_else(self) -> None:
        """Anything else is refused with what was given, numbers that are none included."""
        for text in (
            "",
            "never",
            "ratio",
            "ratio=",
            "ratio=x",
            "ratio=-1",
            "ratio=nan",
            "ratio=inf",
            "time=",
            "time=x",
        ):
            error = self.assertRaises(ConfigError, parse_goal, text)
            self.assertIn(repr(text), str(error))

    @given(st.text(max_size=20))
    def test_garbage(self, text: str) -> None:
        """No text makes it fail in another way."""
        try:
            parse_goal(text)
        except ConfigError:
            pass
