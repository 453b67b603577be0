from __future__ import annotations

from p2pshare.bitfield import Bitfield
from p2pshare.geometry import BLOCK_SIZE
from p2pshare.policy.ledger import ENDGAME_TIMEOUT, Receipt
from tests.policy.ledgers import BLOCKS, PIECES, TAIL, LedgerCase, a_ledger, blocks
from tests.policy.peers import a_peer, a_seed, bits


class ReceivedTests(LedgerCase):
    """What a block that came is worth."""

    def test_s1_12_begins_in_order_and_a_short_last_block(self) -> None:
        """A piece is asked for from its beginning to its end; the last block of the last piece is short."""
        ledger = a_ledger(held=4)
        asked = ledger.ask(a_seed(1, PIECES), 20, 0.0)
        self.assertEqual(asked, [*blocks(4, 0, 1, 2, 3), *blocks(5, 0), (5, BLOCK_SIZE, TAIL)])

    def test_a_piece_block_by_block(self) -> None:
        """Each block is wanted, and the last one completes its piece."""
        ledger, peer = a_ledger(), a_seed(1, PIECES)
        receipts = self.deliver(ledger, peer, ledger.ask(peer, 4, 0.0))
        self.assertEqual(receipts, [Receipt.WANTED] * 3 + [Receipt.COMPLETES])
        self.assertEqual(ledger.owners(0), [peer] * 4)
        self.assertEqual((ledger.outstanding(peer), ledger.started, ledger.missing_pieces), (0, 0, PIECES))
        ledger.verified(0)
        self.assertEqual(ledger.missing_pieces, PIECES - 1)

    def test_any_order(self) -> None:
        """A peer may answer in another order than it was asked."""
        ledger, peer = a_ledger(), a_seed(1, PIECES)
        asked = ledger.ask(peer, 4, 0.0)
        self.assertEqual(self.deliver(ledger, peer, asked[::-1])[-1], Receipt.COMPLETES)

    def test_f31_what_nobody_asked_for(self) -> None:
        """A block from a stranger, of another piece, misaligned, too long, too short or far outside is unasked."""
        ledger, peer, stranger = a_ledger(), a_seed(1, PIECES), a_seed(2, PIECES)
        asked = ledger.ask(peer, 2, 0.0)
        nonsense = [
            (0, 2 * BLOCK_SIZE, BLOCK_SIZE),
            (0, 1, BLOCK_SIZE),
            (0, 0, BLOCK_SIZE - 1),
            (0, 0, BLOCK_SIZE + 1),
            (0, 0, 0),
            (0, BLOCKS * BLOCK_SIZE, BLOCK_SIZE),
            (1, 0, BLOCK_SIZE),
            (PIECES, 0, BLOCK_SIZE),
            (2**32 - 1, 2**32 - BLOCK_SIZE, BLOCK_SIZE),
        ]
        self.assertEqual(self.deliver(ledger, peer, nonsense), [Receipt.UNASKED] * len(nonsense))
        self.assertEqual(self.deliver(ledger, stranger, asked), [Receipt.UNASKED] * 2)
        ledger.ask(stranger, 1, 0.0)
        self.assertIs(ledger.received(stranger, *asked[1], 0.0), Receipt.UNASKED)
        self.assertEqual(ledger.outstanding(peer), 2)
        self.assertEqual(self.deliver(ledger, peer, asked), [Receipt.WANTED] * 2)

    def test_f31_the_same_block_twice(self) -> None:
        """A block that comes a second time from the same peer is unasked."""
        ledger, peer = a_ledger(), a_seed(1, PIECES)
        (block,) = ledger.ask(peer, 1, 0.0)
        self.assertEqual(self.deliver(ledger, peer, [block, block]), [Receipt.WANTED, Receipt.UNASKED])

    def test_f31_a_short_block_in_the_place_of_a_full_one(self) -> None:
        """The length of the torrent's last block is right nowhere else, and a full block is wrong there."""
        ledger, peer = a_ledger(held=4), a_seed(1, PIECES)
        ledger.ask(peer, 6, 0.0)
        self.assertIs(ledger.received(peer, 4, 3 * BLOCK_SIZE, TAIL, 0.0), Receipt.UNASKED)
        self.assertIs(ledger.received(peer, 5, BLOCK_SIZE, BLOCK_SIZE, 0.0), Receipt.UNASKED)

    def test_f32_a_block_of_a_verified_piece(self) -> None:
        """What comes for a piece that is held is a duplicate, never wanted."""
        ledger, slow, quick = a_ledger(), a_seed(1, PIECES), a_seed(2, PIECES)
        asked = ledger.ask(slow, 4, 0.0)
        ledger.choked(slow)
        self.assertEqual(ledger.ask(quick, 4, 0.0), asked)
        self.deliver(ledger, quick, asked)
        self.assertEqual(self.deliver(ledger, slow, asked[:1]), [Receipt.DUPLICATE])
        ledger.verified(0)
        self.assertEqual(self.deliver(ledger, slow, asked[1:2]), [Receipt.DUPLICATE])
        self.assertEqual(self.deliver(ledger, slow, asked[1:2]), [Receipt.UNASKED])

    def test_a_failed_piece_is_fetched_again(self) -> None:
        """After a wrong hash all blocks of the piece are free again."""
        ledger, peer = a_ledger(), a_seed(1, PIECES)
        asked = ledger.ask(peer, 4, 0.0)
        self.deliver(ledger, peer, asked)
        ledger.failed(0)
        self.assertEqual(ledger.ask(peer, 4, 0.0), asked)
        self.deliver(ledger, peer, asked)
        ledger.verified(0)
        self.assertEqual(ledger.missing_pieces, PIECES - 1)

    def test_everything(self) -> None:
        """With the last piece verified nothing is missing, nothing is asked, and it is not the endgame."""
        ledger, peer = a_ledger("rarest"), a_seed(1, PIECES)
        for _ in range(PIECES):
            asked = ledger.ask(peer, BLOCKS, 0.0)
            self.deliver(ledger, peer, asked)
        for piece in range(PIECES):
            ledger.verified(piece)
        self.assertEqual((ledger.missing_pieces, ledger.ask(peer, 9, 0.0), ledger.is_endgame), (0, [], False))


