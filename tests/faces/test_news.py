"""Tests of p2pshare.faces.news."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred, succeed

from p2pshare.errors import StorageError
from p2pshare.faces.news import KEPT, News
from p2pshare.web.paths import Access
from tests.faces.serving import TODAY
from tests.web.connections import Connection, unchunked
from tests.web.serving import ServedCase
from tests.web.test_websocket import Browser


class Listener:
    """A client that listens to server-sent events."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        connection.send(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")

    def events(self) -> list[tuple[str, Any]]:
        """What has come since the last time."""
        data = self.connection.transport.value()
        self.connection.transport.clear()
        if data.startswith(b"HTTP/1.1 200"):
            data = data.partition(b"\r\n\r\n")[2]
        found = []
        for block in unchunked(data)[0].decode().split("\n\n"):
            if block.startswith("event: "):
                kind, value = block.split("\n")
                found.append((kind.removeprefix("event: "), json.loads(value.removeprefix("data: "))))
        return found


class NewsCase(ServedCase):
    """Has news whose stats are counted when the test says so."""

    def setUp(self) -> None:
        super().setUp()
        self.counting: list[Deferred[Any]] = []
        self.news = News(self.count, self.limits, self.clock, lambda: TODAY + self.clock.seconds(), self.hits)
        self.serve((), self.news.views())

    def count(self) -> Deferred[Any]:
        """Begin to count."""
        self.counting.append(Deferred())
        return self.counting[-1]

    def counted(self, value: Any = None) -> None:
        """Finish what has been counted longest."""
        self.counting.pop(0).callback(value)

    def browser(self) -> Browser:
        """A WebSocket that has just been opened."""
        return Browser(self.connect())

    def told(self, browser: Browser) -> list[tuple[str, Any]]:
        """What a WebSocket has heard, as kind and data."""
        return [(message["type"], message["data"]) for message in browser.values()]


class GreetingTests(NewsCase):
    """What one hears first."""

    def test_stats_first(self) -> None:
        """Whoever comes hears first how things stand, as soon as it is counted, then what happened meanwhile."""
        browser = self.browser()
        self.news.tell("peer_registered", {"id": "a"})
        self.assertEqual(self.told(browser), [])
        self.counted({"total_peers": 1})
        self.assertEqual(
            browser.values(),
            [
                {"type": "stats_update", "data": {"total_peers": 1}, "timestamp": "2023-11-14T22:13:20.000000Z"},
                {"type": "peer_registered", "data": {"id": "a"}, "timestamp": "2023-11-14T22:13:20.000000Z"},
            ],
        )

    def test_counted_at_once(self) -> None:
        """When counting takes no time, the greeting is the same, once."""
        self.news = News(lambda: succeed("a"), self.limits, self.clock, lambda: TODAY, self.hits)
        self.serve((), self.news.views())
        self.assertEqual(self.told(self.browser()), [("stats_update", "a")])

    def test_fresh_stats_are_not_counted_again(self) -> None:
        """The next who comes hears what was counted, as long as nothing has changed."""
        first = self.browser()
        self.counted("a")
        self.clock.advance(2)
        self.assertEqual(self.told(self.browser()), [("stats_update", "a")])
        self.assertEqual(self.told(first), [("stats_update", "a")])
        self.assertEqual(self.counting, [])

    def test_crowd(self) -> None:
        """Many who come while it is counted wait for the same figures."""
        crowd = [self.browser() for _ in range(5)]
        self.assertEqual(len(self.counting), 1)
        self.counted("a")
        self.assertEqual([self.told(browser) for browser in crowd], [[("stats_update", "a")]] * 5)

    def test_crowd_after_a_change(self) -> None:
        """Who comes within a second of the last count hears that one, and what has changed when the second is over."""
        first = self.browser()
        self.counted("a")
        self.news.tell("x", 1)
        second = self.browser()
        self.assertEqual(self.told(second), [("stats_update", "a")])
        self.clock.advance(1)
        self.counted("b")
        self.assertEqual(self.told(second), [("stats_update", "b")])
        self.assertEqual(self.told(first), [("stats_update", "a"), ("x", 1), ("stats_update", "b")])

    def test_events(self) -> None:
        """Listeners to server-sent events hear the same, by its kind."""
        listener = Listener(self.connect())
        self.counted("a")
        self.news.tell("x", 1)
        stamp = "2023-11-14T22:13:20.000000Z"
        self.assertEqual(
            listener.events(),
            [
                ("stats_update", {"type": "stats_update", "data": "a", "timestamp": stamp}),
                ("x", {"type": "x", "data": 1, "timestamp": stamp}),
            ],
        )

    def test_trouble(self) -> None:
        """When it cannot be counted, news come all the same, and the next round tries again."""
        self.news.startService()
        self.addCleanup(self.news.stopService)
        browser = self.browser()
        self.news.tell("x", 1)
        self.counting.pop().errback(StorageError("the disk is gone"))
        self.assertEqual(self.told(browser), [("x", 1)])
        self.clock.advance(10)
        self.counted("a")
        self.assertEqual(self.told(browser), [("stats_update", "a")])

    def test_our_bug(self) -> None:
        """An error of ours while counting is logged, and does not end the news."""
        browser = self.browser()
        self.counting.pop().errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.news.tell("x", 1)
        self.assertEqual(self.told(browser), [("x", 1)])

    def test_long_count(self) -> None:
        """What is held back for newcomers has a limit; then they hear it before the stats."""
        browser = self.browser()
        for number in range(KEPT + 1):
            self.news.tell("x", number)
        self.assertEqual(len(self.told(browser)), KEPT + 1)
        self.counted("a")
        self.assertEqual(self.told(browser), [("stats_update", "a")])


