"""Tests of whole swarms in which some are of no use: the others do not notice."""

from __future__ import annotations

from p2pshare.peer.limits import Commons, ConnectionLimits
from p2pshare.storage.memory import MemoryStore
from tests.storage.fakes import some_bytes, torrent
from tests.swarm.network import Network
from tests.swarm.test_whole_swarms import WholeSwarmTestCase
from tests.swarm.troublemakers import Deaf, Flapping, Flooding, Greedy, Silent, Slow, Troublemaker

PIECE = 32 * 1024
CONTENT = some_bytes(40 * PIECE + 100, 12)
TORRENT = torrent(CONTENT, PIECE)
RATE = 64 * 1024.0
SEND_BUFFER = 64 * 1024  # what is lost with each peer that reads nothing: a second of such a line
LEECHES = 8
RUNS = 6


class IsolationTests(WholeSwarmTestCase):
    """
    A seed and eight leeches, on a fake clock. Whoever joins them besides is connected to each of them, twice.

    What those cost is told by the time until the leeches are whole, and by the bytes that go to waste.
    """

    def setUp(self) -> None:
        super().setUp()
        self.troublemakers: list[Troublemaker] = []

    def start(self, luck: int = 0) -> None:
        """Start the seed and the leeches."""
        commons = Commons(ConnectionLimits(send_buffer=SEND_BUFFER))
        self.network, self.swarms = Network(luck=luck, commons=commons), []
        for content in (CONTENT, *[b""] * LEECHES):
            self.add(store=MemoryStore(TORRENT, content), metainfo=TORRENT, rate=RATE)

    def join(self, kind: type[Troublemaker], target: int, number: int = 0) -> Troublemaker:
        """Connect a troublemaker to one of them."""
        maker = kind(self.network, TORRENT, CONTENT, target, 10 * target + number)
        self.troublemakers.append(maker)
        return maker

    def finish(self) -> float:
        """Let everybody become whole; tell how long that takes."""
        start = self.network.clock.seconds()
        self.introduce()
        self.assert_completes(content=CONTENT)
        return self.network.clock.seconds() - start

    def time_alone(self, luck: int = 0) -> float:
        """Tell how long it takes among themselves, and part."""
        self.start(luck)
        taken = self.finish()
        self.part()
        return taken

    def assert_costs_nothing(self, kind: type[Troublemaker]) -> None:
        """
        Make sure that two of a kind at everybody make nobody wait, and waste next to nothing.

        Chance alone moves a single run by a tenth, so several are added up.
        """
        alone = sum(self.time_alone(luck) for luck in range(RUNS))
        taken = wasted = 0.0
        for luck in range(RUNS):
            self.part()
            self.start(luck)
            for target in range(1, LEECHES + 2):
                for number in range(2):
                    self.join(kind, target, number)
            taken += self.finish()
            wasted += sum(swarm.download.wasted for swarm in self.swarms)
        self.assertLess(taken, 1.05 * alone)
        self.assertLess(wasted, 0.05 * RUNS * LEECHES * len(CONTENT))

    def part(self) -> None:
        """Let everybody leave."""
        for maker in self.troublemakers:
            maker.leave()
        self.troublemakers = []
        super().tearDown()
        self.swarms = []

    def tearDown(self) -> None:
        self.part()

    def test_f37_silent(self) -> None:
        """Peers that unchoke us and send nothing hold nothing up: others are asked for what they were asked for."""
        self.assert_costs_nothing(Silent)
        self.assertTrue(all(maker.asked for maker in self.troublemakers if maker.target > 1))

    def test_f37_slow(self) -> None:
        """Nor do peers that send a block every ten seconds, and hold each other's last ones."""
        self.assert_costs_nothing(Slow)

    def test_f38_flapping(self) -> None:
        """Peers that choke and unchoke a hundred times a second get few requests, and nobody else gets fewer."""
        self.assert_costs_nothing(Flapping)
        self.assertLess(max(len(maker.asked) for maker in self.troublemakers), 1000)

    def test_f41_flooding(self) -> None:
        """Hundreds of small messages a second are read, and hardly answered."""
        self.assert_costs_nothing(Flooding)
        self.assertLess(max(maker.told for maker in self.troublemakers), 16 * 1024)

    def test_f28_deaf(self) -> None:
        """Peers that ask for everything and do not read keep nobody else from being served."""
        self.assert_costs_nothing(Deaf)

    def test_f50_greedy(self) -> None:
        """A peer that has taken three copies of a seed gets hardly anything more once there are others."""
        alone = self.time_alone()
        self.start()
        seed = self.swarms[0]
        greedy = self.join(Greedy, 1)
        self.assertTrue(self.network.run(120, lambda: greedy.received > 3 * len(CONTENT)))
        self.assertEqual(seed.hits["greed"], 1)
        self.network.run(10)
        before = greedy.received
        self.assertLess(self.finish(), 1.05 * alone)
        self.assertLess(greedy.received - before, 0.2 * len(CONTENT))
        self.assertFalse(greedy.gone)
        before = greedy.received
        self.network.run(60)
        self.assertGreater(greedy.received, before)  # what nobody else wants it may have
