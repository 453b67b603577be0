"""
The rows behind torrents: one for each info_hash, and their owners' shares of them.

Everything here works inside a transaction of whoever calls.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from sqlalchemy import Connection, Row, Select, bindparam, insert, select

from p2pshare.errors import RequestRefused
from p2pshare.ids import INFO_HASH_SIZE
from p2pshare.index.records import ContentKey, Scheme, ShareClaim, TorrentClaim
from p2pshare.index.schema import share, torrent
from p2pshare.index.share_rows import content_of, describe, put_share, shares_of, tags_of

# Statements are made once: making one costs more than running it.
_KNOWN = select(torrent.c.id).where(torrent.c.info_hash == bindparam("digits"))
_ADD = insert(torrent)
_SAID_BEFORE: Select[Any] = select(share.c.category, share.c.tags, share.c.peer_address).where(
    share.c.content_id == bindparam("of_content"), share.c.owner == bindparam("of_owner")
)


def put_torrent(connection: Connection, claim: TorrentClaim, now: float) -> int:
    """
    Enter a torrent, unless its info_hash is known, and its owner's share of it; gives the share's row id.

    :raise RequestRefused: the info_hash is none.
    """
    if len(claim.info_hash) != INFO_HASH_SIZE:
        raise RequestRefused(f"info_hash: {len(claim.info_hash)} bytes, expected {INFO_HASH_SIZE}")
    info_hash = claim.info_hash.hex()
    content_id = content_of(connection, (ContentKey(Scheme.BTIH, info_hash), *claim.keys), now)
    if connection.scalar(_KNOWN, {"digits": info_hash}) is None:
        row = {
            "content_id": content_id,
            "info_hash": info_hash,
            "name": claim.name,
            "size": claim.size,
            "piece_length": claim.piece_length,
            "num_pieces": claim.num_pieces,
            "created_at": now,
            "paths": "\n".join(claim.paths),
            "pieces": claim.pieces,
            "metainfo": claim.metainfo,
        }
        connection.execute(_ADD, row)
        for other in shares_of(connection, content_id):
            describe(connection, other)  # they are found by the torrent's paths now
    before = connection.execute(_SAID_BEFORE, {"of_content": content_id, "of_owner": claim.owner}).one_or_none()
    return put_share(connection, content_id, _share_of(claim, before), now)


def _share_of(claim: TorrentClaim, before: Row[Any] | None) -> ShareClaim:
    """Say what the owner of a torrent shares; what is not said anew stays as the owner said it before."""
    if before is not None:
        claim = evolve(
            claim,
            category=claim.category or before.category,
            tags=claim.tags or tags_of(before.tags),
            peer_address=claim.peer_address or before.peer_address,
        )
    digests = [key.value for key in claim.keys if key.scheme is Scheme.SHA256]
    return ShareClaim(
        filename=claim.name,
        size=claim.size,
        hash=digests[0] if digests else claim.info_hash.hex(),
        owner=claim.owner,
        peer_address=claim.peer_address,
        category=claim.category,
        tags=claim.tags,
    )
