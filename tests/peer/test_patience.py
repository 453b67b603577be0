"""Tests for the clocks of one connection."""

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.peer.patience import IDLE_LIMIT, KEEPALIVE_AFTER, MESSAGE_LIMIT, UNREAD_LIMIT, Patience


class PatienceTests(SynchronousTestCase):
    """Each limit at its edge."""

    def test_f41_silence(self) -> None:
        """So long and no longer."""
        patience = Patience(0.0, 0.0)
        self.assertIsNone(patience.complaint(IDLE_LIMIT, None))
        self.assertEqual(patience.complaint(IDLE_LIMIT + 1, None), "silent for too long")

    def test_f23_message(self) -> None:
        """A message has its time from its first byte; more bytes of it bring no more."""
        patience = Patience(0.0, 0.0)
        patience.heard(whole=True, more=True, now=50.0)
        patience.heard(whole=False, more=True, now=80.0)
        self.assertIsNone(patience.complaint(50.0 + MESSAGE_LIMIT, None))
        self.assertEqual(patience.complaint(51.0 + MESSAGE_LIMIT, None), "a message took too long")
        patience.heard(whole=True, more=False, now=111.0)
        self.assertIsNone(patience.complaint(112.0, None))

    def test_next_message_begins_anew(self) -> None:
        """Each end of a message starts the time of the one behind it."""
        patience = Patience(0.0, 0.0)
        for now in range(0, 600, 50):
            patience.heard(whole=True, more=True, now=float(now))
            self.assertIsNone(patience.complaint(now + 50.0, None))

    def test_excuse(self) -> None:
        """While we do not listen, nobody is late."""
        patience = Patience(0.0, 0.0)
        patience.heard(whole=False, more=True, now=0.0)
        patience.excuse(1000.0)
        self.assertIsNone(patience.complaint(1000.0 + MESSAGE_LIMIT, None))
        self.assertEqual(patience.complaint(1001.0 + MESSAGE_LIMIT, None), "a message took too long")

    def test_f28_unread(self) -> None:
        """What was sent has to be read in some minutes."""
        patience = Patience(UNREAD_LIMIT, 0.0)
        self.assertIsNone(patience.complaint(UNREAD_LIMIT, 0.0))
        self.assertEqual(patience.complaint(UNREAD_LIMIT + 1, 0.0), "does not read what we send")

    def test_keepalive(self) -> None:
        """We speak up when we have been silent for long."""
        patience = Patience(0.0, 0.0)
        patience.spoke(10.0)
        self.assertFalse(patience.is_keepalive_due(10.0 + KEEPALIVE_AFTER))
        self.assertTrue(patience.is_keepalive_due(11.0 + KEEPALIVE_AFTER))
