"""Tests of p2pshare.tracker.udp: the datagrams that clients get, and those that get none."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from attrs import define, evolve, field
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.settings import read_networks
from p2pshare.tracker.connection_ids import LIFETIME, ConnectionIds
from p2pshare.tracker.logic import Tracker
from p2pshare.tracker.names import Names
from p2pshare.tracker.private import Admission, Lists
from p2pshare.tracker.settings import TrackerLimits, TrackerSettings
from p2pshare.tracker.swarm_store import MemorySwarms
from p2pshare.tracker.udp import MAX_REPLY, UDPFace, listen
from p2pshare.web.sources import Sources
from p2pshare.wire import udp_tracker as wire
from p2pshare.wire.announce import AnnounceRequest, AnnounceResponse, Event, PeerEntry, ScrapeCounts
from tests.contracts.swarm_store import OTHER, TORRENT, peer_id

HOST, STRANGER, STRANGER6 = "192.168.1.5", "203.0.113.7", "2001:db8::7"
PORT = 50000  # that the clients ask from
TRANSACTION = b"\xca\xfe\xf0\x0d"
Datagrams = list[tuple[bytes, tuple[str, int]]]


@define(eq=False)
class FakePort:
    """Keeps what is sent; or does not take it, as a system without buffers."""

    sent: Datagrams = field(factory=list)
    problem: OSError | None = None

    @property
    def socket(self) -> FakePort:
        return self

    def sendto(self, datagram: bytes, addr: tuple[str, int]) -> None:
        if self.problem is not None:
            raise self.problem
        self.sent.append((datagram, addr))


class UDPCase(SynchronousTestCase):
    """Has a tracker behind a port, all in memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: dict[str, Deferred[Sequence[str]]] = {}
        self.start()

    def start(self, **changes: Any) -> None:
        """Begin with an empty tracker."""
        settings = evolve(TrackerSettings(), **changes)
        self.store = MemorySwarms(Random(0).random)
        self.admission = Admission()
        claims = read_networks(settings.claims)
        self.tracker = Tracker(self.store, settings, claims, self.clock.seconds, self.admission)
        names = Names(lambda name: self.asked.setdefault(name, Deferred()), self.clock)
        sources = Sources(read_networks(settings.limits.exempt))
        self.ids = ConnectionIds(b"secret", self.clock.seconds)
        self.face = UDPFace(self.tracker, names, settings, sources, self.ids)
        self.port = FakePort()
        self.face.makeConnection(self.port)  # type: ignore[arg-type]

    def ask(self, datagram: bytes, host: str = HOST, port: int = PORT) -> bytes | None:
        """Send a datagram; give the reply if there is one, which went back to where it was asked from."""
        self.port.sent.clear()
        self.face.datagramReceived(datagram, (host, port))
        if not self.port.sent:
            return None
        ((reply, address),) = self.port.sent
        self.assertEqual(address, (host, port))
        return reply

    def connect(self, host: str = HOST) -> bytes:
        """Get a connection id."""
        return wire.decode_connected(self.ask(wire.encode_connect(TRANSACTION), host) or b"")

    def announce_datagram(self, number: int = 1, host: str = HOST, torrent: bytes = TORRENT, **fields: Any) -> bytes:
        """Write an announce of the peer with this number, who has connected."""
        fields = {"left": 1, **fields}
        request = AnnounceRequest(torrent, peer_id(number), fields.pop("port", 6880 + number), **fields)
        return wire.encode_announce(self.ids.issue(host), TRANSACTION, request)

    def announce(self, number: int = 1, host: str = HOST, **fields: Any) -> AnnounceResponse:
        """Let a peer announce, and read the answer."""
        return self.read(self.ask(self.announce_datagram(number, host, **fields), host), host)

    def read(self, reply: bytes | None, host: str) -> AnnounceResponse:
        """Read an answer, and make sure that it is the one to that request and fits into one packet."""
        assert reply is not None
        self.assertEqual(wire.decode_reply(reply)[1], TRANSACTION)
        self.assertLessEqual(len(reply), MAX_REPLY)
        return wire.decode_announced(reply, ":" in host and "." not in host)

    def refusal(self, datagram: bytes, host: str = HOST) -> str:
        """Ask for something that is refused, and read why."""
        reply = self.ask(datagram, host)
        assert reply is not None
        return wire.decode_refusal(reply)

    def scrape(self, hashes: Sequence[bytes]) -> list[ScrapeCounts]:
        """Ask for figures, and read them in the order in which they come."""
        datagram = self.ids.issue(HOST) + b"\0\0\0\2" + TRANSACTION + b"".join(hashes)
        reply = self.ask(datagram)
        assert reply is not None
        numbered = [bytes([number]) * 20 for number in range(len(hashes))]
        return list(wire.decode_scraped(reply, numbered).values())


