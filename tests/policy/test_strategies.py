from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.policy.copies import Copies
from p2pshare.policy.strategies import STRATEGIES, draw, lowest, rarest


class DrawTests(SynchronousTestCase):
    """draw() names a member, each as likely as the others."""

    @given(st.sets(st.integers(0, 9000), min_size=1, max_size=30), st.integers(0, 1000))
    @settings(max_examples=200, deadline=None)
    def test_names_a_member(self, pieces: set[int], seed: int) -> None:
        """Whatever the set, one of it is named."""
        self.assertIn(draw(sum(1 << piece for piece in pieces), Random(seed)), pieces)

    def test_every_member_is_as_likely(self) -> None:
        """Of eight scattered pieces each comes up about every eighth time (chi-square below p = 0.001)."""
        pieces = [0, 1, 2, 3, 64, 500, 501, 1900]
        random = Random(0)
        drawn = Counter(draw(sum(1 << piece for piece in pieces), random) for _ in range(800))
        self.assertEqual(set(drawn), set(pieces))
        self.assertLess(sum((drawn[piece] - 100) ** 2 / 100 for piece in pieces), 24.3)

    def test_s4_8_the_first_request_varies(self) -> None:
        """Over 200 runs with eight equal candidates, each is asked for first now and then."""
        drawn = Counter(draw(0xFF, Random(seed)) for seed in range(200))
        self.assertEqual(set(drawn), set(range(8)))
        self.assertLess(sum((drawn[piece] - 25) ** 2 / 25 for piece in range(8)), 24.3)

    def test_large_sets_are_drawn_from_all_over(self) -> None:
        """Of 20,000 pieces, all quarters come up alike, and no piece comes up often."""
        random = Random(0)
        drawn = Counter(draw((1 << 20_000) - 1, random) for _ in range(2000))
        quarters = Counter(piece // 5000 for piece in drawn.elements())
        self.assertTrue(all(400 < quarters[quarter] < 600 for quarter in range(4)), quarters)
        self.assertLess(max(drawn.values()), 6)


class StrategyTests(SynchronousTestCase):
    """Each order names the piece it promises."""

    def test_names(self) -> None:
        """The four names that settings may use exist."""
        self.assertEqual(set(STRATEGIES), {"rarest", "first", "random", "sequential"})

    def test_lowest(self) -> None:
        """The order of the content begins with the lowest index."""
        self.assertEqual(lowest(0b101000, Copies(8), Random(0)), 3)

    def test_rarest(self) -> None:
        """The piece with the fewest copies comes first, equals in random order."""
        copies = Copies(8)
        copies.add(0b11111111)
        copies.add(0b11010111)
        self.assertEqual({rarest(0b1111_1110, copies, Random(seed)) for seed in range(50)}, {3, 5})
        self.assertEqual({rarest(0b0100_1010, copies, Random(seed)) for seed in range(50)}, {3})
