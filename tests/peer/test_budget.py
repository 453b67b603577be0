"""Tests for the connection counts."""

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.peer.budget import ConnectionBudget


class ConnectionBudgetTests(SynchronousTestCase):
    """How many, and from where."""

    def test_total(self) -> None:
        """When the total is reached nobody is admitted until somebody leaves."""
        budget = ConnectionBudget(2, 3)
        self.assertTrue(budget.admit("9.9.9.1"))
        self.assertTrue(budget.admit("9.9.9.2"))
        self.assertFalse(budget.has_room)
        self.assertFalse(budget.admit("9.9.9.3"))
        budget.release("9.9.9.1")
        self.assertTrue(budget.admit("9.9.9.3"))

    def test_per_host(self) -> None:
        """One public host gets its share and no more; a private one is not counted."""
        budget = ConnectionBudget(100, 3)
        self.assertEqual([budget.admit("9.9.9.9") for _ in range(4)], [True, True, True, False])
        self.assertEqual([budget.admit("127.0.0.1") for _ in range(4)], [True] * 4)
        budget.release("9.9.9.9")
        self.assertTrue(budget.admit("9.9.9.9"))
