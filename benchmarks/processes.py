"""Programs under measurement: started, watched and ended by the benchmark, and only these."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field

PROJECT = Path(__file__).resolve().parents[1]
STOP_WITHIN = 15.0  # s from SIGTERM to SIGKILL; p2pshare takes five at most when it is not held up

_TICK = os.sysconf("SC_CLK_TCK")
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
_LIBC = ctypes.CDLL(None)
_TAIL = 300  # characters of a log that say enough


class ProgramFailed(Exception):
    """A program ended before it should have; the text says which, and its last words."""


@define(eq=False)
class Running:
    """A program at work. Its output is in ``log``."""

    name: str
    log: Path
    _process: subprocess.Popen[bytes]
    _stop_within: float = STOP_WITHIN
    private: int = field(init=False, default=0)  # bytes of private memory, the most that was seen
    _is_asked: bool = field(init=False, default=False)  # to end

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def look(self) -> None:
        """
        Take note of its memory: what is its own, without files it has mapped.

        :raise ProgramFailed: it has ended.
        """
        if self._process.poll() is not None:
            last = self.log.read_text(errors="replace")[-_TAIL:].strip()
            raise ProgramFailed(f"{self.name} ended with {self._process.returncode}: {last or '(it said nothing)'}")
        self.private = max(self.private, private_memory(self.pid))

    @property
    def cpu(self) -> float:
        """CPU seconds of it and of the children it has waited for."""
        return sum(_times(self.pid))

    @property
    def user_cpu(self) -> float:
        """The part of them that was not spent in the kernel."""
        return sum(_times(self.pid)[::2])

    def signal(self, number: signal.Signals) -> None:
        """Tell it something, if it still runs."""
        self._process.send_signal(number)

    def ask_to_stop(self) -> None:
        """Ask it to end. Once: to most programs a second signal says that they need not do so in order."""
        if not self._is_asked and self._process.poll() is None:
            self._is_asked = True
            self._process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Ask it to end, and insist after a while."""
        self.ask_to_stop()
        try:
            self._process.wait(self._stop_within)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def private_memory(pid: int) -> int:
    """Tell the bytes of anonymous memory a process has now; 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    _, found, rest = status.partition("RssAnon:")
    return int(rest.split(maxsplit=1)[0]) * 1024 if found else 0


@define(eq=False)
class Programs:
    """All that a benchmark has started and not ended yet."""

    _running: list[Running] = field(init=False, factory=list)

    def start(self, name: str, command: Sequence[str], folder: Path, stop_within: float = STOP_WITHIN) -> Running:
        """
        Start one.

        :param folder: where it works, and keeps what it writes of itself.
        :param stop_within: s from SIGTERM to SIGKILL.
        """
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / "log"
        # p2pshare is the one of this checkout, installed or not, and leaves the user's resume data alone.
        home = {"HOME": str(folder), "PYTHONPATH": str(PROJECT), "P2PSHARE_STATE": str(folder / "state")}
        # Started as users have it: without this they would be compiled anew in each process, if that is wanted here.
        usual = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=usual | home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us, who end it in order
                preexec_fn=_end_with_us,
            )
        running = Running(name, log, process, stop_within)
        self._running.append(running)
        return running

    def user_cpu(self) -> float:
        """User time of all that run."""
        return sum(running.user_cpu for running in self._running)

    def stop(self) -> None:
        """End all of them."""
        for running in self._running:
            running.ask_to_stop()
        while self._running:
            self._running[-1].stop()
            self._running.pop()


@contextmanager
def programs() -> Iterator[Programs]:
    """Have programs run as long as the block lasts."""
    started = Programs()
    try:
        yield started
    finally:
        started.stop()


def wait_for(files: Sequence[Path], running: Sequence[Running], patience: float) -> None:
    """
    Wait until all these files are there.

    :raise ProgramFailed: it takes too long, or a program ends.
    """
    deadline = time.monotonic() + patience
    while not all(file.exists() for file in files):
        for one in running:
            one.look()
        if time.monotonic() > deadline:
            raise ProgramFailed(f"not done within {patience:g} s")
        time.sleep(0.005)


def _times(pid: int) -> tuple[float, ...]:
    """User and system time of a process, then the same of its ended children, in seconds; zero when it is gone."""
    try:
        figures = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
    except OSError:
        return (0.0,) * 4
    return tuple(int(figure) / _TICK for figure in figures)


def _end_with_us() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def end_on_sigterm() -> None:
    """Let SIGTERM end this process as Ctrl-C does: what it has started ends first."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
