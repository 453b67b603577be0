"""Tests for the connection counts, and for who goes when one more comes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.peer.budget import ConnectionBudget, Place
from p2pshare.peer.limits import Commons, ConnectionLimits


class Guest:
    """A connection that writes down why it had to go."""

    def __init__(self, proved: bool = False) -> None:
        self.proved = proved
        self.why: str | None = None

    def abort(self, reason: str) -> None:
        self.why = reason


class BudgetTestCase(SynchronousTestCase):
    """A budget of any size."""

    def make(self, total: int = 200, per_host: int = 3, **limits: int) -> None:
        """Begin with these limits."""
        self.left = 1000  # descriptors
        self.commons = Commons(ConnectionLimits(**limits))
        self.budget = ConnectionBudget(total, per_host, self.commons, descriptors_left=lambda: self.left)

    def come(self, host: str, *, proved: bool = False) -> tuple[Place | None, Guest]:
        """Let somebody knock, who is of use from the first moment or not at all."""
        place, guest = self.budget.admit(host, newcomer=True), Guest(proved)
        if place is not None:
            place.guest = guest
        return place, guest

    def dial(self, host: str) -> Place | None:
        """Ask for a place for a connection of our own."""
        return self.budget.admit(host, newcomer=False)


class LimitTests(BudgetTestCase):
    """Each limit at its edge."""

    def test_max_connections(self) -> None:
        """Up to the total everybody is admitted; then nobody is, for whom nobody can go, until somebody leaves."""
        self.make(total=3)
        self.assertIsNotNone(self.dial("9.9.9.1"))
        first = self.dial("9.9.9.2")
        assert first is not None
        self.assertTrue(self.budget.has_room)
        self.assertIsNotNone(self.dial("9.9.9.3"))
        self.assertFalse(self.budget.has_room)
        self.assertEqual(self.commons.hits, {})
        self.assertIsNone(self.dial("9.9.9.4"))
        self.assertEqual(self.commons.hits, {"max_connections": 1})
        self.budget.release(first)
        self.assertIsNotNone(self.dial("9.9.9.4"))

    def test_max_connections_per_host(self) -> None:
        """One public host gets its share and no more; a private one is not counted."""
        self.make(per_host=3)
        self.assertEqual([self.dial("9.9.9.9") is not None for _ in range(4)], [True, True, True, False])
        self.assertEqual(self.commons.hits, {"max_connections_per_host": 1})
        self.assertEqual([self.dial("127.0.0.1") is not None for _ in range(4)], [True] * 4)
        self.assertEqual(len(self.budget), 7)

    def test_released_twice(self) -> None:
        """A place that is given back twice is free once."""
        self.make()
        one, other = self.dial("9.9.9.9"), self.dial("9.9.9.9")
        assert one is not None
        self.assertIsNotNone(other)
        self.budget.release(one)
        self.budget.release(one)
        self.assertEqual(len(self.budget), 1)
        self.assertEqual([self.dial("9.9.9.9") is not None for _ in range(3)], [True, True, False])

    def test_spare_files(self) -> None:
        """The last descriptors are for files and state."""
        self.make(spare_files=64)
        for left, enough in ((65, True), (64, False), (63, False), (0, False)):
            self.left = left
            self.assertEqual(self.budget.has_descriptors, enough)
        self.assertEqual(self.commons.hits, {"spare_files": 3})

    def test_real_descriptors(self) -> None:
        """What the system says is asked anew each time, and leaves nothing open."""
        budget = ConnectionBudget()
        self.assertTrue(budget.has_descriptors)
        left = budget._descriptors_left()
        for _ in range(10):
            self.assertEqual(budget._descriptors_left(), left)


class NewcomerTests(BudgetTestCase):
    """F47: when there is no room, whoever has been useless for longest makes some."""

    def test_f47_oldest_unproven_goes_first(self) -> None:
        """A newcomer takes the place of the oldest connection on which no block was sent or taken."""
        self.make(total=4)
        guests = [self.come(f"9.9.9.{n}", proved=n in (0, 2))[1] for n in range(4)]
        self.assertIsNotNone(self.come("9.9.8.1")[0])
        self.assertEqual([guest.why for guest in guests], [None, "makes room for a newcomer", None, None])
        self.assertIsNotNone(self.come("9.9.8.2", proved=True)[0])
        self.assertEqual([guest.why is None for guest in guests], [True, False, True, False])
        self.assertEqual(len(self.budget), 4)

    def test_f47_nobody_useful_goes(self) -> None:
        """When everybody is of use it is the newcomer that is refused."""
        self.make(total=4)
        guests = [self.come(f"9.9.9.{n}", proved=True)[1] for n in range(4)]
        self.assertIsNone(self.come("9.9.8.1")[0])
        self.assertEqual([guest.why for guest in guests], [None] * 4)
        self.assertEqual(self.commons.hits, {"max_connections": 1})

    def test_f47_a_thousand_from_one_host(self) -> None:
        """A thousand connections from one address take three places, from each other; all others stay."""
        self.make(total=50, per_host=3)
        honest = [self.come(f"9.9.9.{n}")[1] for n in range(40)]
        flood = [self.come("6.6.6.6")[1] for _ in range(1000)]
        self.assertEqual([guest.why for guest in honest], [None] * 40)
        self.assertEqual(sum(guest.why is None for guest in flood), 3)
        self.assertEqual([guest.why for guest in flood[-3:]], [None] * 3)
        self.assertEqual(self.commons.hits, {"max_connections_per_host": 997})

    def test_f47_a_thousand_from_an_exempt_host(self) -> None:
        """Where hosts are not counted they fill the process, and still nobody useful goes and newcomers get in."""
        self.make(total=50)
        honest = [self.come(f"9.9.9.{n}", proved=True)[1] for n in range(10)]
        for _ in range(1000):
            self.come("127.0.0.1")
        self.assertEqual([guest.why for guest in honest], [None] * 10)
        place, guest = self.come("9.9.8.1")
        self.assertIsNotNone(place)
        self.assertIsNone(guest.why)
        self.assertEqual(len(self.budget), 50)

    def test_dialling_displaces_nobody(self) -> None:
        """Only who comes to us is a newcomer; and a connection that is being dialled is nobody yet."""
        self.make(total=2)
        self.dial("9.9.9.1")
        guest = self.come("9.9.9.2")[1]
        self.assertIsNone(self.dial("9.9.9.3"))
        self.assertIsNone(guest.why)
        self.assertIsNotNone(self.come("9.9.9.3")[0])
        self.assertIsNotNone(guest.why)
