"""Tests of whole swarms in which some send bad data on purpose."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.defer import Deferred

from p2pshare.storage.memory import MemoryStore
from p2pshare.swarm.events import PieceSpoiled
from p2pshare.swarm.swarm import Swarm
from tests.storage.fakes import some_bytes, torrent
from tests.swarm.network import address_of
from tests.swarm.test_whole_swarms import WholeSwarmTestCase

PIECE = 65536
CONTENT = some_bytes(24 * PIECE + 5000, 9)
TORRENT = torrent(CONTENT, PIECE)


class PoisonedStore(MemoryStore):
    """A MemoryStore that gives out bad bytes now and then."""

    def __init__(self, *args: Any, chance: float, seed: int) -> None:
        super().__init__(*args)
        self.chance, self.random = chance, Random(seed)

    def spoil(self, data: bytes) -> bytes:
        """Turn one byte of the data round, or none."""
        if self.random.random() >= self.chance or not data:
            return data
        at = self.random.randrange(len(data))
        return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]

    def read_now(self, piece: int, begin: int, length: int) -> bytes | None:
        data = super().read_now(piece, begin, length)
        return None if data is None else self.spoil(data)

    def read(self, piece: int, begin: int, length: int) -> Deferred[bytes]:
        return super().read(piece, begin, length).addCallback(self.spoil)


class PoisonerTests(WholeSwarmTestCase):
    """F36, with as many peers as fit in memory."""

    RATE = 256 * 1024.0

    def setUp(self) -> None:
        super().setUp()
        self.poisoners: list[Swarm] = []
        self.banned: list[tuple[int, str]] = []  # who banned which address

    def join(self, content: bytes = b"", *, chance: float | None = None, **details: Any) -> Swarm:
        """Add a peer; with a chance it is one that sends bad data."""
        if chance is None:
            store = MemoryStore(TORRENT, content)
        else:
            store = PoisonedStore(TORRENT, content, chance=chance, seed=len(self.swarms))
        swarm = self.add(store=store, metainfo=TORRENT, rate=self.RATE, **details)
        number = self.number(swarm)
        if chance is not None:
            self.poisoners.append(swarm)

        def note(event: object) -> None:
            if isinstance(event, PieceSpoiled):
                self.banned.extend((number, name) for name in event.guilty)

        swarm.subscribe(note)
        return swarm

    def assert_only_poisoners_banned(self, *poisoners: Swarm) -> None:
        """Make sure that nobody else was banned by anybody, and each of these by somebody."""
        hosts = {address_of(self.number(swarm)).host for swarm in poisoners}
        banned = {name.rpartition(":")[0] for _, name in self.banned}
        self.assertEqual(banned, hosts)

    def honest(self) -> list[Swarm]:
        """Everybody who sends what is right."""
        return [swarm for swarm in self.swarms if swarm not in self.poisoners]

    def test_f36_one_of_twenty(self) -> None:
        """Eighteen leeches, an honest seed, and a seed that spoils everything: it is banned, and nobody else is."""
        self.join(CONTENT)
        self.join(CONTENT, chance=1.0)
        for _ in range(18):
            self.join()
        self.introduce()
        self.assert_completes(*self.honest(), content=CONTENT)
        self.assert_only_poisoners_banned(*self.poisoners)

    def test_f36_two_of_twenty(self) -> None:
        """Two that spoil a part of what they send are found, too."""
        self.join(CONTENT)
        self.join(CONTENT, chance=0.5)
        self.join(CONTENT, chance=0.5)
        for _ in range(17):
            self.join()
        self.introduce()
        self.assert_completes(*self.honest(), content=CONTENT)
        self.assert_only_poisoners_banned(*self.poisoners)
        for swarm in self.honest():
            self.assertLess(swarm.download.wasted, (2 * len(self.poisoners) + 1) * PIECE)

    def test_f36_poisoners_among_leeches(self) -> None:
        """A leech that spoils what it hands on is no better."""
        self.join(CONTENT)
        for _ in range(9):
            self.join()
        self.join(chance=1.0)
        self.introduce()
        self.assert_completes(*self.honest(), content=CONTENT)
        banned = {name.rpartition(":")[0] for _, name in self.banned}
        self.assertLessEqual(banned, {address_of(11).host})

    def test_f34_every_piece_shared(self) -> None:
        """With one request at a time pieces come from many peers at once, and still no innocent is banned."""
        self.join(CONTENT)
        self.join(CONTENT, chance=0.3)
        for _ in range(6):
            self.join(pipeline=1, memory_limit=1)
        self.introduce()
        self.assert_completes(*self.honest(), content=CONTENT, within=1200.0)
        self.assert_only_poisoners_banned(*self.poisoners)

    def test_f33_comes_back(self) -> None:
        """A banned poisoner that dials again is refused by those who banned it, and gets no word."""
        self.join(CONTENT)
        poisoner = self.join(CONTENT, chance=1.0)
        leech = self.join()
        self.introduce()
        self.assert_completes(leech, content=CONTENT)
        self.assert_only_poisoners_banned(poisoner)
        for _ in range(10):
            poisoner.meeting.heard([address_of(3)], "tracker")
            self.network.run(30, step=1.0)
            self.assertEqual([member for member in leech.members if member.peer_id == b"-P20100-%012d" % 2], [])
