"""Which function answers which path, and whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from attrs import frozen
from twisted.web.http import NOT_ALLOWED, NOT_FOUND
from twisted.web.resource import Resource

from p2pshare.web.limits import LimitedRequest

Answer = Callable[[LimitedRequest], "bytes | int"]  # a body, or NOT_DONE_YET


class Access(Enum):
    """Who may ask; ``Paths`` lets everybody ask everything, a ``Dispatcher`` has a guard for the others."""

    OPEN = "everybody, by whatever name they call this host"
    SAME = "everybody who means this host, and no page of another one"
    TOKEN = "whoever shows the token, if there is one"


@frozen
class View:
    """What a path does: ``answer`` may be asked by ``methods`` only."""

    answer: Answer
    methods: tuple[bytes, ...] = (b"GET",)
    access: Access = Access.OPEN


class Paths(Resource):
    """
    A site that is a table of whole paths: one dictionary look-up, and no tree to walk.

    Everything else is 404 and other methods are 405, both in one line of plain text.
    """

    isLeaf = True

    def __init__(self, views: Mapping[bytes, View]) -> None:
        """Serve these views; a path begins with a slash and is compared as it was sent, undecoded."""
        super().__init__()
        self._views = views

    def render(self, request: LimitedRequest) -> bytes | int:
        view = self._views.get(request.path)
        return as_asked(request, ask(view, request) if view is not None else say(request, NOT_FOUND, "not found"))


def ask(view: View, request: LimitedRequest) -> bytes | int:
    """Let a view answer, if it has something to say to this method."""
    if request.method in view.methods:
        return view.answer(request)
    request.setHeader(b"Allow", b", ".join(view.methods))
    return say(request, NOT_ALLOWED, f"only {b' and '.join(view.methods).decode()} can be used here")


def as_asked(request: LimitedRequest, answer: bytes | int) -> bytes | int:
    """Leave only the length of an answer to HEAD."""
    if request.method == b"HEAD" and isinstance(answer, bytes):
        request.setHeader(b"Content-Length", b"%d" % len(answer))
        return b""  # or twisted.web writes a line into the log
    return answer


def say(request: LimitedRequest, status: int, text: str) -> bytes:
    """Make one line of plain text the answer."""
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    return text.encode() + b"\n"
