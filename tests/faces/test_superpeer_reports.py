"""Tests of p2pshare.faces.superpeer_reports."""

from __future__ import annotations

from typing import Any

from p2pshare.faces.superpeer_reports import AT_ONCE
from tests.faces.superpeers import SuperpeerCase
from tests.web.connections import Reply

ANN, BOB = "ab" * 20, "-XX0001-000000000001"


class ReportTests(SuperpeerCase):
    """What nodes say of each other."""

    def setUp(self) -> None:
        super().setUp()
        self.register_peer("ann", wire_peer_id=ANN)
        self.register_peer("bob", port=9002, wire_peer_id=BOB)

    def report(self, reporter: str, *peers: dict[str, Any]) -> Reply:
        """Let a node tell of some peers."""
        return self.post("/api/v1/peers/report", {"peers": list(peers)}, f"X-Peer-ID: {reporter}")

    def reputations(self) -> dict[str, int]:
        """What is thought of whom."""
        return {name: peer["reputation"] for name, peer in self.peers().items()}

    def test_s2_18_reputation(self) -> None:
        """Pieces count for a node, bans against it, a hundred times as much; nobody speaks for itself."""
        self.assertEqual(self.report("ann", {"wire_peer_id": BOB, "pieces": 7}).status, 200)
        self.assertEqual(self.reputations(), {"ann": 0, "bob": 7})
        both = ({"wire_peer_id": ANN, "pieces": 5}, {"wirePeerId": ANN, "pieces": 5, "bans": 1}, {"wire_peer_id": BOB})
        self.report("bob", *both, {"wire_peer_id": BOB, "pieces": 1000})
        self.assertEqual(self.reputations(), {"ann": -90, "bob": 7})

    def test_strangers(self) -> None:
        """Of peers that are no nodes nothing is kept; a node that is not registered is told to do so."""
        self.assertEqual(self.report("ann", {"wire_peer_id": "cd" * 20, "pieces": 1}).status, 200)
        self.refused(self.report("eve", {"wire_peer_id": ANN, "pieces": 1}), 404)
        self.assertEqual(self.reputations(), {"ann": 0, "bob": 0})

    def test_nonsense(self) -> None:
        """What cannot be is refused as a whole, and nothing of it counts."""
        for wrong in (
            {"wire_peer_id": "short", "pieces": 1},
            {"wire_peer_id": ANN, "pieces": -1},
            {"wire_peer_id": ANN, "pieces": 10**9},
            {"wire_peer_id": ANN, "bans": 10**9},
            {"pieces": 1},
        ):
            self.refused(self.report("ann", {"wire_peer_id": BOB, "pieces": 1}, wrong), 400)
        self.refused(self.report("ann", *[{"wire_peer_id": BOB, "pieces": 1}] * (AT_ONCE + 1)), 400)
        self.assertEqual(self.reputations(), {"ann": 0, "bob": 0})
