"""Tests of p2pshare.tracker.http: the bytes that clients get (rows S1-1 to S1-7 of docs/acceptance.md)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any
from unittest import mock
from urllib.parse import quote

import bencode2
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare import bencoding
from p2pshare.addresses import pack_compact
from p2pshare.errors import BencodeError
from p2pshare.settings import read_networks
from p2pshare.tracker.http import KeyedViews, TrackerFace, views
from p2pshare.tracker.logic import Tracker
from p2pshare.tracker.names import Names
from p2pshare.tracker.private import Admission, Lists
from p2pshare.tracker.settings import TrackerSettings
from p2pshare.tracker.swarm_store import MemorySwarms
from p2pshare.web.limits import LimitedSite
from p2pshare.web.paths import Paths
from p2pshare.web.sources import Sources
from tests.contracts.swarm_store import OTHER, TORRENT, peer_id
from tests.web.connections import Connection, Reply

STRANGER = "203.0.113.7"


class TrackerSiteCase(SynchronousTestCase):
    """Has a tracker behind a site, all in memory."""

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
        sources = Sources(read_networks(settings.limits.exempt), read_networks(settings.proxies))
        plain = views(TrackerFace(self.tracker, names, settings))
        paths = Paths(KeyedViews(plain) if settings.private else plain)
        self.site = LimitedSite(paths, settings.limits.web(), sources, self.clock)

    def get(self, path: str, host: str = "127.0.0.1", *headers: str, method: str = "GET") -> Reply:
        """Ask the site over a new connection."""
        return Connection(self.site, host).get(path, *headers, method=method)

    def read(self, reply: Reply) -> dict[bytes, Any]:
        """Read a bencoded answer, and make sure that it is canonical."""
        self.assertEqual(reply.headers["content-type"], "application/x-bittorrent")
        value = bencoding.decode(reply.body)
        assert isinstance(value, dict)
        self.assertEqual(bencoding.encode(value), reply.body)
        self.assertEqual(bencode2.bdecode(reply.body), value)
        return value

    def path(self, number: int = 1, torrent: bytes = TORRENT, left: int = 1, **fields: object) -> str:
        """Write an announce of the peer with this number."""
        query = {"peer_id": quote(peer_id(number)), "port": 6880 + number, "left": left, **fields}
        return f"/announce?info_hash={quote(torrent)}&" + "&".join(f"{key}={value}" for key, value in query.items())

    def path_with(self, key: str, value: str) -> str:
        """Write an announce with one parameter set to this text."""
        fields: dict[str, Any] = {key: value}
        return self.path(1, **fields)

    def announce(self, number: int = 1, host: str = "127.0.0.1", **fields: Any) -> dict[bytes, Any]:
        """Let a peer announce, and read the answer."""
        return self.read(self.get(self.path(number, **fields), host))

    def failure(self, path: str, host: str = "127.0.0.1") -> str:
        """Ask for something that is refused, and read why."""
        reply = self.get(path, host)
        self.assertEqual(reply.status, 200)
        value = self.read(reply)
        self.assertLessEqual(set(value), {b"failure reason", b"retry in"})
        return str(value[b"failure reason"], "utf-8")


class AnnounceTests(TrackerSiteCase):
    """Announces."""

    def test_s1_1_host_names(self) -> None:
        """Peers with host names are named so, with their ports, in a list of dicts; the asker is not in it."""
        self.announce(1, hostname="client1")
        self.announce(2, hostname="client2")
        reply = self.announce(1, hostname="client1", event="started")
        self.assertEqual(reply[b"interval"], 1800)
        self.assertEqual(reply[b"peers"], [{b"ip": b"client2", b"port": 6882, b"peer id": peer_id(2)}])

    def test_s1_1_same_port_different_names(self) -> None:
        """Containers that all use one port behind one address are different peers by their names."""
        for number in (1, 2, 3):
            reply = self.announce(number, port=6881, hostname=f"client{number}")
        self.assertEqual({entry[b"ip"] for entry in reply[b"peers"]}, {b"client1", b"client2"})

    def test_s1_2_compact(self) -> None:
        """With compact=1 and numeric hosts, peers is a string of 6 bytes each, the port's high byte first."""
        self.announce(1, hostname="10.0.0.1", port=258)
        self.announce(2, hostname="10.0.0.2", port=6882)
        reply = self.announce(3, compact=1)
        entries = {reply[b"peers"][at : at + 6] for at in (0, 6)}
        self.assertEqual(len(reply[b"peers"]), 12)
        self.assertEqual(entries, {b"\x0a\x00\x00\x01\x01\x02", b"\x0a\x00\x00\x02\x1a\xe2"})
        self.assertNotIn(b"peers6", reply)

    def test_exact_bytes(self) -> None:
        """A compact reply is these bytes."""
        self.announce(1, left=0)
        reply = self.get(self.path(2, compact=1))
        self.assertEqual(
            reply.body,
            b"d8:completei1e10:incompletei1e8:intervali1800e12:min intervali60e5:peers6:\x7f\0\0\1\x1a\xe1e",
        )

    def test_dictionaries_by_default(self) -> None:
        """Without compact, or with compact=0, there is a list of dicts; no_peer_id leaves the peer_ids out."""
        self.announce(1)
        self.announce(2, host="2001:db8::2")
        for fields in ("", "&compact=0"):
            peers = {entry[b"ip"]: entry for entry in self.read(self.get(self.path(3) + fields))[b"peers"]}
            self.assertEqual(peers[b"127.0.0.1"], {b"ip": b"127.0.0.1", b"port": 6881, b"peer id": peer_id(1)})
            self.assertEqual(peers[b"2001:db8::2"], {b"ip": b"2001:db8::2", b"port": 6882, b"peer id": peer_id(2)})
        self.announce(4, hostname="client4")
        for entry in self.announce(3, no_peer_id=1)[b"peers"]:
            self.assertEqual(set(entry), {b"ip", b"port"})

    def test_ipv6(self) -> None:
        """IPv6 peers are in peers6, 18 bytes each; ::ffff: ones are IPv4."""
        self.announce(1, host="2001:db8::1")
        self.announce(2, host="::ffff:198.51.100.2")
        reply = self.announce(3, compact=1)
        self.assertEqual(reply[b"peers6"], pack_compact("2001:db8::1", 6881))
        self.assertEqual(reply[b"peers"], pack_compact("198.51.100.2", 6882))

    def test_s1_3_bad_announces(self) -> None:
        """An info_hash or peer_id that is not 20 bytes, or port 0, is 200 with a failure reason."""
        good = {"info_hash": quote(TORRENT), "peer_id": quote(peer_id(1)), "port": "6881"}
        for key, value in (
            ("info_hash", "a" * 19),
            ("info_hash", "a" * 21),
            ("info_hash", ""),
            ("peer_id", "a" * 19),
            ("peer_id", "%00" * 21),
            ("port", "0"),
            ("port", "65536"),
            ("port", "http"),
        ):
            query = "&".join(f"{k}={v}" for k, v in {**good, key: value}.items())
            self.assertIn(key, self.failure(f"/announce?{query}"))
        for key in good:
            query = "&".join(f"{k}={v}" for k, v in good.items() if k != key)
            self.assertEqual(self.failure(f"/announce?{query}"), f"{key} is missing")

    def test_s1_3_status_400(self) -> None:
        """With error_status = 400 the same answer comes with that status."""
        self.start(error_status=400)
        reply = self.get("/announce?port=0")
        self.assertEqual(reply.status, 400)
        self.assertIn(b"failure reason", self.read(reply))
        self.assertEqual(self.get("/scrape").status, 400)

    def test_s1_4_stopped(self) -> None:
        """A peer that stopped is not in the next reply, and incomplete falls by one."""
        self.announce(1)
        self.assertEqual(self.announce(2)[b"incomplete"], 2)
        stopped = self.announce(1, event="stopped")
        self.assertEqual((stopped[b"incomplete"], stopped[b"peers"]), (1, []))
        reply = self.announce(2)
        self.assertEqual((reply[b"incomplete"], reply[b"peers"]), (1, []))

    def test_s1_5_completed(self) -> None:
        """A completion makes one seed more, one leech fewer and one download more; repeating it changes nothing."""
        self.announce(1)
        before = self.announce(2)
        for _ in range(2):
            after = self.announce(1, left=0, event="completed")
            self.assertEqual(after[b"complete"], before[b"complete"] + 1)
            self.assertEqual(after[b"incomplete"], before[b"incomplete"] - 1)
            (counts,) = self.read(self.get(f"/scrape?info_hash={quote(TORRENT)}"))[b"files"].values()
            self.assertEqual(counts[b"downloaded"], 1)

    def test_f64_info_hash(self) -> None:
        """Raw bytes of any value are taken as they are; a repeated info_hash is refused."""
        torrent = bytes(range(0xEC, 0x100))
        self.announce(1, torrent=torrent)
        self.assertTrue(self.store.knows(torrent))
        self.assertIn("2 times", self.failure(self.path(1) + f"&info_hash={quote(OTHER)}"))
        self.assertIn("11 bytes", self.failure(f"/announce?info_hash={'%ff' * 11}&peer_id={'a' * 20}&port=1"))

    def test_f65_strangers_claims(self) -> None:
        """Of strangers neither ip, ipv4, hostname nor X-Forwarded-For is believed."""
        reply = self.get(
            self.path(1, ip="198.51.100.1", ipv4="198.51.100.2", hostname="victim"),
            STRANGER,
            "X-Forwarded-For: 198.51.100.3",
        )
        self.assertEqual(reply.status, 200)
        self.assertEqual(self.announce(2, compact=1)[b"peers"], pack_compact(STRANGER, 6881))

    def test_proxy(self) -> None:
        """Behind a configured proxy the peer is who the proxy says it is."""
        self.start(proxies=("127.0.0.1",))
        self.get(self.path(1), "127.0.0.1", "X-Forwarded-For: 198.51.100.3")
        self.assertEqual(self.announce(2, host="10.0.0.1", compact=1)[b"peers"], pack_compact("198.51.100.3", 6881))

    def test_f66_numbers(self) -> None:
        """Negative or huge amounts are refused with a reason; numwant is moved into its range."""
        for key in ("left", "uploaded", "downloaded"):
            for value in ("-1", str(2**63), "1e3", "0x10"):
                self.assertIn(key, self.failure(self.path_with(key, value)))
        for numwant in ("1000000000", "-1", "0"):
            self.assertIn(b"peers", self.announce(1, numwant=numwant))

    def test_retry_in(self) -> None:
        """A refusal that passes says so in minutes (BEP 31)."""
        self.get(self.path(1), STRANGER)
        value = self.read(self.get(self.path(1), STRANGER))
        self.assertEqual(value, {b"failure reason": b"announced 0 s ago, less than 30 s", b"retry in": 1})

    @given(
        st.dictionaries(
            st.sampled_from(["info_hash", "peer_id", "port", "left", "event", "numwant", "key", "ip", "compact"]),
            st.binary(),
        )
    )
    def test_f64_any_query(self, fields: dict[str, bytes]) -> None:
        """Whatever is asked, the answer is bencoded, canonical and has status 200."""
        reply = self.get("/announce?" + "&".join(f"{key}={quote(value)}" for key, value in fields.items()))
        self.assertEqual(reply.status, 200)
        self.read(reply)

    def test_s1_7_canonical(self) -> None:
        """Every kind of reply is canonical bencoding, as an independent reader sees it, too."""
        for number in range(1, 9):
            self.announce(number, left=number % 2, host="2001:db8::5" if number % 3 else "127.0.0.1")
        self.announce(20, hostname="client20")
        self.announce(21, compact=1, numwant=4)
        self.announce(22, compact=0)
        self.failure("/announce")
        self.read(self.get(f"/scrape?info_hash={quote(TORRENT)}"))
        self.failure("/scrape")
        for bad in (b"i-0e", b"i042e", b"5:abc", b"i1ei2e"):
            self.assertRaises(BencodeError, bencoding.decode, bad)


