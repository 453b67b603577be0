"""Serve what we have: who is unchoked, and which requests are honoured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Protocol as Seam

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from p2pshare.bitfield import Bitfield
from p2pshare.geometry import Geometry
from p2pshare.policy.appetite import Appetite
from p2pshare.policy.remote_peer import RemotePeer
from p2pshare.rates import Meter
from p2pshare.swarm.member import Block, Member
from p2pshare.swarm.settings import SwarmSettings
from p2pshare.wire import messages

# Changes of interest that a peer is answered at once, between two rounds of the choker. For each one the others are
# looked through for who gets the slot; whoever changes its mind a thousand times a second waits for the round.
MOST_CHANGES = 8


class Holdings(Seam):
    """What can be served; a PieceStore."""

    @property
    def have(self) -> Bitfield:
        """The verified pieces."""

    @property
    def is_complete(self) -> bool:
        """Whether that is all of them."""


class Rounds(Seam):
    """Decides who is served, and when; a Choker."""

    @property
    def at_once(self) -> bool:
        """Whether slots are given and taken between two rounds, when a peer's interest changes."""

    def due(self, now: float) -> bool:
        """Whether it is time for a round."""

    def decide(self, peers: Collection[RemotePeer], seeding: bool, now: float) -> set[RemotePeer]:
        """Hold a round: name who is unchoked until the next one."""

    def free_slots(self, peers: Collection[RemotePeer]) -> bool:
        """Whether one more interested peer may be unchoked at once."""


class Doorkeeper(Seam):
    """Decides who may stay; a Meeting."""

    def peer_greedy(self, member: Member) -> None:
        """A peer has taken several copies of everything."""


