"""Tests of p2pshare.discovery.index_client."""

from __future__ import annotations

from collections.abc import Coroutine
from io import BytesIO
from typing import Any

from attrs import define, field, frozen
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionLost, ConnectionRefusedError, DNSLookupError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from p2pshare.discovery.index_client import LONGEST_REPLY, TIMEOUT, IndexClient, _Noting, index_url, make_index_client
from p2pshare.errors import ConfigError, IndexRefused, IndexUnreachable
from tests.discovery.fakes import FakeResponse, redirect

BASE = "http://index.test:8000"


@frozen
class Asked:
    """One request as it was sent."""

    method: str
    url: str
    headers: Headers
    body: bytes | None


@implementer(IAgent)
@define(eq=False)
class IndexAgent:
    """Answers everything alike, and keeps what it was asked."""

    answer: FakeResponse | Exception | Deferred[IResponse]
    asked: list[Asked] = field(factory=list)

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: IBodyProducer | None = None
    ) -> Deferred[IResponse]:
        assert headers is not None
        body = None
        if bodyProducer is not None:
            taken = BytesIO()
            assert bodyProducer.startProducing(taken).called
            body = taken.getvalue()
            assert len(body) == bodyProducer.length
        self.asked.append(Asked(method.decode(), uri.decode(), headers, body))
        if isinstance(self.answer, Deferred):
            return self.answer
        return fail(self.answer) if isinstance(self.answer, Exception) else succeed(self.answer)


def said(body: bytes, code: int = 200, **more: Any) -> FakeResponse:
    """An answer."""
    return FakeResponse((body,), code, **more)


class IndexUrlTests(SynchronousTestCase):
    """Addresses of an index as people write them."""

    def test_forms(self) -> None:
        """Host and port are enough; paths, queries and spaces around do not matter; names of hosts are taken as is."""
        for text, url in {
            "http://index.test:8000": "http://index.test:8000",
            "http://index.test": "http://index.test",
            "index.test:8000": "http://index.test:8000",
            "localhost": "http://localhost",
            "HTTPS://Index.Test/api/v1/": "https://index.test",
            "http://index.test:8000/announce?x=1#y": "http://index.test:8000",
            " http://index.test:80/ ": "http://index.test:80",
            "[::1]:8000": "http://[::1]:8000",
            "http://[2001:db8::0001]/": "http://[2001:db8::1]",
            "http://index.test:/": "http://index.test",
            "super_peer:8080": "http://super_peer:8080",
        }.items():
            self.assertEqual(index_url(text), url, text)

    def test_no_address(self) -> None:
        """Anything else is refused, with what was given."""
        for text in (
            "",
            "http://",
            "ftp://index.test",
            "http://index.test:0",
            "http://index.test:70000",
            "http://index.test:x",
            "http://in dex.test",
            "http://index.test\r\nX: 1",
            "http://índex.test",
            "http://[::1",
            "http://0.0.0.0:8000",
            "file:///etc/passwd",
        ):
            error = self.assertRaises(ConfigError, index_url, text)
            self.assertIn(repr(text), str(error))

    def test_secrets(self) -> None:
        """A password in the address is refused without being repeated."""
        error = self.assertRaises(ConfigError, index_url, "http://ann:hunter2@index.test")
        self.assertIn("token", str(error))
        self.assertNotIn("hunter2", str(error))


class IndexClientCase(SynchronousTestCase):
    """Has an index that answers what a test wants."""

    def setUp(self) -> None:
        self.clock = Clock()

    def client(self, answer: FakeResponse | Exception | Deferred[IResponse], token: str | None = None) -> IndexClient:
        """A client of an index that answers this."""
        self.agent = IndexAgent(answer)
        return IndexClient(BASE, self.agent, self.clock, token)

    def result(self, asking: Coroutine[Any, Any, Any]) -> Any:
        """Give what is there at once."""
        return self.successResultOf(Deferred.fromCoroutine(asking))

    def refused(self, answer: FakeResponse | Exception | Deferred[IResponse]) -> str:
        """Ask in vain; give the words."""
        asking = Deferred.fromCoroutine(self.client(answer).ask("GET", "/api/v1/files"))
        return str(self.failureResultOf(asking, IndexUnreachable).value)


