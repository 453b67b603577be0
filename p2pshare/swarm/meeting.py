"""Find peers for one torrent and decide whom to let in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any
from typing import Protocol as Seam

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from p2pshare.addresses import Address
from p2pshare.policy.candidates import Candidates
from p2pshare.policy.remote_peer import RemotePeer
from p2pshare.swarm.member import Link, Member
from p2pshare.swarm.settings import SwarmSettings

# Two peers that dial each other at the same moment have two connections for a moment; after this
# long the older one is in use, and a second one is simply refused.
SIMULTANEOUS = 5.0  # s
# When the swarm is full, whoever has been here for so long without a block sent or taken makes room for an address that
# nobody has tried. One at a time: libtorrent replaces 4 % of the peers every 300 s.
TRIAL = 120.0  # s
TURNOVER = 30.0  # s


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

    It fills the swarm up to ``max_peers`` by dialling candidates, picks one of two connections to the same peer, and
    when the swarm is full parts with the peer that has been useless for longest, if there is one.
    """

    _candidates: Candidates
    _dialer: Dialer
    _listener: Any  # the swarm, handed on to the dialer
    _clock: IReactorTime
    _own_id: bytes
    _settings: SwarmSettings
    _hits: Counter[str]
    _dialling: set[Address] = field(init=False, factory=set)
    _members: dict[bytes, tuple[Member, float]] = field(init=False, factory=dict)  # by peer_id, oldest first
    _turns_over_at: float = field(init=False, default=float("-inf"))
    is_open: bool = field(init=False, default=False)
    log = Logger()

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
        while self.is_open:
            address = self._candidates.next(self._clock.seconds())
            if address is None or not self._has_place() or not self._dialer.has_room(self._listener):
                return
            self._candidates.connecting(address)
            self._dialling.add(address)
            self._dialer.dial(address, self._listener)

    def _has_place(self) -> bool:
        """Whether one more may be dialled; when there is no place, one becomes free from time to time."""
        if len(self._members) + len(self._dialling) < self._settings.max_peers:
            return True
        now = self._clock.seconds()
        if now >= self._turns_over_at and not self._dialling and self._part_with_one(before=now - TRIAL):
            self._turns_over_at = now + TURNOVER
            return True
        return False

    def _part_with_one(self, before: float = float("inf")) -> bool:
        """
        Part with the peer that has been useless for longest, if it came before that; False when there is none.

        Whoever still waits for our first unchoke goes last: it had no chance yet.
        """
        useless = [member for member, since in self._members.values() if since <= before and not member.link.proved]
        if not useless:
            return False
        member = min(useless, key=lambda member: member.remote.is_waiting)
        del self._members[member.remote.peer_id]
        member.link.abort("makes room for a newcomer")
        return True

    def admits(self, link: Link, peer_id: bytes, hello: bytes) -> bool:
        """
        Whether a peer that has just greeted is welcome.

        :param hello: our own handshake.
        """
        refusal = self._refusal(link, peer_id)
        if refusal is not None:
            self.log.debug("refusing {address}: {refusal}", address=link.address, refusal=refusal)
            if link.is_incoming and peer_id == self._own_id:
                link.turn_away(hello, refusal)  # that tells our other end whom it has dialled
        return refusal is None

    def _refusal(self, link: Link, peer_id: bytes) -> str | None:
        now = self._clock.seconds()
        if peer_id == self._own_id:
            if not link.is_incoming:
                self._candidates.add_self(link.address)
            return "that is ourselves"
        if self._candidates.is_banned(link.address, peer_id, now):
            return "it is banned"
        if not self.is_open:
            return "the torrent is not running"
        known = self._members.get(peer_id)
        if known is not None:
            member, since = known
            if not self._prefers(link, member, peer_id, now - since):
                return "connected to this peer already"
            member.link.abort("a second connection to this peer is preferred")
        elif len(self._members) >= self._settings.max_peers:
            self._hits["max_peers"] += 1
            if not self._part_with_one():
                return f"{self._settings.max_peers} peers are connected"
        return None

    def _prefers(self, new: Link, member: Member, peer_id: bytes, age: float) -> bool:
        """Of two connections dialled from both sides at once, keep the one of the larger peer_id: both sides agree."""
        if age > SIMULTANEOUS or new.is_incoming == member.link.is_incoming:
            return False
        return new.is_incoming == (peer_id > self._own_id)

    def joined(self, member: Member) -> None:
        """A peer was admitted."""
        link = member.link
        self._members.pop(member.remote.peer_id, None)  # a second connection is as new as any
        self._members[member.remote.peer_id] = (member, self._clock.seconds())
        if not link.is_incoming:
            self._dialling.discard(link.address)
            self._candidates.connected(link.address)

    def failed(self, address: Address, reason: str) -> None:
        """Dialling came to nothing: it is the turn of the next."""
        self.log.debug("no connection to {address}: {reason}", address=address, reason=reason)
        self._dialling.discard(address)
        self._candidates.failed(address, self._clock.seconds())
        self.fill()

    def postponed(self, address: Address) -> None:
        """There were no means to dial it."""
        self._dialling.discard(address)
        self._candidates.postponed(address)

    def seeding(self, is_so: bool) -> None:
        """We have everything, and look for peers that have not; or that is over."""
        self._candidates.seeding(is_so)

    def left(self, member: Member) -> None:
        """A member is gone; its place is free."""
        known = self._members.get(member.remote.peer_id)
        if known is not None and known[0] is member:
            del self._members[member.remote.peer_id]
        now = self._clock.seconds()
        remote, link = member.remote, member.link
        if not link.is_incoming:
            self._candidates.lost(link.address, now, useful=remote.download.total > 0)
            self._candidates.met(link.address, now, remote.is_seed)
        elif remote.listen_address is not None:
            self._candidates.met(remote.listen_address, now, remote.is_seed)

    def peer_greedy(self, member: Member) -> None:
        """A peer took more copies of everything from us than it can need."""
        what = f"it took {self._settings.limits.greed:g} copies of everything"
        if self._settings.limits.ban_greedy:
            self.ban(member.remote, what)
        else:
            self.log.warn("{peer} is greedy: {what}", peer=member.remote, what=what)

    def ban(self, remote: RemotePeer, reason: str) -> None:
        """Have nothing more to do with a peer, whether it is still here or not."""
        self.log.warn("banned {peer}: {reason}", peer=remote, reason=reason)
        self._hits["ban_time"] += 1
        self._candidates.ban(remote.address, remote.peer_id, self._clock.seconds(), self._settings.limits.ban_time)
        known = self._members.get(remote.peer_id)
        if known is not None:
            known[0].link.abort(f"banned: {reason}")
