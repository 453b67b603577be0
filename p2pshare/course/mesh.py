"""Everybody of PeerInfo.cfg is connected with everybody: nobody has to be found, chosen or replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import define, field

from p2pshare.addresses import Address
from p2pshare.policy.remote_peer import RemotePeer
from p2pshare.swarm.member import Link, Member


@define(eq=False)
class Mesh:
    """A swarm's Meeting where the network dials and admits by itself."""

    known: int  # peers
    _hang_up: Callable[[RemotePeer, str], None]
    is_open: bool = field(init=False, default=False)

    def heard(self, addresses: Iterable[Address], source: str) -> None:
        """Nobody tells of peers here."""

    def fill(self) -> None:
        """The network dials until everybody is there."""

    def admits(self, link: Link, peer_id: bytes, hello: bytes) -> bool:
        """Whoever the network admits is welcome while the swarm runs."""
        return self.is_open

    def joined(self, member: Member) -> None:
        """A neighbor is here."""

    def left(self, member: Member) -> None:
        """A neighbor is gone."""

    def failed(self, address: Address, reason: str) -> None:
        """The network tries again."""

    def postponed(self, address: Address) -> None:
        """The network tries again."""

    def seeding(self, is_so: bool) -> None:
        """Neighbors stay until all have everything."""

    def ban(self, remote: RemotePeer, reason: str) -> None:
        """Hang up on a neighbor."""
        self._hang_up(remote, reason)

    def peer_greedy(self, member: Member) -> None:
        """A neighbor may take a piece as often as it likes."""
