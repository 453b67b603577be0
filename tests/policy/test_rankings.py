"""Orders of neighbors, ours and others', and the kit that tries them."""

from __future__ import annotations

from collections import Counter
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.course.kit import check_picker, check_ranking, neighbor
from p2pshare.policy.copies import Copies
from p2pshare.policy.rankings import RANKINGS, fastest, proportional
from p2pshare.policy.strategies import STRATEGIES


class RankingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.peers = [neighbor(1001 + place) for place in range(4)]

    def test_fastest(self) -> None:
        """Who sent most comes first; among those that are alike everybody is first sometimes."""
        came = dict(zip(self.peers, (5, 20, 10, 0), strict=True))
        self.assertEqual(fastest(self.peers, came, Random(0)), [self.peers[place] for place in (1, 2, 0, 3)])
        first = Counter(fastest(self.peers, {}, Random(seed))[0].peer_id for seed in range(200))
        self.assertEqual(len(first), 4)

    def test_proportional(self) -> None:
        """Who sent three times as much comes first three times as often; who sent nothing does so now and then."""
        came = dict(zip(self.peers, (3000, 1000, 0, 0), strict=True))
        random = Random(0)
        first = Counter(self.peers.index(proportional(self.peers, came, random)[0]) for _ in range(4000))
        self.assertLess(abs(first[0] / first[1] - 3.0), 0.4)
        self.assertGreater(first[2], 20)
        self.assertLess(first[2], 250)

    def test_proportional_without_news(self) -> None:
        """When nobody sent anything, all are alike."""
        first = Counter(proportional(self.peers, {}, Random(seed))[0].peer_id for seed in range(200))
        self.assertEqual(len(first), 4)
        self.assertLess(max(first.values()), 90)


class KitTests(SynchronousTestCase):
    def test_ours_pass(self) -> None:
        """Every ranking and every order of pieces that comes with us does what the kit wants."""
        for rank in RANKINGS.values():
            check_ranking(rank)
        for pick in STRATEGIES.values():
            check_picker(pick)

    def test_faults_of_rankings(self) -> None:
        """What a ranking can do wrong is found, and said."""
        wrong = {
            "names others": lambda candidates, came, random: list(candidates)[1:],
            "twice": lambda candidates, came, random: [*candidates, *candidates],
            "another order": lambda candidates, came, random: Random().sample(list(candidates), len(candidates)),
            "expected a list": lambda candidates, came, random: tuple(candidates),
            "changes": lambda candidates, came, random: [candidates.pop() for _ in list(candidates)],
        }
        for words, rank in wrong.items():
            error = self.assertRaises(AssertionError, check_ranking, rank)
            self.assertIn(words, str(error))

    def test_faults_of_pickers(self) -> None:
        """What an order of pieces can do wrong is found, and said."""

        def last(candidates: int, copies: Copies, random: Random) -> int:
            return candidates.bit_length()

        def unrepeatable(candidates: int, copies: Copies, random: Random) -> int:
            return STRATEGIES["random"](candidates, copies, Random())

        self.assertIn("no candidate", str(self.assertRaises(AssertionError, check_picker, last)))
        self.assertIn("another piece", str(self.assertRaises(AssertionError, check_picker, unrepeatable)))
