"""Which files of a torrent are whole, kept up to date piece by piece."""

from __future__ import annotations

from itertools import accumulate

from attrs import define, field

from p2pshare.bitfield import Bitfield
from p2pshare.geometry import Geometry


@define(eq=False)
class FileTally:
    """Counts for every file the pieces it still lacks. Knows no disk."""

    _geometry: Geometry
    _lacking: list[int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.count(Bitfield(self._geometry.num_pieces))

    def count(self, have: Bitfield) -> None:
        """Start over from a set of pieces."""
        size, pieces = self._geometry.piece_length, range(self._geometry.num_pieces)
        missing_before = list(accumulate((piece not in have for piece in pieces), initial=0))
        ends = accumulate(self._geometry.file_lengths)
        self._lacking = [
            missing_before[-(-end // size)] - missing_before[(end - length) // size] if length else 0
            for end, length in zip(ends, self._geometry.file_lengths, strict=True)
        ]

    def got(self, piece: int) -> list[int]:
        """
        Note that a piece is there.

        :return: the files it was the last to be lacked by.
        """
        return [file for file in self._add(piece, -1) if self.is_whole(file)]

    def lost(self, piece: int) -> None:
        """Note that a piece is not there any more."""
        self._add(piece, 1)

    def is_whole(self, file: int) -> bool:
        """Whether a file lacks nothing."""
        return not self._lacking[file]

    def whole(self) -> list[int]:
        """Name the files that lack nothing, empty ones among them."""
        return [file for file, lacking in enumerate(self._lacking) if not lacking]

    def _add(self, piece: int, change: int) -> list[int]:
        files = [file for file in self._geometry.files_of(piece) if self._geometry.file_lengths[file]]
        for file in files:
            self._lacking[file] += change
        return files
