"""Who takes more of us than anybody can need."""

from __future__ import annotations

from attrs import define, field

from p2pshare.addresses import PRIVATE, Networks
from p2pshare.policy.remote_peer import RemotePeer

MOST_REMEMBERED = 1000  # peers; whoever took something longest ago is forgotten first


@define(eq=False)
class Appetite:
    """
    Counts what peers take of one torrent, and calls greedy who takes more than so many copies of it.

    Coming back does not make a peer another one: as for bans it is known by its host, on the exempt networks, where
    many share a host, by its peer_id.
    """

    _most: float  # bytes
    _exempt: Networks = field(kw_only=True, default=PRIVATE)
    _taken: dict[str | bytes, int] = field(init=False, factory=dict)  # bytes; whoever took some last is at the end

    def met(self, peer: RemotePeer) -> None:
        """A peer has come, or come back."""
        peer.greedy = self._taken.get(self._name(peer), 0) > self._most

    def took(self, peer: RemotePeer, amount: int) -> bool:
        """A peer took so many bytes. Tell whether that makes it greedy, and it was not before."""
        name = self._name(peer)
        taken = self._taken.pop(name, 0) + amount
        self._taken[name] = taken
        if len(self._taken) > MOST_REMEMBERED:
            del self._taken[next(iter(self._taken))]
        if peer.greedy or taken <= self._most:
            return False
        peer.greedy = True
        return True

    def _name(self, peer: RemotePeer) -> str | bytes:
        host = peer.address.host
        return peer.peer_id if host in self._exempt else host
