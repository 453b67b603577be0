"""Finding shares by words, labels, size, owner, and whether they can be had now."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import partial
from operator import eq, ge, le
from typing import Any

from attrs import field, frozen
from sqlalchemy import ColumnElement, Connection, Select, func, select

from p2pshare.index import checks, sqlite
from p2pshare.index.records import Scheme, Share
from p2pshare.index.schema import content_key, node, share, share_tag
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
    hash: str | None = None  # SHA-256 of the content
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
    plan = _Plan(connection, query)
    if query.offset >= plan.total:
        return Results(plan.total, ())
    page = select(share.c.id).where(*plan.page())
    page = page.order_by(*_ORDER[query.sort]).limit(query.limit).offset(query.offset)
    return Results(plan.total, tuple(load_shares(connection, connection.scalars(page).all())))


@frozen(eq=False)
class _Condition:
    """One thing that is wanted of a share, besides words."""

    column: ColumnElement[Any]
    test: Callable[[ColumnElement[Any]], ColumnElement[bool]]
    is_narrow: bool  # few shares are so, and an index tells which

    def found(self) -> ColumnElement[bool]:
        """Have the database find rows by this, if it likes."""
        return self.test(self.column)

    def checked(self) -> ColumnElement[bool]:
        """Have each row found otherwise looked at."""
        return self.test(sqlite.unindexed(self.column))


class _Plan:
    """
    In which of three ways a query is answered; the database knows too little of words and labels to choose well.

    Rows come from the search tables, or from the indexes of labels, whatever gives fewer of them, and what is left is
    sorted. Or, when so much is found that a page of it must be near, the rows are walked through in the order wanted
    until the page is full. Looking at one row costs about the same in each.
    """

    def __init__(self, connection: Connection, query: SearchQuery) -> None:
        """Count what is found."""
        self._connection = connection
        self._query = query
        self._words = words(query.text)
        self._conditions = _conditions(query)
        self._source: _Condition | None = (
            None  # whose index rows come from; None: the search tables, if there are words
        )
        self._looked_at = self._rows()  # rows that come from there
        self.total = self._count()

    def page(self) -> list[ColumnElement[bool]]:
        """Say what the rows of a page are, in the way that finds them soonest."""
        rows = self._rows()
        to_walk = (self._query.offset + self._query.limit) * rows / self.total
        if self._query.sort is Sort.NAME and self.total < rows:
            to_walk = max(to_walk, rows / 2)  # names of a kind lie together, and may lie far behind
        return self._walked() if to_walk < self._looked_at else self._sorted()

    def _count(self) -> int:
        if self._words:
            found = sqlite.matching(self._words).subquery()
            self._looked_at = self._connection.scalar(select(func.count()).select_from(found)) or 0
        for condition in self._conditions:
            if condition.is_narrow and self._looked_at:
                alone = select(share.c.id).where(condition.found()).limit(self._looked_at).subquery()
                fewer = self._connection.scalar(select(func.count()).select_from(alone)) or 0
                if fewer < self._looked_at:
                    self._source, self._looked_at = condition, fewer
        # What the source finds alone is counted by now.
        others = len(self._conditions) + bool(self._words) - (self._source is not None or bool(self._words))
        return self._rows(*self._sorted()) if others and self._looked_at else self._looked_at

    def _rows(self, *conditions: ColumnElement[bool]) -> int:
        return self._connection.scalar(select(func.count()).select_from(share).where(*conditions)) or 0

    def _sorted(self) -> list[ColumnElement[bool]]:
        if self._source is None and not self._words:
            return [condition.found() for condition in self._conditions]
        others = [condition.checked() for condition in self._conditions if condition is not self._source]
        if self._source is None:
            return [share.c.id.in_(sqlite.matching(self._words)), *others]
        return [self._source.found(), *others, *self._held()]

    def _walked(self) -> list[ColumnElement[bool]]:
        # Who walks through sizes may begin at the one wanted.
        sizes = share.c.size if self._query.sort is Sort.SIZE else None
        return [
            *(each.found() if each.column is sizes else each.checked() for each in self._conditions),
            *self._held(),
        ]

    def _held(self) -> list[ColumnElement[bool]]:
        return [sqlite.holds(share.c.id, self._words)] if self._words else []


def _conditions(query: SearchQuery) -> list[_Condition]:
    tags = [select(share_tag.c.share_id).where(share_tag.c.tag == tag) for tag in dict.fromkeys(map(fold, query.tags))]
    conditions = [_Condition(share.c.id, partial(_is_in, those=shares), True) for shares in tags]
    for column, value in ((share.c.category, query.category), (share.c.owner, query.owner)):
        if value is not None:
            conditions.append(_Condition(column, partial(eq, value), True))
    if query.hash is not None:
        same = select(content_key.c.content_id).where(
            content_key.c.scheme == Scheme.SHA256.value, content_key.c.value == query.hash.lower()
        )
        conditions.append(_Condition(share.c.content_id, partial(_is_in, those=same), True))
    if query.min_size is not None:
        conditions.append(_Condition(share.c.size, partial(le, query.min_size), False))
    if query.max_size is not None:
        conditions.append(_Condition(share.c.size, partial(ge, query.max_size), False))
    if query.online is not None:
        nodes = select(node.c.public_id).where(node.c.online == query.online)
        conditions.append(_Condition(share.c.owner, partial(_is_in, those=nodes), False))
    return conditions


def _is_in(column: ColumnElement[Any], those: Select[Any]) -> ColumnElement[bool]:
    return column.in_(those)
