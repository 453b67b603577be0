"""Contents: what several owners, torrents and faces mean by names of their own, found to be the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, delete, exists, insert, select

from p2pshare.index import sqlite
from p2pshare.index.records import ContentKey, Scheme
from p2pshare.index.schema import content, content_key, share, torrent

_TORRENT_SCHEMES = (Scheme.BTIH, Scheme.JSON_SHA1, Scheme.NAME_SHA1)  # tried in this order
_NO_PROOF = (Scheme.NAME_SHA1, Scheme.COURSE)  # two files of one name need not be the same
_DIGITS = re.compile("[0-9a-f]{40}")

# Statements are made once: making one costs more than running it.
_FIND = select(content_key.c.content_id).where(
    content_key.c.scheme == bindparam("scheme"), content_key.c.value == bindparam("value")
)
_ADD = insert(content).returning(content.c.id)
_ADD_KEYS = sqlite.upsert(content_key).on_conflict_do_nothing()
_BY_INFO_HASH = select(torrent.c.id).where(torrent.c.info_hash == bindparam("digits"))
_BY_CONTENT = (
    select(torrent.c.id).where(torrent.c.content_id == bindparam("of_content")).order_by(torrent.c.id).limit(1)
)
_DROP_UNUSED = delete(content).where(
    content.c.id == bindparam("of_content"),
    ~exists().where(share.c.content_id == content.c.id),
    ~exists().where(torrent.c.content_id == content.c.id),
)


def find_content(connection: Connection, key: ContentKey) -> int | None:
    """Give the id of the content that is known by this name."""
    return connection.scalar(_FIND, {"scheme": key.scheme.value, "value": key.value})


def find_contents(connection: Connection, keys: Iterable[ContentKey]) -> list[int]:
    """Give the ids of all contents that one of these names proves to be the same, the oldest first."""
    proofs = [key for key in keys if key.scheme not in _NO_PROOF]
    return sorted({found for key in proofs if (found := find_content(connection, key)) is not None})


def find_torrent(connection: Connection, digits: str) -> int | None:
    """Give the id of the torrent that somebody means by 40 hexadecimal digits."""
    digits = digits.lower()
    if not _DIGITS.fullmatch(digits):
        return None
    found = connection.scalar(_BY_INFO_HASH, {"digits": digits})
    for scheme in _TORRENT_SCHEMES:
        if found is None and (content_id := find_content(connection, ContentKey(scheme, digits))) is not None:
            found = connection.scalar(_BY_CONTENT, {"of_content": content_id})
    return found


def add_content(connection: Connection, now: float) -> int:
    """Make a content that has no names yet."""
    made: int = connection.scalars(_ADD, {"created_at": now}).one()
    return made


def add_keys(connection: Connection, content_id: int, keys: Sequence[ContentKey]) -> None:
    """Have a content known by these names, but for those that are taken."""
    rows = [{"scheme": key.scheme.value, "value": key.value, "content_id": content_id} for key in keys]
    connection.execute(_ADD_KEYS, rows)


def drop_unused(connection: Connection, content_id: int) -> None:
    """Forget a content that nobody shares and no torrent describes."""
    connection.execute(_DROP_UNUSED, {"of_content": content_id})
