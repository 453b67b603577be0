"""Where the bytes of a torrent lie: pieces, blocks and files are three rulers along one line of bytes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate

from attrs import field, frozen, validators

BLOCK_SIZE = 16384  # BEP 3: everybody asks for 16 KiB, and larger requests get the connection closed


@frozen
class FileSpan:
    """A run of bytes inside one file."""

    file: int
    offset: int
    length: int


@frozen
class Geometry:
    """
    The lengths a torrent fixes, and the arithmetic on them. Knows no name, no hash and no disk.

    The files follow each other without gaps (BEP 3, "info dictionary"). Pieces of ``piece_length`` cut that line,
    blocks, of 16 KiB as a rule, cut each piece; the last piece may be short, and so may the last block of any piece.
    """

    piece_length: int = field()
    file_lengths: tuple[int, ...] = field()
    pads: frozenset[int] = field(default=frozenset())  # files of zeros that only align the next one (BEP 47)
    block_size: int = field(default=BLOCK_SIZE, validator=validators.ge(1))  # dialects without blocks: a whole piece

    total_length: int = field(init=False, eq=False, repr=False)
    num_pieces: int = field(init=False, eq=False, repr=False)
    blocks_per_piece: int = field(init=False, eq=False, repr=False)  # of a full piece
    _last: int = field(init=False, eq=False, repr=False)  # index of the last piece, -1 when there is none
    _last_size: int = field(init=False, eq=False, repr=False)  # its bytes
    # A search by byte must never find an empty file, so these two leave them out. They run in parallel.
    _holders: tuple[int, ...] = field(init=False, eq=False, repr=False)  # files that have bytes
    _starts: tuple[int, ...] = field(init=False, eq=False, repr=False)  # where each begins on the line, rising

    @piece_length.validator
    def _check_piece_length(self, _: object, piece_length: int) -> None:
        if piece_length < 1:
            raise ValueError(f"piece length {piece_length}, at least 1 is expected")

    @file_lengths.validator
    def _check_file_lengths(self, _: object, lengths: tuple[int, ...]) -> None:
        if min(lengths, default=0) < 0:
            raise ValueError(f"file {lengths.index(min(lengths))} of {min(lengths)} bytes")

    @pads.validator
    def _check_pads(self, _: object, pads: frozenset[int]) -> None:
        if not all(0 <= file < len(self.file_lengths) for file in pads):
            raise ValueError(f"pad files {sorted(pads)} among {len(self.file_lengths)} files")

    @total_length.default
    def _add_up(self) -> int:
        return sum(self.file_lengths)

    @num_pieces.default
    def _count_pieces(self) -> int:
        return -(-self.total_length // max(self.piece_length, 1))  # 0 gets its own answer from the validator

    @blocks_per_piece.default
    def _count_blocks(self) -> int:
        return -(-self.piece_length // self.block_size)

    @_last.default
    def _find_last(self) -> int:
        return self.num_pieces - 1

    @_last_size.default
    def _measure_last(self) -> int:
        return self.total_length - self._last * self.piece_length

    @_holders.default
    def _find_holders(self) -> tuple[int, ...]:
        return tuple(file for file, length in enumerate(self.file_lengths) if length)

    @_starts.default
    def _find_starts(self) -> tuple[int, ...]:
        ends = list(accumulate(self.file_lengths))
        return tuple(ends[file] - self.file_lengths[file] for file in self._holders)

    def piece_size(self, piece: int) -> int:
        """
        Count the bytes of a piece.

        :raise IndexError: there is no such piece.
        """
        if not 0 <= piece <= self._last:
            raise IndexError(f"piece {piece} of {self.num_pieces}")
        return self.piece_length if piece < self._last else self._last_size

    def num_blocks(self, piece: int) -> int:
        """
        Count the blocks of a piece.

        :raise IndexError: there is no such piece.
        """
        return -(-self.piece_size(piece) // self.block_size)

    def block_length(self, piece: int, block: int) -> int:
        """
        Count the bytes of a block: ``block_size``, or less for the last one of a piece.

        :raise IndexError: there is no such piece or block.
        """
        left = self.piece_size(piece) - block * self.block_size
        if left <= 0 or block < 0:
            raise IndexError(f"block {block} of {self.num_blocks(piece)} in piece {piece}")
        return min(left, self.block_size)

    def spans(self, piece: int, begin: int, length: int) -> list[FileSpan]:
        """
        Find the files, in order, that ``length`` bytes of a piece from ``begin`` on lie in.

        Empty files never appear; pad files do.

        :raise IndexError: the piece has not these bytes.
        """
        if begin < 0 or length < 0 or begin + length > self.piece_size(piece):
            raise IndexError(f"{length} bytes from {begin} of the {self.piece_size(piece)} in piece {piece}")
        starts, holders, lengths = self._starts, self._holders, self.file_lengths
        position = piece * self.piece_length + begin
        place = bisect_right(starts, position) - 1
        found = []
        while length:
            file = holders[place]
            offset = position - starts[place]
            run = lengths[file] - offset
            if run > length:
                run = length
            found.append(FileSpan(file, offset, run))
            position += run
            length -= run
            place += 1
        return found

    def pieces_of(self, file: int) -> range:
        """
        Name the pieces that have bytes of a file: none when it is empty.

        :raise IndexError: there is no such file.
        """
        if not 0 <= file < len(self.file_lengths):
            raise IndexError(f"file {file} of {len(self.file_lengths)}")
        if not self.file_lengths[file]:
            return range(0)
        start = self._starts[bisect_left(self._holders, file)]
        end = start + self.file_lengths[file]
        return range(start // self.piece_length, (end - 1) // self.piece_length + 1)

    def files_of(self, piece: int) -> range:
        """
        Name the files that have bytes in a piece, and with them the empty files that lie between.

        :raise IndexError: there is no such piece.
        """
        end = piece * self.piece_length + self.piece_size(piece)
        first = bisect_right(self._starts, piece * self.piece_length) - 1
        last = bisect_left(self._starts, end, first) - 1
        return range(self._holders[first], self._holders[last] + 1)
