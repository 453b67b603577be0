"""The tracker inside a benchmark."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.tracker import Tracker
from p2pshare import bencoding


def peers(reply: bytes) -> bytes:
    """The compact peers of a reply."""
    decoded = bencoding.decode(reply)
    assert isinstance(decoded, dict)
    found = decoded[b"peers"]
    assert isinstance(found, bytes)
    return found


class TrackerTests(SynchronousTestCase):
    """Tracker"""

    def setUp(self) -> None:
        self.tracker = Tracker("127.0.0.1")
        self.tracker.hosts.update({256: "10.0.0.1", 257: "10.0.0.2"})

    def test_others_are_named(self) -> None:
        """Whoever announces hears of everybody who came before, at the address the client listens on."""
        self.assertEqual(peers(self.tracker.announce("port=256&left=0")), b"")
        self.assertEqual(peers(self.tracker.announce("port=257&left=5")), b"\x0a\x00\x00\x01\x01\x00")

    def test_strangers_are_not_named(self) -> None:
        """A client that no run has a place for, such as a late one of the last run, is told to nobody."""
        self.tracker.announce("port=999&left=0")
        self.assertEqual(peers(self.tracker.announce("port=256&left=0")), b"")

    def test_who_has_left_is_not_named(self) -> None:
        """A client that said goodbye is told to nobody, and is no seed any more."""
        self.tracker.announce("port=256&left=0")
        self.assertTrue(self.tracker.has_seed(256))
        self.tracker.announce("port=256&left=0&event=stopped&uploaded=99")
        self.assertFalse(self.tracker.has_seed(256))
        self.assertEqual(peers(self.tracker.announce("port=257&left=5")), b"")

    def test_what_was_given_is_told_with_the_goodbye(self) -> None:
        """The bytes a client gave are known when it leaves, and not before, when they could become more."""
        self.tracker.announce("port=256&left=0&uploaded=50")
        self.assertIsNone(self.tracker.given_by(256))
        self.tracker.announce("port=256&left=0&event=stopped&uploaded=99")
        self.assertEqual(self.tracker.given_by(256), 99)
        self.tracker.forget()
        self.assertIsNone(self.tracker.given_by(256))
