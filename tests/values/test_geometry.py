"""Tests of p2pshare.geometry."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.geometry import BLOCK_SIZE, FileSpan, Geometry
from tests.strategies import geometries


def line_of(geometry: Geometry) -> list[tuple[int, int]]:
    """Spell out the whole line: file and offset of every byte."""
    return [(file, offset) for file, length in enumerate(geometry.file_lengths) for offset in range(length)]


class PieceTests(SynchronousTestCase):
    """Pieces and blocks."""

    def test_short_last_piece(self) -> None:
        """The last piece holds what is left, and a torrent that ends with a full piece has no short one."""
        geometry = Geometry(32768, (100_000,))
        self.assertEqual((geometry.total_length, geometry.num_pieces, geometry.blocks_per_piece), (100_000, 4, 2))
        self.assertEqual([geometry.piece_size(piece) for piece in range(4)], [32768, 32768, 32768, 1696])
        self.assertEqual([geometry.num_blocks(piece) for piece in range(4)], [2, 2, 2, 1])
        self.assertEqual(Geometry(32768, (65536,)).piece_size(1), 32768)

    def test_block_lengths(self) -> None:
        """Blocks are 16 KiB but for the last of a piece, also when the piece length is no multiple."""
        geometry = Geometry(40_000, (90_000,))
        self.assertEqual([geometry.block_length(0, block) for block in range(3)], [BLOCK_SIZE, BLOCK_SIZE, 7232])
        self.assertEqual([geometry.block_length(2, block) for block in range(1)], [10_000])
        self.assertEqual(Geometry(1460, (3000,)).block_length(0, 0), 1460)
        self.assertEqual(Geometry(BLOCK_SIZE, (BLOCK_SIZE,)).block_length(0, 0), BLOCK_SIZE)

    @given(st.integers(1, 100_000), st.integers(1, 1_000_000))
    def test_blocks_fill_pieces_and_pieces_fill_the_torrent(self, piece_length: int, total: int) -> None:
        """No byte is left out or counted twice."""
        geometry = Geometry(piece_length, (total,))
        last = geometry.num_pieces - 1
        self.assertEqual(last * piece_length + geometry.piece_size(last), total)
        for piece in {0, last}:
            lengths = [geometry.block_length(piece, block) for block in range(geometry.num_blocks(piece))]
            self.assertEqual(sum(lengths), geometry.piece_size(piece))
            self.assertEqual(set(lengths[:-1]) - {BLOCK_SIZE}, set())
            self.assertRaises(IndexError, geometry.block_length, piece, len(lengths))

    def test_no_such_piece_or_block(self) -> None:
        """What is out of range is an error, never another piece counted from the end."""
        geometry = Geometry(32768, (100_000,))
        for piece in (-1, 4, 1 << 40):
            self.assertRaises(IndexError, geometry.piece_size, piece)
            self.assertRaises(IndexError, geometry.num_blocks, piece)
            self.assertRaises(IndexError, geometry.block_length, piece, 0)
            self.assertRaises(IndexError, geometry.files_of, piece)
            self.assertRaises(IndexError, geometry.spans, piece, 0, 1)
        for piece, block in [(0, 2), (0, -1), (3, 1), (3, -1)]:
            self.assertRaises(IndexError, geometry.block_length, piece, block)

    def test_nothing_at_all(self) -> None:
        """A torrent of empty files has no pieces."""
        for lengths in ((), (0,), (0, 0)):
            geometry = Geometry(16384, lengths)
            self.assertEqual((geometry.total_length, geometry.num_pieces), (0, 0))
            self.assertRaises(IndexError, geometry.piece_size, 0)
            self.assertRaises(IndexError, geometry.piece_size, -1)

    def test_impossible_lengths(self) -> None:
        """Pieces of no bytes, files of less than none and pads that are no files are refused."""
        for arguments in [(0, (5,)), (-16384, (5,)), (16384, (5, -1)), (16384, (5,), frozenset({1}))]:
            self.assertRaises(ValueError, Geometry, *arguments)


class FileTests(SynchronousTestCase):
    """Files along the line of pieces."""

    def test_piece_across_files(self) -> None:
        """A piece that spans files is cut at their borders; empty files do not appear, pad files do."""
        geometry = Geometry(100, (0, 150, 0, 0, 30, 20, 250, 0), pads=frozenset({5}))
        self.assertEqual(geometry.spans(0, 0, 100), [FileSpan(1, 0, 100)])
        self.assertEqual(geometry.spans(1, 0, 100), [FileSpan(1, 100, 50), FileSpan(4, 0, 30), FileSpan(5, 0, 20)])
        self.assertEqual(geometry.spans(1, 50, 30), [FileSpan(4, 0, 30)])
        self.assertEqual(geometry.spans(1, 79, 2), [FileSpan(4, 29, 1), FileSpan(5, 0, 1)])
        self.assertEqual(geometry.spans(4, 49, 1), [FileSpan(6, 249, 1)])
        self.assertEqual(geometry.files_of(1), range(1, 6))
        self.assertEqual(
            [geometry.pieces_of(file) for file in (0, 1, 4, 6)], [range(0), range(2), range(1, 2), range(2, 5)]
        )

    @given(geometries(), st.data())
    def test_spans_against_the_line(self, geometry: Geometry, data: st.DataObject) -> None:
        """Spans name the same bytes as the line spelled out does, each run as long as it can be."""
        piece = data.draw(st.integers(0, geometry.num_pieces - 1))
        begin = data.draw(st.integers(0, geometry.piece_size(piece)))
        length = data.draw(st.integers(0, geometry.piece_size(piece) - begin))
        start = piece * geometry.piece_length + begin
        spans = geometry.spans(piece, begin, length)
        named = [(span.file, offset) for span in spans for offset in range(span.offset, span.offset + span.length)]
        self.assertEqual(named, line_of(geometry)[start : start + length])
        self.assertEqual(len(spans), len({span.file for span in spans}))

    @given(geometries())
    def test_files_and_pieces_against_the_line(self, geometry: Geometry) -> None:
        """Which pieces a file has and which files a piece has is what the line spelled out says."""
        line, size = line_of(geometry), geometry.piece_length
        for file in range(len(geometry.file_lengths)):
            pieces = sorted({place // size for place, (owner, _) in enumerate(line) if owner == file})
            self.assertEqual(list(geometry.pieces_of(file)), pieces)
        for piece in range(geometry.num_pieces):
            owners = [owner for owner, _ in line[piece * size : piece * size + size]]
            self.assertEqual(geometry.files_of(piece), range(owners[0], owners[-1] + 1))

    def test_bytes_outside_the_piece(self) -> None:
        """A run that begins before, ends after or has a negative length is an error."""
        geometry = Geometry(100, (150,))
        for piece, begin, length in [(0, -1, 2), (0, 0, 101), (0, 100, 1), (1, 0, 51), (0, 5, -1)]:
            self.assertRaises(IndexError, geometry.spans, piece, begin, length)
        self.assertEqual(geometry.spans(1, 50, 0), [])

    def test_no_such_file(self) -> None:
        """A file out of range is an error, never another one counted from the end."""
        for file in (-1, 1):
            self.assertRaises(IndexError, Geometry(100, (150,)).pieces_of, file)

    def test_equal_by_what_was_given(self) -> None:
        """Two geometries of the same lengths are one value."""
        self.assertEqual(Geometry(100, (1, 2)), Geometry(100, (1, 2)))
        self.assertEqual(hash(Geometry(100, (1, 2))), hash(Geometry(100, (1, 2))))
        self.assertNotEqual(Geometry(100, (1, 2)), Geometry(100, (1, 2), frozenset({0})))
