"""One GET to a stranger's server: follows redirects within the address policy, and reads no more than it should."""

from __future__ import annotations

from base64 import b64encode
from http import HTTPStatus
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionClosed,
    ConnectionRefusedError,
    DNSLookupError,
    TCPTimedOutError,
    TimeoutError,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import (
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseDone,
    ResponseFailed,
)
from twisted.web.error import SchemeNotSupported
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from p2pshare import __version__
from p2pshare.discovery.address_policy import Zone
from p2pshare.discovery.zoned_agent import ZonedAgent
from p2pshare.errors import TrackerUnreachable
from p2pshare.wire.announce_reply import MAX_REPLY, printable

MAX_REDIRECTS = 5
_REDIRECTS = {
    HTTPStatus.MOVED_PERMANENTLY,
    HTTPStatus.FOUND,
    HTTPStatus.SEE_OTHER,
    HTTPStatus.TEMPORARY_REDIRECT,
    HTTPStatus.PERMANENT_REDIRECT,
}
FAILURES = (
    ConnectError,
    ConnectingCancelledError,
    ConnectionClosed,
    DNSLookupError,
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
    SchemeNotSupported,
    ValueError,  # a URL or a host name that Twisted refuses to put on the wire
)
_WORDS: list[tuple[type[BaseException], str]] = [
    (ConnectionRefusedError, "connection refused"),
    (TCPTimedOutError, "no connection in time"),
    (TimeoutError, "no connection in time"),
    (DNSLookupError, "no address found for this host"),
    (ConnectionClosed, "the connection was closed before the answer was complete"),
    (ValueError, "the answer is not HTTP"),  # from within Twisted's parser
]
# Replies are short and packed already, so compression would save little. Not offering it, and refusing it where it
# comes unasked, makes the bytes we count the bytes there are: no bomb can inflate.
_HEADERS = {"User-Agent": [f"p2pshare/{__version__}"], "Accept-Encoding": ["identity"]}


@frozen
class Page:
    """What a server answered in the end, after all redirects."""

    url: str
    status: int
    phrase: str
    body: bytes


def shown(url: str) -> str:
    """Write a URL for people: without query and user name, where secrets live, and printable."""
    try:
        parts = urlsplit(url)
        url = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    except ValueError:
        url = url.partition("?")[0]
    return printable(url.encode("utf-8", "backslashreplace"))


async def fetch(agent: ZonedAgent, url: str, limit: int = MAX_REPLY) -> Page:
    """
    Get a page.

    The URL itself is the user's and may lead anywhere; once a server in the public zone has answered, its redirects
    must stay in the public zone.

    :param limit: the longest body that is read.
    :raise TrackerUnreachable: names the URL that was asked last and what was seen there.
    """
    local_too = True
    for _ in range(MAX_REDIRECTS + 1):
        try:
            response, zone = await agent.get(*_request(url), local_too=local_too)
            body = await read_body(response, limit)
        except TrackerUnreachable as error:
            raise TrackerUnreachable(f"{shown(url)}: {error}") from error
        except FAILURES as error:
            raise TrackerUnreachable(f"{shown(url)}: {cause(error, url)}") from error
        local_too = local_too and zone is Zone.LOCAL
        location = response.headers.getRawHeaders(b"location")
        if response.code not in _REDIRECTS or not location:
            return Page(url, response.code, printable(response.phrase), body)
        try:
            url = urljoin(url, location[0].decode("ascii"))
        except ValueError as error:
            raise TrackerUnreachable(f"{shown(url)}: redirects to {printable(location[0])!r}, no URL") from error
    raise TrackerUnreachable(f"{shown(url)}: the last of more than {MAX_REDIRECTS} redirects")


def _request(url: str) -> tuple[bytes, Headers]:
    """Give the URL without its user name and password, which go into a header of their own (RFC 7617)."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    headers = Headers(_HEADERS)
    if user:
        headers.setRawHeaders("Authorization", [b"Basic " + b64encode(unquote_to_bytes(user))])
        url = parts._replace(netloc=host).geturl()
    return url.encode("ascii"), headers


def read_body(response: IResponse, limit: int) -> Deferred[bytes]:
    """Read at most so many bytes; fails with TrackerUnreachable when there are more, or they come compressed."""
    encodings = [name.strip().lower() for name in response.headers.getRawHeaders(b"content-encoding", [])]
    body = _Body(limit)
    if any(name not in (b"", b"identity") for name in encodings):
        body.refuse(f"answered with content encoding {printable(encodings[0])!r}, though none was offered")
    elif isinstance(response.length, int) and response.length > limit:
        body.refuse(f"announces {response.length} bytes, at most {limit} are read")
    response.deliverBody(body)
    return body.whole


@define(eq=False)
class _Body(Protocol):
    """Collects a body up to a limit, and hangs up beyond."""

    _limit: int
    whole: Deferred[bytes] = field(init=False)
    _parts: list[bytes] = field(init=False, factory=list)
    _size: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self.whole = Deferred(lambda _: self._hang_up())

    def refuse(self, why: str) -> None:
        self.whole.errback(TrackerUnreachable(why))
        self._hang_up()

    def connectionMade(self) -> None:
        if self.whole.called:
            self._hang_up()

    def dataReceived(self, data: bytes) -> None:
        if self.whole.called:
            return
        self._size += len(data)
        if self._size > self._limit:
            self._parts.clear()
            self.refuse(f"sends more than the {self._limit} bytes that are read")
        else:
            self._parts.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.whole.called:
            return
        # PotentialDataLoss: the body ended with the connection, as HTTP/1.0 servers have it.
        if reason.check(ResponseDone, PotentialDataLoss):
            self.whole.callback(b"".join(self._parts))
        else:
            self.whole.errback(reason)

    def _hang_up(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()


def cause(error: BaseException, url: str) -> str:
    """Find the words for what went wrong, which is the innermost of Twisted's reasons."""
    if isinstance(error, ValueError):
        return "this is no URL that can be asked for"  # Twisted would repeat all of it, secrets included
    while reasons := getattr(error, "reasons", None):
        error = reasons[0].value
    for kind, words in _WORDS:
        if isinstance(error, kind):
            return words
    if url[:6].lower() == "https:":
        from p2pshare.discovery import tls  # late, because it is slow: see there

        if (about_tls := tls.explain(error)) is not None:
            return about_tls
    # A parser's error carries the offending bytes behind its words.
    text = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
    return printable((text.strip().rstrip(".") or type(error).__name__).encode("utf-8", "backslashreplace"))
