"""Each limit on what one peer may use or get wrong: just below it, at it, and one beyond it, where it is counted."""

from __future__ import annotations

from typing import Any

from p2pshare.addresses import Address
from p2pshare.geometry import BLOCK_SIZE
from p2pshare.policy.choker import ChokerSettings
from p2pshare.swarm.settings import PeerLimits
from p2pshare.swarm.snapshot import take_snapshot
from p2pshare.wire import messages
from tests.swarm.fakes import (
    ALL,
    CONTENT,
    PIECE,
    PLAIN,
    ScriptedPeer,
    SwarmTestCase,
    bad_piece_of,
    blocks_of,
    piece_of,
)

UNASKED = messages.Piece(0, 0, bytes(BLOCK_SIZE))
IN_VAIN = messages.Request(0, PIECE, 1)


class PeerLimitsTests(SwarmTestCase):
    """The table ``[peer.limits]``."""

    def begin(self, have: Any = ALL, *, more: dict[str, Any] | None = None, **limits: Any) -> None:
        """Start a swarm with these limits."""
        self.start(have, limits=PeerLimits(**limits), **(more or {}))

    def assert_hits(self, **hits: int) -> None:
        """Make sure that so often, and at no other limit, something was counted; and people are told."""
        self.assertEqual(self.swarm.hits, hits)
        self.assertEqual(take_snapshot(self.swarm, self.clock.seconds()).hits, hits)

    def assert_closes_at(self, limit: int, peer: ScriptedPeer, offence: messages.Message) -> None:
        """Make sure that the peer may do it so often but once, and no more."""
        peer.say(*[offence] * (limit - 1))
        self.assertFalse(peer.is_gone)
        self.assert_hits()
        peer.say(offence)
        self.assertTrue(peer.is_gone)
        peer.say(offence)

    def test_message_size(self) -> None:
        """A message of just the size is read, a larger one closes the connection as soon as its length is known."""
        self.begin(message_size=20_000)
        for size in (19_999, 20_000):
            peer = self.meet_leech()
            peer.send(size.to_bytes(4, "big") + b"\xfe" + bytes(size - 1))
            self.assert_served(peer)
            peer.leave()
        peer = self.meet_leech()
        peer.send((20_001).to_bytes(4, "big") + b"\xfe")
        self.assertTrue(peer.is_gone)
        self.assertEqual(peer.link._commons.hits, {"message_size": 1})

    def test_queued_requests(self) -> None:
        """So many requests wait; with the next we stop listening, until half of them are answered."""
        self.begin(queued_requests=40)
        peer = self.meet_leech()
        peer.reads = False
        wait = [messages.Request(piece, begin, BLOCK_SIZE) for piece in range(5) for begin in range(0, PIECE, 16384)]
        peer.say(*wait)  # these fill the transport
        filled = len(wait) - peer.link.promised
        more = [messages.Request(6, begin, 1) for begin in range(60)]
        room = 40 - peer.link.promised
        peer.say(*more[: room - 1])
        self.assertEqual((peer.link.promised, peer.transport.producerState), (39, "producing"))
        peer.say(more[room - 1])
        self.assertEqual((peer.link.promised, peer.transport.producerState), (40, "producing"))
        self.assert_hits()
        peer.say(more[room])
        self.assertEqual((peer.link.promised, peer.transport.producerState), (40, "paused"))
        self.assert_hits(queued_requests=1)
        peer.reads = True
        heard = peer.hear()
        self.assertIn(messages.Reject(*more[room]), heard)
        self.assertEqual(sum(isinstance(message, messages.Piece) for message in heard), filled + 40)
        self.assertEqual(peer.transport.producerState, "producing")

    def test_open_requests(self) -> None:
        """However fast a peer is, it has so many requests of ours at most."""
        for limit, hits in (
            (30, {"open_requests": 1}),
            (31, {"open_requests": 1}),
            (32, {"open_requests": 1}),
            (33, {}),
        ):
            self.begin((), open_requests=limit)
            peer = self.meet_seed()
            self.assertEqual(len(peer.hear_about(messages.Request)), min(limit, 31))
            self.assert_hits(**hits)

    def test_invalid_requests(self) -> None:
        """The last of so many requests that cannot be served closes the connection."""
        self.begin(invalid_requests=7)
        self.assert_closes_at(7, self.meet_leech(), IN_VAIN)
        self.assert_hits(invalid_requests=1)

    def test_choked_requests(self) -> None:
        """The last of so many requests made while choked closes the connection."""
        self.begin(choked_requests=7)
        self.assert_closes_at(7, self.meet(()), messages.Request(0, 0, BLOCK_SIZE))
        self.assert_hits(choked_requests=1)

    def test_choke_grace(self) -> None:
        """Requests are not held against anybody until the grace is over, that moment included."""
        for after, gone in ((2.9, False), (3.0, False), (3.1, True)):
            self.begin(choked_requests=1, choke_grace=3.0)
            peer = self.meet_leech()
            self.pass_time(1)  # a round of the choker, the last for ten seconds
            self.swarm.upload._choke(self.member(peer))
            self.clock.advance(after)
            peer.say(messages.Request(0, 0, BLOCK_SIZE))
            self.assertEqual(peer.is_gone, gone, after)

    def test_unasked_blocks(self) -> None:
        """The last of so many blocks that nobody asked for closes the connection; none of them is kept."""
        self.begin((0,), unasked_blocks=7)
        peer = self.meet(())
        self.assert_closes_at(7, peer, UNASKED)
        self.assert_hits(unasked_blocks=1)
        self.assertEqual((self.store.buffered, self.swarm.download.wasted), (0, 7 * BLOCK_SIZE))

    def test_ban_time(self) -> None:
        """Whoever sent bad data is kept out for so long."""
        for after, welcome in ((99.0, False), (100.0, True), (101.0, True)):
            self.begin(range(7), ban_time=100.0)
            bad = self.meet_seed()
            bad.say(*map(bad_piece_of, blocks_of(7)))
            self.assertTrue(bad.is_gone)
            self.assert_hits(ban_time=1)
            self.clock.advance(after)
            back = self.connect(peer_id=bad.peer_id, address=bad.address)
            back.greet()
            self.assertEqual(not back.is_gone, welcome, after)

    def test_known_peers(self) -> None:
        """So many addresses are kept, and one more is not."""
        self.begin(known_peers=5)
        addresses = [Address(f"9.9.9.{n}", 6881) for n in range(6)]
        self.dialer.room = False
        for count in (4, 5):
            self.swarm.meeting.heard(addresses[:count], "tracker")
            self.assertEqual(self.swarm.meeting.known, count)
        self.assert_hits()
        self.swarm.meeting.heard(addresses, "tracker")
        self.assertEqual(self.swarm.meeting.known, 5)
        self.assert_hits(known_peers=1)

    def fetch(self, peer: ScriptedPeer, copies: int) -> None:
        """Let a peer take several copies of the content."""
        for _ in range(copies):
            for piece in ALL:
                peer.say(*(messages.Request(*block) for block in blocks_of(piece)))
                self.assertEqual(peer.hear_about(messages.Piece), [piece_of(block) for block in blocks_of(piece)])

    def test_greed(self) -> None:
        """Three copies are nobody's business; the next byte is, and is told in the snapshot."""
        self.begin(greed=3.0)
        peer = self.meet_leech()
        self.fetch(peer, 3)
        self.assertEqual(self.member(peer).remote.upload.total, 3 * len(CONTENT))
        self.assert_hits()
        peer.say(messages.Request(0, 0, 1))
        self.assert_hits(greed=1)
        (shown,) = take_snapshot(self.swarm, 0.0, peers=True).peer_list
        self.assertTrue(shown.greedy)
        self.assertFalse(peer.is_gone)
        self.assert_served(peer)
        self.assert_hits(greed=1)

    def test_ban_greedy(self) -> None:
        """Where that is wanted the greedy one is banned."""
        self.begin(greed=1.0, ban_greedy=True)
        peer, other = self.meet_leech(), self.meet_leech()
        self.fetch(peer, 1)
        self.assertFalse(peer.is_gone)
        peer.say(messages.Request(0, 0, 1))
        self.assertTrue(peer.is_gone)
        self.assert_hits(greed=1, ban_time=1)
        back = self.connect(peer_id=peer.peer_id)
        back.greet()
        self.assertTrue(back.is_gone)
        self.assert_served(other)


