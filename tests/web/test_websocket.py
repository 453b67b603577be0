"""Tests of p2pshare.web.websocket: WebSockets over a connection, with wsproto as the browser."""

from __future__ import annotations

import json
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)

from p2pshare.web.paths import Access
from p2pshare.web.websocket import Hub
from tests.web.connections import Connection
from tests.web.serving import BEARER, TOKEN, ServedCase


class Browser:
    """The other end of a WebSocket. Answers pings unless told not to."""

    def __init__(self, connection: Connection, *headers: tuple[str, str], host: str = "localhost") -> None:
        self.connection = connection
        self.ws = WSConnection(ConnectionType.CLIENT)
        self.answers = True
        extra = [(name.encode(), value.encode()) for name, value in headers]
        connection.send(self.ws.send(Request(host, "/ws", extra_headers=extra)))

    def say(self, event: Event) -> None:
        """Send something."""
        self.connection.send(self.ws.send(event))

    def heard(self) -> list[Event]:
        """What has come since the last time."""
        events: list[Event] = []
        while data := self.connection.transport.value():
            self.connection.transport.clear()
            self.ws.receive_data(data)
            for event in self.ws.events():
                events.append(event)
                if isinstance(event, Ping) and self.answers:
                    self.say(event.response())
        return events

    def values(self) -> list[Any]:
        """What has been said in messages since the last time."""
        return [json.loads(event.data) for event in self.heard() if isinstance(event, TextMessage)]

    def raw(self, data: bytes) -> None:
        """Send bytes that no browser would."""
        self.connection.send(data)


class HubCase(ServedCase):
    """Has a hub behind a site."""

    def setUp(self) -> None:
        super().setUp()
        self.told: list[str] = []
        self.state: dict[str, Any] = {"type": "stats", "n": 0}
        self.start()

    def start(self, token: str | None = None, access: Access = Access.SAME, **limits: Any) -> None:
        """Serve a hub."""
        self.serve(token=token, **limits)
        self.hub = Hub(self.clock, self.limits, self.hits, lambda: [self.state], self.told.append)
        self.dispatcher._views = {b"/ws": self.hub.view(access)}

    def browser(self, *headers: tuple[str, str]) -> Browser:
        """A browser that is connected and greeted."""
        browser = Browser(self.connect(), *headers)
        self.assertIsInstance(browser.heard()[0], AcceptConnection)
        return browser

    def closed_with(self, browser: Browser) -> int | None:
        """The code with which it was closed; None if it was not."""
        codes = [event.code for event in browser.heard() if isinstance(event, CloseConnection)]
        return int(codes[0]) if codes and browser.connection.is_closing else None


class HandshakeTests(HubCase):
    """Who gets a WebSocket."""

    def status(self, *headers: tuple[str, str], host: str = "localhost") -> int | None:
        """The status with which one is refused; None if it is not."""
        browser = Browser(self.connect(), *headers, host=host)
        (event, *_) = browser.heard()
        return event.status_code if isinstance(event, RejectConnection) else None

    def test_greeting(self) -> None:
        """Whoever comes is told first how things stand."""
        browser = Browser(self.connect())
        accepted, greeting, ping = browser.heard()
        self.assertIsInstance(accepted, AcceptConnection)
        self.assertEqual(json.loads(greeting.data), self.state)  # type: ignore[attr-defined]
        self.assertIsInstance(ping, Ping)

    def test_f80_foreign(self) -> None:
        """A page from elsewhere is 403, a foreign name 421; a page of ours and a program without a page are fine."""
        self.assertEqual(self.status(("Origin", "https://evil.example")), 403)
        self.assertEqual(self.status(("Origin", "http://evil.example"), host="evil.example"), 421)
        self.assertIsNone(self.status(("Origin", "http://localhost")))
        self.assertIsNone(self.status())

    def test_f80_token(self) -> None:
        """Where there is a token it is needed."""
        self.start(TOKEN, Access.TOKEN)
        self.assertEqual(self.status(), 401)
        self.assertEqual(self.status(("Authorization", "Bearer guess")), 401)
        self.assertIsNone(self.status(("Authorization", BEARER.partition(": ")[2])))
        self.assertIsNone(self.status(("Cookie", f"{self.dispatcher._guard.cookie}={TOKEN}")))

    def test_f82_too_many(self) -> None:
        """So many there may be; one more is 503 until one goes."""
        self.start(sockets=2)
        first, _ = self.browser(), self.browser()
        self.assertEqual((self.status(), self.hits["sockets"]), (503, 1))
        first.connection.lose()
        self.browser()

    def test_plain_request(self) -> None:
        """A request that does not want to become one is told what is here."""
        reply = self.get("/ws")
        self.assertEqual((self.refused(reply, 426), reply.headers["upgrade"]), ("this is a WebSocket", "websocket"))

    def test_bad_handshake(self) -> None:
        """One that leaves half of it out is 400."""
        reply = self.get("/ws", "Upgrade: websocket", "Connection: Upgrade")
        self.assertEqual((reply.status, len(self.hub)), (400, 0))

    def test_broken_greeting(self) -> None:
        """When there is nothing to greet with because of an error of ours, that is 500 and no WebSocket."""
        self.state = {"x": object()}
        self.assertEqual((self.status(), len(self.hub)), (500, 0))
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_no_compression(self) -> None:
        """Compression is not offered: a few bytes could become very many."""
        browser = Browser(self.connect(), ("Sec-WebSocket-Extensions", "permessage-deflate"))
        accepted = browser.heard()[0]
        assert isinstance(accepted, AcceptConnection)
        self.assertEqual(accepted.extensions, [])


