"""Tests for who is let in, who is dialled, and who is kept out."""

from p2pshare.addresses import Address
from p2pshare.policy.candidates import BACKOFF
from p2pshare.policy.choker import ChokerSettings
from p2pshare.swarm.meeting import TRIAL, TURNOVER
from p2pshare.wire import bep3, messages
from tests.fakes import OUR_ID
from tests.swarm.fakes import ALL, ScriptedPeer, SwarmTestCase, piece_of

SMALLER_ID, LARGER_ID = b"+" * 20, b"~" * 20  # than ours


class AdmissionTests(SwarmTestCase):
    """Who may stay."""

    def arrive(self, peer: ScriptedPeer) -> bool:
        """Let a peer greet, and tell whether it is still there."""
        peer.greet()
        return not peer.is_gone

    def test_f21_ourselves(self) -> None:
        """Who greets with our own peer_id is ourselves: the connection ends."""
        self.start(ALL)
        other = self.meet_leech()
        self.assertFalse(self.arrive(self.connect(peer_id=OUR_ID)))
        self.assertEqual(len(self.swarm.members), 1)
        self.assert_served(other)

    def test_f21_address_is_remembered(self) -> None:
        """When we dialled it ourselves, the address is ours, and never dialled again."""
        self.start()
        address = Address("9.9.9.9", 6881)
        self.swarm.meeting.heard([address], "tracker")
        self.assertEqual(self.dialer.dialled, [address])
        self.assertFalse(self.arrive(self.connect(peer_id=OUR_ID, address=address, dialled=True)))
        self.swarm.meeting.heard([address], "tracker")
        self.pass_time(7200)
        self.assertEqual(self.dialer.dialled, [address])
        self.assertEqual(self.swarm.meeting.known, 0)

    def test_f21_other_end(self) -> None:
        """The accepting end answers with our handshake, or the dialling one would never know whom it has called."""
        self.start()
        peer = self.connect(peer_id=OUR_ID)
        peer.greet()
        self.assertEqual(peer.transport.value()[48:68], OUR_ID)
        self.assertTrue(peer.is_gone)

    def of_use(self) -> ScriptedPeer:
        """A peer that took a block."""
        peer = self.meet_leech()
        self.assert_served(peer)
        return peer

    def test_max_peers(self) -> None:
        """A swarm that is full of peers that are of use takes nobody in, until somebody leaves."""
        self.start(ALL, max_peers=2)
        one = self.of_use()
        self.assertTrue(self.arrive(self.connect()))
        self.swarm.members.copy().popitem()[1].link.abort("was never of use")
        self.clock.advance(0)
        two = self.of_use()
        self.assertEqual(self.swarm.hits, {})
        self.assertFalse(self.arrive(self.connect()))
        self.assertEqual(self.swarm.hits, {"max_peers": 1})
        self.assertFalse(two.is_gone)
        one.leave()
        self.assertTrue(self.arrive(self.connect()))

    def test_f47_oldest_unproven_goes_first(self) -> None:
        """A newcomer to a full swarm takes the place of the oldest peer that never sent or took a block."""
        self.start(ALL, max_peers=4)
        useful, idle, idle_too, useful_too = self.of_use(), self.meet(()), self.meet((1,)), self.of_use()
        self.assertTrue(self.arrive(self.connect()))
        self.assertTrue(idle.is_gone)
        self.assertTrue(self.arrive(self.connect()))
        self.assertTrue(idle_too.is_gone)
        self.assertEqual(len(self.swarm.members), 4)
        self.assert_served(useful)
        self.assert_served(useful_too)

    def test_f47_who_sent_a_block_stays(self) -> None:
        """While we lack something, whoever sent a part of it is of use."""
        self.start(max_peers=2, pipeline=1)
        giver, idle = self.meet_seed(), self.meet(())
        (request,) = giver.hear_about(messages.Request)
        giver.say(piece_of(request))
        self.assertTrue(self.arrive(self.connect()))
        self.assertEqual((giver.is_gone, idle.is_gone), (False, True))

    def test_f47_who_had_no_chance_goes_last(self) -> None:
        """A peer that still waits for its first unchoke is not useless: it had no chance yet."""
        self.start(ALL, max_peers=3, choker=ChokerSettings(slots=1, optimistic_slots=0, min_slots=1))
        served, waiting, idle = self.of_use(), self.meet(()), self.meet(())
        waiting.say(messages.Interested())
        self.assertTrue(self.arrive(self.connect()))
        self.assertEqual([peer.is_gone for peer in (served, waiting, idle)], [False, False, True])
        self.assertTrue(self.arrive(self.connect()))
        self.assertEqual([peer.is_gone for peer in (served, waiting)], [False, False])

    def test_f47_a_thousand(self) -> None:
        """A thousand connections that are good for nothing keep nobody from being served, nor newcomers out."""
        self.start(ALL, max_peers=10)
        useful = [self.of_use() for _ in range(4)]
        for _ in range(1000):
            self.meet((0,))
        self.clock.advance(0)
        self.assertEqual(len(self.swarm.members), 10)
        late = self.meet_leech()
        for peer in (*useful, late):
            self.assert_served(peer)

    def test_same_peer_again(self) -> None:
        """A second connection of a peer that is here is refused, without a word."""
        self.start()
        peer = self.meet(())
        self.pass_time(10)
        second = self.connect(peer_id=peer.peer_id)
        self.assertFalse(self.arrive(second))
        self.assertEqual(second.transport.value(), b"")
        self.assertFalse(peer.is_gone)
        self.assertEqual(len(self.swarm.members), 1)

    def test_both_dialled(self) -> None:
        """Of two connections dialled from both sides at once the larger peer_id's is kept, whichever came first."""
        for peer_id, theirs_stays in ((SMALLER_ID, False), (LARGER_ID, True)):
            for theirs_first in (True, False):
                self.start()
                first = self.connect(peer_id=peer_id, dialled=not theirs_first)
                first.greet()
                second = self.connect(peer_id=peer_id, dialled=theirs_first)
                second.greet()
                theirs, ours = (first, second) if theirs_first else (second, first)
                self.assertEqual((theirs.is_gone, ours.is_gone), (not theirs_stays, theirs_stays))
                self.assertEqual(len(self.swarm.members), 1)
                kept = theirs if theirs_stays else ours
                kept.hear()
                kept.say(messages.HaveAll())
                self.assertEqual(kept.hear(), [messages.Interested()])

    def test_not_running(self) -> None:
        """Before the content was checked nobody is admitted."""
        self.prepare()
        self.assertFalse(self.arrive(self.connect()))

    def test_two_seeds(self) -> None:
        """Two peers that both have everything part at once; a leech stays."""
        self.start(ALL)
        leech = self.meet_leech()
        for said in (messages.HaveAll(), messages.Bitfield(b"\xff")):
            seed = self.meet()
            seed.say(said)
            self.assertTrue(seed.is_gone)
        almost = self.meet(range(7))
        self.assertFalse(almost.is_gone)
        almost.say(messages.Have(7))
        self.assertTrue(almost.is_gone)
        self.assert_served(leech)


