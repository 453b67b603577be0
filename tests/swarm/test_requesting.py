"""Tests for asking peers for blocks, and for peers that do not answer or say no."""

from p2pshare.geometry import BLOCK_SIZE
from p2pshare.wire import bep3, messages
from tests.swarm.fakes import (
    ALL,
    CONTENT,
    PIECES,
    PLAIN,
    Block,
    ScriptedPeer,
    SwarmTestCase,
    blocks_of,
    piece_of,
    requests_in,
)


class RequestingTests(SwarmTestCase):
    """What is asked of whom."""

    def asked(self, peer: ScriptedPeer) -> list[Block]:
        """The requests a peer got since the last time."""
        return requests_in(peer.hear())

    def test_s1_12_order(self) -> None:
        """The blocks of a piece are asked for in order, the last one as short as it is."""
        self.start(range(7))
        peer = self.meet_seed()
        self.assertEqual(self.asked(peer), [(7, 0, 16384), (7, 16384, 16384), (7, 32768, 7232)])

    def test_s1_12_pipeline_of_one(self) -> None:
        """With pipeline = 1 there is never more than one request outstanding."""
        self.start(range(6), pipeline=1)
        peer = self.meet_seed()
        order = []
        while asked := self.asked(peer):
            self.assertEqual(len(asked), 1)
            order += asked
            peer.say(piece_of(asked[0]))
        self.assertEqual(sorted(order), blocks_of(6) + blocks_of(7))
        self.assertEqual([begin for index, begin, _ in order if index == 6], [0, 16384, 32768, 49152])
        self.assertEqual(self.store.content, CONTENT)

    def test_s1_12_pipeline_of_five(self) -> None:
        """With pipeline = 5 there are up to five, and each answer is followed by one more."""
        self.start(pipeline=5)
        peer = self.meet_seed()
        outstanding = self.asked(peer)
        self.assertEqual(len(outstanding), 5)
        while outstanding:
            self.assertLessEqual(len(outstanding), 5)
            peer.say(piece_of(outstanding.pop(0)))
            outstanding += self.asked(peer)
        self.assertEqual(self.store.content, CONTENT)

    def test_one_write(self) -> None:
        """Everything one read makes us ask for goes out in one write."""
        self.start()
        peer = self.meet(ALL)
        writes: list[bytes] = []
        peer.transport.write = writes.append  # type: ignore[method-assign]
        peer.say(messages.Unchoke())
        self.assertEqual(len(writes), 1)
        self.assertGreater(len(writes[0]), 20 * 17)

    def test_not_while_choked(self) -> None:
        """Nothing is asked before the unchoke, nor of a peer that has nothing we lack."""
        self.start((0,))
        peer, poor = self.meet(ALL), self.meet((0,))
        poor.say(messages.Unchoke())
        self.assertEqual((self.asked(peer), self.asked(poor)), ([], []))

    def test_unchoke_before_bitfield(self) -> None:
        """An unchoke from a peer that has nothing yet counts as soon as it has something."""
        self.start()
        peer = self.meet()
        peer.say(messages.Unchoke(), messages.Have(3))
        self.assertEqual(peer.hear(), [messages.Interested(), *(messages.Request(*block) for block in blocks_of(3))])

    def test_s1_14_have(self) -> None:
        """A peer that gets a piece we lack hears that we are interested, and after its unchoke our requests."""
        self.start()
        peer = self.meet(())
        peer.say(messages.Have(2))
        self.assertEqual(peer.hear(), [messages.Interested()])
        peer.say(messages.Unchoke())
        self.assertEqual(self.asked(peer), blocks_of(2))

    def test_f25_have_floods(self) -> None:
        """A have for a piece that does not exist closes; a hundred thousand repeated ones are nothing to us."""
        self.start((0,))
        peer, flooder, other = self.meet(()), self.meet(()), self.meet_leech()
        flooder.say(*[messages.Have(1)] * 100_000)
        self.assertEqual(flooder.hear(), [messages.Interested()])
        self.assertEqual(self.member(flooder).wanted, 1)
        peer.say(messages.Have(PIECES))
        self.assertTrue(peer.is_gone)
        self.assertFalse(flooder.is_gone)
        self.assert_served(other)

    def test_two_peers_share_the_work(self) -> None:
        """No block is asked of two peers while others are free."""
        self.start(pipeline=4)
        one, two = self.meet_seed(), self.meet_seed()
        asked = self.asked(one) + self.asked(two)
        self.assertEqual(len(asked), len(set(asked)))
        self.assertEqual(len({index for index, _, _ in asked}), 2)


