"""Find peers for one torrent and decide whom to let in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from typing import Protocol as Seam

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from p2pshare.addresses import Address
from p2pshare.policy.candidates import Candidates
from p2pshare.policy.remote_peer import RemotePeer
from p2pshare.swarm.member import Link, Member

# Two peers that dial each other at the same moment have two connections for a moment; after this
# long the older one is in use, and a second one is simply refused.
SIMULTANEOUS = 5.0  # s


class Dialer(Seam):
    """Opens connections for us; a Connector."""

    def has_room(self, listener: Any) -> bool:
        """Whether one more may be opened now."""

    def dial(self, address: Address, listener: Any) -> None:
        """Open one; ``peer_joined`` or ``dial_failed`` follows."""


@define(eq=False)
class Meeting:
    """
    Addresses on one side, members on the other. Knows no message.

    It fills the swarm up to ``max_peers`` by dialling candidates, and picks one of two connections to
    the same peer.
    """

    _candidates: Candidates
    _dialer: Dialer
    _listener: Any  # the swarm, handed on to the dialer
    _clock: IReactorTime
    _own_id: bytes
    _max_peers: int
    _dialling: set[Address] = field(init=False, factory=set)
    _members: dict[bytes, tuple[Member, float]] = field(init=False, factory=dict)  # by peer_id, since when
    is_open: bool = field(init=False, default=False)

    @property
    def known(self) -> int:
        """How many addresses have been heard of."""
        return len(self._candidates)

    def heard(self, addresses: Iterable[Address], source: str) -> None:
        """Somebody told us where peers are."""
        self._candidates.heard(addresses, source, self._clock.seconds())
        self.fill()

    def fill(self) -> None:
        """Dial while there is room, and somebody left to dial."""
        while (
            self.is_open
            and len(self._members) + len(self._dialling) < self._max_peers
            and self._dialer.has_room(self._listener)
        ):
            address = self._candidates.next(self._clock.seconds())
            if address is None:
                return
            self._candidates.connecting(address)
            self._dialling.add(address)
            self._dialer.dial(address, self._listener)

    def refusal(self, link: Link, peer_id: bytes) -> str | None:
        """Say why a peer that has just greeted is not admitted; None: it is welcome."""
        now = self._clock.seconds()
        if peer_id == self._own_id:
            if not link.is_incoming:
                self._candidates.add_self(link.address)
            return "that is ourselves"
        if self._candidates.is_banned(link.address, peer_id, now):
            return "banned for sending bad data"
        if not self.is_open:
            return "the torrent is not running"
        known = self._members.get(peer_id)
        if known is not None:
            member, since = known
            if not self._prefers(link, member, peer_id, now - since):
                return "connected to this peer already"
            member.link.abort("a second connection to this peer is preferred")
        elif len(self._members) >= self._max_peers:
            return f"{self._max_peers} peers are connected"
        return None

    def _prefers(self, new: Link, member: Member, peer_id: bytes, age: float) -> bool:
        """Of two connections dialled from both sides at once, keep the one of the larger peer_id: both sides agree."""
        if age > SIMULTANEOUS or new.is_incoming == member.link.is_incoming:
            return False
        return new.is_incoming == (peer_id > self._own_id)

    def joined(self, member: Member) -> None:
        """A peer was admitted."""
        link = member.link
        self._members[member.remote.peer_id] = (member, self._clock.seconds())
        if not link.is_incoming:
            self._dialling.discard(link.address)
            self._candidates.connected(link.address)

    def failed(self, address: Address) -> None:
        """Dialling came to nothing."""
        self._dialling.discard(address)
        self._candidates.failed(address, self._clock.seconds())

    def left(self, member: Member) -> None:
        """A member is gone; its place is free."""
        known = self._members.get(member.remote.peer_id)
        if known is not None and known[0] is member:
            del self._members[member.remote.peer_id]
        useful = member.remote.download.total > 0
        if not member.link.is_incoming:
            self._candidates.lost(member.link.address, self._clock.seconds(), useful)

    def ban(self, remote: RemotePeer) -> None:
        """Have nothing more to do with a peer that sent bad data, whether it is still here or not."""
        self._candidates.ban(remote.address, remote.peer_id, self._clock.seconds())
        known = self._members.get(remote.peer_id)
        if known is not None:
            known[0].link.abort("sent bad data")
