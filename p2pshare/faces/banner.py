"""What ``/`` is: the peers of a text swarm, the dashboard for people, or a few words for programs."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from attrs import define
from twisted.web.server import NOT_DONE_YET

from p2pshare import __version__
from p2pshare.web.guard import Guard
from p2pshare.web.limits import LimitedRequest
from p2pshare.web.paths import Access, View, ask
from p2pshare.web.replies import ALWAYS, JSON, send

_BANNER = msgspec.json.encode({"message": "p2pshare, a BitTorrent tracker", "version": __version__, "docs": "/docs"})


def banner_views(
    text_peers: Callable[[LimitedRequest], bytes | int], dashboard: View, guard: Guard
) -> dict[bytes, View]:
    """
    Serve ``/``.

    :param text_peers: answers for a text swarm, ``TextTracker.peers``.
    :param dashboard: with the access it shall have.
    """
    return {b"/": View(Banner(text_peers, dashboard, guard).answer, (b"GET", b"HEAD"))}


@define(eq=False)
class Banner:
    """
    Chooses by what is asked for. Open itself, as peers of a text swarm call this host by any name; the dashboard is
    behind the guard as it would be at a path of its own.
    """

    _text_peers: Callable[[LimitedRequest], bytes | int]
    _dashboard: View
    _guard: Guard

    def answer(self, request: LimitedRequest) -> bytes | int:
        """Answer for ``/``."""
        if b"torrent_hash" in request.args:
            return self._text_peers(request)
        request.setHeader(b"Vary", b"Accept")
        if "text/html" in (request.getHeader("accept") or "").lower():
            return self._show(request)
        request.setHeader(b"Content-Type", JSON.encode("ascii"))
        return _BANNER

    def _show(self, request: LimitedRequest) -> bytes | int:
        if self._dashboard.access is not Access.OPEN:
            for name, value in ALWAYS:
                request.setHeader(name.encode("ascii"), value.encode("ascii"))
            page = self._guard.admit(request, self._dashboard.access)
            if page is not None:
                send(request, page)
                return NOT_DONE_YET
        return ask(self._dashboard, request)
