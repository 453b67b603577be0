"""Tests of announces and scrapes over UDP."""

from __future__ import annotations

from random import Random
from typing import Any

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.addresses import Address
from p2pshare.discovery import udp_tracker
from p2pshare.discovery.udp_tracker import MAX_AT_ONCE, MAX_LINES, TOTAL_TIMEOUT, UDPTracker, UDPTrackers, udp_trackers
from p2pshare.errors import TrackerFailure, TrackerUnreachable
from p2pshare.wire import udp_tracker as wire
from p2pshare.wire.announce import AnnounceRequest, AnnounceResponse, Event, PeerEntry, ScrapeCounts
from tests.discovery.udp_network import FakeUDPTracker, UDPNetwork

URL = "udp://tracker.test:6969/announce"
HOST, HOST6, LAN = "203.0.113.7", "2600::7", "192.168.1.5"
HASH, OTHER = b"h" * 20, b"o" * 20
REQUEST = AnnounceRequest(
    HASH, b"-P20100-abcdefghijkl", 6881, left=5, event=Event.STARTED, key=b"0BADCAFE", numwant=80, compact=True
)
RESPONSE = AnnounceResponse(1800, None, 1, 2, (PeerEntry("192.0.2.7", 6881),))


class UDPTrackerCase(SynchronousTestCase):
    """Has one tracker, in a network in memory."""

    def setUp(self) -> None:
        self.network = UDPNetwork()
        self.network.names["tracker.test"] = [HOST]
        self.server = self.network.trackers[Address(HOST, 6969)] = FakeUDPTracker()
        self.trackers = UDPTrackers(self.network, Random(0))
        self.kept: list[UDPTracker] = []  # as the torrents keep theirs

    def tracker(self, url: str = URL, **more: Any) -> UDPTracker:
        """Make the client of one."""
        tracker = (UDPTrackers(self.network, Random(0), **more) if more else self.trackers)(url)
        assert tracker is not None
        self.kept.append(tracker)
        return tracker

    def announce(self, url: str = URL, **more: Any) -> Deferred[AnnounceResponse]:
        """Announce."""
        return self.tracker(url, **more).announce(REQUEST)

    def error(self, announcing: Deferred[Any], kind: type[Exception] = TrackerUnreachable) -> str:
        """Tell how something has failed."""
        text = str(self.failureResultOf(announcing, kind).value)
        self.assertTrue(text.isprintable())
        return text