class SpeakingTests(HubCase):
    """What is said to them."""

    def test_all_hear(self) -> None:
        """Everybody hears everything, in order."""
        browsers = [self.browser() for _ in range(3)]
        self.hub.publish({"a": 1})
        self.hub.publish({"b": "é"})
        for browser in browsers:
            self.assertEqual(browser.values(), [{"a": 1}, {"b": "é"}])

    def test_f82_not_reading(self) -> None:
        """To one that does not read, no more is said than fits; when it reads again, it gets a fresh start."""
        self.start(unread_bytes=1000)
        browser, other = self.browser(), self.browser()
        browser.answers = False
        for number in range(100):
            self.hub.publish({"n": number, "x": "y" * 90})
            self.assertEqual(len(other.values()), 1)
        said = browser.connection.transport.value()
        self.assertLess(len(said), 1000 + 200)
        self.assertEqual(self.hits["unread_bytes"], 1)
        self.state = {"type": "stats", "n": 99}
        browser.answers = True
        heard = browser.values()
        self.assertEqual([value["n"] for value in heard], [*range(len(heard) - 1), 99])
        self.assertEqual(heard[-1], self.state)
        self.hub.publish({"n": 100})
        self.assertEqual(browser.values(), [{"n": 100}])

    def test_unread_limit(self) -> None:
        """The limit is exact: what fits to the last byte is said, one byte more is missed."""
        for extra, is_said in ((0, True), (1, False)):
            self.start(unread_bytes=100)
            browser = self.browser()
            browser.answers = False
            self.hub.publish("x" * 48)
            self.hub.publish("y" * (48 + extra))
            self.assertEqual(len(browser.values()) == 2, is_said)

    def test_gone(self) -> None:
        """Nothing is said to one that has gone, nothing is kept of it, and its connection counts no more."""
        browser = self.browser()
        browser.connection.lose()
        self.hub.publish({"a": 1})
        self.assertEqual((len(self.hub), self.site._connections), (0, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """At the end everybody is told that we go away."""
        browser = self.browser()
        self.hub.stop()
        self.assertEqual(self.closed_with(browser), 1001)
        self.hub.publish({"a": 1})


class LivenessTests(HubCase):
    """Who is still there."""

    def test_f82_silent(self) -> None:
        """One that does not answer a ping for 30 seconds is cut off."""
        browser = self.browser()
        browser.answers = False
        self.hub.publish(1)
        for _ in range(5):
            self.clock.advance(5)
            self.assertFalse(browser.connection.transport.aborted)
        self.clock.advance(5)
        self.assertTrue(browser.connection.transport.aborted)
        self.assertEqual(self.hits["pong_deadline"], 1)

    def test_idle(self) -> None:
        """One to which nothing is said is asked every 15 seconds, and stays as long as it answers."""
        browser = self.browser()
        browser.heard()
        for _ in range(20):
            self.clock.pump([5.0] * 3)
            self.assertEqual([type(event) for event in browser.heard()], [Ping])
        self.assertFalse(browser.connection.is_closing)

    def test_other_pongs(self) -> None:
        """A pong that answers no ping, or an older one, means nothing."""
        browser = self.browser()
        browser.answers = False
        self.hub.publish(1)
        for _ in range(5):
            self.clock.advance(5)
            browser.say(Pong(b""))
            browser.say(Pong(b"1"))
        self.clock.advance(5)
        self.assertTrue(browser.connection.transport.aborted)

    def test_linger(self) -> None:
        """One that is closed and does not take its last bytes is cut off after 15 seconds."""
        browser = self.browser()
        self.hub.stop()
        self.clock.pump([5.0] * 2)
        self.assertFalse(browser.connection.transport.aborted)
        self.clock.advance(5)
        self.assertTrue(browser.connection.transport.aborted)

    def test_full_transport(self) -> None:
        """While the transport is full nothing is read: every ping of theirs would leave another pong in it."""
        browser = self.browser()
        browser.connection.transport.fill()
        self.assertEqual(browser.connection.transport.producerState, "paused")
        browser.connection.transport.drain()
        self.assertEqual(browser.connection.transport.producerState, "producing")


class HearingTests(HubCase):
    """What they say."""

    def test_told(self) -> None:
        """What a page says is handed on."""
        browser = self.browser()
        browser.say(TextMessage("hello ", message_finished=False))
        browser.say(TextMessage("there"))
        self.assertEqual(self.told, ["hello there"])

    def test_f81_limit(self) -> None:
        """4 KiB are the longest message; one byte more is closed with 1009."""
        browser = self.browser()
        browser.say(TextMessage("x" * 4096))
        self.assertEqual((len(self.told[0]), self.closed_with(browser)), (4096, None))
        browser.say(TextMessage("x" * 4097))
        self.assertEqual((len(self.told), self.closed_with(browser)), (1, 1009))
        self.assertEqual(self.hits["message_bytes"], 1)

    def test_f81_endless_fragments(self) -> None:
        """So is one that never ends, however small its parts are and whatever is between them."""
        browser = self.browser()
        for _ in range(64):
            browser.say(TextMessage("x" * 64, message_finished=False))
            browser.say(Ping(b"still here"))
        self.assertIsNone(self.closed_with(browser))
        browser.say(TextMessage("x", message_finished=False))
        self.assertEqual(self.closed_with(browser), 1009)

    def test_binary(self) -> None:
        """Bytes are closed with 1003: there is nobody who would take them."""
        browser = self.browser()
        browser.say(BytesMessage(b"x"))
        self.assertEqual(self.closed_with(browser), 1003)

    def test_f83_bad_frames(self) -> None:
        """Bad UTF-8 is closed with 1007; no mask, reserved bits and unknown opcodes with 1002."""
        for data, code in (
            (b"\x81\x82\0\0\0\0\xc3\x28", 1007),
            (b"\x81\x02hi", 1002),
            (b"\xc1\x82\0\0\0\0hi", 1002),
            (b"\x83\x80\0\0\0\0", 1002),
            (b"\x09\x80\0\0\0\0", 1002),
        ):
            browser = self.browser()
            browser.raw(data)
            self.assertEqual(self.closed_with(browser), code, data)
            browser.raw(data)  # what is still on its way
            self.assertEqual(self.told, [])

    def test_close(self) -> None:
        """One that says goodbye is answered, and nothing more is said to it."""
        browser = self.browser()
        browser.say(CloseConnection(1000))
        self.hub.publish(1)
        self.assertEqual(self.closed_with(browser), 1000)
        self.clock.pump([5.0] * 3)
        self.assertTrue(browser.connection.transport.aborted)

    def test_ping(self) -> None:
        """A ping of theirs is answered."""
        browser = self.browser()
        browser.heard()
        browser.say(Ping(b"there?"))
        self.assertEqual([event.payload for event in browser.heard() if isinstance(event, Pong)], [b"there?"])
