"""A site in memory with a dispatcher, for tests of what stands behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from attrs import evolve
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.settings import read_networks
from p2pshare.web.dispatch import Dispatcher
from p2pshare.web.guard import Guard
from p2pshare.web.limits import LimitedSite, WebLimits
from p2pshare.web.paths import View
from p2pshare.web.routes import Route, RouteTable
from p2pshare.web.sources import Sources
from tests.web.connections import Connection, Reply

STRANGER = "203.0.113.7"
TOKEN = "correct-horse-battery-staple"
BEARER = f"Authorization: Bearer {TOKEN}"
JSON = "Content-Type: application/json"


def run_now(function: Callable[..., Any], *args: object) -> Deferred[Any]:
    """Call something at once, as a thread would later."""
    return maybeDeferred(function, *args)


class ServedCase(SynchronousTestCase):
    """Has a site with a fake clock; nobody is exempt."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.hits: Counter[str] = Counter()
        self.limits = WebLimits()
        self.seen: list[tuple[str, str, int, float]] = []

    def serve(
        self,
        routes: Iterable[Route] = (),
        views: Mapping[bytes, View] = {},
        token: str | None = None,
        hosts: Iterable[str] = (),
        origins: Iterable[str] = (),
        exempt: tuple[str, ...] = (),
        **limits: Any,
    ) -> LimitedSite:
        """Start again with these."""
        self.limits = evolve(self.limits, **limits)
        guard = Guard(self.clock.seconds, self.limits, tuple(hosts), tuple(origins), token, self.hits)
        self.dispatcher = Dispatcher(
            RouteTable(routes),
            views,
            guard,
            self.limits,
            self.clock,
            self.hits,
            observe=lambda *seen: self.seen.append(seen),
        )
        sources = Sources(read_networks(exempt))
        self.site = LimitedSite(
            self.dispatcher, self.limits, sources, self.clock, bodies=self.dispatcher, hits=self.hits
        )
        return self.site

    def connect(self, host: str = STRANGER) -> Connection:
        """Connect to the site."""
        return Connection(self.site, host)

    def ask(self, method: str, path: str, *headers: str, body: bytes = b"", host: str = "localhost") -> Reply:
        """Ask on a connection of its own."""
        return self.connect().ask(method, path, *headers, body=body, host=host)

    def get(self, path: str, *headers: str, host: str = "localhost") -> Reply:
        """Ask for a path."""
        return self.ask("GET", path, *headers, host=host)

    def read(self, reply: Reply) -> Any:
        """Read a JSON answer."""
        self.assertEqual(reply.headers["content-type"], "application/json")
        return msgspec.json.decode(reply.body)

    def refused(self, reply: Reply, status: int) -> str:
        """Make sure of a refusal, and give its words."""
        self.assertEqual(reply.status, status)
        text: str = self.read(reply)["error"]
        return text
