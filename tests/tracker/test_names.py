"""Tests of p2pshare.tracker.names."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.tracker.names import Names, hosts_of


class NamesTests(SynchronousTestCase):
    """Looking up host names."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: dict[str, Deferred[Sequence[str]]] = {}
        self.count = 0
        self.names = Names(self.look_up, self.clock, at_a_time=2)

    def look_up(self, name: str) -> Deferred[Sequence[str]]:
        """Note the question."""
        self.count += 1
        self.asked[name] = Deferred()
        return self.asked[name]

    def test_answer_is_remembered(self) -> None:
        """A name is looked up once in a minute."""
        found = self.names.resolve(["client1"])
        assert isinstance(found, Deferred)
        self.assertNoResult(found)
        self.asked["client1"].callback(["10.0.0.1"])
        self.assertEqual(self.successResultOf(found), {"client1": "10.0.0.1"})
        self.clock.advance(59)
        self.assertEqual(self.names.resolve(["client1"]), {"client1": "10.0.0.1"})
        self.clock.advance(1)
        self.assertIsInstance(self.names.resolve(["client1"]), Deferred)
        self.assertEqual(self.count, 2)

    def test_unknown_name_is_left_out(self) -> None:
        """A name without an address is left out, and that is remembered, too."""
        found: Any = self.names.resolve(["gone", "client1"])
        self.asked["client1"].callback(["10.0.0.1"])
        self.assertNoResult(found)
        self.asked["gone"].errback(socket.gaierror(-2, "Name or service not known"))
        self.assertEqual(self.successResultOf(found), {"client1": "10.0.0.1"})
        self.assertEqual(self.names.resolve(["gone"]), {})

    def test_best_address(self) -> None:
        """IPv4 goes before IPv6, and addresses that nobody could dial count for nothing."""
        for name, hosts, best in (
            ("a", ["2001:db8::1", "10.0.0.1"], "10.0.0.1"),
            ("b", ["::", "2001:db8::1"], "2001:db8::1"),
            ("c", ["224.0.0.1", "0.0.0.0"], None),
            ("d", [], None),
        ):
            self.names.resolve([name])
            self.asked[name].callback(hosts)
            self.assertEqual(self.names.resolve([name]), {} if best is None else {name: best})

    def test_patience(self) -> None:
        """After two seconds an announce goes on without the names that are missing; their look-ups do not end."""
        found: Any = self.names.resolve(["slow", "client1"])
        self.asked["client1"].callback(["10.0.0.1"])
        self.clock.advance(2)
        self.assertEqual(self.successResultOf(found), {"client1": "10.0.0.1"})
        other: Any = self.names.resolve(["slow"])
        self.asked["slow"].callback(["10.0.0.2"])
        self.assertEqual(self.successResultOf(other), {"slow": "10.0.0.2"})
        self.assertEqual((self.count, self.clock.getDelayedCalls()), (2, []))

    def test_few_at_a_time(self) -> None:
        """Only some names are looked up at a time, each once, however many ask."""
        found: list[Any] = [self.names.resolve(["a", "b", "c"]) for _ in range(3)]
        self.assertEqual(len(self.asked), 2)
        for _ in range(3):
            name = next(name for name in self.asked if not self.asked[name].called)
            self.asked[name].callback(["10.0.0.1"])
        for result in found:
            self.assertEqual(set(self.successResultOf(result)), {"a", "b", "c"})
        self.assertEqual(self.count, 3)

    def test_queue_is_bounded(self) -> None:
        """Names that find the queue full are left out at once."""
        self.names.waiting = 3
        self.names.resolve(["a", "b", "c"])
        self.assertEqual(self.names.resolve(["d"]), {})

    def test_memory_is_bounded(self) -> None:
        """The answers not needed for longest are forgotten."""
        self.names = Names(lambda name: succeed(["10.0.0.1"]), self.clock, remembered=3)
        for number in range(10):
            self.assertEqual(self.names.resolve([str(number)]), {str(number): "10.0.0.1"})
        self.assertEqual(list(self.names._known), ["7", "8", "9"])

    def test_bug_in_a_look_up(self) -> None:
        """An error nobody foresaw is logged, and waits for nobody."""
        self.names = Names(lambda name: fail(ZeroDivisionError()), self.clock)
        self.assertEqual(self.names.resolve(["a"]), {})
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_system(self) -> None:
        """The system is asked for all addresses of a name."""
        answer = [(socket.AF_INET, 1, 6, "", ("10.0.0.1", 0)), (socket.AF_INET6, 1, 6, "", ("2001:db8::1", 0, 0, 0))]
        with mock.patch.object(socket, "getaddrinfo", return_value=answer) as asked:
            self.assertEqual(hosts_of("client1"), ["10.0.0.1", "2001:db8::1"])
        asked.assert_called_once_with("client1", None, type=socket.SOCK_STREAM)
