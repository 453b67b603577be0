"""Files that this service has itself, over HTTP: what was uploaded to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define, frozen
from twisted.internet.interfaces import IReactorTime

from p2pshare.errors import StorageError
from p2pshare.web.files import download
from p2pshare.web.open_file import Run, open_file
from p2pshare.web.paths import Access
from p2pshare.web.replies import Refused, Streamed
from p2pshare.web.routes import Call, Route

_NOT_FOUND = "File not found"


@frozen
class Wanted:
    """Which file."""

    filename: str


@define(eq=False)
class OwnFiles:
    """Serves files by their exact name."""

    _find: Callable[[str], Path | None]  # None: there is no file of that name
    _run: Run
    _clock: IReactorTime
    _stall: float  # s in which a download has to move
    _hits: Counter[str]

    def routes(self) -> list[Route]:
        """Give the rows."""
        return [
            Route(
                "GET",
                "/download",
                self.download,
                "Download a file that this service has",
                access=Access.SAME,
                query=Wanted,
                reply=bytes,
                reply_type="application/octet-stream",
                refusals={206: "A part, as it was asked for", 404: _NOT_FOUND, 416: "There is no such part"},
                group="Files",
            )
        ]

    async def download(self, call: Call[Any, None]) -> Streamed:
        """As a whole, or the range that is asked for (RFC 9110, "Range Requests")."""
        path = self._find(call.query.filename)
        if path is None:
            raise Refused(404, _NOT_FOUND)
        try:
            file = await open_file(path, self._run)
        except StorageError:
            raise Refused(404, _NOT_FOUND) from None
        return download(file, path.name, self._clock, self._stall, self._hits)
