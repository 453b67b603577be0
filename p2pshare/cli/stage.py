"""A folder and some processes for a demonstration, none of which outlives it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field

from p2pshare.cli.children import Child
from p2pshare.cli.exits import Ended, ExitCode, interrupted
from p2pshare.cli.signals import STOPPING

PATIENCE = 120.0  # s for any one step, on the slowest of machines
LOOK_EVERY = 0.05  # s


@define(eq=False)
class Interruption:
    """Turns the first signal to stop into an exception of the main thread, but not between a start and its end."""

    _held: bool = field(init=False, default=False)
    _ignoring: bool = field(init=False, default=False)
    _waiting: int | None = field(init=False, default=None)  # the signal that came meanwhile

    def signalled(self, number: int) -> None:
        """
        Stop here and now, or as soon as possible.

        :raise Ended: to unwind the stack.
        """
        for each in STOPPING:
            signal.signal(each, signal.SIG_IGN)
        if self._held:
            self._waiting = number
        elif not self._ignoring:
            raise interrupted(number)

    def ignore(self) -> None:
        """Raise nothing any more."""
        self._ignoring = True

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the block come to its end first: what it started is then known to whoever ends it."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            raise interrupted(waiting)


@define(eq=False)
class Stage:
    """Where the demonstration takes place: a folder, and processes that end with it."""

    folder: Path
    _interruption: Interruption
    _children: list[Child] = field(init=False, factory=list)

    def child(self, name: str, *arguments: str) -> Child:
        """Start a process."""
        child = Child(name, arguments, self.folder / f"{name}.log", self.folder / "state")
        with self._interruption.held():
            self._children.append(child)
            child.start()
        return child

    def wait(self, until: Callable[[], bool], problem: str, meanwhile: Callable[[], None] = lambda: None) -> None:
        """
        Look again and again until something is so.

        :raise Ended: it takes too long, or a process has died.
        """
        deadline = time.monotonic() + PATIENCE
        while not until():
            for child in self._children:
                if not child.is_running:
                    full = child.exit_code == ExitCode.DISK_FULL
                    code = ExitCode.DISK_FULL if full else ExitCode.ERROR
                    raise Ended(f"{child.name} ended early: {child.last_words().removeprefix('p2pshare: ')}", code)
            if time.monotonic() > deadline:
                raise Ended(f"{problem} within {PATIENCE:g} s", ExitCode.TIMED_OUT)
            meanwhile()
            time.sleep(LOOK_EVERY)

    def stop(self) -> None:
        """End all processes: the peers while the tracker can still hear their goodbyes, and all at once."""
        tracker, peers = self._children[:1], self._children[1:]
        for child in peers:
            child.ask_to_stop()
        for child in peers + tracker:
            child.stop()
