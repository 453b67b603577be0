"""Tests of p2pshare.tracker.connection_ids."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.tracker.connection_ids import LIFETIME, ConnectionIds

HOST = "203.0.113.7"


class ConnectionIdsTests(SynchronousTestCase):
    """Ids that are known again without being remembered."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.ids = ConnectionIds(b"secret", self.clock.seconds)

    def test_known_again(self) -> None:
        """An id of 8 bytes is valid for the address it was issued to."""
        for host in (HOST, "::1", "::ffff:203.0.113.7"):
            issued = self.ids.issue(host)
            self.assertEqual(len(issued), 8)
            self.assertTrue(self.ids.is_valid(issued, host))

    def test_f52_other_address(self) -> None:
        """Another address cannot use it, however similar."""
        issued = self.ids.issue(HOST)
        for host in ("203.0.113.8", "203.0.113.70", "203.0.113", "::ffff:203.0.113.7", ""):
            self.assertFalse(self.ids.is_valid(issued, host))

    def test_f52_expired(self) -> None:
        """An id is good for two minutes, and never again after that."""
        for start in (0, 1, 511, 100_000):
            self.clock.advance(start)
            issued = self.ids.issue(HOST)
            self.clock.advance(LIFETIME)
            self.assertTrue(self.ids.is_valid(issued, HOST))
            self.clock.advance(2)
            self.assertFalse(self.ids.is_valid(issued, HOST))
            for _ in range(1000):  # the time in an id is short, and comes round again
                self.clock.advance(1)
                self.assertFalse(self.ids.is_valid(issued, HOST))

    def test_f52_another_tracker(self) -> None:
        """Without the secret nobody can make one: another tracker's is not ours."""
        self.assertFalse(self.ids.is_valid(ConnectionIds(b"other", self.clock.seconds).issue(HOST), HOST))

    def test_f52_any_bit(self) -> None:
        """One bit makes it another one."""
        self.clock.advance(1000)
        issued = int.from_bytes(self.ids.issue(HOST), "big")
        for bit in range(64):
            self.assertFalse(self.ids.is_valid((issued ^ 1 << bit).to_bytes(8, "big"), HOST))

    @given(st.binary(min_size=8, max_size=8))
    @settings(max_examples=200)
    def test_f52_forged(self, forged: bytes) -> None:
        """Guessing leads nowhere, and to no error."""
        self.assertFalse(self.ids.is_valid(forged, HOST))