class SwarmLimitsTests(SwarmTestCase):
    """Those that stand beside them."""

    def test_max_peers(self) -> None:
        """So many peers are members; the next is counted, whoever goes."""
        self.start(ALL, max_peers=3)
        for members in (1, 2, 3):
            self.meet_leech()
            self.assertEqual((len(self.swarm.members), self.swarm.hits), (members, {}))
        self.meet_leech()
        self.clock.advance(0)
        self.assertEqual((len(self.swarm.members), self.swarm.hits), (3, {"max_peers": 1}))

    def test_request_timeout(self) -> None:
        """A request is given up when it has stood for so long, in the endgame for 20 s at most."""
        self.start(range(6), request_timeout=10.0, pipeline=2)
        silent = self.meet_seed()
        self.assertEqual(len(silent.hear_about(messages.Request)), 2)
        self.pass_time(9)
        self.assertEqual((self.swarm.hits, self.member(silent).remote.snubbed), ({}, False))
        self.pass_time(1)
        self.assertEqual((self.swarm.hits, self.member(silent).remote.snubbed), ({"request_timeout": 2}, True))
        self.pass_time(1)
        self.assertEqual(self.swarm.hits, {"request_timeout": 2})

    def test_memory_limit(self) -> None:
        """With the disk behind by more than the limit nobody is listened to, once counted."""
        self.start(pipeline=4)
        peer = self.meet_seed()
        self.store.is_slow = True
        peer.say(*map(piece_of, peer.hear_about(messages.Request)))
        self.assertEqual((self.swarm.hits, peer.transport.producerState), ({}, "producing"))
        self.store.is_pressed = True
        peer.say(*map(piece_of, peer.hear_about(messages.Request)))
        self.assertEqual((self.swarm.hits, peer.transport.producerState), ({"memory_limit": 1}, "paused"))

    def test_flapping_interest(self) -> None:
        """A peer that changes its mind is answered a few times at once, and then with the next round."""
        self.start(ALL, choker=ChokerSettings(interval=10.0))
        peer, other = self.meet((), reserved=PLAIN), self.meet_leech()
        peer.say(*[messages.Interested(), messages.NotInterested()] * 1000)
        self.assertEqual(peer.hear(), [messages.Unchoke(), messages.Choke()] * 4)
        self.pass_time(10)
        peer.say(messages.Interested())
        self.assertEqual(peer.hear(), [messages.Unchoke()])
        self.assert_served(peer)
        self.assert_served(other)
