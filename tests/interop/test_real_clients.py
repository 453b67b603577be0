"""Real BitTorrent clients and ours, over our tracker: every byte arrives, whoever has it and whoever wants it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests import real_parts
from tests.interop.clients import Aria2, Libtorrent, P2PShare, Place, Tracker, Transmission, create_torrent
from tests.interop.contents import MANY, differences, write_file, write_tree
from tests.interop.networks import Loopback, PrivateNetwork
from tests.interop.processes import Running, wait_for

WriteContent = Callable[[Path], Path]


class OneSwarm(SynchronousTestCase):
    """A network with our tracker in it, a content and its torrent; the tests bring the clients."""

    make_network: Callable[[], Loopback | PrivateNetwork] = Loopback

    def set_up(self, write_content: WriteContent) -> None:
        """Start the tracker and make the torrent."""
        real_parts.program("timeout")
        self.network = self.make_network()
        self.addCleanup(self.network.close)
        self.top = Path(self.mktemp()).absolute()
        source = self.top / "source"
        source.mkdir(parents=True)
        self.tracker = Tracker.start(self.network, self.top / "tracker")
        self.addCleanup(self.tracker.running.stop)
        self.content = write_content(source)
        self.tracker.wait_until_ready()
        self.torrent = self.top / "content.torrent"
        described = create_torrent(self.content, self.torrent, self.tracker.announce)
        self.info_hash = bytes.fromhex(described["info_hash"])
        self.hosts = 1  # the tracker has the first
        self.everybody: list[Running] = [self.tracker.running]
        self.ours: list[Running] = []

    def place(self, name: str, folder: Path) -> Place:
        """Find room for another client."""
        self.hosts += 1
        host = self.network.host(self.hosts)
        return Place(self.network, host, self.torrent, folder, self.top / f"{name}{self.hosts}")

    def start_seed(self, client: Any, **options: Any) -> Running:
        """Start a client where the content is, and wait until the tracker knows it as a seed."""
        seed = self.start(client, self.place("seed", self.content.parent), seed=True, **options)
        wait_for(lambda: self.tracker.scrape(self.info_hash).complete == 1, f"{client.name} seeds", self.everybody)
        return seed

    def start_leech(self, client: Any, **options: Any) -> tuple[Running, Place]:
        """Start a client where nothing is."""
        folder = self.top / f"copy{self.hosts + 1}"
        folder.mkdir()
        place = self.place("leech", folder)
        return self.start(client, place, seed=False, **options), place

    def start(self, client: Any, place: Place, **options: Any) -> Running:
        """Start a client that ends with the test, if not before."""
        running: Running = client.start(place, **options)
        self.addCleanup(running.stop)
        self.everybody.append(running)
        if isinstance(client, P2PShare):
            self.ours.append(running)
        return running

    def wait_until_complete(self, place: Place, what: str) -> None:
        """Wait until a leech says that it has everything."""
        wait_for(place.complete.exists, what, self.everybody, may_end=self.ours)

    def check(self, place: Place) -> None:
        """Compare the copy of a client that has ended, file by file, and see that nothing else lies there."""
        self.assertEqual(differences(self.content, place.folder / self.content.name), [])
        self.assertEqual([path.name for path in place.folder.iterdir()], [self.content.name])

    def check_ours(self) -> None:
        """See that our own clients had nothing to complain about: neither a peer that misbehaves nor a bug."""
        for running in self.ours:
            self.assertEqual(running.said(), "", running.report())


class BothWays:
    """One other client as seed and as leech of ours; mixed into a OneSwarm."""

    client: Any

    def test_f115_real_seed_one_file(self: Any) -> None:
        """One large file of a real seed arrives here byte for byte."""
        self.fetch_from_real_seed(write_file)

    def test_f115_real_seed_tree(self: Any) -> None:
        """A real tree of more than a thousand files of a real seed arrives here byte for byte."""
        self.fetch_from_real_seed(write_tree)

    def test_f115_real_leech_one_file(self: Any) -> None:
        """One large file that we seed arrives at a real leech byte for byte."""
        self.give_to_real_leech(write_file)

    def test_f115_real_leech_tree(self: Any) -> None:
        """A real tree of more than a thousand files that we seed arrives at a real leech byte for byte."""
        self.give_to_real_leech(write_tree)

    def fetch_from_real_seed(self: Any, write_content: WriteContent) -> None:
        """Download with ours from the other client."""
        self.client.require()
        self.set_up(write_content)
        self.start_seed(self.client)
        leech, place = self.start_leech(P2PShare(), until="none")
        wait_for(lambda: not leech.is_running, "p2pshare download ends", self.everybody, may_end=[leech])
        self.assertEqual(leech.exit_code, 0, leech.report())
        self.assertTrue(place.complete.exists())
        self.check(place)
        self.check_ours()
        self.assertEqual(self.tracker.scrape(self.info_hash).downloaded, 1)

    def give_to_real_leech(self: Any, write_content: WriteContent) -> None:
        """Download with the other client from ours."""
        self.client.require()
        self.set_up(write_content)
        seed = self.start_seed(P2PShare())
        leech, place = self.start_leech(self.client)
        self.wait_until_complete(place, f"{self.client.name} has everything")
        wait_for(
            lambda: self.tracker.scrape(self.info_hash).downloaded == 1,
            f"{self.client.name} tells the tracker",
            self.everybody,
        )
        leech.stop()
        self.check(place)
        seed.stop()
        self.assertEqual(seed.exit_code, 0, seed.report())
        self.check_ours()


class LibtorrentTests(BothWays, OneSwarm):
    """libtorrent and ours."""

    client = Libtorrent()


class Aria2Tests(BothWays, OneSwarm):
    """aria2 and ours."""

    client = Aria2()


class TransmissionTests(BothWays, OneSwarm):
    """Transmission and ours."""

    client = Transmission()
    make_network = PrivateNetwork


class MixedSwarmTests(OneSwarm):
    """Several clients in one swarm."""

    def test_f115_mixed_swarm(self) -> None:
        """From one slow seed of ours, libtorrent, aria2 and we all get everything, and give to each other."""
        Libtorrent().require()
        Aria2().require()
        self.set_up(write_file)
        seed = self.start_seed(P2PShare(), limit_up="16M")
        leeches = {client.name: self.start_leech(client) for client in (Libtorrent(), Aria2(), P2PShare())}
        for name, (_, place) in leeches.items():
            self.wait_until_complete(place, f"{name} has everything")
        for leech, place in leeches.values():
            leech.stop()
            self.check(place)
        seed.stop()
        self.check_ours()
        self.assertEqual([ours.exit_code for ours in self.ours], [0, 0])

        _, place = leeches["libtorrent"]
        met = json.loads(place.report.read_text())
        gave = {peer["client"] for peer in met if peer["received"] > 0}
        self.assertGreaterEqual(len(gave), 2, met)
        self.assertTrue(any(peer["given"] > 0 for peer in met), met)


class RealTreeTests(SynchronousTestCase):
    """The tree that the clients share."""

    def test_f115_tree_is_real(self) -> None:
        """It has more than a thousand files, empty ones and folders in folders among them."""
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        root = write_tree(folder)
        files = [path for path in root.rglob("*") if path.is_file()]
        self.assertGreater(len(files), MANY)
        self.assertGreater(sum(path.stat().st_size == 0 for path in files), 2)
        self.assertGreaterEqual(max(len(path.relative_to(root).parts) for path in files), 3)
