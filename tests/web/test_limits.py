"""Tests of p2pshare.web.limits: what a stranger can make a site do."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.address import UNIXAddress
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from p2pshare.settings import read_networks
from p2pshare.web.bodies import Intake, Page, Unwanted
from p2pshare.web.limits import LimitedSite, WebLimits
from p2pshare.web.sources import Sources
from tests.web.connections import Connection

STRANGER = "203.0.113.7"
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class EchoResource(Resource):
    """Answers with the body it got and who sent it; on /slow, not yet."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Any] = []

    def render(self, request: Any) -> bytes | int:
        if request.path == b"/slow":
            self.waiting.append(request)
            return NOT_DONE_YET
        return b"%s %s" % (request.source.host.encode(), request.content.read())


class SiteCase(SynchronousTestCase):
    """Has a site with a fake clock."""

    limits = WebLimits(body_bytes=10)

    def setUp(self) -> None:
        self.clock = Clock()
        self.resource = EchoResource()
        self.site = self.make_site(self.limits)

    def make_site(self, limits: WebLimits, proxies: tuple[str, ...] = ()) -> LimitedSite:
        """Make a site that exempts private networks."""
        sources = Sources(read_networks(["private"]), read_networks(proxies))
        return LimitedSite(self.resource, limits, sources, self.clock)

    def connect(self, host: str = STRANGER) -> Connection:
        """Connect to the site."""
        return Connection(self.site, host)


class HeaderTests(SiteCase):
    """How large a header may be and how long it may take."""

    def test_f60_pipelined_requests(self) -> None:
        """Requests that come together on one connection are answered one by one, in order."""
        connection = self.connect()
        connection.send(REQUEST * 3)
        self.assertEqual([reply.body for reply in connection.replies()], [b"203.0.113.7 "] * 3)
        self.assertFalse(connection.is_closing)

    def test_f58_large_header(self) -> None:
        """More than 8 KiB of header, in one line or in many, is a 4xx and the end."""
        for data in (
            b"GET /" + b"a" * 9000,
            b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"A: %s\r\n" % (b"a" * 1000) * 9,
        ):
            connection = self.connect()
            connection.send(data)
            (reply,) = connection.replies()
            self.assertIn(reply.status, (400, 431))
            self.assertTrue(connection.is_closing)

    def test_largest_header(self) -> None:
        """8 KiB of request line and headers together are fine."""
        connection = self.connect()
        line = b"GET / HTTP/1.1"
        connection.send(line + b"\r\nA: %s\r\n\r\n" % (b"a" * (8192 - len(line) - 3)))
        self.assertEqual(connection.replies()[0].status, 200)

    def test_f58_many_headers(self) -> None:
        """64 headers are fine, 65 are a 400 and the end."""
        for count, status in ((64, 200), (65, 400), (500, 400)):
            connection = self.connect()
            connection.send(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * count + b"\r\n")
            self.assertEqual(connection.replies()[0].status, status)

    def test_f58_slow_header(self) -> None:
        """A header that trickles in is cut off after 10 seconds, however often a byte comes."""
        connection = self.connect()
        for byte in (REQUEST[:-1] * 2)[:20]:
            self.assertFalse(connection.is_closing)
            connection.send(bytes([byte]))
            self.clock.advance(0.5)
        self.assertTrue(connection.is_closing)
        self.assertEqual(connection.replies()[0].status, 408)

    def test_f58_slow_second_header(self) -> None:
        """The 10 seconds of a later request begin with its first byte."""
        connection = self.connect()
        connection.send(REQUEST)
        connection.replies()
        self.clock.pump([1.0] * 33)
        for byte in REQUEST[:10]:
            self.assertFalse(connection.is_closing)
            connection.send(bytes([byte]))
            self.clock.advance(1)
        self.assertTrue(connection.is_closing)

    def test_f58_nothing_at_all(self) -> None:
        """A new connection without a byte is closed after 10 seconds; without a reply, as nothing was asked."""
        connection = self.connect()
        self.clock.advance(9.9)
        self.assertFalse(connection.is_closing)
        self.clock.advance(0.1)
        self.assertTrue(connection.is_closing)
        self.assertEqual(connection.replies(), [])

    def test_idle(self) -> None:
        """A connection may be idle for 60 seconds after an answer."""
        connection = self.connect()
        connection.send(REQUEST)
        self.clock.pump([1.0] * 59)
        self.assertFalse(connection.is_closing)
        self.clock.advance(1)
        self.assertTrue(connection.is_closing)

    def test_client_that_does_not_close(self) -> None:
        """15 seconds after we hung up the connection is broken, if the last bytes have not left by then."""
        connection = self.connect()
        self.clock.advance(10)
        self.clock.pump([1.0] * 14)
        self.assertFalse(connection.transport.aborted)
        self.clock.advance(1)
        self.assertTrue(connection.transport.aborted)

    def test_long_answer(self) -> None:
        """An answer may take its time."""
        connection = self.connect()
        connection.send(b"GET /slow HTTP/1.1\r\n\r\n")
        self.clock.pump([10.0] * 100)
        self.assertFalse(connection.is_closing)
        self.resource.waiting[0].finish()
        self.clock.pump([1.0] * 60)
        self.assertTrue(connection.is_closing)

    def test_no_timer_is_left(self) -> None:
        """A connection that ends, in whatever phase, leaves no timer behind."""
        for data in (
            b"",
            b"GET",
            REQUEST,
            b"GET /slow HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: 99\r\n\r\n",
        ):
            connection = self.connect()
            if data:
                connection.send(data)
            connection.lose()
            self.assertEqual(self.clock.getDelayedCalls(), [])


