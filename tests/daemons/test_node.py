"""The node in a peer: where it listens, what it shows there, and how it starts and ends."""

from __future__ import annotations

import json
import os
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site

from p2pshare.client.intake import take_in
from p2pshare.client.node_settings import CONTROL_PORT, DOWNLOAD_PORT, ControlSettings, ShareSettings
from p2pshare.client.settings import PeerSettings
from p2pshare.daemons.node_ports import is_here, listen
from p2pshare.daemons.peer import PeerService
from p2pshare.errors import ConfigError, PortError
from p2pshare.metainfo import parse
from tests.client.fakes import ThreadsOfNow, torrent_file
from tests.web.connections import Connection, Reply

HERE, FAR = "http://127.0.0.1:8000", "http://192.0.2.1:8000"
OLD = 1e9  # seconds since 1970


class Reactor(MemoryReactorClock):
    """One whose ports may be taken."""

    taken: tuple[int, ...] = ()

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        if port in self.taken:
            raise CannotListenError(interface, port, OSError(98, "Address already in use"))
        return super().listenTCP(port, factory, backlog, interface)


class NodeTestCase(SynchronousTestCase):
    """Has a folder with a file in it."""

    def setUp(self) -> None:
        self.top = Path(self.mktemp()).absolute()
        self.shared = self.top / "shared"
        self.shared.mkdir(parents=True)
        self.put("notes.txt", b"some notes")
        self.events: list[Any] = []
        self.reactor = Reactor()
        self.patch(os, "environ", {key: value for key, value in os.environ.items() if key != "P2PSHARE_TOKEN"})

    def put(self, name: str, content: bytes) -> None:
        """Put a file into the shared folder."""
        (self.shared / name).write_bytes(content)
        os.utime(self.shared / name, (OLD, OLD))

    def make(self, index: str | None = None, control: dict[str, Any] | None = None, **share: Any) -> PeerService:
        """Make a peer."""
        settings = PeerSettings(
            data=str(self.top),
            state_dir=str(self.top / "state"),
            control=ControlSettings(enabled=True, **(control or {})),
            share=ShareSettings(**{"folder": str(self.shared), "index": index, **share}),
        )
        return PeerService(settings, [], self.reactor, Random(0), threads=ThreadsOfNow(self.events))

    def begin(self, *arguments: Any, **share: Any) -> PeerService:
        """Start one; it is stopped when the test is over."""
        peer = self.make(*arguments, **share)
        peer.startService()
        self.addCleanup(lambda: peer.running and self.end(peer))
        return peer

    def end(self, peer: PeerService) -> None:
        """Stop it; an index that does not answer is waited for a while."""
        stopping = peer.stopService()
        self.reactor.pump([0.5] * 8)
        self.successResultOf(stopping)

    def sites(self) -> dict[tuple[str, int], Site]:
        """The HTTP ports, by address."""
        servers = self.reactor.tcpServers
        return {(host, port): site for port, site, _, host in servers if isinstance(site, Site)}

    def ask(self, site: Site, method: str, path: str, *headers: str, body: bytes = b"") -> Reply:
        """Ask one of them."""
        return Connection(site).ask(method, path, *headers, body=body)

    def info(self) -> Any:
        """What the control port says of the node."""
        (site, *_) = self.sites().values()
        return json.loads(self.ask(site, "GET", "/api/v1/info").body)


class PortTests(NodeTestCase):
    """Where it listens, and where others are sent."""

    def test_default(self) -> None:
        """By itself it listens for this machine alone."""
        self.begin()
        self.assertEqual(list(self.sites()), [("127.0.0.1", CONTROL_PORT)])

    def test_taken(self) -> None:
        """Where the usual port is taken it takes any other; one that was asked for is an error."""
        self.reactor.taken = (CONTROL_PORT,)
        self.begin()
        self.assertEqual(list(self.sites()), [("127.0.0.1", 0)])
        error = self.assertRaises(PortError, listen, self.reactor, Site(None), ["127.0.0.1"], [CONTROL_PORT])
        self.assertEqual(str(error), "cannot listen on 127.0.0.1:8081 (HTTP): Address already in use")

    def test_index_here(self) -> None:
        """An index on this machine sends people to the control port."""
        self.begin(HERE, address="127.0.0.1")
        self.assertEqual(list(self.sites()), [("127.0.0.1", CONTROL_PORT)])
        self.assertEqual(self.info()["address"], f"127.0.0.1:{CONTROL_PORT}")

    def test_index_elsewhere(self) -> None:
        """An index elsewhere sends people to a port for downloads only, on all addresses."""
        self.begin(FAR, address="192.0.2.7")
        self.assertEqual(list(self.sites()), [("127.0.0.1", CONTROL_PORT), ("::", DOWNLOAD_PORT)])
        self.assertEqual(self.info()["address"], f"192.0.2.7:{DOWNLOAD_PORT}")
        downloads = self.sites()["::", DOWNLOAD_PORT]
        reply = self.ask(downloads, "GET", "/download?filename=notes.txt", "Range: bytes=5-")
        self.assertEqual((reply.status, reply.body), (206, b"notes"))
        self.assertEqual(self.ask(downloads, "GET", "/download?filename=../state/node_id").status, 404)
        for path in ("/", "/api/v1/info", "/api/v1/files", "/api/v1/torrents", "/ws", "/metrics"):
            self.assertEqual(self.ask(downloads, "GET", path).status, 404, path)
        self.assertEqual(self.ask(downloads, "POST", "/api/v1/upload").status, 404)

    def test_reachable_control(self) -> None:
        """A control port that others reach is where they are sent; then what writes needs a token, which is told."""
        with capturedLogs() as logs:
            self.begin(FAR, {"bind": "0.0.0.0"}, address="node.test:1234")
        self.assertEqual(list(self.sites()), [("0.0.0.0", CONTROL_PORT)])
        self.assertEqual(self.info()["address"], "node.test:1234")
        (site,) = self.sites().values()
        self.assertEqual(self.ask(site, "POST", "/api/v1/upload").status, 401)
        (url,) = [text for event in logs if "token" in (text := str(formatEvent(event)))]
        token = url.rpartition("token=")[2]
        self.assertEqual((self.top / "state" / "token").read_text().strip(), token)
        denied = self.ask(site, "POST", "/api/v1/upload", f"Authorization: Bearer {token}")
        self.assertNotEqual(denied.status, 401)

    def test_told_name(self) -> None:
        """Who is sent to the name that the index was told is let in under it, and under no other."""
        self.begin(FAR, address="node.test")
        downloads = self.sites()["::", DOWNLOAD_PORT]
        path = "/download?filename=notes.txt"
        asked = {
            host: Connection(downloads).ask("GET", path, host=host).status for host in ("node.test:9001", "a.test")
        }
        self.assertEqual(asked, {"node.test:9001": 200, "a.test": 421})

    def test_token_required(self) -> None:
        """It does not start without a token where one is required, and stops in order all the same."""
        peer = self.make(None, {"require_token": True})
        self.assertRaises(ConfigError, peer.startService)
        self.end(peer)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_is_here(self) -> None:
        """An index is on this machine if its URL says so."""
        told = {HERE: True, "http://[::1]:80": True, "http://localhost": True, FAR: False, "http://index.test": False}
        self.assertEqual({url: is_here(url) for url in told}, told)


