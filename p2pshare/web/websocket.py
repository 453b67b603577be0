"""
WebSockets (RFC 6455) for pages that want to know at once; deltas for who keeps up, a fresh start for who does not.

Twisted's own implementation bounds neither what comes in nor what goes out, and leaves the connection to us.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from attrs import define, field
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.websocket import WebSocketResource, WebSocketTransport
from wsproto.utilities import LocalProtocolError
from zope.interface import implementer

from p2pshare.web.frames import MessageLengths
from p2pshare.web.guard import is_upgrade
from p2pshare.web.limits import LimitedRequest, WebLimits
from p2pshare.web.paths import Access, View
from p2pshare.web.replies import Refused

_LOOK = 5.0  # seconds between two looks at who still answers

# Close codes (RFC 6455, "Status Codes")
_GOING_AWAY, _NOT_TEXT, _TOO_BIG = 1001, 1003, 1009


def _nothing() -> Iterable[object]:
    return ()


def _ignore(text: str) -> None:
    pass


@define(eq=False)
class Hub:
    """
    Says the same to all WebSockets on one path.

    ``greet`` gives the values a socket begins with: all there is to know now. A socket that does not read misses what
    is said meanwhile, and is greeted again when it has caught up. ``heard`` is told what sockets say.
    """

    _clock: IReactorTime
    _limits: WebLimits
    _hits: Counter[str]
    _greet: Callable[[], Iterable[object]] = _nothing
    _heard: Callable[[str], None] = _ignore
    _sockets: set[Socket] = field(init=False, factory=set)
    _ticker: LoopingCall = field(init=False)
    _resource: WebSocketResource = field(init=False)
    log = Logger()

    def __attrs_post_init__(self) -> None:
        self._ticker = LoopingCall(self._look)
        self._ticker.clock = self._clock
        self._resource = WebSocketResource(self)

    def __len__(self) -> int:
        return len(self._sockets)

    def publish(self, value: object) -> None:
        """Say a value, as JSON, to everybody who can take it."""
        if self._sockets:
            data = msgspec.json.encode(value)
            text = data.decode()
            for socket in list(self._sockets):
                socket.say(text, len(data))

    def view(self, access: Access = Access.TOKEN) -> View:
        """Serve the WebSocket. A dispatcher's guard looks at Host, Origin and token before it."""
        return View(self._answer, (b"GET",), access)

    def stop(self) -> None:
        """Say goodbye to everybody."""
        for socket in list(self._sockets):
            socket.close(_GOING_AWAY)

    def buildProtocol(self, request: Any) -> Socket:
        return Socket(request.channel, self, self._clock, self._limits, self._hits)

    def greetings(self) -> list[bytes]:
        """Give what a socket is to know first."""
        return [msgspec.json.encode(value) for value in self._greet()]

    def opened(self, socket: Socket) -> None:
        """Take in a socket that is through with its handshake."""
        self._sockets.add(socket)
        if not self._ticker.running:
            self._ticker.start(_LOOK, now=False).addErrback(
                lambda failure: self.log.failure("looking after WebSockets", failure=failure)
            )

    def heard(self, text: str) -> None:
        """Take what a socket said."""
        self._heard(text)

    def lost(self, socket: Socket) -> None:
        """Let go of a socket."""
        self._sockets.discard(socket)
        if not self._sockets and self._ticker.running:
            self._ticker.stop()

    def _answer(self, request: LimitedRequest) -> bytes | int:
        if not is_upgrade(request):
            raise Refused(426, "this is a WebSocket", (("Upgrade", "websocket"), ("Connection", "Upgrade")))
        if len(self._sockets) >= self._limits.sockets:
            raise Refused(503, "too many WebSockets", (("Retry-After", "30"),), "sockets")
        return self._resource.render_GET(request)

    def _look(self) -> None:
        for socket in list(self._sockets):
            socket.look()


