"""Tests of p2pshare.tracker.lane: the short way of announces says what the long way would."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random
from typing import Any
from urllib.parse import quote

from attrs import evolve
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.settings import read_networks
from p2pshare.tracker import lane
from p2pshare.tracker.http import KeyedViews, TrackerFace, views
from p2pshare.tracker.lane import AnnounceLane, AnnounceSite
from p2pshare.tracker.logic import Tracker
from p2pshare.tracker.names import Names
from p2pshare.tracker.private import Admission, Lists
from p2pshare.tracker.settings import TrackerSettings
from p2pshare.tracker.swarm_store import MemorySwarms
from p2pshare.web.limits import LimitedSite
from p2pshare.web.paths import Paths
from p2pshare.web.sources import Sources
from tests.contracts.swarm_store import OTHER, TORRENT, peer_id
from tests.web.connections import Connection, Transport

STRANGER = "203.0.113.7"
_MAY_DIFFER = re.compile(rb"(?:Server|Date): [^\r\n]*\r\n")
KEY = b"0123456789abcdef"
HEADERS = ("Host: tracker", "User-Agent: client/1.0")


class Stand:
    """A tracker with a few peers, behind a site with lanes or without."""

    def __init__(self, *, lanes: bool, admission: Admission | None = None, **changes: Any) -> None:
        self.clock = Clock()
        self.settings = evolve(TrackerSettings(), **changes)
        self.store = MemorySwarms(Random(0).random)
        self.tracker = Tracker(
            self.store,
            self.settings,
            read_networks(self.settings.claims),
            self.clock.seconds,
            admission or Admission(),
        )
        self.asked: dict[str, Deferred[Sequence[str]]] = {}
        names = Names(lambda name: self.asked.setdefault(name, Deferred()), self.clock)
        face = TrackerFace(self.tracker, names, self.settings)
        sources = Sources(read_networks(self.settings.limits.exempt), read_networks(self.settings.proxies))
        common = (Paths(KeyedViews(views(face))), self.settings.limits.web(), sources, self.clock)
        self.site: LimitedSite = (
            AnnounceSite(
                *common, self.settings.access_log, answer=face.answer, refusal_status=self.settings.error_status
            )
            if lanes
            else LimitedSite(*common, self.settings.access_log)
        )

    def outcome(self, segments: Sequence[bytes], host: str) -> tuple[bytes, bool]:
        """Let bytes arrive on one connection; give what came back, and whether it was closed."""
        connection = Connection(self.site, host)
        for segment in segments:
            if connection.is_closing:
                break
            connection.send(segment)
        return _MAY_DIFFER.sub(b"", connection.transport.value()), connection.is_closing


def request(path: str, *headers: str, method: str = "GET", version: str = "HTTP/1.1") -> bytes:
    """Write a request."""
    return "\r\n".join([f"{method} {path} {version}", *(headers or HEADERS), "", ""]).encode("latin-1")


def announce(number: int = 1, *headers: str, path: str = "/announce", **fields: object) -> bytes:
    """Write the announce of the peer with this number."""
    given = {
        "info_hash": quote(TORRENT, safe=""),
        "peer_id": quote(peer_id(number), safe=""),
        "port": 6880 + number,
        "uploaded": 0,
        "downloaded": 0,
        "left": 1,
        "compact": 1,
        **fields,
    }
    return request(f"{path}?" + "&".join(f"{name}={value}" for name, value in given.items()), *headers)


class Socket(Transport):
    """A transport of TCP, as far as the lane looks behind it."""

    TLS = False
    sends = 0
    ended = False

    def __init__(self, protocol: AnnounceLane, arriving: list[bytes], takes: int) -> None:
        super().__init__()
        self._protocol = protocol
        self._arriving = arriving
        self._takes = takes

    def doRead(self) -> None:
        if self._arriving:
            self._protocol.dataReceived(self._arriving.pop(0))

    def writeSomeData(self, data: bytes) -> int:
        self.sends += 1
        self.io.write(data[: self._takes])
        return min(len(data), self._takes)

    def connectionLost(self, reason: Failure) -> None:
        self.ended = True
        self._protocol.connectionLost(reason)


class AnnounceLaneTests(SynchronousTestCase):
    """One connection."""

    def setUp(self) -> None:
        self.start()

    def start(self, **changes: Any) -> None:
        """Begin with an empty tracker."""
        self.stand = Stand(lanes=True, **changes)

    def connect(self, host: str = "127.0.0.1") -> Connection:
        """Connect."""
        return Connection(self.stand.site, host)

    def is_in_lane(self, connection: Connection) -> bool:
        """Whether twisted.web knows nothing of a connection."""
        assert isinstance(connection.channel, AnnounceLane)
        return connection.transport.producer is connection.channel

    def test_answered_at_once(self) -> None:
        """A plain announce gets its reply, byte by byte, and the connection stays where it is."""
        connection = self.connect()
        connection.send(announce(2, left=0))
        connection.replies()
        connection.send(announce(1))
        (reply,) = connection.replies()
        self.assertEqual(
            reply.body,
            b"d8:completei1e10:incompletei1e8:intervali1800e12:min intervali60e5:peers6:\x7f\0\0\1\x1a\xe2e",
        )
        self.assertEqual(reply.headers["content-type"], "application/x-bittorrent")
        self.assertRegex(reply.headers["date"], r"\w+, \d\d \w+ \d{4} \d\d:\d\d:\d\d GMT")
        self.assertTrue(self.is_in_lane(connection))
        self.assertFalse(connection.is_closing)

    def test_close(self) -> None:
        """A client that wants to be hung up on is told so, and is; what it sends after that is not read."""
        connection = self.connect()
        connection.send(announce(1, "Connection: close") + announce(2))
        (reply,) = connection.replies()
        self.assertEqual((reply.headers["connection"], connection.is_closing), ("close", True))
        connection.send(announce(2))
        self.assertEqual(connection.replies(), [])
        self.assertEqual(self.stand.tracker.announces, 1)

    def test_f60_pipelined(self) -> None:
        """Requests that come together are answered in order, also where one of them is for somebody else."""
        connection = self.connect()
        connection.send(announce(1) + announce(2) + request("/health") + announce(3, numwant=0) + announce(4)[:50])
        replies = connection.replies()
        self.assertEqual([len(reply.body) for reply in replies][2], len(b'{"status":"healthy"}'))
        self.assertEqual(len(replies), 4)
        connection.send(announce(4)[50:])
        self.assertEqual(len(connection.replies()), 1)
        self.assertEqual(self.stand.tracker.announces, 4)

    def test_what_leaves_the_lane(self) -> None:
        """Whatever is not a plain announce becomes a connection of twisted.web, with all its bytes."""
        for data in (
            announce(1)[:-1],
            request("/scrape?info_hash=" + quote(TORRENT)),
            request("/health"),
            announce(1, "Host: tracker", "X-Forwarded-For: 203.0.113.9"),
            announce(1, "Host: tracker", "Range: bytes=0-1"),
            announce(1, "Host: tracker", "Accept: application/json"),
            announce(1, compact=0),
            announce(1, port=0),
            announce(1, hostname="client1"),
        ):
            connection = self.connect()
            connection.send(data)
            self.assertFalse(self.is_in_lane(connection), data)

    def test_members_with_names(self) -> None:
        """A swarm in which a name has to be looked up first is left to the long way, which waits for it."""
        self.connect().send(announce(1, hostname="client1"))
        connection = self.connect()
        connection.send(announce(2) + announce(3))
        self.assertEqual(connection.replies(), [])
        self.stand.asked["client1"].callback(["10.0.0.1"])
        first, second = connection.replies()
        self.assertIn(b"\x0a\0\0\1\x1a\xe1", first.body)
        self.assertIn(b"\x0a\0\0\1\x1a\xe1", second.body)

    def test_silence(self) -> None:
        """Who says nothing is hung up on: earlier before the first request than after one."""
        limits = self.stand.site.limits
        silent, idle = self.connect(), self.connect()
        idle.send(announce())
        self.stand.clock.pump([1.0] * int(limits.header_deadline))
        self.assertEqual((silent.is_closing, idle.is_closing), (True, False))
        self.stand.clock.pump([1.0] * int(limits.idle - limits.header_deadline))
        self.assertTrue(idle.is_closing)

    def test_f58_slow_header(self) -> None:
        """Half a request has as long as it would have without lanes."""
        connection = self.connect()
        connection.send(announce(1)[:40])
        for _ in range(40):
            self.stand.clock.advance(0.5)
            if not connection.is_closing:
                connection.send(b"a")
        self.assertTrue(connection.is_closing)
        self.assertEqual(connection.replies()[0].status, 408)

    def test_last_bytes_have_a_limit(self) -> None:
        """A client that does not take its last reply is cut off after a while."""
        connection = self.connect()
        connection.send(announce(1, "Connection: close"))
        self.assertFalse(connection.transport.aborted)
        self.stand.clock.pump([1.0] * int(self.stand.site.limits.linger + 1))
        self.assertTrue(connection.transport.aborted)

    def test_client_that_does_not_read(self) -> None:
        """Who fetches no replies gets no more of them, and its requests are not read; later it goes on in order."""
        connection = self.connect()
        write = connection.transport.write

        def write_until_full(data: bytes) -> None:
            write(data)
            connection.transport.fill()

        connection.transport.write = write_until_full  # type: ignore[method-assign]
        connection.send(announce(1) + announce(2) + announce(3))
        self.assertEqual(connection.transport.producerState, "paused")
        self.assertEqual((len(connection.replies()), self.stand.tracker.announces), (1, 1))
        for number in (2, 3):
            connection.transport.drain()
            self.assertEqual((len(connection.replies()), self.stand.tracker.announces), (1, number))

    def connect_socket(self, *arriving: bytes, takes: int = 10**6) -> Connection:
        """Connect as over TCP: bytes may have arrived already, and each reply is taken so far at once."""
        self.patch(lane, "Server", Socket)
        connection = Connection(self.stand.site)
        connection.transport = Socket(connection.channel, list(arriving), takes)
        connection.channel.makeConnection(connection.transport)
        return connection

    def test_part_of_a_reply(self) -> None:
        """A socket that takes only a part of a reply gets the rest, and everything after it, in order."""
        connection = self.connect_socket(takes=10)
        connection.send(announce(1) + announce(2))
        self.assertEqual((connection.transport.sends, len(connection.replies())), (1, 2))

    def test_first_request_comes_along(self) -> None:
        """A request that was there before anybody looked is answered with the connection's first breath."""
        connection = self.connect_socket(announce(1))
        self.assertEqual((connection.transport.sends, len(connection.replies())), (1, 1))
        self.assertTrue(self.is_in_lane(connection))

    def test_whole_life_in_one_request(self) -> None:
        """Where that was all, the connection ends there and then, and is counted no more."""
        connection = self.connect_socket(announce(1, "Connection: close"))
        self.assertEqual((len(connection.replies()), connection.transport.ended), (1, True))
        self.assertEqual(self.stand.site._connections, 0)

    def test_whole_life_but_a_part_of_the_reply(self) -> None:
        """If the reply does not leave at once, the connection lives until it has."""
        connection = self.connect_socket(announce(1, "Connection: close"), takes=10)
        self.assertEqual((len(connection.replies()), connection.transport.ended), (1, False))
        self.assertTrue(connection.is_closing)

    def test_later_requests_end_in_order(self) -> None:
        """A connection that lived on ends as the reactor wants it."""
        connection = self.connect_socket()
        connection.send(announce(1, "Connection: close"))
        self.assertEqual((connection.transport.ended, connection.is_closing), (False, True))

    def test_limits_on_connections(self) -> None:
        """Connections in lanes and others share one count, and each is given back once."""
        self.start(limits=evolve(TrackerSettings().limits, connections_per_address=3))
        here, there = self.connect(STRANGER), self.connect(STRANGER)
        third = self.connect(STRANGER)
        there.send(request("/health"))
        self.assertIsNone(self.connect(STRANGER).channel)
        self.assertEqual(self.stand.site.hits, {"connections_per_address": 1})
        for connection in (here, there, third):
            connection.lose()
            again = self.connect(STRANGER)
            self.assertIsNotNone(again.channel)
            again.lose()
        self.assertEqual(self.stand.site._by_group, {})

    def test_access_log(self) -> None:
        """With an access log every request has its line in it, as none takes the short way."""
        path = self.mktemp()
        self.start(access_log=path)
        self.stand.site.startFactory()
        self.addCleanup(self.stand.site.stopFactory)
        connection = self.connect()
        connection.send(announce(1) + announce(2))
        self.stand.site.stopFactory()
        with open(path, encoding="ascii") as file:
            self.assertEqual(file.read().count("GET /announce?"), 2)

    def test_nothing_is_left(self) -> None:
        """A site that has ended has no timer any more."""
        self.connect()
        self.assertEqual(len(self.stand.clock.getDelayedCalls()), 1)
        self.stand.site.stopFactory()
        self.assertEqual(self.stand.clock.getDelayedCalls(), [])

    def test_passkey_of_a_private_tracker(self) -> None:
        """Behind a good passkey announces take the short way; a bad one is refused with a reason."""
        self.start(admission=Admission(Lists(passkeys=frozenset([KEY]))))
        for path, refused in ((f"/{KEY.decode()}/announce", False), ("/wrong-key/announce", True), ("/announce", True)):
            connection = self.connect()
            connection.send(announce(1, path=path))
            (reply,) = connection.replies()
            self.assertEqual((b"failure reason" in reply.body, self.is_in_lane(connection)), (refused, True), path)
        self.assertEqual(self.stand.tracker.refused, {"passkey": 2})