class AnnounceTests(UDPTrackerCase):
    """One tracker that answers."""

    def test_announce(self) -> None:
        """After connecting an announce goes out as BEP 15 has it, and the reply comes back as a value."""
        self.assertEqual(self.successResultOf(self.announce()), RESPONSE)
        (request,) = self.server.requests
        self.assertEqual(wire.decode_announce(request), REQUEST)
        self.assertEqual((request[:8], wire.url_data(request)), (b"CONNECT0", b"/announce"))

    def test_ipv6(self) -> None:
        """Over IPv6 the peers of the reply are IPv6 ones."""
        self.network.trackers[Address(HOST6, 6969)] = FakeUDPTracker(
            answer=lambda transaction_id, _: wire.encode_announced(
                transaction_id, 60, 0, 0, bytes.fromhex("26000000000000000000000000000008") + b"\x1a\xe1"
            )
        )
        for url in ("udp://[2600::7]:6969/announce", URL):
            self.network.names["tracker.test"] = [HOST6, HOST]
            self.assertEqual(self.successResultOf(self.announce(url)).peers, (PeerEntry("2600::8", 6881),))
        self.assertEqual({socket.interface for socket in self.network.sockets}, {"::"})

    def test_connection_is_kept_a_minute(self) -> None:
        """A connection id is used for a minute by all torrents of a tracker, then there is another one."""
        for time, connects in ((0, 1), (59, 1), (60, 2), (119, 2), (120, 3)):
            self.network.advance(time - self.network.seconds())
            self.assertEqual(self.successResultOf(self.announce("udp://tracker.test:6969/other")), RESPONSE)
            self.assertEqual(len(self.network.times(wire.CONNECT)), connects)
        self.network.advance(60)
        self.assertEqual((self.network.open_sockets, self.network.getDelayedCalls()), ([], []))

    def test_at_once(self) -> None:
        """Torrents that announce at the same time connect once."""
        self.server.is_silent = True
        announcing = [self.announce() for _ in range(5)]
        self.assertEqual(self.network.times(wire.CONNECT), [0])
        self.server.is_silent = False
        self.network.advance(15)
        self.assertEqual([self.successResultOf(each) for each in announcing], [RESPONSE] * 5)
        self.assertEqual(self.network.times(wire.CONNECT), [0, 15])
        ids = [request[12:16] for request in self.server.requests]
        self.assertEqual(len(set(ids)), 5)

    def test_another_port_is_another_tracker(self) -> None:
        """Connection ids are not shared between ports."""
        self.network.trackers[Address(HOST, 6970)] = FakeUDPTracker(b"CONNECT1")
        self.successResultOf(self.announce())
        self.assertEqual(self.successResultOf(self.announce("udp://tracker.test:6970")), RESPONSE)

    def test_url(self) -> None:
        """Path and query are sent along, secrets and all; a name of ours is added; without either there is nothing."""
        for url, name, data in (
            ("udp://tracker.test:6969", None, b""),
            ("udp://tracker.test:6969/KEY/announce?a=b#c", None, b"/KEY/announce?a=b"),
            (URL, "client1", b"/announce?hostname=client1"),
        ):
            self.successResultOf(self.tracker(url).announce(evolve(REQUEST, hostname=name)))
            self.assertEqual(wire.url_data(self.server.requests[-1]), data)

    def test_refusal(self) -> None:
        """A refusal is told in the tracker's words, made printable, without another try."""
        self.server.answer = lambda transaction_id, _: wire.encode_refusal(transaction_id, "not registered\x1b")
        self.assertEqual(self.error(self.announce(), TrackerFailure), "not registered\\x1b")
        self.assertEqual(len(self.server.requests), 1)

    def test_refused_with_a_kept_id(self) -> None:
        """A refusal of a kept connection id may be about the id: with a fresh one the tracker is asked once more."""
        self.successResultOf(self.announce())
        self.server.connection_id = b"CONNECT1"
        self.server.answer = lambda transaction_id, request: (
            wire.encode_announced(transaction_id, 60, 0, 0, b"")
            if request[:8] == b"CONNECT1"
            else wire.encode_refusal(transaction_id, "Connection ID missmatch.")
        )
        self.network.trackers[Address(HOST, 6969)] = lambda datagram: (
            self.server.answer(datagram[12:16], datagram) if datagram[:8] == b"CONNECT0" else self.server(datagram)
        )
        self.assertEqual(self.successResultOf(self.announce()).interval, 60)
        self.server.answer = lambda transaction_id, _: wire.encode_refusal(transaction_id, "no")
        self.assertEqual(self.error(self.announce(), TrackerFailure), "no")
        self.assertEqual(len(self.network.times(wire.ANNOUNCE)), 5)

    def test_scrape(self) -> None:
        """A scrape asks for 70 torrents at a time and gives their counts."""
        figures = ScrapeCounts(1, 2, 3)
        self.server.answer = lambda transaction_id, request: wire.encode_scraped(
            transaction_id, [figures] * len(wire.decode_scrape(request))
        )
        hashes = [bytes([number]) * 20 for number in range(150)]
        self.assertEqual(self.successResultOf(self.tracker().scrape(hashes)), dict.fromkeys(hashes, figures))
        self.assertEqual([len(wire.decode_scrape(each)) for each in self.server.requests], [70, 70, 10])
        self.assertEqual(self.successResultOf(self.tracker().scrape([])), {})


