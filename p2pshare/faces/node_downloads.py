"""Fetching the files of a node over HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from p2pshare.errors import StorageError
from p2pshare.faces.node_content import OpenBelow, open_shared
from p2pshare.faces.node_files import FILE_NOT_FOUND, NO_SUCH_FILE
from p2pshare.faces.node_offer import Offer, Shared, Stamp
from p2pshare.faces.node_stats import Uploaded
from p2pshare.web.files import download
from p2pshare.web.limits import LimitedRequest
from p2pshare.web.open_file import Run
from p2pshare.web.paths import Access
from p2pshare.web.replies import Refused, Streamed
from p2pshare.web.routes import Call, Route

_BINARY = "application/octet-stream"


@frozen
class WantedFile:
    """Which file."""

    filename: str


@define(eq=False)
class NodeDownloads:
    """Sends files to whoever wants them; only what is listed can be had, by an id or by its exact name."""

    _offer: Offer
    _folder: Path
    _open_below: OpenBelow
    _run: Run
    _clock: IReactorTime
    _stall: float  # s in which a download has to move
    _hits: Counter[str]
    _uploaded: Uploaded
    _fetched: Callable[[str], object]  # told the name of a file that was fetched to its end
    _on_doubt: Callable[[], object] = lambda: None  # told: a file is not what it was
    _doubted: dict[str, Stamp] = field(init=False, factory=dict)  # by name: in which state that was told

    def routes(self) -> list[Route]:
        """Give the rows."""
        return [
            self._row("/download/{file_id}", self.by_id, "Download a file by its id, here or at the index"),
            self._row("/api/v1/download/{file_id}", self.by_id, "Download a file by its id, here or at the index"),
            self._row("/download", self.by_name, "Download a file by its exact name", WantedFile),
        ]

    async def by_id(self, call: Call[None, None]) -> Streamed:
        """As a whole, or the range that is asked for (RFC 9110, "Range Requests")."""
        return await self._send(self._offer.find(call.params["file_id"]))

    async def by_name(self, call: Call[WantedFile, None]) -> Streamed:
        """The same; this is where the index sends people."""
        return await self._send(self._offer.named(call.query.filename))

    def _row(self, path: str, answer: Callable[[Any], Any], summary: str, query: type | None = None) -> Route:
        return Route(
            "GET",
            path,
            answer,
            summary,
            access=Access.SAME,
            query=query,
            reply=bytes,
            reply_type=_BINARY,
            refusals=NO_SUCH_FILE,
            group="Files",
        )

    async def _send(self, file: Shared | None) -> Streamed:
        if file is None:
            raise Refused(404, FILE_NOT_FOUND)
        try:
            content = await open_shared(self._open_below, self._folder, file, self._run)
        except StorageError:  # the next look of the library finds out what it is now
            self._doubt(file)
            raise Refused(404, FILE_NOT_FOUND) from None
        self._doubted.pop(file.name, None)
        self._uploaded.begun()
        sending = _Sending(file, self._uploaded, self._fetched)
        name = file.name.rpartition("/")[2]
        reply = download(content, name, self._clock, self._stall, self._hits, over=sending.took)
        return Streamed(lambda request: sending.watch(reply.send(request), request), lambda: sending.dropped(reply))

    def _doubt(self, file: Shared) -> None:
        """Say it once: who asks again and again for what cannot be read must not keep anybody looking."""
        stamp = file.digest.stamp
        if self._doubted.get(file.name) != stamp:
            self._doubted[file.name] = stamp
            self._on_doubt()


@define(eq=False)
class _Sending:
    """Counts one download."""

    _file: Shared
    _uploaded: Uploaded
    _fetched: Callable[[str], object]
    _sent: int = 0

    def took(self, sent: int) -> None:
        self._sent = sent

    def watch(self, sending: Deferred[None], request: LimitedRequest) -> Deferred[None]:
        sending.addCallbacks(self._whole, self._broken, callbackArgs=(request,))
        return sending

    def dropped(self, reply: Streamed) -> None:
        reply.drop()
        self._uploaded.ended(0, False)

    def _whole(self, _: None, request: LimitedRequest) -> None:
        is_last = self._sent > 0 and self._ends(request)
        self._uploaded.ended(self._sent, is_last)
        if is_last:
            self._fetched(self._file.name)

    def _broken(self, failure: Any) -> Any:
        self._uploaded.ended(self._sent, False)
        return failure

    def _ends(self, request: LimitedRequest) -> bool:
        """Whether the reply went to the end of the file."""
        (part,) = request.responseHeaders.getRawHeaders("content-range") or ("",)
        return not part or part.endswith(f"-{self._file.size - 1}/{self._file.size}")
