"""Many torrents behind one port."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.addresses import Address
from p2pshare.client.session import Session
from p2pshare.client.settings import PeerSettings
from p2pshare.errors import ConfigError, StorageError
from p2pshare.metainfo import Metainfo, parse
from p2pshare.peer.limits import ConnectionLimits
from p2pshare.swarm.events import State
from p2pshare.wire import bep3
from tests.client.fakes import RecordingDiscovery, ThreadsOfNow, torrent_file
from tests.fakes import PeerTransport, handshake
from tests.storage.fakes import some_bytes

ONE, OTHER = some_bytes(40_000, 1), some_bytes(40_000, 2)


class SessionTestCase(SynchronousTestCase):
    """A session with a folder, and two torrents."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.one = parse(torrent_file("one", ONE))
        self.other = parse(torrent_file("other", OTHER))
        self.events: list[Any] = []
        self.discoveries: dict[bytes, RecordingDiscovery] = {}
        self.make()

    def make(self, **settings: Any) -> None:
        """Begin with other settings."""
        self.reactor = MemoryReactorClock()
        threads = ThreadsOfNow(self.events)
        self.session = Session(self.reactor, PeerSettings(**settings), Random(0), threads=threads)
        self.session.discover = self.discover

    def discover(self, swarm: Any) -> RecordingDiscovery:
        discovery = self.discoveries[swarm.info_hash] = RecordingDiscovery(self.events)
        return discovery

    def add(self, content: Metainfo, **options: Any) -> Any:
        """Add a torrent to the folder."""
        return self.session.add(content, self.folder, **options)

    def knock(self, info_hash: bytes) -> PeerTransport:
        """Connect, and send a handshake."""
        _, factory, _, _ = self.reactor.tcpServers[-1]
        link = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 50000))
        transport = PeerTransport()
        link.makeConnection(transport)
        link.dataReceived(handshake(info_hash))
        return transport


class PortTests(SessionTestCase):
    def test_opened_with_the_service(self) -> None:
        """A started session listens on the first port BEP 3 names."""
        self.assertEqual(self.session.port, 0)
        self.session.startService()
        self.assertEqual((self.session.port, self.reactor.tcpServers[0][0]), (6881, 6881))

    def test_opened_before(self) -> None:
        """Whoever wants to know of trouble first opens the port first; it is not opened twice."""
        self.make(port=7000)
        self.session.listen()
        self.session.startService()
        self.assertEqual([port for port, _, _, _ in self.reactor.tcpServers], [7000])

    def test_goodbyes_name_it(self) -> None:
        """A tracker finds us in its list by the port, so it is known until the very end."""
        ports = []
        self.session.on_stopped.append(lambda: succeed(ports.append(self.session.port)))
        self.session.startService()
        self.successResultOf(self.session.stopService())
        self.assertEqual(ports, [6881])