class AskTests(IndexClientCase):
    """What is sent, and what comes back."""

    def test_question(self) -> None:
        """A question has its query, its body in JSON, its headers and our name on it."""
        client = self.client(said(b'{"a": [1, null]}'))
        answer = self.result(
            client.ask(
                "POST",
                "/api/v1/files/a b/ü",
                query={"q": "a&b", "tags": ["x", "y"], "limit": None},
                body={"name": "ü"},
                headers={"X-Peer-ID": "peer_1"},
            )
        )
        (asked,) = self.agent.asked
        self.assertEqual(answer, {"a": [1, None]})
        self.assertEqual(asked.method, "POST")
        self.assertEqual(asked.url, f"{BASE}/api/v1/files/a%20b/%C3%BC?q=a%26b&tags=x&tags=y")
        self.assertEqual(asked.body, '{"name":"ü"}'.encode())
        self.assertEqual(asked.headers.getRawHeaders("X-Peer-ID"), ["peer_1"])
        self.assertEqual(asked.headers.getRawHeaders("Content-Type"), ["application/json"])
        self.assertEqual(asked.headers.getRawHeaders("Accept-Encoding"), ["identity"])
        self.assertFalse(asked.headers.hasHeader("Authorization"))

    def test_plain_question(self) -> None:
        """Without a query and a body there is neither a question mark nor a type of content."""
        self.result(self.client(said(b"[]")).ask("GET", "/api/v1/peers"))
        (asked,) = self.agent.asked
        self.assertEqual((asked.url, asked.body), (f"{BASE}/api/v1/peers", None))
        self.assertFalse(asked.headers.hasHeader("Content-Type"))

    def test_token(self) -> None:
        """A token goes with every question, and is shown nowhere."""
        client = self.client(said(b"[]"), token="s3cret")
        self.result(client.ask("GET", "/"))
        self.assertEqual(self.agent.asked[0].headers.getRawHeaders("Authorization"), ["Bearer s3cret"])
        self.assertNotIn("s3cret", repr(client))

    def test_empty(self) -> None:
        """An empty answer, as to a heartbeat, is None."""
        self.assertIsNone(self.result(self.client(said(b"")).ask("POST", "/api/v1/peers/heartbeat")))

    def test_bytes(self) -> None:
        """What is no JSON can be fetched as it is."""
        self.assertEqual(self.result(self.client(said(b"d4:infode")).fetch("GET", "/t")), b"d4:infode")

    def test_line_ends(self) -> None:
        """A header with line ends in it stays one header."""
        self.result(self.client(said(b"")).ask("GET", "/", headers={"X-Peer-ID": "a\r\nX-Evil: 1"}))
        self.assertNotIn("\n", self.agent.asked[0].headers.getRawHeaders("X-Peer-ID", [""])[0])


class RefusalTests(IndexClientCase):
    """An index that says no."""

    def words(self, body: bytes, code: int) -> tuple[str, int]:
        """Be refused; give the reason and the status."""
        asking = Deferred.fromCoroutine(self.client(said(body, code)).ask("GET", "/x"))
        error = self.failureResultOf(asking, IndexRefused).value
        return str(error), error.status

    def test_reasons(self) -> None:
        """The reason is that of the index, in either of its forms, or the status."""
        self.assertEqual(self.words(b'{"error": "File not found"}', 404), ("File not found", 404))
        self.assertEqual(self.words(b'{"detail": "no"}', 422), ("no", 422))
        for body in (b"", b"<h1>no</h1>", b"[1]", b'{"error": {"a": 1}}', b"\xff", b"[" * 100_000):
            self.assertEqual(self.words(body, 503), ("http://index.test:8000: answered 503", 503))

    def test_nasty_reason(self) -> None:
        """A reason is short and printable, whatever it was."""
        reason, _ = self.words(b'{"error": "a\\u001b[31m\\n' + b"x" * 5000 + b'"}', 400)
        self.assertTrue(reason.isprintable())
        self.assertEqual((reason[:6], len(reason)), ("a?[31m", 300))


