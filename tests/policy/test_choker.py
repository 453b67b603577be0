from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.bitfield import Bitfield
from p2pshare.policy.choker import Choker, ChokerSettings
from p2pshare.policy.remote_peer import RemotePeer
from tests.policy.peers import a_peer


class Rounds:
    """A choker held to its rhythm, with a swarm's part played: choking and unchoking whom it names."""

    def __init__(self, interested: int, *, seeding: bool = False, seed: int = 0, **knobs: float) -> None:
        self.choker = Choker(ChokerSettings(**knobs), Random(seed))  # type: ignore[arg-type]
        self.peers: list[RemotePeer] = []
        self.seeding = seeding
        self.now = 0.0
        for _ in range(interested):
            self.join()

    def join(self) -> RemotePeer:
        """One more interested peer."""
        peer = a_peer(len(self.peers) + 1, Bitfield(8), connected_at=self.now)
        peer.peer_interested = True
        self.peers.append(peer)
        return peer

    def hold(self) -> set[RemotePeer]:
        """A round, ten seconds after the last."""
        chosen = self.choker.decide(self.peers, self.seeding, self.now)
        for peer in self.peers:
            if peer in chosen and peer.am_choking:
                peer.last_unchoked_at = self.now
            peer.am_choking = peer not in chosen
        self.now += 10.0
        return chosen

    def give(self, **sent: int) -> None:
        """Let peers send us bytes: ``p1=500`` is the first."""
        for name, amount in sent.items():
            self.peers[int(name[1:]) - 1].download.add(amount, self.now)

    def take(self, *takers: RemotePeer) -> None:
        """Let every unchoked peer, or those named, fetch a megabyte."""
        for peer in takers or self.peers:
            if not peer.am_choking:
                peer.upload.add(1 << 20, self.now)


class LeechingTests(SynchronousTestCase):
    """While leeching, those who give are served."""

    def test_the_most_generous_are_served(self) -> None:
        """The four that sent most since the last round are unchoked, and one more to give it a chance."""
        rounds = Rounds(9)
        rounds.hold()
        rounds.give(p1=100, p2=900, p3=300, p4=500, p5=700, p6=200)
        chosen = rounds.hold()
        self.assertLessEqual({rounds.peers[number - 1] for number in (2, 5, 4, 3)}, chosen)
        self.assertEqual(len(chosen), 5)

    def test_another_ranking(self) -> None:
        """Who earns a slot may be decided by another function, which is told who sent how much in this round."""
        told: list[list[int]] = []

        def least(candidates: Any, came: Any, random: Random) -> list[RemotePeer]:
            told.append(sorted(came.values()))
            return sorted(candidates, key=came.__getitem__)

        rounds = Rounds(3, slots=1, optimistic_slots=0, min_slots=0, rank=least)  # type: ignore[arg-type]
        rounds.give(p1=100, p2=900, p3=300)
        rounds.hold()
        rounds.give(p1=50, p2=10, p3=30)
        self.assertEqual(rounds.hold(), {rounds.peers[1]})
        self.assertEqual(told, [[100, 300, 900], [10, 30, 50]])
        rounds.peers[1].greedy = True
        rounds.give(p1=50, p2=10, p3=30)
        self.assertEqual(rounds.hold(), {rounds.peers[2]})

    def test_only_the_last_round_counts(self) -> None:
        """Who gave much long ago and nothing since is behind who gives a little now."""
        rounds = Rounds(3, slots=1, optimistic_slots=0, min_slots=0)
        rounds.hold()
        rounds.give(p1=1_000_000)
        rounds.hold()
        rounds.give(p2=10)
        self.assertEqual(rounds.hold(), {rounds.peers[1]})

    def test_the_uninterested_get_no_slot(self) -> None:
        """However generous, a peer that wants nothing takes no slot."""
        rounds = Rounds(2)
        rounds.give(p1=500)
        rounds.peers[0].peer_interested = False
        self.assertEqual(rounds.hold(), {rounds.peers[1]})

    def test_snubbing_peers_are_served_by_chance_only(self) -> None:
        """A peer that leaves our requests unanswered gets no earned slot, only the optimistic one."""
        rounds = Rounds(6)
        rounds.hold()
        rounds.give(p1=900, p2=800)
        for peer in rounds.peers[:3]:
            peer.snubbed = True
        for _ in range(6):
            chosen = rounds.hold()
            self.assertLessEqual(set(rounds.peers[3:]), chosen)
            self.assertLessEqual(len(chosen), 4)

    def test_some_are_served_when_all_snub(self) -> None:
        """When everybody snubs us two are served all the same, or nobody would ever begin."""
        rounds = Rounds(6)
        for peer in rounds.peers:
            peer.snubbed = True
        self.assertEqual(len(rounds.hold()), 2)

    def test_equals_take_turns_at_random(self) -> None:
        """Among peers that gave the same, chance decides."""
        winners = Counter(next(iter(Rounds(4, seed=seed, slots=1, optimistic_slots=0, min_slots=0).hold())).address.host
                          for seed in range(100))  # fmt: skip
        self.assertEqual(len(winners), 4)

    def test_spare_slots_end_when_peers_earn_theirs(self) -> None:
        """Slots that were given away while all snubbed us are gone once enough peers earn theirs."""
        rounds = Rounds(6)
        for peer in rounds.peers:
            peer.snubbed = True
        given = rounds.hold()
        for peer in rounds.peers:
            peer.snubbed = peer in given
        self.assertEqual(len(rounds.hold()), 5)


