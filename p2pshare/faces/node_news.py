"""What happens at a node, told to the pages that are open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from p2pshare.faces.news import NewsItem
from p2pshare.faces.times import rfc3339
from p2pshare.web.limits import WebLimits
from p2pshare.web.paths import Access, View
from p2pshare.web.websocket import Hub

_ROUND = 1.0  # s between two looks at what changes all the time
_LONG = 10  # rounds between two calls of those who want to look only now and then


class NodeNews(Service):
    """
    Tells of files as they come and go, and once a second of transfers, if they are not as they were.

    Whoever begins to listen hears first who this node is, then what goes on. Nothing is counted while nobody listens.

    :ivar hub: the WebSockets.
    """

    log = Logger()

    def __init__(
        self,
        info: Callable[[], object],
        transfers: Callable[[], object],
        look: Callable[[], object],
        limits: WebLimits,
        clock: IReactorTime,
        now: Callable[[], float],
        hits: Counter[str],
    ) -> None:
        """
        Have nobody who listens yet.

        :param info: who this node is, a value for JSON that can be compared.
        :param transfers: what goes on, the same.
        :param look: called every ten seconds, whoever listens.
        :param clock: for timers.
        :param now: seconds since 1970.
        """
        self.hub = Hub(clock, limits, hits, self._greet)
        self._info = info
        self._transfers = transfers
        self._look = look
        self._now = now
        self._said: dict[str, object] = {}  # by kind, the last of what may be told again and again
        self._rounds = 0
        self._ticker = LoopingCall(self._tick)
        self._ticker.clock = clock

    def view(self, access: Access = Access.SAME) -> dict[bytes, View]:
        """Serve the WebSocket."""
        return {b"/ws": self.hub.view(access)}

    def tell(self, kind: str, data: object) -> None:
        """Something happened."""
        if len(self.hub):
            self.hub.publish(self._item(kind, data))

    def startService(self) -> None:
        """Look in rounds."""
        super().startService()
        self._ticker.start(_ROUND, now=False).addErrback(
            lambda failure: self.log.failure("news of this node have ended", failure)
        )

    def stopService(self) -> None:
        """Say goodbye."""
        super().stopService()
        if self._ticker.running:
            self._ticker.stop()
        self.hub.stop()

    def _tick(self) -> None:
        self._rounds += 1
        if self._rounds % _LONG == 0:
            self._look()
        if len(self.hub):
            self._tell_changed("peer_info", self._info())
            self._tell_changed("transfers", self._transfers())

    def _tell_changed(self, kind: str, data: object) -> None:
        if self._said.get(kind) != data:
            self._said[kind] = data
            self.tell(kind, data)

    def _greet(self) -> Iterable[NewsItem]:
        self._said.clear()  # what this one hears may be newer: the next round tells everybody, whatever was said before
        return self._item("peer_info", self._info()), self._item("transfers", self._transfers())

    def _item(self, kind: str, data: object) -> NewsItem:
        return NewsItem(kind, data, rfc3339(self._now()))