class ReturnedTests(LedgerCase):
    """Requests that will not be answered are asked of others, once."""

    def test_choke_returns_all(self) -> None:
        """A choke undoes what the peer had not answered; others are asked for exactly that."""
        ledger, peer, other = a_ledger(), a_seed(1, PIECES), a_seed(2, PIECES)
        asked = ledger.ask(peer, 4, 0.0)
        self.deliver(ledger, peer, asked[:1])
        self.assertEqual(ledger.choked(peer), 3)
        self.assertEqual((ledger.outstanding(peer), ledger.choked(peer)), (0, 0))
        self.assertEqual(ledger.ask(other, 3, 0.0), asked[1:])

    def test_choke_by_a_fast_peer_returns_none(self) -> None:
        """A peer with the fast extension answers each request with the block or a reject (BEP 6)."""
        ledger, peer, other = a_ledger(), a_seed(1, PIECES, fast=True), a_seed(2, PIECES)
        asked = ledger.ask(peer, 4, 0.0)
        self.assertEqual(ledger.choked(peer), 0)
        self.assertEqual(ledger.outstanding(peer), 4)
        self.assertTrue(ledger.rejected(peer, *asked[0]))
        self.assertFalse(ledger.rejected(peer, *asked[0]))
        self.assertEqual(ledger.ask(other, 1, 0.0), asked[:1])
        self.assertEqual(self.deliver(ledger, peer, asked[1:]), [Receipt.WANTED] * 3)

    def test_a_peer_that_rejects_everything(self) -> None:
        """When a peer rejects all of its piece, the piece is free, and the next request starts one properly."""
        ledger, peer = a_ledger(), a_seed(1, PIECES, fast=True)
        for block in ledger.ask(peer, 2, 0.0):
            self.assertTrue(ledger.rejected(peer, *block))
        self.assertEqual(ledger.started, 0)
        asked = ledger.ask(peer, 4, 0.0)
        self.assertEqual((asked, ledger.started), (blocks(0, 0, 1, 2, 3), 1))
        self.assertIs(self.deliver(ledger, peer, asked)[-1], Receipt.COMPLETES)

    def test_reject_of_what_was_not_asked(self) -> None:
        """A reject that fits no request changes nothing."""
        ledger, peer, stranger = a_ledger(), a_seed(1, PIECES, fast=True), a_seed(2, PIECES, fast=True)
        (block,) = ledger.ask(peer, 1, 0.0)
        for sender, place in [(stranger, block), (peer, (0, 0, 1)), (peer, (0, 1, BLOCK_SIZE)), (peer, (9, 0, 1))]:
            self.assertFalse(ledger.rejected(sender, *place))
        self.assertEqual(ledger.outstanding(peer), 1)

    def test_leaving_returns_all(self) -> None:
        """What a peer that is gone had not sent is asked of others; what it had sent stays."""
        ledger, peer, other = a_ledger(), a_seed(1, PIECES), a_seed(2, PIECES)
        asked = ledger.ask(peer, 4, 0.0)
        self.deliver(ledger, peer, asked[:2])
        self.assertEqual((ledger.left(peer), ledger.left(peer), ledger.outstanding(peer)), (2, 0, 0))
        self.assertEqual(self.deliver(ledger, other, ledger.ask(other, 2, 0.0)), [Receipt.WANTED, Receipt.COMPLETES])
        self.assertEqual(ledger.owners(0), [peer, peer, other, other])

    def test_a_piece_nothing_came_of_is_free(self) -> None:
        """A started piece without any block is given back, so that memory and choice are free again."""
        ledger, peer = a_ledger(max_started=1), a_seed(1, PIECES)
        ledger.ask(peer, 4, 0.0)
        self.assertEqual(ledger.started, 1)
        ledger.choked(peer)
        self.assertEqual(ledger.started, 0)
        self.assertEqual(ledger.ask(a_peer(2, bits(PIECES, [3])), 1, 0.0), blocks(3, 0))

    def test_late_after_a_choke(self) -> None:
        """A block that crossed the choke is taken, whether its piece is under way or was given back."""
        ledger, peer, other = a_ledger(), a_seed(1, PIECES), a_seed(2, PIECES)
        asked = ledger.ask(peer, 4, 0.0)
        ledger.choked(peer)
        self.assertEqual(self.deliver(ledger, peer, asked[:1]), [Receipt.WANTED])
        self.assertEqual(ledger.ask(other, 3, 0.0), asked[1:])
        self.assertEqual(self.deliver(ledger, peer, asked[1:2]), [Receipt.WANTED])
        self.assertEqual(ledger.rivals(0, BLOCK_SIZE), [other])
        self.assertEqual(ledger.outstanding(other), 2)

    def test_late_block_of_a_given_back_piece_without_room(self) -> None:
        """When memory is full a late block does not start its piece again."""
        ledger, peer, other = a_ledger(max_started=1), a_seed(1, PIECES), a_peer(2, bits(PIECES, [3]))
        asked = ledger.ask(peer, 4, 0.0)
        ledger.choked(peer)
        ledger.ask(other, 1, 0.0)
        self.assertEqual(self.deliver(ledger, peer, asked[:1]), [Receipt.DUPLICATE])

    def test_f31_late_and_of_another_length(self) -> None:
        """A late block has to have the right length like any other, also when its piece is complete by now."""
        ledger, peer, other = a_ledger(), a_seed(1, PIECES), a_seed(2, PIECES)
        asked = ledger.ask(peer, 4, 0.0)
        ledger.choked(peer)
        self.assertIs(ledger.received(peer, 0, 0, 1, 0.0), Receipt.UNASKED)
        self.assertEqual(ledger.started, 0)
        self.deliver(ledger, other, ledger.ask(other, 4, 0.0))
        self.assertIs(ledger.received(peer, 0, 0, 1, 0.0), Receipt.UNASKED)
        self.assertEqual(self.deliver(ledger, peer, asked[:1]), [Receipt.DUPLICATE])

    def test_late_block_that_was_asked_again_counts_once(self) -> None:
        """A block taken back and asked again of the same peer is outstanding once, and unasked when it comes twice."""
        ledger, peer = a_ledger(), a_seed(1, PIECES)
        asked = ledger.ask(peer, 1, 0.0)
        ledger.choked(peer)
        self.assertEqual(ledger.ask(peer, 1, 0.0), asked)
        self.assertEqual(self.deliver(ledger, peer, asked * 2), [Receipt.WANTED, Receipt.UNASKED])

    def test_distrust(self) -> None:
        """What a banned peer sent for unfinished pieces is fetched again from others."""
        ledger, liar, other = a_ledger(), a_seed(1, PIECES), a_seed(2, PIECES)
        asked = ledger.ask(liar, 4, 0.0)
        self.deliver(ledger, liar, asked[:3])
        ledger.left(liar)
        self.assertEqual(ledger.distrust(liar), 3)
        self.assertEqual(ledger.started, 0)
        self.assertEqual(ledger.ask(other, 4, 0.0), asked)

    def test_distrust_leaves_others_alone(self) -> None:
        """The blocks of honest peers stay."""
        ledger, liar, other = a_ledger(), a_seed(1, PIECES), a_seed(2, PIECES)
        asked = ledger.ask(liar, 4, 0.0)
        self.deliver(ledger, liar, asked[:2])
        ledger.left(liar)
        self.deliver(ledger, other, ledger.ask(other, 1, 0.0))
        self.assertEqual(ledger.distrust(liar), 2)
        self.assertEqual(ledger.ask(other, 3, 0.0), [asked[0], asked[1], asked[3]])


