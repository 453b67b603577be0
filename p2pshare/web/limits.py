"""
A twisted.web site that strangers may connect to.

twisted.web bounds the size of headers; what it leaves open is closed here: the size of bodies, slow senders (its idle
timer starts again with every byte), and the number of connections.
"""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from typing import Any

from attrs import frozen
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import RESPONSES, HTTPChannel, combinedLogFormatter, datetimeToLogString
from twisted.web.iweb import IAccessLogFormatter
from twisted.web.resource import IResource
from twisted.web.server import Request, Site
from zope.interface import provider

from p2pshare.web.sources import Source, Sources

_NEVER = float("inf")


@frozen
class WebLimits:
    """What a site bears. Times are in seconds, sizes in bytes; exempt sources count among all connections only."""

    connections: int = 4000
    connections_per_address: int = 64
    header_bytes: int = 8192  # chihaya 4 KiB, aquatic 2 KiB; a scrape of 70 torrents needs 5
    headers: int = 64
    header_deadline: float = 10.0  # from the first byte of a request, or from connecting
    body_bytes: int = 0
    body_deadline: float = 60.0  # from the end of the header
    idle: float = 60.0  # between two requests
    linger: float = 15.0  # for the last bytes to leave once we closed


class LimitedRequest(Request):
    """A request whose body is kept in memory, as far as the limit goes; a larger one is refused before it is read."""

    channel: LimitedChannel
    _body_bytes = 0

    @property
    def source(self) -> Source:
        """Who asks: the other end of the connection, or behind it, if that is a configured proxy."""
        source = self.channel.source
        forwarded = self.requestHeaders.getRawHeaders(b"x-forwarded-for")
        return self.channel.site.sources.behind(source, forwarded) if forwarded else source

    def gotLength(self, length: int | None) -> None:
        """Refuse a body that says it is too large; a chunked one does not say, but none at all is a size, too."""
        self.content = BytesIO()
        limit = self.channel.site.limits.body_bytes
        if (length is None and limit == 0) or (length or 0) > limit:
            self.requestHeaders.removeHeader(b"expect")  # or the channel says "100 Continue" after it
            self.channel.refuse(413)

    def handleContentChunk(self, data: bytes) -> None:
        """Count a body that comes in chunks."""
        self._body_bytes += len(data)
        if self._body_bytes > self.channel.site.limits.body_bytes:
            self.channel.refuse(413)
        else:
            super().handleContentChunk(data)


class LimitedChannel(HTTPChannel):
    """
    One connection. A single timer watches it through its phases: waiting for a request, header, body, answer, closing.

    The timer looks every ``header_deadline`` seconds at the latest, so that no request has to set one.
    """

    site: LimitedSite
    source: Source
    transport: ITCPTransport
    _watch: IDelayedCall | None = None
    _is_waiting = True
    _is_closing = False

    def connectionMade(self) -> None:
        super().connectionMade()
        limits = self.site.limits
        self.totalHeadersSize = self.MAX_LENGTH = limits.header_bytes
        self.maxHeaders = limits.headers
        self._allow(limits.header_deadline)
        self._look()

    def dataReceived(self, data: bytes) -> None:
        if self._is_closing:
            return
        if self._is_waiting:
            self._is_waiting = False
            self._allow(self.site.limits.header_deadline)
        super().dataReceived(data)

    def lineLengthExceeded(self, line: bytes) -> None:
        self.refuse(431)

    def allHeadersReceived(self) -> None:
        self._is_waiting = False
        self._allow(self.site.limits.body_deadline)
        super().allHeadersReceived()

    def allContentReceived(self) -> None:
        if self._is_closing:  # refused: its body came along with its header
            return
        self._allow(_NEVER)  # how long an answer takes is the answer's own affair
        super().allContentReceived()

    def requestDone(self, request: Request) -> None:
        self._is_waiting = True
        self._allow(self.site.limits.idle)
        super().requestDone(request)  # may begin with the next request at once

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._watch is not None and self._watch.active():
            self._watch.cancel()
        self.site.lost(self)
        super().connectionLost(reason)

    def refuse(self, status: int) -> None:
        """Answer with nothing but a status, whatever else is on its way, and close."""
        if not self._is_closing:
            head = b"HTTP/1.1 %d %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            self.transport.write(head % (status, RESPONSES.get(status, b"Refused")))
            self._close()

    def _allow(self, seconds: float) -> None:
        self._until = self.site.reactor.seconds() + seconds

    def _close(self) -> None:
        self._is_closing = True
        self._allow(self.site.limits.linger)
        self.loseConnection()

    def _look(self) -> None:
        remaining = self._until - self.site.reactor.seconds()
        if remaining > 0:
            step = min(remaining, self.site.limits.header_deadline)
            self._watch = self.site.reactor.callLater(step, self._look)
        elif self._is_closing:
            self.transport.abortConnection()
        elif self._is_waiting and not self.requests:
            self._close()
            self._look()
        else:
            self.refuse(408)
            self._look()


@provider(IAccessLogFormatter)
def _log_line(timestamp: object, request: Any) -> str:
    """Write a line of the access log with the time of day: the reactor's own clock may be a monotonic one."""
    line: str = combinedLogFormatter(datetimeToLogString(), request)
    return line


class LimitedSite(Site):
    """
    Accepts connections up to the limits, and serves ``resource`` on them without an access log unless given a path.

    Knows no resource: services bring theirs.
    """

    noisy = False
    # Twisted's own choice is a proxy that could switch to HTTP/2; it says so in the type.
    protocol = LimitedChannel  # type: ignore[assignment]
    requestFactory = LimitedRequest
    _logger = Logger()  # Site.log is a method

    def __init__(
        self,
        resource: IResource,
        limits: WebLimits,
        sources: Sources,
        clock: IReactorTime,
        access_log: str | None = None,
    ) -> None:
        """
        Serve a resource.

        :param sources: says who is exempt, and which proxies to believe.
        """
        # No form parsing, as it copies whole bodies into args; no timer of twisted's, as the channel has its own.
        super().__init__(
            resource,
            parsePOSTFormSubmission=False,
            logPath=access_log,
            logFormatter=_log_line,
            timeout=None,
            reactor=clock,
        )
        self.limits = limits
        self.sources = sources
        self.turned_away = 0
        self._connections = 0
        self._by_group: Counter[str] = Counter()

    def buildProtocol(self, addr: IAddress | None) -> LimitedChannel | None:  # type: ignore[override]
        source = self.sources.of(getattr(addr, "host", "127.0.0.1"))  # a UNIX socket: this machine
        crowded = not source.is_exempt and self._by_group[source.group] >= self.limits.connections_per_address
        if crowded or self._connections >= self.limits.connections:
            self.turned_away += 1
            self._logger.debug("no connection for {host}: too many", host=source.host)
            return None
        channel: LimitedChannel = super().buildProtocol(addr)
        channel.source = source
        self._connections += 1
        self._by_group[source.group] += 1
        return channel

    def lost(self, channel: LimitedChannel) -> None:
        """Note that a connection is gone."""
        self._connections -= 1
        group = channel.source.group
        self._by_group[group] -= 1
        if not self._by_group[group]:
            del self._by_group[group]

    def acceptableProtocols(self) -> list[bytes]:
        """Offer HTTP/1.1 only: the limits above are those of its channel."""
        return [b"http/1.1"]

    def startFactory(self) -> None:
        if self.logPath is not None:
            super().startFactory()

    def log(self, request: Any) -> None:
        if self.logPath is not None:  # formatting the line is a quarter of the cost of an announce
            super().log(request)