class OptimisticTests(SynchronousTestCase):
    """One peer is served to find out whether it is better than the others."""

    def optimistic(self, rounds: Rounds) -> RemotePeer:
        """Who is unchoked in this round without having earned it; the first peer earns the only slot."""
        rounds.give(p1=1000)
        (other,) = rounds.hold() - {rounds.peers[0]}
        return other

    def test_keeps_its_slot_for_thirty_seconds(self) -> None:
        """The optimistic unchoke lasts three rounds; then it is somebody else's."""
        rounds = Rounds(6, slots=1)
        seen = [self.optimistic(rounds) for _ in range(15)]
        self.assertEqual([seen[at] for at in range(0, 15, 3)], [seen[at + 2] for at in range(0, 15, 3)])

    def test_everybody_has_a_chance(self) -> None:
        """In rotation each peer is served before any is served again."""
        rounds = Rounds(6, slots=1)
        seen = [self.optimistic(rounds) for _ in range(30)]
        self.assertEqual(Counter(seen), dict.fromkeys(rounds.peers[1:], 6))
        self.assertEqual(set(seen[:15]), set(rounds.peers[1:]))

    def test_new_peers_are_three_times_as_likely(self) -> None:
        """A newcomer is next about three times as often as one of eight others' share."""
        next_one = 0
        for seed in range(400):
            rounds = Rounds(9, slots=1, seed=seed)
            for _ in range(3):
                self.optimistic(rounds)
            newcomer = rounds.join()
            next_one += self.optimistic(rounds) is newcomer
        # It is put at one of 12 places (nine in rotation: ten gaps, and the front twice more), three of them the front.
        self.assertTrue(0.17 < next_one / 400 < 0.37, next_one)

    def test_who_earns_a_slot_makes_room(self) -> None:
        """When the optimistic unchoke pays, the peer keeps being served and another one is tried."""
        rounds = Rounds(5, slots=1)
        first = self.optimistic(rounds)
        first.download.add(5000, rounds.now)
        chosen = rounds.hold()
        self.assertIn(first, chosen)
        self.assertEqual(len(chosen), 2)

    def test_who_has_just_lost_a_slot_waits(self) -> None:
        """A peer that was outdone does not get the optimistic slot instead, while others wait for theirs."""
        for seed in range(20):
            rounds = Rounds(6, slots=1, seed=seed)
            rounds.give(p6=1000)  # the last to come, so probably the first in rotation
            (first,) = rounds.hold() - {rounds.peers[5]}
            first.download.add(9000, rounds.now)
            chosen = rounds.hold()
            self.assertIn(first, chosen)
            self.assertNotIn(rounds.peers[5], chosen)

    def test_who_leaves_is_replaced(self) -> None:
        """When the optimistic peer is gone or loses interest, the next round tries another one."""
        rounds = Rounds(5, slots=1)
        first = self.optimistic(rounds)
        first.peer_interested = False
        second = self.optimistic(rounds)
        rounds.peers.remove(second)
        self.assertEqual(len({first, second, self.optimistic(rounds)}), 3)


