"""Real BitTorrent clients and ours, over our tracker: every byte arrives, whoever has it and whoever wants it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from tests import real_parts
from tests.interop.clients import Aria2, Libtorrent, P2PShare, Place, Tracker, Transmission, create_torrent
from tests.interop.contents import differences, write_file, write_tree
from tests.interop.networks import Loopback, PrivateNetwork
from tests.interop.processes import Running, stop_all, wait_for


@frozen
class Shared:
    """A content and its torrent."""

    content: Path
    torrent: Path
    info_hash: bytes


@frozen
class Leech:
    """A client that started with nothing."""

    running: Running
    place: Place
    shared: Shared


class InteropCase(SynchronousTestCase):
    """A network with our tracker in it; the tests bring clients and contents."""

    make_network: Callable[[], Loopback | PrivateNetwork] = Loopback

    def set_up(self, *clients: Any) -> None:
        """Start the tracker, unless one of the clients cannot be had."""
        real_parts.program("timeout")
        for client in clients:
            client.require()
        self.network = self.make_network()
        self.addCleanup(self.network.close)
        self.top = Path(self.mktemp()).absolute()
        self.top.mkdir(parents=True)
        self.hosts = 1  # of the network's that are taken; the tracker has the first
        self.ours: list[Running] = []
        self.tracker = Tracker.start(self.network, self.top / "tracker")
        self.everybody = [self.tracker.running]
        self.addCleanup(self.delete_contents)
        self.addCleanup(lambda: stop_all(self.everybody))  # before that: the last one added is the first one done
        self.tracker.wait_until_ready()

    def delete_contents(self) -> None:
        """Leave the logs, but not some hundred megabytes for each test."""
        for folder in (*self.top.glob("source of *"), *self.top.glob("copy *")):
            if folder.is_dir():
                shutil.rmtree(folder)

    def share(self, write_content: Callable[[Path], Path]) -> Shared:
        """Write a content and make its torrent with our command."""
        folder = self.top / f"source of {write_content.__name__}"
        folder.mkdir()
        content = write_content(folder)
        torrent = folder.with_suffix(".torrent")
        described = create_torrent(content, torrent, self.tracker.announce)
        return Shared(content, torrent, bytes.fromhex(described["info_hash"]))

    def start_seeds(self, client: Any, contents: Sequence[Shared], **options: Any) -> list[Running]:
        """Start one client for each content where it is, and wait until the tracker knows them as seeds."""
        seeds = [
            self.start(client, self.place("seed", shared, shared.content.parent), seed=True, **options)
            for shared in contents
        ]
        for shared in contents:
            self.wait_for_tracker(shared, f"{client.name} seeds {shared.content.name!r}", complete=1)
        return seeds

    def start_leeches(self, client: Any, contents: Sequence[Shared], **options: Any) -> list[Leech]:
        """Start one client for each content where nothing is."""
        leeches = []
        for shared in contents:
            folder = self.top / f"copy {self.hosts + 1}"
            folder.mkdir()
            place = self.place("leech", shared, folder)
            leeches.append(Leech(self.start(client, place, seed=False, **options), place, shared))
        return leeches

    def place(self, role: str, shared: Shared, folder: Path) -> Place:
        """Find room for another client."""
        self.hosts += 1
        host = self.network.host(self.hosts)
        return Place(self.network, host, shared.torrent, folder, self.top / f"{role} {self.hosts}")

    def start(self, client: Any, place: Place, **options: Any) -> Running:
        """Start a client that ends with the test, if not before."""
        running: Running = client.start(place, **options)
        self.everybody.append(running)
        if isinstance(client, P2PShare):
            self.ours.append(running)
        return running

    def wait_until_complete(self, leech: Leech) -> None:
        """Wait until a leech says that it has everything."""
        what = f"{leech.running.name} gets all of {leech.shared.content.name!r}"
        wait_for(leech.place.complete.exists, what, self.everybody)

    def wait_for_tracker(self, shared: Shared, what: str, **figures: int) -> None:
        """Wait until the tracker's figures of a swarm are these."""

        def look() -> bool:
            counts = self.tracker.scrape(shared.info_hash)
            return all(getattr(counts, name) == figure for name, figure in figures.items())

        wait_for(look, f"the tracker says {figures}: {what}", self.everybody)

    def check(self, leech: Leech, *, empty_files: bool = True) -> None:
        """Compare the copy of a client that has ended, file by file, and see that nothing else lies there."""
        folder, content = leech.place.folder, leech.shared.content
        self.assertEqual(differences(content, folder / content.name, empty_files=empty_files), [])
        self.assertEqual([path.name for path in folder.iterdir()], [content.name])

    def check_ours(self) -> None:
        """See that our own clients ended well, and had nothing to complain about: no peer, and no bug."""
        for running in self.ours:
            self.assertEqual(running.exit_code, 0, running.report())
            self.assertEqual(running.said(), "", running.report())


