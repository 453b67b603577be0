"""Tests of p2pshare.sharing.observations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.sharing.observations import AT_ONCE, Observations, Served
from p2pshare.swarm.events import Completed, Event, PieceSpoiled, PieceVerified


class FakeSwarm:
    """Something that events come from."""

    def __init__(self) -> None:
        self.subscribers: list[Callable[[Event], object]] = []

    def subscribe(self, subscriber: Callable[[Event], object]) -> None:
        self.subscribers.append(subscriber)


class ObservationsTests(SynchronousTestCase):
    """Observations"""

    def setUp(self) -> None:
        self.observations = Observations()
        self.swarms: list[Any] = [FakeSwarm(), FakeSwarm()]
        for swarm in self.swarms:
            self.observations.follow(swarm)

    def happens(self, *events: Event, swarm: int = 0) -> None:
        """Let something happen in one of the swarms."""
        for event in events:
            for subscriber in self.swarms[swarm].subscribers:
                subscriber(event)

    def test_counts(self) -> None:
        """Pieces and bans are counted over all swarms; what was taken is forgotten."""
        self.happens(PieceVerified(1, frozenset({b"ann", b"bob"})), PieceVerified(2, frozenset({b"ann"})), Completed())
        self.happens(PieceVerified(1, frozenset({b"ann"})), PieceSpoiled(2, ("x",), frozenset({b"eve"})), swarm=1)
        served = self.observations.take()
        self.assertEqual(set(served), {Served(b"ann", 3, 0), Served(b"bob", 1, 0), Served(b"eve", 0, 1)})
        self.assertEqual(self.observations.take(), [])

    def test_given_back(self) -> None:
        """What could not be told is told with what came since."""
        self.happens(PieceVerified(1, frozenset({b"ann"})), PieceSpoiled(2, ("x",), frozenset({b"ann"})))
        served = self.observations.take()
        self.happens(PieceVerified(3, frozenset({b"ann"})))
        self.observations.give_back(served)
        self.assertEqual(self.observations.take(), [Served(b"ann", 2, 1)])

    def test_much(self) -> None:
        """Of one peer as much is told at a time as an index takes, and the rest later."""
        self.observations.give_back([Served(b"ann", 25_000, 150)])
        told = [self.observations.take() for _ in range(4)]
        self.assertEqual(
            told, [[Served(b"ann", 10_000, 100)], [Served(b"ann", 10_000, 50)], [Served(b"ann", 5000, 0)], []]
        )

    def test_many(self) -> None:
        """Of many peers some are told at a time, and not more than a thousand are remembered."""
        for number in range(2000):
            self.happens(PieceVerified(number, frozenset({b"%d" % number})))
        told: list[Served] = []
        while served := self.observations.take():
            self.assertLessEqual(len(served), AT_ONCE)
            told += served
        self.assertEqual(len(set(told)), 1000)
