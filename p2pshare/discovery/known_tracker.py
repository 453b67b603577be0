"""What the announcer remembers of each tracker of a torrent, and shows to people."""

from __future__ import annotations

import math
from typing import Protocol

from attrs import define, frozen
from twisted.internet.defer import Deferred

from p2pshare.discovery.fetch import shown
from p2pshare.wire.announce import AnnounceRequest, AnnounceResponse

NOT_ASKED = "not asked yet"
SCHEMES = ("http", "https", "udp")  # of trackers that can be asked


class TrackerClient(Protocol):
    """A tracker that can be asked; fails with TrackerFailure, or with TrackerUnreachable, which names the URL."""

    def announce(self, request: AnnounceRequest) -> Deferred[AnnounceResponse]:
        """Announce a torrent."""


@frozen
class TrackerStatus:
    """One tracker of a torrent, for people. Texts that came from the tracker are printable, and not to be trusted."""

    url: str
    tier: int
    state: str  # "not asked yet", "asking", "working", "failing" or "not supported"
    last_error: str | None
    next_announce: float | None  # seconds from now; None when no announce to it is planned
    complete: int | None
    incomplete: int | None
    warning: str | None


@define(eq=False)
class KnownTracker:
    """One tracker's part in a torrent's announces. Knows no clock: the announcer tells the time."""

    url: str
    client: TrackerClient | None  # None: nobody here speaks what its URL asks for
    knows_us: bool = False  # it may have us in its list, so it gets no further "started", but a "stopped"
    asking: bool = False
    failures: int = 0  # in a row
    rest_until: float = -math.inf
    error: str | None = None
    answer: AnnounceResponse | None = None  # the latest
    tracker_id: bytes | None = None  # to be given back in every announce; holds until another one comes

    def __attrs_post_init__(self) -> None:
        if self.client is None:
            scheme = shown(self.url).partition(":")[0].lower()
            known = scheme in SCHEMES
            self.error = "this is no URL that can be asked for" if known else f"{scheme} trackers are not supported"

    def may_be_asked(self, now: float) -> bool:
        """Whether it can be asked, and is not resting after a failure."""
        return self.client is not None and now >= self.rest_until

    def answered(self, answer: AnnounceResponse) -> None:
        """Take note of an answer."""
        self.answer = answer
        self.tracker_id = answer.tracker_id or self.tracker_id
        self.failures = 0
        self.rest_until = -math.inf
        self.error = None

    def failed(self, error: str, rest_until: float) -> None:
        """Take note of an announce that brought nothing."""
        self.failures += 1
        self.error = error
        self.rest_until = rest_until

    def forget_failures(self) -> None:
        """Begin anew: a torrent that is started again asks everybody."""
        self.failures = 0
        self.rest_until = -math.inf

    def status(self, tier: int, now: float, due: float | None) -> TrackerStatus:
        """
        Describe it for people.

        :param due: when the torrent's next announce is planned, if it is.
        """
        next_announce = None
        if due is not None and self.client is not None and self.rest_until != math.inf and self._state() != NOT_ASKED:
            next_announce = max(due, self.rest_until) - now
        return TrackerStatus(
            self.url,
            tier,
            self._state(),
            self.error,
            next_announce,
            None if self.answer is None else self.answer.complete,
            None if self.answer is None else self.answer.incomplete,
            None if self.answer is None else self.answer.warning,
        )

    def _state(self) -> str:
        if self.client is None:
            return "not supported"
        if self.asking:
            return "asking"
        if self.error is not None:
            return "failing"
        return NOT_ASKED if self.answer is None else "working"