class LossTests(UDPTrackerCase):
    """Datagrams that do not arrive, or should not have."""

    def test_resent(self) -> None:
        """A request without a reply is sent again after 15·2ⁿ seconds, as long as the caller has patience."""
        self.patch(udp_tracker, "TOTAL_TIMEOUT", 300.0)
        self.server.is_silent = True
        announcing = self.announce()
        self.network.pump([1] * 290)
        self.assertEqual(self.network.times(wire.CONNECT), [0, 15, 45, 105, 225])
        self.server.is_silent = False
        self.network.pump([1] * 10)
        self.assertEqual(self.error(announcing), f"{URL}: no answer within 300 s")

    def test_f85_thirty_seconds(self) -> None:
        """A silent tracker is given up after 30 seconds, and nothing is left of it."""
        self.server.is_silent = True
        announcing = self.announce()
        self.network.advance(15)
        self.network.advance(TOTAL_TIMEOUT - 15.1)
        self.assertNoResult(announcing)
        self.network.advance(0.1)
        self.assertEqual(self.error(announcing), f"{URL}: no answer within 30 s")
        self.assertEqual(self.network.times(wire.CONNECT), [0, 15])
        self.assertEqual((self.network.open_sockets, self.network.getDelayedCalls()), ([], []))

    def test_restarted_tracker(self) -> None:
        """A tracker that does not know its former connection ids any more is silent: it is connected to again."""
        self.successResultOf(self.announce())
        self.server.connection_id = b"CONNECT1"
        announcing = self.announce()
        self.network.advance(15)
        self.assertEqual(self.successResultOf(announcing), RESPONSE)
        self.assertEqual(self.network.times(wire.ANNOUNCE), [0, 0, 15])

    def test_f57_other_replies(self) -> None:
        """A wrong transaction id, another address, another port and garbage are ignored; the reply is still taken."""
        self.server.answer = lambda *_: None
        announcing = self.announce()
        (socket,) = self.network.sockets
        transaction_id = socket.sent[-1][12:16]
        reply = wire.encode_announced(transaction_id, 1800, 1, 2, b"")
        other_transaction = bytes([transaction_id[0] ^ 1]) + transaction_id[1:]
        socket.deliver(wire.encode_announced(other_transaction, 1800, 1, 2, b""))
        socket.deliver(socket.sent[0][12:16] + reply[4:])
        for sender in (("203.0.113.8", 6969), (HOST, 6968)):
            socket.deliver(reply, sender)
        for garbage in (b"", b"x" * 7, b"\xff" * 100):
            socket.deliver(garbage)
        self.assertNoResult(announcing)
        socket.deliver(reply)
        self.assertEqual(self.successResultOf(announcing).interval, 1800)
        socket.deliver(reply)  # and once is enough

    def test_f57_random_transactions(self) -> None:
        """Transaction ids are four random bytes, of another kind in each process."""
        for _ in range(50):
            self.successResultOf(self.announce())
        ids = {datagram[12:16] for socket in self.network.sockets for datagram in socket.sent}
        self.assertEqual(len(ids), 51)
        self.assertNotEqual(udp_trackers(self.network)._random.random(), udp_trackers(self.network)._random.random())

    def test_reply_to_something_else(self) -> None:
        """A reply with the right transaction id and the wrong action, or cut short, is told as it is."""
        for action, words in ((0, "the reply has action 0, not 1"), (1, "the reply is 9 bytes long")):
            head = bytes((0, 0, 0, action))
            self.server.answer = lambda transaction_id, _, head=head: head + transaction_id + b"x"  # type: ignore[misc]
            self.assertIn(f"{URL}: {words}", self.error(self.announce()))

    def test_cancel(self) -> None:
        """Cancelling an announce, connected or not, leaves no timer but that of the connection."""
        self.server.is_silent = True
        waiting, other = self.announce(), self.announce()
        waiting.cancel()
        self.error(waiting, CancelledError)
        self.assertEqual(len(self.network.open_sockets), 1)  # the other one still wants to connect
        other.cancel()
        self.error(other, CancelledError)
        self.assertEqual((self.network.open_sockets, self.network.getDelayedCalls()), ([], []))
        self.server.is_silent = False
        self.server.answer = lambda *_: None
        waiting = self.announce()
        waiting.cancel()
        self.error(waiting, CancelledError)
        self.network.advance(60)
        self.assertEqual((self.network.open_sockets, self.network.getDelayedCalls()), ([], []))


