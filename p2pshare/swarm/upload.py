"""Serve what we have: who is unchoked, and which requests are honoured."""

from __future__ import annotations

from typing import Protocol as Seam

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from p2pshare.bitfield import Bitfield
from p2pshare.geometry import BLOCK_SIZE, Geometry
from p2pshare.policy.choker import Choker
from p2pshare.policy.remote_peer import RemotePeer
from p2pshare.swarm.member import Member
from p2pshare.swarm.settings import SwarmSettings
from p2pshare.wire import messages


class Holdings(Seam):
    """What can be served; a PieceStore."""

    @property
    def have(self) -> Bitfield:
        """The verified pieces."""

    @property
    def is_complete(self) -> bool:
        """Whether that is all of them."""


@define(eq=False)
class Upload:
    """One torrent's outgoing side."""

    _geometry: Geometry
    _holdings: Holdings
    _choker: Choker
    _clock: IReactorTime
    _settings: SwarmSettings
    _members: dict[RemotePeer, Member]  # the swarm's own table, looked at, never changed here
    _next_round: float = field(init=False, default=0.0)

    def requested(self, member: Member, request: messages.Request) -> None:
        """Promise a block, or refuse: out of range, not ours to give, or the peer is choked."""
        if member.remote.am_choking:
            self._refuse(member, request)
            grace_over = self._clock.seconds() - member.choked_at > self._settings.choke_grace
            if grace_over:
                member.choked_requests += 1
                if member.choked_requests > self._settings.choked_requests:
                    member.link.abort(f"asked for {member.choked_requests} blocks while choked")
            return
        index, begin, length = request.index, request.begin, request.length
        if not self._is_servable(index, begin, length):
            self._refuse(member, request)
            member.invalid_requests += 1
            if member.invalid_requests >= self._settings.invalid_requests:
                member.link.abort(f"sent {member.invalid_requests} requests that cannot be served")
            return
        link = member.link
        link.promise((index, begin, length))
        member.asked = True
        if link.promised >= self._settings.max_promised:
            link.hold("requests")

    def _is_servable(self, index: int, begin: int, length: int) -> bool:
        geometry = self._geometry
        return (
            0 < length <= BLOCK_SIZE
            and index < geometry.num_pieces
            and begin + length <= geometry.piece_size(index)
            and index in self._holdings.have
        )

    def _refuse(self, member: Member, request: messages.Request) -> None:
        if member.remote.fast:  # BEP 6; without it, BEP 3 knows no answer but silence
            member.link.send(messages.Reject(request.index, request.begin, request.length))

    def cancelled(self, member: Member, message: messages.Cancel) -> None:
        """Drop a promise; with the fast extension the peer waits for a word about it (BEP 6)."""
        if member.link.take_back((message.index, message.begin, message.length)) and member.remote.fast:
            member.link.send(messages.Reject(message.index, message.begin, message.length))

    def batch_received(self, member: Member) -> None:
        """Start sending what one read of requests asked for."""
        if member.asked:
            member.asked = False
            member.link.pump()

    def blocks_sent(self, member: Member, amount: int) -> None:
        """Count payload, and listen again to a peer whose queue has drained."""
        member.remote.upload.add(amount, self._clock.seconds())
        if member.link.promised < self._settings.max_promised // 2:
            member.link.release("requests")

    def interest_changed(self, member: Member) -> None:
        """An interested peer gets a free slot at once; when one is freed, somebody else gets it."""
        peers = self._peers()
        if member.remote.peer_interested:
            if member.remote.am_choking and self._choker.free_slots(peers):
                self._unchoke(member)
        elif not member.remote.am_choking:
            self._choke(member)
            self.fill_slots()

    def fill_slots(self) -> None:
        """Unchoke waiting peers while slots are free, whoever waited longest first."""
        for member in self._members.values():
            remote = member.remote
            if remote.peer_interested and remote.am_choking and self._choker.free_slots(self._peers()):
                self._unchoke(member)

    def tick(self) -> None:
        """Hold a choking round when it is time (BEP 3: every 10 seconds)."""
        now = self._clock.seconds()
        if now < self._next_round:
            return
        self._next_round = now + self._settings.choker.interval
        chosen = self._choker.decide(self._peers(), self._holdings.is_complete, now)
        for remote, member in list(self._members.items()):
            if remote in chosen:
                if remote.am_choking:
                    self._unchoke(member)
            elif not remote.am_choking:
                self._choke(member)

    def _peers(self) -> list[RemotePeer]:
        return [remote for remote, member in self._members.items() if member.joined]

    def _unchoke(self, member: Member) -> None:
        member.remote.am_choking = False
        member.remote.last_unchoked_at = self._clock.seconds()
        member.choked_requests = 0
        member.link.send(messages.Unchoke())

    def _choke(self, member: Member) -> None:
        member.remote.am_choking = True
        member.choked_at = self._clock.seconds()
        member.link.send(messages.Choke())
        dropped = member.link.take_back_all()
        member.link.release("requests")
        if member.remote.fast:
            for block in dropped:
                member.link.send(messages.Reject(*block))
