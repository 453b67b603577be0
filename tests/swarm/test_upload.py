"""Tests for serving: slots, requests, refusals, and the limits on what a peer may ask of us."""

from p2pshare.geometry import BLOCK_SIZE
from p2pshare.peer.unsent import WINDOW
from p2pshare.policy.choker import ChokerSettings
from p2pshare.swarm.settings import PeerLimits
from p2pshare.wire import bep3, messages
from tests.swarm.fakes import ALL, PIECE, PLAIN, ScriptedPeer, SwarmTestCase, blocks_of, piece_of

FIRST = (0, 0, BLOCK_SIZE)
UNCHOKE = [messages.Unchoke()]


class SlotTests(SwarmTestCase):
    """Who is unchoked."""

    def test_s1_10_at_once(self) -> None:
        """While a slot is free an interested peer is unchoked in the same breath."""
        self.start(ALL)
        peer = self.meet(())
        peer.say(messages.Interested())
        self.assertEqual(peer.hear(), UNCHOKE)

    def test_s1_10_next_round(self) -> None:
        """When all slots are taken a peer waits for a round of the choker."""
        self.start(ALL, choker=ChokerSettings(slots=1, optimistic_slots=1, interval=10.0))
        served = [self.meet_leech() for _ in range(2)]
        waiting = self.meet(())
        waiting.say(messages.Interested())
        self.assertEqual(waiting.hear(), [])
        for _ in range(60):
            self.pass_time(1)
            if waiting.hear_about(messages.Unchoke):
                break
        else:
            self.fail("never unchoked")
        self.assertEqual(sum(bool(peer.hear_about(messages.Choke)) for peer in served), 1)

    def test_free_slot_goes_on(self) -> None:
        """A slot that is given up, by losing interest or by leaving, goes to whoever waits, at once."""
        self.start(ALL, choker=ChokerSettings(slots=1, optimistic_slots=0, min_slots=1))
        one = self.meet_leech()
        two, three = self.meet(()), self.meet(())
        two.say(messages.Interested())
        three.say(messages.Interested())
        one.say(messages.NotInterested())
        self.assertEqual((one.hear(), two.hear(), three.hear()), ([messages.Choke()], UNCHOKE, []))
        two.leave()
        self.assertEqual(three.hear(), UNCHOKE)

    def test_uninterested_is_not_unchoked(self) -> None:
        """Nobody is served who did not ask to be."""
        self.start(ALL)
        peer = self.meet(())
        self.pass_time(60)
        self.assertEqual(peer.hear(), [])

    def test_interest_said_twice(self) -> None:
        """Saying it again changes nothing."""
        self.start(ALL)
        peer = self.meet_leech()
        peer.say(messages.Interested(), messages.Interested())
        self.assertEqual(peer.hear(), [])

    def test_closing_peer_holds_no_slot(self) -> None:
        """A connection that ends does not count for the slots, even before it has ended."""
        self.start(ALL, choker=ChokerSettings(slots=1, optimistic_slots=0, min_slots=1))
        one = self.meet_leech()
        one.link.abort("for some reason")
        two = self.meet(())
        two.say(messages.Interested())
        self.assertEqual(two.hear(), UNCHOKE)


