"""How programs under measurement are ended."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.processes import ProgramFailed, Running


@define(eq=False)
class FakeProcess:
    """Takes signals, and ends at SIGKILL, or before that."""

    minds: bool = True
    pid: int = -1
    returncode: int | None = None
    told: list[int] = field(factory=list)

    def poll(self) -> int | None:
        """How it ended."""
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Take note."""
        self.told.append(number)

    def kill(self) -> None:
        """End."""
        self.told.append(signal.SIGKILL)
        self.returncode = -signal.SIGKILL

    def wait(self, timeout: float | None = None) -> int:
        """Tidy up, as long as that takes."""
        if self.returncode is None:
            if not self.minds:
                raise subprocess.TimeoutExpired("it", timeout or 0)
            self.returncode = 0
        return self.returncode


class RunningTests(SynchronousTestCase):
    """Running"""

    def running(self, process: FakeProcess) -> Running:
        """One with this process behind it."""
        log = Path(self.mktemp())
        log.write_text("its last words\n")
        taken: Any = process
        return Running("it", log, taken)

    def test_it_is_asked_to_stop_once(self) -> None:
        """Asked with all the others and then awaited, it hears one signal: a second one would end it out of order."""
        process = FakeProcess()
        running = self.running(process)
        running.ask_to_stop()
        running.stop()
        self.assertEqual((process.told, process.returncode), ([signal.SIGTERM], 0))

    def test_it_is_killed_in_the_end(self) -> None:
        """What does not end in time is ended."""
        process = FakeProcess(minds=False)
        self.running(process).stop()
        self.assertEqual(process.told, [signal.SIGTERM, signal.SIGKILL])

    def test_an_end_too_early_is_told(self) -> None:
        """What has ended while it is still needed is an error with its last words."""
        failed = self.assertRaises(ProgramFailed, self.running(FakeProcess(returncode=3)).look)
        self.assertEqual(str(failed), "it ended with 3: its last words")
