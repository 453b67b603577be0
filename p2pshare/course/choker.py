"""Whom a course peer serves: preferred neighbors, and one that is unchoked optimistically."""

from __future__ import annotations

from collections.abc import Callable, Collection
from random import Random

from attrs import define, field, frozen

from p2pshare.policy.rankings import Ranking, fastest
from p2pshare.policy.remote_peer import RemotePeer


@frozen
class Rounds:
    """How many are preferred, and how often that is decided. Times in seconds."""

    preferred: int  # k
    interval: float  # p
    optimistic_interval: float  # m


Chosen = Callable[[Collection[RemotePeer], RemotePeer | None], None]


@define(eq=False)
class CourseChoker:
    """
    Names the neighbors to unchoke, as the assignment wants it. Knows no timer; who calls decide() asks due() first.

    Every p seconds the k interested neighbors that sent most since p seconds ago are preferred, ties broken at random,
    unless another ranking is handed in;
    a peer with the complete file prefers any k. Every m seconds one more that is choked and interested is unchoked
    optimistically. Between these moments nobody is choked or unchoked, whatever is said meanwhile.
    """

    _rounds: Rounds
    _random: Random
    _chose: Chosen  # told who is preferred and who is optimistically unchoked, after each decision
    _rank: Ranking = fastest
    preferred: list[RemotePeer] = field(init=False, factory=list)
    optimistic: RemotePeer | None = field(init=False, default=None)
    _prefers_at: float = field(init=False, default=float("-inf"))
    _rotates_at: float = field(init=False, default=float("-inf"))
    _came_before: dict[RemotePeer, int] = field(init=False, factory=dict)  # payload totals when last preferred

    at_once = False  # whatever is said between two decisions waits for the next

    def due(self, now: float) -> bool:
        """Whether there is something to decide."""
        return now >= self._prefers_at or now >= self._rotates_at

    def decide(self, peers: Collection[RemotePeer], seeding: bool, now: float) -> set[RemotePeer]:
        """
        Name who is unchoked from now on; everybody else is choked.

        :param peers: all that are connected. Read are ``am_choking``, ``peer_interested`` and what came from each.
        """
        self.preferred = [peer for peer in self.preferred if peer in peers]
        if self.optimistic not in peers:
            self.optimistic = None
        interested = [peer for peer in peers if peer.peer_interested]
        if now >= self._prefers_at:
            self._prefers_at = _next(self._prefers_at, self._rounds.interval, now)
            self._prefer(interested, seeding)
            self._came_before = {peer: peer.download.total for peer in peers}
        if now >= self._rotates_at:
            self._rotates_at = _next(self._rotates_at, self._rounds.optimistic_interval, now)
            self._rotate(interested)
        self._chose(self.preferred, self.optimistic)
        return {*self.preferred, *([] if self.optimistic is None else [self.optimistic])}

    def free_slots(self, peers: Collection[RemotePeer]) -> bool:
        """Whether somebody may be unchoked between two decisions: never."""
        return False

    def _prefer(self, interested: list[RemotePeer], seeding: bool) -> None:
        if seeding:  # nothing comes from anybody: all are alike
            ranked = fastest(interested, {}, self._random)
        else:
            before = self._came_before
            came = {peer: peer.download.total - before.get(peer, 0) for peer in interested}
            ranked = self._rank(interested, came, self._random)
        self.preferred = ranked[: self._rounds.preferred]

    def _rotate(self, interested: list[RemotePeer]) -> None:
        """
        Draw the next one; while nobody is choked that wants something, the one of before stays.

        Who was preferred until this very moment, and is not any more, is about to be choked, and so may be drawn.
        """
        waiting = [peer for peer in interested if peer not in self.preferred and peer is not self.optimistic]
        if waiting:
            self.optimistic = self._random.choice(waiting)


def _next(planned: float, interval: float, now: float) -> float:
    """Find the next moment of a rhythm, which does not drift for a look that comes a little late."""
    following = planned + interval
    return following if following > now else now + interval
