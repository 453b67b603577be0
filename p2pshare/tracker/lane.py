"""The short way of announces over HTTP: from the bytes of a read to those of the replies, past twisted.web."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress, IDelayedCall, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.tcp import Server
from twisted.python.failure import Failure
from twisted.web.http import datetimeToString
from zope.interface import implementer

from p2pshare.web.limits import LimitedChannel, LimitedSite
from p2pshare.web.sources import Source
from p2pshare.wire.announce_lane import LaneReader

_LOOK_EVERY = 1.0  # seconds between two looks at all lanes: a silent one stays so much longer than its limit

_HEAD = (
    b"HTTP/1.1 %b\r\nServer: p2pshare\r\nDate: %b\r\n%b"
    b"Content-Type: application/x-bittorrent\r\nContent-Length: %%d\r\n\r\n"
)

# Answers an announce, given its path, its query and who asks: the body and whether it is a refusal; None: this one has
# to go the long way, and nothing has happened yet.
Answer = Callable[[bytes, bytes, Source], "tuple[bytes, bool] | None"]


# What replies begin with, with room for the length of the body: [is it a refusal][is the connection closed after it].
Heads = tuple[tuple[bytes, bytes], tuple[bytes, bytes]]


def heads_of_now(refusal_status: int) -> Heads:
    """Write them with the time of day, for a second to come."""
    date = datetimeToString()
    good, bad = (
        (_HEAD % (status, date, b""), _HEAD % (status, date, b"Connection: close\r\n"))
        for status in (b"200 OK", b"200 OK" if refusal_status == 200 else b"400 Bad Request")
    )
    return good, bad


@implementer(IPushProducer)
class AnnounceLane(Protocol):
    """
    One connection, as long as it brings nothing but announces that can be answered at once.

    Everything else, half a request included, ends that: the connection becomes the one of ``twisted.web`` that it
    would have been from the beginning, and that gets the bytes that are not answered yet. Limits on connections and on
    time are the same in both.
    """

    transport: Any  # ITCPTransport, which does not mention that it is a producer, too
    until = 0.0  # when the connection has been silent for too long
    is_closing = False
    _is_full = False  # the transport has no room
    _rest = b""  # what waits for it
    _has_left = False  # the channel has the connection
    _sends_now = False  # the transport is a socket, which has sent all there was
    _is_new = False  # the reactor has not heard of anything happening on this connection

    def __init__(self, site: AnnounceSite, channel: LimitedChannel) -> None:
        """Stand in front of a channel that knows of no connection yet."""
        self._site = site
        self._channel = channel
        self._source = channel.source

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)
        self._site.lane_opened(self)
        if isinstance(self.transport, Server) and not self.transport.TLS:  # TLS has another way to the socket
            self._sends_now = self._is_new = True
            self.transport.doRead()  # mostly the first request has come along; if it has not, nothing happens
            self._is_new = False

    def dataReceived(self, data: bytes) -> None:
        if self._has_left:
            self._channel.dataReceived(data)
        elif not self.is_closing:
            self._answer(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._has_left:
            self._channel.connectionLost(reason)
        else:
            self._site.lane_closed(self)
            self._site.lost(self._channel)

    def pauseProducing(self) -> None:
        """Read no more: the client does not fetch its replies."""
        self._is_full = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Go on."""
        self._is_full = False
        self.transport.resumeProducing()
        rest, self._rest = self._rest, b""
        if rest and not self.is_closing:
            self._answer(rest)

    def stopProducing(self) -> None:
        """Do nothing: the connection is lost, and :meth:`connectionLost` follows."""

    def close(self) -> None:
        """Let the last bytes leave, for a while, and hang up."""
        self.is_closing = True
        self.until = self._site.now() + self._site.limits.linger
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def abort(self) -> None:
        """Hang up now."""
        self.transport.abortConnection()

    def _answer(self, data: bytes) -> None:
        site, source = self._site, self._source
        at, size = 0, len(data)
        while at < size:
            if self._is_full:
                self._rest = data[at:]
                return
            request = site.reader.read(data, at)
            answered = None if request is None else site.answer(request[0], request[1], source)
            if request is None or answered is None:
                self._leave(data[at:] if at else data)
                return
            body, is_refusal = answered
            closes, at = request[2:]
            reply = site.heads[is_refusal][closes] % len(body) + body
            if closes:  # what a client sends after its last request is not read
                self._send_last(reply)
                return
            self._send(reply)
        self.until = site.now() + site.limits.idle

    def _send(self, reply: bytes) -> None:
        """
        Send a reply: at once, as there is room in nearly every socket for one more, instead of asking for a call back
        as soon as there is. What is left over goes the usual way, and so does everything after it.
        """
        if self._sends_now:
            sent = self.transport.writeSomeData(reply)
            if sent == len(reply):
                return
            self._sends_now = False
            if isinstance(sent, int):  # else the connection is lost, which the next write finds out in order
                reply = reply[sent:]
        self.transport.write(reply)

    def _send_last(self, reply: bytes) -> None:
        """Send a reply and hang up; without any detour where a whole life was one request that came at once."""
        if self._is_new and self._sends_now:
            sent = self.transport.writeSomeData(reply)
            if sent == len(reply):
                self.transport.connectionLost(connectionDone)
                return
            if isinstance(sent, int):
                reply = reply[sent:]
        self.transport.write(reply)
        self.close()

    def _leave(self, data: bytes) -> None:
        self._has_left = True
        self._site.lane_closed(self)
        transport = self.transport
        transport.unregisterProducer()
        transport.protocol = self._channel
        self._channel.makeConnection(transport)
        self._channel.dataReceived(data)


class AnnounceSite(LimitedSite):
    """
    A site in front of whose connections there are lanes for announces.

    With an access log there are none: to write its line costs more than an announce.
    """

    def __init__(self, *args: Any, answer: Answer, refusal_status: int = 200, **kwargs: Any) -> None:
        """
        Serve what a ``LimitedSite`` with these arguments would.

        :param refusal_status: 200 or 400.
        """
        super().__init__(*args, **kwargs)
        self.answer = answer
        self.reader = LaneReader()
        self.heads: Heads = heads_of_now(refusal_status)
        self._refusal_status = refusal_status
        self._lanes: set[AnnounceLane] = set()
        self._round: IDelayedCall | None = None  # while there are lanes, and a moment longer

    def buildProtocol(self, addr: IAddress | None) -> LimitedChannel | AnnounceLane | None:  # type: ignore[override]
        channel = super().buildProtocol(addr)
        return channel if channel is None or self.logPath is not None else AnnounceLane(self, channel)

    def now(self) -> float:
        """Tell the time of the reactor, whose clock may be replaced before it runs."""
        now: float = self.reactor.seconds()
        return now

    def stopFactory(self) -> None:
        if self._round is not None:
            self._round.cancel()
            self._round = None
        super().stopFactory()

    def lane_opened(self, lane: AnnounceLane) -> None:
        """Watch a connection that waits for its first request."""
        lane.until = self.now() + self.limits.header_deadline
        self._lanes.add(lane)
        if self._round is None:
            self._look()

    def lane_closed(self, lane: AnnounceLane) -> None:
        """Watch it no more."""
        self._lanes.discard(lane)

    def _look(self) -> None:
        """End the connections that were silent for too long."""
        now = self.now()
        self.heads = heads_of_now(self._refusal_status)
        for lane in [lane for lane in self._lanes if lane.until <= now]:
            if lane.is_closing:
                lane.abort()
            else:
                lane.close()
        self._round = self.reactor.callLater(_LOOK_EVERY, self._look) if self._lanes else None
