"""What a tracker decides, whatever carries the announce: whom to believe, whom to refuse, whom to name."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Protocol

from attrs import define, field, frozen

from p2pshare.addresses import Address, is_dialable, is_numeric, pack_compact
from p2pshare.errors import RequestRefused
from p2pshare.tracker.hits import Hits
from p2pshare.tracker.private import Admission
from p2pshare.tracker.settings import TrackerSettings
from p2pshare.tracker.swarm import Contact
from p2pshare.web.rates import RateLimit
from p2pshare.web.sources import Source
from p2pshare.wire.announce import AnnounceRequest, Event, ScrapeCounts


class SwarmStore(Protocol):
    """Where swarms are kept; see ``MemorySwarms`` for what each call promises, tests/contracts for the proof."""

    def knows(self, info_hash: bytes) -> bool: ...

    def has_names(self, info_hash: bytes) -> bool: ...

    def last_seen(self, info_hash: bytes, contact: Contact) -> float | None: ...

    def announce(
        self,
        request: AnnounceRequest,
        contact: Contact,
        wanted: int,
        most_per_host: int | None,
        now: float,
        *,
        width: int | None = None,
    ) -> Hits: ...

    def scrape(self, hashes: Iterable[bytes]) -> dict[bytes, ScrapeCounts]: ...

    def newest(self, count: int) -> list[bytes]: ...


@frozen(kw_only=True)
class Carrier:
    """
    What carries announces and their replies, as far as the decisions depend on it.

    ``most_peers`` fit into a reply, with addresses of ``width`` bytes only; None: any number, of both families.
    ``resend_after`` are the seconds after which a client that got no reply may say the same again.
    """

    most_peers: int | None = None
    width: int | None = None
    resend_after: float = math.inf


HTTP = Carrier()


class AskedTooSoon(RequestRefused):
    """A refusal that passes with time."""

    def __init__(self, reason: str, retry_in: float) -> None:
        """
        Keep the reason.

        :param retry_in: seconds until another attempt makes sense.
        """
        super().__init__(reason)
        self.retry_in = retry_in


@define(eq=False)
class Tracker:
    """
    Answers announces and scrapes. Knows no socket and no encoding.

    Raises RequestRefused for whatever the settings do not allow; ``refused`` counts these by limit.
    """

    _store: SwarmStore
    _settings: TrackerSettings
    _claims: Container[str]  # networks whose peers may say where they are
    _now: Callable[[], float]  # seconds on a clock that never jumps
    _admission: Admission = field(factory=Admission)
    announces: int = field(init=False, default=0)
    refused: Counter[str] = field(init=False, factory=Counter)
    _by_address: RateLimit = field(init=False)
    _new_torrents: RateLimit = field(init=False)

    def __attrs_post_init__(self) -> None:
        limits = self._settings.limits
        self._by_address = RateLimit(limits.announces_per_second, limits.announce_burst)
        self._new_torrents = RateLimit(limits.new_torrents_per_hour / 3600, limits.new_torrents_per_hour)

    def use(self, store: SwarmStore) -> None:
        """Ask this store from now on, such as one that tells somebody else of what it is asked."""
        self._store = store

    def announce(self, request: AnnounceRequest, source: Source, carrier: Carrier = HTTP) -> Hits:
        """
        Take note of a peer, and choose others for it.

        :raise RequestRefused: the source has used up its share, or asks before its time.
        """
        now = self._now()
        contact = self._contact(request, source)
        if not source.is_exempt:
            self._take_turn(source, now)
        if self._admission.lists.torrents is not None:
            self._check_torrent(request.info_hash)
        if source.is_exempt:
            most_per_host = None
        else:
            self._check_haste(request, contact, source, carrier, now)
            most_per_host = self._settings.limits.peers_per_address
        wanted = self._settings.numwant if request.numwant is None else request.numwant
        wanted = min(wanted, self._settings.max_numwant)
        if carrier.most_peers is not None:
            wanted = min(wanted, carrier.most_peers)
        self.announces += 1
        return self._store.announce(request, contact, wanted, most_per_host, now, width=carrier.width)

    @property
    def is_keyed(self) -> bool:
        """Whether it answers only who has a passkey."""
        return self._admission.lists.passkeys is not None

    def admit(self, passkey: bytes, source: Source) -> None:
        """
        Let a holder of a passkey announce and scrape, or everybody where there are none; empty: none was shown.

        :raise RequestRefused: it is not known, or the source has tried too many.
        """
        try:
            self._admission.check_passkey(passkey)
        except RequestRefused:
            self.refused["passkey"] += 1
            if not source.is_exempt:
                self._take_turn(source, self._now())
            raise

    def has_names(self, info_hash: bytes) -> bool:
        """Whether a swarm has members with host names, so that a reply may have to wait for a look-up."""
        return self._store.has_names(info_hash)

    def scrape(self, hashes: Sequence[bytes], source: Source) -> dict[bytes, ScrapeCounts]:
        """
        Give the figures of these torrents, of all when none are named and the settings allow it.

        :raise RequestRefused: they do not, or the source has used up its share.
        """
        if not source.is_exempt:
            self._take_turn(source, self._now())
        if not hashes:
            if not self._settings.full_scrape:
                self.refused["full_scrape"] += 1
                raise RequestRefused(
                    "name the torrents to scrape with info_hash: this tracker does not list all of them"
                )
            hashes = self._store.newest(self._settings.limits.full_scrape)
        return self._store.scrape(hashes)

    def _contact(self, request: AnnounceRequest, source: Source) -> Contact:
        """
        Tell where a peer can be reached: where it asks from, unless it may claim to be elsewhere and does.

        A stranger's claim is not worth a refusal, as old clients send one with good intentions; it is worth nothing.
        """
        claimed = request.hostname or request.ip
        if claimed is not None and source.host in self._claims:
            address = Address(claimed, request.port)
            if is_dialable(address):
                return pack_compact(claimed, request.port) if is_numeric(claimed) else address
        return pack_compact(source.host, request.port)

    def _check_torrent(self, info_hash: bytes) -> None:
        try:
            self._admission.check_torrent(info_hash)
        except RequestRefused:
            self.refused["torrent"] += 1
            raise

    def _check_haste(
        self, request: AnnounceRequest, contact: Contact, source: Source, carrier: Carrier, now: float
    ) -> None:
        """Let a stranger pass who keeps to the limits."""
        if request.event is Event.STOPPED:
            return
        if request.event is None:
            seen = self._store.last_seen(request.info_hash, contact)
            gap = min(self._settings.limits.announce_gap, carrier.resend_after)
            if seen is not None and now - seen < gap:
                self.refused["announce_gap"] += 1
                raise AskedTooSoon(f"announced {now - seen:.0f} s ago, less than {gap:g} s", seen + gap - now)
        if not self._store.knows(request.info_hash):
            wait = self._new_torrents.take(source.group, now)
            if wait:
                self.refused["new_torrents_per_hour"] += 1
                raise AskedTooSoon("too many new torrents from your address", wait)

    def _take_turn(self, source: Source, now: float) -> None:
        wait = self._by_address.take(source.group, now)
        if wait:
            self.refused["announces_per_second"] += 1
            raise AskedTooSoon("too many requests from your address", wait)
