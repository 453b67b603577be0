"""Tests for the memory of pieces that are not on disk yet."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.geometry import Geometry
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

    def test_never_more_spare_than_used(self) -> None:
        """When fewer pieces are under way, memory is given back; at rest nothing is kept."""
        buffers = PieceBuffers(Geometry(10, (100,)))
        for piece in range(10):
            buffers.put(piece, 0, b"x")
        for piece in range(8):
            buffers.discard(piece)
        self.assertEqual((len(buffers._spare), buffers.held), (2, 20))
        buffers.discard_all()
        self.assertEqual((len(buffers._spare), buffers.held), (0, 0))
