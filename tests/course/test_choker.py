"""Preferred and optimistically unchoked neighbors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.addresses import Address
from p2pshare.bitfield import Bitfield
from p2pshare.course.choker import CourseChoker, Rounds
from p2pshare.policy.remote_peer import RemotePeer


def neighbors(count: int) -> list[RemotePeer]:
    """Make connected neighbors, all of them interested."""
    return [
        RemotePeer(
            Address("127.0.0.1", 6002 + place), bytes([0, 0, 3, place]), True, Bitfield(8), 0.0, peer_interested=True
        )
        for place in range(count)
    ]


class Table:
    """A peer's side: holds the rounds, and does what comes out."""

    def __init__(
        self, peers: Collection[RemotePeer], k: int = 2, p: float = 5.0, m: float = 15.0, seed: int = 0
    ) -> None:
        self.peers = list(peers)
        self.told: list[tuple[set[RemotePeer], RemotePeer | None]] = []
        self.choker = CourseChoker(
            Rounds(k, p, m), Random(seed), lambda these, one: self.told.append((set(these), one))
        )

    def tick(self, now: float, *, seeding: bool = False) -> set[RemotePeer] | None:
        """Decide if it is time."""
        if not self.choker.due(now):
            return None
        chosen = self.choker.decide(self.peers, seeding, now)
        for peer in self.peers:
            peer.am_choking = peer not in chosen
        return chosen


class PreferredTests(SynchronousTestCase):
    def test_s4_9_the_fastest(self) -> None:
        """Those who sent most in the interval that has just ended are preferred, not those who sent most in all."""
        fast, slow, once, never = peers = neighbors(4)
        table = Table(peers, m=1000.0)
        once.download.add(1_000_000, 0.0)
        table.tick(0.0)
        fast.download.add(3000, 2.0)
        slow.download.add(2000, 2.0)
        table.tick(5.0)
        self.assertEqual(table.choker.preferred, [fast, slow])
        once.download.add(10, 6.0)
        never.download.add(20, 6.0)
        table.tick(10.0)
        self.assertEqual(table.choker.preferred, [never, once])

    def test_s4_9_ties(self) -> None:
        """Among neighbors that sent the same, any may be preferred."""
        peers = neighbors(4)
        counts = Counter(peer for seed in range(200) for peer in self.first_choice(peers, seed))
        self.assertEqual(set(counts), set(peers))
        self.assertTrue(all(60 <= count <= 140 for count in counts.values()), counts.values())

    def first_choice(self, peers: list[RemotePeer], seed: int) -> list[RemotePeer]:
        table = Table(peers, seed=seed)
        table.tick(0.0)
        return table.choker.preferred

    def test_s4_9_complete_file(self) -> None:
        """With the complete file any k may be preferred, whatever they sent."""
        peers = neighbors(4)
        peers[0].download.add(1_000_000, 0.0)
        found = set()
        for seed in range(50):
            table = Table(peers, seed=seed)
            table.tick(0.0, seeding=True)
            self.assertEqual(len(table.choker.preferred), 2)
            found.add(peers[0] in table.choker.preferred)
        self.assertEqual(found, {True, False})

    def test_s4_9_uninterested(self) -> None:
        """Who wants nothing is never chosen, even when slots stay free."""
        peers = neighbors(3)
        peers[0].peer_interested = peers[1].peer_interested = False
        table = Table(peers)
        self.assertEqual(table.tick(0.0), {peers[2]})

    def test_nobody(self) -> None:
        """Without neighbors nobody is chosen."""
        table = Table([])
        self.assertEqual((table.tick(0.0), table.told), (set(), [(set(), None)]))

    def test_rhythm(self) -> None:
        """Preferred neighbors are chosen every p seconds, and a look that comes late does not move the next."""
        table = Table(neighbors(3), p=5.0, m=1000.0)
        times = [now / 2 for now in range(50) if table.tick(now / 2) is not None]
        self.assertEqual(times, [0.0, 5.0, 10.0, 15.0, 20.0])
        self.assertIsNot(table.tick(25.9), None)
        self.assertIs(table.tick(29.9), None)
        self.assertIsNot(table.tick(30.0), None)
        self.assertIsNot(table.tick(100.0), None)
        self.assertIs(table.tick(104.9), None)


