"""Tests for the clocks of one connection."""

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.peer.limits import ConnectionLimits
from p2pshare.peer.patience import Patience

LIMITS = ConnectionLimits()


class PatienceTests(SynchronousTestCase):
    """Each limit at its edge."""

    def test_f41_silence(self) -> None:
        """So long and no longer."""
        patience = Patience(LIMITS, 0.0, 0.0)
        self.assertIsNone(patience.exhausted(LIMITS.idle_timeout, None))
        self.assertEqual(patience.exhausted(LIMITS.idle_timeout + 1, None), "idle_timeout")

    def test_f23_message(self) -> None:
        """A message has its time from its first byte; more bytes of it bring no more."""
        patience = Patience(LIMITS, 0.0, 0.0)
        patience.heard(whole=True, more=True, now=50.0)
        patience.heard(whole=False, more=True, now=80.0)
        self.assertIsNone(patience.exhausted(50.0 + LIMITS.message_timeout, None))
        self.assertEqual(patience.exhausted(51.0 + LIMITS.message_timeout, None), "message_timeout")
        patience.heard(whole=True, more=False, now=111.0)
        self.assertIsNone(patience.exhausted(112.0, None))

    def test_next_message_begins_anew(self) -> None:
        """Each end of a message starts the time of the one behind it."""
        patience = Patience(LIMITS, 0.0, 0.0)
        for now in range(0, 600, 50):
            patience.heard(whole=True, more=True, now=float(now))
            self.assertIsNone(patience.exhausted(now + 50.0, None))

    def test_excuse(self) -> None:
        """While we do not listen, nobody is late."""
        patience = Patience(LIMITS, 0.0, 0.0)
        patience.heard(whole=False, more=True, now=0.0)
        patience.excuse(1000.0)
        self.assertIsNone(patience.exhausted(1000.0 + LIMITS.message_timeout, None))
        self.assertEqual(patience.exhausted(1001.0 + LIMITS.message_timeout, None), "message_timeout")

    def test_f28_unread(self) -> None:
        """What was sent has to be read in some minutes."""
        patience = Patience(LIMITS, LIMITS.unread_timeout, 0.0)
        self.assertIsNone(patience.exhausted(LIMITS.unread_timeout, 0.0))
        self.assertEqual(patience.exhausted(LIMITS.unread_timeout + 1, 0.0), "unread_timeout")

    def test_keepalive(self) -> None:
        """We speak up when we have been silent for long."""
        patience = Patience(LIMITS, 0.0, 0.0)
        patience.spoke(10.0)
        self.assertFalse(patience.is_keepalive_due(10.0 + LIMITS.keepalive))
        self.assertTrue(patience.is_keepalive_due(11.0 + LIMITS.keepalive))
