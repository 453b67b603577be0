"""Addresses of possible peers: heard of, not connected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import Enum, auto
from random import Random

from attrs import define, field

from p2pshare.addresses import PRIVATE, Address, Networks, is_dialable

MOST = 1000  # addresses kept; libtorrent keeps 3,000 of them, anacrolix 500
BACKOFF = (10.0, 60.0, 300.0, 900.0, 3600.0)  # seconds after the first, second, … failure in a row
PATIENCE = 5  # failures in a row until an address that was heard of only once is forgotten
RETURN_AFTER = 5.0  # seconds until a peer that was useful is dialled again (Transmission: 5 s if it gave data)
BAN = 86400.0  # seconds
SEED_FOR = 86400.0  # seconds for which a seed is taken to stay one


class State(Enum):
    """What we are doing about an address."""

    WAITING = auto()
    CONNECTING = auto()
    CONNECTED = auto()


@define(eq=False)
class Candidate:
    """One address."""

    address: Address
    due: float  # not to be dialled before
    order: float  # among those that are due, smaller first: the fresh ones in random order
    state: State = State.WAITING
    heard: int = 1  # how often somebody named it
    failures: int = 0  # in a row
    tried_at: float = float("-inf")
    seed_until: float = float("-inf")  # it has everything, as far as we know


@define(eq=False)
class Candidates:
    """
    Which address to dial next. Knows no socket and no name lookup: a name is an address like any other.

    Bans are by host, but on the exempt networks, where many peers share a host, by peer_id and by exact address.
    """

    _random: Random
    _exempt: Networks = field(kw_only=True, default=PRIVATE)
    _limit: int = field(kw_only=True, default=MOST)
    _hits: Counter[str] = field(kw_only=True, factory=Counter)
    _known: dict[Address, Candidate] = field(init=False, factory=dict)
    _selves: set[Address] = field(init=False, factory=set)
    _bans: dict[str | bytes | Address, float] = field(init=False, factory=dict)  # host, peer_id or address -> until
    _quiet_until: float = field(init=False, default=float("-inf"))  # nothing is due before
    _seeding: bool = field(init=False, default=False)

    def __len__(self) -> int:
        return len(self._known)

    def heard(self, addresses: Iterable[Address], source: str, now: float) -> int:
        """
        Take note of addresses, and tell how many are new.

        :param source: who named them: ``tracker``, ``user``, ``pex`` …. A tracker or a person that names an address
            again vouches for it, and its long back-off is over.
        """
        new = 0
        for address in addresses:
            known = self._known.get(address)
            if known is not None:
                known.heard += 1
                if source in ("tracker", "user"):
                    self._set_due(known, min(known.due, max(now, known.tried_at + BACKOFF[0])))
            elif address not in self._selves and is_dialable(address) and self._make_room():
                self._known[address] = known = Candidate(address, now, self._random.random())
                self._set_due(known, now)
                new += 1
        return new

    def next(self, now: float) -> Address | None:
        """Name an address to dial now: new ones first, then those that wait longest for another try."""
        if now < self._quiet_until:
            return None
        best: Candidate | None = None
        quiet_until = float("inf")
        for candidate in self._known.values():
            if candidate.state is not State.WAITING:
                continue
            due = max(candidate.due, candidate.seed_until) if self._seeding else candidate.due
            if due > now:
                quiet_until = min(quiet_until, due)
            elif self.is_banned(candidate.address, None, now):
                candidate.due = self._banned_until(candidate.address, None)
            elif best is None or self._rank(candidate) < self._rank(best):
                best = candidate
        if best is None:
            self._quiet_until = quiet_until
            return None
        return best.address

    @staticmethod
    def _rank(candidate: Candidate) -> tuple[float, float]:
        return (candidate.tried_at, candidate.order)

    def seeding(self, is_so: bool) -> None:
        """We have everything, and so no use for seeds: those that are known are not dialled; or that is over."""
        self._seeding = is_so
        self._quiet_until = float("-inf")

    def met(self, address: Address, now: float, is_seed: bool) -> None:
        """Whoever can be reached there was connected to us, and had everything or not."""
        candidate = self._known.get(address)
        if candidate is not None:
            candidate.seed_until = now + SEED_FOR if is_seed else float("-inf")

    def connecting(self, address: Address) -> None:
        """We dial it."""
        self._known_as(address).state = State.CONNECTING

    def connected(self, address: Address) -> None:
        """We are connected to it, whoever dialled."""
        self._known_as(address).state = State.CONNECTED

    def postponed(self, address: Address) -> None:
        """We could not dial it after all, for reasons of ours."""
        self._known_as(address).state = State.WAITING
        self._quiet_until = float("-inf")

    def failed(self, address: Address, now: float) -> None:
        """Nobody answered there, or nobody we can talk to."""
        candidate = self._known.get(address)
        if candidate is None:
            return
        candidate.failures += 1
        if candidate.failures >= PATIENCE and candidate.heard == 1:
            del self._known[address]
            return
        self._wait(candidate, now, BACKOFF[min(candidate.failures, len(BACKOFF)) - 1])

    def lost(self, address: Address, now: float, useful: bool) -> None:
        """
        A connection to it ended.

        :param useful: it sent us payload; otherwise this counts as a failure.
        """
        if not useful:
            self.failed(address, now)
            return
        candidate = self._known_as(address)
        candidate.failures = 0
        self._wait(candidate, now, RETURN_AFTER)

    def add_self(self, address: Address) -> None:
        """It is ourselves: never dial it."""
        self._selves.add(address)
        self._known.pop(address, None)

    def ban(self, address: Address, peer_id: bytes, now: float, seconds: float = BAN) -> None:
        """Have nothing to do with this peer for a while."""
        self._bans = {key: until for key, until in self._bans.items() if until > now}
        until = now + seconds
        if address.host in self._exempt:
            self._bans[peer_id] = self._bans[address] = until
        else:
            self._bans[address.host] = until

    def is_banned(self, address: Address, peer_id: bytes | None, now: float) -> bool:
        """
        Whether a peer is banned.

        :param peer_id: None while it is not known, before a handshake.
        """
        return bool(self._bans) and self._banned_until(address, peer_id) > now

    def _banned_until(self, address: Address, peer_id: bytes | None) -> float:
        never = float("-inf")
        bans = self._bans
        if address.host not in self._exempt:
            return bans.get(address.host, never)
        return max(bans.get(address, never), never if peer_id is None else bans.get(peer_id, never))

    def _known_as(self, address: Address) -> Candidate:
        known = self._known.get(address)
        if known is None:
            known = self._known[address] = Candidate(address, float("-inf"), self._random.random())
        return known

    def _wait(self, candidate: Candidate, now: float, seconds: float) -> None:
        candidate.state = State.WAITING
        candidate.tried_at = now
        self._set_due(candidate, now + seconds)

    def _set_due(self, candidate: Candidate, due: float) -> None:
        candidate.due = due
        self._quiet_until = min(self._quiet_until, due)

    def _make_room(self) -> bool:
        """Make sure one more fits: at the limit the worst of the failing ones goes. False when none is failing."""
        if len(self._known) < self._limit:
            return True
        self._hits["known_peers"] += 1
        failing = [c for c in self._known.values() if c.failures and c.state is State.WAITING]
        if not failing:
            return False
        worst = max(failing, key=lambda candidate: (candidate.failures, -candidate.tried_at))
        del self._known[worst.address]
        return True
