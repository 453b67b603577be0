"""Processes of a demonstration, and what a signal does to it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli import stage
from p2pshare.cli.exits import Ended, ExitCode
from p2pshare.cli.signals import STOPPING
from p2pshare.cli.stage import Interruption, Stage


@define(eq=False)
class FakeChild:
    """A process that lives until the test ends it."""

    name: str
    arguments: tuple[str, ...]
    log: Path
    state: Path
    exit_code: int | None = None
    events: list[str] = field(factory=list)

    def start(self) -> None:
        self.events.append("start")

    @property
    def is_running(self) -> bool:
        return self.exit_code is None

    def last_words(self) -> str:
        return "p2pshare: the disk is full"

    def ask_to_stop(self) -> None:
        self.events.append("ask")

    def stop(self) -> None:
        self.events.append("stop")


class InterruptionTests(SynchronousTestCase):
    """Signals, as the handler is told of them."""

    def setUp(self) -> None:
        for number in STOPPING:
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.interruption = Interruption()

    def test_at_once(self) -> None:
        """A signal ends what is going on; those that follow are ignored, for the sake of tidying up."""
        with self.assertRaises(Ended) as ended:
            self.interruption.signalled(signal.SIGINT)
        self.assertEqual(ended.exception.code, ExitCode.INTERRUPTED)
        self.assertEqual({signal.getsignal(number) for number in STOPPING}, {signal.SIG_IGN})

    def test_held(self) -> None:
        """While something is started it has to wait until that is known to whoever ends it."""
        done = []
        with self.assertRaises(Ended) as ended, self.interruption.held():
            self.interruption.signalled(signal.SIGTERM)
            done.append("started")
        self.assertEqual((done, ended.exception.code), (["started"], ExitCode.UNFINISHED))
        with self.interruption.held():  # and without a signal nothing happens
            pass

    def test_ignored(self) -> None:
        """While everything is tidied up it changes nothing."""
        self.interruption.ignore()
        self.interruption.signalled(signal.SIGINT)


class StageTests(SynchronousTestCase):
    """A stage of processes that are not real."""

    def setUp(self) -> None:
        self.patch(stage, "Child", FakeChild)
        self.patch(stage, "LOOK_EVERY", 0.0)
        self.stage = Stage(Path("scratch"), Interruption())
        self.tracker: Any = self.stage.child("tracker", "tracker", "--port", "0")
        self.peer: Any = self.stage.child("peer", "download")

    def test_child(self) -> None:
        """A process is started with its arguments and a log in the folder, where it keeps its state, too."""
        self.assertEqual(
            (self.tracker.arguments, self.tracker.log), (("tracker", "--port", "0"), Path("scratch/tracker.log"))
        )
        self.assertEqual(self.tracker.events, ["start"])

    def test_wait(self) -> None:
        """It is looked at until it is so, and meanwhile something may be done."""
        looks = [False, False, True]
        meanwhile: list[str] = []
        self.stage.wait(lambda: looks.pop(0), "not so", lambda: meanwhile.append("shown"))
        self.assertEqual(meanwhile, ["shown", "shown"])

    def test_died(self) -> None:
        """A process that ends too early is the end, and tells why; a full disk stays a full disk."""
        for code, expected in ((1, ExitCode.ERROR), (-9, ExitCode.ERROR), (5, ExitCode.DISK_FULL)):
            self.peer.exit_code = code
            with self.assertRaises(Ended) as ended:
                self.stage.wait(lambda: False, "not so")
            self.assertEqual(
                (str(ended.exception), ended.exception.code), ("peer ended early: the disk is full", expected)
            )

    def test_too_long(self) -> None:
        """What does not come about in time is the end, too."""
        self.patch(stage, "PATIENCE", 0.0)
        with self.assertRaises(Ended) as ended:
            self.stage.wait(lambda: False, "the tracker did not start")
        self.assertEqual(ended.exception.code, ExitCode.TIMED_OUT)
        self.assertIn("the tracker did not start within 0 s", str(ended.exception))

    def test_stop(self) -> None:
        """Peers are asked to stop all at once, and the tracker ends last, when it has heard their goodbyes."""
        self.stage.stop()
        self.assertEqual(self.peer.events, ["start", "ask", "stop"])
        self.assertEqual(self.tracker.events, ["start", "stop"])
