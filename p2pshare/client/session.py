"""Many torrents behind one listening port, under one set of limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any
from typing import Protocol as Seam

from attrs import define, evolve, field
from twisted.application.service import Service
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger

from p2pshare.addresses import Address
from p2pshare.client.chronicle import write_chronicle
from p2pshare.client.ports import listen
from p2pshare.client.settings import DEFAULT_PORTS, PeerSettings
from p2pshare.errors import ConfigError
from p2pshare.ids import new_peer_id
from p2pshare.metainfo import Metainfo
from p2pshare.peer.budget import ConnectionBudget
from p2pshare.peer.connector import Connector
from p2pshare.peer.factory import AcceptFactory
from p2pshare.peer.first_bytes import Dialects
from p2pshare.peer.limiter import Allowance, Bucket
from p2pshare.peer.limits import Commons
from p2pshare.storage.old_state import sweep_state
from p2pshare.storage.ongoing import Ongoing
from p2pshare.storage.resume import Durability
from p2pshare.storage.scrub import Scrub
from p2pshare.storage.signatures import Signature
from p2pshare.storage.store import PieceStore
from p2pshare.storage.workers import Workers
from p2pshare.swarm.events import Event, State, StateChanged
from p2pshare.swarm.introduction import Identity
from p2pshare.swarm.seams import Discovery
from p2pshare.swarm.swarm import Swarm
from p2pshare.wire.bep3 import Handshake

_LIMITS = ("limit_up", "limit_down", "torrent_limit_up", "torrent_limit_down")


class Threads(Seam):
    """Where blocking work is done; a Workers."""

    def run(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Call a function in a thread; fires with what it returned."""

    def stop(self) -> Deferred[None]:
        """Take no more; fires when all is done."""


