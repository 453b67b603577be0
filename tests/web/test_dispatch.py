"""Tests of p2pshare.web.dispatch and p2pshare.web.exchange: requests through a route table."""

from __future__ import annotations

from typing import Annotated, Any

import bencode2
import msgspec
from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.web.server import NOT_DONE_YET

from p2pshare.errors import RequestRefused
from p2pshare.web.bodies import Page
from p2pshare.web.paths import Access, View
from p2pshare.web.rates import RateLimit
from p2pshare.web.replies import DETAIL, Refused, Reply, Streamed, bencoded, redirect
from p2pshare.web.routes import Call, Route
from tests.web.serving import BEARER, JSON, STRANGER, TOKEN, ServedCase


@frozen
class Paging:
    """A query."""

    limit: Annotated[int, msgspec.Meta(ge=1)] = 20


@frozen
class Sender:
    """A header."""

    x_peer_id: str


@frozen
class Torrent:
    """A body and a reply."""

    name: str
    size: int = 0


class Catalogue:
    """A face with a few routes; its slow one waits until told."""

    def __init__(self) -> None:
        self.calls: list[Call[Any, Any]] = []
        self.waiting: list[Deferred[object]] = []
        self.ended: list[str] = []

    async def show(self, call: Call[Paging, None]) -> Torrent:
        """Answer with what was asked for."""
        self.calls.append(call)
        return Torrent(str(call.params.get("id", "")), call.query.limit if call.query else 0)

    async def add(self, call: Call[None, Torrent]) -> Reply:
        """Answer with 201 and a place."""
        self.calls.append(call)
        return Reply(call.body, 201, (("Location", "/torrents/1"),))

    async def take(self, call: Call[None, bytes]) -> int:
        """Answer with the length of what came."""
        return len(call.body)

    async def beat(self, call: Call[None, None]) -> None:
        """Answer with nothing."""
        self.calls.append(call)

    async def wait(self, call: Call[None, None]) -> object:
        """Answer when told."""
        waiting: Deferred[object] = Deferred()
        self.waiting.append(waiting)
        try:
            return await waiting
        except CancelledError:
            self.ended.append("cancelled")
            raise
        finally:
            self.ended.append("over")

    async def fail(self, call: Call[None, None]) -> object:
        """Break."""
        raise KeyError("/home/secret/path")

    async def refuse(self, call: Call[None, None]) -> object:
        """Say no."""
        raise Refused(404, "Torrent not found")

    async def send_away(self, call: Call[None, None]) -> Page:
        """Send elsewhere."""
        return redirect("http://10.0.0.1/download?filename=a%20b")


class DispatchCase(ServedCase):
    """Has a catalogue behind a site."""

    def setUp(self) -> None:
        super().setUp()
        self.face = Catalogue()
        self.serve(self.routes())

    def routes(self) -> list[Route]:
        """The rows of the catalogue."""
        face, same = self.face, Access.SAME
        return [
            Route("GET", "/torrents/{id}", face.show, "", same, params={"id": int}, query=Paging),
            Route("POST", "/torrents", face.add, "", same, body=Torrent),
            Route("PUT", "/raw", face.take, "", same, body=bytes, body_type="application/x-bittorrent", body_limit=100),
            Route("POST", "/heartbeat", face.beat, "", same, headers=Sender),
            Route("DELETE", "/heartbeat", face.beat, "", same, status=204),
            Route("GET", "/slow", face.wait, "", same, patience=30.0),
            Route("GET", "/bad", face.fail, "", same),
            Route("GET", "/refused", face.refuse, "", same, form=DETAIL),
            Route("GET", "/away", face.send_away, "", same),
        ]