class TellingTests(NewsCase):
    """What one hears then."""

    def test_everybody(self) -> None:
        """Each socket and each listener hears each thing."""
        first, second, listener = self.browser(), self.browser(), Listener(self.connect())
        self.counted()
        self.news.tell("x", 1)
        self.assertEqual(self.told(first), [("stats_update", None), ("x", 1)])
        self.assertEqual(self.told(second), [("stats_update", None), ("x", 1)])
        self.assertEqual([kind for kind, _ in listener.events()], ["stats_update", "x"])

    def test_once_a_second(self) -> None:
        """However often the stats change, they are counted once a second."""
        counts = 0
        self.browser()
        self.counted()
        for _ in range(100):
            self.news.stats_changed()
            self.clock.advance(0.05)
            while self.counting:
                self.counted()
                counts += 1
        self.assertIn(counts, (4, 5))

    def test_changed_while_counting(self) -> None:
        """A change during a count is counted after it."""
        self.browser()
        self.news.stats_changed()
        self.counted("a")
        self.clock.advance(1)
        self.assertEqual(len(self.counting), 1)

    def test_rounds(self) -> None:
        """Every ten seconds it is told how things stand, if anybody listens."""
        self.news.startService()
        self.addCleanup(self.news.stopService)
        self.clock.pump([1] * 30)
        self.assertEqual(self.counting, [])
        browser = self.browser()
        self.counted("a")
        self.clock.pump([1] * 10)
        self.counted("b")
        self.assertEqual(self.told(browser), [("stats_update", "a"), ("stats_update", "b")])

    def test_nobody_listens(self) -> None:
        """While nobody listens nothing is counted and no timer runs, whatever happens."""
        self.news.tell("x", 1)
        self.news.stats_changed()
        self.assertEqual((self.counting, self.clock.getDelayedCalls()), ([], []))

    def test_the_last_one_leaves(self) -> None:
        """A count that was due is not made when nobody listens any more."""
        browser = self.browser()
        self.counted()
        self.news.stats_changed()
        browser.connection.lose()
        self.clock.advance(5)
        self.assertEqual(self.counting, [])

    def test_activity(self) -> None:
        """The last hundred things are kept, the latest first; mere mentions and stats are not."""
        for number in range(KEPT + 5):
            self.news.tell("x", number)
        self.news.mention("swarms_update", {})
        self.assertEqual([item.data for item in self.news.activity()], list(reversed(range(5, KEPT + 5))))

    def test_mention(self) -> None:
        """A mention is heard by who listens, and changes no stats."""
        browser = self.browser()
        self.counted("a")
        self.news.mention("swarms_update", {"swarms": 1})
        self.clock.advance(5)
        self.assertEqual(self.told(browser), [("stats_update", "a"), ("swarms_update", {"swarms": 1})])
        self.assertEqual(self.counting, [])

    def test_stopped(self) -> None:
        """Stopped, it says goodbye, runs no timer of its own, and a count that ends later is nobody's business."""
        self.news.startService()
        browser = self.browser()
        self.news.stats_changed()
        self.news.stopService()
        self.assertTrue(browser.connection.is_closing or browser.heard())
        self.counting.pop().errback(StorageError("the index has been closed"))
        self.assertFalse(any("News" in str(call.func) for call in self.clock.getDelayedCalls()))

    def test_access(self) -> None:
        """Both can be kept to who has the token."""
        self.serve((), self.news.views(Access.TOKEN), token="t" * 20)
        for path in ("/ws", "/events"):
            self.refused(self.get(path), 401)
