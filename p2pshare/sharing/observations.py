"""What the peers of our downloads did, until the index is told."""

from __future__ import annotations

from collections import Counter

from attrs import define, field, frozen

from p2pshare.swarm.events import Event, PieceSpoiled, PieceVerified
from p2pshare.swarm.swarm import Swarm

AT_ONCE = 100  # peers in one report, as an index takes them
PIECES, BANS = 10_000, 100  # of one peer in one report
_MOST = 1000  # peers remembered


@frozen
class Served:
    """What one peer did, by the id it has in swarms."""

    peer_id: bytes
    pieces: int  # that it sent, alone or with others, and that were right
    bans: int  # for data that was wrong


@define(eq=False)
class Observations:
    """Counts who sent what. Forgets what was told."""

    _pieces: Counter[bytes] = field(init=False, factory=Counter)
    _bans: Counter[bytes] = field(init=False, factory=Counter)

    def follow(self, swarm: Swarm) -> None:
        """Watch one torrent."""
        swarm.subscribe(self._happened)

    def take(self) -> list[Served]:
        """Give what there is to tell, of some peers and as much as an index takes, and forget that."""
        peers = list(self._bans | self._pieces)[:AT_ONCE]
        return [Served(peer, _take(self._pieces, peer, PIECES), _take(self._bans, peer, BANS)) for peer in peers]

    def give_back(self, served: list[Served]) -> None:
        """Remember again what could not be told."""
        for each in served:
            self._count(self._pieces, each.peer_id, each.pieces)
            self._count(self._bans, each.peer_id, each.bans)

    def _happened(self, event: Event) -> None:
        match event:
            case PieceVerified(sources=sources):
                for peer in sources:
                    self._count(self._pieces, peer, 1)
            case PieceSpoiled(culprits=culprits):
                for peer in culprits:
                    self._count(self._bans, peer, 1)

    def _count(self, counter: Counter[bytes], peer: bytes, more: int) -> None:
        if more and (peer in counter or len(counter) < _MOST):
            counter[peer] += more


def _take(counter: Counter[bytes], peer: bytes, most: int) -> int:
    count = counter.pop(peer, 0)
    if count > most:
        counter[peer] = count - most
    return min(count, most)