class NameTests(TrackerSiteCase):
    """Compact replies about peers with host names."""

    def test_names_are_looked_up(self) -> None:
        """The reply waits for the addresses; a name without one is left out."""
        for number, name in enumerate(("client1", "client2", "gone"), 1):
            self.announce(number, hostname=name)
        self.announce(4)
        connection = Connection(self.site)
        connection.send(f"GET {self.path(5, compact=1)} HTTP/1.1\r\n\r\n".encode())
        self.assertEqual(connection.replies(), [])
        self.asked["client1"].callback(["10.0.0.1"])
        self.asked["client2"].callback(["2001:db8::2"])
        self.asked["gone"].errback(OSError("no such name"))
        (reply,) = connection.replies()
        value = self.read(reply)
        self.assertEqual(value[b"peers"], pack_compact("127.0.0.1", 6884) + pack_compact("10.0.0.1", 6881))
        self.assertEqual(value[b"peers6"], pack_compact("2001:db8::2", 6882))
        self.assertEqual((value[b"complete"], value[b"incomplete"]), (0, 5))
        self.assertEqual(self.announce(5, compact=1)[b"peers"], value[b"peers"])  # now at once

    def test_look_up_takes_too_long(self) -> None:
        """After two seconds the reply is sent without the name."""
        self.announce(1, hostname="slow")
        connection = Connection(self.site)
        connection.send(f"GET {self.path(2, compact=1)} HTTP/1.1\r\n\r\n".encode())
        self.clock.advance(2)
        (reply,) = connection.replies()
        self.assertEqual(self.read(reply)[b"peers"], b"")

    def test_client_has_gone(self) -> None:
        """A client that does not wait is no trouble."""
        self.announce(1, hostname="slow")
        connection = Connection(self.site)
        connection.send(f"GET {self.path(2, compact=1)} HTTP/1.1\r\n\r\n".encode())
        connection.lose()
        self.asked["slow"].callback(["10.0.0.1"])
        self.clock.advance(5)
        self.assertEqual(connection.replies(), [])