class RequestTests(SwarmTestCase):
    """What is asked, and what comes."""

    def test_s1_11_block(self) -> None:
        """An unchoked peer gets the bytes it asks for; beyond the piece or while choked there is no data."""
        self.start(ALL)
        peer = self.meet(())
        peer.say(messages.Request(3, 0, BLOCK_SIZE))
        self.assertEqual(peer.hear(), [messages.Reject(3, 0, BLOCK_SIZE)])
        peer.say(messages.Interested(), messages.Request(3, 0, BLOCK_SIZE), messages.Request(3, PIECE, BLOCK_SIZE))
        self.assertEqual(
            peer.hear(),
            [messages.Unchoke(), messages.Reject(3, PIECE, BLOCK_SIZE), piece_of((3, 0, BLOCK_SIZE))],
        )

    def test_s1_11_plain_peer(self) -> None:
        """A peer without the fast extension hears nothing of what it cannot get."""
        self.start(ALL)
        peer = self.meet((), reserved=PLAIN)
        peer.say(messages.Request(*FIRST))
        self.assertEqual(peer.hear(), [])
        peer.say(messages.Interested(), messages.Request(0, PIECE, 1), messages.Request(*FIRST))
        self.assertEqual(peer.hear(), [messages.Unchoke(), piece_of(FIRST)])

    def test_blocks_of_a_read_are_one_write(self) -> None:
        """Neighbouring blocks asked for in one read are read from disk together."""
        self.start(ALL)
        peer = self.meet_leech()
        peer.say(*(messages.Request(*block) for block in (*blocks_of(0), *blocks_of(7))))
        self.assertEqual(peer.hear(), [piece_of(block) for block in (*blocks_of(0), *blocks_of(7))])
        self.assertEqual(self.store.reads, [(0, 0, PIECE), (7, 0, 2 * BLOCK_SIZE + 7232)])

    def test_parts_of_blocks(self) -> None:
        """Any run of up to 16 KiB may be asked for, on no particular border."""
        self.start(ALL)
        peer = self.meet_leech()
        peer.say(messages.Request(1, 5, 10), messages.Request(1, PIECE - 1, 1))
        self.assertEqual(peer.hear(), [piece_of((1, 5, 10)), piece_of((1, PIECE - 1, 1))])

    def test_f27_piece_we_lack(self) -> None:
        """A request for a piece we lack is rejected, and the others are served."""
        self.start((0, 1))
        peer, other = self.meet_leech(), self.meet_leech()
        peer.say(messages.Request(5, 0, BLOCK_SIZE))
        self.assertEqual(peer.hear(), [messages.Reject(5, 0, BLOCK_SIZE)])
        self.assert_served(peer)
        self.assert_served(other)

    def test_f26_nonsense(self) -> None:
        """Requests out of range are rejected without a look at the disk."""
        self.start(ALL)
        peer, other = self.meet_leech(), self.meet_leech()
        nonsense = (
            (8, 0, BLOCK_SIZE),  # no such piece
            (2**32 - 1, 0, BLOCK_SIZE),
            (0, PIECE, BLOCK_SIZE),  # behind its end
            (0, PIECE - 1, 2),  # over its end
            (7, 2 * BLOCK_SIZE, BLOCK_SIZE),  # over the end of the short last one
            (0, 2**32 - 1, BLOCK_SIZE),  # the sum does not fit 32 bits
            (0, 0, 0),
            (0, 0, BLOCK_SIZE + 1),
            (0, 0, 2**32 - 1),
        )
        for block in nonsense:
            peer.say(messages.Request(*block))
            self.assertEqual(peer.hear(), [messages.Reject(*block)])
        self.assertEqual(self.store.reads, [])
        self.assert_served(peer)
        self.assert_served(other)

    def test_f26_too_many(self) -> None:
        """The 300th request that cannot be served closes the connection; others go on."""
        self.start((0,))
        peer, other = self.meet_leech(), self.meet_leech()
        peer.say(*[messages.Request(5, 0, BLOCK_SIZE)] * 299)
        self.assertFalse(peer.is_gone)
        self.assert_served(peer)
        peer.say(messages.Request(5, 0, 0))
        self.assertTrue(peer.is_gone)
        self.assertEqual(list(self.swarm.members.values()), [self.member(other)])
        self.assert_served(other)

    def test_f30_unknown_cancel(self) -> None:
        """A cancel of what was never asked, or is sent already, is ignored."""
        self.start(ALL)
        peer, other = self.meet_leech(), self.meet_leech()
        peer.say(messages.Cancel(*FIRST), messages.Cancel(99, 5, 7))
        self.assertEqual(peer.hear(), [])
        self.assert_served(peer)
        peer.say(messages.Cancel(*FIRST))
        self.assertEqual(peer.hear(), [])
        self.assert_served(peer)
        self.assert_served(other)

    def test_cancel(self) -> None:
        """A cancelled block is not sent; with the fast extension that is confirmed by a reject (BEP 6)."""
        for reserved, confirmed in ((bep3.RESERVED, [messages.Reject(*FIRST)]), (PLAIN, [])):
            self.start(ALL)
            peer = self.meet_leech(reserved=reserved)
            peer.say(messages.Request(*FIRST), messages.Cancel(*FIRST))
            self.assertEqual(peer.hear(), confirmed)


