"""Finding shares by words, labels, size, owner, and whether they can be had now."""

from __future__ import annotations

from enum import Enum

from attrs import field, frozen
from sqlalchemy import ColumnElement, Connection, FromClause, func, select

from p2pshare.index import checks, sqlite
from p2pshare.index.records import Share
from p2pshare.index.schema import node, share, share_tag
from p2pshare.index.share_rows import load_shares
from p2pshare.index.words import fold, words

PAGE = 50  # what one asks for who does not say
LONGEST_PAGE = 1000


class Sort(Enum):
    """In which order shares are listed; of equals, the younger entry is first, by name the older one."""

    NEWEST = "upload_time"
    NAME = "name"
    SIZE = "size"  # this and the next two: the largest first
    DOWNLOADS = "downloads"
    RATING = "rating"

    @classmethod
    def named(cls, name: str) -> Sort:
        """Read the name of an order; one that nobody knows means the newest first."""
        if name == "filename":
            return cls.NAME
        return next((sort for sort in cls if sort.value == name), cls.NEWEST)


@frozen
class SearchQuery:
    """
    What somebody looks for: all that is said has to hold. Any text may be typed.

    ``online``: True wants shares of nodes that are there, False of those that are not; of strangers nothing is known.
    """

    text: str = ""
    category: str | None = None
    tags: tuple[str, ...] = ()
    owner: str | None = None
    min_size: int | None = None
    max_size: int | None = None
    online: bool | None = None
    sort: Sort = Sort.NEWEST
    limit: int = field(validator=checks.number(0, LONGEST_PAGE), default=PAGE)
    offset: int = field(validator=checks.number(0), default=0)


@frozen
class Results:
    """One page of what was found."""

    total: int  # on all pages
    shares: tuple[Share, ...]


_ORDER = {
    Sort.NEWEST: (share.c.uploaded_at.desc(), share.c.id.desc()),
    Sort.NAME: (share.c.sort_name.asc(), share.c.id.asc()),
    Sort.SIZE: (share.c.size.desc(), share.c.id.desc()),
    Sort.DOWNLOADS: (share.c.downloads.desc(), share.c.id.desc()),
    Sort.RATING: (share.c.rating.desc(), share.c.id.desc()),
}


def search(connection: Connection, query: SearchQuery) -> Results:
    """Find shares, and count how many there are."""
    typed = words(query.text)
    conditions = _conditions(query)
    found = sqlite.matching(typed).subquery() if typed else None
    source: FromClause = share if found is None else found.join(share, share.c.id == found.c.share_id)
    # Without a condition on shares, counting needs no look at them.
    counted = found if found is not None and not conditions else source
    total = connection.scalar(select(func.count()).select_from(counted).where(*conditions)) or 0
    page = select(share.c.id).select_from(source).where(*conditions)
    page = page.order_by(*_ORDER[query.sort]).limit(query.limit).offset(query.offset)
    return Results(total, tuple(load_shares(connection, connection.scalars(page).all())))


def _conditions(query: SearchQuery) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if query.category is not None:
        conditions.append(share.c.category == query.category)
    conditions += [
        share.c.id.in_(select(share_tag.c.share_id).where(share_tag.c.tag == tag))
        for tag in dict.fromkeys(map(fold, query.tags))
    ]
    if query.owner is not None:
        conditions.append(share.c.owner == query.owner)
    if query.min_size is not None:
        conditions.append(share.c.size >= query.min_size)
    if query.max_size is not None:
        conditions.append(share.c.size <= query.max_size)
    if query.online is not None:
        conditions.append(share.c.owner.in_(select(node.c.public_id).where(node.c.online == query.online)))
    return conditions
