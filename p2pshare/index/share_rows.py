"""
The rows behind shares: one for each content and owner, with all names it goes by.

Everything here works inside a transaction of whoever calls.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import count

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from p2pshare.index import sqlite
from p2pshare.index.contents import add_content, add_keys, drop_unused, find_contents
from p2pshare.index.records import ContentKey, Share, ShareClaim
from p2pshare.index.schema import content_key, node, share, share_name, share_tag, torrent
from p2pshare.index.words import fold, searchable

# Names of one content at one owner: empty files have many, and each new one means that all are indexed anew.
NAMES = 1000
# Characters of what a share is found by: about 10,000 paths of a torrent.
TEXT = 1 << 20

# Statements are made once: making one costs more than running it.
_ROW_ID = select(share.c.id).where(share.c.public_id == bindparam("of_id"))
_OF_CONTENT = select(share.c.id).where(share.c.content_id == bindparam("of_content"))
_OURS = _OF_CONTENT.where(share.c.owner == bindparam("of_owner"))
_CONTENT = select(share.c.content_id).where(share.c.id == bindparam("of_share"))
_ADD = insert(share).returning(share.c.id)
_CHANGE = update(share).where(share.c.id == bindparam("of_share"))
_DROP = delete(share).where(share.c.id == bindparam("of_share"))
_NAMES = (
    select(share_name.c.name).where(share_name.c.share_id == bindparam("of_share")).order_by(share_name.c.id.desc())
)
_ADD_NAME = insert(share_name)
_DROP_NAME = delete(share_name).where(
    share_name.c.share_id == bindparam("of_share"), share_name.c.name == bindparam("of_name")
)
_ADD_TAGS = insert(share_tag)
_DROP_TAGS = delete(share_tag).where(share_tag.c.share_id == bindparam("of_share"))
_LABELS = select(share.c.content_id, share.c.category, share.c.tags).where(share.c.id == bindparam("of_share"))
_PATHS = select(torrent.c.paths).where(torrent.c.content_id == bindparam("of_content"))
_OTHERS_OF_THAT_NAME = (
    select(share.c.id)
    .join(share_name, share_name.c.share_id == share.c.id)
    .where(
        share_name.c.owner == bindparam("of_owner"),
        share_name.c.name == bindparam("of_name"),
        share.c.peer_address == bindparam("at"),
        share.c.content_id != bindparam("of_content"),
    )
)
_INFO_HASH = (
    select(torrent.c.info_hash).where(torrent.c.content_id == share.c.content_id).order_by(torrent.c.id).limit(1)
)
_OWN_INFO_HASH = _INFO_HASH.where(torrent.c.name == share.c.filename)  # where several owners call it differently
_LOAD = (
    select(
        share,
        node.c.online,
        func.coalesce(
            _OWN_INFO_HASH.correlate(share).scalar_subquery(), _INFO_HASH.correlate(share).scalar_subquery()
        ).label("info_hash"),
    )
    .select_from(share.outerjoin(node, node.c.public_id == share.c.owner))
    .where(share.c.id.in_(bindparam("of_shares", expanding=True)))
)


def content_of(connection: Connection, keys: Sequence[ContentKey], now: float) -> int:
    """
    Give the content that all these names mean, a new one if need be; several that turn out to be one become one.

    A name made of a file's name alone proves nothing: it stays with the content that had it first.
    """
    content_id, *others = find_contents(connection, keys) or [add_content(connection, now)]
    for other in others:
        _merge(connection, other, content_id)
    add_keys(connection, content_id, keys)
    return content_id


def put_share(connection: Connection, content_id: int, claim: ShareClaim, now: float) -> int:
    """Enter what an owner says of a content it shares; gives the share's row id."""
    _take_name(connection, content_id, claim)
    said = {
        "filename": claim.filename,
        "sort_name": fold(claim.filename),
        "size": claim.size,
        "hash": claim.key.value,
        "peer_address": claim.peer_address,
        "category": claim.category,
        "tags": "\n".join(dict.fromkeys(claim.tags)),
        "uploaded_at": now,
    }
    share_id: int | None = connection.scalar(_OURS, {"of_content": content_id, "of_owner": claim.owner})
    if share_id is None:
        new = {"content_id": content_id, "owner": claim.owner, "downloads": 0, "rating": 0.0, "votes": 0}
        public_id = _free_id(connection, claim.filename, claim.owner)
        share_id = int(connection.scalars(_ADD, {"public_id": public_id, **new, **said}).one())
    else:
        connection.execute(_CHANGE, {"of_share": share_id, **said})
        connection.execute(_DROP_TAGS, {"of_share": share_id})
    _add_name(connection, share_id, claim.filename, claim.owner)
    if claim.tags:
        connection.execute(_ADD_TAGS, [{"tag": tag, "share_id": share_id} for tag in {fold(tag) for tag in claim.tags}])
    describe(connection, share_id)
    return share_id


def drop_name(connection: Connection, share_id: int, name: str) -> None:
    """Forget one name of a share; the share goes with its last."""
    connection.execute(_DROP_NAME, {"of_share": share_id, "of_name": name})
    if _show_latest_name(connection, share_id):
        describe(connection, share_id)
    else:
        drop_share(connection, share_id)