class TorrentTests(SessionTestCase):
    def test_starts_with_the_session(self) -> None:
        """A torrent waits until its session starts; one added to a session that runs starts at once."""
        one = self.add(self.one)
        self.assertEqual(one.state, State.STOPPED)
        self.session.startService()
        self.assertEqual(one.state, State.DOWNLOADING)
        self.assertEqual(self.add(self.other).state, State.DOWNLOADING)
        self.assertEqual(self.events, ["started", "started"])

    def test_complete_content_is_seeded(self) -> None:
        """What is on disk already is not fetched."""
        (self.folder / "one").write_bytes(ONE)
        self.session.startService()
        self.assertEqual(self.add(self.one).state, State.SEEDING)

    def test_one_failure_alone(self) -> None:
        """A torrent that fails does not touch the others."""
        (self.folder / "one").write_bytes(OTHER)
        self.session.startService()
        one, other = self.add(self.one), self.add(self.other)
        self.assertEqual((one.state, other.state), (State.FAILED, State.DOWNLOADING))
        self.assertIsInstance(one.error, StorageError)

    def test_twice(self) -> None:
        """The same torrent cannot be added again, by whatever name."""
        self.add(self.one)
        self.assertRaises(ConfigError, self.add, self.one)

    def test_limits(self) -> None:
        """A connection may move what both its torrent and the whole session may."""
        self.make(limit_up=1000, torrent_limit_up=5000, torrent_limit_down=2000)
        up, down = self.add(self.one).allowances()
        self.assertEqual((up.rate, down.rate), (1000, 2000))

    def test_other_limits(self) -> None:
        """Rate limits can be changed while torrents run, for those there are and those to come; nothing else can."""
        self.make(limit_up=1000, torrent_limit_up=5000, max_peers=7)
        one = self.add(self.one)
        self.session.limit(PeerSettings(limit_down=300, torrent_limit_up=200, max_peers=9))
        other = self.add(self.other)
        for swarm in (one, other):
            up, down = swarm.allowances()
            self.assertEqual((up.rate, down.rate), (200, 300))
        self.assertEqual((self.session.settings.max_peers, self.session.settings.limit_up), (7, None))

    def test_handshake_names_the_torrent(self) -> None:
        """Each connection goes to the torrent it asks for; one that nobody has is closed without a word."""
        self.session.startService()
        self.add(self.one)
        self.add(self.other)
        greeting = bep3.decode_handshake(self.knock(self.other.info_hash).value()[: bep3.HANDSHAKE_SIZE])
        self.assertEqual((greeting.info_hash, greeting.peer_id), (self.other.info_hash, self.session.peer_id))
        stranger = self.knock(b"?" * 20)
        self.assertEqual((stranger.value(), stranger.disconnecting), (b"", True))

    def test_limits_of_connections(self) -> None:
        """What is set about connections holds for those that come in."""
        self.make(connections=ConnectionLimits(handshake_timeout=3.0))
        self.session.startService()
        self.add(self.one)
        _, factory, _, _ = self.reactor.tcpServers[-1]
        link = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 50000))
        link.makeConnection(PeerTransport())
        self.reactor.advance(2.9)
        self.assertFalse(link.is_closing)
        self.reactor.advance(0.2)
        self.assertTrue(link.is_closing)
        self.assertEqual(self.session.hits, {"handshake_timeout": 1})

    def test_hits(self) -> None:
        """Hits of connections and of all torrents are summed up; what a torrent counted outlives it."""
        self.session.startService()
        one, other = self.add(self.one), self.add(self.other)
        self.assertEqual(self.session.hits, {})
        one.hits["greed"] += 1
        other.hits.update(greed=2, max_peers=1)
        self.assertEqual(self.session.hits, {"greed": 3, "max_peers": 1})
        self.successResultOf(self.session.remove(self.other.info_hash))
        self.assertEqual(self.session.hits, {"greed": 3, "max_peers": 1})

    def test_peers_of_the_user(self) -> None:
        """Addresses that came with a torrent are dialled when it starts."""
        self.session.startService()
        self.add(self.one, peers=[Address("127.0.0.2", 7000)])
        self.assertEqual([client[:2] for client in self.reactor.tcpClients], [("127.0.0.2", 7000)])

    def test_told_in_the_log(self) -> None:
        """The log has a line for each change in a torrent's life, failures included."""
        (self.folder / "one").write_bytes(OTHER)
        (self.folder / "other").write_bytes(OTHER)
        with capturedLogs() as logs:
            self.session.startService()
            self.add(self.one)
            self.add(self.other)
        lines = [str(formatEvent(event)) for event in logs if event["log_level"] is LogLevel.info]
        self.assertIn("listening for peers on port 6881", lines)
        self.assertIn(f"other: added as {self.other.info_hash.hex()}, in {self.folder}", lines)
        self.assertIn("other: complete, seeding", lines)
        self.assertTrue(any(line.startswith("one: failed and stays so") and "move it away" in line for line in lines))