@define(eq=False)
class Upload:
    """One torrent's outgoing side. Decides who is served and what may be asked; the links keep and send the blocks."""

    _geometry: Geometry
    _holdings: Holdings
    _choker: Rounds
    _clock: IReactorTime
    _settings: SwarmSettings
    _members: dict[RemotePeer, Member]  # the swarm's own table, looked at, never changed here
    _hits: Counter[str]
    _doorkeeper: Doorkeeper
    _appetite: Appetite = field(init=False)
    # Pieces that we told peers we have, and lost since. Asking for them is not held against anybody.
    _lost: set[int] = field(init=False, factory=set)
    sent: Meter = field(init=False, factory=Meter)  # payload

    def __attrs_post_init__(self) -> None:
        self._appetite = Appetite(self._settings.limits.greed * self._geometry.total_length)

    def joined(self, member: Member) -> None:
        """A peer comes in, maybe one that has had enough before."""
        self._appetite.met(member.remote)

    def requested(self, member: Member, request: messages.Request) -> None:
        """Promise a block, or refuse: out of range, not ours to give, or the peer is choked."""
        index, begin, length = request.index, request.begin, request.length
        if member.remote.am_choking:
            self._asked_while_choked(member, (index, begin, length))
            return
        if not self._is_servable(index, begin, length):
            self._asked_in_vain(member, (index, begin, length))
            return
        link = member.link
        if link.promised >= self._settings.limits.queued_requests:
            self._asked_too_much(member, (index, begin, length))
            return
        link.promise((index, begin, length))
        member.asked = True

    def _asked_while_choked(self, member: Member, block: Block) -> None:
        self._refuse(member, (block,))
        limits = self._settings.limits
        if self._clock.seconds() - member.choked_at > limits.choke_grace:
            member.choked_requests += 1
            if member.choked_requests >= limits.choked_requests:
                self._hits["choked_requests"] += 1
                member.link.abort(f"asked for {member.choked_requests} blocks while choked")

    def _asked_in_vain(self, member: Member, block: Block) -> None:
        self._refuse(member, (block,))
        if block[0] not in self._lost:
            member.invalid_requests += 1
            if member.invalid_requests >= self._settings.limits.invalid_requests:
                self._hits["invalid_requests"] += 1
                member.link.abort(f"sent {member.invalid_requests} requests that cannot be served")

    def _asked_too_much(self, member: Member, block: Block) -> None:
        """
        The queue is full: listen no more until it has drained.

        The read under way may hold thousands more. They are refused, and kept where BEP 3 knows no word for that.
        """
        link = member.link
        self._hits["queued_requests"] += 1
        link.hold("requests")
        if member.remote.fast:
            self._refuse(member, (block,))
        elif link.promised < 2 * self._settings.limits.queued_requests:
            link.promise(block)
        else:
            link.abort(f"asked for {link.promised} blocks at once")

    def _is_servable(self, index: int, begin: int, length: int) -> bool:
        geometry = self._geometry
        return (
            0 < length <= geometry.block_size
            and index < geometry.num_pieces
            and begin + length <= geometry.piece_size(index)
            and index in self._holdings.have
        )

    def _refuse(self, member: Member, blocks: Iterable[Block]) -> None:
        if member.remote.fast:  # BEP 6; without it, BEP 3 knows no answer but silence
            for block in blocks:
                member.link.send(messages.Reject(*block))

    def cancelled(self, member: Member, message: messages.Cancel) -> None:
        """Drop a promise; with the fast extension the peer waits for a word about it (BEP 6)."""
        block = (message.index, message.begin, message.length)
        if member.link.take_back(block):
            self._refuse(member, (block,))

    def batch_received(self, member: Member) -> None:
        """Start sending what one read of requests asked for."""
        if member.asked:
            member.asked = False
            member.link.pump()

    def blocks_sent(self, member: Member, amount: int) -> None:
        """Count payload, and listen again to a peer whose queue has drained."""
        now = self._clock.seconds()
        self.sent.add(amount, now)
        member.remote.upload.add(amount, now)
        member.link.proved = True
        if self._appetite.took(member.remote, amount):
            self._hits["greed"] += 1
            self._doorkeeper.peer_greedy(member)
        self._listen_again(member)

    def unreadable(self, member: Member, blocks: Iterable[Block]) -> None:
        """Promised blocks cannot be had from the disk: refuse them."""
        if member.remote.fast:
            self._refuse(member, blocks)
            self._listen_again(member)
        else:  # it would wait for them in vain; when it comes back it learns what we have
            member.link.close("blocks promised to it cannot be read")

    def lost(self, piece: int) -> None:
        """A piece is ours no more: nobody gets the rest of it."""
        self._lost.add(piece)
        for member in self._members.values():
            dropped = member.link.take_back_piece(piece)
            if dropped:
                self.unreadable(member, dropped)

    def _listen_again(self, member: Member) -> None:
        if member.link.promised < self._settings.limits.queued_requests // 2:
            member.link.release("requests")

    def interest_told(self, member: Member, interested: bool) -> None:
        """A newly interested peer gets a free slot at once; when one is freed, somebody else gets it."""
        if member.remote.peer_interested == interested:
            return
        member.remote.peer_interested = interested
        member.changes += 1
        if member.changes > MOST_CHANGES or not self._choker.at_once:
            return
        if interested:
            if member.remote.am_choking and self._choker.free_slots(self._peers()):
                self._unchoke(member)
        elif not member.remote.am_choking:
            self._choke(member)
            self.fill_slots()

    def fill_slots(self) -> None:
        """Unchoke waiting peers while slots are free, whoever came first."""
        peers = self._peers()
        for remote in peers:
            if remote.peer_interested and remote.am_choking:
                if not self._choker.free_slots(peers):
                    return
                self._unchoke(self._members[remote])

    def tick(self) -> None:
        """Hold a choking round when it is time (BEP 3: every 10 seconds)."""
        now = self._clock.seconds()
        if not self._choker.due(now):
            return
        chosen = self._choker.decide(self._peers(), self._holdings.is_complete, now)
        for remote, member in list(self._members.items()):
            member.changes = 0
            if remote in chosen:
                if remote.am_choking:
                    self._unchoke(member)
            elif not remote.am_choking:
                self._choke(member)

    def _peers(self) -> list[RemotePeer]:
        return [remote for remote, member in self._members.items() if member.joined and not member.link.is_closing]

    def _unchoke(self, member: Member) -> None:
        member.remote.am_choking = False
        member.remote.last_unchoked_at = self._clock.seconds()
        member.choked_requests = 0
        member.link.send(messages.Unchoke())

    def _choke(self, member: Member) -> None:
        member.remote.am_choking = True
        member.choked_at = self._clock.seconds()
        member.link.send(messages.Choke())
        self._refuse(member, member.link.take_back_all())
        member.link.release("requests")
