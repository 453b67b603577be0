"""Tests of which tracker is asked, when others have failed, and what people see of it."""

from __future__ import annotations

import math
from itertools import pairwise

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs, formatEvent

from p2pshare.errors import TrackerFailure, TrackerUnreachable
from p2pshare.wire.announce import AnnounceResponse, Event
from tests.discovery.announcing import A, AnnouncerTestCase, B, C, D, answer

STARTED, COMPLETED, STOPPED = Event.STARTED, Event.COMPLETED, Event.STOPPED
DOWN = TrackerUnreachable("down")


class TierTests(AnnouncerTestCase):
    """The order of asking (BEP 12)."""

    def asked(self) -> list[str]:
        """Tell who was asked, in order."""
        return [url for _, url, _ in self.heard]

    def test_shuffled_within_a_tier_once(self) -> None:
        """Different peers ask the trackers of a tier in different orders, and tiers always in theirs."""
        orders = set()
        for seed in range(20):
            self.heard.clear()
            announcer = self.announcer([[A, B, C], [D]], seed=seed)
            for tracker in self.trackers.values():
                tracker.outcome = lambda _: DOWN
            announcer.start()
            self.run_for(0)
            self.assertEqual(self.asked()[3], D)
            orders.add(tuple(self.asked()[:3]))
            announcer.stop()
        self.assertEqual(len(orders), 6)

    def test_first_that_answers(self) -> None:
        """The next tier is not asked when one tracker of the first answers."""
        announcer = self.announcer([[A], [B]])
        announcer.start()
        self.run_for(4000)
        self.assertEqual(set(self.asked()), {A})

    def test_who_answers_moves_to_the_front(self) -> None:
        """A tracker that answered is asked first from then on, within its tier."""
        announcer = self.announcer([[A, B, C]])
        first, second, third = (status.url for status in announcer.status())
        self.trackers[first].outcome = self.trackers[second].outcome = lambda _: DOWN
        announcer.start()
        self.run_for(1)
        self.trackers[first].outcome = self.trackers[second].outcome = lambda _: answer(1800)
        self.run_for(1800)
        self.assertEqual(self.asked(), [first, second, third, third])
        self.assertEqual([status.url for status in announcer.status()], [third, first, second])

    def test_next_tier_when_all_failed(self) -> None:
        """The second tier is asked when the whole first one failed; the first has its chance at the next announce."""
        announcer = self.announcer([[A], [B]])
        self.trackers[A].outcome = lambda _: DOWN
        announcer.start()
        self.run_for(1800)
        self.assertEqual(self.heard, [(0.0, A, STARTED), (0.0, B, STARTED), (1800.0, A, STARTED), (1800.0, B, None)])

    def test_switched_to(self) -> None:
        """A tracker that is switched to hears started first, one that knew us before goes on without."""
        announcer = self.announcer([[A], [B]])
        announcer.start()
        self.run_for(1)
        self.trackers[A].outcome = lambda _: DOWN
        self.run_for(1800)
        self.trackers[A].outcome = lambda _: answer(1800)
        self.run_for(1800)
        self.assertEqual(self.heard, [(0.0, A, STARTED), (1800.0, A, None), (1800.0, B, STARTED), (3600.0, A, None)])

    def test_known_urls_are_left_out(self) -> None:
        """A URL that is there already, in whatever tier, is not asked twice."""
        announcer = self.announcer([[A, A], [B], [A, B]])
        self.assertEqual([(status.url, status.tier) for status in announcer.status()], [(A, 0), (B, 1)])

    def test_f18_trackers_added_later(self) -> None:
        """Trackers of a second torrent file come behind the first ones, and are asked at once if nobody else can be."""
        announcer = self.announcer([])
        announcer.start()
        announcer.add_tiers([[A], [B]])
        self.run_for(1)
        announcer.add_tiers([[C], [B]])
        self.run_for(1)
        self.assertEqual(self.heard, [(0.0, A, STARTED)])
        self.assertEqual([(status.url, status.tier) for status in announcer.status()], [(A, 0), (B, 1), (C, 2)])