class ScrapeTests(TrackerSiteCase):
    """Scrapes."""

    def test_s1_6_two_torrents(self) -> None:
        """The answer has exactly the raw info_hashes asked for, each with its three figures."""
        first, second = b"\xff" * 20, b"\x00" * 20
        self.announce(1, torrent=first, left=0, event="completed")
        self.announce(2, torrent=first)
        self.announce(3, torrent=OTHER)
        reply = self.get(f"/scrape?info_hash={quote(first)}&info_hash={quote(second)}")
        self.assertEqual(
            self.read(reply)[b"files"],
            {
                first: {b"complete": 1, b"incomplete": 1, b"downloaded": 1},
                second: {b"complete": 0, b"incomplete": 0, b"downloaded": 0},
            },
        )

    def test_f70_many_torrents(self) -> None:
        """Of more than 70 torrents the first 70 are answered; without any, the scrape is refused."""
        for count, answered in ((69, 69), (70, 70), (71, 70)):
            query = "&".join(f"info_hash={quote(number.to_bytes(20, 'big'))}" for number in range(count))
            self.assertEqual(len(self.read(self.get(f"/scrape?{query}"))[b"files"]), answered)
        self.assertIn("info_hash", self.failure("/scrape"))
        self.assertIn("19 bytes", self.failure(f"/scrape?info_hash={'a' * 19}"))

    def test_f70_full_scrape(self) -> None:
        """With full_scrape = true a scrape without torrents is about all of them."""
        self.start(full_scrape=True)
        self.announce(1)
        self.assertEqual(list(self.read(self.get("/scrape"))[b"files"]), [TORRENT])


