"""
A twisted.web site that strangers may connect to.

twisted.web bounds the size of headers; what it leaves open is closed here: the size of bodies, slow senders (its idle
timer starts again with every byte), and the number of connections.
"""

from __future__ import annotations

import re
from collections import Counter
from io import BytesIO
from typing import Any, Protocol

from attrs import frozen
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import RESPONSES, HTTPChannel, combinedLogFormatter, datetimeToLogString
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAccessLogFormatter
from twisted.web.resource import IResource
from twisted.web.server import Request, Site
from zope.interface import provider

from p2pshare.web.bodies import Intake, Page, Unwanted
from p2pshare.web.sources import Source, Sources

_NEVER = float("inf")
_TOKEN = re.compile(r"([?&]token=)[^&\s\"]*")  # of a URL that was printed for a person


@frozen
class WebLimits:
    """
    What a site bears. Times are in seconds, sizes in bytes; exempt sources count among all connections only.

    Whoever enforces a limit adds one under its name to the ``hits`` of the site.
    """

    connections: int = 4000
    connections_per_address: int = 64
    header_bytes: int = 8192  # chihaya 4 KiB, aquatic 2 KiB; a scrape of 70 torrents needs 5
    headers: int = 64
    header_deadline: float = 10.0  # from the first byte of a request, or from connecting
    body_bytes: int = 0  # where no Bodies say otherwise
    body_deadline: float = 60.0  # from the end of the header
    idle: float = 60.0  # between two requests
    linger: float = 15.0  # for the last bytes to leave once we closed

    json_bytes: int = 64 * 1024
    torrent_bytes: int = 10 * 1024**2
    upload_bytes: int = 2 * 1024**3
    upload_step: int = 64 * 1024  # an upload has body_deadline anew for so much of it
    upload_unwritten: int = 1024**2  # arrived and not on disk yet: then its connection is not read
    form_parts: int = 16
    form_field_bytes: int = 4096

    answers: int = 256  # being worked on
    answer_deadline: float = 60.0
    upload_deadline: float = 600.0  # to answer an upload that has arrived: it may have to be hashed
    file_stall: float = 60.0  # a download that does not move
    wrong_tokens: int = 10  # at once from one group of addresses, then one each wrong_token_pause
    wrong_token_pause: float = 5.0

    sockets: int = 500  # WebSockets
    message_bytes: int = 4096  # what one of them may say
    unread_bytes: int = 256 * 1024  # what one of them need not have read
    pong_deadline: float = 30.0
    streams: int = 500  # of events
    heartbeat: float = 15.0


class Bodies(Protocol):
    """Knows which request may have which body, if a site serves several kinds."""

    def body_limit(self, request: LimitedRequest, length: int | None) -> tuple[int, Intake | None]:
        """
        Decide from the header alone; ``method``, ``uri``, ``path`` and the headers are there.

        :return: bytes at most, and who takes them; None: the request keeps them in memory.
        :raise Unwanted: there is no use in sending it.
        """

    def too_large(self, request: LimitedRequest, limit: int) -> Page:
        """Word the answer to a body over its limit."""


class LimitedRequest(Request):
    """A request whose body is taken as far as its limit goes; a larger one is refused before it is read."""

    channel: LimitedChannel
    intake: Intake | None = None
    _body_bytes = 0
    _body_limit = 0

    @property
    def source(self) -> Source:
        """Who asks: the other end of the connection, or behind it, if that is a configured proxy."""
        source = self.channel.source
        forwarded = self.requestHeaders.getRawHeaders(b"x-forwarded-for")
        return self.channel.site.sources.behind(source, forwarded) if forwarded else source

    def gotLength(self, length: int | None) -> None:
        """Refuse a body that says it is too large; a chunked one does not say, but none at all is a size, too."""
        self.content = BytesIO()
        channel = self.channel
        bodies = channel.site.bodies
        self._body_limit = channel.site.limits.body_bytes
        if bodies is not None and length != 0:
            # Twisted tells a request what it is when its body is complete; until then only the channel knows.
            self.method, self.uri = channel._command, channel._path
            self.path = self.uri.partition(b"?")[0]
            try:
                self._body_limit, self.intake = bodies.body_limit(self, length)
            except Unwanted as reason:
                self._refuse(reason)
                return
        if (length is None and self._body_limit == 0) or (length or 0) > self._body_limit:
            self._refuse_size()

    def handleContentChunk(self, data: bytes) -> None:
        """Count a body as it comes, and hand it on."""
        self._body_bytes += len(data)
        if self._body_bytes > self._body_limit:
            self._refuse_size()
        elif self.intake is None:
            super().handleContentChunk(data)
        else:
            self.channel.body_moved(self._body_bytes)
            try:
                self.intake.write(data)
            except Unwanted as reason:
                self._refuse(reason)

    def connectionLost(self, reason: Failure) -> None:
        self.abandon()
        super().connectionLost(reason)

    def abandon(self) -> None:
        """Let go of a body that will not be used, or not be complete."""
        if self.intake is not None:
            self.intake.abandon()
            self.intake = None

    def _refuse_size(self) -> None:
        bodies = self.channel.site.bodies
        self._refuse(
            Unwanted(Page(status=413) if bodies is None else bodies.too_large(self, self._body_limit), "body_bytes")
        )

    def _refuse(self, reason: Unwanted) -> None:
        self.requestHeaders.removeHeader(b"expect")  # or the channel says "100 Continue" after it
        self.channel.refuse(reason.page, reason.hit)


