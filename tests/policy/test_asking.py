from __future__ import annotations

from p2pshare.bitfield import Bitfield
from p2pshare.geometry import BLOCK_SIZE
from p2pshare.policy.asking import MOST_ALONE, PATIENCE
from p2pshare.policy.ledger import Ledger, Receipt
from p2pshare.policy.remote_peer import RemotePeer
from tests.policy.ledgers import BLOCKS, PIECES, LedgerCase, a_ledger, blocks
from tests.policy.peers import a_peer, a_seed, bits


def pieces_asked(ledger: Ledger, peer: RemotePeer, count: int, now: float = 0.0) -> list[int]:
    """The pieces of the next requests."""
    return [piece for piece, _, _ in ledger.ask(peer, count, now)]


class WhichPieceTests(LedgerCase):
    """Which piece a peer is asked for."""

    def test_each_peer_has_its_own(self) -> None:
        """Once we have pieces to trade, each peer fetches a piece alone, from its beginning to its end."""
        ledger, one, two = a_ledger(held=4), a_seed(1, PIECES), a_seed(2, PIECES)
        self.assertEqual(ledger.ask(one, 1, 0.0), blocks(4, 0))
        self.assertEqual(ledger.ask(two, 1, 0.0), blocks(5, 0))
        self.assertEqual(ledger.ask(one, 2, 0.0), blocks(4, 1, 2))

    def test_the_first_piece_is_fetched_together(self) -> None:
        """Until the first piece is held, peers help to finish the one that was started."""
        ledger, one, two = a_ledger(), a_seed(1, PIECES), a_seed(2, PIECES)
        self.assertEqual(ledger.ask(one, 2, 0.0), blocks(0, 0, 1))
        self.assertEqual(ledger.ask(two, 3, 0.0), [*blocks(0, 2, 3), *blocks(1, 0)])

    def test_what_was_left_unfinished_comes_first(self) -> None:
        """A piece whose peer choked or left is finished before another one is started."""
        ledger, one, two = a_ledger(held=4), a_seed(1, PIECES), a_seed(2, PIECES)
        self.deliver(ledger, one, ledger.ask(one, 2, 0.0)[:1])
        ledger.choked(one)
        self.assertEqual(ledger.ask(two, 4, 0.0), [*blocks(4, 1, 2, 3), *blocks(5, 0)])

    def test_help_when_nothing_else_is_left(self) -> None:
        """When no piece is free any more, a peer helps with the free blocks of others."""
        ledger, one, two = a_ledger(held=5), a_seed(1, PIECES), a_seed(2, PIECES)
        self.assertEqual(ledger.ask(one, 1, 0.0), blocks(5, 0))
        self.assertEqual([begin for _, begin, _ in ledger.ask(two, 1, 0.0)], [BLOCK_SIZE])

    def test_only_what_the_peer_has(self) -> None:
        """A peer is never asked for a piece it did not say it has."""
        ledger, one, two = a_ledger(), a_seed(1, PIECES), a_peer(2, bits(PIECES, [3]))
        ledger.ask(one, 2, 0.0)
        self.assertEqual(pieces_asked(ledger, two, 9), [3] * 4)
        self.assertEqual(ledger.ask(a_peer(3, Bitfield(PIECES)), 9, 0.0), [])


