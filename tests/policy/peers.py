"""Peers to decide about, made in one line."""

from __future__ import annotations

from collections.abc import Iterable

from p2pshare.addresses import Address
from p2pshare.bitfield import Bitfield
from p2pshare.policy.remote_peer import RemotePeer


def bits(size: int, pieces: Iterable[int]) -> Bitfield:
    """A bitfield with these pieces set."""
    field = Bitfield(size)
    for piece in pieces:
        field.add(piece)
    return field


def a_peer(number: int, has: Bitfield, *, fast: bool = False, connected_at: float = 0.0) -> RemotePeer:
    """A connected peer at 10.0.0.``number``."""
    peer_id = b"-XX0001-%012d" % number
    return RemotePeer(Address(f"10.0.0.{number}", 6881), peer_id, False, has, connected_at, fast=fast)


def a_seed(number: int, size: int, *, fast: bool = False) -> RemotePeer:
    """A connected peer that has all of ``size`` pieces."""
    return a_peer(number, Bitfield.full(size), fast=fast)
