"""The one store behind every face of the index."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from attrs import evolve
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime

from p2pshare.index.database import Database, open_database
from p2pshare.index.figures import count_network, count_tracker
from p2pshare.index.lanes import Lane
from p2pshare.index.memberships import Memberships, Pace
from p2pshare.index.nodes import Nodes
from p2pshare.index.records import NetworkFigures, TrackerFigures
from p2pshare.index.shares import Shares
from p2pshare.index.sqlite import IN_MEMORY, PATIENCE, READERS
from p2pshare.index.torrents import ACTIVE, Torrents
from p2pshare.index.users import Users


class Catalogue(MultiService):
    """
    All parts of the store over one database. Started, it writes memberships in rounds; stopped, it is closed for good.

    :ivar shares: what owners share, and the search.
    :ivar nodes: who has registered.
    :ivar torrents: what has been uploaded, and who is in its swarms.
    :ivar users: who has a name.
    :ivar memberships: to be told what happens in swarms.
    """

    def __init__(
        self,
        database: Database,
        clock: IReactorTime,
        now: Callable[[], float],
        random: Random,
        pace: Pace | None = None,
        close: Callable[[], Deferred[None]] | None = None,
    ) -> None:
        """
        Join the parts.

        :param clock: for timers.
        :param now: seconds since 1970.
        :param random: makes peer_ids of users.
        :param close: ends the threads behind the database.
        """
        super().__init__()
        self._database = database
        self._now = now
        self._close = close
        self.memberships = Memberships(database, clock, now, pace)
        self.memberships.setServiceParent(self)
        self.shares = Shares(database, self.memberships, now)
        self.nodes = Nodes(database, now)
        self.torrents = Torrents(database, self.memberships, now)
        self.users = Users(database, now, random)

    def stopService(self) -> Deferred[None]:
        """Write what there is and close the database; fires when that is done."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await maybeDeferred(super().stopService)
        if self._close is not None:
            await self._close()
        self._database.close()

    def network_figures(self) -> Deferred[NetworkFigures]:
        """Count nodes, files and downloads."""
        return self._database.read(count_network).addCallback(
            lambda counted: evolve(
                counted, total_downloads=counted.total_downloads + self.memberships.all_pending_downloads()
            )
        )

    def tracker_figures(self) -> Deferred[TrackerFigures]:
        """Count torrents, members and users; members include all that Memberships was told so far."""
        work = partial(count_tracker, since=self._now() - ACTIVE)
        return self.memberships.flush().addCallback(lambda _: self._database.read(work))

    def probe(self) -> Deferred[None]:
        """Fire when the database can be read and written; fail with a StorageError that says why not."""
        return self._database.probe()

    def find_damage(self) -> Deferred[list[str]]:
        """Read all of the database, which may take seconds; fires with a sentence for each thing that is wrong."""
        return self._database.find_damage()


def open_catalogue(
    path: str,
    reactor: Any,
    now: Callable[[], float],
    random: Random,
    *,
    pace: Pace | None = None,
    patience: float = PATIENCE,
) -> Catalogue:
    """
    Open a catalogue with threads of its own: one that writes, two that read. Blocks until the schema is up to date.

    :param path: a file, made if it is not there, or ``:memory:``.
    :param patience: seconds to wait for another process that writes to the file.
    :raise StorageError: the file cannot be used; says why.
    """
    writing = Lane(reactor, "index-write")
    reading = writing if path == IN_MEMORY else Lane(reactor, "index-read", threads=READERS)

    async def close() -> None:
        await writing.stop()
        if reading is not writing:
            await reading.stop()

    database = open_database(path, now(), writing.run, reading.run, patience)
    return Catalogue(database, reactor, now, random, pace, close=lambda: Deferred.fromCoroutine(close()))