class ChokeTests(SwarmTestCase):
    """Taking a slot away."""

    def choke(self, peer: ScriptedPeer) -> None:
        """Choke a peer right after a round of the choker."""
        self.pass_time(1)
        self.swarm.upload._choke(self.member(peer))

    def test_choke_drops_what_waits(self) -> None:
        """What was asked and not sent is dropped, and rejected where the fast extension is spoken."""
        for reserved in (bep3.RESERVED, PLAIN):
            self.start(ALL)
            peer = self.meet_leech(reserved=reserved)
            peer.reads = False
            wanted = [block for piece in range(5) for block in blocks_of(piece)]
            peer.say(*(messages.Request(*block) for block in wanted))
            self.choke(peer)
            peer.reads = True
            heard = peer.hear()
            sent = sum(isinstance(message, messages.Piece) for message in heard)
            self.assertLess(sent, len(wanted))
            rejected = [messages.Reject(*block) for block in wanted[sent:]]
            self.assertEqual(heard[sent:], [messages.Choke(), *(rejected if reserved != PLAIN else [])])

    def test_f29_grace(self) -> None:
        """Requests that crossed our choke are rejected and not held against anybody for two seconds."""
        self.start(ALL)
        peer, other = self.meet_leech(), self.meet_leech()
        self.choke(peer)
        peer.hear()
        self.clock.advance(2.0)
        peer.say(*[messages.Request(*FIRST)] * 100)
        self.assertEqual(peer.hear(), [messages.Reject(*FIRST)] * 100)
        self.assertFalse(peer.is_gone)
        self.assert_served(other)

    def test_f29_too_many(self) -> None:
        """After that, the 50th closes the connection; nothing was read from disk, and others are served."""
        self.start(ALL)
        peer, other = self.meet_leech(), self.meet_leech()
        self.choke(peer)
        peer.hear()
        self.clock.advance(2.5)
        peer.say(*[messages.Request(*FIRST)] * 49)
        self.assertEqual(peer.hear(), [messages.Reject(*FIRST)] * 49)
        self.assertFalse(peer.is_gone)
        peer.say(messages.Request(*FIRST))
        self.assertTrue(peer.is_gone)
        self.assertEqual(self.store.reads, [])
        self.assert_served(other)

    def test_f29_never_unchoked(self) -> None:
        """Who was never unchoked has no grace."""
        self.start(ALL)
        peer = self.meet(())
        peer.say(*[messages.Request(*FIRST)] * 50)
        self.assertTrue(peer.is_gone)

    def test_f29_forgotten(self) -> None:
        """An unchoke wipes the slate."""
        self.start(ALL)
        peer = self.meet(())
        peer.say(*[messages.Request(*FIRST)] * 49, messages.Interested(), *[messages.Request(*FIRST)] * 49)
        self.assertFalse(peer.is_gone)
        self.assert_served(peer)


