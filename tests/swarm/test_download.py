"""Tests for what comes: blocks, verified and spoiled pieces, the last blocks of all."""

from p2pshare.geometry import BLOCK_SIZE
from p2pshare.swarm.events import Completed, PieceSpoiled, PieceVerified, State, StateChanged
from p2pshare.wire import messages
from tests.swarm.fakes import (
    ALL,
    CONTENT,
    PIECE,
    PIECES,
    PLAIN,
    TORRENT,
    SwarmTestCase,
    bad_piece_of,
    blocks_of,
    piece_of,
    requests_in,
)


class ReceivingTests(SwarmTestCase):
    """What comes, and what becomes of it."""

    def test_whole_content(self) -> None:
        """From one seed everything is fetched once, verified and told, and then it is over."""
        self.start()
        peer = self.meet_seed()
        asked = self.feed(peer)
        self.assertEqual(sorted(asked), [block for piece in ALL for block in blocks_of(piece)])
        self.assertEqual(self.store.content, CONTENT)
        verified = [event.index for event in self.events if isinstance(event, PieceVerified)]
        self.assertEqual(sorted(verified), list(ALL))
        self.assertEqual(self.events[-2:], [StateChanged(State.SEEDING), Completed()])
        self.assertEqual(self.swarm.down.total, len(CONTENT))
        self.assertEqual(self.swarm.download.wasted, 0)

    def test_s1_13_have(self) -> None:
        """When a piece verifies every connected peer hears of it once, before anything else is asked."""
        self.start(pipeline=4)
        seed, two, three = self.meet_seed(), self.meet(()), self.meet((1,), reserved=PLAIN)
        requests = seed.hear_about(messages.Request)
        seed.say(*map(piece_of, requests))
        index = requests[0].index
        for peer in (two, three):
            self.assertEqual(peer.hear_about(messages.Have), [messages.Have(index)])
        heard = seed.hear()
        self.assertEqual(heard.count(messages.Have(index)), 1)
        self.assertLess(heard.index(messages.Have(index)), heard.index(messages.Request(*requests_in(heard)[0])))

    def test_s1_17_complete(self) -> None:
        """At the end each peer we wanted something of hears that this is over; ``completed`` is announced once."""
        self.start(range(7))
        seed, other = self.meet_seed(), self.meet((7,))
        other.hear()
        self.feed(seed)
        self.assertEqual(other.hear(), [messages.Have(7), messages.NotInterested()])
        self.assertTrue(seed.is_gone)  # two seeds have nothing to say to each other
        self.assertFalse(other.is_gone)
        self.assertEqual(self.discovery.events, ["started", "completed"])
        self.assertEqual(self.store.verified_bytes, len(CONTENT))

    def test_s1_17_seed_hears_it_too(self) -> None:
        """The last words to a seed are that we have the piece and want nothing more."""
        self.start(range(7), pipeline=1)
        seed = self.meet_seed()
        heard: list[messages.Message] = []
        while requests := requests_in(heard[-1:] or seed.hear()):
            seed.say(piece_of(requests[0]))
            heard = seed.hear()
        self.assertEqual(heard, [messages.Have(7), messages.NotInterested()])

    def test_s1_17_other_pieces_arrive_meanwhile(self) -> None:
        """A swarm that was complete from the start announces no completion."""
        self.start(ALL)
        self.assertEqual(self.discovery.events, ["started"])

    def test_s1_15_corrupt_block(self) -> None:
        """One corrupt block: the piece is not marked, nobody hears of it, it is fetched again from a good source."""
        self.start(range(7))
        liar, witness = self.meet_seed(), self.meet(())
        liar.say(*map(bad_piece_of, liar.hear_about(messages.Request)[:1]), *map(piece_of, blocks_of(7)[1:]))
        self.assertNotIn(7, self.store.have)
        self.assertEqual(witness.hear(), [])
        self.assertEqual(self.events, [PieceSpoiled(7, ("10.1.0.1:50000",), frozenset({liar.peer_id}))])
        good = self.meet_seed()
        self.assertEqual(self.feed(good), blocks_of(7))
        self.assertEqual(self.store.content, CONTENT)
        self.assertEqual(witness.hear(), [messages.Have(7)])
        self.assertEqual(self.swarm.download.wasted, 2 * BLOCK_SIZE + 7232)

    def test_f33_sole_contributor(self) -> None:
        """Who sent a whole bad piece alone is banned, stays out when it comes back, and nobody else is hurt."""
        self.start(range(7))
        liar, other = self.meet_seed(), self.meet_leech()
        liar.say(*map(bad_piece_of, liar.hear_about(messages.Request)))
        self.assertTrue(liar.is_gone)
        self.assert_served(other)
        back = self.connect(peer_id=liar.peer_id)
        back.greet()
        self.assertTrue(back.is_gone)
        self.assertEqual(back.transport.value(), b"")
        self.clock.advance(86400 + 1)
        self.assertIn(self.meet(ALL, peer_id=liar.peer_id).link, self.swarm._links)

    def test_f33_banned_peer_is_asked_nothing_more(self) -> None:
        """What the banned peer was asked for goes to others at once."""
        self.start(pipeline=4)
        liar = self.meet_seed()
        bad = liar.hear_about(messages.Request)
        good = self.meet_seed()
        good.hear()
        liar.say(*map(bad_piece_of, bad[:3]), messages.Piece(bad[3].index, bad[3].begin, bytes(BLOCK_SIZE)))
        self.assertEqual(liar.hear_about(messages.Request), [])
        self.assertEqual(self.swarm.ledger.outstanding(self.member(liar).remote), 0)

    def test_f34_smart_ban(self) -> None:
        """
        Of two that sent parts of a bad piece, only the one whose block was bad is banned.

        That is known when the piece is right.
        """
        self.start(range(7), pipeline=1)
        liar, good = self.meet_seed(), self.meet_seed()
        seen_bad = False
        for _ in range(100):
            for peer in (liar, good):
                for request in peer.hear_about(messages.Request):
                    wrong = peer is liar and not seen_bad
                    seen_bad = seen_bad or wrong
                    peer.say(bad_piece_of(request) if wrong else piece_of(request))
            self.pass_time(1)
            if self.store.is_complete:
                break
        self.assertEqual(self.store.content, CONTENT)
        guilty = [event.guilty for event in self.events if isinstance(event, PieceSpoiled)]
        self.assertEqual([name for names in guilty for name in names], [str(liar.address)])
        self.assertNotIn(liar.link, self.swarm._links)
        back = self.connect(peer_id=good.peer_id)
        back.greet()
        self.assertFalse(back.is_gone)

    def test_f31_unasked_blocks(self) -> None:
        """What nobody asked for is dropped and counted as waste; the 300th such block closes, and others go on."""
        self.start((0,), pipeline=1)
        peer, other = self.meet_seed(), self.meet_leech()
        (request,) = peer.hear_about(messages.Request)
        piece, begin, length = request
        for wrong in (
            messages.Piece((piece + 1) % PIECES, begin, bytes(length)),  # unsolicited
            messages.Piece(piece, begin + 1, bytes(length)),  # misaligned
            messages.Piece(piece, begin, bytes(length - 1)),  # of another size
            messages.Piece(piece, begin, b""),
            messages.Piece(PIECES, begin, bytes(length)),  # there is no such piece
            messages.Piece(2**32 - 1, 2**32 - 1, bytes(length)),
        ):
            peer.say(wrong)
        self.assertEqual(self.store.buffered, 0)
        self.assertEqual(self.swarm.download.wasted, 5 * length - 1)
        peer.say(piece_of(request), piece_of(request))  # right, and then a second time
        self.assertEqual(self.swarm.download.wasted, 6 * length - 1)
        peer.say(*[piece_of(request)] * (299 - 7))
        self.assertFalse(peer.is_gone)
        peer.say(piece_of(request))
        self.assertTrue(peer.is_gone)
        self.assert_served(other)

    def test_f32_verified_piece(self) -> None:
        """A block for a piece that is verified already is dropped and never written."""
        self.start((0,))
        peer, other = self.meet(ALL), self.meet_leech()
        peer.say(messages.Unchoke(), *map(bad_piece_of, blocks_of(0)))
        self.assertEqual(bytes(self.store.content[:PIECE]), CONTENT[:PIECE])
        self.assertFalse(peer.is_gone)
        self.assert_served(other)

    def test_f32_late_answer(self) -> None:
        """A block that was asked for and comes after its piece was verified from elsewhere is waste, not an offence."""
        self.start(range(7), request_timeout=20.0)
        slow, other = self.meet((7,)), self.meet_leech()
        slow.say(messages.Unchoke())
        self.assertEqual(len(slow.hear_about(messages.Request)), 3)
        self.pass_time(25)
        self.feed(self.meet_seed())
        self.assertTrue(self.store.is_complete)
        slow.say(*map(bad_piece_of, blocks_of(7)))
        self.assertEqual(self.swarm.download.wasted, TORRENT.geometry.piece_size(7))
        self.assertEqual(self.member(slow).unasked_blocks, 0)
        self.assertEqual(self.store.content, CONTENT)
        self.assert_served(other, 7)


