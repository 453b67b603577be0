"""Other p2pshare processes on this machine, started and read by one that shows how they work together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

from attrs import define, field

from p2pshare.cli.state_folder import VARIABLE as STATE

# -P: a file of the user's called click.py must not be taken for the library.
PROGRAM = (sys.executable, "-P", "-c", "from p2pshare.cli.children import main; main()")
STOP_WITHIN = 8.0  # s from SIGTERM to SIGKILL
_LAST_WORDS = 500  # characters of them


@define(eq=False)
class Child:
    """One p2pshare command in a process of its own, which reports what it does in JSON lines."""

    name: str
    _arguments: Sequence[str]
    _log: Path  # where it may complain
    _state: Path  # the folder for what it remembers
    latest: dict[str, Any] = field(init=False, factory=dict)  # its last event
    events: set[str] = field(init=False, factory=set)  # kinds of event seen so far
    _process: subprocess.Popen[str] | None = field(init=False, default=None)
    _reader: Thread | None = field(init=False, default=None)
    _asked: bool = field(init=False, default=False)  # to stop

    def start(self) -> None:
        """Start the process, and a thread that reads its lines."""
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*PROGRAM, *self._arguments],
                stdin=subprocess.PIPE,  # never written to: it ends when we do
                stdout=subprocess.PIPE,
                stderr=log,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,  # Ctrl-C is for us; we tell the children
                env={**os.environ, STATE: str(self._state), "PYTHONUNBUFFERED": "1"},
            )
        assert self._process.stdout is not None
        self._reader = Thread(target=self._read, args=(self._process.stdout,), name=f"reads {self.name}", daemon=True)
        self._reader.start()

    def _read(self, lines: Iterable[str]) -> None:
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue  # a line for people
            self.latest = event
            self.events.add(str(event.get("event")))

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None before that."""
        return None if self._process is None else self._process.poll()

    def said(self) -> str:
        """Give all that it wrote to its log."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def last_words(self) -> str:
        """Give the last thing it complained about."""
        return self.said().strip()[-_LAST_WORDS:].rpartition("\n")[2]

    def ask_to_stop(self) -> None:
        """Tell it that it is time to end, once: told twice it would end at once, without its goodbyes."""
        if self._process is not None and self.is_running and not self._asked:
            self._asked = True
            self._process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Ask it to stop, insist if need be, and wait until it has ended."""
        if self._process is None:
            return
        self.ask_to_stop()
        try:
            self._process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._reader is not None:
            self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def main() -> None:
    """Be such a child: the command line, and gone when the parent is, however that ended."""
    from p2pshare.cli.main import main as command_line

    Thread(target=_end_with_the_parent, name="watches the parent", daemon=True).start()
    command_line()


def _end_with_the_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
