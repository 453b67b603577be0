"""Torrents for the faces, and who is in their swarms."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from attrs import define
from sqlalchemy import ColumnElement, Connection, Row, Select, func, select
from twisted.internet.defer import Deferred

from p2pshare.index.contents import find_torrent
from p2pshare.index.database import Database, T, Work
from p2pshare.index.memberships import Memberships
from p2pshare.index.records import Member, Membership, Torrent, TorrentClaim
from p2pshare.index.schema import membership, swarm, torrent
from p2pshare.index.torrent_rows import put_torrent

ACTIVE = 2 * 3600.0  # seconds since the last announce within which a member counts as being there
LISTED = 1000  # torrents, or members of one, at once


@define(eq=False)
class Torrents:
    """
    What has been uploaded. A torrent is named by 40 hexadecimal digits of any scheme that knows it.

    Swarms are kept under info_hashes alone: who names one otherwise is to look it up here first. Answers hold all
    that Memberships was told before the question, unless that cannot be written at the moment.
    """

    _database: Database
    _memberships: Memberships
    _now: Callable[[], float]

    def add(self, claim: TorrentClaim) -> Deferred[Torrent]:
        """Enter a torrent and its owner's share of it; fires with the one that is there if its info_hash is known."""
        now = self._now()
        self._memberships.indexed(claim.info_hash)
        return self._settled(lambda: self._database.write(partial(_add, claim=claim, now=now)))

    def get(self, digits: str) -> Deferred[Torrent | None]:
        """Look a torrent up."""
        return self._read(partial(_get, digits=digits, since=self._since()))

    def newest(self, limit: int = 100, offset: int = 0) -> Deferred[list[Torrent]]:
        """List torrents, from the newest to the oldest."""
        return self._read(partial(_newest, limit=min(limit, LISTED), offset=offset, since=self._since()))

    def metainfo(self, digits: str) -> Deferred[bytes | None]:
        """Give a torrent file as it was uploaded; fires with None when there is none."""
        return self._database.read(partial(_metainfo, digits=digits))

    def pieces(self, digits: str) -> Deferred[bytes | None]:
        """Give the joined hashes of a torrent's pieces; fires with None when it is unknown."""
        return self._database.read(partial(_pieces, digits=digits))

    def members(self, digits: str, limit: int = LISTED, without: str | None = None) -> Deferred[list[Membership]]:
        """
        List who announced to a torrent's swarm lately, the latest first.

        :param without: a peer_id that does not want to hear of itself.
        """
        since = self._since()
        return self._read(partial(_members, digits=digits, since=since, limit=min(limit, LISTED), without=without))

    def _since(self) -> float:
        return self._now() - ACTIVE

    def _read(self, work: Work[T]) -> Deferred[T]:
        return self._settled(lambda: self._database.read(work))

    def _settled(self, ask: Callable[[], Deferred[T]]) -> Deferred[T]:
        return self._memberships.flush().addCallback(lambda _: ask())


def _add(connection: Connection, claim: TorrentClaim, now: float) -> Torrent:
    put_torrent(connection, claim, now)
    added = _get(connection, claim.info_hash.hex(), now - ACTIVE)
    assert added is not None
    return added


def _torrents(since: float) -> Select[Any]:
    """Select what a Torrent holds; who announced before ``since`` is not counted."""

    def members(*conditions: ColumnElement[bool]) -> Any:
        ours = select(func.count()).where(membership.c.swarm_id == swarm.c.id, membership.c.announced_at > since)
        return ours.where(*conditions).correlate(swarm).scalar_subquery()

    is_seed = membership.c.bytes_left.is_not_distinct_from(0)
    shown = [column for column in torrent.c if column.name not in ("paths", "pieces", "metainfo")]
    return select(
        *shown,
        members(is_seed).label("seeds"),
        members(~is_seed).label("leeches"),
        func.coalesce(swarm.c.completed, 0).label("completed"),
    ).outerjoin(swarm, swarm.c.info_hash == torrent.c.info_hash)


def _torrent(row: Row[Any]) -> Torrent:
    return Torrent(
        id=row.id,
        info_hash=row.info_hash,
        name=row.name,
        size=row.size,
        piece_length=row.piece_length,
        num_pieces=row.num_pieces,
        created_at=row.created_at,
        seeds=row.seeds,
        leeches=row.leeches,
        completed=row.completed,
    )


def _get(connection: Connection, digits: str, since: float) -> Torrent | None:
    found = find_torrent(connection, digits)
    if found is None:
        return None
    return _torrent(connection.execute(_torrents(since).where(torrent.c.id == found)).one())


def _newest(connection: Connection, limit: int, offset: int, since: float) -> list[Torrent]:
    page = _torrents(since).order_by(torrent.c.id.desc()).limit(limit).offset(offset)
    return [_torrent(row) for row in connection.execute(page)]


def _metainfo(connection: Connection, digits: str) -> bytes | None:
    return connection.scalar(select(torrent.c.metainfo).where(torrent.c.id == find_torrent(connection, digits)))


def _pieces(connection: Connection, digits: str) -> bytes | None:
    return connection.scalar(select(torrent.c.pieces).where(torrent.c.id == find_torrent(connection, digits)))


def _members(connection: Connection, digits: str, since: float, limit: int, without: str | None) -> list[Membership]:
    found = find_torrent(connection, digits)
    query = (
        select(membership)
        .join(swarm, swarm.c.id == membership.c.swarm_id)
        .join(torrent, torrent.c.info_hash == swarm.c.info_hash)
        .where(torrent.c.id == found, membership.c.announced_at > since)
        .order_by(membership.c.announced_at.desc(), membership.c.id.desc())
        .limit(limit)
    )
    if without is not None:
        query = query.where(membership.c.peer_id != without)
    return [
        Membership(
            id=row.id,
            torrent_id=found or 0,
            member=Member(
                peer_id=row.peer_id,
                ip=row.ip,
                port=row.port,
                uploaded=row.uploaded,
                downloaded=row.downloaded,
                left=row.bytes_left,
                announced_at=row.announced_at,
            ),
        )
        for row in connection.execute(query)
    ]
