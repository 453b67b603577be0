"""Torrents from a stranger's index."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import DNSLookupError
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli.foreign_torrent import without_ways_home
from p2pshare.metainfo import Metainfo, parse
from tests.client.fakes import torrent_file

HOME = ("http://127.0.0.1:8000/announce", "http://router.local/announce", "udp://[fe80::1]:1", "http://localhost./a")
AWAY = ("http://t.example/announce", "udp://192.88.99.7:6969")
CONTENT = evolve(
    parse(torrent_file("a", b"abc")),
    announce_tiers=(HOME, (HOME[0], AWAY[0]), (AWAY[1],)),
    web_seeds=(HOME[0], AWAY[0]),
)


class Resolver:
    """Knows one public and one private name."""

    def resolve(self, name: str, timeout: object = ()) -> Deferred[str]:
        """Look a name up."""
        known = {"index.example": "192.88.99.1", "index.home": "10.0.0.1"}
        return succeed(known[name]) if name in known else fail(DNSLookupError())


class WaysHomeTests(SynchronousTestCase):
    """What is left of a torrent."""

    def left(self, index: str) -> Metainfo:
        """Take the torrent from an index."""
        reactor: Any = Resolver()
        return self.successResultOf(Deferred.fromCoroutine(without_ways_home(reactor, index, CONTENT)))

    def test_public_index(self) -> None:
        """What leads home is left out, with the tiers that are empty then; the content is the same."""
        for index in ("http://192.88.99.1:8000", "http://index.example", "https://v6only.example"):
            torrent = self.left(index)
            self.assertEqual(torrent.announce_tiers, ((AWAY[0],), (AWAY[1],)))
            self.assertEqual(torrent.web_seeds, (AWAY[0],))
            self.assertEqual(torrent.info_hash, CONTENT.info_hash)

    def test_private_index(self) -> None:
        """An index of one's own may name what it likes."""
        for index in ("http://127.0.0.1:8000", "http://[::1]:8000", "http://index.home:8000"):
            self.assertEqual(self.left(index), CONTENT)
