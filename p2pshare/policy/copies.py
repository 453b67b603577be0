"""How many connected peers have each piece, and which pieces are rarest."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from attrs import define, field

# A set of this many pieces is an integer of 2 KiB: small enough that work on it stays in the CPU's first cache, large
# enough that hardly any torrent has more pieces.
STRETCH_BITS = 14
STRETCH = 1 << STRETCH_BITS
_WITHIN = STRETCH - 1  # of a piece's index: its place in its stretch
_WHOLE = (1 << STRETCH) - 1  # every piece of a stretch
MOST_LOOKED_AT = 2  # stretches searched for a rare piece: in torrents of up to 32,768 pieces, all


@define(eq=False)
class Counters:
    """
    One counter a piece. Knows pieces only as sets, and sets only as integers: bit ``i`` is piece ``i``.

    The counters are kept digit by digit across all pieces: one integer holds the ones' digits of every counter, one the
    twos', one the fours'. A peer with any number of pieces is then added in a few operations on whole sets, where a
    list of counters wants a step for each of its pieces; and the rarest of any set are found by keeping those with a 0
    from the highest digit downwards. (A table of pieces sorted by copies is as quick, until a peer comes that has none
    of the rare pieces: then it is looked through in vain.)
    """

    _everything: int
    # [k]: the pieces whose counter has digit k (worth 2**k) 0. The digits are kept as what they are not, because
    # adding as well as finding the rarest asks for the zeros.
    _zeros: list[int] = field(init=False, factory=list, repr=False)

    def add(self, pieces: int) -> None:
        """Count each of ``pieces`` once more."""
        zeros = self._zeros
        for place, zero in enumerate(zeros):
            if not pieces:
                return
            zeros[place] = zero ^ pieces
            pieces ^= pieces & zero  # carry: their digit was 1 before
        if pieces:
            zeros.append(self._everything ^ pieces)

    def remove(self, pieces: int) -> None:
        """Count each of ``pieces`` once less."""
        zeros = self._zeros
        for place, zero in enumerate(zeros):
            if not pieces:
                break
            zeros[place] = zero ^ pieces
            pieces &= zero  # borrow: their digit was 0 before
        assert not pieces, "fewer copies than none"

    def of(self, piece: int) -> int:
        """Read one counter."""
        bit = 1 << piece
        return sum(1 << place for place, zero in enumerate(self._zeros) if not zero & bit)

    def least(self, pieces: int) -> tuple[int, int]:
        """Find the lowest counter among ``pieces``, and which of them have it."""
        count = 0
        for zero in reversed(self._zeros):
            fewer = pieces & zero
            count += count
            if fewer:
                pieces = fewer
            else:
                count += 1
        return count, pieces


@define(eq=False)
class Copies:
    """
    How many of the connected peers have each piece. Knows no peer.

    The pieces are cut into stretches of 16,384, so that one more copy costs the same in a torrent of any size.
    """

    size: int
    _seeds: int = field(init=False, default=0)  # they make no piece rarer than another, so they are counted apart
    _stretches: list[Counters] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        everything = (1 << self.size) - 1
        self._stretches = [Counters(everything >> first & _WHOLE) for first in range(0, max(self.size, 1), STRETCH)]

    def add(self, pieces: int) -> None:
        """Count one more copy of each of ``pieces``: a set as one integer, bit ``i`` is piece ``i``."""
        for counters, part in self._cut(pieces):
            counters.add(part)

    def remove(self, pieces: int) -> None:
        """Count one copy less of each of ``pieces``."""
        for counters, part in self._cut(pieces):
            counters.remove(part)

    def add_one(self, piece: int) -> None:
        """Count one more copy of one piece."""
        self._stretches[piece >> STRETCH_BITS].add(1 << (piece & _WITHIN))

    def add_seed(self) -> None:
        """Count one more copy of every piece."""
        self._seeds += 1

    def remove_seed(self) -> None:
        """Count one copy less of every piece, whether that peer came with all of them or got them one by one."""
        if self._seeds:
            self._seeds -= 1
        else:
            self.remove((1 << self.size) - 1)

    def of(self, piece: int) -> int:
        """Tell how many peers have a piece."""
        return self._seeds + self._stretches[piece >> STRETCH_BITS].of(piece & _WITHIN)

    def rarest(self, pieces: int, random: Random) -> tuple[int, int]:
        """
        Keep those of a non-empty set of ``pieces`` that have the fewest copies.

        All are of one stretch. In a torrent of more than two, two that hold some of ``pieces`` are looked at, from a
        random one on: what is rarer in another is found by one of the next picks.

        :return: the first piece of the stretch, and the set, counted from there.
        """
        stretches = self._stretches
        total = len(stretches)
        if total == 1:
            return 0, stretches[0].least(pieces)[1]
        start = int(random.random() * total)
        best: tuple[int, int, int] | None = None  # copies, first piece, set
        looked_at = 0
        for place in range(start - total, start):
            first = (place % total) << STRETCH_BITS
            part = pieces >> first & _WHOLE
            if part:
                count, least = stretches[place].least(part)
                if best is None or count < best[0]:
                    best = (count, first, least)
                looked_at += 1
                if looked_at == MOST_LOOKED_AT:
                    break
        assert best is not None, "the rarest of nothing"
        return best[1], best[2]

    def _cut(self, pieces: int) -> Iterator[tuple[Counters, int]]:
        """Name the stretches that hold some of ``pieces``, each with its part."""
        if len(self._stretches) == 1:
            yield self._stretches[0], pieces
            return
        for place, counters in enumerate(self._stretches):
            part = pieces >> (place << STRETCH_BITS) & _WHOLE
            if part:
                yield counters, part
