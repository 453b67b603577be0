"""Faces behind a site in memory: a catalogue, swarms, and one fake clock for all of it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from p2pshare.index.catalogue import Catalogue
from p2pshare.index.database import open_database
from p2pshare.index.records import NodeClaim, Share, ShareClaim, Torrent, TorrentClaim
from p2pshare.index.sqlite import IN_MEMORY
from p2pshare.tracker.logic import Tracker
from p2pshare.tracker.settings import TrackerSettings
from p2pshare.tracker.swarm_store import MemorySwarms
from p2pshare.wire.announce import AnnounceRequest, Event
from tests.web.connections import Reply
from tests.web.serving import JSON, ServedCase, run_now

TODAY = 1.7e9  # seconds since 1970, when every test begins
INFO_HASH = bytes(range(20))


class FaceCase(ServedCase):
    """
    Has what faces are made of; a test serves the routes of its face with ``serve``.

    Work on the database is done at once, so each request is answered before ``ask`` returns.
    """

    def setUp(self) -> None:
        super().setUp()
        self.random = Random(0)
        self.catalogue = self.open()
        self.swarms = MemorySwarms(self.random.random)
        self.tracker = Tracker(self.swarms, TrackerSettings(), (), self.clock.seconds)

    def now(self) -> float:
        """Seconds since 1970, by the test's clock."""
        return TODAY + self.clock.seconds()

    def open(self, run: Callable[..., Deferred[Any]] = run_now) -> Catalogue:
        """Open a catalogue that is not started, and closed after the test; its work is done by ``run``."""
        database = open_database(IN_MEMORY, self.now(), run, run)
        self.addCleanup(database.close)
        return Catalogue(database, self.clock, self.now, self.random)

    def post(self, path: str, value: object, *headers: str, **ask: Any) -> Reply:
        """Post a value as JSON."""
        return self.ask("POST", path, JSON, *headers, body=msgspec.json.encode(value), **ask)

    def value_of(self, path: str, *headers: str) -> Any:
        """Ask for a path, which has to be there, and read the answer."""
        reply = self.get(path, *headers)
        self.assertEqual(reply.status, 200, reply.body)
        return self.read(reply)

    def share(self, filename: str = "song.mp3", **said: Any) -> Share:
        """Enter a file into the catalogue."""
        given = {"size": 100, "hash": "ab" * 32, "owner": "ann", "peer_address": "10.0.0.1:9001", **said}
        return self.successResultOf(self.catalogue.shares.register(ShareClaim(filename, **given)))

    def node(self, node_id: str = "ann", address: str = "10.0.0.1", port: int = 9001, **said: Any) -> None:
        """Enter a node into the catalogue; it is online."""
        self.successResultOf(self.catalogue.nodes.register(NodeClaim(address, port, node_id, **said)))

    def torrent(self, info_hash: bytes = INFO_HASH, **said: Any) -> Torrent:
        """Enter a torrent of one piece into the catalogue."""
        given = {
            "name": "album",
            "size": 658,
            "piece_length": 262144,
            "num_pieces": 1,
            "pieces": b"p" * 20,
            "owner": "ann",
            **said,
        }
        return self.successResultOf(self.catalogue.torrents.add(TorrentClaim(info_hash=info_hash, **given)))

    def announce(
        self, info_hash: bytes = INFO_HASH, peer: int = 1, left: int | None = 0, event: Event | None = Event.STARTED
    ) -> None:
        """Let a peer, one of those with different numbers, announce itself to the swarms in memory."""
        request = AnnounceRequest(info_hash, b"-XX0001-%012d" % peer, 6881, left=left, event=event)
        contact = peer.to_bytes(4, "big") + (6881).to_bytes(2, "big")
        self.swarms.announce(request, contact, 0, None, self.clock.seconds())
