"""When a foreground transfer is over, and how it ends."""

from __future__ import annotations

import signal
from pathlib import Path
from random import Random
from typing import Any

from attrs import define
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.addresses import Address
from p2pshare.cli.exits import Ended, ExitCode
from p2pshare.cli.leaving import STOP_WITHIN
from p2pshare.cli.transfer import SHOW_EVERY, Terms, Transfer
from p2pshare.client.goal import FOREVER, NOTHING, SeedGoal
from p2pshare.client.session import Session
from p2pshare.client.settings import PeerSettings
from p2pshare.discovery.known_tracker import TrackerStatus
from p2pshare.errors import StorageError
from p2pshare.metainfo import parse
from p2pshare.swarm.snapshot import SwarmSnapshot
from tests.client.fakes import RecordingDiscovery, ThreadsOfNow, torrent_file
from tests.fakes import PeerTransport, handshake
from tests.storage.fakes import put_piece, some_bytes

CONTENT = some_bytes(40_000)


class Reactor(MemoryReactorClock):
    """A reactor that runs until it is stopped; calls from threads come with the next turn."""

    def __init__(self) -> None:
        super().__init__()
        self.running = True

    def callFromThread(self, function: Any, *args: Any) -> None:
        self.callLater(0, function, *args)


@define
class RecordingProgress:
    """Writes down what it is shown; fails if told to."""

    events: list[Any]
    trouble: Exception | None = None

    def show(self, snapshot: SwarmSnapshot) -> None:
        if self.trouble is not None:
            raise self.trouble

    def complete(self, snapshot: SwarmSnapshot) -> None:
        self.show(snapshot)
        self.events.append("shown complete")

    def close(self) -> None:
        self.events.append("closed")


@define
class SlowHook:
    """A command that runs until the test ends it."""

    events: list[Any]
    runs: bool = True

    def start(self) -> None:
        self.events.append("hook")

    def still_runs(self) -> bool:
        return self.runs


def status(url: str, state: str, error: str | None = None) -> TrackerStatus:
    """Describe a tracker."""
    return TrackerStatus(url, 0, state, error, None, None, None, None)


