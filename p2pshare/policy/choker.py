"""Whom to serve."""

from __future__ import annotations

from collections.abc import Callable, Collection
from random import Random

from attrs import define, field, frozen

from p2pshare.policy.rankings import Ranking, fastest
from p2pshare.policy.remote_peer import RemotePeer


@frozen
class ChokerSettings:
    """How many peers are served at once, and for how long. Times in seconds."""

    slots: int = 4  # BEP 3: four is few enough for TCP and enough to find good partners
    optimistic_slots: int = 1  # beside those
    min_slots: int = 2  # served even when nobody sends us anything (mainline min_uploads)
    interval: float = 10.0  # BEP 3: between rounds, so that nobody is choked and unchoked in quick succession
    optimistic_interval: float = 30.0  # BEP 3: enough for a connection to come up to speed both ways
    turn: float = 30.0  # how long a seed serves a peer while others wait
    rank: Ranking = fastest  # in which order those that sent us something earn the slots


@define(eq=False)
class Choker:
    """
    Names the peers to unchoke, round by round (BEP 3, "choking"). Knows no timer; who calls decide() keeps the rhythm.

    While leeching: the interested peers that sent us most since the last round, as they are likely to go on, or those
    that another ranking puts first; a snubbing one is served as an optimistic unchoke at most. While seeding: everyone
    in turn, and as in libtorrent's round-robin seed choker a peer keeps its slot until its turn is over and the one
    that waits longest follows; but who takes nothing loses its turn to somebody who waits. Serving the fastest takers
    alone, as mainline did, lets a few peers take everything from a seed and leaves its pieces with those few.

    In either case one more peer is unchoked optimistically for three rounds, each in rotation; new peers are three
    times as likely to be next. A greedy peer, which took several copies of everything, comes after all others each
    time: it has what nobody else wants.
    """

    _settings: ChokerSettings
    _random: Random
    _rotation: list[RemotePeer] = field(init=False, factory=list)  # in the order of their optimistic unchokes
    _optimistic: list[RemotePeer] = field(init=False, factory=list)
    _next_round: float = field(init=False, default=0.0)
    _rotates_at: float = field(init=False, default=float("-inf"))
    # Payload totals of each peer at the last round.
    _sent_before: dict[RemotePeer, int] = field(init=False, factory=dict)
    _came_before: dict[RemotePeer, int] = field(init=False, factory=dict)

    at_once = True  # free slots are given away between two rounds

    def due(self, now: float) -> bool:
        """Whether it is time for a round, which then has to be held."""
        return now >= self._next_round

    def decide(self, peers: Collection[RemotePeer], seeding: bool, now: float) -> set[RemotePeer]:
        """
        Hold a round: name who is unchoked until the next one; everybody else is choked.

        :param peers: all that are connected. Of each the choker reads ``am_choking``, ``last_unchoked_at`` and meters.
        """
        self._next_round = now + self._settings.interval
        self._meet(peers)
        interested = [peer for peer in peers if peer.peer_interested]
        self._optimistic = [peer for peer in self._optimistic if peer.peer_interested and not peer.greedy]
        if now >= self._rotates_at:
            self._rotates_at = now + self._settings.optimistic_interval
            self._optimistic.clear()
        chosen = self._in_turn(interested, now) if seeding else self._most_generous(interested)
        self._fill_optimistic(chosen)
        self._sent_before = {peer: peer.upload.total for peer in peers}
        self._came_before = {peer: peer.download.total for peer in peers}
        return {*chosen, *self._optimistic}

    def free_slots(self, peers: Collection[RemotePeer]) -> bool:
        """Whether one more interested peer may be unchoked at once, without waiting for the next round."""
        served = sum(1 for peer in peers if peer.peer_interested and not peer.am_choking)
        return served < self._settings.slots + self._settings.optimistic_slots

    def _most_generous(self, interested: list[RemotePeer]) -> list[RemotePeer]:
        """Name the peers that earned a slot by what they sent since the last round."""
        before = self._came_before
        earning = [peer for peer in interested if not peer.snubbed]
        came = {peer: peer.download.total - before.get(peer, 0) for peer in earning}
        ranked = self._settings.rank(earning, came, self._random)
        ranked.sort(key=lambda peer: peer.greedy)
        return ranked[: self._settings.slots]

    def _in_turn(self, interested: list[RemotePeer], now: float) -> list[RemotePeer]:
        """Name the peers whose turn it is, or begins."""
        waiting = [peer for peer in interested if peer not in self._optimistic]
        self._random.shuffle(waiting)  # sorting is stable: ties are broken at random
        waiting.sort(key=self._turn_key(now))
        return waiting[: self._settings.slots]

    def _turn_key(self, now: float) -> Callable[[RemotePeer], tuple[bool, float, float]]:
        """Give what to sort by: first who is in its turn, best taker first, then who was served longest ago."""
        before = self._sent_before

        def key(peer: RemotePeer) -> tuple[bool, float, float]:
            since = peer.last_unchoked_at
            if since is None:
                return (peer.greedy, 1.0, float("-inf"))
            taken = peer.upload.total - before.get(peer, 0)
            served = now - since
            if not peer.am_choking and (served < self._settings.interval or (taken and served < self._settings.turn)):
                return (peer.greedy, 0.0, -taken)
            return (peer.greedy, 1.0, since)

        return key

    def _fill_optimistic(self, chosen: list[RemotePeer]) -> None:
        """Give the slots that are not earned to the next in the rotation."""
        settings = self._settings
        places = max(settings.optimistic_slots, settings.min_slots - len(chosen))
        self._optimistic = [peer for peer in self._optimistic if peer not in chosen][:places]
        passed_over = {*chosen, *self._optimistic}
        waiting = [peer for peer in self._rotation if peer.peer_interested and peer not in passed_over]
        # Whoever is unchoked now has had its chance; with nobody else there it goes on.
        waiting.sort(key=lambda peer: (peer.greedy, not peer.am_choking))
        for peer in waiting[: places - len(self._optimistic)]:
            self._optimistic.append(peer)
            self._rotation.remove(peer)
            self._rotation.append(peer)

    def _meet(self, peers: Collection[RemotePeer]) -> None:
        """Keep the rotation to the peers that are connected; new ones get three chances to be the next."""
        present = set(peers)
        self._rotation = [peer for peer in self._rotation if peer in present]
        self._optimistic = [peer for peer in self._optimistic if peer in present]
        known = set(self._rotation)
        for peer in peers:
            if peer not in known:
                place = self._random.randrange(-2, len(self._rotation) + 1)
                self._rotation.insert(max(place, 0), peer)