NAMES = ["info_hash", "peer_id", "port", "left", "event", "numwant", "compact", "key", "no_peer_id", "uploaded"]
NAMES += ["downloaded", "ip", "hostname", "trackerid", "corrupt", "supportcrypto", "por%74", "%6Bey", "format", ""]
VALUES = [
    "",
    "0",
    "1",
    "-1",
    "50",
    "6881",
    "65536",
    "99999999999999999999",
    "started",
    "completed",
    "stopped",
    "paused",
]
VALUES += ["%31", "+1", "1;left=0", "a" * 20, "a" * 65, "%zz", quote(OTHER), quote(OTHER, safe="").lower(), "10.1.2.3"]
MORE_HEADERS = ["Host: t", "User-Agent: x/1", "Accept-Encoding: gzip", "Accept: */*", "Accept: application/json"]
MORE_HEADERS += ["Connection: close", "connection: Keep-Alive", "Connection: keep-alive, Upgrade", "Content-Length: 0"]
MORE_HEADERS += ["Content-Length: 3", "Transfer-Encoding: chunked", "Expect: 100-continue", "X-Forwarded-For: 8.8.8.8"]
MORE_HEADERS += ["Bad Header: x", "no colon", " folded", "X: \x00", "Range: bytes=0-3", "Upgrade: websocket", "Host:"]


