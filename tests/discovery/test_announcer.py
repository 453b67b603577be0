"""Tests of a torrent's life as its trackers see it: started, completed, stopped, and the time in between."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from p2pshare.addresses import Address
from p2pshare.discovery.announce_timing import AnnouncerSettings
from p2pshare.errors import TrackerUnreachable
from p2pshare.wire.announce import AnnounceResponse, Event, PeerEntry
from tests.discovery.announcing import A, AnnouncerTestCase, B, C, answer

STARTED, COMPLETED, STOPPED = Event.STARTED, Event.COMPLETED, Event.STOPPED


class AnnounceLifeTests(AnnouncerTestCase):
    """One tracker that answers."""

    def test_s1_18_every_interval(self) -> None:
        """After started, announces without event recur every interval; stop sends stopped, and nothing follows."""
        announcer = self.announcer([[A]], settings=AnnouncerSettings(min_interval=1.0, jitter=0.0))
        self.trackers[A].outcome = lambda _: answer(5)
        announcer.start()
        self.run_for(21, step=0.5)
        self.assertEqual(self.heard, [(0.0, A, STARTED), *((t, A, None) for t in (5.0, 10.0, 15.0, 20.0))])
        self.successResultOf(announcer.stop())
        self.assertEqual(self.heard[-1], (21.0, A, STOPPED))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_jitter(self) -> None:
        """Unless it is turned off, chance moves each announce by up to a tenth of the interval."""
        announcer = self.announcer([[A]], settings=AnnouncerSettings())
        announcer.start()
        self.run_for(20_000, step=1)
        times = [time for time, _, _ in self.heard]
        waits = [b - a for a, b in pairwise(times)]
        self.assertTrue(all(1620 <= wait <= 1981 for wait in waits))
        self.assertGreater(len(set(waits)), 5)

    def test_what_is_said(self) -> None:
        """An announce has the torrent's figures, a key that stays, numwant 80 and compact=1; stopped wants nobody."""
        announcer = self.announcer([[A]])
        announcer.start()
        self.run_for(1800)
        self.successResultOf(announcer.stop())
        first, second, last = self.trackers[A].requests
        self.assertEqual((first.info_hash, first.port, first.uploaded, first.left), (b"h" * 20, 6881, 7, 1000))
        self.assertEqual((first.numwant, second.numwant, last.numwant), (80, 80, 0))
        self.assertRegex(first.key or b"", rb"^[0-9A-F]{8}$")
        self.assertEqual({first.key, second.key, last.key}, {first.key})
        self.assertIs(first.compact, True)

    def test_names_are_asked_for_when_told_so(self) -> None:
        """With ``names`` the reply may not be compact; what the torrent wants of peers is kept."""
        announcer = self.announcer([[A]], settings=AnnouncerSettings(names=True))
        self.numwant = 0
        announcer.start()
        self.run_for(1)
        (request,) = self.trackers[A].requests
        self.assertEqual((request.compact, request.numwant), (False, 0))

    def test_s1_19_peers_are_handed_on(self) -> None:
        """Every answer's peers, names among them, are handed on; an answer without peers is no event."""
        announcer = self.announcer([[A]])
        self.trackers[A].outcome = lambda request: answer(
            60, peers=(PeerEntry("client2", 6882, b"p" * 20), PeerEntry("::1", 1)) if request.event else ()
        )
        announcer.start()
        self.run_for(61)
        self.assertEqual(self.found, [[Address("client2", 6882), Address("::1", 1)]])

    def test_external_ip_and_tracker_id(self) -> None:
        """A tracker id is given back until another comes; the address a tracker sees us under is kept."""
        announcer = self.announcer([[A]])
        answers = [answer(60, tracker_id=b"T1", external_ip="1.2.3.4"), answer(60), answer(60, tracker_id=b"T2")]
        self.trackers[A].outcome = lambda _: answers.pop(0) if answers else answer(60)
        announcer.start()
        self.run_for(200)
        ids = [request.tracker_id for request in self.trackers[A].requests]
        self.assertEqual(ids, [None, b"T1", b"T1", b"T2"])
        self.assertEqual(announcer.external_ip, "1.2.3.4")

    def test_f107_suspended(self) -> None:
        """A clock that leaps over many intervals leads to one announce, not to a burst."""
        announcer = self.announcer([[A]])
        announcer.start()
        self.run_for(1)
        self.clock.advance(8 * 3600)
        self.assertEqual(self.events(), [STARTED, None])

    def test_a_bug_of_the_taker(self) -> None:
        """An error in whoever takes the peers is logged, and the announces go on."""
        announcer = self.announcer([[A]])
        self.trackers[A].outcome = lambda _: answer(60, peers=(PeerEntry("1.2.3.4", 5),))
        self.take = lambda _: 1 // 0
        announcer.start()
        self.run_for(61)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertEqual(len(self.heard), 2)

    def test_a_bug_of_the_teller(self) -> None:
        """An error in whoever describes the torrent is logged at a gentle pace, and heals."""
        announcer = self.announcer([[A]])
        announcer.start()
        self.fail_to_describe = True
        self.run_for(31)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)
        self.fail_to_describe = False
        self.run_for(15)
        self.assertEqual(self.events(), [STARTED])

    def test_no_trackers(self) -> None:
        """A torrent without trackers asks nobody, and stops at once."""
        announcer = self.announcer([])
        announcer.start()
        announcer.completed()
        announcer.announce_now()
        self.successResultOf(announcer.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class CompletedTests(AnnouncerTestCase):
    """The event of completion."""

    def test_s1_17_completed_once(self) -> None:
        """Completion is announced at once, once, with nothing left, however often it is reported."""
        announcer = self.announcer([[A]])
        announcer.start()
        self.run_for(10)
        self.left = 0
        announcer.completed()
        announcer.completed()
        self.run_for(4000)
        announcer.completed()
        self.run_for(4000)
        self.assertEqual(self.heard[:2], [(0.0, A, STARTED), (10.0, A, COMPLETED)])
        self.assertEqual(set(self.events()[2:]), {None})
        self.assertEqual(self.trackers[A].requests[1].left, 0)

    def test_s1_17_nothing_left_even_if_counted_late(self) -> None:
        """The announce says left=0 even where the torrent's own figures are a moment behind."""
        announcer = self.announcer([[A]])
        announcer.start()
        self.run_for(1)
        announcer.completed()
        self.run_for(1)
        last = self.trackers[A].requests[-1]
        self.assertEqual((last.event, last.left), (COMPLETED, 0))

    def test_s1_17_not_if_we_began_complete(self) -> None:
        """A seed that began with everything announces no completion."""
        self.left = 0
        announcer = self.announcer([[A]])
        announcer.start()
        self.run_for(1)
        announcer.completed()
        self.run_for(5000)
        self.successResultOf(announcer.stop())
        self.assertNotIn(COMPLETED, self.events())

    def test_completed_while_announcing(self) -> None:
        """A completion during an announce is told right after its answer."""
        waiting: Deferred[AnnounceResponse] = Deferred()
        announcer = self.announcer([[A]])
        self.trackers[A].outcome = lambda request: waiting if request.event is STARTED else answer(1800)
        announcer.start()
        self.run_for(1)
        announcer.completed()
        self.assertEqual(self.heard, [(0.0, A, STARTED)])
        waiting.callback(answer(1800))
        self.assertEqual(self.heard[1:], [(1.0, A, COMPLETED)])

    def test_completed_waits_for_a_tracker(self) -> None:
        """While every tracker rests the completion waits; the first that hears started hears it, and nobody else."""
        announcer = self.announcer([[A], [B]])
        self.trackers[A].outcome = self.trackers[B].outcome = lambda _: TrackerUnreachable("down")
        announcer.start()
        self.run_for(1)
        announcer.completed()
        self.run_for(10)
        self.assertEqual(self.heard, [(0.0, A, STARTED), (0.0, B, STARTED)])
        self.trackers[B].outcome = lambda _: answer(1800)
        self.run_for(10)
        self.trackers[A].outcome = lambda _: answer(1800)
        self.run_for(1800)
        expected = [(15.0, A, STARTED), (15.0, B, STARTED), (15.0, B, COMPLETED), (1815.0, A, STARTED)]
        self.assertEqual(self.heard[2:], expected)

    def test_refused_completion_is_repeated(self) -> None:
        """A completion that did not get through is told again, until it did."""
        announcer = self.announcer([[A]])
        announcer.start()
        self.run_for(1)
        self.trackers[A].outcome = lambda _: TrackerUnreachable("down")
        announcer.completed()
        self.run_for(1)
        self.trackers[A].outcome = lambda _: answer(1800)
        self.run_for(3000)
        events = self.events()
        self.assertEqual(events, [STARTED, COMPLETED, COMPLETED, None])


class StopTests(AnnouncerTestCase):
    """Saying goodbye."""

    def test_only_those_who_know_us(self) -> None:
        """Stopped goes to every tracker that took us, and to no other."""
        announcer = self.announcer([[A], [B], [C]])
        self.trackers[A].outcome = lambda _: TrackerUnreachable("down")
        announcer.start()
        self.run_for(100)  # A fails, B answers
        self.trackers[A].outcome = lambda _: answer(1800)
        self.run_for(1800)  # A answers now
        self.heard.clear()
        self.successResultOf(announcer.stop())
        self.assertEqual(self.heard, [(1900.0, A, STOPPED), (1900.0, B, STOPPED)])

    def test_three_seconds(self) -> None:
        """Trackers that do not answer the goodbye delay it by three seconds, all together."""
        announcer = self.announcer([[A], [B]])
        self.trackers[A].outcome = lambda _: TrackerUnreachable("down")
        announcer.start()
        self.run_for(1)
        cancelled: list[Any] = []
        for tracker in self.trackers.values():
            tracker.outcome = lambda _: Deferred(cancelled.append)
        self.run_for(1800)  # A is being asked, and B knows us
        stopping = announcer.stop()
        self.clock.advance(2.9)
        self.assertNoResult(stopping)
        self.clock.advance(0.1)
        self.assertIsNone(self.successResultOf(stopping))
        self.assertEqual(len(cancelled), 3)  # one announce, two goodbyes
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_trackers_that_turn_cancelling_into_failure(self) -> None:
        """A client that fails with a TrackerError when cancelled cannot stretch the goodbye."""
        announcer = self.announcer([[A]])
        announcer.start()
        self.run_for(1)

        def stubborn(_: object) -> Deferred[AnnounceResponse]:
            return Deferred(lambda d: d.errback(Failure(TrackerUnreachable("gone"))))

        self.trackers[A].outcome = stubborn
        announcer.completed()
        self.run_for(1)
        stopping = announcer.stop()
        self.assertNoResult(stopping)
        self.clock.advance(3)
        self.successResultOf(stopping)
        self.assertEqual(self.events(), [STARTED, COMPLETED])

    def test_f106_while_announcing(self) -> None:
        """An announce under way is broken off, and its tracker, which may have heard it, told that we leave."""
        cancelled: list[Any] = []
        announcer = self.announcer([[A], [B]])
        self.trackers[A].outcome = lambda r: Deferred(cancelled.append) if r.event is STARTED else answer(1800)
        announcer.start()
        self.run_for(1)
        self.successResultOf(announcer.stop())
        self.assertEqual(len(cancelled), 1)
        self.assertEqual(self.heard, [(0.0, A, STARTED), (1.0, A, STOPPED)])

    def test_completed_and_stopped_at_once(self) -> None:
        """A client that leaves the moment it is complete still tells so first."""
        announcer = self.announcer([[A]])
        announcer.start()
        self.run_for(1)
        announcer.completed()
        self.successResultOf(announcer.stop())
        self.assertEqual(self.events(), [STARTED, COMPLETED, STOPPED])

    def test_completed_under_way(self) -> None:
        """A completion under way is waited for, not told twice."""
        waiting: Deferred[AnnounceResponse] = Deferred()
        announcer = self.announcer([[A]])
        self.trackers[A].outcome = lambda request: waiting if request.event is COMPLETED else answer(1800)
        announcer.start()
        self.run_for(1)
        announcer.completed()
        self.run_for(1)
        stopping = announcer.stop()
        self.assertNoResult(stopping)
        waiting.callback(answer(1800, peers=(PeerEntry("1.2.3.4", 5),)))
        self.successResultOf(stopping)
        self.assertEqual(self.events(), [STARTED, COMPLETED, STOPPED])
        self.assertEqual(self.found, [])

    def test_f106_twice(self) -> None:
        """Stopping twice says goodbye once; both wait for it."""
        announcer = self.announcer([[A]])
        announcer.start()
        self.run_for(1)
        waiting: Deferred[AnnounceResponse] = Deferred()
        self.trackers[A].outcome = lambda _: waiting
        first, second = announcer.stop(), announcer.stop()
        self.assertNoResult(second)
        waiting.callback(answer(1800))
        self.successResultOf(first)
        self.successResultOf(second)
        self.successResultOf(announcer.stop())
        self.assertEqual(self.events(), [STARTED, STOPPED])

    def test_started_again(self) -> None:
        """A torrent paused and resumed announces started anew, and only after its goodbye."""
        announcer = self.announcer([[A]])
        announcer.start()
        self.run_for(1)
        waiting: Deferred[AnnounceResponse] = Deferred()
        self.trackers[A].outcome = lambda request: waiting if request.event is STOPPED else answer(1800)
        announcer.stop()
        announcer.start()
        self.run_for(1)
        self.assertEqual(self.events(), [STARTED, STOPPED])
        waiting.callback(answer(1800))
        self.run_for(1)
        self.assertEqual(self.events(), [STARTED, STOPPED, STARTED])

    def test_never_started(self) -> None:
        """Who never announced says no goodbye."""
        announcer = self.announcer([[A]])
        self.successResultOf(announcer.stop())
        self.assertEqual(self.heard, [])
