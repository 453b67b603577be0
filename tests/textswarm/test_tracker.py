"""What a text peer reads of a tracker's answers, and how it says goodbye."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.addresses import Address
from p2pshare.errors import ConfigError, TrackerUnreachable
from p2pshare.textswarm.tracker import GOODBYE_TIMEOUT, MOST_PEERS, TextDiscovery, read_peers, tracker_url

KEY, ID = "0" * 40, "1" * 40


class ReadPeersTests(SynchronousTestCase):
    def test_list(self) -> None:
        """Addresses come in the tracker's order; entries that cannot be dialled are left out."""
        reply = {
            "peers": [
                {"ip": "10.0.0.1", "port": 6881},
                {"ip": "peer-2", "port": 6882, "more": 1},
                {"ip": "10.0.0.3", "port": 0},
                {"ip": "10.0.0.4", "port": "6881"},
                {"ip": "not a host", "port": 6881},
                {"port": 6881},
                None,
            ]
        }
        self.assertEqual(read_peers(reply), [Address("10.0.0.1", 6881), Address("peer-2", 6882)])

    def test_no_list(self) -> None:
        """Anything else is an error that says so."""
        for reply in (None, [], {"peers": {}}, {"error": "unknown"}, "peers"):
            self.assertRaises(TrackerUnreachable, read_peers, reply)

    def test_bound(self) -> None:
        """Of an endless list only the beginning is taken."""
        reply = {"peers": [{"ip": "10.0.0.1", "port": port} for port in range(1, 2 * MOST_PEERS)]}
        self.assertEqual(len(read_peers(reply)), MOST_PEERS)


class TrackerURLTests(SynchronousTestCase):
    def test_as_people_write_it(self) -> None:
        """A host and port are enough; a slash at the end does not matter."""
        self.assertEqual(tracker_url("localhost:8000"), "http://localhost:8000")
        self.assertEqual(tracker_url("http://tracker:8000/text/"), "http://tracker:8000/text")

    def test_none(self) -> None:
        """What is no address is refused in words."""
        for text in ("", "udp://tracker:8000", "http://"):
            self.assertRaises(ConfigError, tracker_url, text)


class DiscoveryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.heard = Clock(), list[Address]()
        self.asked: list[tuple[str, dict[str, Any], Deferred[Any]]] = []
        self.discovery = TextDiscovery(self.ask, KEY, ID, 6882, self.clock, self.hear)

    def ask(self, path: str, parameters: dict[str, Any]) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self.asked.append((path, parameters, answer))
        return answer

    def hear(self, addresses: Iterable[Address], source: str) -> None:
        self.heard.extend(addresses)

    def test_register_first(self) -> None:
        """It registers before it asks for others, and names itself so that it is left out."""
        self.discovery.start()
        path, parameters, answer = self.asked.pop()
        self.assertEqual((path, parameters), ("/register", {"torrent_hash": KEY, "peer_id": ID, "port": 6882}))
        answer.callback({"status": "registered"})
        path, parameters, answer = self.asked.pop()
        self.assertEqual((path, parameters), ("/get_peers", {"torrent_hash": KEY, "peer_id": ID}))
        answer.callback({"peers": [{"ip": "10.0.0.1", "port": 6881}]})
        self.assertEqual(self.heard, [Address("10.0.0.1", 6881)])

    def test_goodbye_comes_last(self) -> None:
        """A registration that is under way is waited for, or it would undo the goodbye; nothing is asked after that."""
        self.discovery.start()
        stopping = self.discovery.stop()
        self.assertEqual([path for path, _, _ in self.asked], ["/register"])
        for answer in ({"status": "registered"}, {"peers": []}, {"status": "stopped"}):
            self.assertNoResult(stopping)
            self.asked[-1][2].callback(answer)
        self.assertIs(self.successResultOf(stopping), None)
        self.assertEqual([path for path, _, _ in self.asked], ["/register", "/get_peers", "/status"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_s0_16_silent_tracker(self) -> None:
        """A tracker that does not answer holds nobody up for long."""
        self.discovery.start()
        stopping = self.discovery.stop()
        self.clock.advance(GOODBYE_TIMEOUT)
        self.clock.advance(GOODBYE_TIMEOUT)
        self.assertIs(self.successResultOf(stopping), None)
