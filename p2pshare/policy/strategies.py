"""The orders in which pieces can be fetched, each by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType

from p2pshare.policy.copies import Copies

# Names one of a non-empty set of pieces (bit i is piece i).
Strategy = Callable[[int, Copies, Random], int]

# An exactly fair draw counts every candidate. In a torrent of usual size it does; in a larger one, those of a stretch.
_STRETCH = 2048


def draw(pieces: int, random: Random) -> int:
    """Draw one of a non-empty set of pieces, each as likely as the others (above 2,048 pieces: almost)."""
    size = pieces.bit_length()
    first = 0
    if size > _STRETCH:
        parts = -(-size // _STRETCH)
        width = -(-size // parts)
        first = width * int(random.random() * parts)
        mask = (1 << width) - 1
        stretch = pieces >> first & mask
        if not stretch:  # then the stretch that ends with the first candidate below, or with the last of all
            end = (pieces & ((1 << first) - 1)).bit_length() or size
            first = max(0, end - width)
            stretch = pieces >> first & mask
        pieces = stretch
        size = pieces.bit_length()
    rank = int(random.random() * pieces.bit_count())
    while size > 1:  # halve the stretch, keep the half that holds the candidate of this rank
        half = size >> 1
        low = pieces & ((1 << half) - 1)
        count = low.bit_count()
        if rank < count:
            pieces = low
            size = half
        else:
            rank -= count
            pieces >>= half
            first += half
            size -= half
    return first


def rarest(candidates: int, copies: Copies, random: Random) -> int:
    """Name one of the rarest: what few have is spread first, and everybody soon has something others want."""
    first, fewest = copies.rarest(candidates, random)
    return first + draw(fewest, random)


def anything(candidates: int, copies: Copies, random: Random) -> int:
    """Name any."""
    return draw(candidates, random)


def lowest(candidates: int, copies: Copies, random: Random) -> int:
    """Name the one that comes first in the content, as a reader or player wants it."""
    return (candidates & -candidates).bit_length() - 1


STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {"rarest": rarest, "first": lowest, "random": anything, "sequential": lowest}
)
