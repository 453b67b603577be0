"""The torrent of a shared file, for whoever wants to fetch it over BitTorrent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define

from p2pshare.errors import MetainfoError
from p2pshare.faces.node_downloads import WantedFile
from p2pshare.faces.node_files import FILE_NOT_FOUND, NO_SUCH_FILE
from p2pshare.faces.node_offer import Offer, Shared
from p2pshare.web.bodies import Page
from p2pshare.web.disposition import attachment
from p2pshare.web.paths import Access
from p2pshare.web.replies import Refused
from p2pshare.web.routes import Call, Route

TORRENT = "application/x-bittorrent"

TorrentOf = Callable[[Shared], bytes]  # writes the torrent file; raises MetainfoError where there can be none


@define(eq=False)
class NodeTorrentFiles:
    """Writes torrents when somebody asks for them; who has the torrent of a file need not know this node."""

    _offer: Offer
    _torrent_of: TorrentOf | None  # None: shared files are not seeded here

    def routes(self) -> list[Route]:
        """Give the rows."""
        if self._torrent_of is None:
            return []
        return [
            self._row("/api/v1/files/{file_id}/torrent", self.by_id, "Download the torrent of a file by its id"),
            self._row("/torrent", self.by_name, "Download the torrent of a file by its exact name", WantedFile),
        ]

    async def by_id(self, call: Call[None, None]) -> Page:
        """It names the tracker beside the index. The id is the one here, or that at the index."""
        return self._write(self._offer.find(call.params["file_id"]))

    async def by_name(self, call: Call[WantedFile, None]) -> Page:
        """The same."""
        return self._write(self._offer.named(call.query.filename))

    def _write(self, file: Shared | None) -> Page:
        assert self._torrent_of is not None, "there would be no such route"
        if file is None:
            raise Refused(404, FILE_NOT_FOUND)
        try:
            data = self._torrent_of(file)
        except MetainfoError as error:
            raise Refused(409, f"there can be no torrent of this file: {error}") from None
        name = file.name.rpartition("/")[2]
        return Page(data, TORRENT, headers=(("Content-Disposition", attachment(f"{name}.torrent")),))

    def _row(self, path: str, answer: Callable[[Any], Any], summary: str, query: type | None = None) -> Route:
        return Route(
            "GET",
            path,
            answer,
            summary,
            access=Access.SAME,
            query=query,
            reply=bytes,
            reply_type=TORRENT,
            refusals={**NO_SUCH_FILE, 409: "There can be no torrent of this file: it is empty, say"},
            group="Files",
        )
