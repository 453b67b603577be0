from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.bitfield import Bitfield
from p2pshare.geometry import BLOCK_SIZE, Geometry
from p2pshare.policy.blame import BANNED, MOST_ATTEMPTS, MOST_SUSPECTS, MOST_TRUST, Blame
from p2pshare.policy.ledger import Ledger, Receipt
from p2pshare.policy.picker import make_picker
from p2pshare.policy.remote_peer import RemotePeer
from tests.policy.peers import a_peer, a_seed

GOOD = [b"a", b"b", b"c", b"d"]  # digests of the right blocks


def wrong(*blocks: int) -> list[bytes]:
    """Digests of a copy in which these blocks are wrong."""
    return [b"x" if block in blocks else digest for block, digest in enumerate(GOOD)]


class BlameTests(SynchronousTestCase):
    """After a wrong hash, the guilty are found and nobody else."""

    def setUp(self) -> None:
        self.blame = Blame()
        self.one, self.two, self.three = (a_peer(number, Bitfield(8)) for number in (1, 2, 3))

    def test_f33_sole_contributor(self) -> None:
        """Who sent a whole bad piece alone is guilty at once."""
        self.assertEqual(self.blame.failed(0, [self.one] * 4, wrong(2)), {self.one})
        self.assertFalse(self.blame.is_suspect(0))

    def test_f34_of_several_nobody_at_first(self) -> None:
        """Of several contributors none is guilty yet; the piece is suspect and they are on parole."""
        self.assertEqual(self.blame.failed(0, [self.one, self.one, self.two, self.two], wrong(2)), set())
        self.assertTrue(self.blame.is_suspect(0))
        self.assertTrue(self.one.on_parole and self.two.on_parole)
        self.assertFalse(self.three.on_parole)

    def test_f34_the_good_copy_tells(self) -> None:
        """Whose block differs from the good copy is guilty; the other contributor is cleared."""
        self.blame.failed(0, [self.one, self.one, self.two, self.two], wrong(2))
        self.assertEqual(self.blame.passed(0, GOOD, [self.three] * 4), {self.two})
        self.assertEqual((self.blame.trust(self.one), self.one.on_parole), (0, False))
        self.assertEqual((self.blame.trust(self.two), self.blame.trust(self.three)), (-2, 1))
        self.assertFalse(self.blame.is_suspect(0))

    def test_f34_several_bad_copies(self) -> None:
        """Each bad copy convicts its own poisoner."""
        self.blame.failed(0, [self.one, self.one, self.two, self.two], wrong(0))
        self.blame.failed(0, [self.two, self.two, self.three, self.three], wrong(3))
        self.assertEqual(self.blame.passed(0, GOOD), {self.one, self.three})
        self.assertEqual((self.blame.trust(self.two), self.two.on_parole), (0, False))

    def test_f34_guilty_of_an_earlier_copy(self) -> None:
        """A poisoner that sends the right block the second time is convicted of the first."""
        self.blame.failed(0, [self.one, self.two, self.two, self.two], wrong(0))
        self.assertEqual(self.blame.passed(0, GOOD, [self.one] * 4), {self.one})

    def test_f34_guilty_after_it_left(self) -> None:
        """Leaving does not save a poisoner: it is named all the same, so that its address can be banned."""
        self.blame.failed(0, [self.one, self.two, self.two, self.two], wrong(0))
        self.blame.left(self.one)
        self.blame.left(self.two)
        self.assertEqual(self.blame.passed(0, GOOD), {self.one})
        self.assertEqual(self.blame.trust(self.two), 0)

    def test_f34_on_parole_until_all_is_cleared(self) -> None:
        """Parole ends with the last suspect piece that a peer had part in, and trust is taken only once meanwhile."""
        for piece in (0, 1, 2):
            self.blame.failed(piece, [self.one, self.two, self.two, self.two], wrong(1))
        self.assertEqual(self.blame.trust(self.one), -2)
        self.blame.passed(0, GOOD)
        self.blame.passed(1, GOOD)
        self.assertTrue(self.one.on_parole)
        self.blame.passed(2, GOOD)
        self.assertEqual((self.one.on_parole, self.blame.trust(self.one)), (False, 0))

    def test_f35_blocks_from_before_a_restart(self) -> None:
        """When the sender of some blocks is not known, the only known one is not guilty for being alone."""
        self.assertEqual(self.blame.failed(0, [self.one, self.one, None, None], wrong(2)), set())
        self.assertEqual(self.blame.trust(self.one), 0)
        self.assertEqual(self.blame.passed(0, GOOD), set())
        self.assertFalse(self.one.on_parole)

    def test_f35_but_proof_is_proof(self) -> None:
        """A known sender's wrong block convicts it even so."""
        self.blame.failed(0, [self.one, None, None, None], wrong(0))
        self.assertEqual(self.blame.passed(0, GOOD), {self.one})

    def test_f35_nobody_known(self) -> None:
        """A bad piece of which no sender is known is nobody's fault."""
        self.assertEqual(self.blame.failed(0, [None] * 4, wrong(1)), set())

    def test_trust_decides_without_digests(self) -> None:
        """Without digests, the fourth bad piece in company is one too many; good ones make up for it."""
        owners = [self.one, self.one, self.two, self.two]
        for _ in range(3):
            self.assertEqual(self.blame.failed(0, owners, []), set())
        self.blame.passed(1, [], [self.two] * 4)
        self.blame.passed(2, [], [self.two] * 4)
        self.assertEqual(self.blame.failed(3, owners, []), {self.one})
        self.assertLessEqual(self.blame.trust(self.one), BANNED)

    def test_trust_has_a_ceiling(self) -> None:
        """Nobody can save up trust for more than a few bad pieces."""
        for piece in range(50):
            self.blame.passed(piece, [], [self.one] * 4)
        self.assertEqual(self.blame.trust(self.one), MOST_TRUST)

    def test_a_good_piece_without_history(self) -> None:
        """A piece that is right the first time convicts nobody and needs no digests."""
        self.assertEqual(self.blame.passed(0, []), set())

    def test_memory_is_bounded(self) -> None:
        """Only the last few bad copies and suspect pieces are kept; who is let off has its trust and freedom back."""
        for _ in range(MOST_ATTEMPTS + 3):
            self.blame.failed(0, [self.one, self.two, self.two, self.two], wrong(0))
        self.blame.failed(1, [self.three, self.two, self.two, self.two], wrong(0))
        for _ in range(MOST_ATTEMPTS):
            self.blame.failed(1, [self.one, self.two, self.two, self.two], wrong(0))
        self.assertEqual(self.blame.passed(1, GOOD), {self.one})
        self.blame.passed(0, GOOD)
        self.blame.failed(0, [self.three, self.two, self.two, self.two], wrong(0))
        for piece in range(1, MOST_SUSPECTS + 1):
            self.blame.failed(piece, [self.one, self.two, self.two, self.two], wrong(1))
        self.assertFalse(self.blame.is_suspect(0))
        self.assertEqual((self.three.on_parole, self.blame.trust(self.three)), (False, 0))
        self.assertTrue(self.blame.is_suspect(1) and self.two.on_parole)