class TroubleTests(IndexClientCase):
    """An index that is none, or none that answers."""

    def test_nonsense(self) -> None:
        """What is not JSON is no answer."""
        for body in (b"<html>", b"{", b"\xff\xfe", b"[" * 100_000, b"NaN"):
            self.assertEqual(
                self.refused(said(body)), f"{BASE}: answered /api/v1/files with something that is not JSON"
            )

    def test_huge(self) -> None:
        """A body that is too long is not read to its end, announced or not."""
        announced = said(b"x", length=LONGEST_REPLY + 1, endless=True)
        self.assertIn(f"at most {LONGEST_REPLY}", self.refused(announced))
        self.assertTrue(announced.transport.disconnecting)
        endless = FakeResponse((b"x" * (1 << 20),) * 100, endless=True)
        self.assertIn(f"more than the {LONGEST_REPLY} bytes", self.refused(endless))
        self.assertEqual(endless.taken, 17)

    def test_compressed(self) -> None:
        """A body that comes compressed is refused: none was asked for, and it may be a bomb."""
        self.assertIn("encoding", self.refused(said(b"x", headers=Headers({"Content-Encoding": ["gzip"]}))))

    def test_redirect(self) -> None:
        """A redirect is not followed, wherever it leads."""
        self.assertIn("redirect", self.refused(redirect("http://127.0.0.1/")))
        self.assertEqual(len(self.agent.asked), 1)

    def test_nobody(self) -> None:
        """Who is not there is named, with the reason."""
        self.assertEqual(self.refused(ConnectionRefusedError()), f"{BASE}: connection refused")
        self.assertEqual(self.refused(DNSLookupError()), f"{BASE}: no address found for this host")

    def test_broken_off(self) -> None:
        """An answer that ends too early is none."""
        broken = FakeResponse((b'{"a"',), ending=ResponseFailed([]))
        broken.ending.reasons = []  # type: ignore[attr-defined]
        self.assertIn(BASE, self.refused(broken))
        self.assertIn("closed before", self.refused(FakeResponse((b"{",), ending=ConnectionLost())))

    def test_slow(self) -> None:
        """Who has not answered in time is not waited for, neither before nor within the answer."""
        for answer in (Deferred[IResponse](), said(b"{", endless=True)):
            asking = Deferred.fromCoroutine(self.client(answer).ask("GET", "/"))
            self.clock.advance(TIMEOUT - 0.1)
            self.assertNoResult(asking)
            self.clock.advance(0.2)
            error = self.failureResultOf(asking, IndexUnreachable).value
            self.assertEqual(str(error), f"{BASE}: no complete answer within 20 s")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        """Whoever does not want the answer any more hangs up."""
        hung_up: list[object] = []
        asking = Deferred.fromCoroutine(self.client(Deferred(hung_up.append)).ask("GET", "/"))
        asking.cancel()
        self.failureResultOf(asking)
        self.assertEqual((len(hung_up), self.clock.getDelayedCalls()), (1, []))


class RealClientTests(SynchronousTestCase):
    """The client as it is built for a reactor."""

    def test_connects(self) -> None:
        """It connects to the index, from the address that was chosen."""
        reactor = MemoryReactorClock()
        client = make_index_client(reactor, "http://127.0.0.1:8000", bind_address="127.0.0.9")
        asking = Deferred.fromCoroutine(client.ask("GET", "/api/v1/stats"))
        host, port, _, _, bind = reactor.tcpClients[0]
        self.assertEqual((host, port, bind), ("127.0.0.1", 8000, ("127.0.0.9", 0)))
        asking.cancel()
        self.failureResultOf(asking)
        self.successResultOf(client.close())

    def test_our_host(self) -> None:
        """Once connected, the client knows from which of our addresses."""
        client = make_index_client(MemoryReactorClock(), BASE)
        self.assertIsNone(client.our_host)
        protocol = Protocol()
        protocol.transport = StringTransport(hostAddress=IPv4Address("TCP", "10.0.0.7", 40000))

        class Endpoint:
            def connect(self, factory: object) -> Deferred[Any]:
                return succeed(protocol)

        connecting = _Noting(Endpoint(), client).connect(Factory())  # type: ignore[arg-type]
        self.assertIs(self.successResultOf(connecting), protocol)
        self.assertEqual(client.our_host, "10.0.0.7")
