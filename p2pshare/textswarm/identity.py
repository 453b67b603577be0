"""Who a text peer is to the engine, and how its words become the engine's."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from attrs import frozen

from p2pshare.bitfield import Bitfield
from p2pshare.metainfo import HASH_SIZE, FileEntry, Metainfo
from p2pshare.peer.limiter import Allowance
from p2pshare.policy.pipeline import Pipeline
from p2pshare.policy.remote_peer import RemotePeer
from p2pshare.swarm.member import Link, Member
from p2pshare.swarm.seams import Greets
from p2pshare.swarm.settings import PeerLimits, SwarmSettings
from p2pshare.wire import bep3
from p2pshare.wire.session import WireSession
from p2pshare.wire.textline import PIECE_SIZE


@frozen
class Greeting:
    """A handshake. Who dials does not say who it is."""

    peer_id: bytes = bytes(20)


def content_of(torrent_hash: str, name: str, size: int) -> Metainfo:
    """Describe a file as a torrent would; nobody tells its hashes, so those are zeros that nobody compares with."""
    count = -(-size // PIECE_SIZE)
    return Metainfo(
        info_hash=bytes.fromhex(torrent_hash),
        name=name,
        piece_length=PIECE_SIZE,
        pieces=bytes(HASH_SIZE * count),
        files=(FileEntry((name,), size),),
        is_single=True,
        raw_info=b"",
    )


@frozen
class TextIdentity:
    """Who we are to the peers of one swarm. All there is to say is said by the connections themselves."""

    content: Metainfo
    peer_id: bytes
    limits: tuple[Any, Any] = (Allowance(), Allowance())

    def hello(self) -> bytes:
        """Nothing: who dials greets, who is dialled answers."""
        return b""

    def meet(self, link: Link, handshake: Greets, now: float, settings: SwarmSettings) -> Member:
        """Write down what a handshake tells of a peer."""
        remote = RemotePeer(
            address=link.address,
            peer_id=handshake.peer_id,
            incoming=link.is_incoming,
            has=Bitfield(self.content.num_pieces),
            connected_at=now,
            client="text peer",
            pipeline=Pipeline(pinned=settings.pipeline),
        )
        return Member(link, remote)

    def session(self, remote: RemotePeer, limits: PeerLimits) -> WireSession:
        """Begin a conversation, of which no byte passes here: lines are read where they come in."""
        return WireSession(bep3.DIALECT, num_pieces=self.content.num_pieces, fast=False, extended=False)

    def introduce(self, member: Member, have: Bitfield, limits: PeerLimits) -> None:
        """What we have was said, or will be when it is asked for."""


class OpenHouse:
    """A choker that serves everybody at once: the protocol has no word for anything else."""

    at_once = True

    def due(self, now: float) -> bool:
        """Never: nobody has to be chosen."""
        return False

    def decide(self, peers: Collection[RemotePeer], seeding: bool, now: float) -> set[RemotePeer]:
        """Name everybody."""
        return set(peers)

    def free_slots(self, peers: Collection[RemotePeer]) -> bool:
        """There is always one more."""
        return True
