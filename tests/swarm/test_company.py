"""Tests of whole swarms: leeches in company share the work of a seed, and nobody waits who need not."""

from __future__ import annotations

from p2pshare.storage.memory import MemoryStore
from p2pshare.swarm.swarm import Swarm
from tests.storage.fakes import some_bytes, torrent
from tests.swarm.network import address_of
from tests.swarm.test_whole_swarms import CONTENT, WholeSwarmTestCase

LEECHES = 16
PIECE = 32 * 1024
LARGE = some_bytes(16 * 1024 * 1024, 11)
LARGE_TORRENT = torrent(LARGE, PIECE)
RATE = 8 * 1024 * 1024.0  # bytes/second that each can send


class CompanyTests(WholeSwarmTestCase):
    """One seed, and many leeches that come at the same moment."""

    def join(self, content: bytes = b"") -> Swarm:
        """Add a peer of the large torrent."""
        store = MemoryStore(LARGE_TORRENT, content)
        return self.add(store=store, metainfo=LARGE_TORRENT, rate=RATE)

    def test_seed_and_sixteen_leeches(self) -> None:
        """Until all sixteen are whole the seed sends at most one and a half copies; the leeches send the other 14.5."""
        seed = self.join(LARGE)
        leeches = [self.join() for _ in range(LEECHES)]
        self.introduce()
        self.assertTrue(self.network.run(30, lambda: all(leech.store.is_complete for leech in leeches), step=0.05))
        self.assertLessEqual(seed.up.total, 1.5 * len(LARGE))
        self.assertLess(sum(leech.download.wasted for leech in leeches), 0.02 * LEECHES * len(LARGE))
        for leech in leeches:
            self.assertEqual(leech.store.content, LARGE)  # type: ignore[attr-defined]


class BeginningTests(WholeSwarmTestCase):
    """From the connection to the first block nothing waits for a timer."""

    def test_fresh_leech_is_served_at_once(self) -> None:
        """With free slots at the seed a leech is unchoked, asks, and gets its blocks, while the clock stands still."""
        seed = self.add(CONTENT)
        for number in range(2, 7):  # as many as a seed has slots
            leech = self.add()
            leech.meeting.heard([address_of(1)], "tracker")
            self.network.settle()
            self.assertTrue(leech.store.is_complete, f"peer {number}")
        self.assertEqual(self.network.clock.seconds(), 0.0)
        self.assertEqual(seed.up.total, 5 * len(CONTENT))

    def test_fresh_leech_is_served_by_leeches_at_once(self) -> None:
        """The same where nobody is whole: interest and unchokes follow from haves, not from the next round."""
        half = len(CONTENT) // 2 // (2 * 16384) * (2 * 16384)
        self.add(CONTENT[:half])
        self.add(bytes(half) + CONTENT[half:])
        self.add()
        self.introduce()
        self.network.settle()
        self.assertEqual(self.network.clock.seconds(), 0.0)
        self.assertTrue(all(swarm.store.is_complete for swarm in self.swarms))

    def test_a_slot_that_becomes_free_is_given_at_once(self) -> None:
        """Whoever waits for a slot gets it when somebody who had one has everything, or leaves."""
        rate = 16 * 1024.0
        seed = self.add(CONTENT, rate=rate)
        served = [self.add() for _ in range(5)]
        for leech in served:
            leech.meeting.heard([address_of(1)], "tracker")
        self.network.settle()
        waiting = self.add()
        waiting.meeting.heard([address_of(1)], "tracker")
        self.network.settle()
        (member,) = waiting.members.values()
        self.assertTrue(member.remote.peer_choking)
        self.network.vanish("10.0.0.2")
        self.network.settle()
        self.assertEqual((member.remote.peer_choking, self.network.clock.seconds()), (False, 0.0))
        self.assertGreater(waiting.ledger.outstanding(member.remote), 0)
        self.assertEqual(len(seed.members), 5)