class OtherPathTests(TrackerSiteCase):
    """What else there is."""

    def test_health(self) -> None:
        """/health is JSON that says healthy."""
        reply = self.get("/health")
        self.assertEqual((reply.status, reply.headers["content-type"]), (200, "application/json"))
        self.assertEqual(json.loads(reply.body), {"status": "healthy"})

    def test_banner(self) -> None:
        """/ says in one line what this is."""
        self.assertIn(b"BitTorrent tracker", self.get("/").body)

    def test_anything_else(self) -> None:
        """Other paths are 404, other methods 405, even with a body."""
        self.assertEqual([self.get(path).status for path in ("/x", "/announce/", "/announce/x", "/stats")], [404] * 4)
        for path in ("/announce", "/scrape", "/", "/health"):
            self.assertEqual(self.get(path, method="POST").status, 405)
        self.assertEqual(self.get(self.path(1), method="HEAD").status, 405)
        connection = Connection(self.site)
        connection.send(b"POST /announce HTTP/1.1\r\nContent-Length: 3\r\n\r\na=b")
        self.assertEqual(connection.replies()[0].status, 405)
        self.assertFalse(self.store.knows(TORRENT))

    def test_f78_bug(self) -> None:
        """An error nobody foresaw is a 500 without a word about the inside, and is logged."""
        with mock.patch.object(MemorySwarms, "announce", side_effect=ZeroDivisionError("secret path")):
            reply = self.get(self.path(1))
        self.assertEqual(reply.status, 500)
        self.assertNotIn(b"secret", reply.body)
        self.assertNotIn(b"Traceback", reply.body)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class PrivateTests(TrackerSiteCase):
    """A private tracker."""

    def setUp(self) -> None:
        super().setUp()
        self.start(private=True)
        self.admission.lists = Lists(passkeys=frozenset([b"0123456789abcdef"]))
        self.good = "/0123456789abcdef"

    def test_passkey(self) -> None:
        """Behind a good passkey there are announce and scrape; a scrape has the torrent's figures."""
        self.assertEqual(self.read(self.get(self.good + self.path(1)))[b"incomplete"], 1)
        files = self.read(self.get(f"{self.good}/scrape?info_hash={quote(TORRENT)}"))[b"files"]
        self.assertEqual(files[TORRENT][b"incomplete"], 1)

    def test_refused(self) -> None:
        """Without one, or with a wrong one, both are refused with the reason, and nothing is noted."""
        for passkey, reason in (("", "/PASSKEY/announce"), ("/0123456789abcdeF", "not known")):
            self.assertIn(reason, self.failure(passkey + self.path(1)))
            self.assertIn(reason, self.failure(f"{passkey}/scrape?info_hash={quote(TORRENT)}"))
        self.assertEqual((len(self.store.swarms), self.tracker.refused), (0, {"passkey": 4}))

    def test_other_paths(self) -> None:
        """A passkey opens nothing else, and no other path becomes an announce; what is open for all stays so."""
        for path in (f"{self.good}/health", f"{self.good}/", f"/x{self.good}/announce", f"{self.good}/announce/"):
            self.assertEqual(self.get(path).status, 404, path)
        self.assertEqual(self.get("/health").status, 200)

    def test_not_private(self) -> None:
        """A tracker that is not private has no such paths."""
        self.start()
        self.assertEqual(self.get(self.good + self.path(1)).status, 404)

    def test_torrents(self) -> None:
        """With a list of torrents only, everybody announces these, and nothing else, at the usual place."""
        self.admission.lists = Lists(torrents=frozenset([TORRENT]))
        self.assertEqual(self.announce(1)[b"incomplete"], 1)
        self.assertIn("not on the list", self.failure(self.path(1, OTHER)))