def announces() -> st.SearchStrategy[bytes]:
    """Announces, most of them good, some with something odd in the query or the headers."""
    odd = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=2)
    headers = st.lists(st.sampled_from(MORE_HEADERS), max_size=3)
    return st.builds(_odd_announce, st.integers(1, 4), odd, headers, st.booleans())


def _odd_announce(number: int, odd: list[tuple[str, str]], headers: list[str], replaces: bool) -> bytes:
    if replaces:
        return announce(number, *headers, **dict(odd))
    more = "".join(f"&{name}={value}" for name, value in odd)
    return announce(number, *headers).replace(b"compact=1", f"compact=1{more}".encode("latin-1"))


def others() -> st.SearchStrategy[bytes]:
    """Requests of any kind, and what is none."""
    lines = st.sampled_from(["/announce", "/announce?", "/scrape?info_hash=" + quote(TORRENT), "/health", "/", "/x?y"])
    written = st.builds(
        lambda path, method, version: request(path, method=method, version=version),
        lines,
        st.sampled_from(["GET", "HEAD", "POST", "get"]),
        st.sampled_from(["HTTP/1.1", "HTTP/1.0", "HTTP/2.0", ""]),
    )
    return st.one_of(written, st.binary(max_size=30), st.just(b"\r\n"))


