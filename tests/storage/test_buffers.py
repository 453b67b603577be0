"""Tests for the memory of pieces that are not on disk yet."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.geometry import Geometry
from p2pshare.storage import buffers as storage_buffers
from p2pshare.storage.buffers import PieceBuffers


class PieceBuffersTests(SynchronousTestCase):
    """Memory that is used again."""

    def test_buffer_is_used_again(self) -> None:
        """While pieces are under way, a released buffer serves the next one."""
        buffers = PieceBuffers(Geometry(10, (35,)))
        buffers.put(0, 0, b"x")
        buffers.put(1, 0, b"x")
        first = buffers.seal(0).obj
        buffers.release(0)
        buffers.put(3, 0, b"12345")
        last = buffers.seal(3)
        self.assertIs(last.obj, first)
        self.assertEqual(bytes(last), b"12345")

    def test_peak_is_kept_for_a_while(self) -> None:
        """Buffers of a busy moment wait for the next one; those that a while of use never reached for are let go."""
        buffers = PieceBuffers(Geometry(10, (1000,)))
        for piece in range(10):
            buffers.put(piece, 0, b"x")
        for piece in range(8):
            buffers.discard(piece)
        self.assertEqual(len(buffers._spare), 8)
        self.patch(storage_buffers, "_WHILE", 200)
        for _ in range(20):
            buffers.put(20, 0, b"x")
            buffers.put(21, 0, b"x")
            buffers.discard(20)
            buffers.discard(21)
        self.assertEqual((len(buffers._spare), buffers.held), (2, 20))

    def test_nothing_is_kept_at_rest(self) -> None:
        """With no piece under way no memory is held."""
        buffers = PieceBuffers(Geometry(10, (100,)))
        for piece in range(10):
            buffers.put(piece, 0, b"x")
        buffers.discard_all()
        self.assertEqual((len(buffers._spare), buffers.held), (0, 0))
