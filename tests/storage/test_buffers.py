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

    def test_one_piece_at_a_time_takes_one_buffer(self) -> None:
        """Pieces that come and go one by one, each leaving nothing under way, never need a fresh buffer."""
        buffers = PieceBuffers(Geometry(256 * 1024, (1000 * 256 * 1024,)))
        made: dict[int, object] = {}  # kept, so that no address is used twice
        for piece in range(1000):
            buffers.put(piece, 0, b"x")
            buffer = buffers.seal(piece).obj
            made[id(buffer)] = buffer
            buffers.release(piece)
            if piece % 10 == 9:
                buffers.trim()
        self.assertEqual(len(made), 1)

    def test_burst_after_burst_takes_the_same_buffers(self) -> None:
        """As many buffers are made as are in use at once, however often the bursts come, trimmed in between or not."""
        buffers = PieceBuffers(Geometry(10, (10_000,)))
        made: dict[int, object] = {}
        for burst in range(100):
            for piece in range(8):
                buffers.put(piece, 0, b"x")
            for piece in range(8):
                buffer = buffers.seal(piece).obj
                made[id(buffer)] = buffer
                buffers.release(piece)
            if burst % 3 == 0:
                buffers.trim()
        self.assertEqual(len(made), 8)

    def test_trim_lets_go_of_what_nothing_reached_for(self) -> None:
        """Buffers of a busy moment wait for the next one; a trim later, only those in use meanwhile are left."""
        buffers = PieceBuffers(Geometry(10, (1000,)))
        for piece in range(10):
            buffers.put(piece, 0, b"x")
        for piece in range(8):
            buffers.discard(piece)
        buffers.trim()
        self.assertEqual(len(buffers._spare), 8)
        buffers.put(20, 0, b"x")
        buffers.put(21, 0, b"x")
        buffers.discard(20)
        buffers.discard(21)
        buffers.trim()
        self.assertEqual((len(buffers._spare), buffers.held), (2, 20))

    def test_nothing_is_kept_at_rest(self) -> None:
        """With no piece under way, two trims later no memory is held."""
        buffers = PieceBuffers(Geometry(10, (100,)))
        for piece in range(10):
            buffers.put(piece, 0, b"x")
        buffers.discard_all()
        buffers.trim()
        buffers.trim()
        self.assertEqual((len(buffers._spare), buffers.held), (0, 0))