class FailureTests(AnnouncerTestCase):
    """Trackers that fail."""

    def test_f88_every_tracker_dead(self) -> None:
        """When nobody answers, the pause doubles from 15 seconds to half an hour, and stays there."""
        announcer = self.announcer([[A], [B]])
        self.trackers[A].outcome = self.trackers[B].outcome = lambda _: DOWN
        announcer.start()
        self.run_for(10_000)
        times = sorted({time for time, _, _ in self.heard})
        self.assertEqual(times, [0, 15, 45, 105, 225, 465, 945, 1905, 3705, 5505, 7305, 9105])
        self.assertEqual(len(self.heard), 2 * len(times))
        self.assertEqual({event for _, _, event in self.heard}, {STARTED})

    def test_f88_flapping(self) -> None:
        """A tracker that fails every other time is not asked more than once in 15 seconds."""
        announcer = self.announcer([[A]])
        outcomes = [answer(60), DOWN] * 100
        self.trackers[A].outcome = lambda _: outcomes.pop(0)
        announcer.start()
        self.run_for(1000)
        times = [time for time, _, _ in self.heard]
        self.assertTrue(all(b - a >= 15 for a, b in pairwise(times)))
        self.assertLess(len(times), 30)

    def test_f88_no_hot_loop(self) -> None:
        """An interval of 0, a minimum of -1 and a retry in 0 do not make us ask more than once in 15 seconds."""
        announcer = self.announcer([[A]])
        outcomes = [answer(0, min_interval=-1), TrackerFailure("x", 0.0), answer(-1, min_interval=0)] * 40
        self.trackers[A].outcome = lambda _: outcomes.pop(0)
        announcer.start()
        self.run_for(300)
        times = [time for time, _, _ in self.heard]
        self.assertEqual(times, [0.0, 60.0, 75.0, 135.0, 195.0, 210.0, 270.0])

    def test_working_tracker_is_not_delayed(self) -> None:
        """While one tracker rests, events go straight to the one that works."""
        announcer = self.announcer([[A], [B]])
        self.trackers[A].outcome = lambda _: DOWN
        announcer.start()
        self.run_for(1)
        announcer.completed()
        self.run_for(1)
        self.assertEqual(self.heard[2:], [(1.0, B, COMPLETED)])

    def test_retry_in(self) -> None:
        """A tracker that says when to come again (BEP 31) is asked then; one that says never, never again."""
        announcer = self.announcer([[A]])
        self.trackers[A].outcome = lambda _: TrackerFailure("busy", 600.0)
        announcer.start()
        self.run_for(599)
        self.assertEqual(len(self.heard), 1)
        self.trackers[A].outcome = lambda _: TrackerFailure("no tracker here", math.inf)
        self.run_for(100_000, step=100)
        self.assertEqual(len(self.heard), 2)
        (status,) = announcer.status()
        self.assertEqual((status.state, status.last_error, status.next_announce), ("failing", "no tracker here", None))
        announcer.stop()
        announcer.start()  # the user wants it to be tried again
        self.run_for(1)
        self.assertEqual(len(self.heard), 3)

    def test_url_is_named_once(self) -> None:
        """A warning names the tracker once, and with it the URL that a redirect led to, where that is another one."""
        announcer = self.announcer([[A + "?key=secret"]])
        (tracker,) = self.trackers.values()
        outcomes = [
            TrackerUnreachable(f"{A}: connection refused"),
            TrackerUnreachable(f"{B}: answered 404"),
            TrackerFailure("go away"),
        ]
        tracker.outcome = lambda _: outcomes.pop(0)
        with capturedLogs() as events:
            announcer.start()
            self.run_for(100)
        self.assertEqual(
            [formatEvent(event) for event in events if event["log_level"] is LogLevel.warn],
            [f"tracker {A}: connection refused", f"tracker {A}: {B}: answered 404", f"tracker {A}: go away"],
        )
        announcer.stop()

    def test_a_bug_in_a_client(self) -> None:
        """A client that raises what it should not is logged, and does not stop the announces."""
        announcer = self.announcer([[A]])
        outcomes = [ZeroDivisionError(), answer(1800)]
        self.trackers[A].outcome = lambda _: outcomes.pop(0)
        announcer.start()
        self.run_for(20)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual([time for time, _, _ in self.heard], [0.0, 15.0])

    def test_unsupported_trackers(self) -> None:
        """Trackers of a kind we do not speak, or without a proper host, are passed over, and people told so."""
        announcer = self.announcer([["udp://half..name.test:80", "wss://t.test"], [A]])
        announcer.start()
        self.run_for(1)
        self.assertEqual(self.heard, [(0.0, A, STARTED)])
        texts = {(status.state, status.last_error, status.next_announce) for status in announcer.status()[:2]}
        self.assertEqual(
            texts,
            {
                ("not supported", "this is no URL that can be asked for", None),
                ("not supported", "wss trackers are not supported", None),
            },
        )
        self.successResultOf(announcer.stop())

    def test_only_unsupported_trackers(self) -> None:
        """With nobody to ask there is no timer."""
        announcer = self.announcer([["wss://t.test:80"]])
        announcer.start()
        self.run_for(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class AnnounceNowTests(AnnouncerTestCase):
    """Asking for more peers early."""

    def test_after_the_minimum_interval(self) -> None:
        """An early announce waits for the tracker's minimum interval, however often it is asked for."""
        announcer = self.announcer([[A]])
        self.trackers[A].outcome = lambda _: answer(1800, min_interval=300)
        announcer.start()
        self.run_for(10)
        for _ in range(200):
            announcer.announce_now()
            self.run_for(1)
        self.assertEqual(len(self.heard), 1)
        self.run_for(100)
        self.assertEqual(self.heard[1:], [(300.0, A, None)])
        self.run_for(1800)
        self.assertEqual(self.heard[2:], [(2100.0, A, None)])

    def test_at_once_when_long_ago(self) -> None:
        """After the minimum of a minute there is nothing to wait for."""
        announcer = self.announcer([[A]])
        announcer.start()
        self.run_for(100)
        announcer.announce_now()
        self.run_for(0)
        self.assertEqual(self.heard[1:], [(100.0, A, None)])

    def test_not_while_resting_or_stopped(self) -> None:
        """It changes nothing while trackers rest after a failure, before the start and after the end."""
        announcer = self.announcer([[A]])
        announcer.announce_now()
        self.trackers[A].outcome = lambda _: DOWN
        announcer.start()
        self.run_for(10)
        announcer.announce_now()
        self.run_for(4)
        self.assertEqual(len(self.heard), 1)
        announcer.stop()
        announcer.announce_now()
        self.run_for(100)
        self.assertEqual(len(self.heard), 1)


class StatusTests(AnnouncerTestCase):
    """What people see."""

    def test_states(self) -> None:
        """Each tracker's state, cause of failure, counts and next announce can be seen."""
        waiting: Deferred[AnnounceResponse] = Deferred()
        announcer = self.announcer([[A], [B], [C]])
        self.trackers[A].outcome = lambda _: DOWN
        self.trackers[B].outcome = lambda _: waiting
        announcer.start()
        self.run_for(10)
        self.assertEqual(
            [(status.state, status.last_error, status.next_announce) for status in announcer.status()],
            [("failing", "down", None), ("asking", None, None), ("not asked yet", None, None)],
        )
        waiting.callback(answer(1800, complete=5, incomplete=6, warning="hm"))
        self.run_for(90)
        seen = [(status.state, status.next_announce) for status in announcer.status()]
        self.assertEqual(seen, [("failing", 1710.0), ("working", 1710.0), ("not asked yet", None)])
        second = announcer.status()[1]
        self.assertEqual((second.complete, second.incomplete, second.warning), (5, 6, "hm"))

    def test_f88_cause_goes_with_success(self) -> None:
        """After an answer the cause of the former failure is gone."""
        announcer = self.announcer([[A]])
        outcomes = [DOWN, answer(1800)]
        self.trackers[A].outcome = lambda _: outcomes.pop(0)
        announcer.start()
        self.run_for(1)
        (status,) = announcer.status()
        self.assertEqual((status.state, status.last_error, status.next_announce), ("failing", "down", 14.0))
        self.run_for(15)
        (status,) = announcer.status()
        self.assertEqual((status.state, status.last_error), ("working", None))