class BodyTests(SiteCase):
    """How large a body may be and how long it may take."""

    def test_allowed_body(self) -> None:
        """A body up to the limit arrives, with a length or in chunks."""
        connection = self.connect()
        connection.send(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n0123456789")
        connection.send(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n")
        self.assertEqual([reply.body for reply in connection.replies()], [b"203.0.113.7 0123456789"] * 2)

    def test_f59_large_length(self) -> None:
        """A length over the limit is 413 before a byte of the body has come."""
        for length in (11, 10 * 1024**3, 10**400):
            connection = self.connect()
            connection.send(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % length)
            self.assertEqual([reply.status for reply in connection.replies()], [413])
            self.assertTrue(connection.is_closing)
            connection.send(b"x" * 100)  # a transport in memory does not stop by itself
            self.assertEqual(connection.replies(), [])

    def test_f59_endless_chunks(self) -> None:
        """A chunked body is cut off as soon as it is over the limit."""
        connection = self.connect()
        connection.send(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(2):
            connection.send(b"5\r\n01234\r\n")
            self.assertFalse(connection.is_closing)
        connection.send(b"1\r\nx\r\n")
        self.assertEqual([reply.status for reply in connection.replies()], [413])
        self.assertTrue(connection.is_closing)

    def test_no_body_at_all(self) -> None:
        """With a limit of 0 a chunked body is refused before it begins, and a length of 0 is fine."""
        self.site = self.make_site(WebLimits())
        connection = self.connect()
        connection.send(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        connection.send(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.assertEqual([reply.status for reply in connection.replies()], [200, 413])

    def test_f58_slow_body(self) -> None:
        """A body that trickles in is cut off after 60 seconds."""
        connection = self.connect()
        connection.send(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n")
        for _ in range(6):
            self.assertFalse(connection.is_closing)
            connection.send(b"x")
            self.clock.advance(10)
        self.assertTrue(connection.is_closing)
        self.assertEqual(connection.replies()[0].status, 408)

    def test_f60_two_lengths(self) -> None:
        """Two lengths, or a length and chunks, are a 400: a proxy might read them otherwise than we do."""
        for headers in (b"Content-Length: 1\r\nContent-Length: 2", b"Content-Length: 1\r\nTransfer-Encoding: chunked"):
            connection = self.connect()
            connection.send(b"POST / HTTP/1.1\r\n" + headers + b"\r\n\r\nx")
            self.assertEqual(connection.replies()[0].status, 400)
            self.assertTrue(connection.is_closing)


class RecordingIntake:
    """Takes a body in parts; refuses the word ``no``."""

    def __init__(self) -> None:
        self.events: list[object] = []

    def write(self, data: bytes) -> None:
        if data == b"no":
            raise Unwanted(Page(b"not that", status=422, headers=(("X-Why", "a\r\nb"),)), "json_bytes")
        self.events.append(data)

    def abandon(self) -> None:
        self.events.append("abandoned")


class ByPath:
    """Lets /large have 100 bytes, /taken be taken by somebody, and /refused have nothing."""

    def __init__(self) -> None:
        self.intake = RecordingIntake()
        self.asked: list[tuple[bytes, bytes, int | None]] = []

    def body_limit(self, request: Any, length: int | None) -> tuple[int, Intake | None]:
        self.asked.append((request.method, request.uri, length))
        if request.path == b"/refused":
            raise Unwanted(Page(b"{}", "application/json", 401))
        if request.path == b"/taken":
            return 50, self.intake
        return (100 if request.path == b"/large" else 0), None

    def too_large(self, request: Any, limit: int) -> Page:
        return Page(b"at most %d" % limit, status=413)


class BodiesTests(SiteCase):
    """Bodies that are decided on one by one, from their header."""

    def setUp(self) -> None:
        super().setUp()
        self.bodies = ByPath()
        sources = Sources(read_networks(["private"]))
        self.site = LimitedSite(self.resource, self.limits, sources, self.clock, bodies=self.bodies)

    def post(self, path: str, length: int, body: bytes = b"") -> Connection:
        """Send a request, or its beginning."""
        connection = self.connect()
        connection.send(f"POST {path} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode() + body)
        return connection

    def test_own_limits(self) -> None:
        """Each has its own limit, and its own words for what is over it."""
        (reply,) = self.post("/large?x=y", 100, b"x" * 100).replies()
        self.assertEqual(reply.body, b"203.0.113.7 " + b"x" * 100)
        (reply,) = self.post("/large", 101).replies()
        self.assertEqual((reply.status, reply.body, reply.headers["connection"]), (413, b"at most 100", "close"))
        self.assertEqual(self.bodies.asked, [(b"POST", b"/large?x=y", 100), (b"POST", b"/large", 101)])
        self.assertEqual(self.site.hits["body_bytes"], 1)

    def test_no_body(self) -> None:
        """A request without a body is not asked about."""
        self.connect().send(REQUEST)
        self.assertEqual(self.bodies.asked, [])

    def test_refused_before_it_comes(self) -> None:
        """A body that is not wanted is refused when its header is there."""
        connection = self.post("/refused", 10)
        (reply,) = connection.replies()
        self.assertEqual((reply.status, reply.body, reply.headers["content-type"]), (401, b"{}", "application/json"))
        self.assertTrue(connection.is_closing)

    def test_taken(self) -> None:
        """A body may be taken while it comes; then it is not in memory as well."""
        connection = self.post("/taken", 10, b"01234")
        connection.send(b"56789")
        self.assertEqual(self.bodies.intake.events, [b"01234", b"56789"])
        self.assertEqual(connection.replies()[0].body, b"203.0.113.7 ")

    def test_refused_while_it_comes(self) -> None:
        """Whoever takes it may have enough of it; a value cannot add a header."""
        connection = self.post("/taken", 10, b"yes")
        connection.send(b"no")
        (reply,) = connection.replies()
        self.assertEqual((reply.status, reply.body, reply.headers["x-why"]), (422, b"not that", "a b"))
        self.assertEqual(self.bodies.intake.events, [b"yes", "abandoned"])
        self.assertEqual(self.site.hits["json_bytes"], 1)

    def test_abandoned(self) -> None:
        """Who takes it is told when the rest will not come: the client went, was too slow or sent too much."""
        self.post("/taken", 10, b"012").lose()
        slow = self.post("/taken", 10, b"012")
        self.clock.pump([10.0] * 6)
        self.assertEqual(slow.replies()[0].status, 408)
        slow.lose()
        chunked = self.connect()
        chunked.send(b"POST /taken HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n33\r\n" + b"x" * 51)
        self.assertEqual(chunked.replies()[0].status, 413)
        self.assertEqual(self.bodies.intake.events, [b"012", "abandoned"] * 2 + ["abandoned"])

    def test_half_close(self) -> None:
        """A client that is still sending can read why it is refused: only our half is closed, for 15 seconds."""
        connection = self.connect()
        transport: Any = connection.transport
        closed: list[str] = []
        transport.loseWriteConnection = lambda: closed.append("ours")
        connection.send(b"POST /large HTTP/1.1\r\nContent-Length: 101\r\n\r\n")
        self.assertEqual((closed, connection.is_closing), (["ours"], False))
        connection.replies()
        connection.send(b"x" * 101 + REQUEST)
        self.assertEqual(connection.replies(), [])
        self.clock.pump([1.0] * 15)
        self.assertTrue(transport.aborted)


class HitTests(SiteCase):
    """How often each limit was hit."""

    def test_headers(self) -> None:
        """Headers that are too long, too many or too slow are counted apart."""
        for data, name in (
            (b"GET /" + b"a" * 9000, "header_bytes"),
            (b"GET / HTTP/1.1\r\n" + b"A: %s\r\n" % (b"a" * 1000) * 9, "header_bytes"),
            (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 65 + b"\r\n", "headers"),
        ):
            before = self.site.hits[name]
            self.connect().send(data)
            self.assertEqual(self.site.hits[name], before + 1)
        self.connect().send(b"GET / HTTP/1.1\r\nA")
        self.clock.pump([1.0] * 10)
        self.connect().send(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n")
        self.clock.pump([1.0] * 60)
        self.assertEqual((self.site.hits["header_deadline"], self.site.hits["body_deadline"]), (1, 1))

    def test_connections(self) -> None:
        """So are connections that were not wanted."""
        self.site = self.make_site(WebLimits(connections=2, connections_per_address=1))
        for host in (STRANGER, STRANGER, "203.0.113.8", "203.0.113.9"):
            self.connect(host)
        self.assertEqual(self.site.hits, {"connections_per_address": 1, "connections": 1})


class ConnectionTests(SiteCase):
    """How many connections there may be."""

    limits = WebLimits(connections=5, connections_per_address=2)

    def test_per_address(self) -> None:
        """A third connection from one address is not wanted, until one of the two is gone; another address is."""
        first, _, third = (self.connect() for _ in range(3))
        self.assertIsNone(third.channel)
        self.assertEqual(self.site.turned_away, 1)
        self.assertIsNotNone(self.connect("203.0.113.8").channel)
        first.lose()
        self.assertIsNotNone(self.connect().channel)

    def test_ipv6_by_network(self) -> None:
        """IPv6 addresses of one /64 count together."""
        connections = [self.connect(f"2001:db8::{number}") for number in range(1, 4)]
        self.assertEqual([c.channel is not None for c in connections], [True, True, False])
        self.assertIsNotNone(self.connect("2001:db8:0:1::1").channel)

    def test_mapped_address(self) -> None:
        """An IPv4 address is the same one on an IPv6 socket."""
        self.connect("::ffff:203.0.113.7")
        self.connect("203.0.113.7")
        self.assertIsNone(self.connect("::ffff:203.0.113.7").channel)

    def test_exempt_networks(self) -> None:
        """A private address may have as many as there are in all."""
        connections = [self.connect("10.0.0.1") for _ in range(6)]
        self.assertEqual([c.channel is not None for c in connections], [True] * 5 + [False])

    def test_unix_socket(self) -> None:
        """A UNIX socket counts as this machine."""
        channel: Any = self.site.buildProtocol(UNIXAddress(None))
        self.assertEqual(channel.source.host, "127.0.0.1")

    def test_everybody_gone(self) -> None:
        """Nothing is remembered of addresses without a connection."""
        for connection in [self.connect(f"203.0.113.{n}") for n in range(5)]:
            connection.lose()
        self.assertEqual((self.site._connections, dict(self.site._by_group)), (0, {}))


class SourceTests(SiteCase):
    """Whom a request is said to be from."""

    def test_f65_forwarded_by_a_stranger(self) -> None:
        """X-Forwarded-For of somebody who is no configured proxy counts for nothing."""
        reply = self.connect().get("/", "X-Forwarded-For: 198.51.100.1")
        self.assertEqual(reply.body, b"203.0.113.7 ")

    def test_forwarded_by_a_proxy(self) -> None:
        """Behind a configured proxy it is the last address that the proxy wrote."""
        self.site = self.make_site(self.limits, proxies=("127.0.0.1",))
        reply = self.connect("127.0.0.1").get("/", "X-Forwarded-For: 10.0.0.1, 198.51.100.1")
        self.assertEqual(reply.body, b"198.51.100.1 ")


class LogTests(SiteCase):
    """The access log."""

    def test_none_by_default(self) -> None:
        """Without a path nothing is logged and no timer runs for it."""
        self.site.startFactory()
        self.connect().get("/")
        self.assertIsNone(self.site._logFile)
        self.site.stopFactory()

    def test_with_a_path(self) -> None:
        """With one every request is a line."""
        path = self.mktemp()
        sources = Sources(read_networks([]))
        self.site = LimitedSite(self.resource, evolve(self.limits), sources, self.clock, path)
        self.site.startFactory()
        self.connect().get("/some/path")
        self.site.stopFactory()
        with open(path, encoding="ascii") as log:
            line = log.read()
        self.assertIn('"GET /some/path HTTP/1.1" 200', line)
        self.assertNotIn("1970", line)  # the time of day, not the clock's

    def test_f75_no_token_in_it(self) -> None:
        """A token in a URL, or in the one that led here, does not stay in a file."""
        path = self.mktemp()
        self.site = LimitedSite(self.resource, self.limits, Sources(read_networks([])), self.clock, path)
        self.site.startFactory()
        self.connect().get("/page?a=b&token=secret&c=d", "Referer: http://h/?token=secret")
        self.site.stopFactory()
        with open(path, encoding="ascii") as log:
            line = log.read()
        self.assertNotIn("secret", line)
        self.assertIn("/page?a=b&token=***&c=d HTTP/1.1", line)
