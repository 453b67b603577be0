"""Real daemons for tests: started by twistd in a folder of their own, read through their log, stopped by their id."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest import TestCase

TWISTD = Path(sys.executable).parent / "twistd"
WAIT = 60.0  # seconds, for machines that are busy with other things


def wait_until(holds: Callable[[], object], what: str) -> None:
    """
    Look again and again.

    :raise AssertionError: it did not come true in time.
    """
    deadline = time.monotonic() + WAIT
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {WAIT:g} s: {what}")
        time.sleep(0.02)


class Daemon:
    """One ``twistd -n`` with a plugin of ours, running in an empty folder; killed when the test is over."""

    def __init__(self, test: TestCase, folder: Path, plugin: str, *arguments: str | Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "log"
        command = [TWISTD, "-n", "--pidfile=", "--logfile", self._log, plugin, *arguments]
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,  # not the terminal that the tests may have
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell's background job, which these tests may be part of, ignores it, and so would we.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        test.addCleanup(self._clean_up)

    def _clean_up(self) -> None:
        self.process.kill()
        self.process.communicate()

    @property
    def log(self) -> str:
        """What it has logged."""
        return self._log.read_text() if self._log.exists() else ""

    def logged(self, pattern: str) -> str:
        """Wait for a line in its log, and give what the group in the pattern matched."""
        wait_until(
            lambda: re.search(pattern, self.log) or self.process.poll() is not None, f"{pattern!r} in\n{self.log}"
        )
        match = re.search(pattern, self.log)
        if match is None:
            raise AssertionError(f"ended before it logged {pattern!r}:\n{self.log}\n{self.process.stderr.read()}")
        return match[1] if match.re.groups else match[0]

    def told(self, number: int) -> float:
        """Send a signal and wait for its end; give how many seconds that took."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(WAIT)
        return time.monotonic() - began
