from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.bitfield import Bitfield
from p2pshare.policy.picker import PiecePicker, make_picker
from tests.policy.peers import bits

SIZE = 10
SETS = st.sets(st.integers(0, SIZE - 1))


def started(name: str = "rarest", size: int = SIZE, held: int = 4) -> PiecePicker:
    """A picker past its first pieces: the last ones are held."""
    picker = make_picker(name, size, Random(0))
    for piece in range(size - held, size):
        picker.done(piece)
    return picker


class PiecePickerTests(SynchronousTestCase):
    """The picker names free pieces, rare ones first."""

    def test_rarest_first(self) -> None:
        """The free piece with the fewest copies comes first, then the next."""
        picker = started()
        picker.joined(bits(SIZE, [0, 1, 2]))
        picker.joined(bits(SIZE, [0, 1]))
        picker.joined(bits(SIZE, [0]))
        picked = []
        for _ in range(3):
            piece = picker.pick(bits(SIZE, [0, 1, 2]))
            assert piece is not None
            picker.take(piece)
            picked.append(piece)
        self.assertEqual(picked, [2, 1, 0])
        self.assertIsNone(picker.pick(bits(SIZE, [0, 1, 2])))

    def test_haves_and_departures_change_the_order(self) -> None:
        """A piece that others get is less rare, one that leaves with its peer is rarer."""
        picker = started()
        leaver = bits(SIZE, [0])
        for has in (leaver, bits(SIZE, [0, 1])):
            picker.joined(has)
        offered = bits(SIZE, [0, 1])
        self.assertEqual(picker.pick(offered), 1)
        picker.got_have(1)
        picker.got_have(1)
        self.assertEqual(picker.pick(offered), 0)
        self.assertEqual([picker.copies(0), picker.copies(1)], [2, 3])
        picker.left(leaver)
        self.assertEqual(picker.copies(0), 1)

    def test_first_pieces_are_random(self) -> None:
        """Until four pieces are held the choice does not look at copies; from then on it does."""
        everything = Bitfield.full(SIZE)
        picker = make_picker("rarest", SIZE, Random(0))
        picker.joined(bits(SIZE, range(1, SIZE)))  # piece 0 is rare
        picker.joined(everything)
        for held in range(4):
            self.assertGreater(len({picker.pick(everything) for _ in range(60)}), 3, f"{held} pieces held")
            picker.done(9 - held)
        self.assertEqual({picker.pick(everything) for _ in range(60)}, {0})

    def test_seeds_make_nothing_rarer(self) -> None:
        """A seed counts as a copy of each piece, whether it came as one or became one."""
        picker = started()
        picker.joined(Bitfield.full(SIZE))
        became = bits(SIZE, range(SIZE - 1))
        picker.joined(became)
        became.add(SIZE - 1)
        picker.got_have(SIZE - 1)
        self.assertEqual([picker.copies(piece) for piece in range(SIZE)], [2] * SIZE)
        picker.left(became)
        picker.left(Bitfield.full(SIZE))
        self.assertEqual([picker.copies(piece) for piece in range(SIZE)], [0] * SIZE)

    def test_sequential(self) -> None:
        """In order of the content the lowest free piece that is offered comes first, under both of its names."""
        for name in ("sequential", "first"):
            picker = make_picker(name, SIZE, Random(0))
            picker.joined(bits(SIZE, range(3, SIZE)))
            picked = []
            while (piece := picker.pick(bits(SIZE, [1, 3, 4, 8]))) is not None:
                picker.take(piece)
                picked.append(piece)
            self.assertEqual(picked, [1, 3, 4, 8])

    def test_random(self) -> None:
        """In random order a rare piece is as likely as a common one."""
        picker = started("random")
        picker.joined(bits(SIZE, range(1, SIZE)))
        picked = [picker.pick(Bitfield.full(SIZE)) for _ in range(600)]
        self.assertEqual(set(picked), set(range(6)))
        self.assertTrue(all(60 < picked.count(piece) < 140 for piece in range(6)))

    def test_a_piece_given_back_is_picked_again(self) -> None:
        """A piece that was taken and given back is free, one that is done never."""
        picker = started(held=4)
        only = bits(SIZE, [2])
        picker.take(2)
        self.assertIsNone(picker.pick(only))
        picker.give_back(2)
        self.assertEqual(picker.pick(only), 2)
        picker.take(2)
        picker.done(2)
        self.assertIsNone(picker.pick(only))

    def test_has_free(self) -> None:
        """Something is free until every piece is taken or done."""
        picker = make_picker("rarest", 2, Random(0))
        self.assertTrue(picker.has_free)
        picker.take(0)
        picker.done(1)
        self.assertFalse(picker.has_free)

    def test_unknown_strategy(self) -> None:
        """A strategy nobody has heard of is refused."""
        self.assertRaises(KeyError, make_picker, "luckiest", SIZE, Random(0))

    @given(st.sampled_from(["rarest", "first", "random"]), st.lists(SETS, max_size=6), SETS, SETS, SETS)
    @settings(max_examples=150, deadline=None)
    def test_never_none_while_a_free_piece_is_offered(
        self, name: str, fields: list[set[int]], offered: set[int], taken: set[int], held: set[int]
    ) -> None:
        """It names a free offered piece exactly when there is one, and then one of the rarest."""
        picker = make_picker(name, SIZE, Random(0))
        for pieces in fields:
            picker.joined(bits(SIZE, pieces))
        for piece in held:
            picker.done(piece)
        for piece in taken - held:
            picker.take(piece)
        candidates = offered - taken - held
        picked = picker.pick(bits(SIZE, offered))
        if not candidates:
            self.assertIsNone(picked)
            return
        assert picked is not None
        self.assertIn(picked, candidates)
        if name == "rarest" and len(held) >= 4:
            self.assertEqual(picker.copies(picked), min(map(picker.copies, candidates)))

    def test_large_torrent(self) -> None:
        """Among 100,000 pieces a peer with one free piece in a far corner gets it picked."""
        size = 100_000
        picker = started("rarest", size)
        for share in (2, 3, 5):
            picker.joined(bits(size, range(0, size, share)))
        far = bits(size, [size - 5, size - 1])  # the last four are held
        self.assertEqual(picker.pick(far), size - 5)