def drop_share(connection: Connection, share_id: int) -> None:
    """Forget a share, and its content if nobody else has it."""
    content_id = connection.scalars(_CONTENT, {"of_share": share_id}).one()
    sqlite.put_text(connection, share_id, None)
    connection.execute(_DROP, {"of_share": share_id})
    drop_unused(connection, content_id)


def names_of(connection: Connection, share_id: int) -> list[str]:
    """List the names a share goes by, the latest first."""
    return list(connection.scalars(_NAMES, {"of_share": share_id}))


def describe(connection: Connection, share_id: int) -> None:
    """Have a share found by its names, its labels, and the paths of its torrents."""
    content_id, category, tags = connection.execute(_LABELS, {"of_share": share_id}).one()
    texts = [*names_of(connection, share_id), category, *tags_of(tags)]
    for paths in connection.scalars(_PATHS, {"of_content": content_id}):
        texts += paths.split("\n")
    sqlite.put_text(connection, share_id, searchable(texts, TEXT))


def shares_of(connection: Connection, content_id: int) -> Sequence[int]:
    """Give the row ids of all shares of a content."""
    return connection.scalars(_OF_CONTENT, {"of_content": content_id}).all()


def load_shares(connection: Connection, share_ids: Sequence[int]) -> list[Share]:
    """Read shares by their row ids, in that order; those that are gone are left out."""
    found = {
        row.id: Share(
            id=row.public_id,
            filename=row.filename,
            size=row.size,
            hash=row.hash,
            owner=row.owner,
            peer_address=row.peer_address,
            category=row.category,
            tags=tags_of(row.tags),
            uploaded_at=row.uploaded_at,
            downloads=row.downloads,
            rating=row.rating,
            votes=row.votes,
            online=row.online,
            info_hash=row.info_hash,
        )
        for row in connection.execute(_LOAD, {"of_shares": share_ids})
    }
    return [found[share_id] for share_id in share_ids if share_id in found]


def tags_of(column: str) -> tuple[str, ...]:
    """Read the tags of a row."""
    return tuple(column.split("\n")) if column else ()


def row_id(connection: Connection, public_id: str) -> int | None:
    """Give the row id of a share by the id that people see."""
    return connection.scalar(_ROW_ID, {"of_id": public_id})


def _free_id(connection: Connection, filename: str, owner: str) -> str:
    """
    Make the id of a new share from its name and owner, so that it is the same wherever it is made.

    It is taken when that name went to another content, and the share it came from lives on under its other names.
    """
    for attempt in count():
        seed = f"{filename}\0{owner}" + (f"\0{attempt}" if attempt else "")
        public_id = hashlib.sha256(seed.encode()).hexdigest()[:16]
        if row_id(connection, public_id) is None:
            return public_id
    raise AssertionError("count() has no end")


def _take_name(connection: Connection, content_id: int, claim: ShareClaim) -> None:
    """Take a name from the content that had it: what an owner serves under one name, at one address, is one file."""
    if not claim.peer_address:
        return
    place = {"of_name": claim.filename, "of_owner": claim.owner, "at": claim.peer_address}
    for other in connection.scalars(_OTHERS_OF_THAT_NAME, {**place, "of_content": content_id}).all():
        drop_name(connection, other, claim.filename)


def _add_name(connection: Connection, share_id: int, name: str, owner: str) -> None:
    """Make a name the latest of a share."""
    names = names_of(connection, share_id)
    for gone in (name, *names[NAMES - 1 :]):
        if gone in names:
            connection.execute(_DROP_NAME, {"of_share": share_id, "of_name": gone})
    connection.execute(_ADD_NAME, {"share_id": share_id, "name": name, "owner": owner})


def _show_latest_name(connection: Connection, share_id: int) -> bool:
    """Show a share under its latest name; say whether it has one."""
    names = names_of(connection, share_id)
    if names:
        connection.execute(_CHANGE, {"of_share": share_id, "filename": names[0], "sort_name": fold(names[0])})
    return bool(names)


def _merge(connection: Connection, other: int, content_id: int) -> None:
    """Make one content of two: everything that belongs to the other one moves."""
    for table in (content_key, torrent):
        connection.execute(update(table).where(table.c.content_id == other).values(content_id=content_id))
    for row in connection.execute(select(share).where(share.c.content_id == other)).all():
        kept = connection.scalar(_OURS, {"of_content": content_id, "of_owner": row.owner})
        if kept is None:
            connection.execute(_CHANGE, {"of_share": row.id, "content_id": content_id})
            continue
        for name in reversed(names_of(connection, row.id)):
            _add_name(connection, kept, name, row.owner)
        _show_latest_name(connection, kept)
        connection.execute(update(share).where(share.c.id == kept).values(downloads=share.c.downloads + row.downloads))
        drop_share(connection, row.id)
    drop_unused(connection, other)
    for share_id in shares_of(connection, content_id):
        describe(connection, share_id)
