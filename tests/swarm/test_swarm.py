"""Tests for a torrent's life, and for what its peers say out of turn."""

from twisted.internet.defer import Deferred

from p2pshare.errors import StorageError
from p2pshare.swarm.events import Event, State, StateChanged
from p2pshare.wire import bep3, messages
from tests.swarm.fakes import ALL, PIECES, PLAIN, ScriptedPeer, SwarmTestCase, blocks_of, piece_of


class LifeTests(SwarmTestCase):
    """From start to stop."""

    def states(self) -> list[State]:
        """The states entered so far."""
        return [event.state for event in self.events if isinstance(event, StateChanged)]

    def test_seed(self) -> None:
        """Complete content is checked, announced and served."""
        swarm = self.prepare(ALL)
        swarm.startService()
        self.assertEqual(self.states(), [State.CHECKING, State.SEEDING])
        self.assertEqual((swarm.completed_at, swarm.checked), (0.0, 1.0))
        self.assertEqual(self.discovery.events, ["started"])

    def test_leech(self) -> None:
        """Incomplete content is downloaded; what is there is not fetched again."""
        swarm = self.prepare((0, 1))
        swarm.startService()
        self.assertEqual(self.states(), [State.CHECKING, State.DOWNLOADING])
        self.assertIsNone(swarm.completed_at)
        asked = self.feed(self.meet_seed())
        self.assertEqual({index for index, _, _ in asked}, set(range(2, PIECES)))

    def test_seed_only(self) -> None:
        """Where nothing may be written, missing data is an error, and nobody is told that we are here."""
        swarm = self.prepare((0, 1), seed_only=True)
        swarm.startService()
        self.assertEqual(self.states(), [State.CHECKING, State.FAILED])
        self.assertIn("6 of 8 pieces are missing", str(swarm.error))
        self.assertEqual(self.discovery.events, [])

    def test_check_fails(self) -> None:
        """A disk that cannot be checked is an error for people."""
        swarm = self.prepare()
        self.store.checking = Deferred()
        swarm.startService()
        self.store.checking.errback(StorageError("/there: permission denied"))
        self.assertEqual(self.states(), [State.CHECKING, State.FAILED])
        self.assertEqual(str(swarm.error), "/there: permission denied")
        self.successResultOf(swarm.stopService())

    def test_stop(self) -> None:
        """Stopping parts from everybody, says goodbye to trackers, closes the store, and leaves no timer behind."""
        self.start(ALL)
        peers = [self.meet_leech(), self.meet(())]
        stopping = self.swarm.stopService()
        self.assertTrue(all(peer.transport.disconnecting for peer in peers))
        self.assertNoResult(stopping)  # not before the connections are gone
        self.clock.advance(0)
        self.successResultOf(stopping)
        self.assertEqual(self.states(), [State.STOPPED])
        self.assertEqual(self.discovery.events, ["started", "stopped"])
        self.failureResultOf(self.store.check(), StorageError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_waits_for_goodbye(self) -> None:
        """The store stays open until the trackers were told."""
        self.start(ALL)
        self.discovery.goodbye = Deferred()
        stopping = self.swarm.stopService()
        self.assertNoResult(stopping)
        self.assertEqual(self.states(), [])
        self.discovery.goodbye.callback(None)
        self.successResultOf(stopping)

    def test_stop_twice(self) -> None:
        """A second stop waits for the first and does nothing else."""
        self.start(ALL)
        self.discovery.goodbye = Deferred()
        first, second = self.swarm.stopService(), self.swarm.stopService()
        self.assertNoResult(second)
        self.discovery.goodbye.callback(None)
        self.successResultOf(first)
        self.successResultOf(second)
        self.successResultOf(self.swarm.stopService())
        self.assertEqual(self.states(), [State.STOPPED])
        self.assertEqual(self.discovery.events, ["started", "stopped"])

    def test_stop_during_check(self) -> None:
        """A check that is broken off is no failure, and nothing begins after it."""
        for result in (None, StorageError("closed before it was checked to the end")):
            self.setUp()
            swarm = self.prepare(ALL)
            checking: Deferred[None] = Deferred()
            self.store.checking = checking
            swarm.startService()
            stopping = swarm.stopService()
            checking.callback(None) if result is None else checking.errback(result)
            self.successResultOf(stopping)
            self.assertEqual(self.states(), [State.CHECKING, State.STOPPED])
            self.assertEqual(self.discovery.events, ["stopped"])
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_before_start(self) -> None:
        """A swarm that never ran can be stopped."""
        swarm = self.prepare()
        self.successResultOf(swarm.stopService())
        self.assertEqual(self.states(), [State.STOPPED])

    def test_start_after_stop(self) -> None:
        """It runs once: its store is closed, and it says so."""
        swarm = self.start(ALL)
        self.successResultOf(swarm.stopService())
        swarm.startService()
        self.assertEqual(self.states(), [State.STOPPED, State.CHECKING, State.FAILED])
        self.assertIn("closed", str(swarm.error))
        self.assertTrue(self.connect_and_greet().is_gone)
        self.successResultOf(swarm.stopService())

    def connect_and_greet(self) -> ScriptedPeer:
        """A peer right after its handshake."""
        peer = self.connect()
        peer.greet()
        return peer

    def test_stopped_by_a_subscriber(self) -> None:
        """Whoever hears that it is complete may stop it there and then."""
        swarm = self.prepare(ALL)

        def stop(event: Event) -> None:
            if event == StateChanged(State.SEEDING):
                self.stopping = swarm.stopService()

        swarm.subscribe(stop)
        swarm.startService()
        self.successResultOf(self.stopping)
        self.assertEqual(self.discovery.events, ["started", "stopped"])
        self.assertTrue(self.connect_and_greet().is_gone)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_while_a_piece_is_sealed(self) -> None:
        """The piece that was being written counts; nothing is said to connections that are gone."""
        self.start(range(7))
        seed = self.meet_seed()
        self.store.is_slow = True
        seed.say(*map(piece_of, blocks_of(7)))
        self.discovery.goodbye = Deferred()
        stopping = self.swarm.stopService()
        self.clock.advance(0)
        self.store.catch_up()
        self.discovery.goodbye.callback(None)
        self.successResultOf(stopping)
        self.assertTrue(self.store.is_complete)
        self.assertEqual(self.states()[-1], State.STOPPED)


class OutOfTurnTests(SwarmTestCase):
    """What closes a connection, and only that one."""

    def assert_closes(self, peer: ScriptedPeer, *said: messages.Message) -> None:
        """Make sure that these words end a connection and disturb no other."""
        other = self.meet_leech()
        peer.say(*said)
        self.assertTrue(peer.is_gone)
        self.assertNotIn(peer.link, self.swarm._links)
        self.assert_served(other)
        other.leave()

    def test_f24_bitfield(self) -> None:
        """A bitfield that is too short or long, comes twice, or takes pieces back; have_all and have_none too late."""
        self.start(ALL)
        for said in (
            [messages.Bitfield(b"")],
            [messages.Bitfield(b"\xf0\0")],
            [messages.Bitfield(b"\xf0"), messages.Bitfield(b"\xf0")],
            [messages.Bitfield(b"\xf0"), messages.Bitfield(b"\x7f")],
            [messages.HaveAll(), messages.Bitfield(b"\xf0")],
            [messages.Interested(), messages.HaveAll()],
            [messages.Interested(), messages.HaveNone()],
        ):
            self.assert_closes(self.connect_and_greet(), *said)

    def connect_and_greet(self, reserved: bytes = bep3.RESERVED) -> ScriptedPeer:
        """A peer right after its handshake."""
        peer = self.connect(reserved=reserved)
        peer.greet()
        return peer

    def test_f24_copies_stay_exact(self) -> None:
        """What such a peer had said it holds is forgotten with it."""
        self.start((0,))
        peer = self.meet(range(4))
        self.assertEqual([self.swarm.interest._copies.copies(piece) for piece in (0, 5)], [1, 0])  # type: ignore[attr-defined]
        peer.say(messages.Bitfield(b"\x0f"))
        self.assertTrue(peer.is_gone)
        self.assertEqual(self.swarm.interest._copies.copies(0), 0)  # type: ignore[attr-defined]

    def test_f25_have_out_of_range(self) -> None:
        """A have for a piece that does not exist."""
        self.start(ALL)
        for index in (PIECES, 2**32 - 1):
            self.assert_closes(self.connect_and_greet(), messages.Have(index))

    def test_fast_messages_nobody_agreed_on(self) -> None:
        """Words of the fast extension from a peer that did not offer it (BEP 6)."""
        self.start(ALL)
        for said in (messages.HaveNone(), messages.Reject(0, 0, 1), messages.AllowedFast(0), messages.Suggest(0)):
            self.assert_closes(self.connect_and_greet(PLAIN), said)

    def test_f22_huge_message(self) -> None:
        """A length beyond all limits."""
        self.start(ALL)
        other = self.meet_leech()
        for prefix in (b"\xff\xff\xff\xff", b"\0\x10\0\0", b"\0\0\x40\x0a\7"):
            peer = self.connect_and_greet()
            peer.send(prefix)
            self.assertTrue(peer.is_gone)
        self.assert_served(other)

    def test_f40_unknown_messages(self) -> None:
        """Unknown messages and extensions are passed over, and the connection goes on."""
        self.start(ALL)
        peer = self.meet_leech()
        peer.send(b"\0\0\0\1\x63" + b"\0\0\0\5\xfeabcd" + b"\0\0\0\3\x14\x07x" + b"\0\0\0\3\x09\x1a\xe1")
        peer.say(messages.Suggest(1), messages.AllowedFast(2), messages.ExtendedHandshake(ids={b"ut_unheard_of": 9}))
        self.assert_served(peer)

    def test_allowed_fast_flood(self) -> None:
        """Pieces that we may ask for while choked, which we never do, take no memory."""
        self.start(ALL)
        peer = self.meet_leech()
        peer.say(*[messages.AllowedFast(piece) for piece in ALL] * 10_000)
        self.assert_served(peer)
        self.assertEqual(self.member(peer).remote.allowed_fast, set())

    def test_f39_odd_extension_handshake(self) -> None:
        """Each bad field of an extension handshake is ignored, and the connection goes on."""
        self.start(ALL)
        peer = self.meet_leech()
        payload = b"\x14\0d1:m3:abc4:reqqi-1e1:v70:" + b"v" * 70 + b"e"
        peer.send(len(payload).to_bytes(4, "big") + payload)
        self.assert_served(peer)
        remote = self.member(peer).remote
        self.assertGreater(remote.reqq, 0)
        self.assertLessEqual(len(remote.client), 64)

    def test_f41_silence(self) -> None:
        """A peer that says nothing for two minutes is let go; one that sends keep-alives stays."""
        self.start(ALL)
        silent, other = self.meet_leech(), self.meet_leech()
        for _ in range(25):
            self.pass_time(5)
            other.say(messages.KeepAlive())
            other.hear()
            silent.hear()
        self.assertTrue(silent.is_gone)
        self.assert_served(other)

    def test_lost_peer_leaves_nothing(self) -> None:
        """After everybody has gone the swarm knows nobody, and no piece has a copy."""
        self.start((0, 1, 2))
        peers = [self.meet_seed(), self.meet_leech((0, 5)), self.meet(())]
        for peer in peers:
            peer.leave()
        self.assertEqual((self.swarm.members, self.swarm._links, self.swarm.ledger._books.accounts), ({}, {}, {}))
        self.assertEqual([self.swarm.interest._copies.copies(piece) for piece in ALL], [0] * PIECES)  # type: ignore[attr-defined]
        self.assertEqual((self.swarm.ledger.started, self.store.buffered), (0, 0))
