"""Tests of which client a tracker's URL gets."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.discovery.http_tracker import HTTPTracker, HTTPTrackers
from p2pshare.discovery.tracker_clients import TrackerClients, tracker_clients
from p2pshare.discovery.udp_tracker import UDPTracker
from tests.discovery.fakes import agents
from tests.discovery.udp_network import UDPNetwork


class TrackerClientsTests(SynchronousTestCase):
    """One maker for all of them."""

    def test_by_scheme(self) -> None:
        """HTTP, HTTPS and UDP trackers get a client of their kind, others none."""
        reactor: Any = MemoryReactorClock()
        reactor.nameResolver = UDPNetwork()
        make = tracker_clients(reactor)
        for url, kind in (
            ("http://t.test/announce", HTTPTracker),
            ("HTTPS://t.test/announce", HTTPTracker),
            ("udp://t.test:80/announce", UDPTracker),
            ("UDP://t.test:80", UDPTracker),
        ):
            self.assertIsInstance(make(url), kind)
        for url in ("wss://t.test", "udp://", "http", "", "file:///etc/passwd"):
            self.assertIsNone(make(url))
        self.successResultOf(make.close())

    def test_udp_is_loaded_when_needed(self) -> None:
        """Who has HTTP trackers only never makes the UDP part, who has others makes one."""
        made: list[UDPNetwork] = []

        def make_udp() -> Any:
            made.append(UDPNetwork())
            return lambda url: None

        make = TrackerClients(HTTPTrackers(agents()[0], Clock()), make_udp)
        make("http://t.test/announce")
        self.successResultOf(make.close())
        self.assertEqual(made, [])
        make("udp://t.test:1")
        make("udp://t.test:2")
        self.assertEqual(len(made), 1)
