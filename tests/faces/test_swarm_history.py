"""Tests of p2pshare.faces.swarm_history."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed

from p2pshare.errors import StorageError
from p2pshare.faces.news import News
from p2pshare.faces.swarm_history import SAMPLES, TRACKED, SwarmHistory
from p2pshare.index.records import Torrent
from p2pshare.wire.announce import Event
from tests.faces.serving import INFO_HASH, FaceCase
from tests.web.test_websocket import Browser


def numbered(number: int) -> bytes:
    """An info_hash."""
    return number.to_bytes(20, "big")


class SwarmHistoryTests(FaceCase):
    """The largest swarms, in figures."""

    def setUp(self) -> None:
        super().setUp()
        self.news = News(lambda: succeed({}), self.limits, self.clock, self.now, self.hits)
        self.serve((), self.news.views())
        self.begin()

    def begin(self, torrents: object = None) -> None:
        """Look at swarms, with the names that these torrents have."""
        names = torrents or self.catalogue.torrents
        self.history = SwarmHistory(self.swarms, names, self.news, self.clock)  # type: ignore[arg-type]

    def start(self) -> None:
        """Begin to look."""
        self.history.startService()
        self.addCleanup(self.history.stopService)

    def rounds(self, count: int = 1) -> None:
        """Let that many rounds pass."""
        self.clock.pump([10.0] * count)

    def test_figures(self) -> None:
        """A swarm is shown with its seeds, leeches, completions, its name, and how many its members were."""
        self.torrent(name="album")
        self.announce(peer=1, left=0)
        self.start()
        self.announce(peer=2, left=5)
        self.rounds()
        self.announce(peer=2, left=0, event=Event.COMPLETED)
        self.announce(peer=3, left=None)
        self.rounds()
        (swarm,) = self.history.swarms()
        self.assertEqual(
            (swarm.info_hash, swarm.name, swarm.seeders, swarm.leechers, swarm.completed, list(swarm.history)),
            (INFO_HASH.hex(), "album", 2, 1, 1, [1, 2, 3]),
        )

    def test_bounds(self) -> None:
        """At most sixty samples are kept of each swarm, and two hundred swarms, the largest ones first."""
        for number in range(TRACKED + 20):
            for peer in range(1 + number % 3):
                self.announce(numbered(number), peer + 1)
        self.start()
        self.rounds(SAMPLES + 5)
        swarms = self.history.swarms()
        self.assertEqual(len(swarms), TRACKED)
        sizes = [swarm.seeders for swarm in swarms]
        self.assertEqual(sizes, sorted(sizes, reverse=True))
        self.assertEqual((sizes[0], sizes.count(3), sizes.count(2)), (3, 73, 73))
        self.assertEqual({len(swarm.history) for swarm in swarms}, {SAMPLES})

    def test_growing(self) -> None:
        """A swarm that has become larger than others takes the place of the smallest."""
        for number in range(TRACKED):
            self.announce(numbered(number), 1)
        self.start()
        for peer in (1, 2):
            self.announce(numbered(TRACKED), peer)
        self.rounds()
        swarms = self.history.swarms()
        self.assertEqual((len(swarms), swarms[0].info_hash), (TRACKED, numbered(TRACKED).hex()))

    def test_gone(self) -> None:
        """A swarm that everybody has left is shown as long as its history shows anybody."""
        self.announce()
        self.start()
        self.announce(event=Event.STOPPED)
        self.rounds()
        (swarm,) = self.history.swarms()
        self.assertEqual((swarm.seeders, list(swarm.history)), (0, [1, 0]))
        self.rounds(SAMPLES - 1)
        self.assertEqual(self.history.swarms(), [])

    def test_name_found_later(self) -> None:
        """A swarm that nobody has described is asked for again after a minute."""
        self.announce()
        self.start()
        self.torrent(name="album")
        self.rounds(5)
        self.assertIsNone(self.history.swarms()[0].name)
        self.rounds()
        self.assertEqual(self.history.swarms()[0].name, "album")

    def test_names_in_turns(self) -> None:
        """Few names are looked up at once, and every swarm gets its turn."""
        asked: list[str] = []

        class Names:
            def get(self, digits: str) -> Deferred[Torrent | None]:
                asked.append(digits)
                return succeed(None)

        for number in range(25):
            self.announce(numbered(number))
        self.begin(Names())
        self.start()
        self.assertEqual(len(asked), 10)
        self.rounds(2)
        self.assertEqual((len(asked), len(set(asked))), (25, 25))
        self.rounds()
        self.assertEqual(len(asked), 25)

    def test_trouble(self) -> None:
        """When names cannot be looked up, swarms go on being looked at."""

        class Names:
            def get(self, digits: str) -> Deferred[Torrent | None]:
                return fail(StorageError("the disk is gone"))

        self.announce()
        self.begin(Names())
        self.start()
        self.rounds(3)
        self.assertEqual(len(self.history.swarms()[0].history), 4)

    def test_completed_is_news(self) -> None:
        """That somebody has got everything is news, and how many did; what was before we looked is not."""
        self.torrent(name="album")
        self.announce(peer=1, left=0, event=Event.COMPLETED)
        self.start()
        self.rounds()
        self.assertEqual(self.news.activity(), [])
        for peer in (2, 3):
            self.announce(peer=peer, left=0, event=Event.COMPLETED)
        self.rounds(2)
        (item,) = self.news.activity()
        self.assertEqual(
            (item.type, item.data), ("completed", {"info_hash": INFO_HASH.hex(), "name": "album", "times": 2})
        )

    def test_pages_are_told(self) -> None:
        """Pages hear that figures have changed, and nothing when they have not."""
        self.announce()
        self.start()
        browser = Browser(self.connect())
        self.rounds()
        self.announce(peer=2)
        self.rounds(2)
        told = [(message["type"], message["data"]) for message in browser.values()]
        self.assertEqual([data for kind, data in told if kind == "swarms_update"], [{"swarms": 1}])

    def test_stopped(self) -> None:
        """Stopped, it leaves no timer."""
        self.history.startService()
        self.history.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