@define(eq=False)
class Session(Service):
    """
    The peer process: listens once, routes each handshake to its swarm, shares limits and disk threads.

    Knows no tracker: ``discover`` builds whatever finds peers for a swarm.
    """

    reactor: Any  # the global reactor, or one of a test
    settings: PeerSettings
    random: Random
    discover: Callable[[Swarm], Discovery] | None = None  # set before torrents are added
    # Asked for torrents that may have to be made ready first; None: it has no such torrent. Fires with its swarm.
    wake: Callable[[bytes], Deferred[Any] | None] = field(kw_only=True, default=lambda _: None)
    threads: Threads | None = field(kw_only=True, default=None)  # None: some of our own
    resume: Path | None = field(kw_only=True, default=None)  # folder for resume data; None: every start hashes all
    on_added: list[Callable[[Swarm], object]] = field(init=False, factory=list)  # told of each swarm
    on_stopped: list[Callable[[], Deferred[None]]] = field(init=False, factory=list)  # what ends with us
    peer_id: bytes = field(init=False)
    port: int = field(init=False, default=0)  # where we listen; once closed, where we did: goodbyes still name it
    swarms: dict[bytes, Swarm] = field(init=False, factory=dict)
    dialects: Dialects = field(init=False, factory=dict)  # besides BEP 3, that share the port
    _scrubs: dict[bytes, Scrub] = field(init=False, factory=dict)
    _listening: IListeningPort | None = field(init=False, default=None)
    _leaving: set[bytes] = field(init=False, factory=set)  # removed, and not quite stopped
    _removals: Ongoing = field(init=False, factory=Ongoing)
    _former_hits: Counter[str] = field(init=False, factory=Counter)  # of torrents that were removed
    log = Logger()

    def __attrs_post_init__(self) -> None:
        settings = self.settings
        self.peer_id = new_peer_id(self.random)
        self._threads: Threads = self.threads or Workers(self.reactor)
        # A disk that takes long to make bytes safe must not keep pieces from being hashed and written.
        self._syncing: Threads = self.threads or Workers(self.reactor, limit=2, name="sync")
        self._commons = Commons(settings.connections)
        self._budget = ConnectionBudget(settings.max_connections, settings.max_connections_per_host, self._commons)
        self._connector = Connector(self.reactor, self._budget, settings.bind)
        self._up = Bucket(self.reactor, settings.limit_up)
        self._down = Bucket(self.reactor, settings.limit_down)
        self._torrent_buckets: dict[bytes, tuple[Bucket, Bucket]] = {}

    def add(
        self,
        content: Metainfo,
        folder: Path,
        *,
        peers: Sequence[Address] = (),
        seed_only: bool = False,
        vouched: Mapping[int, Signature] | None = None,
    ) -> Swarm:
        """
        Take a torrent on; it starts when the session runs.

        :param folder: where its content is, or goes to.
        :param peers: addresses to try besides what trackers say.
        :param seed_only: never write; missing or wrong data is an error.
        :param vouched: by file, how it looked when somebody else found its pieces right; see PieceStore. Whoever
            vouches does so at every start, and no resume data are kept.
        :raise ConfigError: this torrent is here already, or has not quite left.
        """
        if self.holds(content.info_hash) or self.is_leaving(content.info_hash):
            raise ConfigError(f"{content.name}: torrent {content.info_hash.hex()} was added before")
        settings = self.settings
        durability = None
        if self.resume is not None and vouched is None:
            strict = settings.durability == "strict"
            durability = Durability(self.resume, self.reactor, self._syncing.run, strict=strict)
        store = PieceStore(
            content,
            folder,
            self._threads.run,
            memory_limit=settings.memory_limit,
            durability=durability,
            vouched=vouched,
        )
        up = Bucket(self.reactor, settings.torrent_limit_up)
        down = Bucket(self.reactor, settings.torrent_limit_down)
        self._torrent_buckets[content.info_hash] = (up, down)
        limits = Allowance((self._up, up)), Allowance((self._down, down))
        identity = Identity(content, self.peer_id, lambda: self.port, limits)
        swarm = Swarm(store, settings.swarm(), identity, self.reactor, self.random, self._connector, seed_only)
        if self.discover is not None:
            swarm.discovery = self.discover(swarm)
        self.swarms[content.info_hash] = swarm
        scrub = Scrub(store, self.reactor, self.random, percent_a_day=settings.scrub)
        self._scrubs[content.info_hash] = scrub
        swarm.subscribe(partial(_scrub_once_checked, scrub))
        self.log.info(
            "{torrent}: added as {info_hash}, in {folder}",
            torrent=content.name,
            info_hash=content.info_hash.hex(),
            folder=folder,
        )
        write_chronicle(swarm)
        for told in self.on_added:
            told(swarm)
        swarm.meeting.heard(peers, "user")
        if self.running:
            swarm.startService()
        return swarm

    def holds(self, info_hash: bytes) -> bool:
        """Whether a torrent is here."""
        return info_hash in self.swarms

    def is_leaving(self, info_hash: bytes) -> bool:
        """Whether a torrent was removed and still closes its files or says goodbye; until then it cannot come back."""
        return info_hash in self._leaving

    def remove(self, info_hash: bytes) -> Deferred[None]:
        """Stop one torrent and forget it; its files stay. Fires when it has left."""
        swarm = self.swarms.pop(info_hash)
        self._scrubs.pop(info_hash).stop()
        self._former_hits.update(swarm.hits)
        self._leaving.add(info_hash)
        return self._removals.track(Deferred.fromCoroutine(self._remove(swarm)))

    async def _remove(self, swarm: Swarm) -> None:
        try:
            await swarm.stopService()
        finally:
            for bucket in self._torrent_buckets.pop(swarm.info_hash):
                bucket.close()
            self._leaving.discard(swarm.info_hash)

    def limit(self, settings: PeerSettings) -> None:
        """Take over the rate limits of other settings; all else stays."""
        self.settings = evolve(self.settings, **{name: getattr(settings, name) for name in _LIMITS})
        self._up.rate, self._down.rate = settings.limit_up, settings.limit_down
        for up, down in self._torrent_buckets.values():
            up.rate, down.rate = settings.torrent_limit_up, settings.torrent_limit_down

    @property
    def hits(self) -> Counter[str]:
        """How often each limit was reached since the start, by the name of its key; by torrents removed since, too."""
        return sum((swarm.hits for swarm in self.swarms.values()), self._commons.hits + self._former_hits)

    def run_in_thread(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Do what may wait for a disk, in turn with what the torrents have to do there."""
        return self._threads.run(function, *args)

    def listen(self) -> None:
        """
        Open the port; done by startService, or earlier by whoever wants to know of trouble first.

        :raise PortError: it cannot be had.
        """
        if self._listening is not None:
            return
        wanted = self.settings.port
        ports = chain(DEFAULT_PORTS, (0,)) if wanted is None else (wanted,)
        factory = AcceptFactory(self.reactor, self._route, self._budget, self.dialects)
        self._listening = listen(self.reactor, ports, factory, self.settings.bind)
        self.port = _port_of(self._listening)
        self.log.info("listening for peers on port {port}", port=self.port)

    def startService(self) -> None:
        self.listen()
        super().startService()
        if self.resume is not None:
            sweeping = self._syncing.run(sweep_state, self.resume)
            sweeping.addErrback(lambda failure: self.log.debug("not swept: {error}", error=failure.value))
        for swarm in self.swarms.values():
            swarm.startService()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._listening is not None:
            listening, self._listening = self._listening, None
            await maybeDeferred(listening.stopListening)
        for scrub in self._scrubs.values():
            scrub.stop()
        await self._all(*(swarm.stopService() for swarm in self.swarms.values()), self._removals.over())
        for bucket in (self._up, self._down, *chain.from_iterable(self._torrent_buckets.values())):
            bucket.close()
        await self._all(*map(maybeDeferred, self.on_stopped))
        if self._syncing is not self._threads:
            await self._syncing.stop()
        await self._threads.stop()

    async def _all(self, *endings: Deferred[None]) -> None:
        """Wait for each of them: what one cannot end must not keep the others from ending in order."""
        for ending in endings:
            ending.addErrback(lambda failure: self.log.failure("stopping", failure))
        await DeferredList(endings)

    def _route(self, handshake: Handshake) -> Swarm | Deferred[Swarm | None] | None:
        # First, as a swarm that is being made ready is among ours already and takes nobody yet.
        return self.wake(handshake.info_hash) or self.swarms.get(handshake.info_hash)


def _scrub_once_checked(scrub: Scrub, event: Event) -> None:
    if isinstance(event, StateChanged) and event.state in (State.DOWNLOADING, State.SEEDING):
        scrub.start()


def _port_of(listening: IListeningPort) -> int:
    host = listening.getHost()
    assert isinstance(host, IPv4Address | IPv6Address)
    return host.port
