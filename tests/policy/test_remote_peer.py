from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.bitfield import Bitfield
from p2pshare.geometry import BLOCK_SIZE
from tests.policy.peers import a_peer, a_seed


class RemotePeerTests(SynchronousTestCase):
    """What is known of a peer, and what follows from it."""

    def test_begins_as_bep_3_says(self) -> None:
        """A connection starts choked and not interested on both sides."""
        peer = a_peer(1, Bitfield(8))
        self.assertTrue(peer.am_choking and peer.peer_choking)
        self.assertFalse(peer.am_interested or peer.peer_interested)

    def test_two_peers_are_never_equal(self) -> None:
        """Peers are told apart by identity, whatever is known of them."""
        self.assertEqual(len({a_peer(1, Bitfield(8)), a_peer(1, Bitfield(8))}), 2)

    def test_is_seed(self) -> None:
        """A seed has every piece; with no pieces known to exist nobody is one."""
        self.assertTrue(a_seed(1, 8).is_seed)
        self.assertFalse(a_peer(1, Bitfield(8)).is_seed)
        self.assertFalse(a_peer(1, Bitfield(0)).is_seed)

    def test_payload_counts_and_ends_a_snub(self) -> None:
        """Blocks that come are metered, deepen the pipeline, and end the snub."""
        peer = a_seed(1, 8)
        peer.snubbed = True
        self.assertEqual(peer.depth(5.0), 1)
        peer.got_payload(BLOCK_SIZE + 100, 5.0)
        self.assertEqual((peer.snubbed, peer.last_block_at, peer.download.total), (False, 5.0, BLOCK_SIZE + 100))
        self.assertEqual(peer.depth(5.0), 34)

    def test_f38_flapping_costs_the_peer_its_requests(self) -> None:
        """A peer that chokes and unchokes a hundred times a second gets a hundred requests at first, then a trickle."""
        peer = a_seed(1, 8)
        asked = 0
        for step in range(1000):  # ten seconds
            now = step / 100
            peer.got_unchoke()
            asked += peer.depth(now)
            peer.got_choke(now)
        self.assertLess(asked, 250)

    def test_f38_chokes_between_blocks_cost_nothing(self) -> None:
        """A peer that serves us in each of its turns keeps its full pipeline."""
        peer = a_seed(1, 8)
        for turn in range(10):
            peer.got_unchoke()
            peer.got_payload(BLOCK_SIZE, 10.0 * turn)
            peer.got_choke(10.0 * turn + 5.0)
        self.assertGreaterEqual(peer.depth(100.0), 32)

    def test_shown_by_address_and_client(self) -> None:
        """In a log a peer is an address and a client."""
        self.assertTrue(repr(a_seed(7, 8)).startswith("<10.0.0.7:6881 "))
