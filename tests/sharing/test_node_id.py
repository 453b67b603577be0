"""Tests of p2pshare.sharing.node_id."""

from __future__ import annotations

from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import StorageError
from p2pshare.sharing.node_id import node_id


class NodeIdTests(SynchronousTestCase):
    """A node and its name."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "state" / "node_id"

    def test_kept(self) -> None:
        """The first start makes a name up; it stays, and nobody else can read it."""
        first = node_id(self.path, Random(0))
        self.assertRegex(first, r"\Apeer_[0-9a-f]{11}\Z")
        self.assertEqual(node_id(self.path, Random(1)), first)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.assertEqual([file.name for file in self.path.parent.iterdir()], ["node_id"])

    def test_different(self) -> None:
        """Two nodes have two names, and a small number its zeros."""
        self.assertNotEqual(node_id(self.path, Random(0)), node_id(self.path.with_name("other"), Random(1)))

        class Small(Random):
            def getrandbits(self, k: int, /) -> int:
                return 5

        self.assertEqual(node_id(self.path.with_name("small"), Small()), "peer_00000000005")

    def test_damaged(self) -> None:
        """Anything else in the file is replaced by a name."""
        self.path.parent.mkdir(parents=True)
        for damage in (b"", b"peer_", b"peer_0123456789AB", b"peer_0123456789a\r\nX: 1", b"\xff" * 10_000):
            self.path.write_bytes(damage)
            made = node_id(self.path, Random(0))
            self.assertRegex(made, r"\Apeer_[0-9a-f]{11}\Z")
            self.assertEqual(node_id(self.path, Random(2)), made)

    def test_by_hand(self) -> None:
        """A line end behind the name does not matter."""
        self.path.parent.mkdir(parents=True)
        self.path.write_text("peer_0123456789a\n\n")
        self.assertEqual(node_id(self.path, Random(0)), "peer_0123456789a")

    def test_refused(self) -> None:
        """A place that cannot be used is named."""
        self.path.mkdir(parents=True)
        error = self.assertRaises(StorageError, node_id, self.path, Random(0))
        self.assertIn(str(self.path), str(error))
