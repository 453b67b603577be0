"""UDP trackers: ours with a real client, a real one with ours, and ours with ours; every byte arrives."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, TypeVar
from urllib.parse import urlsplit

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import RemoteWireError
from p2pshare.wire import udp_tracker as wire
from p2pshare.wire.announce import ScrapeCounts
from tests import real_parts
from tests.interop.clients import P2PSHARE, Libtorrent, P2PShare, Place, create_torrent
from tests.interop.contents import differences
from tests.interop.networks import Loopback, free_port
from tests.interop.processes import ENVIRONMENT, PATIENCE, Running, stop_all, wait_for

SIZE = 4 * 1024 * 1024 - 1
MOMENT = 20.0  # s for any one step here; each takes about one
CONNECT = bytes.fromhex("0000041727101980") + bytes(4) + b"test"  # BEP 15, byte by byte: not our own codec

_Result = TypeVar("_Result")


class UDPTrackerCase(SynchronousTestCase):
    """Peers on this machine that know of each other by a UDP tracker only."""

    host: Callable[[int], str] = staticmethod(lambda number: f"127.0.0.{number}")

    def setUp(self) -> None:
        real_parts.program("timeout")
        self.top = Path(self.mktemp()).absolute()
        self.top.mkdir(parents=True)
        self.content = self.top / "content.bin"
        self.content.write_bytes(Random(0).randbytes(SIZE))
        self.torrent = self.top / "content.torrent"
        self.everybody: list[Running] = []
        self.ours: list[Running] = []
        self.hosts = 1  # that are taken; the tracker has the first
        self.addCleanup(lambda: stop_all(self.everybody))

    def start_our_tracker(self) -> None:
        """Start ours, and make the torrent that names it."""
        command = [*P2PSHARE, "tracker", "--bind", self.host(1), "--port", "0", "--no-state"]
        tracker = Running.start("p2pshare tracker", command, Loopback(), self.top / "tracker")
        self.everybody.append(tracker)
        said = self.wait_until(lambda: re.search(r"(udp://\S+)", tracker.said()), "the tracker listens")
        assert said is not None, "awaited"
        self.make_torrent(said[1])

    def make_torrent(self, announce: str) -> None:
        """Make a torrent with this tracker."""
        self.info_hash = create_torrent(self.content, self.torrent, announce)["info_hash"]
        parts = urlsplit(announce)
        self.tracker = (parts.hostname or "", parts.port or 0)

    def start(self, client: Any, folder: Path, **options: Any) -> Place:
        """Start a client that works in a folder, and ends with the test."""
        self.hosts += 1
        place = Place(Loopback(), self.host(self.hosts), self.torrent, folder, self.top / f"client {self.hosts}")
        running = client.start(place, **options)
        self.everybody.append(running)
        if isinstance(client, P2PShare):
            self.ours.append(running)
        return place

    def start_seed(self, client: Any) -> None:
        """Start a client that has everything, and wait until the tracker knows."""
        self.start(client, self.top, seed=True)
        self.wait_for_figures(seeds=1, leeches=0)

    def fetch(self, client: Any) -> None:
        """Let a client that has nothing get everything, and compare."""
        folder = self.top / f"copy {self.hosts}"
        folder.mkdir()
        place = self.start(client, folder, seed=False)
        self.wait_until(place.complete.exists, f"{client.name} gets everything")
        self.assertEqual(differences(self.content, folder / self.content.name), [])

    def wait_until(self, look: Callable[[], _Result], what: str) -> _Result:
        """Look until the answer is true, with less patience than where whole downloads are compared."""
        deadline = time.monotonic() + MOMENT

        def look_in_time() -> _Result:
            answer = look()
            if not answer and time.monotonic() > deadline:
                reports = "\n".join(one.report() for one in self.everybody)
                raise AssertionError(f"{what}: not within {MOMENT:g} s\n{reports}")
            return answer

        return wait_for(look_in_time, what, self.everybody)

    def wait_for_figures(self, *, seeds: int, leeches: int, downloads: int | None = None) -> None:
        """Ask the tracker until it says so, and then with our command, which has to say the same."""
        expected = {"seeds": seeds, "leeches": leeches, **({} if downloads is None else {"downloads": downloads})}

        def as_expected() -> bool:
            counts = scraped(self.tracker, bytes.fromhex(self.info_hash))
            if counts is None:
                return False
            found = {"seeds": counts.complete, "leeches": counts.incomplete, "downloads": counts.downloaded}
            return found.items() >= expected.items()

        self.wait_until(as_expected, f"the tracker says {expected}")
        if downloads is not None:
            self.assertGreaterEqual(self.figures().items(), expected.items())

    def figures(self) -> dict[str, Any]:
        """Ask the tracker with our command."""
        command = [*P2PSHARE, "scrape", str(self.torrent), "--json"]
        done = subprocess.run(command, capture_output=True, env=ENVIRONMENT, text=True, timeout=PATIENCE)
        (answer,) = json.loads(done.stdout)["trackers"]
        self.assertTrue(answer["url"].startswith("udp://"))
        found: dict[str, Any] = answer
        return found

    def check_ours(self) -> None:
        """See that our clients had nothing to complain about, and leave with a word to the tracker."""
        stop_all(self.ours)
        for running in self.ours:
            self.assertEqual((running.exit_code, running.said()), (0, ""), running.report())
        self.wait_for_figures(seeds=0, leeches=0)


class OurTrackerTests(UDPTrackerCase):
    """Our tracker over UDP."""

    def test_ours_with_ours(self) -> None:
        """Seed and download find each other, the completion is counted, and both say goodbye."""
        self.start_our_tracker()
        self.start_seed(P2PShare())
        self.fetch(P2PShare())
        self.wait_for_figures(seeds=2, leeches=0, downloads=1)
        self.check_ours()

    def test_libtorrent_seeds(self) -> None:
        """libtorrent announces as a seed, and our download finds it."""
        Libtorrent().require()
        self.start_our_tracker()
        self.start_seed(Libtorrent())
        self.fetch(P2PShare())

    def test_libtorrent_downloads(self) -> None:
        """libtorrent finds our seed, gets everything, and says so."""
        Libtorrent().require()
        self.start_our_tracker()
        self.start_seed(P2PShare())
        self.fetch(Libtorrent())
        self.wait_for_figures(seeds=2, leeches=0, downloads=1)


class NobodyTests(UDPTrackerCase):
    """No tracker at all."""

    def test_f88_nobody_listens(self) -> None:
        """Where nobody listens we know at once, not after half a minute."""
        self.make_torrent(f"udp://127.0.0.1:{free_port('127.0.0.1')}/announce")
        self.assertEqual(self.figures()["error"], "no answer: connection refused")


class IPv6Tests(UDPTrackerCase):
    """Our tracker over UDP and IPv6."""

    host = staticmethod(lambda number: "::1")

    def test_ours_with_ours(self) -> None:
        """The same over IPv6, from the announce to the last block."""
        require_ipv6()
        self.start_our_tracker()
        self.start_seed(P2PShare())
        self.fetch(P2PShare())
        self.wait_for_figures(seeds=2, leeches=0, downloads=1)
        self.check_ours()


class OpentrackerTests(UDPTrackerCase):
    """A real tracker that knows nothing but UDP here."""

    def test_opentracker(self) -> None:
        """Our seed and our download find each other by opentracker; what it counts is what happened."""
        program = real_parts.program("opentracker")
        port = free_port("127.0.0.1")
        self.make_torrent(f"udp://127.0.0.1:{port}/announce")
        root = self.top / "root"  # of all it sees, where it is started as root; and then it becomes nobody
        root.mkdir()
        root.chmod(0o755)
        (root / "whitelist").write_text(f"{self.info_hash}\n")  # some builds serve only what is in it
        command = [program, "-i", "127.0.0.1", "-P", str(port), "-d", str(root), "-u", "nobody", "-w", "whitelist"]
        self.everybody.append(Running.start("opentracker", command, Loopback(), self.top / "opentracker"))
        self.wait_until(lambda: answers("127.0.0.1", port), "opentracker listens")
        self.start_seed(P2PShare())
        self.fetch(P2PShare())
        self.wait_for_figures(seeds=2, leeches=0, downloads=1)
        self.check_ours()


def answers(host: str, port: int) -> bool:
    """Say whether somebody answers a connect request there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.2)
        try:
            probe.connect((host, port))
            probe.send(CONNECT)
            return probe.recv(64)[:8] == b"\0\0\0\0test"
        except OSError:
            return False


def scraped(tracker: tuple[str, int], info_hash: bytes) -> ScrapeCounts | None:
    """Ask a tracker for the figures of one torrent; None when it does not answer at once."""
    family = socket.AF_INET6 if ":" in tracker[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.5)
        try:
            probe.connect(tracker)
            probe.send(CONNECT)
            connection_id = wire.decode_connected(probe.recv(64))
            probe.send(wire.encode_scrape(connection_id, b"test", [info_hash]))
            return wire.decode_scraped(probe.recv(64), [info_hash]).get(info_hash)
        except (OSError, RemoteWireError):
            return None


def require_ipv6() -> None:
    """Skip the test on a machine without IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        raise real_parts.missing(f"no IPv6 on this machine: {error}") from None
