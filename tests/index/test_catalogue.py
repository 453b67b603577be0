"""Tests of p2pshare.index.catalogue and p2pshare.index.figures: all parts over one database."""

from __future__ import annotations

from random import Random
from unittest import mock

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from p2pshare.errors import StorageError
from p2pshare.index import catalogue
from p2pshare.index.catalogue import Catalogue, open_catalogue
from p2pshare.index.records import NetworkFigures, TrackerFigures
from tests.index.opened import INFO_HASH, TODAY, IndexTestCase, member, node_claim, run_now, share_claim, torrent_claim

A, B = "-XX0001-00000000000a", "-XX0001-00000000000b"


class FiguresTests(IndexTestCase):
    """How everything stands."""

    def network(self) -> NetworkFigures:
        """Ask for the figures of the network."""
        return self.successResultOf(self.catalogue.network_figures())

    def tracker(self) -> TrackerFigures:
        """Ask for the figures of the tracker."""
        return self.successResultOf(self.catalogue.tracker_figures())

    def test_s2_11_network(self) -> None:
        """Nodes, those online, files and downloads are counted, right after each step."""
        self.assertEqual(self.network(), NetworkFigures(0, 0, 0, 0))
        for number in range(2):
            self.successResultOf(self.catalogue.nodes.register(node_claim(f"n{number}", port=number + 1)))
        self.clock.advance(100)
        self.successResultOf(self.catalogue.nodes.heard_from("n1"))
        self.successResultOf(self.catalogue.nodes.drop_silent(99))
        share = self.successResultOf(self.catalogue.shares.register(share_claim()))
        self.catalogue.shares.count_download(share.id)
        self.assertEqual(self.network(), NetworkFigures(2, 1, 1, 1))

    def test_s3_11_tracker(self) -> None:
        """Torrents, members, active ones and users are counted, right after each step."""
        self.assertEqual(self.tracker(), TrackerFigures(0, 0, 0, 0))
        self.successResultOf(self.catalogue.torrents.add(torrent_claim()))
        self.assertEqual(self.tracker(), TrackerFigures(1, 0, 0, 0))
        self.catalogue.memberships.joined(INFO_HASH, member(A))
        self.catalogue.memberships.joined(INFO_HASH, member(B, at=TODAY - 7200))
        self.assertEqual(self.tracker(), TrackerFigures(1, 2, 1, 0))
        self.successResultOf(self.catalogue.users.add("ann"))
        self.catalogue.memberships.left(INFO_HASH, A)
        self.assertEqual(self.tracker(), TrackerFigures(1, 1, 0, 1))


class ViewTests(IndexTestCase):
    """The tables of a REST tracker, as SQL views."""

    def test_s3_2_rows(self) -> None:
        """The views hold what was uploaded, announced and registered."""
        self.successResultOf(self.catalogue.torrents.add(torrent_claim()))
        user = self.successResultOf(self.catalogue.users.add("ann"))
        self.catalogue.memberships.completed(INFO_HASH, member(A, 0, uploaded=5, downloaded=6))
        self.catalogue.memberships.joined(b"?" * 20, member(B))  # a swarm of no torrent here
        self.successResultOf(self.catalogue.memberships.flush())
        day = "2023-11-14 22:13:20.000"
        self.assertEqual(
            self.rows("SELECT * FROM torrents"),
            # Seeders are those of the last two hours by the clock of the system, which is not the test's.
            [(1, INFO_HASH.hex(), "album", 658, 262144, 1, b"p" * 20, day, 0, 0, 1)],
        )
        self.assertEqual(self.rows("SELECT * FROM peers"), [(1, A, "10.0.0.9", 6881, 1, 5, 6, 0, 1, day)])
        self.assertEqual(self.rows("SELECT * FROM users"), [(1, "ann", user.peer_id, day)])

    def test_s3_10_active_in_the_view(self) -> None:
        """The view counts seeders and leechers that announced in the last two hours."""
        self.successResultOf(self.catalogue.torrents.add(torrent_claim()))
        ((now,),) = self.rows("SELECT unixepoch()")
        for peer_id, left, at in ((A, 0, now - 10), (B, 5, now - 10), ("old", 0, now - 7300), ("mute", None, now)):
            self.catalogue.memberships.joined(INFO_HASH, member(peer_id, left, at))
        self.successResultOf(self.catalogue.memberships.flush())
        self.assertEqual(self.rows("SELECT seeders, leechers FROM torrents"), [(1, 2)])


class ServiceTests(IndexTestCase):
    """Catalogue, as a service."""

    def test_stopped(self) -> None:
        """At the end memberships are written, then the threads end, then the file is let go."""
        path = self.open_in_file()
        ended: Deferred[None] = Deferred()
        events: list[str] = []

        def end() -> Deferred[None]:
            events.append(f"{self.rows('SELECT count(*) FROM membership')}")
            return ended

        opened = Catalogue(self.database, self.clock, self.now, Random(0), close=end)
        opened.startService()
        opened.memberships.joined(INFO_HASH, member(A))
        with mock.patch.object(type(self.database), "close", side_effect=lambda: events.append("closed")):
            stopped = opened.stopService()
            self.assertEqual(events, ["[(1,)]"])
            self.assertNoResult(stopped)
            ended.callback(None)
            self.successResultOf(stopped)
        self.assertEqual(events, ["[(1,)]", "closed"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.catalogue = self.open(path)
        self.assertEqual(self.rows("SELECT count(*) FROM membership"), [(1,)])

    def test_probe(self) -> None:
        """An index that can be read and written says so."""
        self.assertIsNone(self.successResultOf(self.catalogue.probe()))


class OpenTests(IndexTestCase):
    """open_catalogue()"""

    def test_lanes(self) -> None:
        """A file has a thread that writes and two that read; memory has one for both. All end with the service."""
        lanes: list[tuple[object, ...]] = []

        class FakeLane:
            def __init__(self, reactor: object, name: str, threads: int = 1) -> None:
                lanes.append((name, threads))
                self.run = run_now
                self.name = name

            def stop(self) -> Deferred[None]:
                lanes.append(("stopped", self.name))
                return succeed(None)

        with mock.patch.object(catalogue, "Lane", FakeLane):
            for path, expected in (
                (self.mktemp(), [("index-write", 1), ("index-read", 2)]),
                (":memory:", [("index-write", 1)]),
            ):
                lanes.clear()
                opened = open_catalogue(path, Clock(), self.now, Random(0))
                self.assertEqual(lanes, expected)
                opened.startService()
                self.successResultOf(opened.users.add("ann"))
                self.successResultOf(opened.stopService())
                self.assertEqual(lanes[len(expected) :], [("stopped", name) for name, _ in expected])

    def test_cannot_be_opened(self) -> None:
        """What is wrong with a file is told at once, before anything runs."""
        with self.assertRaisesRegex(StorageError, "^/dev/null: is a file, expected a folder for the index$"):
            open_catalogue("/dev/null/x", Clock(), self.now, Random(0))