class ExpiredTests(LedgerCase):
    """Requests that wait too long are given to others."""

    def test_f37_silent_peer(self) -> None:
        """A peer that sends nothing for a minute loses all its requests, and others are asked for the blocks."""
        ledger, silent, other = a_ledger(), a_seed(1, PIECES), a_seed(2, PIECES)
        asked = ledger.ask(silent, 6, 10.0)
        self.assertEqual(ledger.expired(69.9), [])
        self.assertEqual(ledger.expired(70.0), [(silent, block) for block in asked])
        self.assertEqual((ledger.outstanding(silent), ledger.expired(200.0)), (0, []))
        self.assertEqual(ledger.ask(other, 6, 70.0), asked)

    def test_f37_the_snubbing_peer_may_still_deliver(self) -> None:
        """A block that comes after its request expired is taken while it is missing."""
        ledger, silent = a_ledger(), a_seed(1, PIECES)
        asked = ledger.ask(silent, 4, 0.0)
        ledger.expired(60.0)
        self.assertEqual(self.deliver(ledger, silent, asked, 61.0), [Receipt.WANTED] * 3 + [Receipt.COMPLETES])
        self.assertEqual(ledger.owners(0), [silent] * 4)

    def test_f37_sooner_in_the_endgame(self) -> None:
        """When nothing else is missing, twenty seconds of silence are enough."""
        ledger, silent = a_ledger(held=5), a_seed(1, PIECES)
        asked = ledger.ask(silent, 2, 0.0)
        self.assertTrue(ledger.is_endgame)
        self.assertEqual(ledger.expired(ENDGAME_TIMEOUT - 0.1), [])
        self.assertEqual(len(ledger.expired(ENDGAME_TIMEOUT)), len(asked))

    def test_slow_is_not_silent(self) -> None:
        """At a peer that sends a block every half minute, a long queue may grow as old as it takes."""
        ledger, slow = a_ledger(), a_seed(1, PIECES)
        asked = ledger.ask(slow, 10, 0.0)
        for number, block in enumerate(asked):
            now = 30.0 * (number + 1)
            self.assertEqual(ledger.expired(now - 1.0), [])
            self.assertIn(ledger.received(slow, *block, now), (Receipt.WANTED, Receipt.COMPLETES))

    def test_a_request_that_was_passed_over(self) -> None:
        """A request that the peer dropped expires although the peer goes on answering later ones."""
        ledger, peer = a_ledger(), a_seed(1, PIECES)
        dropped = ledger.ask(peer, 1, 0.0)
        for second in range(1, 12):
            self.deliver(ledger, peer, ledger.ask(peer, 1, 6.0 * second), 6.0 * second)
        self.assertEqual(ledger.expired(66.0), [(peer, dropped[0])])

    def test_a_pause_between_requests_is_not_silence(self) -> None:
        """The minute runs from the request, not from the last block before it."""
        ledger, peer = a_ledger(), a_seed(1, PIECES)
        self.deliver(ledger, peer, ledger.ask(peer, 1, 0.0))
        ledger.ask(peer, 1, 100.0)
        self.assertEqual(ledger.expired(159.0), [])
        self.assertEqual(len(ledger.expired(160.0)), 1)

    def test_f38_no_storm(self) -> None:
        """However often a peer chokes, each block is outstanding at one peer at most, and little is remembered."""
        ledger, flapping = a_ledger(), a_seed(1, PIECES)
        for _ in range(300):
            self.assertEqual(len(ledger.ask(flapping, 32, 0.0)), 22)
            self.assertEqual(ledger.choked(flapping), 22)
        self.assertEqual((ledger.outstanding(flapping), ledger.started), (0, 0))


class AccountsTests(LedgerCase):
    """A ledger of nobody and nothing."""

    def test_unknown_peer(self) -> None:
        """A peer that was never asked owes nothing and undoes nothing."""
        ledger, peer = a_ledger(), a_peer(1, Bitfield(PIECES))
        self.assertEqual((ledger.outstanding(peer), ledger.choked(peer), ledger.left(peer)), (0, 0, 0))
        self.assertFalse(ledger.rejected(peer, 0, 0, BLOCK_SIZE))
        self.assertEqual((ledger.ask(peer, 5, 0.0), ledger.expired(1e9)), ([], []))

    def test_held_pieces_are_never_asked(self) -> None:
        """What was on disk at the start is not fetched, and telling it twice does no harm."""
        ledger = a_ledger(held=5)
        ledger.add_held(0)
        self.assertEqual(ledger.missing_pieces, 1)
        self.assertEqual({piece for piece, _, _ in ledger.ask(a_seed(1, PIECES), 99, 0.0)}, {5})

    def test_max_started_is_positive(self) -> None:
        """A ledger that may start nothing is refused."""
        self.assertRaises(ValueError, a_ledger, max_started=0)
