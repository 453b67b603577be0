from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.policy.copies import MOST_LOOKED_AT, STRETCH, Copies


def as_int(pieces: set[int]) -> int:
    """A set of pieces as one integer."""
    return sum(1 << piece for piece in pieces)


def members(bits: int) -> set[int]:
    """The pieces of such an integer."""
    return {place for place in range(bits.bit_length()) if bits >> place & 1}


SIZE = 12
SETS = st.sets(st.integers(0, SIZE - 1))


class CopiesTests(SynchronousTestCase):
    """Counting by digits gives what counting by pieces gives."""

    def assert_counts(self, copies: Copies, expected: Counter[int]) -> None:
        self.assertEqual([copies.of(piece) for piece in range(copies.size)], [expected[p] for p in range(copies.size)])

    @given(st.lists(SETS, max_size=40), st.data())
    @settings(max_examples=100, deadline=None)
    def test_counts_what_came_and_went(self, fields: list[set[int]], data: st.DataObject) -> None:
        """After any peers have come and some have gone, each piece has as many copies as peers hold it."""
        copies, expected = Copies(SIZE), Counter[int]()
        for pieces in fields:
            copies.add(as_int(pieces))
            expected.update(pieces)
        for pieces in data.draw(st.permutations(fields))[: len(fields) // 2]:
            copies.remove(as_int(pieces))
            expected.subtract(pieces)
        self.assert_counts(copies, expected)
        candidates = data.draw(SETS.filter(bool))
        first, least = copies.rarest(as_int(candidates), Random(0))
        fewest = min(expected[piece] for piece in candidates)
        self.assertEqual((first, members(least)), (0, {p for p in candidates if expected[p] == fewest}))

    def test_one_more(self) -> None:
        """A piece that a peer got after it joined counts."""
        copies = Copies(SIZE)
        for _ in range(5):
            copies.add_one(3)
        self.assert_counts(copies, Counter({3: 5}))

    def test_seeds(self) -> None:
        """Seeds count for every piece."""
        copies = Copies(SIZE)
        copies.add_seed()
        copies.add_seed()
        copies.add_one(2)
        copies.remove_seed()
        self.assert_counts(copies, Counter({**dict.fromkeys(range(SIZE), 1), 2: 2}))

    def test_a_leech_that_became_a_seed_leaves(self) -> None:
        """A peer that got its pieces one by one takes all of them along when it leaves."""
        copies = Copies(SIZE)
        copies.add(as_int({0, 1}))
        for piece in range(2, SIZE):
            copies.add_one(piece)
        copies.add(as_int({5}))
        copies.remove_seed()
        self.assert_counts(copies, Counter({5: 1}))

    def test_many_stretches(self) -> None:
        """A torrent of more than 16,384 pieces is counted across its stretches."""
        size = 3 * STRETCH + 100
        copies = Copies(size)
        pieces = {0, STRETCH - 1, STRETCH, 2 * STRETCH + 7, size - 1}
        copies.add(as_int(pieces))
        copies.add_one(STRETCH)
        copies.add_seed()
        self.assertEqual([copies.of(piece) for piece in sorted(pieces)], [2, 2, 3, 2, 2])
        self.assertEqual(copies.of(1), 1)
        copies.remove(as_int(pieces))
        self.assertEqual([copies.of(piece) for piece in sorted(pieces)], [1, 1, 2, 1, 1])

    def test_the_rarest_of_many_stretches(self) -> None:
        """A rare piece among many stretches is found by one of a few picks, and only then the less rare ones."""
        size = 5 * STRETCH
        copies = Copies(size)
        copies.add((1 << size) - 1)
        copies.remove(1 << (3 * STRETCH + 5))
        everything = (1 << size) - 1
        found = Counter(copies.rarest(everything, Random(seed)) == (3 * STRETCH, 32) for seed in range(100))
        self.assertGreater(found[True], 100 * MOST_LOOKED_AT // 5 // 2)

    def test_stretches_are_compared_by_copies(self) -> None:
        """Of two stretches the one with the lower counter has the rarest piece, wherever the search begins."""
        copies = Copies(2 * STRETCH)
        for _ in range(4):
            copies.add_one(1)
        for _ in range(3):
            copies.add_one(STRETCH + 1)
        for seed in range(20):
            self.assertEqual(copies.rarest(1 << 1 | 1 << (STRETCH + 1), Random(seed)), (STRETCH, 2))

    def test_a_candidate_in_any_stretch_is_found(self) -> None:
        """The only candidate is found wherever the search begins."""
        copies = Copies(5 * STRETCH)
        for seed in range(20):
            self.assertEqual(copies.rarest(1 << (2 * STRETCH + 9), Random(seed)), (2 * STRETCH, 1 << 9))

    def test_no_pieces(self) -> None:
        """A torrent without pieces can be counted too."""
        copies = Copies(0)
        copies.add(0)
        copies.add_seed()
        copies.remove_seed()
        copies.remove(0)
