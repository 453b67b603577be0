"""Tests of p2pshare.index.records."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.index.records import ContentKey, Scheme, peer_id_text
from tests.index.opened import member, share_claim


class RecordsTests(SynchronousTestCase):
    """Values that say something about themselves."""

    def test_key_of_a_share(self) -> None:
        """A share names its content by its hash; a SHA-256 in small digits, anything else as it is."""
        self.assertEqual(share_claim(hash="AB" * 32).key, ContentKey(Scheme.SHA256, "ab" * 32))
        self.assertEqual(share_claim(hash="Ab").key, ContentKey(Scheme.SHA256, "Ab"))

    def test_seeds(self) -> None:
        """A seed lacks nothing; who does not say is none."""
        self.assertEqual([member("a", left).is_seed for left in (0, 1, None)], [True, False, False])

    def test_peer_id(self) -> None:
        """A printable peer_id is written as it is, any other in hexadecimal digits."""
        self.assertEqual(peer_id_text(b"-XX0001-000000000001"), "-XX0001-000000000001")
        self.assertEqual(peer_id_text(b"-XX0001-" + b"\xff" * 12), "2d5858303030312d" + "ff" * 12)
        self.assertEqual(peer_id_text(b"\n" * 20), "0a" * 20)
