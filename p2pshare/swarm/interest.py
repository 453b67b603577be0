"""Who has what we lack: keeps the copies counted and our interest told."""

from __future__ import annotations

from typing import Protocol as Seam

from attrs import define

from p2pshare.bitfield import Bitfield
from p2pshare.policy.remote_peer import RemotePeer
from p2pshare.swarm.member import Member
from p2pshare.wire import messages


class Copies(Seam):
    """Counts how many peers hold each piece; a PiecePicker."""

    def joined(self, has: Bitfield) -> None:
        """A peer holds these."""

    def left(self, has: Bitfield) -> None:
        """A peer that held these is gone."""

    def got_have(self, piece: int) -> None:
        """One peer more holds this one."""


@define(eq=False)
class Interest:
    """
    Tells each member whether we want something of it (BEP 3 ``interested``).

    ``member.wanted`` is kept exact by counting, so that a verified piece costs one look at each member
    and never a comparison of bitfields.
    """

    _copies: Copies
    _have: Bitfield  # the store's own, only looked at
    _members: dict[RemotePeer, Member]  # the swarm's own table, only looked at
    _answers: bool = False  # a first news of pieces is answered also when we want none of them

    def got_pieces(self, member: Member, has: Bitfield) -> bool:
        """
        A peer said all it holds at once.

        aria2 does so again, instead of many haves. False when that takes a piece back or tells nothing new.
        """
        remote = member.remote
        if member.told_pieces:
            before = remote.has.as_int()
            if has.as_int() & before != before or has.count == remote.has.count:
                return False
        is_first, member.told_pieces = not member.told_pieces, True
        self._copies.left(remote.has)
        remote.has = has
        self._copies.joined(has)
        member.wanted = (has.as_int() & ~self._have.as_int()).bit_count()
        if self._answers and is_first and not member.wanted:
            member.link.send(messages.NotInterested())
        self._tell(member)
        return True

    def got_have(self, member: Member, piece: int) -> bool:
        """A peer holds one piece more; False when it had said so before."""
        has = member.remote.has
        member.told_pieces = True
        if piece in has:
            return False
        has.add(piece)
        self._copies.got_have(piece)
        if piece not in self._have:
            member.wanted += 1
            self._tell(member)
        return True

    def left(self, member: Member) -> None:
        """A peer is gone, and its copies with it."""
        self._copies.left(member.remote.has)

    def verified(self, piece: int) -> None:
        """
        We hold one piece more: say so to everyone, and where nothing else is left, that too.

        Whoever has the piece, as seeds do, has no use for the news. It gets them with the next requests: a write for
        each piece would cost both sides as much again as those do.
        """
        have = messages.Have(piece)
        for member in self._members.values():
            if not member.joined:
                continue
            if piece in member.remote.has:
                member.link.mention(have)
                member.wanted -= 1
                self._tell(member)
            else:
                member.link.send(have)

    def lost(self, piece: int) -> None:
        """We hold one piece less: whoever has it has something for us."""
        for member in self._members.values():
            if piece in member.remote.has:
                member.wanted += 1
                self._tell(member)

    def is_wanted(self, piece: int) -> bool:
        """Whether somebody here lacks a piece, and so may ask us for it soon."""
        return any(piece not in member.remote.has for member in self._members.values())

    def _tell(self, member: Member) -> None:
        remote = member.remote
        if (member.wanted > 0) != remote.am_interested:
            remote.am_interested = not remote.am_interested
            member.link.send(messages.Interested() if remote.am_interested else messages.NotInterested())
