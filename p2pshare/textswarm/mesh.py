"""Whom a text peer dials: everybody that the tracker names and that is not dialled yet, until it has everything."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import define, field

from p2pshare.addresses import Address
from p2pshare.policy.remote_peer import RemotePeer
from p2pshare.swarm.member import Link, Member

MOST_DIALLED = 50  # peers that are asked at the same time


@define(eq=False)
class TextMesh:
    """A swarm's Meeting. Two peers may have two connections: on each, who dialled asks and the other answers."""

    _dial: Callable[[Address], None]
    _hang_up: Callable[[RemotePeer, str], None]
    is_open: bool = field(init=False, default=False)
    _is_seeding: bool = field(init=False, default=False)
    _dialled: set[Address] = field(init=False, factory=set)  # connected, or about to be
    _ours: set[Address] = field(init=False, factory=set)  # where we met ourselves: a few, as we have few addresses

    @property
    def known(self) -> int:
        """How many are dialled."""
        return len(self._dialled)

    def heard(self, addresses: Iterable[Address], source: str) -> None:
        """Dial who is new; who is gone since the last look-up is new, too."""
        for address in addresses:
            if self._is_seeding or not self.is_open or len(self._dialled) >= MOST_DIALLED:
                return
            if address not in self._dialled and address not in self._ours:
                self._dialled.add(address)
                self._dial(address)

    def met_ourselves(self, address: Address) -> None:
        """Never dial this again."""
        self._ours.add(address)

    def fill(self) -> None:
        """Everybody was dialled who is known."""

    def admits(self, link: Link, peer_id: bytes, hello: bytes) -> bool:
        """Whoever speaks the protocol is welcome while the swarm runs."""
        return self.is_open

    def joined(self, member: Member) -> None:
        """A peer is here."""

    def left(self, member: Member) -> None:
        """A peer is gone; its connection says so, too."""

    def failed(self, address: Address, reason: str) -> None:
        """A peer is not there, or no more: the next look-up may name it again."""
        self._dialled.discard(address)

    def postponed(self, address: Address) -> None:
        """Nothing is ever postponed."""

    def seeding(self, is_so: bool) -> None:
        """Whether there is nobody to dial any more."""
        self._is_seeding = is_so

    def ban(self, remote: RemotePeer, reason: str) -> None:
        """Hang up on a peer."""
        self._hang_up(remote, reason)

    def peer_greedy(self, member: Member) -> None:
        """A peer may take a piece as often as it likes."""
