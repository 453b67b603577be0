"""A shared folder as parts of one peer: looked at, hashed, seeded, announced, and told to an index."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.inotify import INotify
from twisted.logger import Logger

from p2pshare.client.announcing import JITTER
from p2pshare.client.node_settings import ShareSettings
from p2pshare.client.session import Session, Threads
from p2pshare.discovery.announce_timing import AnnouncerSettings
from p2pshare.discovery.http_tracker import HTTPTrackers, http_trackers
from p2pshare.discovery.index_client import IndexClient
from p2pshare.errors import ConfigError
from p2pshare.faces.node_offer import Shared
from p2pshare.metainfo import dump
from p2pshare.sharing.announces import SeedAnnounces
from p2pshare.sharing.hints import Hints
from p2pshare.sharing.library import Library
from p2pshare.sharing.listing import Listing, Presence
from p2pshare.sharing.observations import Observations
from p2pshare.sharing.registrar import Pace, Registrar
from p2pshare.sharing.seeding import Seeding
from p2pshare.sharing.shelf import SharedFile, Shelf
from p2pshare.sharing.told import Told
from p2pshare.sharing.torrents import torrent_of
from p2pshare.storage.hashing import usable_cores
from p2pshare.swarm.swarm import Swarm

_SHELF, _TOLD = "shelf", "told"

MakeThreads = Callable[[str, int], Threads]  # their name, and how many there are at most


def announce_url(index: str) -> str:
    """Name the tracker that is beside an index."""
    return f"{index}/announce"


class Sharing(Service):
    """
    Shares one folder through a session. Started after the session; stopped beside it.

    To a node this is who knows how others call our files.

    :ivar library: what is shared.
    :ivar registrar: who tells the index; None: there is no index.
    """

    log = Logger()

    def __init__(
        self,
        folder: Path,
        settings: ShareSettings,
        state: Path,
        session: Session,
        index: IndexClient | None,
        presence: Presence,
        threads: MakeThreads,
        reactor: Any,
        random: Random,
    ) -> None:
        """
        Join the parts.

        :param state: the folder for what is known of the files.
        :param presence: who we are to the index.
        :raise P2PShareError: the state cannot be used.
        """
        self._session = session
        self._index = index
        self._keeping = threads("shelf", 1)
        self._reading = threads("library", usable_cores())
        keep, read = self._keeping.run, self._reading.run
        shelf = Shelf(state / _SHELF)
        self.library = Library(folder, shelf, keep, read, reactor, time.time, usable_cores(), settings.rescan)
        self._hints = Hints(folder, self.library.poke, partial(INotify, reactor))
        self.library.on_folders = self._hints.cover
        self._seeding = Seeding(self.library, folder, session, reactor)
        self._seeding.on_doubt = self.library.poke
        self.registrar: Registrar | None = None
        self._announces: SeedAnnounces | None = None
        self._trackers: HTTPTrackers | None = None
        self._parts: list[Service] = [self.library, self._seeding]
        if index is not None:
            told = Told(state / _TOLD, index.base, keep)
            listing = Listing(index, presence, self._seeding.info_hash)
            pace = Pace(heartbeat=settings.heartbeat, retry=settings.retry)
            observations = Observations()

            def observe(swarm: Swarm) -> None:
                """Tell the index of peers that found each other there, and of no others."""
                if any(url.startswith(f"{index.base}/") for tier in swarm.content.announce_tiers for url in tier):
                    observations.follow(swarm)

            session.on_added.append(observe)
            for swarm in session.swarms.values():
                observe(swarm)
            self.registrar = Registrar(listing, self.library, reactor, told, pace, observations)
            self._trackers = http_trackers(reactor, bind_address=session.settings.bind)
            self._announces = self._announcing(announce_url(index.base), self._trackers, reactor, random)
            self._seeding.announces = self._announces
            self.registrar.on_welcome = self._announces.renew
            self._parts += [self._announces, self.registrar]

    @property
    def trouble(self) -> str | None:
        """Why the index, or the tracker beside it, cannot be told; None: both can, or there is none."""
        registrar, announces = self.registrar, self._announces
        return (None if registrar is None else registrar.trouble) or (None if announces is None else announces.trouble)

    def seeds(self, info_hash: bytes) -> bool:
        """Whether a torrent is that of a shared file."""
        return self._seeding.file(info_hash) is not None

    def index_id(self, file: Shared) -> str | None:
        """Under which id the index lists a file; None: it does not, or has not said."""
        return None if self.registrar is None else self.registrar.index_id(_ours(file))

    def name_of(self, index_id: str) -> str | None:
        """Which of our names stands behind an id of the index."""
        return None if self.registrar is None else self.registrar.name_of(index_id)

    def info_hash(self, file: Shared) -> str | None:
        """Which torrent has this file as its only one, in hex; None: there is none."""
        return self._seeding.info_hash(_ours(file))

    def torrent_file(self, file: Shared) -> bytes:
        """
        Write the torrent of a file, which names the tracker beside the index.

        :raise MetainfoError: there can be none.
        """
        return dump(torrent_of(_ours(file), None if self._index is None else announce_url(self._index.base)))

    def startService(self) -> None:
        super().startService()
        self._session.wake = self._seeding.wake
        self._hints.start()
        for part in self._parts:
            part.startService()

    def stopService(self) -> Deferred[None]:
        """Say goodbye to the index and the tracker, and close everything; fires when that is done."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._hints.stop()
        await self._all(*(maybeDeferred(part.stopService) for part in reversed(self._parts)))
        if self._trackers is not None:
            await self._all(self._trackers.close())
        await self._all(self._keeping.stop(), self._reading.stop())

    async def _all(self, *endings: Deferred[Any]) -> None:
        """Wait for each of them: what one cannot end must not keep the others from ending in order."""
        for ending in endings:
            ending.addErrback(lambda failure: self.log.failure("stopping", failure))
        await DeferredList(endings)

    def _announcing(self, url: str, trackers: HTTPTrackers, reactor: Any, random: Random) -> SeedAnnounces:
        tracker = trackers(url)
        if tracker is None:
            raise ConfigError(f"{url}: no tracker that could be asked")
        settings = self._session.settings
        timing = AnnouncerSettings(settings.min_interval, JITTER if settings.jitter else 0.0, settings.names)
        seeding = self._seeding
        return SeedAnnounces(tracker, reactor, random, seeding.describe, seeding.invite, settings=timing)


def _ours(file: Shared) -> SharedFile:
    assert isinstance(file, SharedFile), "a node shows what the library has"
    return file
