"""Searching from a node: in the whole index, or among its own files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import attrs
import msgspec
from attrs import define, field, frozen
from twisted.logger import Logger

from p2pshare.errors import IndexRefused, IndexUnreachable, RequestRefused
from p2pshare.faces.node_files import LONGEST_PAGE, number
from p2pshare.faces.node_offer import Offer, Shared
from p2pshare.web.open_file import Run
from p2pshare.web.paths import Access
from p2pshare.web.replies import Refused
from p2pshare.web.routes import Call, Route

FAILED = "Failed to search files"
_PAGE = 50  # files, as at the index
_LOCAL = "local"


class Index(Protocol):
    """Where to search; an IndexClient."""

    async def ask(self, method: str, path: str, *, query: Mapping[str, object] | None = None) -> Any:
        """Ask for JSON. :raise IndexRefused, IndexUnreachable: there is none."""


@frozen
class NodeQuery:
    """
    What somebody looks for, in the words of the index.

    All words of ``q`` occur in a name, the category or a tag; every one of ``tags`` is given. ``sort`` is name, size,
    downloads or rating, else it is the newest first. ``scope=local``: only among the files of this node.
    """

    q: str = ""
    category: str = ""
    tags: list[str] = field(factory=list)
    owner: str = ""
    min_size: int | None = None
    max_size: int | None = None
    online: bool | None = None  # whether the owner is; told to the index
    sort: str = ""
    limit: str = ""  # 50 if that is no number
    offset: str = ""
    scope: str = ""


@frozen
class Results:
    """One page of what was found: ``count`` files of ``total``; of the index, each is as that says it."""

    results: list[Any]
    count: int
    query: str
    total: int


@frozen
class _Result:
    """A file, as far as pages rely on what an index says of it."""

    id: str
    filename: str
    size: int
    category: str = ""
    tags: list[str] | None = None
    owner: str = ""
    upload_time: str = ""
    downloads: int = 0
    rating: float = 0.0
    info_hash: str | None = None


@frozen
class _Found:
    results: list[_Result] | None = None  # some indexes say null when there is nothing
    count: int = 0
    total: int | None = None


@define(eq=False)
class NodeSearch:
    """Answers who looks for files."""

    _offer: Offer
    _files: Mapping[str, Shared]  # those of the node, by name
    _id: Callable[[], str]  # of the node, at the index
    _run: Run
    _index: Index | None = None
    log = Logger()

    def routes(self) -> list[Route]:
        """Give the rows."""
        return [
            Route(
                "GET",
                "/api/v1/search",
                self.search,
                "Search files, in the whole index",
                access=Access.SAME,
                query=NodeQuery,
                reply=Results,
                refusals={502: FAILED},
                group="Files",
            )
        ]

    async def search(self, call: Call[NodeQuery, None]) -> Results:
        """As the index answers; a node that knows none searches among its own files."""
        query = call.query
        if query.scope not in ("", "index", _LOCAL):
            raise RequestRefused(f"scope: {query.scope[:80]!r}, expected index or {_LOCAL}")
        if self._index is None or query.scope == _LOCAL:
            return await self._search_here(query)
        return await self._ask(self._index, query)

    async def _ask(self, index: Index, query: NodeQuery) -> Results:
        given: dict[str, object] = attrs.asdict(query, filter=lambda attribute, value: value not in ("", None))
        del given["tags"]
        given.pop("scope", None)
        if query.online is not None:
            given["online"] = "true" if query.online else "false"
        if query.tags:
            given["tags"] = query.tags
        try:
            reply = await index.ask("GET", "/api/v1/files/search", query=given)
            found = msgspec.convert(reply, _Found)
        except (IndexUnreachable, IndexRefused, msgspec.ValidationError) as error:
            self.log.warn("cannot search the index: {reason}", reason=str(error))
            raise Refused(502, FAILED) from None
        results: list[Any] = reply.get("results") or []
        return Results(results, len(results), query.q, max(found.total or found.count, len(results)))

    async def _search_here(self, query: NodeQuery) -> Results:
        limit, offset = min(number(query.limit, _PAGE, 1), LONGEST_PAGE), number(query.offset, 0)
        if query.owner not in ("", self._id()) or query.online is False:
            return Results([], 0, query.q, 0)
        files = tuple(self._files.values())  # a thread must not go through a dictionary that changes
        found: Sequence[Shared] = await self._run(find, files, query)
        page = self._offer.describe_all(found[offset : offset + limit])
        return Results(list(page), len(page), query.q, len(found))


def find(files: Sequence[Shared], query: NodeQuery) -> list[Shared]:
    """Choose files and sort them. Blocks."""
    words = query.q.casefold().split()
    tags = {tag.casefold() for tag in query.tags if tag}
    category = query.category.casefold()
    found = [
        file
        for file in files
        if (not category or file.category == category)
        and (query.min_size is None or file.size >= query.min_size)
        and (query.max_size is None or file.size <= query.max_size)
        and tags <= {tag.casefold() for tag in file.tags}
        and _has(words, file)
    ]
    match query.sort:
        case "name":
            found.sort(key=lambda file: file.name.casefold())
        case "size":
            found.sort(key=lambda file: -file.size)
        case "downloads":
            found.sort(key=lambda file: -file.downloads)
        case _:
            found.sort(key=lambda file: -file.shared_at)
    return found


def _has(words: Sequence[str], file: Shared) -> bool:
    if not words:
        return True
    text = "\n".join((file.name, file.category, *file.tags)).casefold()
    return all(word in text for word in words)
