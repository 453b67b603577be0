"""Tests for knowing which files are whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.bitfield import Bitfield
from p2pshare.geometry import Geometry
from p2pshare.storage.tally import FileTally


class FileTallyTests(SynchronousTestCase):
    """Which files are whole."""

    @given(st.lists(st.integers(0, 30), min_size=1, max_size=10), st.integers(1, 20), st.data())
    def test_agrees_with_counting(self, lengths: list[int], piece_length: int, data: st.DataObject) -> None:
        """After any gains and losses a file is whole exactly when all its pieces are there."""
        geometry = Geometry(piece_length, tuple(lengths))
        have = Bitfield(geometry.num_pieces)
        tally = FileTally(geometry)
        for _ in range(data.draw(st.integers(0, 20)) if geometry.num_pieces else 0):
            piece = data.draw(st.integers(0, geometry.num_pieces - 1))
            if piece in have:
                have.discard(piece)
                tally.lost(piece)
            else:
                have.add(piece)
                finished = tally.got(piece)
                self.assertLessEqual(set(finished), set(geometry.files_of(piece)))
        whole = [file for file in range(len(lengths)) if all(piece in have for piece in geometry.pieces_of(file))]
        self.assertEqual(tally.whole(), whole)
        again = FileTally(geometry)
        again.count(have)
        self.assertEqual(again.whole(), whole)