class ScrubTests(SessionTestCase):
    """Reading again what is there."""

    def test_from_check_to_end(self) -> None:
        """What was found at the start is looked at again in the background; rot is found; it ends with the torrent."""
        (self.folder / "one").write_bytes(ONE)
        self.make(scrub=10_000.0)  # a hundred rounds a day
        swarm = self.add(self.one)
        self.session.startService()
        self.assertTrue(swarm.store.is_complete)
        (self.folder / "one").write_bytes(b"\0" * len(ONE))
        for _ in range(30):
            self.reactor.advance(60.0)
        self.assertFalse(swarm.store.is_complete)
        self.successResultOf(self.session.remove(self.one.info_hash))
        self.assertEqual(self.session._scrubs, {})

    def test_off(self) -> None:
        """With 0 percent nothing is read that nobody asks for."""
        (self.folder / "one").write_bytes(ONE)
        self.make(scrub=0.0)
        swarm = self.add(self.one)
        self.session.startService()
        (self.folder / "one").write_bytes(b"\0" * len(ONE))
        for _ in range(30):
            self.reactor.advance(60.0)
        self.assertTrue(swarm.store.is_complete)
        self.successResultOf(self.session.stopService())


class RemoveTests(SessionTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.session.startService()
        self.swarm = self.add(self.one)
        self.events.clear()

    def test_stops_it(self) -> None:
        """A removed torrent says goodbye and is not served any more; what it has stays on disk."""
        self.successResultOf(self.session.remove(self.one.info_hash))
        self.assertEqual((self.events, self.swarm.state), (["stopped"], State.STOPPED))
        self.assertTrue(self.knock(self.one.info_hash).disconnecting)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["one.part"])

    def test_back_when_it_has_left(self) -> None:
        """While it says goodbye it cannot come back: the tracker would hear of that first."""
        goodbye = self.discoveries[self.one.info_hash].goodbye = Deferred()
        leaving = self.session.remove(self.one.info_hash)
        self.assertTrue(self.session.is_leaving(self.one.info_hash))
        self.assertFalse(self.session.holds(self.one.info_hash))
        self.assertRaises(ConfigError, self.add, self.one)
        goodbye.callback(None)
        self.successResultOf(leaving)
        self.assertFalse(self.session.is_leaving(self.one.info_hash))
        self.assertEqual(self.add(self.one).state, State.DOWNLOADING)

    def test_unknown(self) -> None:
        """Removing what is not here is a mistake, and changes nothing."""
        self.assertRaises(KeyError, self.session.remove, b"?" * 20)
        self.assertFalse(self.session.is_leaving(b"?" * 20))


class StopTests(SessionTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.session.on_stopped.append(lambda: succeed(self.events.append("the rest ended")))
        self.session.startService()
        self.add(self.one)
        self.add(self.other)
        self.events.clear()

    def test_in_order(self) -> None:
        """All torrents say goodbye, then what finds peers ends, then the threads."""
        self.successResultOf(self.session.stopService())
        self.assertEqual(self.events, ["stopped", "stopped", "the rest ended", "threads ended"])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_waits_for_goodbyes(self) -> None:
        """Nothing a goodbye needs ends before it was said, even that of a torrent removed a moment ago."""
        first = self.discoveries[self.one.info_hash].goodbye = Deferred()
        second = self.discoveries[self.other.info_hash].goodbye = Deferred()
        self.session.remove(self.one.info_hash)
        stopping = self.session.stopService()
        second.callback(None)
        self.assertEqual(self.events, ["stopped", "stopped"])
        self.assertNoResult(stopping)
        first.callback(None)
        self.successResultOf(stopping)
        self.assertEqual(self.events[2:], ["the rest ended", "threads ended"])

    def test_one_that_cannot_end(self) -> None:
        """A bug in ending one torrent is logged, and the others end in order all the same."""
        self.discoveries[self.one.info_hash].goodbye = fail(RuntimeError("a bug"))
        second = self.discoveries[self.other.info_hash].goodbye = Deferred()
        stopping = self.session.stopService()
        self.assertNoResult(stopping)
        second.callback(None)
        self.successResultOf(stopping)
        self.assertEqual(self.events[2:], ["the rest ended", "threads ended"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_nobody_gets_in(self) -> None:
        """From the first moment on, peers who knock are turned away."""
        self.discoveries[self.one.info_hash].goodbye = Deferred()
        self.session.stopService()
        self.assertTrue(self.knock(self.one.info_hash).disconnecting)