class AnswerTests(DispatchCase):
    """What a request that is right is answered with."""

    def test_value(self) -> None:
        """A value is JSON, 200 and with its length; path and query have their types."""
        reply = self.get("/torrents/7?limit=3")
        self.assertEqual((reply.status, self.read(reply)), (200, {"name": "7", "size": 3}))
        self.assertEqual(reply.headers["content-length"], str(len(reply.body)))
        (call,) = self.face.calls
        self.assertEqual((call.params, call.query, call.host), ({"id": 7}, Paging(3), "localhost"))
        self.assertEqual(call.source.host, STRANGER)

    def test_body(self) -> None:
        """A body has its type, and a reply its own status and headers."""
        reply = self.ask("POST", "/torrents", JSON, body=b'{"name":"a"}')
        self.assertEqual((reply.status, reply.headers["location"]), (201, "/torrents/1"))
        self.assertEqual(self.read(reply), {"name": "a", "size": 0})

    def test_nothing(self) -> None:
        """None is an empty answer, with the status of its route."""
        reply = self.ask("POST", "/heartbeat", "X-Peer-ID: p1")
        self.assertEqual((reply.status, reply.body, reply.headers["content-length"]), (200, b"", "0"))
        self.assertEqual(self.face.calls[0].headers, Sender("p1"))
        reply = self.ask("DELETE", "/heartbeat")
        self.assertEqual((reply.status, "content-length" in reply.headers), (204, False))

    def test_redirect(self) -> None:
        """A page is sent as it is."""
        reply = self.get("/away")
        self.assertEqual((reply.status, reply.headers["location"]), (302, "http://10.0.0.1/download?filename=a%20b"))

    def test_head(self) -> None:
        """HEAD is GET without the body."""
        reply = self.ask("HEAD", "/torrents/7")
        self.assertEqual((reply.status, reply.body), (200, b""))
        self.assertEqual(reply.headers["content-length"], str(len(b'{"name":"7","size":20}')))

    def test_several_on_a_connection(self) -> None:
        """Requests on one connection are answered in order, refused ones too."""
        connection = self.connect()
        for path, status in (("/torrents/1", 200), ("/torrents/x", 400), ("/nowhere", 404), ("/torrents/2", 200)):
            self.assertEqual(connection.ask("GET", path).status, status)
        self.assertFalse(connection.is_closing)

    def test_later(self) -> None:
        """A function may take its time."""
        connection = self.connect()
        connection.send(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.clock.advance(29)
        self.assertEqual(connection.replies(), [])
        self.face.waiting[0].callback(Torrent("late"))
        (reply,) = connection.replies()
        self.assertEqual(self.read(reply), {"name": "late", "size": 0})
        self.assertEqual([call for call in self.clock.getDelayedCalls() if call.getTime() > 100], [])

    def test_headers_for_browsers(self) -> None:
        """Every answer tells a browser to take it for what it says, and to load nothing from elsewhere."""
        for path in ("/torrents/1", "/nowhere", "/refused"):
            headers = self.get(path).headers
            self.assertEqual(headers["x-content-type-options"], "nosniff")
            self.assertIn("default-src 'self'", headers["content-security-policy"])

    def test_observed(self) -> None:
        """Each request is told of by its template and status, and how long it took."""
        self.get("/torrents/1")
        self.get("/nowhere")
        self.ask("BREW", "/torrents/1")
        connection = self.connect()
        connection.send(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.clock.advance(2)
        connection.lose()
        self.assertEqual(
            self.seen,
            [
                ("/torrents/{id}", "GET", 200, 0.0),
                ("", "", 404, 0.0),
                ("/torrents/{id}", "", 405, 0.0),
                ("/slow", "GET", 499, 2.0),
            ],
        )


class RefusalTests(DispatchCase):
    """What a request that is wrong is answered with."""

    def test_not_found(self) -> None:
        """A path that leads nowhere is 404."""
        self.assertEqual(self.refused(self.get("/torrents"), 405), "only POST can be used here")
        for path in ("/nothing", "/torrents/1/2", "/", "//torrents"):
            self.assertEqual(self.refused(self.get(path), 404), "not found")

    def test_other_method(self) -> None:
        """A method the path does not have is 405, and says which it has."""
        reply = self.ask("PATCH", "/torrents")
        self.refused(reply, 405)
        self.assertEqual(reply.headers["allow"], "OPTIONS, POST")

    def test_options(self) -> None:
        """OPTIONS says what can be asked, and nothing of other origins."""
        reply = self.ask("OPTIONS", "/torrents/1", "Origin: https://evil.example", "Access-Control-Request-Method: GET")
        self.assertEqual((reply.status, reply.headers["allow"]), (204, "GET, HEAD, OPTIONS"))
        self.assertEqual([name for name in reply.headers if name.startswith("access-control")], [])

    def test_invalid(self) -> None:
        """What is not of its type is 400, by name; no function is called."""
        self.assertEqual(self.refused(self.get("/torrents/x"), 400), "id: expected int, got str")
        self.assertEqual(self.refused(self.get("/torrents/1?limit=0"), 400), "limit: expected int >= 1")
        self.assertEqual(self.refused(self.get("/torrents/1?limit=%ff"), 400), "the query is not UTF-8")
        self.assertEqual(self.refused(self.ask("POST", "/heartbeat"), 400), "header x-peer-id: missing")
        reply = self.ask("POST", "/torrents", JSON, body=b'{"title":"a"}')
        self.assertEqual(self.refused(reply, 400), "name: missing")
        self.assertEqual(self.refused(self.ask("POST", "/torrents", JSON), 400), "expected object, got null")
        self.assertEqual(self.face.calls, [])

    def test_f74_other_types(self) -> None:
        """JSON that is not called so, as a form in another page could send it, is 415."""
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json"):
            reply = self.ask("POST", "/torrents", f"Content-Type: {kind}", body=b'{"name":"a"}')
            self.assertIn("expected application/json", self.refused(reply, 415))
        self.refused(self.ask("POST", "/torrents", body=b'{"name":"a"}'), 415)
        reply = self.ask("POST", "/torrents", "Content-Type: Application/JSON; charset=utf-8", body=b'{"name":"a"}')
        self.assertEqual(reply.status, 201)

    def test_f61_encodings(self) -> None:
        """A body in an encoding is 415, whatever it would unpack to."""
        reply = self.ask("POST", "/torrents", JSON, "Content-Encoding: gzip", body=b"\x1f\x8b")
        self.assertEqual(self.refused(reply, 415), "content encoding gzip: expected none")

    def test_f59_large_body(self) -> None:
        """A body over its limit is 413 in the words of the face, before it is read; 64 KiB of JSON are fine."""
        text = b'{"name":"%s"}'
        largest = text % (b"a" * (65536 - len(text) + 2))
        self.assertEqual(len(largest), 65536)
        self.assertEqual(self.ask("POST", "/torrents", JSON, body=largest).status, 201)
        reply = self.ask("POST", "/torrents", JSON, "Content-Length: 65537")
        self.assertEqual(self.refused(reply, 413), "the body is too large: at most 65536 bytes")
        self.assertEqual(reply.headers["x-content-type-options"], "nosniff")
        self.assertEqual(self.hits["body_bytes"], 1)

    def test_own_body_limit(self) -> None:
        """A route may have a limit of its own."""
        kind = "Content-Type: application/x-bittorrent"
        self.assertEqual(self.read(self.ask("PUT", "/raw", kind, body=b"d" * 100)), 100)
        self.refused(self.ask("PUT", "/raw", kind, body=b"d" * 101), 413)

    def test_chunked_body(self) -> None:
        """A chunked body is cut off at the same limit."""
        head = b"PUT /raw HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-bittorrent\r\n"
        head += b"Transfer-Encoding: chunked"
        connection = self.connect()
        connection.send(head + b"\r\n\r\n64\r\n" + b"d" * 100 + b"\r\n0\r\n\r\n")
        self.assertEqual([reply.status for reply in connection.replies()], [200])
        connection.send(head + b"\r\n\r\n65\r\n" + b"d" * 101)
        self.assertEqual([reply.status for reply in connection.replies()], [413])
        self.assertTrue(connection.is_closing)

    def test_f78_exception(self) -> None:
        """An error of ours is 500 with a number that the log has, too; no traceback, no path."""
        reply = self.get("/bad")
        text = self.refused(reply, 500)
        self.assertRegex(text, r"^an error of this service; its log calls it [0-9a-f]{8}$")
        self.assertNotIn(b"secret", reply.body)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_forms(self) -> None:
        """Each route words errors in its own form; so do the paths below a prefix."""
        self.assertEqual(self.read(self.get("/refused")), {"detail": "Torrent not found"})

        async def announce(call: Call[None, None]) -> object:
            raise RequestRefused("info_hash: missing")

        rows = [
            Route("GET", "/announce", announce, "", Access.OPEN, bencoded()),
            Route("GET", "/strict", announce, "", Access.OPEN, bencoded(None)),
            Route("GET", "/api/tracker/announce", announce, "", Access.OPEN, DETAIL),
        ]
        self.serve(rows)
        for path, status in (("/announce", 200), ("/strict", 400)):
            reply = self.get(path)
            self.assertEqual((reply.status, reply.headers["content-type"]), (status, "application/x-bittorrent"))
            self.assertEqual(bencode2.bdecode(reply.body), {b"failure reason": b"info_hash: missing"})
        self.assertEqual(self.get("/api/tracker/announce").status, 422)

    def test_forms_of_unknown_paths(self) -> None:
        """Below a prefix, a path that leads nowhere is refused in the form of that face."""
        self.dispatcher._forms = [(b"/api/tracker/", DETAIL)]
        self.assertEqual(self.read(self.get("/api/tracker/x")), {"detail": "not found"})
        self.assertEqual(self.read(self.get("/api/x")), {"error": "not found"})


class LoadTests(DispatchCase):
    """How much is done at once."""

    def test_client_goes_away(self) -> None:
        """When the client goes, its function is cancelled, and nothing is logged."""
        connection = self.connect()
        connection.send(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.lose()
        self.assertEqual(self.face.ended, ["cancelled", "over"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_answer(self) -> None:
        """A function that does not come to an end is cancelled, and the client told to come again."""
        connection = self.connect()
        connection.send(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.clock.advance(30)
        (reply,) = connection.replies()
        self.assertEqual(self.refused(reply, 503), "no answer in 30 seconds")
        self.assertEqual(reply.headers["retry-after"], "10")
        self.assertEqual(self.face.ended, ["cancelled", "over"])
        self.assertEqual(self.hits["answer_deadline"], 1)

    def test_too_many(self) -> None:
        """So many answers are worked on at once; one more is 503, until one of them is done."""
        self.serve(self.routes(), answers=2)
        waiting = [self.connect() for _ in range(2)]
        for connection in waiting:
            connection.send(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        reply = self.get("/torrents/1")
        self.assertEqual((self.refused(reply, 503), reply.headers["retry-after"]), ("too much to do", "1"))
        self.assertEqual(self.hits["answers"], 1)
        self.face.waiting[0].callback(None)
        self.assertEqual(self.get("/torrents/1").status, 200)
        waiting[1].lose()
        self.assertEqual(self.dispatcher._answering, 0)

    def test_streams_are_not_counted(self) -> None:
        """A reply that is sent for an hour does not keep others from being worked on."""

        async def stream(call: Call[None, None]) -> Streamed:
            return Streamed(lambda request: Deferred())

        self.serve([Route("GET", "/stream", stream, "", Access.OPEN)], answers=1)
        for _ in range(3):
            self.connect().send(b"GET /stream HTTP/1.1\r\n\r\n")
        self.assertEqual((self.dispatcher._answering, self.hits["answers"]), (0, 0))

    def test_streamed_reply_ends_with_its_client(self) -> None:
        """A reply that is being sent is cancelled when its client goes."""
        ended: list[str] = []

        async def stream(call: Call[None, None]) -> Streamed:
            return Streamed(lambda request: Deferred(lambda _: ended.append("cancelled")))

        self.serve([Route("GET", "/stream", stream, "", Access.OPEN)])
        connection = self.connect()
        connection.send(b"GET /stream HTTP/1.1\r\n\r\n")
        connection.lose()
        self.assertEqual(ended, ["cancelled"])

    def test_rate(self) -> None:
        """A route may be asked so often by one address; then it is 429 with the time to wait, and others go on."""
        rate = RateLimit(0.1, 2)
        self.serve([Route("GET", "/t", self.face.show, "", Access.SAME, rate=rate)])
        self.assertEqual([self.get("/t").status for _ in range(3)], [200, 200, 429])
        reply = self.get("/t")
        self.assertEqual(reply.headers["retry-after"], "11")
        self.assertEqual(self.connect("203.0.113.8").ask("GET", "/t").status, 200)
        self.clock.advance(10)
        self.assertEqual(self.get("/t").status, 200)
        self.assertEqual(self.hits["rate"], 2)

    def test_rate_of_exempt_sources(self) -> None:
        """An exempt address is not limited."""
        rows = [Route("GET", "/t", self.face.show, "", Access.SAME, rate=RateLimit(0.1, 1))]
        self.serve(rows, exempt=("private",))
        self.assertEqual({self.connect("10.0.0.1").ask("GET", "/t").status for _ in range(5)}, {200})


class ViewTests(ServedCase):
    """Views beside the routes."""

    def serve_views(self, **access: Access) -> None:
        """Serve a view for each name, below the root."""
        views = {f"/{name}".encode(): View(lambda request: b"seen", access=who) for name, who in access.items()}
        views[b"/broken"] = View(lambda request: b"%d" % (1 // 0))
        self.serve(views=views, token=TOKEN)

    def test_access(self) -> None:
        """An open view asks nothing; the others do as routes do."""
        self.serve_views(open=Access.OPEN, same=Access.SAME, mine=Access.TOKEN)
        self.assertEqual(self.get("/open", host="whoever.example").body, b"seen")
        self.assertEqual(self.get("/same").body, b"seen")
        self.refused(self.get("/same", host="whoever.example"), 421)
        self.refused(self.get("/mine"), 401)
        self.assertEqual(self.get("/mine", BEARER).body, b"seen")

    def test_no_body(self) -> None:
        """A view gets no body: none is read for it."""
        self.serve_views(open=Access.OPEN)
        reply = self.ask("POST", "/open", "Content-Length: 1")
        self.assertEqual((reply.status, reply.body), (413, b'{"error":"the body is too large: at most 0 bytes"}'))

    def test_f78_broken_view(self) -> None:
        """An error in a view is 500 with a number, too."""
        self.serve_views()
        self.assertRegex(self.refused(self.get("/broken"), 500), "its log calls it [0-9a-f]{8}$")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_later(self) -> None:
        """A view may answer later."""
        requests: list[Any] = []

        def later(request: Any) -> int:
            requests.append(request)
            return NOT_DONE_YET

        self.serve(views={b"/later": View(later)})
        connection = self.connect()
        connection.send(b"GET /later HTTP/1.1\r\n\r\n")
        requests[0].finish()
        self.assertEqual([reply.status for reply in connection.replies()], [200])
