"""Tests for who is let in, who is dialled, and who is kept out."""

from p2pshare.addresses import Address
from p2pshare.policy.candidates import BACKOFF
from p2pshare.wire import bep3, messages
from tests.fakes import OUR_ID
from tests.swarm.fakes import ALL, ScriptedPeer, SwarmTestCase

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

    def test_max_peers(self) -> None:
        """A swarm that is full takes nobody in, until somebody leaves."""
        self.start(max_peers=2)
        one, two = self.meet(()), self.meet(())
        self.assertFalse(self.arrive(self.connect()))
        self.assertFalse(two.is_gone)
        one.leave()
        self.assertTrue(self.arrive(self.connect()))

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