class DiallingTests(SwarmTestCase):
    """Whom we call."""

    def addresses(self, count: int) -> list[Address]:
        """So many addresses of strangers."""
        return [Address(f"9.9.9.{n}", 6881) for n in range(count)]

    def test_dials_what_it_hears_of(self) -> None:
        """Addresses are dialled once each, in whatever order, up to the limit of peers."""
        self.start(max_peers=3)
        self.swarm.meeting.heard(self.addresses(5), "tracker")
        self.assertEqual(len(set(self.dialer.dialled)), 3)

    def test_not_before_the_check(self) -> None:
        """What was heard of before the start is dialled at the start."""
        self.prepare()
        self.swarm.meeting.heard(self.addresses(2), "user")
        self.assertEqual(self.dialer.dialled, [])
        self.swarm.startService()
        self.assertEqual(len(self.dialer.dialled), 2)

    def test_waits_for_room(self) -> None:
        """When the dialler has no room they wait for it."""
        self.start()
        self.dialer.room = False
        self.swarm.meeting.heard(self.addresses(1), "tracker")
        self.pass_time(3)
        self.assertEqual(self.dialer.dialled, [])
        self.dialer.room = True
        self.pass_time(1)
        self.assertEqual(self.dialer.dialled, self.addresses(1))

    def test_failure_makes_room(self) -> None:
        """A dial that failed makes room for the next address, and is tried again later."""
        self.start(max_peers=1)
        self.swarm.meeting.heard(self.addresses(2), "tracker")
        (first,) = self.dialer.dialled
        self.swarm.dial_failed(first, "connection refused")
        self.assertEqual(set(self.dialer.dialled), set(self.addresses(2)))
        self.swarm.dial_failed(self.dialer.dialled[1], "connection refused")
        self.pass_time(BACKOFF[0] + 1)
        self.assertEqual(len(self.dialer.dialled), 3)

    def test_turnover(self) -> None:
        """When all places are taken by idle peers, one after the other makes room for an address nobody has tried."""
        self.start(max_peers=4)
        idle = [self.meet(()) for _ in range(4)]
        self.swarm.meeting.heard(self.addresses(9), "tracker")
        self.assertEqual(self.dialer.dialled, [])
        for _ in range(int(TRIAL) - 1):
            self.pass_time(1)
            for peer in idle:
                peer.say(messages.KeepAlive())
        self.assertEqual((self.dialer.dialled, sum(peer.is_gone for peer in idle)), ([], 0))
        self.pass_time(1)
        self.assertEqual((len(self.dialer.dialled), [peer.is_gone for peer in idle]), (1, [True, False, False, False]))
        self.swarm.dial_failed(self.dialer.dialled[0], "connection refused")
        self.pass_time(1)
        self.assertEqual((len(self.dialer.dialled), sum(peer.is_gone for peer in idle)), (2, 1))
        self.meet(())
        for _ in range(int(TURNOVER)):
            self.swarm.dial_failed(self.dialer.dialled[-1], "connection refused")
            self.pass_time(1)
            for peer in idle[1:]:
                peer.say(messages.KeepAlive())
        self.assertEqual(sum(peer.is_gone for peer in idle), 2)

    def test_no_turnover_for_nobody(self) -> None:
        """As long as there is no address to try, nobody has to go."""
        self.start(max_peers=2)
        idle = [self.meet(()) for _ in range(2)]
        for _ in range(50):
            self.pass_time(10)
            for peer in idle:
                peer.say(messages.KeepAlive())
                peer.hear()
        self.assertEqual([peer.is_gone for peer in idle], [False, False])

    def test_f48_postponed(self) -> None:
        """A dial that we have no means for is made later, and is no failure of the address."""
        self.start()
        (address,) = self.addresses(1)
        self.swarm.meeting.heard([address], "tracker")
        self.dialer.room = False
        self.swarm.dial_postponed(address)
        self.pass_time(3)
        self.assertEqual(self.dialer.dialled, [address])
        self.dialer.room = True
        self.pass_time(1)
        self.assertEqual(self.dialer.dialled, [address] * 2)

    def test_seed_does_not_dial_seeds(self) -> None:
        """Whoever turned out to have everything is not dialled again by a seed, whoever named or dialled it."""
        self.start(ALL)
        seed, leech = self.addresses(2)
        self.swarm.meeting.heard([seed, leech], "tracker")
        for address, said in ((seed, messages.HaveAll()), (leech, messages.HaveNone())):
            peer = self.connect(address=address, dialled=True)
            peer.greet()
            peer.say(said)
            peer.leave()
        self.dialer.dialled.clear()
        for _ in range(12):
            self.pass_time(300)
            self.swarm.meeting.heard([seed, leech], "tracker")
            if self.dialer.dialled:
                self.swarm.dial_failed(leech, "connection refused")
        self.assertEqual(set(self.dialer.dialled), {leech})

    def test_seed_that_dialled_us(self) -> None:
        """A seed that came by itself and said where it listens is not dialled there either."""
        self.start(ALL)
        peer = self.connect(address=Address("9.9.9.1", 50000))
        peer.greet()
        self.dialer.room = False
        self.swarm.meeting.heard([Address("9.9.9.1", 6881), Address("9.9.9.2", 6881)], "tracker")
        peer.say(messages.ExtendedHandshake(port=6881), messages.HaveAll())
        self.assertTrue(peer.is_gone)
        self.dialer.room = True
        self.pass_time(100)
        self.assertEqual(self.dialer.dialled, [Address("9.9.9.2", 6881)])

    def test_seed_that_lost_something(self) -> None:
        """A seed whose disk lost a piece dials seeds again, to get it back."""
        self.start(ALL)
        (address,) = self.addresses(1)
        self.swarm.meeting.heard([address], "tracker")
        peer = self.connect(address=address, dialled=True)
        peer.greet()
        peer.say(messages.HaveAll())
        self.assertTrue(peer.is_gone)
        self.pass_time(100)
        self.assertEqual(self.dialer.dialled, [address])
        self.store.have.discard(3)
        self.store.on_lost(3)
        self.pass_time(1)
        self.assertEqual(self.dialer.dialled, [address] * 2)

    def test_s1_19_name_that_does_not_resolve(self) -> None:
        """It costs only that peer, and is tried again after the next announce."""
        self.start()
        name, other = Address("client3", 6881), Address("client2", 6881)
        self.swarm.meeting.heard([name, other], "tracker")
        self.swarm.dial_failed(name, "no such name")
        peer = self.connect(address=other, dialled=True)
        peer.greet()
        self.assertEqual(len(self.swarm.members), 1)
        self.pass_time(BACKOFF[0] + 1)
        self.assertEqual(self.dialer.dialled.count(name), 2)
        self.swarm.dial_failed(name, "no such name")
        self.pass_time(20)
        self.swarm.meeting.heard([name, other], "tracker")
        self.assertEqual(self.dialer.dialled.count(name), 3)
        self.assertEqual(self.dialer.dialled.count(other), 1)

    def test_handshake_that_fails(self) -> None:
        """A dialled peer that turns out to be of another torrent counts as a failed dial."""
        self.start()
        address = self.addresses(1)[0]
        self.swarm.meeting.heard([address], "tracker")
        peer = self.connect(address=address, dialled=True)
        peer.send(bep3.encode_handshake(bep3.Handshake(bep3.RESERVED, b"?" * 20, peer.peer_id)))
        self.assertTrue(peer.is_gone)
        self.assertEqual(len(self.swarm.members), 0)
        self.pass_time(BACKOFF[0] + 1)
        self.assertEqual(self.dialer.dialled, [address] * 2)

    def test_f112_useful_peer_is_dialled_soon(self) -> None:
        """A peer that sent us something and vanished is dialled again within seconds, one that did not, later."""
        self.start()
        useful, useless = self.addresses(2)
        self.swarm.meeting.heard([useful, useless], "tracker")
        good = self.connect(address=useful, dialled=True)
        good.greet()
        good.say(messages.HaveAll(), messages.Unchoke())
        bad = self.connect(address=useless, dialled=True)
        bad.greet()
        request = good.hear_about(messages.Request)[0]
        good.say(messages.Piece(request.index, request.begin, bytes(request.length)))
        self.dialer.dialled.clear()
        good.leave()
        bad.leave()
        self.pass_time(7)
        self.assertEqual(self.dialer.dialled, [useful])
        self.pass_time(BACKOFF[0])
        self.assertEqual(self.dialer.dialled, [useful, useless])

    def test_connection_that_closes_at_once(self) -> None:
        """Bytes that came in the read that ended a connection count, too."""
        self.start()
        (address,) = self.addresses(1)
        self.swarm.meeting.heard([address], "tracker")
        peer = self.connect(address=address, dialled=True)
        peer.greet()
        peer.say(messages.HaveAll(), messages.Unchoke())
        request = peer.hear_about(messages.Request)[0]
        peer.send(
            bep3.encode(messages.Piece(request.index, request.begin, bytes(request.length))) + b"\xff\xff\xff\xff"
        )
        self.assertTrue(peer.is_gone)
        self.assertEqual(self.swarm.down.total, request.length)
        self.dialer.dialled.clear()
        self.pass_time(7)
        self.assertEqual(self.dialer.dialled, [address])