class MemoryTests(LedgerCase):
    """No more pieces are under way than memory is meant for."""

    def test_max_started(self) -> None:
        """At the limit peers share the pieces that are under way."""
        ledger = a_ledger("rarest", max_started=1, held=4)
        one, two = a_seed(1, PIECES), a_seed(2, PIECES)
        self.assertEqual(set(pieces_asked(ledger, one, 1)), set(pieces_asked(ledger, two, 1)))
        self.assertEqual(ledger.started, 1)

    def test_no_more_requests_than_fit(self) -> None:
        """A deep pipeline does not start more pieces than allowed."""
        ledger = a_ledger(max_started=2)
        self.assertEqual(len(ledger.ask(a_seed(1, PIECES), 99, 0.0)), 2 * BLOCKS)

    def test_an_idle_peer_may_start_one_more(self) -> None:
        """A peer that has none of the started pieces gets one of its own, up to twice the limit."""
        ledger = a_ledger(max_started=1)
        ledger.ask(a_peer(1, bits(PIECES, [0])), 1, 0.0)
        two = a_peer(2, bits(PIECES, [1, 2]))
        self.assertEqual(pieces_asked(ledger, two, 99), [1] * BLOCKS)
        self.assertEqual(ledger.ask(two, 99, 0.0), [])
        self.assertEqual(ledger.ask(a_peer(3, bits(PIECES, [3])), 99, 0.0), [])
        self.assertEqual(ledger.started, 2)

    def test_old_requests_in_a_full_memory_find_help(self) -> None:
        """A slow peer that holds up all the memory is helped with what it was asked long ago."""
        ledger, slow, quick = a_ledger(max_started=1), a_seed(1, PIECES), a_seed(2, PIECES)
        asked = ledger.ask(slow, BLOCKS, 0.0)
        self.assertEqual(pieces_asked(ledger, quick, BLOCKS), [1] * BLOCKS)
        helper = a_seed(3, PIECES)
        self.assertEqual(ledger.ask(helper, 9, PATIENCE - 0.1), [])
        self.assertEqual(ledger.ask(helper, 2, PATIENCE), asked[:1:-1])
        self.assertFalse(ledger.is_endgame)


class AloneTests(LedgerCase):
    """After a wrong hash, one peer alone shows whether it can be trusted."""

    def spoiled(self) -> Ledger:
        """A ledger whose last piece, number 5, had a wrong hash."""
        ledger, liar = a_ledger(held=5), a_seed(9, PIECES)
        self.deliver(ledger, liar, ledger.ask(liar, 2, 0.0))
        ledger.failed(5)
        ledger.left(liar)
        return ledger

    def test_f34_a_spoiled_piece_is_fetched_by_one_peer(self) -> None:
        """A piece that had a wrong hash is left to one peer, though others are idle."""
        ledger, one, two = self.spoiled(), a_seed(1, PIECES), a_seed(2, PIECES)
        self.assertEqual(len(ledger.ask(one, 1, 0.0)), 1)
        self.assertEqual(ledger.ask(two, 9, 0.0), [])
        self.deliver(ledger, one, [*blocks(5, 0), *ledger.ask(one, 1, 0.0)])
        self.assertEqual(ledger.owners(5), [one, one])

    def test_f34_not_for_ever(self) -> None:
        """A peer that takes too long over it gets help after all."""
        ledger, one, two = self.spoiled(), a_seed(1, PIECES), a_seed(2, PIECES)
        ledger.ask(one, 1, 0.0)
        self.assertEqual(ledger.ask(two, 9, MOST_ALONE - 0.1), [])
        self.assertEqual(len(ledger.ask(two, 9, MOST_ALONE)), 2)

    def test_f34_parole(self) -> None:
        """A peer on parole starts a piece of its own and nobody joins it."""
        ledger, suspect, other = a_ledger(), a_seed(1, PIECES), a_seed(2, PIECES)
        ledger.ask(other, 1, 0.0)
        suspect.on_parole = True
        self.assertEqual(pieces_asked(ledger, suspect, 1), [1])
        self.assertEqual(pieces_asked(ledger, other, 7), [0] * 3 + [2] * 4)

    def test_f34_parole_leaves_unfinished_pieces_to_others(self) -> None:
        """What a peer on parole would add to, it could spoil: it starts a piece while there is one."""
        ledger, suspect, other = a_ledger(), a_seed(1, PIECES), a_seed(2, PIECES)
        self.deliver(ledger, other, ledger.ask(other, 1, 0.0))
        ledger.choked(other)
        suspect.on_parole = True
        self.assertEqual(pieces_asked(ledger, suspect, 1), [1])

    def test_f34_parole_with_nothing_else_left(self) -> None:
        """Rather than stand still, a peer on parole finishes what others left."""
        ledger, suspect, other = a_ledger(held=5), a_seed(1, PIECES), a_seed(2, PIECES)
        self.deliver(ledger, other, ledger.ask(other, 1, 0.0))
        ledger.left(other)
        suspect.on_parole = True
        self.assertEqual(self.deliver(ledger, suspect, ledger.ask(suspect, 9, 0.0)), [Receipt.COMPLETES])
