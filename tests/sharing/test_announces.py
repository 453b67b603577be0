"""Tests of p2pshare.sharing.announces."""

from __future__ import annotations

from random import Random

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.addresses import Address
from p2pshare.discovery.announce_timing import AnnouncerSettings
from p2pshare.errors import TrackerFailure, TrackerUnreachable
from p2pshare.sharing.announces import AT_ONCE, FAREWELLS, PER_SECOND, REFUSED, SeedAnnounces
from p2pshare.wire.announce import AnnounceRequest, AnnounceResponse, Event, PeerEntry
from tests.discovery.fakes import FakeTracker, Outcome

URL = "http://index.test/announce"


def torrent(number: int) -> bytes:
    """An info_hash."""
    return number.to_bytes(20, "big")


class SeedAnnouncesTests(SynchronousTestCase):
    """Many torrents and one tracker."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.outcome: Outcome | Deferred[AnnounceResponse] = AnnounceResponse(1800)
        self.tracker = FakeTracker(URL, [], self.clock.seconds, lambda _: self.outcome)
        self.found: list[tuple[bytes, list[Address]]] = []
        self.announces = SeedAnnounces(
            self.tracker,
            self.clock,
            Random(0),
            lambda info_hash: AnnounceRequest(info_hash, b"-P20100-abcdefghijkl", 6881, uploaded=7),
            lambda *found: self.found.append(found),
            settings=AnnouncerSettings(jitter=0.0),
        )

    def start(self, *numbers: int) -> None:
        """Announce these."""
        for number in numbers:
            self.announces.add(torrent(number))
        self.announces.startService()
        self.addCleanup(lambda: self.announces.running and self.announces.stopService())
        self.run_for(0)

    def run_for(self, seconds: float, step: float = 0.05) -> None:
        """Let time pass."""
        self.clock.pump([0.0] + [step] * round(seconds / step))

    def said(self) -> list[tuple[int, Event | None]]:
        """Take what the tracker was told."""
        said = [(int.from_bytes(request.info_hash, "big"), request.event) for request in self.tracker.requests]
        self.tracker.requests.clear()
        return said

    def test_life(self) -> None:
        """A torrent is started, announced in the tracker's interval, and stopped; it is never completed."""
        self.start(1)
        self.assertEqual(self.said(), [(1, Event.STARTED)])
        self.run_for(3601, 1.0)
        self.assertEqual(self.said(), [(1, None), (1, None)])
        self.successResultOf(self.announces.stopService())
        self.assertEqual(self.said(), [(1, Event.STOPPED)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_request(self) -> None:
        """An announce says that nothing is left, and asks for as many peers as usual; the last one for none."""
        self.start(1)
        (request,) = self.tracker.requests
        self.assertEqual((request.left, request.uploaded, request.port, request.numwant), (0, 7, 6881, None))
        self.assertTrue(request.compact)
        self.announces.remove(torrent(1))
        self.run_for(1)
        self.assertEqual((self.tracker.requests[1].numwant, self.tracker.requests[1].event), (0, Event.STOPPED))

    def test_pace(self) -> None:
        """However many come at once, the tracker hears ten a second."""
        self.start(*range(100))
        self.run_for(5, 0.01)
        self.assertApproximates(len(self.said()), 5 * PER_SECOND, 5)

    def test_all_in_time(self) -> None:
        """More than ten a second allows in one interval are announced faster."""
        self.outcome = AnnounceResponse(60)
        self.start(*range(1200))
        self.run_for(300)
        self.tracker.log.clear()
        self.run_for(62)
        self.assertGreater(len(self.tracker.log), 1190)

    def test_new_ones_first(self) -> None:
        """A new torrent does not wait behind those that are due again."""
        self.outcome = AnnounceResponse(60)
        self.start(*range(300))
        self.run_for(61)
        self.said()
        self.announces.add(torrent(1000))
        self.run_for(0.2)
        self.assertIn((1000, Event.STARTED), self.said()[:2])

    def test_removed(self) -> None:
        """A torrent that goes is taken off the list, unless the tracker never heard of it."""
        self.start(1, 2, 3)
        self.announces.remove(torrent(1))
        self.announces.remove(torrent(3))
        self.run_for(2)
        self.assertEqual(self.said(), [(1, Event.STARTED), (1, Event.STOPPED), (2, Event.STARTED)])
        self.assertEqual(len(self.announces), 1)

    def test_comes_back(self) -> None:
        """One that comes back before it was taken off the list stays on it."""
        self.start(1)
        self.run_for(1)
        self.announces.remove(torrent(1))
        self.announces.add(torrent(1))
        self.run_for(1)
        self.assertEqual(self.said(), [(1, Event.STARTED), (1, None)])

    def test_comes_back_late(self) -> None:
        """One that comes back while it is being taken off the list is started again."""
        self.start(1)
        self.run_for(1)
        stopping: Deferred[AnnounceResponse] = Deferred()
        self.outcome = stopping
        self.announces.remove(torrent(1))
        self.run_for(1)
        self.announces.add(torrent(1))
        self.outcome = AnnounceResponse(1800)
        stopping.callback(AnnounceResponse(1800))
        self.run_for(1)
        self.assertEqual(self.said(), [(1, Event.STARTED), (1, Event.STOPPED), (1, Event.STARTED)])

    def test_goes_meanwhile(self) -> None:
        """One that goes while it is announced is taken off the list after that."""
        starting: Deferred[AnnounceResponse] = Deferred()
        self.outcome = starting
        self.start(1)
        self.announces.remove(torrent(1))
        self.outcome = AnnounceResponse(1800)
        starting.callback(AnnounceResponse(1800))
        self.run_for(1)
        self.assertEqual(self.said(), [(1, Event.STARTED), (1, Event.STOPPED)])

    def test_slow_tracker(self) -> None:
        """A tracker that does not answer has four requests to answer, no more."""
        self.tracker.outcome = lambda _: Deferred()
        self.start(*range(20))
        self.run_for(10)
        self.assertEqual(len(self.said()), AT_ONCE)

    def test_tracker_away(self) -> None:
        """While the tracker cannot be reached it is asked less and less often, for all torrents together."""
        self.outcome = TrackerUnreachable("nobody there")
        self.start(*range(20))
        self.run_for(60, 0.5)
        self.assertEqual(self.said(), [(0, Event.STARTED), (1, Event.STARTED), (2, Event.STARTED)])  # at 0, 15, 45
        self.assertEqual(self.announces.trouble, "nobody there")
        self.outcome = AnnounceResponse(1800)
        self.run_for(70, 0.5)
        self.assertEqual((len(self.said()), self.announces.trouble), (20, None))

    def test_failing_together(self) -> None:
        """Four that fail at the same time are one failure."""
        asking: list[Deferred[AnnounceResponse]] = []

        def ask(_: AnnounceRequest) -> Deferred[AnnounceResponse]:
            asking.append(Deferred())
            return asking[-1]

        self.tracker.outcome = ask
        self.start(*range(20))
        self.run_for(1)
        for announce in asking[:]:
            announce.errback(TrackerUnreachable("nobody there"))
        self.said()
        self.run_for(14)
        self.assertEqual(self.said(), [])
        self.run_for(1.2)
        self.assertGreater(len(self.said()), 0)

    def test_renewed(self) -> None:
        """When the tracker is there again nobody waits for the end of the pause."""
        self.outcome = TrackerUnreachable("nobody there")
        self.start(*range(5))
        self.run_for(50, 0.5)
        self.said()
        self.outcome = AnnounceResponse(1800)
        self.announces.renew()
        self.run_for(1)
        self.assertEqual(sorted(self.said()), [(number, Event.STARTED) for number in range(5)])

    def test_tracker_that_began_anew(self) -> None:
        """What it had heard it is told again, at the usual pace; what has gone meanwhile is not."""
        self.start(*range(30))
        self.run_for(10)
        self.said()
        self.announces.remove(torrent(7))
        self.run_for(1)
        self.assertEqual(self.said(), [(7, Event.STOPPED)])
        self.announces.renew()
        self.run_for(1, 0.01)
        self.assertApproximates(len(self.tracker.requests), PER_SECOND, 1)
        self.run_for(5)
        said = self.said()
        self.assertEqual(sorted(said), [(number, Event.STARTED) for number in range(30) if number != 7])

    def test_refused(self) -> None:
        """One torrent that the tracker refuses is left alone for a while; the others go on."""
        self.tracker.outcome = lambda request: (
            TrackerFailure("not that one") if request.info_hash == torrent(1) else AnnounceResponse(1800)
        )
        self.start(1, 2)
        self.run_for(1)
        self.assertEqual(self.said(), [(1, Event.STARTED), (2, Event.STARTED)])
        self.run_for(REFUSED, 1.0)
        self.assertEqual(self.said(), [(1, Event.STARTED)])

    def test_found(self) -> None:
        """Who wants a torrent is told to whoever can wake it."""
        self.outcome = AnnounceResponse(1800, peers=(PeerEntry("10.0.0.1", 6881),))
        self.start(1)
        self.assertEqual(self.found, [(torrent(1), [Address("10.0.0.1", 6881)])])

    def test_goodbyes_are_bounded(self) -> None:
        """A tracker that is silent at the end costs three seconds, and not all goodbyes are tried."""
        self.start(*range(100))
        self.run_for(15)
        self.said()
        self.tracker.outcome = lambda _: Deferred()
        stopping = self.announces.stopService()
        self.assertEqual(len(self.said()), FAREWELLS)
        self.run_for(2.9)
        self.assertNoResult(stopping)
        self.run_for(0.2)
        self.successResultOf(stopping)
        self.assertEqual((self.said(), self.clock.getDelayedCalls()), ([], []))

    def test_all_goodbyes(self) -> None:
        """A tracker that answers hears a goodbye for every torrent it knows."""
        self.start(*range(50))
        self.run_for(10)
        self.announces.add(torrent(99))  # never announced
        self.said()
        self.successResultOf(self.announces.stopService())
        self.assertEqual(sorted(self.said()), [(number, Event.STOPPED) for number in range(50)])

    def test_bug(self) -> None:
        """A torrent that cannot be described does not keep others from being announced."""
        self.announces._describe = lambda info_hash: {torrent(2): AnnounceRequest(torrent(2), b"p" * 20, 1)}[info_hash]
        self.start(1, 2)
        self.run_for(5)
        self.assertEqual(self.said(), [(2, Event.STARTED)])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