class AnnounceTests(UDPCase):
    """Announces of those who have connected."""

    def test_life_of_a_swarm(self) -> None:
        """Connect, announce, hear of others, complete, leave: as over HTTP, and in the same swarms."""
        connection_id = self.connect()
        self.assertTrue(self.ids.is_valid(connection_id, HOST))
        self.assertEqual(self.announce(1, event=Event.STARTED), AnnounceResponse(1800, None, 0, 1))
        second = self.announce(2, host=STRANGER, event=Event.STARTED)
        self.assertEqual((second.incomplete, second.peers), (2, (PeerEntry(HOST, 6881),)))
        self.announce(1, left=0, event=Event.COMPLETED)
        self.assertEqual(self.scrape([TORRENT]), [ScrapeCounts(1, 1, 1)])
        self.announce(1, left=0, event=Event.STOPPED)
        self.assertEqual(self.store.scrape([TORRENT]), {TORRENT: ScrapeCounts(0, 1, 1)})

    def test_ipv6(self) -> None:
        """Over IPv6 a peer hears of IPv6 peers, 18 bytes each; over IPv4 of IPv4 peers; both are counted."""
        self.announce(1, STRANGER)
        self.announce(2, STRANGER6)
        self.announce(3, "::ffff:203.0.113.8")  # IPv4 on a socket for both
        sixth, fourth = self.announce(4, "2001:db8::8"), self.announce(5, "203.0.113.9")
        self.assertEqual((sixth.incomplete, sixth.peers), (4, (PeerEntry(STRANGER6, 6882),)))
        self.assertEqual(set(fourth.peers), {PeerEntry(STRANGER, 6881), PeerEntry("203.0.113.8", 6883)})

    def test_replies_fit_a_packet(self) -> None:
        """However many are wanted and allowed, 66 peers of IPv6 or 200 of IPv4 come, and seeds among them."""
        self.start(max_numwant=1000)
        for number in range(400):
            for host in (f"10.0.{number // 256}.{number % 256}", f"fd00::{number + 1:x}"):
                self.announce(number, host, left=number % 2)
        for host, most in ((HOST, 200), ("fd00::ffff", 66)):
            response = self.announce(1, host, numwant=1000)
            self.assertEqual(len(set(response.peers)), most)
            seeds = [peer for peer in response.peers if (peer.port - 6880) % 2 == 0]
            self.assertGreater(len(seeds), most // 4 - 1)

    def test_f54_numwant(self) -> None:
        """50 peers when any number is fine, none when none are wanted, and never more than 100."""
        for number in range(150):
            self.announce(number, f"10.0.0.{number}")
        for numwant, count in ((None, 50), (0, 0), (7, 7), (2**31 - 1, 100)):
            self.assertEqual(len(self.announce(1, numwant=numwant).peers), count)
        datagram = self.announce_datagram()[:92] + b"\x80\0\0\0" + self.announce_datagram()[96:]  # -2^31
        self.assertEqual(len(self.read(self.ask(datagram), HOST).peers), 50)

    def test_f54_errors(self) -> None:
        """Port 0 and an unknown event are refused with a reason; nothing left, but a negative rest is a leech's."""
        datagram = self.announce_datagram()
        self.assertIn("port is 0", self.refusal(datagram[:96] + b"\0\0"))
        self.assertIn("event is 7", self.refusal(datagram[:80] + b"\0\0\0\7" + datagram[84:]))
        self.assertFalse(self.store.knows(TORRENT))
        response = self.read(self.ask(datagram[:64] + b"\xff" * 8 + datagram[72:]), HOST)
        self.assertEqual((response.complete, response.incomplete), (0, 1))

    def test_url_data(self) -> None:
        """A path and query behind the announce, as most clients send them, change nothing."""
        self.assertEqual(self.read(self.ask(self.announce_datagram() + b"\x02\x09/announce"), HOST).incomplete, 1)

    def test_f65_claims(self) -> None:
        """A stranger's claim to be elsewhere is ignored, a private network's is believed."""
        self.announce(1, STRANGER, ip="198.51.100.1")
        self.announce(2, HOST, ip="198.51.100.2")
        self.assertEqual(set(self.announce(3).peers), {PeerEntry(STRANGER, 6881), PeerEntry("198.51.100.2", 6882)})

    def test_f67_rates(self) -> None:
        """A stranger's announces are counted as over HTTP, and the reason for a refusal is told."""
        self.start(limits=TrackerLimits(announce_burst=2))
        self.announce(1, STRANGER)
        self.announce(2, STRANGER)
        third = self.announce_datagram(3, STRANGER)
        self.assertEqual(self.refusal(third, STRANGER), "too many requests from your address")
        self.assertEqual(self.tracker.refused, {"announces_per_second": 1})

    def test_sent_again(self) -> None:
        """Who got no reply says the same again after 15 seconds, which is not too soon; less than that is."""
        self.announce(1, STRANGER)
        self.clock.advance(13)
        self.assertIn("announced 13 s ago", self.refusal(self.announce_datagram(1, STRANGER), STRANGER))
        self.clock.advance(2)
        self.announce(1, STRANGER)


class NameTests(UDPCase):
    """Peers that are known by a name."""

    def test_s1_19_names(self) -> None:
        """A peer of a private network may announce a name, and is named by its address."""
        self.announce(1, hostname="client1")
        self.assertIsNone(self.ask(self.announce_datagram(2)))  # not before the name is known
        self.asked["client1"].callback(["10.0.0.1"])
        ((reply, address),) = self.port.sent
        self.assertEqual(address, (HOST, PORT))
        self.assertEqual(self.read(reply, HOST).peers, (PeerEntry("10.0.0.1", 6881),))
        self.assertEqual(self.announce(2).peers, (PeerEntry("10.0.0.1", 6881),))  # remembered

    def test_other_family(self) -> None:
        """A name with an address of the other family only is left out, and so is one without."""
        self.announce(1, hostname="six")
        self.announce(2, hostname="none", numwant=0)
        self.ask(self.announce_datagram(3))
        self.asked["six"].callback(["fd00::1"])
        self.asked["none"].errback(OSError())
        self.assertEqual(self.announce(3).peers, ())
        self.assertEqual(self.announce(4, "fd00::2").peers, (PeerEntry("fd00::1", 6881),))

    def test_a_name_hears_of_addresses(self) -> None:
        """A peer with a name hears of others of the family it asks over."""
        self.announce(1)
        self.announce(2, "fd00::2")
        self.assertEqual(self.announce(3, hostname="client3").peers, (PeerEntry(HOST, 6881),))

    def test_closed_meanwhile(self) -> None:
        """When a name is found after the port was closed, nobody is answered."""
        self.announce(1, hostname="client1")
        self.ask(self.announce_datagram(2))
        self.face.doStop()
        self.asked["client1"].callback(["10.0.0.1"])
        self.assertEqual(self.port.sent, [])


class ScrapeTests(UDPCase):
    """Figures of torrents."""

    def test_two_torrents(self) -> None:
        """Figures come in the order of asking, zeros for unknown torrents, and twice for what was asked twice."""
        self.announce(1, left=0)
        self.announce(2)
        figures, none = ScrapeCounts(1, 1, 0), ScrapeCounts(0, 0, 0)
        self.assertEqual(self.scrape([OTHER, TORRENT, OTHER, TORRENT]), [none, figures, none, figures])

    def test_f55_sizes(self) -> None:
        """Of more than 70 torrents the first 70 are answered; none at all or half of one is refused."""
        for number in (1, 69, 70, 71, 75, 100):
            self.assertEqual(len(self.scrape([TORRENT] * number)), min(number, 70))
        for rest in (b"", b"x" * 19, b"x" * 41):
            self.assertIn("info_hashes", self.refusal(self.ids.issue(HOST) + b"\0\0\0\2" + TRANSACTION + rest))

    def test_f70_no_full_scrape(self) -> None:
        """Everything cannot be asked for, even where HTTP allows it."""
        self.start(full_scrape=True)
        self.assertIn("0 bytes of info_hashes", self.refusal(self.ids.issue(HOST) + b"\0\0\0\2" + TRANSACTION))


class StrangerTests(UDPCase):
    """Datagrams of those who have not proved where they are."""

    def test_f51_garbage(self) -> None:
        """What is no request, or not a whole one, gets no answer, be its id good or not."""
        announce = self.announce_datagram()
        bad = [announce[:end] for end in range(98)] + [announce + bytes(2048 - 98), b"", bytes(16), bytes(2048)]
        bad += [announce[:8] + action.to_bytes(4, "big") + announce[12:] for action in (0, 3, 4, 2**32 - 1)]
        for datagram in bad:
            self.assertIsNone(self.ask(datagram))
        self.assertEqual(self.face.dropped, len(bad))
        self.assertEqual(self.store.changes, 0)

    def test_f52_without_a_valid_id(self) -> None:
        """A forged or expired id, or another address's, gets not a byte; neither does an error behind it."""
        expired = self.announce_datagram()
        self.clock.advance(LIFETIME + 2)
        good = self.announce_datagram()
        forged = b"\xff" * 8
        bad = [expired, self.announce_datagram(host=STRANGER), forged + good[8:]]
        bad += [forged + good[8:96] + b"\0\0"]  # port 0
        bad += [forged + b"\0\0\0\2" + TRANSACTION + rest for rest in (b"", b"x", TORRENT)]
        for datagram in bad:
            self.assertIsNone(self.ask(datagram))
        self.assertEqual((self.face.dropped, self.store.changes), (len(bad), 0))
        self.assertIsNotNone(self.ask(good))

    def test_f53_nothing_is_amplified(self) -> None:
        """A connect request gets as many bytes as it has, and more bytes behind it get no more."""
        request = wire.encode_connect(TRANSACTION)
        for datagram in (request, request + bytes(1000)):
            reply = self.ask(datagram, STRANGER)
            assert reply is not None
            self.assertEqual(len(reply), len(request))
        self.assertIsNone(self.ask(reply))  # nor do two trackers keep each other busy

    @given(st.binary(max_size=200) | st.binary(max_size=120).map(lambda rest: bytes.fromhex("0000041727101980") + rest))
    @settings(max_examples=200)
    def test_f53_any_bytes(self, datagram: bytes) -> None:
        """Whatever a stranger sends, the answer is not longer."""
        self.assertLessEqual(len(self.ask(datagram, STRANGER) or b""), len(datagram))

    def test_f56_flood(self) -> None:
        """A flood from everywhere is answered by the same rules to its end, and leaves next to nothing behind."""
        random = Random(0)
        for number in range(20_000):
            host = f"198.{number >> 16}.{number >> 8 & 255}.{number & 255}"
            self.assertIsNotNone(self.ask(wire.encode_connect(TRANSACTION), host))
            self.assertIsNone(self.ask(random.randbytes(98), host))
        self.assertEqual((len(self.store.swarms), self.face.dropped), (0, 20_000))
        self.assertEqual(self.face._sources.of.cache_info().currsize, 0)  # type: ignore[attr-defined]
        self.assertLessEqual(self.ids._hash.cache_info().currsize, 8192)  # type: ignore[attr-defined]
        self.assertEqual(self.announce(1).incomplete, 1)

    def test_no_memory_of_clients(self) -> None:
        """Addresses that only connect leave nothing behind."""
        for number in range(1000):
            self.ask(wire.encode_connect(TRANSACTION), f"198.51.{number // 256}.{number % 256}")
        self.assertEqual(self.face._sources.of.cache_info().currsize, 0)  # type: ignore[attr-defined]


class PrivateTests(UDPCase):
    """A private tracker."""

    def announce_to(self, url: str, torrent: bytes = TORRENT) -> bytes:
        """Write an announce made for a URL with this path (BEP 41)."""
        request = AnnounceRequest(torrent, peer_id(1), 6881, left=1)
        return wire.encode_announce(self.ids.issue(HOST), TRANSACTION, request, url)

    def test_passkeys(self) -> None:
        """An announce has to bring a good passkey along, in the path of its URL."""
        self.admission.lists = Lists(passkeys=frozenset([b"0123456789abcdef"]))
        for url in ("/0123456789abcdef/announce", "/0123456789abcdef/announce?a=b"):
            self.assertEqual(self.read(self.ask(self.announce_to(url)), HOST).incomplete, 1)
        for url in ("/another-one/announce", "/0123456789abcdef/announce/", "0123456789abcdef", "/0123456789abcdef"):
            self.assertRegex(self.refusal(self.announce_to(url)), "passkey")
        for url in ("", "/announce"):
            self.assertIn("/PASSKEY/announce", self.refusal(self.announce_to(url)))
        self.assertEqual((self.tracker.announces, self.tracker.refused["passkey"]), (2, 6))

    def test_scrapes(self) -> None:
        """Scrapes cannot bring one along, so they are refused, and told where to go."""
        self.admission.lists = Lists(passkeys=frozenset([b"0123456789abcdef"]))
        datagram = self.ids.issue(HOST) + b"\0\0\0\2" + TRANSACTION + TORRENT
        self.assertIn("over HTTP", self.refusal(datagram))

    def test_torrents(self) -> None:
        """A list of torrents needs no passkey."""
        self.admission.lists = Lists(torrents=frozenset([TORRENT]))
        self.assertEqual(self.read(self.ask(self.announce_to("/announce")), HOST).incomplete, 1)
        self.assertIn("not on the list", self.refusal(self.announce_to("/announce", OTHER)))
        self.assertEqual(self.tracker.refused, {"torrent": 1})

    def test_f67_guesses(self) -> None:
        """A stranger that tries one passkey after the other has its share of guesses, and no more."""
        self.admission.lists = Lists(passkeys=frozenset([b"0123456789abcdef"]))
        request = AnnounceRequest(TORRENT, peer_id(1), 6881, left=1)
        datagram = wire.encode_announce(self.ids.issue(STRANGER), TRANSACTION, request, "/guess-number-1/announce")
        refusals = [self.refusal(datagram, STRANGER) for _ in range(102)]
        self.assertEqual(["too many" in refusal for refusal in refusals], [False] * 100 + [True] * 2)


class PortTests(UDPCase):
    """The port itself."""

    def test_write_errors(self) -> None:
        """A reply that the system does not take is lost, and nothing else happens."""
        for number in (105, 1, 22):  # ENOBUFS, EPERM, EINVAL
            self.port.problem = OSError(number, "no")
            self.assertIsNone(self.ask(wire.encode_connect(TRANSACTION)))
            self.assertIsNone(self.ask(self.announce_datagram()))
        self.assertEqual(self.face.unsent, 6)
        self.port.problem = None
        self.assertEqual(self.announce(2).incomplete, 2)

    def test_f56_others_get_a_turn(self) -> None:
        """A port reads packets longer than requests may be, and only so many before others get a turn."""
        asked: list[tuple[Any, ...]] = []

        class Reactor:
            def listenUDP(self, *args: Any) -> FakePort:
                asked.append(args)
                return port

        class Port(FakePort):
            maxThroughput = 256 * 1024

        port = Port()
        self.assertIs(listen(Reactor(), self.face, 8000, "::"), port)
        self.assertEqual(asked, [(8000, self.face, "::", 2048)])
        self.assertEqual(port.maxThroughput, 32768)