@implementer(IPushProducer)
@define(eq=False)
class Socket:
    """
    One WebSocket. Twisted calls the methods of its WebSocketProtocol; the rest is for its hub.

    What was read is known from pongs: each ping covers all that was said before it, and there is one at a time. So what
    the other side, every buffer between included, has not read is at most ``unread_bytes``.
    """

    _channel: Any  # LimitedChannel, of which Twisted takes two methods over
    _hub: Hub
    _clock: IReactorTime
    _limits: WebLimits
    _hits: Counter[str]
    _greetings: Sequence[bytes] = field(init=False)
    _lengths: MessageLengths = field(init=False)
    _transport: Any = field(init=False)  # twisted's WebSocketTransport
    _feed: Callable[[bytes], None] = field(init=False)
    _said: int = field(init=False, default=0)  # bytes, ever
    _read: int = field(init=False, default=0)  # of these, bytes that are known to be read
    _ping: tuple[bytes, int, float] | None = field(init=False, default=None)  # its payload, what it covers, when
    _pings: int = field(init=False, default=0)
    _answered_at: float = field(init=False)
    _has_missed: bool = field(init=False, default=False)
    _closing_at: float | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._lengths = MessageLengths(self._limits.message_bytes)
        self._answered_at = self._clock.seconds()
        self._greetings = self._hub.greetings()  # may fail: then it is an HTTP request still

    # What Twisted calls

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self._transport = transport

    def negotiationFinished(self) -> None:
        self._feed, self._channel.dataReceived = self._channel.dataReceived, self.dataReceived
        self._channel.transport.unregisterProducer()  # the channel, which has no more to say
        self._transport.attachProducer(self)
        self._hub.opened(self)
        self._greet(self._greetings)
        self._greetings = ()

    def textMessageReceived(self, message: str) -> None:
        if self._closing_at is None:
            self._hub.heard(message)

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        self.close(_NOT_TEXT)

    def pongReceived(self, payload: bytes) -> None:
        if self._ping is None or payload != self._ping[0]:
            return  # unsolicited: allowed, and says nothing
        _, self._read, _ = self._ping
        self._ping = None
        self._answered_at = self._clock.seconds()
        if self._has_missed:
            self._has_missed = False
            self._greet(self._hub.greetings())
        elif self._said > self._read:
            self._send_ping()

    def connectionLost(self, reason: Failure) -> None:
        self._closing_at = self._clock.seconds()
        self._hub.lost(self)
        self._channel.ended()

    # What the transport calls

    def dataReceived(self, data: bytes) -> None:
        if self._closing_at is not None and self._channel.transport.disconnecting:
            return
        if not self._lengths.fit(data):
            self._hits["message_bytes"] += 1
            self.close(_TOO_BIG)
            return
        try:
            self._feed(data)
        except LocalProtocolError:  # bytes after a close frame
            self._abort()
            return
        if self._channel.transport.disconnecting and self._closing_at is None:  # by Twisted, as the protocol wants it
            self._begin_closing()

    def pauseProducing(self) -> None:
        # Nothing more is read, either: for each ping of theirs there is a pong, which would wait here without limit.
        self._channel.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self._channel.transport.resumeProducing()

    def stopProducing(self) -> None:
        """Nothing to do: :meth:`connectionLost` comes, too."""

    # What the hub calls

    def say(self, text: str, size: int) -> None:
        """Send a message, unless too much is unread; then this and all that follows is missed until it is not."""
        if self._closing_at is not None or self._has_missed:
            return
        if self._said - self._read + size > self._limits.unread_bytes:
            self._hits["unread_bytes"] += 1
            self._has_missed = True
            return
        self._send(text, size)

    def look(self) -> None:
        """Close it if it does not answer; ask if it is still there, if it has long had nothing to answer."""
        now = self._clock.seconds()
        if self._closing_at is not None:
            if now - self._closing_at >= self._limits.linger:
                self._abort()
        elif self._ping is not None:
            if now - self._ping[2] >= self._limits.pong_deadline:
                self._hits["pong_deadline"] += 1
                self._abort()
        elif now - self._answered_at >= self._limits.heartbeat:
            self._send_ping()

    def close(self, code: int) -> None:
        """Close it, with the reason as a number."""
        if self._closing_at is None:
            self._begin_closing()
            try:
                self._transport.loseConnection(code)
            except LocalProtocolError:  # the other side was faster
                self._channel.transport.loseConnection()

    def _greet(self, greetings: Sequence[bytes]) -> None:
        """Say all there is to know, however long: next to nothing else is unread."""
        for data in greetings:
            self._send(data.decode(), len(data))

    def _send(self, text: str, size: int) -> None:
        try:
            self._transport.sendTextMessage(text)
        except LocalProtocolError:
            self._begin_closing()
            return
        self._said += size
        if self._ping is None:
            self._send_ping()

    def _send_ping(self) -> None:
        self._pings += 1
        self._ping = (b"%d" % self._pings, self._said, self._clock.seconds())
        try:
            self._transport.ping(self._ping[0])
        except LocalProtocolError:
            self._begin_closing()

    def _begin_closing(self) -> None:
        self._closing_at = self._clock.seconds()
        self._transport.detachProducer()
        if not self._channel.transport.disconnecting:
            self._channel.transport.resumeProducing()  # for the rest of their bytes, if it is full

    def _abort(self) -> None:
        self._channel.transport.abortConnection()