class LimitedChannel(HTTPChannel):
    """
    One connection. A single timer watches it through its phases: waiting for a request, header, body, answer, closing.

    The timer looks every ``header_deadline`` seconds at the latest, so that no request has to set one.
    """

    site: LimitedSite
    source: Source
    transport: Any  # ITCPTransport, which does not mention that it is a producer, too
    _watch: IDelayedCall | None = None
    _is_waiting = True
    _is_closing = False
    _body_step: int | None = None  # how far the body has come; None: there is none, or it is complete

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
        self.refuse(Page(status=431), "header_bytes")

    def allHeadersReceived(self) -> None:
        self._is_waiting = False
        self._body_step = 0
        self._allow(self.site.limits.body_deadline)
        super().allHeadersReceived()

    def body_moved(self, amount: int) -> None:
        """Give the body of an upload more time for every step it comes forward; ``amount`` bytes are there."""
        step = amount // self.site.limits.upload_step
        if self._body_step is not None and step > self._body_step:
            self._body_step = step
            self._allow(self.site.limits.body_deadline)

    def pause_body(self) -> None:
        """Stop reading a body: what came of it has nowhere to go yet. That is no fault of the client's."""
        self._allow(_NEVER)
        self.transport.pauseProducing()

    def resume_body(self) -> None:
        """Go on reading."""
        if not self._is_closing:
            if self._body_step is not None:
                self._allow(self.site.limits.body_deadline)
            self.transport.resumeProducing()

    def allContentReceived(self) -> None:
        if self._is_closing:  # refused: its body came along with its header
            return
        self._body_step = None
        self._allow(_NEVER)  # how long an answer takes is the answer's own affair
        super().allContentReceived()

    def requestDone(self, request: Request) -> None:
        self._is_waiting = True
        self._allow(self.site.limits.idle)
        super().requestDone(request)  # may begin with the next request at once

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended()
        super().connectionLost(reason)

    def ended(self) -> None:
        """Stop watching, and make room for another connection: also for who took this one over (a WebSocket)."""
        if self._watch is not None and self._watch.active():
            self._watch.cancel()
        self.site.lost(self)

    def refuse(self, page: Page, hit: str | None = None) -> None:
        """
        Answer at once, whatever else is on its way, and close.

        :param hit: the limit that was hit.
        """
        if self._is_closing:
            return
        if hit is not None:
            self.site.hits[hit] += 1
        for request in self.requests:
            request.abandon()
        headers = Headers({name: [value] for name, value in page.headers})  # takes line ends out of values
        headers.setRawHeaders("Content-Length", [str(len(page.body))])
        headers.setRawHeaders("Connection", ["close"])
        if page.body:
            headers.setRawHeaders("Content-Type", [page.content_type])
        self.writeHeaders(b"HTTP/1.1", b"%d" % page.status, RESPONSES.get(page.status, b"Refused"), headers)
        self.transport.write(page.body)
        self._close(is_reading=True)

    def _respondToBadRequestAndDisconnect(self) -> None:
        # Twisted's own refusals pass here, and do not say what they are about. Without this only counts are lost.
        if self._receivedHeaderSize > self.totalHeadersSize:
            self.site.hits["header_bytes"] += 1
        elif self._receivedHeaderCount > self.maxHeaders:
            self.site.hits["headers"] += 1
        super()._respondToBadRequestAndDisconnect()
        self._is_closing = True
        self._allow(self.site.limits.linger)

    def _allow(self, seconds: float) -> None:
        self._until = self.site.reactor.seconds() + seconds

    def _close(self, is_reading: bool = False) -> None:
        """
        Close.

        :param is_reading: the other side may still be sending. If the whole connection went away under it, the answer
            would, too (a reset overtakes it), so only our half is closed; what still comes is dropped.
        """
        self._is_closing = True
        self._allow(self.site.limits.linger)
        if is_reading and not self.isSecure() and hasattr(self.transport, "loseWriteConnection"):
            self.transport.unregisterProducer()
            self.transport.resumeProducing()  # the body may have been paused
            self.transport.loseWriteConnection()
        else:
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
            has_header = bool(self.requests) and self.requests[-1].content is not None
            self.refuse(Page(status=408), "body_deadline" if has_header else "header_deadline")
            self._look()


@provider(IAccessLogFormatter)
def _log_line(timestamp: object, request: Any) -> str:
    """Write a line of the access log, with the time of day: the reactor's own clock may be a monotonic one."""
    line: str = combinedLogFormatter(datetimeToLogString(), request)
    return _TOKEN.sub(r"\1***", line)


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
        bodies: Bodies | None = None,
        hits: Counter[str] | None = None,
    ) -> None:
        """
        Serve a resource.

        :param sources: says who is exempt, and which proxies to believe.
        :param bodies: decides what bodies there may be; None: ``limits.body_bytes`` in memory for all.
        :param hits: counts how often each limit was hit, by its name; several parts may share one.
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
        self.bodies = bodies
        self.hits: Counter[str] = Counter() if hits is None else hits
        self.turned_away = 0
        self._connections = 0
        self._by_group: Counter[str] = Counter()

    def buildProtocol(self, addr: IAddress | None) -> LimitedChannel | None:  # type: ignore[override]
        source = self.sources.of(getattr(addr, "host", "127.0.0.1"))  # a UNIX socket: this machine
        crowded = not source.is_exempt and self._by_group[source.group] >= self.limits.connections_per_address
        if crowded or self._connections >= self.limits.connections:
            self.turned_away += 1
            self.hits["connections_per_address" if crowded else "connections"] += 1
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
