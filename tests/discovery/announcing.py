"""A torrent in a fake clock, and the trackers it announces to."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.addresses import Address
from p2pshare.discovery.announce_timing import AnnouncerSettings
from p2pshare.discovery.announcer import Announcer
from p2pshare.wire.announce import AnnounceRequest, AnnounceResponse, Event
from tests.discovery.fakes import FakeTracker

A, B, C, D = ("http://a.test/announce", "http://b.test/announce", "http://c.test/announce", "http://d.test/announce")
EXACT = AnnouncerSettings(jitter=0.0)


def answer(interval: int, **more: Any) -> AnnounceResponse:
    """What a tracker in good health says."""
    return AnnounceResponse(interval, **more)


class AnnouncerTestCase(SynchronousTestCase):
    """Gives an announcer a torrent of 1,000 bytes and trackers that answer with half an hour."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.heard: list[tuple[float, str, Event | None]] = []
        self.trackers: dict[str, FakeTracker] = {}
        self.found: list[list[Address]] = []
        self.take: Callable[[list[Address]], object] = self.found.append
        self.left: int | None = 1000
        self.numwant: int | None = None
        self.fail_to_describe = False

    def announcer(self, tiers: list[list[str]], *, settings: AnnouncerSettings = EXACT, seed: int = 0) -> Announcer:
        """An announcer whose clock has not begun to run."""
        return Announcer(
            tiers,
            self.make_tracker,
            self.clock,
            Random(seed),
            self.describe,
            lambda addresses: self.take(addresses),
            settings=settings,
        )

    def make_tracker(self, url: str) -> FakeTracker | None:
        """Make a client for HTTP trackers only; its answers can be changed later."""
        if not url.startswith("http"):
            return None
        tracker = self.trackers[url] = FakeTracker(url, self.heard, self.clock.seconds, lambda _: answer(1800))
        return tracker

    def describe(self) -> AnnounceRequest:
        """Tell the torrent's part of an announce."""
        if self.fail_to_describe:
            raise ZeroDivisionError
        return AnnounceRequest(
            b"h" * 20, b"-P20100-abcdefghijkl", 6881, uploaded=7, left=self.left, numwant=self.numwant
        )

    def events(self) -> list[Event | None]:
        """Tell the events in the order in which they were heard."""
        return [event for _, _, event in self.heard]

    def run_for(self, seconds: float, step: float = 1.0) -> None:
        """Let what is due happen, and then time pass in steps."""
        self.clock.pump([0.0] + [step] * round(seconds / step))