class TransferTestCase(SynchronousTestCase):
    """One transfer of ``blob``, three pieces, under a clock of the test's."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.events: list[Any] = []
        self.reactor = Reactor()
        self.progress = RecordingProgress(self.events)
        self.discovery = RecordingDiscovery(self.events)
        self.statuses: list[TrackerStatus] = []
        self.discovery.status = lambda: self.statuses  # type: ignore[method-assign]

    def begin(self, goal: SeedGoal = NOTHING, *, complete: bool = False, **options: Any) -> None:
        """Start a transfer; its content is there or not."""
        if complete:
            (self.folder / "blob").write_bytes(CONTENT)
        threads = ThreadsOfNow(self.events)
        self.session = Session(self.reactor, PeerSettings(), Random(0), threads=threads)
        self.session.discover = lambda swarm: self.discovery
        self.session.listen()
        is_seed, hook = options.pop("is_seed", False), options.pop("hook", None)
        self.swarm: Any = self.session.add(parse(torrent_file("blob", CONTENT)), self.folder, seed_only=is_seed)
        terms = Terms("here/blob", goal, is_seed=is_seed, **options)
        self.transfer = Transfer(
            self.reactor,
            self.session,
            self.swarm,
            terms,
            self.progress,
            say=self.events.append,
            hook=hook,
            leave_within=lambda seconds, outcome: self.events.append(("leave within", seconds, outcome)),
        )
        self.transfer.begin()
        self.reactor.advance(0)

    def finish(self, *pieces: int) -> None:
        """Let pieces arrive."""
        for piece in pieces:
            put_piece(self.swarm.store, CONTENT, piece)
            self.successResultOf(self.swarm.store.seal(piece))
            self.swarm.piece_verified(piece, ())
        self.reactor.advance(0)

    def lose(self, piece: int) -> None:
        """Let the disk lose a piece that was there."""
        self.swarm.store.have.discard(piece)
        self.swarm.trouble.lost(piece)

    def meet_somebody(self) -> PeerTransport:
        """Let a peer connect."""
        factory = self.reactor.tcpServers[0][1]
        link = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 50000))
        transport = PeerTransport()
        link.makeConnection(transport)
        link.dataReceived(handshake(self.swarm.info_hash))
        return transport

    def pass_time(self, seconds: float) -> None:
        """Let time pass, step by step as it is looked at."""
        for _ in range(round(seconds / SHOW_EVERY)):
            self.reactor.advance(SHOW_EVERY)

    def assert_ended(self, code: int | None, *words: str) -> None:
        """Check that it is over; code None: well."""
        self.assertFalse(self.reactor.running)
        outcome = self.transfer.outcome
        if code is None:
            self.assertIsNone(outcome)
            return
        assert isinstance(outcome, Ended)
        self.assertEqual(outcome.code, code)
        for word in words:
            self.assertIn(word, str(outcome))


class EndTests(TransferTestCase):
    """The work itself."""

    def test_complete(self) -> None:
        """With nothing to wait for it ends as soon as it is complete: peers and trackers first, then the reactor."""
        self.begin()
        self.finish(0, 1)
        self.assertTrue(self.reactor.running)
        self.events.clear()
        self.finish(2)
        leaving = ("leave within", STOP_WITHIN, None)
        self.assertEqual(
            self.events,
            ["completed", "shown complete", "Complete: here/blob", "closed", leaving, "stopped", "threads ended"],
        )
        self.assert_ended(None)
        self.assertEqual((self.folder / "blob").read_bytes(), CONTENT)

    def test_complete_from_the_start(self) -> None:
        """Content that is there already is as good."""
        self.begin(complete=True)
        self.assert_ended(None)

    def test_goal(self) -> None:
        """It goes on giving until the time is over or enough was given."""
        self.begin(SeedGoal(seconds=10.0), complete=True)
        self.pass_time(9.5)
        self.assertTrue(self.reactor.running)
        self.pass_time(1.0)
        self.assert_ended(None)

    def test_ratio(self) -> None:
        """Enough is so many times the content."""
        self.begin(SeedGoal(ratio=2.0), complete=True)
        self.swarm.up.add(79_999, self.reactor.seconds())
        self.pass_time(1.0)
        self.assertTrue(self.reactor.running)
        self.swarm.up.add(1, self.reactor.seconds())
        self.pass_time(1.0)
        self.assert_ended(None)

    def test_seed(self) -> None:
        """A seed says where it listens, and goes on for ever."""
        self.begin(FOREVER, complete=True, is_seed=True)
        self.assertIn("Seeding here/blob on port 6881; stop with Ctrl-C", self.events)
        self.pass_time(1000)
        self.assertTrue(self.reactor.running)

    def test_storage_trouble(self) -> None:
        """When the disk refuses it ends with the reason."""
        (self.folder / "blob").write_bytes(b"something else")
        self.begin()
        self.assertIsInstance(self.transfer.outcome, StorageError)
        self.assertFalse(self.reactor.running)


class TimeoutTests(TransferTestCase):
    """Giving up."""

    def test_nobody(self) -> None:
        """Nobody was found: what each tracker said is told, and which is none."""
        self.statuses = [
            status("http://a.example/announce?key=secret", "working"),
            status("http://b.example/announce", "failing", "http://b.example/announce: connection refused"),
            status("http://c.example/announce", "failing", "torrent not registered"),
            status("http://d.example/announce", "asking"),
        ]
        self.begin(timeout=20.0)
        self.pass_time(20)
        self.assertTrue(self.reactor.running)
        self.pass_time(0.5)
        self.assert_ended(
            ExitCode.NOBODY_FOUND,
            "blob: no peer found within 20 s (http://a.example/announce: knows nobody else; "
            "http://b.example/announce: connection refused; http://c.example/announce: torrent not registered; "
            "http://d.example/announce: no answer yet)",
        )

    def test_nobody_answers(self) -> None:
        """Addresses were known, and nobody answered there."""
        self.statuses = [status("http://a.example/announce", "working")]
        self.begin(timeout=1.0)
        self.swarm.meeting.heard([Address("192.0.2.1", 6881)], "tracker")
        self.pass_time(1.5)
        self.assert_ended(ExitCode.NOBODY_FOUND, "blob: no peer found within 1 s (1 address tried in vain)")

    def test_no_tracker(self) -> None:
        """Without trackers and peers nobody can be found, and what to do about it is said."""
        self.begin(timeout=1.0)
        self.pass_time(1.5)
        self.assert_ended(ExitCode.NOBODY_FOUND, "names no tracker", "-t", "--peer")

    def test_no_progress(self) -> None:
        """Somebody is there, and nothing comes: another exit code."""
        self.begin(timeout=20.0)
        self.meet_somebody()
        self.pass_time(20.5 + STOP_WITHIN)  # the peer takes its time to hang up
        self.assert_ended(ExitCode.TIMED_OUT, "blob: no verified piece for 20 s, with 1 peer connected")
        self.assertNotIn("--timeout", str(self.transfer.outcome))

    def test_too_slow(self) -> None:
        """Where bytes do arrive, it says that only whole pieces count, how large they are, and what to do."""
        self.begin(timeout=20.0)
        self.meet_somebody()
        for _ in range(21):
            self.pass_time(1)
            self.swarm.down.add(512, self.reactor.seconds())
        self.pass_time(STOP_WITHIN)
        self.assert_ended(
            ExitCode.TIMED_OUT,
            "blob: no verified piece for 20 s, with 1 peer connected, though ",
            " B/s arrive: only whole pieces of 16.0 KiB count, so give more with --timeout",
        )

    def test_progress(self) -> None:
        """Every piece is a new lease."""
        self.begin(timeout=20.0)
        self.meet_somebody()
        self.pass_time(15)
        self.finish(0)
        self.pass_time(15)
        self.assertTrue(self.reactor.running)
        self.pass_time(6 + STOP_WITHIN)
        self.assert_ended(ExitCode.TIMED_OUT)

    def test_no_limit(self) -> None:
        """Without a timeout it waits for ever."""
        self.begin(timeout=None)
        self.pass_time(1000)
        self.assertTrue(self.reactor.running)

    def test_asleep(self) -> None:
        """Time in which the process did not run, such as a night with the lid closed, does not count."""
        self.begin(timeout=20.0)
        self.pass_time(10)
        self.reactor.rightNow += 3600.0
        self.pass_time(9)
        self.assertTrue(self.reactor.running)
        self.pass_time(2)
        self.assert_ended(ExitCode.NOBODY_FOUND)


class SignalTests(TransferTestCase):
    """Being told to stop."""

    def stop(self, number: int) -> None:
        """Send a signal, and let the reactor notice."""
        self.transfer.signalled(number)
        self.reactor.advance(0)

    def test_unfinished(self) -> None:
        """Before it is complete, the exit code tells Ctrl-C from other signals."""
        for number, code in ((signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.UNFINISHED)):
            self.setUp()
            self.begin()
            self.finish(0)
            self.stop(number)
            self.assert_ended(code)
            self.assertIn("stopped", self.events)

    def test_complete(self) -> None:
        """Once it is complete, it ends well."""
        self.begin(FOREVER)
        self.finish(0, 1, 2)
        self.stop(signal.SIGTERM)
        self.assert_ended(None)

    def test_seed(self) -> None:
        """A seed ends well even while it is still checking."""
        self.begin(FOREVER, is_seed=True, complete=True)
        self.swarm.completed_at = None
        self.stop(signal.SIGINT)
        self.assert_ended(None)

    def test_f106_limit(self) -> None:
        """The time it may take is counted from the signal on, whatever holds the reactor up."""
        self.begin()
        self.transfer.signalled(signal.SIGTERM)
        told, seconds, outcome = self.events[-1]
        self.assertEqual((told, seconds, outcome.code), ("leave within", STOP_WITHIN, ExitCode.UNFINISHED))
        self.assertTrue(self.reactor.running)

    def test_f106_tracker_hangs(self) -> None:
        """A goodbye that is not answered is waited for a little, and the user is told what takes so long."""
        self.begin()
        self.discovery.goodbye = Deferred()
        self.events.clear()
        self.stop(signal.SIGTERM)
        self.pass_time(1)
        self.assertTrue(self.reactor.running)
        self.assertIn("Ctrl-C ends it at once", str(self.events[-1]))
        self.pass_time(STOP_WITHIN - 1)
        self.assert_ended(ExitCode.UNFINISHED)

    def test_while_ending(self) -> None:
        """A signal while it ends by itself changes nothing: it ends in order."""
        self.begin()
        self.discovery.goodbye = Deferred()
        self.finish(0, 1, 2)
        self.stop(signal.SIGINT)
        self.assertTrue(self.reactor.running)
        self.discovery.goodbye.callback(None)
        self.assert_ended(None)
        self.assertEqual(sum(event[0] == "leave within" for event in self.events), 1)


class HookTests(TransferTestCase):
    """The user's own command."""

    def test_waited_for(self) -> None:
        """The transfer does not end before its command has, however long that takes; it is run once."""
        hook: Any = SlowHook(self.events)
        self.begin(hook=hook)
        self.finish(0, 1, 2)
        self.pass_time(60)
        self.assertTrue(self.reactor.running)
        hook.runs = False
        self.pass_time(1)
        self.assert_ended(None)
        self.assertEqual(self.events.count("hook"), 1)

    def test_late_look(self) -> None:
        """A look that is due between the last piece and its completion does not end it without the command."""
        hook: Any = SlowHook(self.events, runs=False)
        self.begin(hook=hook)
        self.reactor.rightNow += 2 * SHOW_EVERY  # a busy reactor: the look is overdue
        self.finish(0, 1, 2)
        self.pass_time(1)
        self.assert_ended(None)
        self.assertEqual(self.events.count("hook"), 1)

    def test_once_though_a_piece_was_lost(self) -> None:
        """Content that lost a piece and became whole again is complete a second time; the command has run."""
        hook: Any = SlowHook(self.events, runs=False)
        self.begin(SeedGoal(seconds=10.0), hook=hook)
        self.finish(0, 1, 2)
        self.lose(1)
        self.pass_time(20)
        self.assertTrue(self.reactor.running, "it ended well with a piece missing")
        self.finish(1)
        self.pass_time(1)
        self.assert_ended(None)
        self.assertEqual(self.events.count("hook"), 1)
        self.assertEqual(self.events.count("shown complete"), 1)

    def test_bar_is_gone_before(self) -> None:
        """What the command writes stands below the last state, not in the middle of the bar."""
        hook: Any = SlowHook(self.events)
        self.begin(hook=hook)
        self.finish(0, 1, 2)
        self.assertEqual(self.events[-3:], ["Complete: here/blob", "closed", "hook"])

    def test_while_seeding(self) -> None:
        """It runs at completion, not at the end."""
        hook: Any = SlowHook(self.events)
        self.begin(FOREVER, hook=hook)
        self.finish(0, 1, 2)
        self.assertEqual(self.events[-1], "hook")

    def test_signal(self) -> None:
        """Being told to stop does not wait for it."""
        hook: Any = SlowHook(self.events)
        self.begin(hook=hook)
        self.finish(0, 1, 2)
        self.transfer.signalled(signal.SIGTERM)
        self.reactor.advance(0)
        self.assert_ended(None)

    def test_not_without_completion(self) -> None:
        """It is not run for what did not become complete."""
        hook: Any = SlowHook(self.events)
        self.begin(hook=hook, timeout=1.0)
        self.pass_time(2)
        self.assertNotIn("hook", self.events)


class ShowingTests(TransferTestCase):
    """Trouble with showing it."""

    def test_f110_reader_gone(self) -> None:
        """If it cannot be shown any more it ends with that error, in order."""
        gone = self.progress.trouble = BrokenPipeError()
        self.begin(FOREVER)
        self.pass_time(1)
        self.assertIs(self.transfer.outcome, gone)
        self.assertIn("stopped", self.events)
        self.assertFalse(self.reactor.running)

    def test_f110_at_completion(self) -> None:
        """That counts for the end, too: what was asked for is done before."""
        gone = self.progress.trouble = BrokenPipeError()
        self.begin(FOREVER, complete=True, hook=SlowHook(self.events))
        self.assertIs(self.transfer.outcome, gone)
        self.assertIn("hook", self.events)

    def test_bug(self) -> None:
        """A bug there is logged with its traceback, and ends the transfer."""
        self.progress.trouble = ZeroDivisionError()
        self.begin()
        self.pass_time(1)
        self.assert_ended(ExitCode.ERROR)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
