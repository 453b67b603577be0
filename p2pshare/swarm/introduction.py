"""How two peers of a swarm get to know each other, right after the handshakes (BEP 3, 6, 10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import evolve, frozen

from p2pshare import __version__
from p2pshare.addresses import Address, is_numeric
from p2pshare.bitfield import Bitfield
from p2pshare.metainfo import Metainfo
from p2pshare.policy.pipeline import Pipeline
from p2pshare.policy.remote_peer import RemotePeer
from p2pshare.swarm.member import Link, Member
from p2pshare.swarm.settings import PeerLimits, SwarmSettings
from p2pshare.wire import bep3, messages
from p2pshare.wire.session import WireSession


@frozen
class Identity:
    """Who we are to the peers of one torrent, and what each of their connections may move."""

    content: Metainfo
    peer_id: bytes
    port: Callable[[], int]  # where we listen, once we do
    limits: tuple[Any, Any]  # the upload and download allowances of a connection

    def hello(self) -> bytes:
        """Our handshake."""
        return bep3.encode_handshake(bep3.Handshake(bep3.RESERVED, self.content.info_hash, self.peer_id))

    def meet(self, link: Link, handshake: bep3.Handshake, now: float, settings: SwarmSettings) -> Member:
        """Write down what a handshake tells of a peer."""
        remote = RemotePeer(
            address=link.address,
            peer_id=handshake.peer_id,
            incoming=link.is_incoming,
            has=Bitfield(self.content.num_pieces),
            connected_at=now,
            fast=handshake.fast,
            extended=handshake.extended,
            pipeline=Pipeline(pinned=settings.pipeline, deepest=settings.limits.open_requests),
        )
        return Member(link, remote)

    def session(self, remote: RemotePeer, limits: PeerLimits) -> WireSession:
        """Begin the conversation that both handshakes agreed on."""
        num_pieces = self.content.num_pieces
        bitfield = 1 + (num_pieces + 7) // 8  # has to pass, whatever the settings say
        dialect = evolve(bep3.DIALECT, max_frame=max(limits.message_size, bitfield))
        return WireSession(dialect, num_pieces=num_pieces, fast=remote.fast, extended=remote.extended)

    def introduce(self, member: Member, have: Bitfield, limits: PeerLimits) -> None:
        """
        Say what we speak, and what we have.

        A peer that offered nothing beyond BEP 3 gets the bitfield as its very first frame.
        """
        link, remote = member.link, member.remote
        if remote.extended:
            link.send(self._extended_handshake(remote, limits.queued_requests, upload_only=have.is_full))
        if remote.fast and have.is_full:
            link.send(messages.HaveAll())
        elif remote.fast and have.is_empty:
            link.send(messages.HaveNone())
        elif not have.is_empty:
            link.send(messages.Bitfield(have.to_bytes()))

    def _extended_handshake(self, remote: RemotePeer, reqq: int, *, upload_only: bool) -> messages.ExtendedHandshake:
        return messages.ExtendedHandshake(
            ids={},
            version=f"p2pshare {__version__}",
            port=self.port() or None,
            reqq=reqq,
            yourip=remote.address.host if is_numeric(remote.address.host) else None,  # a name we dialled is no address
            upload_only=upload_only,
            metadata_size=len(self.content.raw_info),
        )


def introduced(member: Member, message: messages.ExtendedHandshake) -> None:
    """Note what a peer says of itself in its extension handshake; a later one corrects an earlier (BEP 10)."""
    remote = member.remote
    if message.reqq is not None:
        remote.reqq = message.reqq
    if message.version:
        remote.client = message.version
    if message.port is not None:
        remote.listen_address = Address(remote.address.host, message.port)
    remote.upload_only = message.upload_only
    member.extensions = dict(message.ids)