class AddressTests(UDPTrackerCase):
    """Where a host name leads."""

    def setUp(self) -> None:
        super().setUp()
        self.server6 = self.network.trackers[Address(HOST6, 6969)] = FakeUDPTracker(
            answer=lambda transaction_id, _: wire.encode_announced(transaction_id, 66, 0, 0, b"")
        )
        self.network.names["tracker.test"] = [HOST6, "2600::8", HOST, "203.0.113.8"]

    def test_first_that_answers(self) -> None:
        """An address that is silent for a moment is joined by one of the other family, and who answers is kept."""
        self.server6.is_silent = True
        announcing = self.announce()
        self.assertNoResult(announcing)
        self.network.advance(0.3)
        self.assertEqual(self.successResultOf(announcing), RESPONSE)
        self.assertEqual(len(self.network.open_sockets), 1)
        self.assertEqual(self.successResultOf(self.announce()), RESPONSE)
        self.assertEqual([host for _, host, _ in self.network.log], [HOST6, HOST, HOST, HOST])

    def test_no_need_for_the_second(self) -> None:
        """When the first address answers, no other is asked."""
        self.assertEqual(self.successResultOf(self.announce()).interval, 66)
        self.network.advance(1)
        self.assertEqual(len(self.network.sockets), 1)

    def test_no_route(self) -> None:
        """Without a route for one family the other is used."""
        self.network.no_route.add(HOST6)
        announcing = self.announce()
        self.network.advance(0.3)
        self.assertEqual(self.successResultOf(announcing), RESPONSE)

    def test_nobody_listens(self) -> None:
        """When all addresses are refused the announce fails at once, naming the URL and each reason."""
        self.network.trackers.clear()
        announcing = self.announce()
        self.network.advance(0.3)
        self.assertEqual(self.error(announcing), f"{URL}: connection refused")
        self.network.no_route.add(HOST6)
        announcing = self.announce()
        self.network.advance(0.3)
        self.assertEqual(self.error(announcing), f"{URL}: Network is unreachable; connection refused")
        self.assertEqual((self.network.open_sockets, self.network.getDelayedCalls()), ([], []))

    def test_refused_later(self) -> None:
        """When nobody listens any more the announce fails, and the next one connects again."""
        self.successResultOf(self.announce())
        server = self.network.trackers.pop(Address(HOST6, 6969))
        self.assertEqual(self.error(self.announce()), f"{URL}: connection refused")
        self.network.trackers[Address(HOST6, 6969)] = server
        self.assertEqual(self.successResultOf(self.announce()).interval, 66)

    def test_tracker_that_refuses_to_connect(self) -> None:
        """A refusal to connect says more than the other address's silence."""
        self.network.trackers[Address(HOST6, 6969)] = lambda datagram: wire.encode_refusal(datagram[12:16], "busy")
        del self.network.trackers[Address(HOST, 6969)]
        announcing = self.announce()
        self.network.advance(0.3)
        self.assertEqual(self.error(announcing, TrackerFailure), "busy")

    def test_f84_public_before_local(self) -> None:
        """A name with addresses in both zones leads to the public one; a local tracker may be named all the same."""
        self.network.trackers[Address(LAN, 6969)] = FakeUDPTracker(
            answer=lambda transaction_id, _: wire.encode_announced(transaction_id, 5, 0, 0, b"")
        )
        for hosts, interval in (([LAN, HOST], 1800), ([LAN], 5)):
            self.network.names["tracker.test"] = hosts
            self.network.advance(60)
            self.assertEqual(self.successResultOf(self.announce()).interval, interval)
        self.assertEqual(self.successResultOf(self.announce(f"udp://{LAN}:6969")).interval, 5)

    def test_unknown_name(self) -> None:
        """A name without an address is told as such."""
        self.assertEqual(
            self.error(self.announce("udp://nowhere.test:1/x?key=secret")),
            "udp://nowhere.test:1/x: no address found for this host",
        )

    def test_bind_address(self) -> None:
        """With an address of ours to ask from, only trackers' addresses of its family are asked."""
        self.assertEqual(self.successResultOf(self.announce(bind_address="198.51.100.1")), RESPONSE)
        self.assertEqual([socket.interface for socket in self.network.sockets], ["198.51.100.1"])
        self.network.names["tracker.test"] = [HOST6]
        self.assertEqual(
            self.error(self.announce(bind_address="198.51.100.1")),
            f"{URL}: none of its addresses can be reached from 198.51.100.1",
        )