class MemoryTests(SwarmTestCase):
    """Memory for pieces on their way to the disk."""

    def test_store_lets_go_once_a_second(self) -> None:
        """Every second the store may let go of spare memory; after a download it keeps none."""
        self.start()
        self.feed(self.meet_seed())
        self.assertTrue(self.store.is_complete)
        self.pass_time(5)
        self.assertEqual(self.store.trims, 5)
        self.assertEqual((self.store._buffers.held, self.store._buffers._spare), (0, []))


class EndgameTests(SwarmTestCase):
    """The last blocks."""

    def test_cancel(self) -> None:
        """A block asked of two peers at the end is cancelled at the slower one."""
        self.start(range(7))
        slow, fast = self.meet_seed(), self.meet_seed()
        self.assertEqual(requests_in(slow.hear()), blocks_of(7))
        self.assertEqual(sorted(requests_in(fast.hear())), blocks_of(7))
        fast.say(piece_of(blocks_of(7)[0]))
        self.assertEqual(slow.hear(), [messages.Cancel(*blocks_of(7)[0])])
        fast.say(*map(piece_of, blocks_of(7)[1:]))
        self.assertTrue(self.store.is_complete)
        self.assertEqual(self.swarm.download.wasted, 0)

    def test_crossing_answer(self) -> None:
        """An answer that crosses our cancel is waste, not an offence."""
        self.start(range(7))
        slow, fast = self.meet_seed(), self.meet_seed()
        fast.hear()
        fast.say(piece_of(blocks_of(7)[0]))
        slow.say(piece_of(blocks_of(7)[0]))
        self.assertEqual(self.swarm.download.wasted, BLOCK_SIZE)
        self.assertEqual(self.member(slow).unasked_blocks, 0)

    def test_stalled_helper(self) -> None:
        """The end does not wait for a peer that holds the last block back."""
        self.start(range(7))
        stalled, good = self.meet_seed(), self.meet_seed()
        stalled.say(*map(piece_of, blocks_of(7)[:2]))
        self.feed(good)
        self.assertTrue(self.store.is_complete)