class ReluctantPeerTests(SwarmTestCase):
    """Peers that do not answer, or say no."""

    def test_f37_silent_after_unchoke(self) -> None:
        """A peer that stops sending is snubbed after the timeout, and its blocks are asked of others."""
        self.start(range(7))
        silent = self.meet_seed()
        self.assertEqual(len(silent.hear_about(messages.Request)), 3)
        good = self.meet_seed()
        asked = []
        for _ in range(70):
            self.pass_time(1)
            asked += self.feed(good)
        self.assertTrue(self.store.is_complete)
        self.assertEqual(sorted(asked), blocks_of(7))

    def test_f37_snubbed(self) -> None:
        """With nobody else there the silent peer is asked for one block at a time until it answers."""
        self.start(range(6), request_timeout=60.0)
        silent = self.meet_seed()
        asked = silent.hear_about(messages.Request)
        self.pass_time(62)
        remote = self.member(silent).remote
        self.assertTrue(remote.snubbed)
        retried = silent.hear_about(messages.Request)
        self.assertEqual(len(retried), 1)
        silent.say(piece_of(retried[0]))
        self.assertFalse(remote.snubbed)
        self.assertGreater(len(silent.hear_about(messages.Request)), 1)
        self.assertGreater(len(asked), 1)

    def test_f38_choke_storm(self) -> None:
        """A hundred chokes and unchokes a second, for ten seconds, bring no storm of requests, and harm no other."""
        for reserved in (bep3.RESERVED, PLAIN):
            self.start(pipeline=8)
            storm, other = self.meet(ALL, reserved=reserved), self.meet_seed()
            requests = 0
            for _ in range(1000):
                storm.say(messages.Unchoke(), messages.Choke())
                requests += len(storm.hear_about(messages.Request))
                self.clock.advance(0.01)
            self.assertLess(requests, 100)
            self.feed(other)
            self.pass_time(130)  # what the storm still owes is given up
            self.feed(other)
            self.assertTrue(self.store.is_complete)

    def test_choke_said_again(self) -> None:
        """A choke repeated to a choked peer, as libtorrent does it, is not one more unkept promise."""
        self.start(pipeline=4)
        peer = self.meet(ALL)
        peer.say(*[messages.Choke()] * 50, messages.Unchoke())
        self.assertEqual(len(peer.hear_about(messages.Request)), 4)

    def test_plain_choke_gives_blocks_back(self) -> None:
        """A choke without the fast extension undoes our requests: an idle peer gets them in the same moment."""
        self.start(range(7))
        one = self.meet_seed(reserved=PLAIN)
        self.assertEqual(requests_in(one.hear()), blocks_of(7))
        two, three = self.meet_seed(), self.meet_seed()
        self.assertEqual((len(two.hear_about(messages.Request)), three.hear_about(messages.Request)), (3, []))
        one.say(messages.Choke())
        self.assertEqual(sorted(requests_in(three.hear())), blocks_of(7))

    def test_rejects_go_to_others(self) -> None:
        """What a choked fast peer rejects is asked of an idle one in the same moment."""
        self.start(range(7))
        one = self.meet_seed()
        self.assertEqual(requests_in(one.hear()), blocks_of(7))
        two, three = self.meet_seed(), self.meet_seed()
        self.assertEqual((len(two.hear_about(messages.Request)), three.hear_about(messages.Request)), (3, []))
        one.say(messages.Choke())
        self.assertEqual(requests_in(three.hear()), [])
        one.say(*(messages.Reject(*block) for block in blocks_of(7)))
        self.assertEqual(sorted(requests_in(three.hear())), blocks_of(7))

    def test_all_rejected(self) -> None:
        """A peer that rejects everything and never chokes is asked less and less, and never given up for ever."""
        self.start(range(7))
        peer = self.meet_seed()
        requests = 0
        for _ in range(60):
            refused = peer.hear_about(messages.Request)
            requests += len(refused)
            peer.say(*(messages.Reject(*request) for request in refused))
            self.pass_time(1)
        self.assertLess(requests, 60)
        self.pass_time(31)
        self.assertEqual(set(self.feed(peer)), set(blocks_of(7)))
        self.assertTrue(self.store.is_complete)

    def test_reject_of_what_was_not_asked(self) -> None:
        """It changes nothing."""
        self.start(range(7))
        peer = self.meet_seed()
        peer.say(messages.Reject(7, 0, 1), messages.Reject(3, 0, BLOCK_SIZE), messages.Reject(99, 5, 1))
        self.assertEqual(self.feed(peer), blocks_of(7))

    def test_never_unchokes(self) -> None:
        """A peer that never unchokes costs nothing and keeps nothing from others."""
        self.start()
        miser = self.meet(ALL)
        good = self.meet_seed()
        self.feed(good)
        self.assertTrue(self.store.is_complete)
        self.assertEqual(miser.hear_about(messages.Request), [])

    def test_leaves_with_requests(self) -> None:
        """What a peer that leaves was asked for is asked of an idle one in the same moment."""
        self.start(range(7))
        one = self.meet_seed()
        self.assertEqual(len(one.hear_about(messages.Request)), 3)
        two, three = self.meet_seed(), self.meet_seed()  # two helps at the end, three has nothing to do
        self.assertEqual((len(two.hear_about(messages.Request)), three.hear_about(messages.Request)), (3, []))
        one.leave()
        self.assertEqual(sorted(requests_in(three.hear())), blocks_of(7))

    def test_closing_peer_is_asked_nothing(self) -> None:
        """Blocks are not entrusted to a connection that is being closed."""
        self.start(range(7))
        one = self.meet(ALL)
        one.link.abort("for some reason")
        self.member(one).remote.got_unchoke()
        self.swarm.download.ask(self.member(one))
        self.assertEqual(self.swarm.ledger.outstanding(self.member(one).remote), 0)

    def test_f49_reset_mid_message(self) -> None:
        """A connection that breaks in the middle of a block leaves no trace: its requests are free again."""
        self.start(range(7))
        one, other = self.meet_seed(), self.meet_leech()
        requests = one.hear_about(messages.Request)
        one.say(piece_of(requests[0]))
        one.send(bep3.encode(piece_of(requests[1]))[:1000])
        one.leave()
        self.assert_served(other)
        self.assertEqual(self.swarm.ledger._books.accounts, {})
        again = self.meet_seed()
        self.assertEqual(sorted(self.feed(again)), blocks_of(7)[1:])
        self.assertEqual(self.store.content, CONTENT)

    def test_f49_every_cut(self) -> None:
        """Wherever a connection breaks, the rest comes from the next one, and no block is fetched twice."""
        stream = b"".join(bep3.encode(piece_of(block)) for block in blocks_of(7))
        for cut in range(1, len(stream), 1009):
            self.start(range(7))
            one = self.meet_seed()
            one.hear()
            one.send(stream[:cut])
            one.leave()
            two = self.meet_seed()
            whole = sum(cut >= end for end in (16397, 32794, len(stream)))
            self.assertEqual(sorted(self.feed(two)), blocks_of(7)[whole:])
            self.assertTrue(self.store.is_complete)
