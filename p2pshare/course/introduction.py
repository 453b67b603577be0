"""How a course peer introduces itself to a neighbor."""

from __future__ import annotations

from hashlib import sha1
from typing import Any

from attrs import frozen

from p2pshare.bitfield import Bitfield
from p2pshare.course.config import Common
from p2pshare.metainfo import HASH_SIZE, FileEntry, Metainfo
from p2pshare.peer.limiter import Allowance
from p2pshare.policy.pipeline import Pipeline
from p2pshare.policy.remote_peer import RemotePeer
from p2pshare.swarm.member import Link, Member
from p2pshare.swarm.seams import Greets
from p2pshare.swarm.settings import PeerLimits, SwarmSettings
from p2pshare.wire import course, messages
from p2pshare.wire.session import WireSession

# Chokes that bring nothing are ordinary here: neighbors choke by the clock.
_ANY_NUMBER = 1 << 62


def content_of(common: Common) -> Metainfo:
    """Describe the file as a torrent would; it has no hashes, so those are zeros that nobody compares with."""
    geometry = common.geometry
    return Metainfo(
        info_hash=sha1(f"{common.file_name}/{common.file_size}/{common.piece_size}".encode()).digest(),
        name=common.file_name,
        piece_length=common.piece_size,
        pieces=bytes(HASH_SIZE * geometry.num_pieces),
        files=(FileEntry((common.file_name,), common.file_size),),
        is_single=True,
        raw_info=b"",
    )


@frozen
class CourseIdentity:
    """Who we are to our neighbors."""

    content: Metainfo
    id: int
    limits: tuple[Any, Any] = (Allowance(), Allowance())

    @property
    def peer_id(self) -> bytes:
        """Our id, as it stands on the wire."""
        return course.Handshake(self.id).peer_id

    def hello(self) -> bytes:
        """Our handshake."""
        return course.encode_handshake(course.Handshake(self.id))

    def meet(self, link: Link, handshake: Greets, now: float, settings: SwarmSettings) -> Member:
        """Write down what a handshake tells of a neighbor."""
        remote = RemotePeer(
            address=link.address,
            peer_id=handshake.peer_id,
            incoming=link.is_incoming,
            has=Bitfield(self.content.num_pieces),
            connected_at=now,
            client=f"peer {int.from_bytes(handshake.peer_id, 'big')}",
            pipeline=Pipeline(pinned=settings.pipeline, fruitless_allowed=_ANY_NUMBER),
        )
        return Member(link, remote)

    def session(self, remote: RemotePeer, limits: PeerLimits) -> WireSession:
        """Begin a conversation."""
        dialect = course.make_dialect(self.content.geometry)
        return WireSession(dialect, num_pieces=self.content.num_pieces, fast=False, extended=False)

    def introduce(self, member: Member, have: Bitfield, limits: PeerLimits) -> None:
        """Say what we have, even if that is nothing: some implementations wait for it."""
        member.link.send(messages.Bitfield(have.to_bytes()))
