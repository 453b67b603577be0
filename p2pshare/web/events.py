"""Server-sent events: what happens, told over plain HTTP to whoever listens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from attrs import define, field, frozen
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from p2pshare.web.limits import LimitedRequest, WebLimits
from p2pshare.web.paths import Access, View
from p2pshare.web.replies import Refused, put_headers

_RETRY = b"retry: 3000\n\n"  # milliseconds until a browser that lost us tries again
_HEARTBEAT = b":\n\n"
_HEADERS = (
    ("Content-Type", "text/event-stream"),
    ("Cache-Control", "no-store"),
    ("X-Accel-Buffering", "no"),  # nginx would keep events until it has many
)


@frozen
class Event:
    """One thing that happened: its kind, and a value for JSON."""

    kind: str
    value: Any

    def encode(self) -> bytes:
        """Write it as a browser reads it; JSON has no line ends of its own."""
        return b"event: %s\ndata: %s\n\n" % (self.kind.encode(), msgspec.json.encode(self.value))


def _nothing() -> Iterable[Event]:
    return ()


@define(eq=False)
class EventFeed:
    """
    Tells events to all who listen. Who does not keep up is dropped, and can come again for a fresh start.

    ``greet`` gives the events a listener begins with.
    """

    _clock: IReactorTime
    _limits: WebLimits
    _hits: Counter[str]
    _greet: Callable[[], Iterable[Event]] = _nothing
    _listeners: set[_Listener] = field(init=False, factory=set)
    _heart: LoopingCall = field(init=False)
    log = Logger()

    def __attrs_post_init__(self) -> None:
        self._heart = LoopingCall(self._beat)
        self._heart.clock = self._clock

    def __len__(self) -> int:
        return len(self._listeners)

    def publish(self, event: Event) -> None:
        """Tell everybody."""
        if self._listeners:
            data = event.encode()
            for listener in list(self._listeners):
                listener.say(data)

    def view(self, access: Access = Access.TOKEN) -> View:
        """Serve the feed."""
        return View(self._answer, (b"GET",), access)

    def stop(self) -> None:
        """End all replies."""
        for listener in list(self._listeners):
            listener.end()

    def _answer(self, request: LimitedRequest) -> int:
        if len(self._listeners) >= self._limits.streams:
            raise Refused(503, "too many listeners", (("Retry-After", "30"),), "streams")
        greeting = b"".join(event.encode() for event in self._greet())  # may fail: then nothing has begun
        put_headers(request, 200, _HEADERS)
        listener = _Listener(request, self._limits.unread_bytes, self._hits)
        self._listeners.add(listener)
        request.notifyFinish().addBoth(self._gone, listener)
        request.registerProducer(listener, True)
        listener.say(_RETRY + greeting)
        if not self._heart.running:
            self._heart.start(self._limits.heartbeat, now=False).addErrback(
                lambda failure: self.log.failure("the heartbeat of events", failure=failure)
            )
        return NOT_DONE_YET

    def _gone(self, _: object, listener: _Listener) -> None:
        self._listeners.discard(listener)
        if not self._listeners and self._heart.running:
            self._heart.stop()

    def _beat(self) -> None:
        for listener in list(self._listeners):
            listener.beat()


@implementer(IPushProducer)
@define(eq=False)
class _Listener:
    """One client. What the transport has no room for waits here, up to a limit."""

    _request: Any  # LimitedRequest, whose channel is None once the client has gone
    _limit: int  # bytes
    _hits: Counter[str]
    _is_full: bool = field(init=False, default=False)
    _was_full: bool = field(init=False, default=False)  # at the last heartbeat, and ever since
    _waiting: bytearray = field(init=False, factory=bytearray)

    def say(self, data: bytes) -> None:
        if not self._is_full:
            self._request.write(data)
        elif len(self._waiting) + len(data) > self._limit:
            self._drop()
        else:
            self._waiting += data

    def beat(self) -> None:
        """Show that we live; who took nothing since the last time does not."""
        if self._was_full:
            self._drop()
        elif self._is_full:
            self._was_full = True
        else:
            self._request.write(_HEARTBEAT)

    def end(self) -> None:
        self._request.unregisterProducer()
        self._request.finish()

    def pauseProducing(self) -> None:
        self._is_full = True

    def resumeProducing(self) -> None:
        self._is_full = self._was_full = False
        if self._waiting:
            data = bytes(self._waiting)
            self._waiting.clear()
            self._request.write(data)

    def stopProducing(self) -> None:
        """Nothing to do: the request is told that its client is gone."""

    def _drop(self) -> None:
        self._hits["unread_bytes"] += 1
        if self._request.channel is not None:
            self._request.channel.transport.abortConnection()
