"""Other p2pshare processes on this machine, started and read by one that shows how they work together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from typing import Any

from attrs import define, field

PROGRAM = (sys.executable, "-c", "from p2pshare.cli.main import main; main()")
STOP_WITHIN = 8.0  # s from SIGTERM to SIGKILL


@define(eq=False)
class Child:
    """One p2pshare command in a process of its own, which reports what it does in JSON lines."""

    name: str
    _arguments: Sequence[str]
    _log: Path  # where it may complain
    latest: dict[str, Any] = field(init=False, factory=dict)  # its last event
    events: set[str] = field(init=False, factory=set)  # kinds of event seen so far
    _process: subprocess.Popen[str] = field(init=False)
    _reader: Thread = field(init=False)

    def start(self) -> Child:
        """Start the process, and a thread that reads its lines."""
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*PROGRAM, *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C is for us; we tell the children
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        self._reader = Thread(target=self._read, name=f"reads {self.name}", daemon=True)
        self._reader.start()
        return self

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                continue  # a line for people
            self.latest = event
            self.events.add(str(event.get("event")))

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    def last_words(self) -> str:
        """Give the end of what it complained about."""
        return self._log.read_text(errors="replace").strip()[-500:]

    def stop(self) -> int:
        """Ask it to stop, insist if need be, and tell its exit status."""
        if self.is_running:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_WITHIN)
            except subprocess.TimeoutExpired:
                self._process.kill()
        code = self._process.wait()
        self._reader.join()
        return code
