"""Tests for who takes too much."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.addresses import Address
from p2pshare.bitfield import Bitfield
from p2pshare.policy.appetite import MOST_REMEMBERED, Appetite
from p2pshare.policy.remote_peer import RemotePeer


def a_peer(host: str, number: int = 0, port: int = 6881) -> RemotePeer:
    """A peer at any host."""
    return RemotePeer(Address(host, port), b"-XX0001-%012d" % number, True, Bitfield(8), 0.0)


class AppetiteTests(SynchronousTestCase):
    """F50: so many copies, and not one byte more."""

    def setUp(self) -> None:
        self.appetite = Appetite(3000)

    def come(self, host: str, number: int = 0, port: int = 6881) -> RemotePeer:
        """Let a peer come."""
        peer = a_peer(host, number, port)
        self.appetite.met(peer)
        return peer

    def test_f50_at_the_limit(self) -> None:
        """Three copies are no reason to complain; a byte more is, and once only."""
        peer = self.come("9.9.9.9")
        self.assertFalse(self.appetite.took(peer, 2999))
        self.assertFalse(self.appetite.took(peer, 1))
        self.assertFalse(peer.greedy)
        self.assertTrue(self.appetite.took(peer, 1))
        self.assertTrue(peer.greedy)
        self.assertFalse(self.appetite.took(peer, 1000))
        self.assertTrue(peer.greedy)

    def test_f50_comes_back(self) -> None:
        """Whoever comes back, from another port and under another peer_id, is greedy still."""
        peer = self.come("9.9.9.9")
        self.appetite.took(peer, 2000)
        back = self.come("9.9.9.9", 1, 7000)
        self.assertFalse(back.greedy)
        self.assertTrue(self.appetite.took(back, 1001))
        self.assertTrue(self.come("9.9.9.9", 2, 8000).greedy)
        self.assertFalse(self.come("9.9.9.8").greedy)

    def test_f50_where_many_share_a_host(self) -> None:
        """On a private network neighbours are told apart by their peer_id, whatever their port."""
        peer, neighbour = self.come("127.0.0.1", 1, 1), self.come("127.0.0.1", 2, 2)
        self.appetite.took(peer, 3001)
        self.assertFalse(self.appetite.took(neighbour, 1))
        self.assertTrue(self.come("127.0.0.1", 1, 3).greedy)
        self.assertFalse(self.come("127.0.0.1", 2, 4).greedy)

    def test_memory_is_bounded(self) -> None:
        """A thousand peers are remembered; whoever took something longest ago is forgotten first."""
        first, second = self.come("9.9.9.8"), self.come("9.9.9.9")
        self.appetite.took(first, 3000)
        self.appetite.took(second, 3000)
        for number in range(MOST_REMEMBERED - 2):
            self.appetite.took(a_peer("10.0.0.1", number), 1)
        self.assertTrue(self.appetite.took(first, 1))
        self.appetite.took(a_peer("10.0.0.2", MOST_REMEMBERED), 1)
        self.assertFalse(self.appetite.took(evolve(second, greedy=False), 1))
        self.assertTrue(self.come("9.9.9.8").greedy)
        self.assertEqual(len(self.appetite._taken), MOST_REMEMBERED)
