"""Tests of p2pshare.web.health."""

from __future__ import annotations

from p2pshare.web.health import health_views
from tests.web.serving import TOKEN, ServedCase


class HealthTests(ServedCase):
    """Whether a service lives, and whether it can be used."""

    def setUp(self) -> None:
        super().setUp()
        self.ready = {"database": False, "index": True, "ports": False}
        checks = {name: (lambda name=name: self.ready[name]) for name in self.ready}  # type: ignore[misc]
        self.serve(views=health_views(checks), token=TOKEN)

    def test_health(self) -> None:
        """It lives as long as it answers, under any name and without a token."""
        reply = self.get("/health", host="whatever.example")
        self.assertEqual((reply.status, self.read(reply)), (200, {"status": "healthy"}))
        self.assertEqual(self.ask("HEAD", "/health").headers["content-length"], "20")
        self.assertEqual(self.ask("POST", "/health").status, 405)

    def test_not_ready(self) -> None:
        """What is not ready is named, with 503."""
        reply = self.get("/ready")
        self.assertEqual(reply.status, 503)
        self.assertEqual(self.read(reply), {"status": "not ready", "waiting": ["database", "ports"]})

    def test_ready(self) -> None:
        """When everything is, it is 200."""
        self.ready = dict.fromkeys(self.ready, True)
        reply = self.get("/ready")
        self.assertEqual((reply.status, self.read(reply)), (200, {"status": "ready"}))
