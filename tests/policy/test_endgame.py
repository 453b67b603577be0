from __future__ import annotations

from p2pshare.policy.ledger import Receipt
from tests.policy.ledgers import PIECES, LedgerCase, a_ledger, blocks
from tests.policy.peers import a_peer, a_seed, bits


class EndgameTests(LedgerCase):
    """At the end two peers may be asked for the same block."""

    def test_duplicates_only_in_the_endgame(self) -> None:
        """While a block is free anywhere, nobody is asked for what another peer was asked."""
        ledger, slow, quick = a_ledger(held=4), a_seed(1, PIECES), a_peer(2, bits(PIECES, [4]))
        ledger.ask(slow, 4, 0.0)
        self.assertEqual((ledger.is_endgame, ledger.ask(quick, 4, 0.0)), (False, []))
        ledger.ask(slow, 2, 0.0)
        self.assertEqual((ledger.is_endgame, ledger.ask(quick, 4, 0.0)), (True, blocks(4, 3, 2, 1, 0)))

    def test_two_peers_a_block(self) -> None:
        """A third peer is not asked for a block, nor the same peer twice."""
        ledger = a_ledger(held=5)
        first, second, third = (a_seed(number, PIECES) for number in (1, 2, 3))
        asked = ledger.ask(first, 9, 0.0)
        self.assertEqual(ledger.ask(first, 9, 0.0), [])
        self.assertEqual(sorted(ledger.ask(second, 9, 0.0)), asked)
        self.assertEqual((ledger.ask(second, 9, 0.0), ledger.ask(third, 9, 0.0)), ([], []))

    def test_rivals_are_released(self) -> None:
        """The peer that was slower is named once, to be sent a cancel, and owes the block no longer."""
        ledger, slow, quick = a_ledger(held=5), a_seed(1, PIECES), a_seed(2, PIECES)
        asked = ledger.ask(slow, 9, 0.0)
        ledger.ask(quick, 9, 0.0)
        self.assertEqual(ledger.rivals(5, 0), [])
        self.assertEqual(self.deliver(ledger, quick, asked), [Receipt.WANTED, Receipt.COMPLETES])
        self.assertEqual([ledger.rivals(5, begin) for _, begin, _ in asked], [[slow], [slow]])
        self.assertEqual((ledger.rivals(5, 0), ledger.outstanding(slow)), ([], 0))
        self.assertEqual(self.deliver(ledger, slow, asked), [Receipt.DUPLICATE] * 2)

    def test_without_cancels(self) -> None:
        """If nobody is told, the slower blocks come as duplicates, before and after the verdict."""
        ledger, slow, quick = a_ledger(held=5), a_seed(1, PIECES), a_seed(2, PIECES)
        asked = ledger.ask(slow, 9, 0.0)
        ledger.ask(quick, 9, 0.0)
        self.deliver(ledger, quick, asked)
        self.assertIs(ledger.received(slow, *asked[0], 0.0), Receipt.DUPLICATE)
        ledger.verified(5)
        self.assertEqual(ledger.outstanding(slow), 0)
        self.assertIs(ledger.received(slow, *asked[1], 0.0), Receipt.DUPLICATE)

    def test_the_first_asked_was_quicker(self) -> None:
        """The helper is the rival when the first peer answers after all."""
        ledger, slow, quick = a_ledger(held=5), a_seed(1, PIECES), a_seed(2, PIECES)
        asked = ledger.ask(slow, 9, 0.0)
        ledger.ask(quick, 9, 0.0)
        self.deliver(ledger, slow, asked[:1])
        self.assertEqual(ledger.rivals(5, 0), [quick])

    def test_one_of_two_leaves(self) -> None:
        """When one of two askers goes, the block stays with the other; when both go, it is free."""
        ledger, slow, quick = a_ledger(held=5), a_seed(1, PIECES), a_seed(2, PIECES)
        ledger.ask(slow, 9, 0.0)
        ledger.ask(quick, 9, 0.0)
        ledger.left(slow)
        self.assertEqual((ledger.is_endgame, ledger.started), (True, 1))
        ledger.left(quick)
        self.assertEqual((ledger.is_endgame, ledger.started), (False, 0))

    def test_wrong_hash_in_the_endgame(self) -> None:
        """After a wrong hash no old request stands in the way, and an old answer is taken."""
        ledger, slow, quick = a_ledger(held=5), a_seed(1, PIECES), a_seed(2, PIECES)
        asked = ledger.ask(slow, 9, 0.0)
        ledger.ask(quick, 9, 0.0)
        self.deliver(ledger, quick, asked)
        ledger.failed(5)
        self.assertEqual(ledger.outstanding(slow), 0)
        self.assertEqual(ledger.ask(quick, 1, 0.0), asked[:1])
        self.assertEqual(self.deliver(ledger, slow, asked), [Receipt.WANTED, Receipt.COMPLETES])
        self.assertEqual(ledger.rivals(5, 0), [quick])

    def test_few_at_a_time(self) -> None:
        """A helper has eight requests at most, so that little is fetched twice."""
        ledger, slow, quick = a_ledger(), a_seed(1, PIECES), a_seed(2, PIECES)
        self.assertEqual(len(ledger.ask(slow, 99, 0.0)), 22)
        self.assertEqual(len(ledger.ask(quick, 99, 0.0)), 8)
        self.assertEqual(ledger.ask(quick, 99, 0.0), [])

    def test_two_slow_peers_do_not_hold_everything_up(self) -> None:
        """A block that two were asked for is asked of a third when the second has had its time, and not sooner."""
        ledger = a_ledger(held=5)
        slow, slower, quick, late = (a_seed(number, PIECES) for number in range(1, 5))
        asked = ledger.ask(slow, 9, 0.0)
        self.assertEqual(sorted(ledger.ask(slower, 9, 5.0)), asked)
        self.assertEqual(ledger.ask(quick, 9, 14.9), [])
        self.assertEqual(sorted(ledger.ask(quick, 9, 15.0)), asked)
        self.assertEqual(ledger.ask(late, 9, 15.0), [])
        self.assertEqual(self.deliver(ledger, quick, asked[:1]), [Receipt.WANTED])
        self.assertEqual(ledger.rivals(*asked[0][:2]), [slower, slow])
        ledger.left(slow)
        ledger.left(slower)
        self.assertEqual(ledger.outstanding(quick), 1)
        self.assertEqual(self.deliver(ledger, quick, asked[1:]), [Receipt.COMPLETES])
        ledger.verified(5)
        self.assertEqual([ledger.outstanding(peer) for peer in (slow, slower, quick, late)], [0, 0, 0, 0])

    def test_snubbed_peer_is_no_help(self) -> None:
        """Whoever leaves requests unanswered is not asked for blocks of others, only for free ones."""
        ledger, one, snubbed = a_ledger(held=5), a_seed(1, PIECES), a_seed(2, PIECES)
        snubbed.snubbed = True
        asked = ledger.ask(one, 9, 0.0)
        self.assertEqual(ledger.ask(snubbed, 9, 30.0), [])
        ledger.left(one)
        self.assertEqual(ledger.ask(snubbed, 9, 30.0), asked)

    def test_lost_piece(self) -> None:
        """A piece that was held and is lost is fetched like any other, with an endgame of its own."""
        ledger, slow, quick = a_ledger(held=PIECES), a_seed(1, PIECES), a_seed(2, PIECES)
        self.assertEqual((ledger.missing_pieces, ledger.is_endgame), (0, False))
        ledger.lost(5)
        self.assertEqual((ledger.missing_pieces, ledger.is_endgame), (1, False))
        asked = ledger.ask(slow, 9, 0.0)
        self.assertEqual((len(asked), ledger.is_endgame), (2, True))
        self.assertEqual(sorted(ledger.ask(quick, 9, 0.0)), asked)
        self.assertEqual(self.deliver(ledger, quick, asked), [Receipt.WANTED, Receipt.COMPLETES])
        ledger.verified(5)
        self.assertEqual((ledger.missing_pieces, ledger.is_endgame), (0, False))

    def test_lost_and_never_held(self) -> None:
        """Losing what was not held changes nothing."""
        ledger, peer = a_ledger(held=5), a_seed(1, PIECES)
        asked = ledger.ask(peer, 1, 0.0)
        ledger.lost(5)
        self.assertEqual((ledger.missing_pieces, ledger.outstanding(peer)), (1, 1))
        self.deliver(ledger, peer, asked)
        self.deliver(ledger, peer, ledger.ask(peer, 9, 0.0))
        ledger.verified(5)
        self.assertEqual(ledger.missing_pieces, 0)
