"""Fetching a file that nodes share: the super-peer knows where it is, and sends people there."""

from __future__ import annotations

from urllib.parse import quote

from attrs import define

from p2pshare.faces.news import News
from p2pshare.faces.superpeer_files import FILE_NOT_FOUND
from p2pshare.index.records import Share
from p2pshare.index.shares import Shares
from p2pshare.web.bodies import Page
from p2pshare.web.paths import Access
from p2pshare.web.rates import RateLimit
from p2pshare.web.replies import Refused, redirect
from p2pshare.web.routes import Call, Route

_RETRY = ("Retry-After", "30")  # seconds: a heartbeat of an owner who comes back


@define(eq=False)
class DownloadFace:
    """Answers who wants a file with where it is."""

    _shares: Shares
    _news: News
    _own: str | None  # the owner whose files are served by this service itself

    def routes(self, rate: RateLimit) -> list[Route]:
        """
        Give the rows.

        :param rate: at which one address may begin downloads; each is counted.
        """
        return [
            Route(
                "GET",
                path,
                self.download,
                "Download a file from who shares it",
                access=Access.SAME,
                status=302,
                refusals={404: FILE_NOT_FOUND, 503: "Nobody who shares this file is online"},
                rate=rate,
                group="Files",
            )
            for path in ("/download/{file_id}", "/api/v1/download/{file_id}")
        ]

    async def download(self, call: Call[None, None]) -> Page:
        """Leads to the owner; while that is offline, to another owner of the same content. Counts as a download."""
        share = await self._shares.get(call.params["file_id"])
        if share is None:
            raise Refused(404, FILE_NOT_FOUND)
        place = self._served_by(share) or await self._served_by_others(share)
        if place is None:
            raise Refused(503, "nobody who shares this file is online", (_RETRY,))
        if not call.is_head:
            self._shares.count_download(share.id)
            self._news.stats_changed()
        return redirect(place)

    async def _served_by_others(self, share: Share) -> str | None:
        """Find another owner; those online are listed first, then those of whom nothing is known."""
        places = map(self._served_by, await self._shares.copies(share.id))
        return next((place for place in places if place is not None), None)

    def _served_by(self, share: Share) -> str | None:
        """Give the URL at which an owner serves a file; None if it is offline, or serves nothing over HTTP."""
        path = f"/download?filename={quote(share.filename, safe='')}"
        if share.owner == self._own:
            return path  # whatever name this service goes by
        return f"http://{share.peer_address}{path}" if share.peer_address and share.online is not False else None