class BothWays:
    """One other client as seed and as leech of ours; mixed into an InteropCase."""

    client: Any
    makes_empty_files = True

    def test_f115_real_seed(self: Any) -> None:
        """A large file and a tree of more than a thousand files arrive here from a real seed, byte for byte."""
        self.set_up(self.client)
        contents = [self.share(write_file), self.share(write_tree)]
        self.start_seeds(self.client, contents)
        leeches = self.start_leeches(P2PShare(), contents, until="none")
        for leech in leeches:
            what = f"p2pshare download of {leech.shared.content.name!r} ends"
            wait_for(leech.running.has_ended, what, self.everybody, may_end=self.ours)
            self.assertTrue(leech.place.complete.exists(), leech.running.report())
            self.check(leech)
            self.assertEqual(self.tracker.scrape(leech.shared.info_hash).downloaded, 1)
        self.check_ours()

    def test_f115_real_leech(self: Any) -> None:
        """A large file and a tree of more than a thousand files arrive at a real leech of ours, byte for byte."""
        self.set_up(self.client)
        contents = [self.share(write_file), self.share(write_tree)]
        seeds = self.start_seeds(P2PShare(), contents)
        leeches = self.start_leeches(self.client, contents)
        for leech in leeches:
            self.wait_until_complete(leech)
            self.wait_for_tracker(leech.shared, f"{self.client.name} is complete", complete=2, downloaded=1)
        stop_all([*seeds, *(leech.running for leech in leeches)])
        for leech in leeches:
            self.check(leech, empty_files=self.makes_empty_files)
        self.check_ours()


class LibtorrentTests(BothWays, InteropCase):
    """libtorrent and ours."""

    client = Libtorrent()


class Aria2Tests(BothWays, InteropCase):
    """aria2 and ours."""

    client = Aria2()


class TransmissionTests(BothWays, InteropCase):
    """Transmission and ours."""

    client = Transmission()
    makes_empty_files = False  # not before version 4.1 (its issue 417)
    make_network = PrivateNetwork


class MixedSwarmTests(InteropCase):
    """Several clients in one swarm."""

    def test_f115_mixed_swarm(self) -> None:
        """From one slow seed of ours, libtorrent, aria2 and we all get everything, and give to each other."""
        clients = (Libtorrent(), Aria2(), P2PShare())
        self.set_up(*clients)
        shared = self.share(write_file)
        (seed,) = self.start_seeds(P2PShare(), [shared], limit_up="8M")
        leeches = [leech for client in clients for leech in self.start_leeches(client, [shared])]
        for leech in leeches:
            self.wait_until_complete(leech)
        self.wait_for_tracker(shared, "all are complete", complete=4, incomplete=0, downloaded=3)
        stop_all([seed, *(leech.running for leech in leeches)])
        for leech in leeches:
            self.check(leech)
        self.check_ours()

        met = json.loads(leeches[0].place.report.read_text())  # libtorrent's
        self.assertGreaterEqual(sum(peer["received"] > 0 for peer in met), 2, met)
        self.assertTrue(any(peer["given"] > 0 for peer in met), met)
