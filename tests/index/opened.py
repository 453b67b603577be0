"""Indexes for tests: all work is done at once in the thread that asks, times and chances are the test's own."""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

from sqlalchemy import Connection
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.index.catalogue import Catalogue
from p2pshare.index.database import Database, open_database
from p2pshare.index.memberships import Pace
from p2pshare.index.records import Member, NodeClaim, ShareClaim, TorrentClaim
from p2pshare.index.sqlite import IN_MEMORY

T = TypeVar("T")

TODAY = 1.7e9  # seconds since 1970, when every test begins
INFO_HASH = bytes(range(20))


def run_now(function: Callable[..., Any], *args: Any) -> Deferred[Any]:
    """Do a database's work at once."""
    return maybeDeferred(function, *args)


class HeldBack:
    """Does a database's work when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Deferred[Any], Callable[..., Any], tuple[Any, ...]]] = []

    def run(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Keep a job for later."""
        answer: Deferred[Any] = Deferred()
        self.waiting.append((answer, function, args))
        return answer

    def release(self) -> None:
        """Do the job that has waited longest."""
        answer, function, args = self.waiting.pop(0)
        maybeDeferred(function, *args).chainDeferred(answer)


class IndexTestCase(SynchronousTestCase):
    """A test of what stands on a database; each begins with an empty one in memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.pace = Pace()
        self.catalogue = self.open()

    def now(self) -> float:
        """Seconds since 1970, by the test's clock."""
        return TODAY + self.clock.seconds()

    def open_database(self, path: str = IN_MEMORY, **seams: Any) -> Database:
        """Open a database that works at once."""
        return open_database(
            path, self.now(), seams.get("run_write", run_now), seams.get("run_read", run_now), patience=0
        )

    def open(self, path: str = IN_MEMORY, **seams: Any) -> Catalogue:
        """Open a catalogue whose rounds begin when it is started."""
        self.database = self.open_database(path, **seams)
        self.addCleanup(self.database.close)
        return Catalogue(self.database, self.clock, self.now, Random(0), self.pace)

    def open_in_file(self) -> str:
        """Go on with a new database in a file; gives its path."""
        path = os.path.abspath(self.mktemp())
        self.catalogue = self.open(path)
        return path

    def reopen(self, path: str) -> None:
        """Stop the index as a service does, and start it again."""
        self.successResultOf(self.catalogue.stopService())
        self.catalogue = self.open(path)

    def inside(self, work: Callable[[Connection], T]) -> T:
        """Do some work in a transaction."""
        return self.successResultOf(self.database.write(work))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database itself."""
        found = self.database.read(lambda connection: [tuple(row) for row in connection.exec_driver_sql(query)])
        return self.successResultOf(found)


def share_claim(filename: str = "song.mp3", **said: Any) -> ShareClaim:
    """Make up what an owner says of a file."""
    given = {"size": 100, "hash": "ab" * 32, "owner": "ann", "peer_address": "10.0.0.1:9001", **said}
    return ShareClaim(filename, **given)


def node_claim(node_id: str | None = "ann", address: str = "10.0.0.1", port: int = 9001, **said: Any) -> NodeClaim:
    """Make up what a node says of itself."""
    return NodeClaim(address, port, node_id, **said)


def torrent_claim(info_hash: bytes = INFO_HASH, **said: Any) -> TorrentClaim:
    """Make up a torrent of one piece."""
    given = {
        "name": "album",
        "size": 658,
        "piece_length": 262144,
        "num_pieces": 1,
        "pieces": b"p" * 20,
        "owner": "ann",
        **said,
    }
    return TorrentClaim(info_hash=info_hash, **given)


def member(peer_id: str = "-XX0001-000000000001", left: int | None = 0, at: float = TODAY, **said: Any) -> Member:
    """Make up what a peer announces."""
    given = {"ip": "10.0.0.9", "port": 6881, "uploaded": 0, "downloaded": 0, **said}
    return Member(peer_id=peer_id, left=left, announced_at=at, **given)
