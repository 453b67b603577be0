"""What happens here, told to all who listen: over WebSockets, as server-sent events, and to who asks later."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any

from attrs import frozen
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.errors import RequestRefused, StorageError
from p2pshare.faces.times import rfc3339
from p2pshare.web.events import Event, EventFeed
from p2pshare.web.limits import WebLimits
from p2pshare.web.paths import Access, View
from p2pshare.web.websocket import Hub

KEPT = 100  # events for those who ask later
_ROUND = 10.0  # seconds between two stats when nothing happens
_PAUSE = 1.0  # seconds between two stats, whatever happens


@frozen
class NewsItem:
    """One thing that happened. ``data`` is a value for JSON."""

    type: str
    data: Any
    timestamp: str


class News(Service):
    """
    The one place that faces tell what happened.

    Whoever begins to listen hears first how things stand, in a ``stats_update``, and again when that has changed: once
    a second at most, and not counted at all while nobody listens. Started, it also tells it in rounds; stopped, it
    says goodbye to everybody.

    :ivar hub: the WebSockets.
    :ivar feed: the listeners to server-sent events.
    """

    log = Logger()

    def __init__(
        self,
        stats: Callable[[], Deferred[Any]],
        limits: WebLimits,
        clock: IReactorTime,
        now: Callable[[], float],
        hits: Counter[str],
    ) -> None:
        """
        Have nobody who listens yet.

        :param stats: counts, for a ``stats_update``.
        :param clock: for timers.
        :param now: seconds since 1970.
        """
        self.hub = Hub(clock, limits, hits, self._greet)
        self.feed = EventFeed(clock, limits, hits, lambda: [Event(item.type, item) for item in self._greet()])
        self._stats = stats
        self._clock = clock
        self._now = now
        self._kept: deque[NewsItem] = deque(maxlen=KEPT)
        self._latest: NewsItem | None = None  # of the stats
        self._counted_at = -_ROUND  # when they were begun to be counted
        self._is_stale = True
        self._is_counting = False
        self._has_newcomers = False  # who wait for the stats, and are told nothing before them
        self._held: list[NewsItem] = []  # meanwhile, KEPT at most
        self._soon: IDelayedCall | None = None
        self._is_stopped = False
        self._round: LoopingCall | None = None

    @property
    def has_listeners(self) -> bool:
        """Whether anybody hears what is said."""
        return len(self.hub) + len(self.feed) > 0

    def views(self, access: Access = Access.SAME) -> dict[bytes, View]:
        """Serve the WebSocket and the feed."""
        return {b"/ws": self.hub.view(access), b"/events": self.feed.view(access)}

    def tell(self, kind: str, data: object) -> None:
        """Something happened that people want to know; the stats may have changed with it."""
        item = self._item(kind, data)
        self._kept.append(item)
        self._publish(item)
        self.stats_changed()

    def mention(self, kind: str, data: object) -> None:
        """Something changed that pages want to know, and nobody later."""
        if self.has_listeners:
            self._publish(self._item(kind, data))

    def stats_changed(self) -> None:
        """The stats are no longer what was told; may be called as often as that is so."""
        self._is_stale = True
        self._count_soon()

    def activity(self) -> list[NewsItem]:
        """List what happened lately, the latest first."""
        return list(reversed(self._kept))

    def startService(self) -> None:
        """Tell the stats in rounds."""
        super().startService()
        self._round = LoopingCall(self.stats_changed)
        self._round.clock = self._clock
        self._round.start(_ROUND, now=False).addErrback(lambda failure: self.log.failure("news have ended", failure))

    def stopService(self) -> None:
        """Say goodbye."""
        super().stopService()
        self._is_stopped = True
        if self._round is not None and self._round.running:
            self._round.stop()
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        self.hub.stop()
        self.feed.stop()

    def _item(self, kind: str, data: object) -> NewsItem:
        return NewsItem(kind, data, rfc3339(self._now()))

    def _publish(self, item: NewsItem) -> None:
        if self._has_newcomers:
            self._held.append(item)
            if len(self._held) >= KEPT:
                self._let_newcomers_in()
            return
        self.hub.publish(item)
        self.feed.publish(Event(item.type, item))

    def _greet(self) -> Iterable[NewsItem]:
        """Give what a listener is to hear first; nothing if that has to be counted, and will be published at once."""
        age = self._clock.seconds() - self._counted_at
        if self._latest is None or age >= (_PAUSE if self._is_stale else _ROUND):
            self._has_newcomers = True
            if not self._is_counting:
                self._count()
            return () if self._is_counting or self._latest is None else (self._latest,)
        if self._is_stale:
            self._count_soon(comes_one=True)
        return (self._latest,)

    def _count_soon(self, comes_one: bool = False) -> None:
        if (self.has_listeners or comes_one) and not (self._soon or self._is_counting or self._is_stopped):
            wait = self._counted_at + _PAUSE - self._clock.seconds()
            self._soon = self._clock.callLater(max(0.0, wait), self._count_if_heard)

    def _count_if_heard(self) -> None:
        self._soon = None
        if self.has_listeners:
            self._count()

    def _count(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        self._is_stale = False
        self._is_counting = True
        self._counted_at = self._clock.seconds()
        self._stats().addCallbacks(self._counted, self._not_counted).addErrback(
            lambda failure: self.log.failure("stats cannot be told", failure)
        )

    def _counted(self, stats: object) -> None:
        self._is_counting = False
        self._latest = self._item("stats_update", stats)
        newcomers, self._has_newcomers = self._has_newcomers, False
        self._publish(self._latest)
        if newcomers:
            self._let_newcomers_in()
        if self._is_stale:  # changed again while it was counted
            self._count_soon()

    def _not_counted(self, failure: Failure) -> None:
        self._is_counting = False
        self._is_stale = True  # the next round tries again
        self._let_newcomers_in()
        if self._is_stopped:
            return
        if failure.check(StorageError, RequestRefused):
            self.log.error("stats cannot be counted: {reason}", reason=failure.getErrorMessage())
        else:
            self.log.failure("stats cannot be counted", failure)

    def _let_newcomers_in(self) -> None:
        """Publish what was held back for them."""
        self._has_newcomers = False
        held, self._held = self._held, []
        for item in held:
            self._publish(item)
