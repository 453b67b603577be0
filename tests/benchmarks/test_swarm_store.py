"""The benchmark of a tracker's memory, with few peers."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.swarm_store import contact_of, grow, judge, members, restart_time
from p2pshare.addresses import Address
from p2pshare.tracker.swarm_store import MemorySwarms


class GrowTests(SynchronousTestCase):
    """Generations of peers"""

    def test_expiry_balances_arrival(self) -> None:
        """Those of the generation before are gone when the next one is complete, but for the last step."""
        store = MemorySwarms(Random(0).random)
        for generation in range(3):
            grow(store, generation, 300, 5)
            self.assertLessEqual(members(store), 330)
        self.assertEqual(len(store.swarms), 5)

    def test_contacts(self) -> None:
        """Everybody can be reached somewhere else, and in one of three ways."""
        contacts = {contact_of(number) for number in range(1000)}
        names = [contact for contact in contacts if isinstance(contact, Address)]
        packed = [len(contact) for contact in contacts if not isinstance(contact, Address)]
        self.assertEqual((len(names), packed.count(6), packed.count(18)), (10, 890, 100))

    def test_restart(self) -> None:
        """What is read back is everybody."""
        store = MemorySwarms(Random(0).random)
        grow(store, 0, 100, 5)
        self.assertGreater(restart_time(store), 0.0)


class JudgeTests(SynchronousTestCase):
    """judge"""

    def test_limits(self) -> None:
        """Each limit is held, or named."""
        good = {50: 3.0, 100_000: 6.0}
        self.assertEqual(judge([150.0, 200.0, 200.0], good, 5.0), [])
        for figures, words in (
            (([150.0, 201.0], good, 1.0), "201 bytes"),
            (([100.0, 100.0, 106.0], good, 1.0), "grows"),
            (([1.0, 1.0], {50: 3.0, 100_000: 6.1}, 1.0), "100000"),
            (([1.0, 1.0], good, 5.1), "5.1 s"),
        ):
            (wrong,) = judge(*figures)
            self.assertIn(words, wrong)
