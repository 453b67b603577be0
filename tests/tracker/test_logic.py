"""Tests of p2pshare.tracker.logic: whom the tracker believes and whom it refuses."""

from __future__ import annotations

from random import Random

from attrs import evolve
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.addresses import Address, pack_compact
from p2pshare.errors import RequestRefused
from p2pshare.settings import read_networks
from p2pshare.tracker.hits import Hits
from p2pshare.tracker.logic import HTTP, AskedTooSoon, Carrier, Tracker
from p2pshare.tracker.settings import TrackerLimits, TrackerSettings
from p2pshare.tracker.swarm_store import MemorySwarms
from p2pshare.web.sources import Sources
from p2pshare.wire.announce import AnnounceRequest, Event
from tests.contracts.swarm_store import TORRENT, cut, peer_id

STRANGER = "203.0.113.7"
LAN = "192.168.1.5"


class TrackerCase(SynchronousTestCase):
    """Has a tracker with a fake clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.start(TrackerSettings())

    def start(self, settings: TrackerSettings) -> None:
        """Begin with an empty tracker."""
        self.store = MemorySwarms(Random(0).random)
        self.tracker = Tracker(self.store, settings, read_networks(settings.claims), self.clock.seconds)
        self.sources = Sources(read_networks(settings.limits.exempt))

    def limited(self, **limits: float) -> None:
        """Begin with some limits changed."""
        self.start(TrackerSettings(limits=TrackerLimits(**limits)))  # type: ignore[arg-type]

    def announce(
        self,
        host: str = STRANGER,
        port: int = 6881,
        *,
        torrent: bytes = TORRENT,
        event: Event | None = None,
        numwant: int | None = None,
        hostname: str | None = None,
        ip: str | None = None,
        carrier: Carrier = HTTP,
    ) -> Hits:
        """Let a leech announce."""
        request = AnnounceRequest(
            torrent, peer_id(port), port, left=1, event=event, numwant=numwant, compact=True, hostname=hostname, ip=ip
        )
        return self.tracker.announce(request, self.sources.of(host), carrier)

    def known(self) -> set[bytes | Address]:
        """Tell where the tracker thinks the members are."""
        swarm = self.store.swarms[TORRENT]
        named = set() if swarm.named is None else set(swarm.named.members)
        return {address for pool, _ in swarm.pools() for address in pool} | named


class ClaimTests(TrackerCase):
    """Where a peer is said to be."""

    def test_source_address(self) -> None:
        """Without a claim a peer is where it asks from, by IPv4, IPv6 or IPv4 on an IPv6 socket."""
        self.announce("198.51.100.1", 1)
        self.announce("::ffff:198.51.100.2", 2)
        self.announce("2001:db8::1", 3)
        self.assertEqual(
            self.known(),
            {pack_compact("198.51.100.1", 1), pack_compact("198.51.100.2", 2), pack_compact("2001:db8::1", 3)},
        )

    def test_f65_stranger_claims_another_place(self) -> None:
        """A stranger's host name or address is ignored: it could be a victim's."""
        self.announce(STRANGER, 1, hostname="victim.example")
        self.announce(STRANGER, 2, ip="198.51.100.1")
        self.announce(STRANGER, 3, hostname="198.51.100.1")
        self.assertEqual(self.known(), {pack_compact(STRANGER, port) for port in (1, 2, 3)})

    def test_private_peer_claims(self) -> None:
        """A peer in a private network or on this machine may say its name or address."""
        self.announce(LAN, 1, hostname="client1")
        self.announce("127.0.0.1", 2, ip="198.51.100.1")
        self.announce("::1", 3, hostname="2001:db8::9", ip="10.0.0.1")
        self.assertEqual(
            self.known(), {Address("client1", 1), pack_compact("198.51.100.1", 2), pack_compact("2001:db8::9", 3)}
        )

    def test_claim_that_leads_nowhere(self) -> None:
        """Nobody can claim to be everybody."""
        for port, host in enumerate(("0.0.0.0", "255.255.255.255", "224.0.0.1", "::"), 1):
            self.announce(LAN, port, ip=host)
        self.assertEqual(self.known(), {pack_compact(LAN, port) for port in (1, 2, 3, 4)})

    def test_who_may_claim_is_a_setting(self) -> None:
        """Another network may be allowed to, and then the private ones are not."""
        self.start(TrackerSettings(claims=("203.0.113.0/24",)))
        self.announce(STRANGER, 1, hostname="seedbox")
        self.announce(LAN, 2, hostname="client1")
        self.assertEqual(self.known(), {Address("seedbox", 1), pack_compact(LAN, 2)})


class NumwantTests(TrackerCase):
    """How many peers a reply names."""

    def setUp(self) -> None:
        super().setUp()
        for port in range(1, 151):
            self.announce(LAN, port)

    def test_f66_numwant(self) -> None:
        """50 when not said, none when none are wanted, and never more than 100."""
        for numwant, count in ((None, 50), (0, 0), (1, 1), (99, 99), (100, 100), (101, 100), (10**9, 100)):
            self.assertEqual(len(cut(self.announce(LAN, 1, numwant=numwant).packed4)), count)

    def test_what_a_reply_has_room_for(self) -> None:
        """Whoever carries the reply can lower the number, not raise it."""
        for most, count in ((0, 0), (66, 66), (200, 100), (None, 100)):
            hits = self.announce(LAN, 1, numwant=1000, carrier=Carrier(most_peers=most))
            self.assertEqual(len(cut(hits.packed4)), count)
        self.assertEqual(self.announce(LAN, 1, carrier=Carrier(width=18)).packed4, b"")

    def test_settings(self) -> None:
        """Both numbers can be set."""
        self.start(TrackerSettings(numwant=5, max_numwant=7))
        for port in range(1, 20):
            self.announce(LAN, port)
        self.assertEqual(len(cut(self.announce(LAN, 1).packed4)), 5)
        self.assertEqual(len(cut(self.announce(LAN, 1, numwant=50).packed4)), 7)


class RateTests(TrackerCase):
    """How often strangers may ask."""

    def test_announce_gap(self) -> None:
        """A peer that announces again within 30 seconds is told when to come back; another port is another peer."""
        self.announce()
        self.clock.advance(29)
        refusal = self.assertRaises(AskedTooSoon, self.announce)
        self.assertEqual((str(refusal), refusal.retry_in), ("announced 29 s ago, less than 30 s", 1.0))
        self.announce(port=6882)
        self.announce(torrent=b"x" * 20)
        self.clock.advance(1)
        self.announce()
        self.assertEqual(self.tracker.refused["announce_gap"], 1)

    def test_events_come_when_they_come(self) -> None:
        """An announce with an event need not wait, and one that was refused does not put off the next."""
        self.announce()
        for event in (Event.COMPLETED, Event.STOPPED, Event.STARTED):
            self.announce(event=event)
        self.clock.advance(20)
        self.assertRaises(AskedTooSoon, self.announce)
        self.clock.advance(10)
        self.announce()

    def test_sent_again(self) -> None:
        """Where a client that got no reply says the same again, that is not too soon; the gap never grows by it."""
        for resend_after, gap in ((15.0, 15), (100.0, 30)):
            carrier = Carrier(resend_after=resend_after)
            self.announce(carrier=carrier, event=Event.STARTED)
            self.clock.advance(gap - 1)
            self.assertRaises(AskedTooSoon, self.announce, carrier=carrier)
            self.clock.advance(1)
            self.announce(carrier=carrier)

    def test_exempt_networks_need_not_wait(self) -> None:
        """Peers of private networks may announce as often as they like."""
        for _ in range(1000):
            self.announce(LAN)

    def test_f67_announces_of_one_address(self) -> None:
        """100 announces at once are fine, then 20 a second; whatever the port and the torrent."""
        for number in range(100):
            self.announce(port=1 + number)
        refusal = self.assertRaises(AskedTooSoon, self.announce, port=500)
        self.assertAlmostEqual(refusal.retry_in, 0.05)
        self.announce("203.0.113.8")
        self.clock.advance(1)
        for number in range(20):
            self.announce(port=101 + number)
        self.assertRaises(AskedTooSoon, self.announce, port=500)
        self.assertRaises(AskedTooSoon, self.tracker.scrape, [TORRENT], self.sources.of(STRANGER))
        self.assertEqual(self.tracker.refused["announces_per_second"], 3)

    def test_f67_ipv6_by_network(self) -> None:
        """All addresses of an IPv6 /64 share one rate."""
        self.limited(announce_burst=3)
        for number in range(1, 4):
            self.announce(f"2001:db8::{number}")
        self.assertRaises(AskedTooSoon, self.announce, "2001:db8::4")
        self.announce("2001:db8:0:1::1")

    def test_f67_new_torrents_of_one_address(self) -> None:
        """One address may bring up so many torrents an hour; announces for known ones go on, and so does leaving."""
        self.limited(new_torrents_per_hour=10)
        for number in range(10):
            self.announce(torrent=bytes([number]) * 20)
        refusal = self.assertRaises(AskedTooSoon, self.announce, torrent=b"x" * 20)
        self.assertAlmostEqual(refusal.retry_in, 360.0)
        self.assertFalse(self.store.knows(b"x" * 20))
        self.announce(torrent=bytes(20), port=7000)
        self.announce(torrent=b"x" * 20, event=Event.STOPPED)
        self.announce("203.0.113.8", torrent=b"x" * 20)
        self.clock.advance(360)
        self.announce(torrent=b"y" * 20)

    def test_f67_torrents_from_a_private_network(self) -> None:
        """A private network may bring up any number."""
        self.limited(new_torrents_per_hour=10)
        for number in range(100):
            self.announce(LAN, torrent=bytes([number]) * 20)

    def test_f68_ports_of_one_address(self) -> None:
        """Of a stranger's address 32 ports are kept in a swarm, of a private one all."""
        self.limited(announce_burst=10_000)
        for port in range(1, 41):
            self.announce(port=port)
        self.assertEqual(len(self.known()), 32)
        for port in range(1, 41):
            self.announce(LAN, port)
        self.assertEqual(len(self.known()), 72)


class ScrapeTests(TrackerCase):
    """What can be asked about torrents."""

    def test_f70_full_scrape(self) -> None:
        """A scrape of everything is refused unless it is allowed; then it names the torrents announced last."""
        for number in range(5):
            self.announce(LAN, torrent=bytes([number]) * 20)
        self.assertRaises(RequestRefused, self.tracker.scrape, [], self.sources.of(LAN))
        limits = evolve(TrackerLimits(), full_scrape=3)
        self.start(TrackerSettings(full_scrape=True, limits=limits))
        for number in range(5):
            self.announce(LAN, torrent=bytes([number]) * 20)
        files = self.tracker.scrape([], self.sources.of(LAN))
        self.assertEqual(set(files), {bytes([number]) * 20 for number in (2, 3, 4)})