class PoisonedSwarm:
    """One leech among honest seeds and poisoners: ledger and blame together, blocks in random order."""

    PIECES, BLOCKS = 60, 4

    def __init__(self, honest: int, poisoners: int, seed: int, rate: float, max_started: int) -> None:
        self.random = Random(seed)
        self.rate = rate  # of a poisoner's blocks that are wrong
        geometry = Geometry(self.BLOCKS * BLOCK_SIZE, (self.PIECES * self.BLOCKS * BLOCK_SIZE,))
        picker = make_picker("rarest", self.PIECES, self.random)
        self.ledger = Ledger(geometry, picker, max_started=max_started)
        self.blame = Blame()
        self.peers = [a_seed(number, self.PIECES) for number in range(honest + poisoners)]
        self.poisoners = set(self.peers[:poisoners])
        self.banned: set[RemotePeer] = set()
        self.bad_pieces = 0
        self.copies: dict[int, list[bytes]] = {}  # what the blocks of each piece look like
        for peer in self.peers:
            picker.joined(peer.has)

    def run(self) -> None:
        """Fetch everything: in each step some peer answers a request, or is asked for more."""
        now = 0.0
        waiting: list[tuple[RemotePeer, tuple[int, int, int]]] = []
        while self.ledger.missing_pieces:
            now += 0.1
            peer = self.random.choice(self.peers)
            waiting += [(peer, block) for block in self.ledger.ask(peer, self.random.randint(1, 6), now)]
            for _ in range(self.random.randint(0, 4)):
                if waiting:
                    peer, block = waiting.pop(self.random.randrange(len(waiting)))
                    if peer not in self.banned:
                        self.deliver(peer, block, now)
            self.ledger.expired(now)

    def deliver(self, peer: RemotePeer, block: tuple[int, int, int], now: float) -> None:
        """One block comes, right or wrong."""
        piece, begin, length = block
        receipt = self.ledger.received(peer, piece, begin, length, now)
        if receipt in (Receipt.WANTED, Receipt.COMPLETES):
            bad = peer in self.poisoners and self.random.random() < self.rate
            self.copies.setdefault(piece, [b""] * self.BLOCKS)[begin // BLOCK_SIZE] = b"bad" if bad else b"good"
        if receipt is Receipt.COMPLETES:
            digests, owners = self.copies[piece], self.ledger.owners(piece)
            if b"bad" not in digests:
                self.ban(self.blame.passed(piece, digests, owners))
                self.ledger.verified(piece)
            else:
                self.bad_pieces += 1
                guilty = self.blame.failed(piece, owners, digests)
                self.ledger.failed(piece)
                self.ban(guilty)

    def ban(self, guilty: set[RemotePeer]) -> None:
        """The swarm closes the connections of the guilty, and fetches again what they sent."""
        for peer in guilty - self.banned:
            self.banned.add(peer)
            self.peers.remove(peer)
            self.ledger.left(peer)
            self.ledger.distrust(peer)
            self.blame.left(peer)


class PoisonedSwarmTests(SynchronousTestCase):
    """However poisoners behave, the download ends and only they are banned."""

    def test_f36_one_poisoner_in_twenty(self) -> None:
        """A peer that sends nothing right is banned, and spoils two pieces on average at most."""
        spoiled = 0
        for seed in range(40):
            swarm = PoisonedSwarm(19, 1, seed, 1.0, max_started=32)
            swarm.run()
            self.assertLessEqual(swarm.banned, swarm.poisoners)
            self.assertGreaterEqual(swarm.bad_pieces, len(swarm.banned))
            spoiled += swarm.bad_pieces
        self.assertLessEqual(spoiled, 2 * 40)

    @given(st.integers(1, 10), st.integers(1, 5), st.integers(0, 10_000), st.sampled_from([0.1, 0.5, 1.0]))
    @settings(max_examples=60, deadline=None)
    def test_f34_no_innocent_is_banned(self, honest: int, poisoners: int, seed: int, rate: float) -> None:
        """However many poisoners, and however rarely they poison, all is fetched and no honest peer is banned."""
        swarm = PoisonedSwarm(honest, poisoners, seed, rate, max_started=seed % 10 + 1)
        swarm.run()
        self.assertLessEqual(swarm.banned, swarm.poisoners)