class OracleTests(SynchronousTestCase):
    """The same bytes, with lanes and without."""

    def compare(self, segments: Sequence[bytes], host: str = "127.0.0.1", **changes: Any) -> None:
        """Let bytes arrive at both, and see that status, headers, bodies and the connections' ends are the same."""
        fast, slow = (Stand(lanes=lanes, **changes) for lanes in (True, False))
        self.assertEqual(fast.outcome(segments, host), slow.outcome(segments, host))
        self.assertEqual((fast.tracker.announces, fast.tracker.refused), (slow.tracker.announces, slow.tracker.refused))
        self.assertEqual(fast.site.hits, slow.site.hits)

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(st.one_of(announces(), announces(), others()), min_size=1, max_size=4),
        st.lists(st.integers(0, 1500), max_size=3),
        st.sampled_from(["127.0.0.1", STRANGER, "2001:db8::1"]),
    )
    @example([announce(1), announce(1), announce(1, "Connection: close")], [], STRANGER)
    def test_f64_any_requests_cut_anywhere(self, requests: list[bytes], cuts: list[int], host: str) -> None:
        """Any requests, in any segments, have the same replies and the same end as without lanes."""
        data = b"".join(requests)
        places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
        segments = [data[start:end] for start, end in pairwise(places) if end > start]
        self.compare(segments, host)

    @settings(max_examples=100, deadline=None)
    @given(announces(), st.integers(0, 400), st.integers(0, 255))
    def test_f64_any_byte_of_an_announce(self, good: bytes, at: int, byte: int) -> None:
        """An announce in which one byte is another one has the same reply."""
        at %= len(good)
        self.compare([good[:at] + bytes((byte,)) + good[at + 1 :]])

    def test_refusals(self) -> None:
        """Refusals have the status that the settings want, whichever way they come."""
        for status in (200, 400):
            self.compare([announce(1), announce(1), announce(1, port=0)], STRANGER, error_status=status)

    def test_private(self) -> None:
        """So it is with passkeys, and with torrents that are not on the list."""
        paths: list[str] = [
            "/announce",
            f"/{KEY.decode()}/announce",
            "/wrong-key/announce",
            "/a/b/announce",
            "//announce",
        ]
        make: Callable[[], Lists] = lambda: Lists(frozenset([KEY]), frozenset([TORRENT]))  # noqa: E731
        for path in paths:
            for torrent in (TORRENT, OTHER):
                self.compare(
                    [announce(1, path=path, info_hash=quote(torrent, safe=""))], STRANGER, admission=Admission(make())
                )
