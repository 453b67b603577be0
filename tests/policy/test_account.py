from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.policy.account import MOST_LATE, Account


class AccountTests(SynchronousTestCase):
    """What one peer owes."""

    def test_remembers_what_was_taken_back(self) -> None:
        """A request that is taken back is late, until it is made again."""
        account = Account()
        account.ask([1, 2, 3], 0.0)
        account.take_back(2)
        self.assertEqual((list(account.asked), list(account.late)), ([1, 3], [2]))
        account.ask([2], 5.0)
        self.assertEqual((list(account.asked), list(account.late)), ([1, 3, 2], []))

    def test_f38_memory_is_bounded(self) -> None:
        """However many requests are taken back, only the last two thousand are remembered."""
        account = Account()
        for number in range(3 * MOST_LATE):
            account.ask([number], 0.0)
            account.take_back(number)
        self.assertEqual(list(account.late), list(range(2 * MOST_LATE, 3 * MOST_LATE)))

    def test_overdue_when_silent(self) -> None:
        """A silent peer is late with all that was asked long enough ago, and only with that."""
        account = Account()
        account.ask([1, 2], 0.0)
        account.ask([3], 30.0)
        self.assertEqual(account.overdue(59.0, 60.0), [])
        self.assertEqual(account.overdue(60.0, 60.0), [1, 2])
        self.assertEqual(account.overdue(90.0, 60.0), [1, 2, 3])

    def test_overdue_when_passed_over(self) -> None:
        """A peer that goes on answering is late only with what it has passed over."""
        account = Account(heard_at=99.0, reached=50.0)
        account.ask([1], 40.0)
        account.ask([2], 50.0)
        self.assertEqual(account.overdue(100.0, 60.0), [1])
        self.assertEqual(account.overdue(120.0, 60.0), [1])
