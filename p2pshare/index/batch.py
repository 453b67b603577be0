"""What has happened in swarms since it was last written down, and how it is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from attrs import define, field, frozen
from sqlalchemy import Connection, Executable, bindparam, delete, exists, or_, select, update

from p2pshare.index import sqlite
from p2pshare.index.checks import LARGEST
from p2pshare.index.records import Member
from p2pshare.index.schema import membership, node, share, swarm, torrent

Place = tuple[bytes, str]  # an info_hash, and a peer_id as text

_MEMBER_COLUMNS = ("ip", "port", "uploaded", "downloaded", "bytes_left", "completed", "announced_at")

# Statements, each run for many rows at once.
_SWARM = select(swarm.c.id).where(swarm.c.info_hash == bindparam("of_hash")).scalar_subquery()
_IS_IT = (membership.c.swarm_id == _SWARM) & (membership.c.peer_id == bindparam("of_peer"))
_ADD_SWARM = sqlite.upsert(swarm).values(info_hash=bindparam("of_hash"), completed=0).on_conflict_do_nothing()
_COUNT_COMPLETED = (  # once for each membership
    update(swarm)
    .where(swarm.c.info_hash == bindparam("of_hash"))
    .where(~exists().where(_IS_IT, membership.c.completed).correlate(None))
    .values(completed=swarm.c.completed + 1)
)
_LEAVE = delete(membership).where(_IS_IT)
_ANNOUNCED = sqlite.upsert(membership).values(
    swarm_id=_SWARM,
    peer_id=bindparam("of_peer"),
    **{name: bindparam(name) for name in _MEMBER_COLUMNS},
)
_JOIN = _ANNOUNCED.on_conflict_do_update(
    index_elements=[membership.c.swarm_id, membership.c.peer_id],
    set_={
        **{name: _ANNOUNCED.excluded[name] for name in _MEMBER_COLUMNS},
        "completed": or_(membership.c.completed, _ANNOUNCED.excluded.completed),
    },
)
_HEARD_FROM = (
    update(node)
    .where(node.c.wire_peer_id == bindparam("of_peer"), node.c.last_seen < bindparam("heard_at"))
    .values(last_seen=bindparam("heard_at"), online=True)
)
_COUNT_DOWNLOADS = (
    update(share)
    .where(share.c.public_id == bindparam("of_share"))
    .values(downloads=share.c.downloads + bindparam("more"))
)


@frozen
class Change:
    """What became of one member: as it announced last, or None when it has left."""

    member: Member | None
    completed: bool = False  # and got its last piece on the way


@define(eq=False)
class Batch:
    """Facts that wait to be written, the latest of each kind. Knows no database and no clock."""

    _most: int  # changes held; facts about others are dropped, and come again with the next announce
    changes: dict[Place, Change] = field(init=False, factory=dict)
    downloads: Counter[str] = field(init=False, factory=Counter)  # a share's id -> downloads
    dropped: int = field(init=False, default=0)

    def __len__(self) -> int:
        return len(self.changes) + len(self.downloads)

    def note(self, info_hash: bytes, peer_id: str, change: Change) -> None:
        """Take note of a change; a completion is not forgotten for a later one."""
        place = (info_hash, peer_id)
        before = self.changes.get(place)
        if before is not None:
            if before.completed and not change.completed:
                change = Change(change.member, True)
        elif len(self) >= self._most:
            self.dropped += 1
            return
        self.changes[place] = change

    def count_download(self, share_id: str) -> None:
        """Take note of one download."""
        if share_id in self.downloads or len(self) < self._most:
            self.downloads[share_id] += 1
        else:
            self.dropped += 1

    def follow(self, earlier: Batch) -> None:
        """Take back what could not be written, as if what is here had come after it."""
        later = self.changes
        self.changes = {}
        for changes in (later, earlier.changes):  # when there is not room for all, the older ones go
            for place, change in changes.items():
                if (known := self.changes.get(place)) is not None:
                    change = Change(known.member, known.completed or change.completed)
                self.note(*place, change)
        for share_id, downloads in earlier.downloads.items():
            if share_id in self.downloads or len(self) < self._most:
                self.downloads[share_id] += downloads
            else:
                self.dropped += downloads
        self.dropped += earlier.dropped


def write_batch(connection: Connection, changes: Mapping[Place, Change], downloads: Mapping[str, int]) -> None:
    """Write everything down in the transaction of the caller."""
    named = [(info_hash.hex(), peer_id, change) for (info_hash, peer_id), change in changes.items()]
    hashes = [{"of_hash": info_hash} for info_hash in dict.fromkeys(info_hash for info_hash, _, _ in named)]
    _for_each(connection, _ADD_SWARM, hashes)
    places = [({"of_hash": info_hash, "of_peer": peer_id}, change) for info_hash, peer_id, change in named]
    _for_each(connection, _COUNT_COMPLETED, [place for place, change in places if change.completed])
    _for_each(connection, _LEAVE, [place for place, change in places if change.member is None])
    joined = [(place, change.member, change.completed) for place, change in places if change.member is not None]
    _for_each(connection, _JOIN, [{**place, **_values(member, completed)} for place, member, completed in joined])
    if joined and connection.scalar(select(exists().where(node.c.wire_peer_id.is_not(None)))):
        heard = [{"of_peer": member.peer_id, "heard_at": member.announced_at} for _, member, _ in joined]
        _for_each(connection, _HEARD_FROM, heard)
    _for_each(connection, _COUNT_DOWNLOADS, [{"of_share": share, "more": more} for share, more in downloads.items()])


def forget_silent(connection: Connection, before: float) -> None:
    """Forget members that announced last before that, and swarms that nobody is in or has described."""
    connection.execute(delete(membership).where(membership.c.announced_at < before))
    is_described = exists().where(torrent.c.info_hash == swarm.c.info_hash)
    connection.execute(delete(swarm).where(~exists().where(membership.c.swarm_id == swarm.c.id), ~is_described))


def _for_each(connection: Connection, statement: Executable, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(statement, rows)


def _values(member: Member, completed: bool) -> dict[str, Any]:
    # What a stranger counts may be beyond what a database can.
    return {
        "ip": member.ip,
        "port": member.port,
        "uploaded": min(member.uploaded, LARGEST),
        "downloaded": min(member.downloaded, LARGEST),
        "bytes_left": None if member.left is None else min(member.left, LARGEST),
        "completed": completed,
        "announced_at": member.announced_at,
    }
