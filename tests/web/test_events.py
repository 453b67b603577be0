"""Tests of p2pshare.web.events: server-sent events over a connection."""

from __future__ import annotations

from p2pshare.web.events import Event, EventFeed
from p2pshare.web.paths import Access
from tests.web.connections import Connection, unchunked
from tests.web.serving import BEARER, TOKEN, ServedCase

REQUEST = b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"


class EventFeedTests(ServedCase):
    """What happens, told to who listens."""

    def setUp(self) -> None:
        super().setUp()
        self.greeting = [Event("hello", {"n": 0})]
        self.start()

    def start(self, token: str | None = None, access: Access = Access.SAME, **limits: int) -> None:
        """Serve a feed."""
        self.serve(token=token, **{"heartbeat": 15.0, **limits})
        self.feed = EventFeed(self.clock, self.limits, self.hits, lambda: self.greeting)
        self.dispatcher._views = {b"/events": self.feed.view(access)}

    def listen(self) -> Connection:
        """A client that listens; what it was greeted with is forgotten."""
        connection = self.connect()
        connection.send(REQUEST)
        self.heard(connection)
        return connection

    def heard(self, connection: Connection) -> bytes:
        """What a client has heard since it was last asked."""
        data = connection.transport.value()
        connection.transport.clear()
        if data.startswith(b"HTTP/1.1 200"):
            head, _, data = data.partition(b"\r\n\r\n")
            self.assertIn(b"Content-Type: text/event-stream", head)
            self.assertIn(b"Cache-Control: no-store", head)
        return unchunked(data)[0]

    def test_greeting(self) -> None:
        """A listener begins with what there is to know, and the time after which to come again."""
        connection = self.connect()
        connection.send(REQUEST)
        self.assertEqual(self.heard(connection), b'retry: 3000\n\nevent: hello\ndata: {"n":0}\n\n')
        self.assertEqual(len(self.feed), 1)

    def test_events(self) -> None:
        """Every listener hears every event, in order; a text with line ends is one line."""
        first, second = self.listen(), self.listen()
        self.feed.publish(Event("a", 1))
        self.feed.publish(Event("b", "x\ny"))
        for connection in (first, second):
            self.assertEqual(self.heard(connection), b'event: a\ndata: 1\n\nevent: b\ndata: "x\\ny"\n\n')

    def test_heartbeat(self) -> None:
        """When nothing happens, every 15 seconds a sign of life goes out."""
        connection = self.listen()
        self.clock.advance(14)
        self.assertEqual(self.heard(connection), b"")
        self.clock.advance(1)
        self.assertEqual(self.heard(connection), b":\n\n")

    def test_nobody(self) -> None:
        """Without listeners nothing is kept, and no timer runs."""
        self.feed.publish(Event("a", 1))
        connection = self.listen()
        connection.lose()
        self.assertEqual((len(self.feed), self.clock.getDelayedCalls()), (0, []))
        self.assertEqual(self.heard(self.listen()), b"")

    def test_slow_listener(self) -> None:
        """What a listener has no room for waits, and comes in order when it has."""
        connection = self.listen()
        connection.transport.fill()
        self.feed.publish(Event("a", 1))
        self.feed.publish(Event("b", 2))
        self.assertEqual(self.heard(connection), b"")
        connection.transport.drain()
        self.assertEqual(self.heard(connection), b"event: a\ndata: 1\n\nevent: b\ndata: 2\n\n")

    def test_f82_too_slow(self) -> None:
        """A listener for whom too much waits is dropped; 256 KiB are not too much. Others go on."""
        slow, good = self.listen(), self.listen()
        slow.transport.fill()
        frame = len(Event("a", "").encode())
        self.feed.publish(Event("a", "x" * (256 * 1024 - frame)))
        self.assertFalse(slow.transport.aborted)
        self.feed.publish(Event("a", ""))
        self.assertTrue(slow.transport.aborted)
        self.assertEqual(self.hits["unread_bytes"], 1)
        slow.lose()
        self.feed.publish(Event("a", 1))
        self.assertEqual(len(self.feed), 1)
        self.assertFalse(good.transport.aborted)

    def test_f82_dead_listener(self) -> None:
        """One that took nothing from one heartbeat to the next is dropped; one that took something is not."""
        dead, slow = self.listen(), self.listen()
        for connection in (dead, slow):
            connection.transport.fill()
        self.clock.advance(15)
        slow.transport.drain()
        slow.transport.fill()
        self.clock.advance(15)
        self.assertEqual((dead.transport.aborted, slow.transport.aborted), (True, False))

    def test_too_many(self) -> None:
        """So many may listen; one more is 503 until somebody leaves."""
        self.start(streams=2)
        first, _ = self.listen(), self.listen()
        self.assertEqual(self.refused(self.get("/events"), 503), "too many listeners")
        self.assertEqual(self.hits["streams"], 1)
        first.lose()
        self.listen()

    def test_token(self) -> None:
        """A feed needs the token if it was made so."""
        self.start(TOKEN, Access.TOKEN)
        self.refused(self.get("/events"), 401)
        connection = self.connect()
        connection.send(REQUEST[:-2] + f"{BEARER}\r\n\r\n".encode())
        self.assertIn(b"hello", self.heard(connection))

    def test_stop(self) -> None:
        """At the end every reply is ended properly."""
        connection = self.listen()
        self.feed.stop()
        self.assertEqual(connection.transport.value(), b"0\r\n\r\n")
        self.assertEqual(len(self.feed), 0)

    def test_broken_greeting(self) -> None:
        """When there is nothing to greet with because of an error of ours, that is 500 and nobody is left behind."""
        self.feed._greet = lambda: [Event("a", object())]
        self.refused(self.get("/events"), 500)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        self.assertEqual(len(self.feed), 0)