class SeedingTests(SynchronousTestCase):
    """While seeding, everybody is served in turn."""

    def test_all_are_served(self) -> None:
        """Sixteen leeches are each served within two minutes, and none for most of the time."""
        rounds = Rounds(16, seeding=True)
        served = Counter[RemotePeer]()
        for number in range(24):
            served.update(rounds.hold())
            rounds.take()
            if number == 11:
                self.assertEqual(len(served), 16)
        self.assertEqual(sum(served.values()), 24 * 5)
        self.assertLessEqual(max(served.values()), 2 * min(served.values()))

    def test_a_turn_lasts_three_rounds(self) -> None:
        """Who is served keeps its slot for thirty seconds, so that its connection comes up to speed."""
        rounds = Rounds(12, seeding=True, optimistic_slots=0)
        first = rounds.hold()
        for _ in range(2):
            rounds.take()
            self.assertEqual(rounds.hold(), first)
        rounds.take()
        self.assertEqual(rounds.hold() & first, set())

    def test_who_takes_nothing_loses_its_turn(self) -> None:
        """A peer that is unchoked and fetches nothing makes room after one round."""
        rounds = Rounds(12, seeding=True, optimistic_slots=0)
        idle, *busy = rounds.hold()
        rounds.take(*busy)
        second = rounds.hold()
        self.assertNotIn(idle, second)
        self.assertLessEqual(set(busy), second)

    def test_a_turn_that_has_just_begun(self) -> None:
        """A peer that was unchoked between two rounds keeps its slot in the next, though it has taken nothing yet."""
        rounds = Rounds(12, seeding=True, optimistic_slots=0)
        rounds.now = 7.0
        early = rounds.peers[5]
        early.am_choking, early.last_unchoked_at = False, 5.0
        for _ in range(2):
            self.assertIn(early, rounds.hold())
            rounds.now = 14.9
        rounds.now = 15.0
        self.assertNotIn(early, rounds.hold())

    def test_nobody_waits_nobody_changes(self) -> None:
        """As long as no other peer waits, those served go on."""
        rounds = Rounds(5, seeding=True)
        for _ in range(12):
            self.assertEqual(rounds.hold(), set(rounds.peers))
            rounds.take()

    def test_a_swarm_of_five(self) -> None:
        """One seed and four leeches: with four slots and one all are unchoked, at the seed and at each leech."""
        for seeding in (True, False):
            rounds = Rounds(4, seeding=seeding)
            for _ in range(6):
                self.assertEqual(rounds.hold(), set(rounds.peers))


class SlotTests(SynchronousTestCase):
    """Between rounds slots are only filled."""

    def test_s1_10_free_slots(self) -> None:
        """An interested peer is unchoked at once while fewer than five are served."""
        rounds = Rounds(5)
        for peer in rounds.peers[:4]:
            peer.am_choking = False
        self.assertTrue(rounds.choker.free_slots(rounds.peers))
        rounds.peers[4].am_choking = False
        self.assertFalse(rounds.choker.free_slots(rounds.peers))

    def test_uninterested_peers_take_no_slot(self) -> None:
        """A peer that is unchoked and wants nothing leaves its slot free."""
        rounds = Rounds(5)
        for peer in rounds.peers:
            peer.am_choking = False
        rounds.peers[0].peer_interested = False
        self.assertTrue(rounds.choker.free_slots(rounds.peers))

    @given(
        st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 3)), max_size=12),
        st.booleans(),
        st.integers(1, 5),
        st.integers(0, 2),
    )
    @settings(max_examples=150, deadline=None)
    def test_never_more_than_the_slots(
        self, kinds: list[tuple[bool, bool, int]], seeding: bool, slots: int, optimistic: int
    ) -> None:
        """Whoever comes and however generous: only interested peers, no more than the slots, and no slot left empty."""
        rounds = Rounds(len(kinds), seeding=seeding, slots=slots, optimistic_slots=optimistic, min_slots=0)
        for _ in range(5):
            for peer, (interested, snubbed, sent) in zip(rounds.peers, kinds, strict=True):
                peer.peer_interested, peer.snubbed = interested, snubbed
                peer.download.add(sent, rounds.now)
            chosen = rounds.hold()
            rounds.take()
            wanting = [peer for peer in rounds.peers if peer.peer_interested]
            self.assertLessEqual(chosen, set(wanting))
            earning = [peer for peer in wanting if seeding or not peer.snubbed]
            expected = min(len(earning), slots)
            self.assertEqual(len(chosen), expected + min(optimistic, len(wanting) - expected))


class GreedyTests(SynchronousTestCase):
    """F50: who took several copies of everything has what nobody else wants."""

    def test_f50_others_first(self) -> None:
        """While others wait a greedy peer is never served, whether we seed or not, and however much it gives."""
        for seeding in (True, False):
            rounds = Rounds(12, seeding=seeding, slots=4, optimistic_slots=1)
            greedy = rounds.peers[3]
            greedy.greedy = True
            for _ in range(60):
                rounds.give(p4=1 << 20)
                self.assertNotIn(greedy, rounds.hold())
                rounds.take()

    def test_f50_loses_its_turn(self) -> None:
        """A peer that is served when it turns out to be greedy loses its slot with the next round."""
        for seeding in (True, False):
            rounds = Rounds(10, seeding=seeding, slots=4, optimistic_slots=1)
            served = rounds.hold()
            for peer in served:
                peer.greedy = True
            rounds.take()
            self.assertFalse(rounds.hold() & served)

    def test_f50_nobody_else(self) -> None:
        """Where nobody else wants anything it is served as ever."""
        for seeding in (True, False):
            rounds = Rounds(3, seeding=seeding, slots=4)
            for peer in rounds.peers:
                peer.greedy = True
            for _ in range(6):
                self.assertEqual(rounds.hold(), set(rounds.peers))
