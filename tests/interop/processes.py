"""Programs that run beside a test, and how it waits for what they do."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from attrs import define, field

from tests.interop.networks import Loopback, PrivateNetwork

PATIENCE = 60.0  # s for any one step, on a busy machine; all of them together take a few seconds
LIFETIME = 180.0  # s after which a program is stopped though the test that should do it is gone
STOP_WITHIN = 5.0  # s from SIGTERM to SIGKILL

PROJECT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(PROJECT)}  # ours is the one of this checkout, installed or not

_LOOK_EVERY = 0.02  # s
_TAIL = 1500  # characters of a log that say enough

_Result = TypeVar("_Result")


@define(eq=False)
class Running:
    """
    A program at work in a network. Its standard output and error are in ``log``.

    It runs under ``timeout``, so that it ends by itself even if the tests are killed.
    """

    name: str
    log: Path
    _process: subprocess.Popen[bytes] = field(repr=False)

    @classmethod
    def start(cls, name: str, command: Sequence[str], network: Loopback | PrivateNetwork, folder: Path) -> Running:
        """Start it in ``folder``, which is made for it."""
        folder.mkdir()
        log = folder / "log"
        # --foreground: signals go to the program alone, and once.
        bounded = ["timeout", "--foreground", f"--kill-after={STOP_WITHIN}", f"{LIFETIME}", *command]
        with log.open("wb") as output:
            process = network.run(
                lambda: subprocess.Popen(
                    bounded,
                    cwd=folder,
                    env=ENVIRONMENT,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            )
        return cls(name, log, process)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def has_ended(self) -> bool:
        """Whether it has; for :func:`wait_for`."""
        return not self.is_running

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def said(self) -> str:
        """Give all it has written up to now."""
        return self.log.read_text(errors="replace")

    def ask_to_stop(self) -> None:
        """Ask it to end; ``timeout`` insists after a while."""
        if self.is_running:
            self._process.send_signal(signal.SIGTERM)

    def wait_until_stopped(self) -> None:
        """Wait until it has ended."""
        self._process.wait(STOP_WITHIN + PATIENCE)

    def report(self) -> str:
        """Say for a failed test how it is, and what it said last."""
        state = "is running" if self.is_running else f"ended with {self.exit_code}"
        return f"--- {self.name} {state}; the end of {self.log}:\n{self.said()[-_TAIL:].strip() or '(nothing)'}"


def stop_all(programs: Sequence[Running]) -> None:
    """Ask all of them to end, the latest first, and wait until they have."""
    for one in reversed(programs):
        one.ask_to_stop()
    for one in programs:
        one.wait_until_stopped()


def wait_for(
    look: Callable[[], _Result], what: str, concerned: Sequence[Running], may_end: Sequence[Running] = ()
) -> _Result:
    """
    Look again and again until the answer is true, and give it.

    :param what: is awaited, for the message.
    :param concerned: whose logs tell why it did not happen; none of them may end meanwhile,
    :param may_end: but those of these that end well.
    :raise AssertionError: it took too long, or a program died.
    """
    deadline = time.monotonic() + PATIENCE
    while not (answer := look()):
        dead = [one.name for one in concerned if not one.is_running and not (one in may_end and one.exit_code == 0)]
        late = time.monotonic() > deadline
        if (dead or late) and not (answer := look()):  # it may have come about between the two looks
            problem = f"{', '.join(dead)} ended too early" if dead else f"not within {PATIENCE:g} s"
            raise AssertionError("\n".join([f"{what}: {problem}", *(one.report() for one in concerned)]))
        if answer:
            break
        time.sleep(_LOOK_EVERY)
    return answer
