"""Trackers named by their REST face, and what is sent to services."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from p2pshare.cli import rest_tracker, running, sending
from p2pshare.cli.exits import Ended, ExitCode
from p2pshare.cli.sending import Parcel, form_of, send
from p2pshare.errors import IndexRefused
from p2pshare.metainfo import load
from tests.cli.sample import content, objects, run
from tests.cli.services import run_now
from tests.discovery.fakes import FakeResponse

REST = "http://t.example:8000/api/tracker"
BASE = "http://t.example:8000"


class CreateTests(SynchronousTestCase):
    """``p2pshare create`` with a REST tracker."""

    def setUp(self) -> None:
        self.sent: list[tuple[str, str, str, Parcel]] = []
        self.answer: Any = {}
        self.patch(running, "run", run_now(self))
        self.patch(sending, "send", self.send)
        self.root = content(Path(self.mktemp()))
        self.output = self.root.parent / "out.torrent"

    async def send(self, reactor: Any, base: str, method: str, path: str, parcel: Parcel) -> Any:
        """Write down what is sent, and give the answer."""
        self.sent.append((base, method, path, parcel))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def test_s3_12_create(self) -> None:
        """The torrent is entered at the service, names its announce URL, and its info hash is printed."""
        result = run("--tracker", REST, "create", self.root, "-o", self.output)
        self.assertEqual(result.exit_code, 0, result.output)
        torrent = load(self.output)
        self.assertEqual(torrent.announce_tiers, ((f"{BASE}/announce",),))
        self.assertIn(torrent.info_hash.hex(), result.stdout)
        path = f"/api/tracker/torrents/{torrent.info_hash.hex()}"
        self.assertEqual(self.sent, [(BASE, "PUT", path, Parcel("application/x-bittorrent", self.output.read_bytes()))])

    def test_full_name(self) -> None:
        """In a folder, the torrent file has the full name of the content, and .torrent."""
        file = self.root / "deep" / "c.txt"
        run("create", file, "-t", REST, "-o", self.root.parent)
        self.assertTrue((self.root.parent / "c.txt.torrent").exists())

    def test_environment_and_several(self) -> None:
        """Trackers of the environment count, a slash at the end is nothing, and each service is told once."""
        env: dict[str, str | None] = {"P2PSHARE_TRACKER": f"{REST}/,{REST},http://other.example/announce"}
        run("create", self.root, "-o", self.output, env=env)
        self.assertEqual([each[0] for each in self.sent], [BASE])
        announce = f"{BASE}/announce"
        self.assertEqual(load(self.output).announce_tiers, ((announce, "http://other.example/announce"),))

    def test_ordinary_trackers_are_not_asked(self) -> None:
        """With announce URLs alone nothing is sent."""
        run("create", self.root, "-t", f"{BASE}/announce", "-o", self.output)
        self.assertEqual(self.sent, [])

    def test_refused(self) -> None:
        """A service that does not take it is one line and an exit code; the torrent file stays."""
        self.answer = IndexRefused("no room is left", 507)
        result = run("--tracker", REST, "create", self.root, "-o", self.output)
        self.assertEqual(result.exit_code, ExitCode.ERROR)
        self.assertEqual(result.stderr, f"p2pshare: {BASE}: does not take the torrent: no room is left\n")
        self.assertTrue(self.output.exists())

    def test_nobody_answers(self) -> None:
        """A service that does not answer is exit code 4; as JSON it is an object, too."""
        self.answer = Ended(f"{BASE}: connection refused", ExitCode.NOBODY_FOUND)
        result = run("--tracker", REST, "create", self.root, "-o", self.output, "--json")
        self.assertEqual(result.exit_code, ExitCode.NOBODY_FOUND)
        self.assertEqual(objects(result)[-1]["event"], "error")


class URLTests(SynchronousTestCase):
    """What counts as a REST face."""

    def test_urls(self) -> None:
        """Only that very path does; all other URLs are announce URLs."""
        for url, announce in (
            (REST, f"{BASE}/announce"),
            (f"{REST}/", f"{BASE}/announce"),
            ("HTTPS://t.example/api/tracker", "https://t.example/announce"),
            (f"{REST}/announce", f"{REST}/announce"),
            (f"{BASE}/announce", f"{BASE}/announce"),
            ("udp://t.example:1/api/tracker", "udp://t.example:1/api/tracker"),
        ):
            self.assertEqual(rest_tracker.announce_url(url), announce)


@define(eq=False)
class PostAgent:
    """Answers each request with the next of some responses, and keeps what it was sent."""

    responses: list[FakeResponse | Exception]
    sent: list[tuple[bytes, bytes, Headers, bytes]] = field(factory=list)

    def request(self, method: bytes, uri: bytes, headers: Headers, body: Any) -> Deferred[Any]:
        """Take a request."""
        transport = StringTransport()
        body.startProducing(transport)
        self.sent.append((method, uri, headers, transport.value()))
        response = self.responses.pop(0)
        return fail(response) if isinstance(response, Exception) else succeed(response)


class SendTests(SynchronousTestCase):
    """Sending a file."""

    def send(self, *responses: FakeResponse | Exception) -> tuple[Deferred[Any], PostAgent]:
        """Send three bytes to who answers so."""
        agent: Any = PostAgent(list(responses))
        sending_ = send(Clock(), BASE, "PUT", "/x", Parcel("text/plain", b"abc"), agent)
        return Deferred.fromCoroutine(sending_), agent

    def test_sent(self) -> None:
        """It arrives as it is, and what is answered is given."""
        sent, agent = self.send(FakeResponse((b'{"a":', b" 1}")))
        self.assertEqual(self.successResultOf(sent), {"a": 1})
        ((method, uri, headers, body),) = agent.sent
        self.assertEqual((method, uri, body), (b"PUT", f"{BASE}/x".encode(), b"abc"))
        self.assertEqual(headers.getRawHeaders("Content-Type"), ["text/plain"])
        self.assertIsNone(headers.getRawHeaders("Authorization"))

    def test_token_when_asked_for(self) -> None:
        """The user's token is shown to a service that wants one, once."""
        self.patch(sending, "own_token", lambda: "secret")
        sent, agent = self.send(FakeResponse((), 401), FakeResponse((b"{}",)))
        self.assertEqual(self.successResultOf(sent), {})
        self.assertEqual(agent.sent[1][2].getRawHeaders("Authorization"), ["Bearer secret"])
        sent, agent = self.send(FakeResponse((), 401), FakeResponse((), 401))
        self.assertIn("name its token", str(self.failureResultOf(sent, Ended).value))

    def test_refused(self) -> None:
        """The reason is passed on, of either form."""
        for body in (b'{"detail": "too large"}', b'{"error": "too large"}'):
            sent, _ = self.send(FakeResponse((body,), 413))
            error = self.failureResultOf(sent, IndexRefused).value
            self.assertEqual((str(error), error.status), ("too large", 413))
        sent, _ = self.send(FakeResponse((b"<html>",), 502))
        self.assertEqual(str(self.failureResultOf(sent, IndexRefused).value), "answered 502")

    def test_nobody(self) -> None:
        """Nobody there is exit code 4, in one line."""
        sent, _ = self.send(ConnectionRefusedError())
        error = self.failureResultOf(sent, Ended).value
        self.assertEqual((error.code, str(error)), (ExitCode.NOBODY_FOUND, f"{BASE}: connection refused"))

    def test_form(self) -> None:
        """A file in a form keeps its bytes; its name cannot break out of its header."""
        parcel = form_of("file", 'a"b\r\nX: y.torrent', b"\r\n--x\r\n")
        boundary = parcel.content_type.partition("boundary=")[2]
        head, _, body = parcel.data.partition(b"\r\n\r\n")
        self.assertEqual(body, b"\r\n--x\r\n" + f"\r\n--{boundary}--\r\n".encode())
        self.assertIn(b'filename="a_b__X: y.torrent"', head)
        self.assertEqual(len(head.splitlines()), 3)