class OptimisticTests(SynchronousTestCase):
    def test_s4_10_every_m_seconds(self) -> None:
        """Every m seconds another neighbor, which is choked and interested, is unchoked beside the preferred ones."""
        peers = neighbors(5)
        table = Table(peers, k=1, p=1000.0, m=15.0)
        table.tick(0.0)
        seen = []
        for now in range(1, 46):
            choked = [peer for peer in peers if peer.am_choking]
            if table.tick(float(now)) is not None:
                self.assertIn(table.choker.optimistic, choked)
                seen.append(now)
        self.assertEqual(seen, [15, 30, 45])

    def test_s4_10_stays(self) -> None:
        """Rounds of preferred neighbors in between leave the optimistically unchoked one alone, and may prefer it."""
        peers = neighbors(4)
        table = Table(peers, k=1, p=5.0, m=15.0)
        table.tick(0.0)
        optimistic = table.choker.optimistic
        assert optimistic is not None
        optimistic.download.add(1000, 1.0)
        self.assertEqual(table.tick(5.0), {optimistic})
        self.assertEqual((table.choker.preferred, table.choker.optimistic), ([optimistic], optimistic))
        self.assertIn(optimistic, table.tick(10.0) or set())

    def test_nobody_waits(self) -> None:
        """When all that want something are unchoked, the one of before stays."""
        peers = neighbors(2)
        table = Table(peers, k=1, p=1000.0, m=15.0)
        first = table.tick(0.0)
        self.assertEqual((table.tick(15.0), table.choker.optimistic in peers), (first, True))

    def test_gone(self) -> None:
        """Who has left is no longer among the chosen."""
        peers = neighbors(2)
        table = Table(peers, k=1, p=5.0, m=5.0)
        table.tick(0.0)
        table.peers = []
        self.assertEqual(table.tick(5.0), set())
        self.assertEqual((table.choker.preferred, table.choker.optimistic), ([], None))

    def test_nothing_in_between(self) -> None:
        """Nobody is unchoked just because there is room."""
        table = Table(neighbors(1))
        self.assertFalse(table.choker.free_slots(table.peers))

    @given(
        st.integers(1, 4),
        st.integers(1, 5),
        st.integers(1, 12),
        st.booleans(),
        st.lists(st.tuples(st.integers(0, 7), st.booleans(), st.integers(0, 5000)), max_size=40),
    )
    def test_s4_10_never_more(
        self, k: int, p: int, m: int, seeding: bool, changes: list[tuple[int, bool, int]]
    ) -> None:
        """Whatever neighbors say and send, at most k+1 are unchoked, and those newly unchoked are interested."""
        peers = neighbors(8)
        table = Table(peers, k=k, p=float(p), m=float(m))
        for now, (place, interested, amount) in enumerate(changes):
            peers[place].peer_interested = interested
            peers[place].download.add(amount, float(now))
            before = {peer for peer in peers if not peer.am_choking}
            chosen = table.tick(float(now), seeding=seeding)
            if chosen is not None:
                self.assertLessEqual(len(chosen), k + 1)
                self.assertTrue(all(peer.peer_interested for peer in chosen - before))

    def test_s4_10_m_a_multiple_of_p(self) -> None:
        """When both decisions fall together, as with the assignment's values, there is still one chosen each time."""
        for count, k in ((3, 2), (4, 2), (5, 3)):
            table = Table(neighbors(count), k=k, p=5.0, m=15.0, seed=count)
            before = None
            for now in range(0, 1500, 5):
                chosen = table.tick(float(now), seeding=True)
                assert chosen is not None
                optimistic = table.choker.optimistic
                if now % 15 == 0:
                    self.assertEqual(len(chosen), k + 1, now)
                    self.assertNotIn(optimistic, table.choker.preferred)
                else:
                    self.assertIs(optimistic, before)
                before = optimistic
            self.assertEqual(len({one for _, one in table.told}), count)
