"""One table says what a service offers: it is served, checked and documented from the same rows."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Generic, TypeVar
from urllib.parse import unquote_to_bytes

from attrs import define, field, frozen

from p2pshare.web.paths import Access
from p2pshare.web.rates import RateLimit
from p2pshare.web.reading import read_param
from p2pshare.web.replies import ERROR, JSON, ErrorForm
from p2pshare.web.sources import Source
from p2pshare.web.uploads import Upload, UploadForm

Query = TypeVar("Query")
Body = TypeVar("Body")

_PARAM_BYTES = 512  # one part of a path; the longest id is 64 hex digits, the rest is for names


@frozen
class Call(Generic[Query, Body]):
    """One request, as a route's function sees it: checked values, no HTTP."""

    source: Source
    params: Mapping[str, Any]  # the variable parts of the path
    query: Query
    body: Body
    headers: Any = None  # of the route's class
    upload: Upload | None = None
    host: str = ""  # by which the client calls us, with the port
    accept: str = ""
    is_head: bool = False  # only the header of the answer is wanted


@frozen
class Route:
    """
    One row: who may ask what in which words, what it is answered with, and which function does it.

    ``path`` is a template, ``/files/{file_id}``; ``params`` gives the types of its variable parts, text if not told.
    ``query``, ``headers`` and ``body`` are attrs classes; field ``x_peer_id`` of ``headers`` is ``X-Peer-ID``. A body
    of type ``bytes`` comes as it is. ``reply`` is the type of what ``answer`` returns, for the documentation.
    """

    method: str
    path: str
    answer: Callable[[Call[Any, Any]], Coroutine[Any, Any, object]]
    summary: str
    access: Access = Access.TOKEN
    form: ErrorForm = ERROR
    params: Mapping[str, Any] = field(factory=dict)
    query: type | None = None
    headers: type | None = None
    body: Any = None
    body_type: str = JSON
    body_limit: int | None = None  # bytes; None: the site's json_bytes
    upload: UploadForm | None = None
    reply: Any = None
    reply_type: str = JSON
    other_types: tuple[str, ...] = ()  # that a reply may have instead, for the documentation
    status: int = 200  # of a value; a Reply or a Page has its own
    refusals: Mapping[int, str] = field(factory=dict)  # for the documentation: status and when
    rate: RateLimit | None = None
    patience: float | None = None  # seconds; None: the site's answer_deadline, or upload_deadline
    group: str = ""  # for the documentation

    @property
    def names(self) -> list[str]:
        """The variable parts of the path, in order."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    def read_params(self, texts: Iterable[str]) -> dict[str, Any]:
        """
        Read what stands in the places of the variable parts.

        :raise RequestRefused: one is not of its type.
        """
        return {
            name: read_param(name, self.params.get(name, str), text)
            for name, text in zip(self.names, texts, strict=True)
        }


@frozen
class Match:
    """What a path leads to: the routes by method, and the texts in the variable places."""

    routes: Mapping[str, Route]
    texts: tuple[str, ...]

    @property
    def methods(self) -> tuple[str, ...]:
        """What can be asked here, for the Allow header."""
        given = set(self.routes)
        return tuple(sorted(given | {"OPTIONS"} | ({"HEAD"} if "GET" in given else set())))

    def route(self, method: str) -> Route | None:
        """Find the row for a method; HEAD is a GET whose body is not sent."""
        return self.routes.get(method) or (self.routes.get("GET") if method == "HEAD" else None)


@define(eq=False)
class _Node:
    parts: dict[str, _Node] = field(factory=dict)
    variable: _Node | None = None
    routes: dict[str, Route] = field(factory=dict)


class RouteTable:
    """Finds routes by path. A part that is written out goes before a variable one."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """
        Take the rows.

        :raise ValueError: two rows are for the same requests, or one does not say what it should.
        """
        self.routes = tuple(routes)
        self._root = _Node()
        for route in self.routes:
            _check(route)
            node = self._root
            for part in route.path.split("/")[1:]:
                if part.startswith("{"):
                    node.variable = node.variable or _Node()
                    node = node.variable
                else:
                    node = node.parts.setdefault(part, _Node())
            if route.method in node.routes:
                raise ValueError(
                    f"{route.method} {route.path}: there is a route for it, {node.routes[route.method].path}"
                )
            node.routes[route.method] = route

    def find(self, path: bytes) -> Match | None:
        """Find what a path, as it was sent, leads to; each part is decoded once, and none holds another path."""
        try:
            parts = [unquote_to_bytes(part).decode() for part in path.split(b"/")]
        except UnicodeDecodeError:
            return None
        if parts[0] or any(len(part) > _PARAM_BYTES for part in parts):
            return None
        return _find(self._root, parts, 1, ())


def _find(node: _Node, parts: list[str], at: int, texts: tuple[str, ...]) -> Match | None:
    if at == len(parts):
        return Match(node.routes, texts) if node.routes else None
    part = parts[at]
    found = None
    if (inner := node.parts.get(part)) is not None:
        found = _find(inner, parts, at + 1, texts)
    if found is None and node.variable is not None and part:
        found = _find(node.variable, parts, at + 1, (*texts, part))
    return found


def _check(route: Route) -> None:
    if not route.path.startswith("/"):
        raise ValueError(f"{route.path}: a path begins with a slash")
    for part in route.path.split("/"):
        if ("{" in part or "}" in part) and not (part[0] == "{" and part[-1] == "}" and part[1:-1].isidentifier()):
            raise ValueError(f"{route.path}: {part} is neither text nor one name in braces")
    if unknown := set(route.params) - set(route.names):
        raise ValueError(f"{route.path}: has no part {{{unknown.pop()}}}")
    if route.body is not None and route.upload is not None:
        raise ValueError(f"{route.path}: has a body and an upload")