class SocketTests(UDPTrackerCase):
    """Sockets, which are few and do not always work."""

    def test_no_socket(self) -> None:
        """When there is no socket to be had, or it does not take a datagram, the reason is named."""
        self.network.no_sockets = CannotListenError("0.0.0.0", 0, OSError(24, "Too many open files"))
        self.assertIn("Too many open files", self.error(self.announce()))
        self.network.no_sockets = None
        self.network.problem = OSError(1, "Operation not permitted")
        self.assertEqual(self.error(self.announce()), f"{URL}: Operation not permitted")
        self.network.problem = None
        self.assertEqual(self.successResultOf(self.announce()), RESPONSE)
        self.network.advance(60)
        self.assertEqual((self.network.open_sockets, self.network.getDelayedCalls()), ([], []))

    def test_many_trackers(self) -> None:
        """However many trackers are asked in a minute, so many sockets are open; the longest idle ones are closed."""
        for port in range(1, MAX_LINES + 11):
            self.network.trackers[Address(HOST, port)] = FakeUDPTracker()
            self.successResultOf(self.announce(f"udp://tracker.test:{port}"))
        self.assertEqual(self.network.open_sockets, self.network.sockets[10:])
        self.assertEqual(self.successResultOf(self.announce("udp://tracker.test:1")), RESPONSE)

    def test_requests_take_turns(self) -> None:
        """Of many announces at once only so many are under way; their 30 seconds begin when it is their turn."""
        self.server.answer = lambda *_: None
        announcing = [self.announce() for _ in range(MAX_AT_ONCE + 2)]
        self.assertEqual(len(self.server.requests), MAX_AT_ONCE)
        announcing[-1].cancel()  # while it waits
        self.error(announcing[-1], CancelledError)
        self.network.advance(1)
        announcing[0].cancel()
        self.error(announcing[0], CancelledError)
        self.assertEqual(len(self.server.requests), MAX_AT_ONCE + 1)
        self.network.advance(29)
        self.assertNoResult(announcing[-2])
        self.network.advance(1)
        for ended in announcing[1:-1]:
            self.error(ended)

    def test_close(self) -> None:
        """Closing ends what is under way, and leaves nothing behind."""
        self.server.answer = lambda *_: None
        waiting = self.announce()
        self.successResultOf(self.trackers.close())
        self.assertEqual(self.error(waiting), f"{URL}: the socket is closed")
        self.assertEqual((self.network.open_sockets, self.network.getDelayedCalls()), ([], []))
        self.successResultOf(self.trackers.close())

    def test_socket_lost(self) -> None:
        """When the reactor drops a socket, who waits is told why, and the next announce gets another one."""
        self.server.answer = lambda *_: None
        for error, words in ((111, "connection refused"), (92, "Protocol not available"), (0, "the socket is closed")):
            waiting = self.announce()
            self.network.sockets[-1].drop(error)
            self.assertEqual(self.error(waiting), f"{URL}: {words}")
        self.server.answer = FakeUDPTracker().answer
        self.assertEqual(self.successResultOf(self.announce()), RESPONSE)


class URLTests(UDPTrackerCase):
    """Which URLs there is a client for."""

    def test_schemes(self) -> None:
        """UDP trackers with a proper host get a client, others none."""
        for url in ("udp://t:80", "UDP://t:1/x", "udp://[::1]:80", "udp://1.2.3.4:80/announce"):
            self.assertIsNotNone(self.trackers(url), url)
        for url in (
            "http://t:80",
            "udp:",
            "udp://",
            "udp://:80",
            "udp://t:0",
            "udp://t:65536",
            "udp://[::1:80",
            "udp://a..b:1",
        ):
            self.assertIsNone(self.trackers(url), url)

    def test_default_port(self) -> None:
        """Without a port it is 80."""
        self.network.trackers[Address(HOST, 80)] = FakeUDPTracker()
        self.assertEqual(self.successResultOf(self.announce("udp://tracker.test/announce")), RESPONSE)

    def test_names_in_any_script(self) -> None:
        """A host name in any script is looked up as the DNS knows it."""
        self.network.names["xn--gre-6ka8i.test"] = [HOST]
        self.assertEqual(self.successResultOf(self.announce("udp://größe.test:6969")), RESPONSE)

    def test_long_url(self) -> None:
        """A path that does not fit into a datagram is an error that says so, and shows no secrets."""
        error = self.error(self.announce("udp://tracker.test:6969/?" + "x" * 1100))
        why = "path and query of 1102 bytes, at most 1024 fit into a datagram"
        self.assertEqual(error, f"udp://tracker.test:6969/: {why}")

    def test_forgotten(self) -> None:
        """A tracker that no torrent uses any more is forgotten."""
        self.tracker()
        self.assertEqual(len(self.trackers._connections), 1)
        self.kept.clear()
        self.assertEqual(len(self.trackers._connections), 0)

    def test_real_ones(self) -> None:
        """The real maker needs a clock only when there is something to ask."""
        clock: Any = Clock()
        clock.nameResolver = self.network
        self.successResultOf(udp_trackers(clock).close())
