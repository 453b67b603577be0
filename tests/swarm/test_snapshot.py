"""Tests for a swarm in numbers."""

from p2pshare.errors import DiskFull
from p2pshare.swarm.snapshot import take_snapshot
from p2pshare.wire import messages
from tests.swarm.fakes import ALL, CONTENT, PIECE, TORRENT, SwarmTestCase, bad_piece_of, blocks_of, piece_of


class SnapshotTests(SwarmTestCase):
    """What people are shown."""

    def test_halfway(self) -> None:
        """Pieces, bytes, peers, rates and the time to go, half way through."""
        self.start(pipeline=4)
        seed = self.meet_seed()
        self.meet_leech((0,))
        for _ in range(2):
            self.clock.advance(1.0)
            seed.say(*map(piece_of, seed.hear_about(messages.Request)))
        self.clock.advance(1.0)
        shot = take_snapshot(self.swarm, self.clock.seconds(), peers=True)
        self.assertEqual(
            (shot.name, shot.info_hash, shot.state, shot.error),
            (TORRENT.name, TORRENT.info_hash.hex(), "downloading", None),
        )
        self.assertEqual((shot.pieces_done, shot.pieces_total), (2, 8))
        self.assertEqual((shot.bytes_done, shot.bytes_total), (2 * PIECE, len(CONTENT)))
        self.assertEqual((shot.downloaded, shot.uploaded, shot.wasted, shot.ratio), (2 * PIECE, 0, 0, 0.0))
        self.assertEqual((shot.peers, shot.seeds, shot.candidates, shot.checked), (2, 1, 0, 1.0))
        self.assertGreater(shot.down_rate, 0)
        assert shot.eta is not None
        self.assertAlmostEqual(shot.eta, (len(CONTENT) - 2 * PIECE) / shot.down_rate)
        one, two = shot.peer_list
        self.assertEqual((one.address, one.has, one.downloaded, one.incoming), ("10.1.0.1:50000", 1.0, 2 * PIECE, True))
        self.assertEqual((one.am_interested, one.peer_choking, one.snubbed), (True, False, False))
        self.assertEqual((two.has, two.am_choking, two.peer_interested), (1 / 8, False, True))

    def test_seed(self) -> None:
        """A seed has nothing to go, and counts what it gave."""
        self.start(ALL)
        self.assert_served(self.meet_leech())
        shot = take_snapshot(self.swarm, self.clock.seconds())
        self.assertEqual((shot.state, shot.eta, shot.uploaded, shot.peer_list), ("seeding", 0.0, 16384, ()))

    def test_nothing_comes(self) -> None:
        """While nothing comes nobody can say how long it takes."""
        self.start()
        self.assertIsNone(take_snapshot(self.swarm, 0.0).eta)

    def test_waste(self) -> None:
        """A spoiled piece is waste."""
        self.start(range(7))
        liar = self.meet_seed()
        liar.hear()
        liar.say(*map(bad_piece_of, blocks_of(7)))
        self.assertEqual(take_snapshot(self.swarm, 0.0).wasted, TORRENT.geometry.piece_size(7))

    def test_error(self) -> None:
        """A failure is shown in words."""
        self.start(range(7))
        seed = self.meet_seed()
        self.store.broken = DiskFull("/there: no space is left on its disk")
        seed.say(*map(piece_of, blocks_of(7)))
        shot = take_snapshot(self.swarm, 0.0)
        self.assertEqual((shot.state, shot.error), ("failed", "/there: no space is left on its disk"))
