"""What a request is answered with: values, pages, refusals, and how each face words an error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.web.http import NO_BODY_CODES

from p2pshare import bencoding
from p2pshare.errors import RequestRefused
from p2pshare.web.bodies import TEXT, Page
from p2pshare.web.limits import LimitedRequest

JSON = "application/json"
HTML = "text/html; charset=utf-8"

Headers = Sequence[tuple[str, str]]

# On every answer: a browser is to do with it what it says it is, and nothing else.
ALWAYS: Headers = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    (
        "Content-Security-Policy",
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    ),
)


class Refused(RequestRefused):
    """A request that is refused with a certain status, in the words of its face."""

    def __init__(self, status: int, text: str, headers: Headers = (), hit: str | None = None) -> None:
        """
        Say no.

        :param text: for people.
        :param hit: the limit that was hit.
        """
        super().__init__(text)
        self.status = status
        self.headers = tuple(headers)
        self.hit = hit


@frozen
class Reply:
    """A value with something besides; a value alone is a reply, too."""

    value: Any
    status: int = 200
    headers: Headers = ()


def redirect(location: str, status: int = 302) -> Page:
    """Send the client elsewhere; the location has to be encoded as it is to be asked for."""
    return Page(b"", TEXT, status, (("Location", location),))


@frozen
class Streamed:
    """
    A reply that is sent while it is produced.

    ``send`` sends all of it, headers included, and finishes the request; it stops when cancelled: the client has gone.
    ``drop`` is called instead, when it went before that.
    """

    send: Callable[[LimitedRequest], Deferred[None]]
    drop: Callable[[], object] = lambda: None


@frozen
class ErrorForm:
    """How a face words errors. ``invalid``: the status of parameters that are missing or not what they should be."""

    content_type: str
    word: Callable[[str], bytes]
    invalid: int
    key: str | None  # of the text, where the form is JSON
    status: int | None = None  # instead of any other: some clients read nothing but a 200

    def page(self, refusal: RequestRefused) -> Page:
        """Word a refusal."""
        text = str(refusal)
        if isinstance(refusal, Refused):
            return Page(self.word(text), self.content_type, self.status or refusal.status, refusal.headers)
        return Page(self.word(text), self.content_type, self.status or self.invalid)


def _json_form(key: str, invalid: int) -> ErrorForm:
    return ErrorForm(JSON, lambda text: msgspec.json.encode({key: text}), invalid, key)


ERROR = _json_form("error", 400)
DETAIL = _json_form("detail", 422)


def bencoded(status: int | None = 200) -> ErrorForm:
    """
    Give the form of announce and scrape (BEP 3, ``failure reason``).

    :param status: of every refusal; None: each its own.
    """
    return ErrorForm(
        "application/x-bittorrent", lambda text: bencoding.encode({b"failure reason": text}), 400, None, status
    )


def rendered(value: object) -> Page:
    """Turn what a function returned into bytes: a value into JSON, None into nothing."""
    if isinstance(value, Page):
        return value
    reply = value if isinstance(value, Reply) else Reply(value)
    if reply.value is None:
        return Page(b"", TEXT, reply.status, reply.headers)
    return Page(msgspec.json.encode(reply.value), JSON, reply.status, reply.headers)


def put_headers(request: LimitedRequest, status: int, headers: Headers) -> None:
    """Begin an answer. Twisted takes line ends out of the values, so that no name can add a header."""
    request.setResponseCode(status, phrase(status).encode("ascii"))
    for name, value in (*ALWAYS, *headers):
        request.setHeader(name.encode("ascii"), value.encode("latin-1", "replace"))


def send(request: LimitedRequest, page: Page) -> None:
    """Give a whole answer."""
    put_headers(request, page.status, (("Content-Type", page.content_type), *page.headers))
    if page.status not in NO_BODY_CODES:
        request.setHeader(b"Content-Length", b"%d" % len(page.body))
    request.write(page.body)  # twisted.web drops the body of an answer to HEAD, and of a 204 or 304
    request.finish()


def phrase(status: int) -> str:
    """Say what a status means; Twisted's own table ends before 421 and 422."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