class FaceTests(NodeTestCase):
    """What it shows."""

    def test_shared(self) -> None:
        """Files are shown and sent, and each one that was fetched is counted."""
        self.begin()
        (site,) = self.sites().values()
        (file,) = json.loads(self.ask(site, "GET", "/api/v1/files").body)
        self.assertEqual((file["filename"], file["downloads"], len(file["info_hash"])), ("notes.txt", 0, 40))
        self.assertEqual(self.ask(site, "GET", f"/download/{file['id']}").body, b"some notes")
        (file,) = json.loads(self.ask(site, "GET", "/api/v1/files").body)
        self.assertEqual(file["downloads"], 1)

    def test_torrent_of_a_file(self) -> None:
        """The torrent of a shared file names the tracker of the index; an empty file has none."""
        self.put("empty.txt", b"")
        self.begin(FAR, address="192.0.2.7")
        control, downloads = self.sites().values()
        files = {file["filename"]: file for file in json.loads(self.ask(control, "GET", "/api/v1/files").body)}
        by_id = self.ask(control, "GET", f"/api/v1/files/{files['notes.txt']['id']}/torrent")
        by_name = self.ask(downloads, "GET", "/torrent?filename=notes.txt")
        self.assertEqual(by_id.body, by_name.body)
        self.assertEqual(by_name.headers["content-type"], "application/x-bittorrent")
        torrent = parse(by_name.body)
        self.assertEqual((torrent.info_hash.hex(), torrent.name), (files["notes.txt"]["info_hash"], "notes.txt"))
        self.assertEqual(torrent.announce_tiers, ((f"{FAR}/announce",),))
        self.assertEqual(self.ask(downloads, "GET", "/torrent?filename=empty.txt").status, 409)
        self.assertEqual(self.ask(downloads, "GET", "/torrent?filename=unknown").status, 404)

    def test_no_folder(self) -> None:
        """A peer that shares no folder has no files, and says so to who wants to put one there."""
        self.begin(folder=None)
        (site,) = self.sites().values()
        self.assertEqual(json.loads(self.ask(site, "GET", "/api/v1/files").body), [])
        form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\na\r\n--x--\r\n'
        reply = self.ask(site, "POST", "/api/v1/upload", "Content-Type: multipart/form-data; boundary=x", body=form)
        self.assertEqual((reply.status, b"shares no folder" in reply.body), (409, True))

    def test_torrents_of_earlier_runs(self) -> None:
        """Torrents that were added over HTTP are there after the next start, beside those that are named."""
        folder = self.top / "state" / "torrents"
        folder.mkdir(parents=True)
        for name in ("one", "two"):
            (folder / f"{name}.torrent").write_bytes(torrent_file(name, b"1" * 100))
        settings = PeerSettings(
            data=str(self.top), state_dir=str(self.top / "state"), control=ControlSettings(enabled=True)
        )
        named = [take_in(folder / "one.torrent", self.top)]
        peer = PeerService(settings, named, self.reactor, Random(0), threads=ThreadsOfNow(self.events))
        peer.startService()
        self.reactor.pump([0.0] * 4)
        self.assertEqual([swarm.content.name for swarm in peer.session.swarms.values()], ["one", "two"])
        self.end(peer)


class EndTests(NodeTestCase):
    def test_stop(self) -> None:
        """It ends although an index never answers, closes all its ports, and leaves no timer behind."""
        peer = self.begin(HERE)
        self.reactor.advance(0)
        self.end(peer)
        self.assertEqual(self.events.count("threads ended"), 4)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertFalse(self.flushLoggedErrors())

    def test_same_node(self) -> None:
        """It keeps its name over a restart."""
        self.end(self.begin())
        before = self.info()["id"]
        self.reactor = Reactor()
        self.begin()
        self.assertEqual(self.info()["id"], before)
