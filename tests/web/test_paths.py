"""Tests of p2pshare.web.paths."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.settings import read_networks
from p2pshare.web.limits import LimitedSite, WebLimits
from p2pshare.web.paths import Paths, View
from p2pshare.web.sources import Sources
from tests.web.connections import Connection


class PathsTests(SynchronousTestCase):
    """A table of paths."""

    def setUp(self) -> None:
        views = {b"/": View(lambda request: b"root", (b"GET", b"HEAD")), b"/a": View(lambda request: b"a")}
        site = LimitedSite(Paths(views), WebLimits(), Sources(read_networks([])), Clock())
        self.connection = Connection(site)

    def test_known_paths(self) -> None:
        """Each path has its view; a query does not matter."""
        self.assertEqual(self.connection.get("/").body, b"root")
        self.assertEqual(self.connection.get("/a?b=c").body, b"a")

    def test_unknown_paths(self) -> None:
        """Everything else is 404, in plain text: no part of the path is echoed."""
        for path in ("/b", "/a/", "/a/b", "//a", "/%61", "/<script>", "a"):
            reply = self.connection.get(path)
            self.assertEqual((reply.status, reply.body), (404, b"not found\n"))
            self.assertEqual(reply.headers["content-type"], "text/plain; charset=utf-8")

    def test_other_methods(self) -> None:
        """A method that a view does not have is 405, and the answer names those it has."""
        for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS", "BREW"):
            reply = self.connection.get("/a", method=method)
            self.assertEqual((reply.status, reply.headers["allow"]), (405, "GET"))

    def test_head(self) -> None:
        """HEAD gives the length of what GET would give, and not a byte of it."""
        reply = self.connection.get("/", method="HEAD")
        self.assertEqual((reply.status, reply.headers["content-length"], reply.body), (200, "4", b""))
