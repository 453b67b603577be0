"""Which piece to start next."""

from __future__ import annotations

from random import Random

from attrs import define, field

from p2pshare.bitfield import Bitfield
from p2pshare.policy.copies import Copies
from p2pshare.policy.strategies import STRATEGIES, Strategy, anything, rarest

# The first pieces are drawn at random: a rare piece comes from few peers, slowly, and until we have some whole piece
# we have nothing to trade (mainline rarest_first_cutoff, libtorrent initial_picker_threshold: 4).
RAREST_FIRST_CUTOFF = 4


@define(eq=False)
class PiecePicker:
    """
    Names the free piece to start next at a peer. Knows no peer, no block, no clock.

    A piece is free, then taken (its blocks are the ledger's concern), then free again or done.
    """

    num_pieces: int
    _random: Random
    _strategy: Strategy
    _opening: Strategy  # until so many pieces are held
    _cutoff: int = RAREST_FIRST_CUTOFF
    _copies: Copies = field(init=False, repr=False)
    _free: int = field(init=False, repr=False)  # bit i: piece i is neither taken nor done
    _done: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self._copies = Copies(self.num_pieces)
        self._free = (1 << self.num_pieces) - 1

    def joined(self, has: Bitfield) -> None:
        """Count the pieces a peer came with. Its later ones: got_have()."""
        if has.is_full:
            self._copies.add_seed()
        else:
            self._copies.add(has.as_int())

    def left(self, has: Bitfield) -> None:
        """Count no longer the pieces a peer had when it left."""
        if has.is_full:
            self._copies.remove_seed()
        else:
            self._copies.remove(has.as_int())

    def got_have(self, piece: int) -> None:
        """Count one more copy of a piece."""
        self._copies.add_one(piece)

    def copies(self, piece: int) -> int:
        """Tell how many connected peers have a piece."""
        return self._copies.of(piece)

    @property
    def has_free(self) -> bool:
        """Whether any piece is free."""
        return self._free != 0

    def pick(self, offered: Bitfield) -> int | None:
        """Name a free piece among ``offered``, or None when there is none."""
        candidates = offered.as_int() & self._free
        if not candidates:
            return None
        strategy = self._strategy if self._done >= self._cutoff else self._opening
        return strategy(candidates, self._copies, self._random)

    def take(self, piece: int) -> None:
        """A free piece is started."""
        assert self._free >> piece & 1, f"piece {piece} is not free"
        self._free ^= 1 << piece

    def give_back(self, piece: int) -> None:
        """A taken piece is free again."""
        assert not self._free >> piece & 1, f"piece {piece} is free already"
        self._free |= 1 << piece

    def lost(self, piece: int) -> None:
        """A piece that was held is missing, and free."""
        self.give_back(piece)
        self._done -= 1

    def done(self, piece: int) -> None:
        """A piece, taken or free, is held now."""
        self._free &= ~(1 << piece)
        self._done += 1


def make_picker(name: str | Strategy, num_pieces: int, random: Random) -> PiecePicker:
    """
    Make the picker of a strategy, or of one with a name: ``rarest``, ``first``, ``random`` or ``sequential``.

    :raise KeyError: there is no such strategy.
    """
    strategy = STRATEGIES[name] if isinstance(name, str) else name
    return PiecePicker(num_pieces, random, strategy, anything if strategy is rarest else strategy)
