"""
A command of p2pshare with a probe in its reactor: ``python -m benchmarks.probed FILE p2pshare|twistd ARGUMENT…``.

Runs the command as it is, and on top of it a timer every 5 milliseconds that sees how late it comes. SIGUSR1 ends that,
and FILE appears with all that was seen; the command goes on. A second thread looks where the reactor is when it has not
come for longer than 20 milliseconds: that is what keeps it.
"""

from __future__ import annotations

import json
import signal
import sys
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread, main_thread
from types import FrameType
from typing import Any

from attrs import define, field

import p2pshare
from twisted import internet as reactors

PERIOD = 0.005  # s
STALL = 0.02  # s without a turn that are worth asking why
MOST_SAMPLES = 120_000  # ten minutes
MOST_PLACES = 200
# Where they are installed, and what is left of their paths: a checkout may be called anything.
_OURS = {f"{Path(p2pshare.__file__).parent}/": "", f"{Path(reactors.__file__).parent}/": "twisted/internet/"}


@define(eq=False)
class Probe:
    """
    How late a timer comes, for every moment at which it was due.

    While the reactor is held up, several of these moments pass. Each of them counts, as each of as many peers would
    have waited; a timer that only looked at its own last call would see one late moment, however long it was.
    """

    _call_later: Callable[..., Any]
    _now: Callable[[], float] = time.monotonic
    samples: deque[tuple[float, float]] = field(init=False, factory=lambda: deque(maxlen=MOST_SAMPLES))
    turned_at: float = field(init=False, default=0.0)
    _due: float = field(init=False, default=0.0)

    def start(self) -> None:
        """Begin; the reactor runs."""
        self.turned_at = self._now()
        self._due = self.turned_at + PERIOD
        self._call_later(PERIOD, self._turn)

    def _turn(self) -> None:
        now = self.turned_at = self._now()
        while self._due <= now:
            self.samples.append((self._due, now - self._due))
            self._due += PERIOD
        self._call_later(self._due - now, self._turn)


@define(eq=False)
class Witness:
    """Looks from its own thread where the main thread is while it is late."""

    _probe: Probe
    places: Counter[str] = field(init=False, factory=Counter)  # where -> moments it was seen there
    _over: Event = field(init=False, factory=Event)
    _thread: Thread = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._thread = Thread(target=self._look, name="witness", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        main = main_thread().ident
        assert main is not None
        while not self._over.wait(PERIOD):
            if self._probe.turned_at and time.monotonic() - self._probe.turned_at > PERIOD + STALL:
                frame = sys._current_frames().get(main)
                if frame is not None and len(self.places) < MOST_PLACES:
                    self.places[where(frame)] += 1


def where(frame: FrameType) -> str:
    """Say where a thread is: its innermost functions of ours, the last one first."""
    calls = []
    for called in reversed(traceback.extract_stack(frame)):
        for folder, shown in _OURS.items():
            if called.filename.startswith(folder):
                calls.append(f"{shown}{called.filename.removeprefix(folder)}:{called.lineno} {called.name}")
    return " < ".join(calls[:5]) or "elsewhere"


def tell(file: Path, probe: Probe, witness: Witness) -> None:
    """Write down what was seen, so that whoever finds the file finds all of it there."""
    witness.stop()
    half = file.with_suffix(".half")
    half.write_text(json.dumps({"samples": list(probe.samples), "places": witness.places.most_common(20)}))
    half.rename(file)


def main() -> None:
    """Run the command with its probe."""
    file, command, *arguments = sys.argv[1:]
    sys.argv = [command, *arguments]
    from twisted.internet import reactor

    watched: Any = reactor
    probe = Probe(watched.callLater)
    witness = Witness(probe)

    def start() -> None:
        probe.start()
        witness.start()
        signal.signal(signal.SIGUSR1, lambda number, frame: tell(Path(file), probe, witness))

    watched.callWhenRunning(start)
    if command == "twistd":
        from twisted.scripts.twistd import run

        run()  # type: ignore[no-untyped-call]
    else:
        from p2pshare.cli.main import main as p2pshare

        p2pshare()


if __name__ == "__main__":
    main()