class DeepQueueTests(SwarmTestCase):
    """A peer that asks for more than it takes."""

    def flood(self, peer: ScriptedPeer, count: int) -> list[tuple[int, int, int]]:
        """Ask for many different parts of the content, as many in one read as a read may hold."""
        wanted = [(n % 7, n // 7, 7000) for n in range(count)]
        for start in range(0, count, 5000):
            peer.say(*(messages.Request(*block) for block in wanted[start : start + 5000]))
        return wanted

    def test_f28_never_reads(self) -> None:
        """
        Ten thousand requests of a peer that never reads.

        2,000 wait, the others are rejected; 256 KiB are read from disk for it; we read no more from it, and others are
        served.
        """
        self.start(ALL)
        peer, other = self.meet_leech(), self.meet_leech()
        peer.reads = False
        self.flood(peer, 10_000)
        self.assertEqual(peer.transport.producerState, "paused")
        self.assertLessEqual(peer.link.promised, 2000)
        self.assertLessEqual(sum(length for _, _, length in self.store.reads), WINDOW)
        self.assertLessEqual(len(peer.transport.value()), WINDOW + 10_000 * 17)
        self.assert_served(other)
        self.assertFalse(peer.is_gone)
        for _ in range(400):  # it says nothing, as we do not listen; and it still does not read
            self.clock.advance(1.0)
            other.say(messages.KeepAlive())
        self.assertTrue(peer.is_gone)
        self.assert_served(other)

    def test_f28_reads_after_all(self) -> None:
        """Every request of a deep queue is answered once, with its block or a reject, and we listen again."""
        self.start(ALL)
        peer = self.meet_leech()
        peer.reads = False
        wanted = self.flood(peer, 5_000)
        self.assertEqual(peer.transport.producerState, "paused")
        peer.reads = True
        heard = peer.hear()
        rejected = [tuple(message) for message in heard if isinstance(message, messages.Reject)]
        sent = [(m.index, m.begin, len(m.data)) for m in heard if isinstance(m, messages.Piece)]
        self.assertEqual(sorted(sent + rejected), sorted(wanted))
        self.assertGreaterEqual(len(sent), 2000)
        self.assertEqual(peer.transport.producerState, "producing")
        self.assert_served(peer)

    def test_f28_plain_peer(self) -> None:
        """Without the fast extension nothing is dropped silently: twice as many are kept, then the connection ends."""
        self.start(ALL)
        peer = self.meet_leech(reserved=PLAIN)
        peer.reads = False
        wanted = self.flood(peer, 3_000)
        self.assertEqual(peer.transport.producerState, "paused")
        peer.reads = True
        self.assertEqual(peer.hear(), [piece_of(block) for block in wanted])
        self.assertEqual(peer.transport.producerState, "producing")
        peer.reads = False
        self.flood(peer, 5_000)
        self.assertTrue(peer.is_gone)

    def test_limit(self) -> None:
        """At the limit we still listen; the next request is one too many."""
        self.start(ALL, limits=PeerLimits(queued_requests=10))
        peer = self.meet_leech()
        wanted = [messages.Request(0, n, 1) for n in range(11)]
        peer.say(*wanted[:10])
        self.assertEqual(peer.transport.producerState, "producing")
        self.assertEqual(len(peer.hear()), 10)
        peer.say(*wanted)
        self.assertEqual(peer.hear()[0], messages.Reject(0, 10, 1))
        self.assertEqual(peer.transport.producerState, "producing")

    def test_choked_while_held(self) -> None:
        """A choke empties the queue, so we listen again."""
        self.start(ALL, limits=PeerLimits(queued_requests=40))
        peer = self.meet_leech()
        peer.reads = False
        peer.say(*(messages.Request(piece, n, BLOCK_SIZE) for piece in range(5) for n in range(10)))
        self.assertEqual(peer.transport.producerState, "paused")
        self.swarm.upload._choke(self.member(peer))
        self.assertEqual(peer.transport.producerState, "producing")

    def test_same_block_again_and_again(self) -> None:
        """A block asked for a thousand times while it waits is one promise."""
        self.start(ALL)
        peer = self.meet_leech()
        peer.say(*[messages.Request(*FIRST)] * 1000)
        self.assertEqual(peer.hear(), [piece_of(FIRST)])
