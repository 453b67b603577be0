"""Finding files at a super-peer."""

from __future__ import annotations

from attrs import define, field, frozen

from p2pshare.faces.superpeer_files import FILE_NOT_FOUND, FileInfo
from p2pshare.index.checks import LARGEST
from p2pshare.index.search import LONGEST_PAGE, PAGE, SearchQuery, Sort
from p2pshare.index.shares import Shares
from p2pshare.web.paths import Access
from p2pshare.web.replies import Refused
from p2pshare.web.routes import Call, Route


@frozen
class FilesFound:
    """One page of what was found: ``count`` files of ``total``."""

    results: tuple[FileInfo, ...]
    count: int
    query: str
    total: int


@frozen
class PageQuery:
    """Which page of a list; what is no number from 0 on counts as not said."""

    limit: str = ""
    offset: str = ""


@frozen
class FileQuery:
    """
    What somebody looks for.

    All words of ``q`` occur in a name, the category, a tag or the torrent's paths; every one of ``tags`` is given.
    ``sort`` is name, size, downloads or rating, else it is the newest first.
    """

    q: str = ""
    category: str = ""
    tags: list[str] = field(factory=list)
    owner: str = ""
    hash: str = ""  # SHA-256 of the content
    min_size: int | None = None
    max_size: int | None = None
    online: bool | None = None  # whether the owner is
    sort: str = ""
    limit: str = ""  # 50 if that is no number
    offset: str = ""


@define(eq=False)
class SearchFace:
    """Answers who looks for files."""

    _shares: Shares

    def routes(self) -> list[Route]:
        """Give the rows."""
        return [
            Route(
                "GET",
                "/api/v1/files",
                self.list_files,
                "List files, the newest first",
                access=Access.SAME,
                query=PageQuery,
                reply=list[FileInfo],
                group="Files",
            ),
            Route(
                "GET",
                "/api/v1/files/{file_id}",
                self.one_file,
                "Look up a file",
                access=Access.SAME,
                reply=FileInfo,
                refusals={404: FILE_NOT_FOUND},
                group="Files",
            ),
            Route(
                "GET",
                "/api/v1/files/search",
                self.search,
                "Search files",
                access=Access.SAME,
                query=FileQuery,
                reply=FilesFound,
                group="Files",
            ),
        ]

    async def list_files(self, call: Call[PageQuery, None]) -> tuple[FileInfo, ...]:
        """At most a thousand at once; ask for the next with an offset."""
        limit, offset = _number(call.query.limit, LONGEST_PAGE, 1), _number(call.query.offset, 0)
        found = await self._shares.search(SearchQuery(limit=min(limit, LONGEST_PAGE), offset=offset))
        return tuple(map(FileInfo.of, found.shares))

    async def one_file(self, call: Call[None, None]) -> FileInfo:
        """By its id here."""
        share = await self._shares.get(call.params["file_id"])
        if share is None:
            raise Refused(404, FILE_NOT_FOUND)
        return FileInfo.of(share)

    async def search(self, call: Call[FileQuery, None]) -> FilesFound:
        """Words are found inside other words too; capitals and accents make no difference."""
        query = call.query
        found = await self._shares.search(
            SearchQuery(
                text=query.q,
                category=query.category or None,
                tags=tuple(tag for tag in query.tags if tag),
                owner=query.owner or None,
                hash=query.hash or None,
                min_size=query.min_size,
                max_size=query.max_size,
                online=query.online,
                sort=Sort.named(query.sort),
                limit=min(_number(query.limit, PAGE, 1), LONGEST_PAGE),
                offset=_number(query.offset, 0),
            )
        )
        results = tuple(map(FileInfo.of, found.shares))
        return FilesFound(results, len(results), query.q, found.total)


def _number(text: str, default: int, least: int = 0) -> int:
    """Read a number as it stands in links that people change; ``default`` when it is none, or too small."""
    if not (text.isascii() and text.isdigit()):
        return default
    number = min(int(text[:20]), LARGEST)  # 20 digits are beyond the largest
    return number if number >= least else default
