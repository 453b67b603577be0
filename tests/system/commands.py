"""Commands as processes for tests: started in a folder of their own, watched through files, stopped by their id."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.metainfo import dump
from p2pshare.storage.create import CreateSettings, create

PROJECT = Path(__file__).resolve().parents[2]
P2PSHARE = (sys.executable, "-c", "from p2pshare.cli.main import main; main()")
WAIT = 60.0  # s, for machines that are busy with other things
LIFETIME = 150  # s after which the kernel ends a process whose test is gone
PIECE = 16384

_LOOK_EVERY = 0.01  # s

_Answer = TypeVar("_Answer")


def wait_until(look: Callable[[], _Answer], what: str, within: float = WAIT) -> _Answer:
    """
    Look again and again until the answer is true, and give it.

    :raise AssertionError: it does not become true in time.
    """
    deadline = time.monotonic() + within
    while not (answer := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what}")
        time.sleep(_LOOK_EVERY)
    return answer


def some_bytes(size: int, seed: int = 0) -> bytes:
    """Give random bytes, the same for the same seed."""
    return Random(seed).randbytes(size)


class Command:
    """One ``p2pshare`` process. What it writes goes to files, so it never waits for us to read."""

    def __init__(self, folder: Path, name: str, arguments: Sequence[str | Path], **options: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.out, self.err = folder / f"{name}.out", folder / f"{name}.err"
        self.words = " ".join(map(str, arguments))
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [*P2PSHARE, *arguments],
                **{"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err, "preexec_fn": _limit_life, **options},
            )

    def clean_up(self) -> None:
        """End it, if nothing else has."""
        self.process.kill()
        self.process.wait()

    def said(self) -> str:
        """Give its standard output up to now."""
        return self.out.read_text(encoding="utf-8")

    def complained(self) -> str:
        """Give its standard error up to now."""
        return self.err.read_text(encoding="utf-8")

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Read the JSON lines that are complete by now; all, or those of one kind."""
        objects = [json.loads(line) for line in self.said().splitlines(keepends=True) if line.endswith("\n")]
        return [each for each in objects if kind in (None, each["event"])]

    def await_event(self, kind: str, holds: Callable[[dict[str, Any]], bool] = lambda event: True) -> dict[str, Any]:
        """Wait for an event of one kind, and give the first one that is as wanted."""

        def look() -> dict[str, Any] | None:
            found = next(filter(holds, self.events(kind)), None)
            if found is None and self.process.poll() is not None:
                found = next(filter(holds, self.events(kind)), None)
                if found is None:
                    raise AssertionError(f"no {kind!r} before its end\n{self.report()}")
            return found

        return wait_until(look, f"{kind!r} of {self.words}")

    def ended(self, within: float = WAIT) -> int:
        """Wait for its end, and give the exit code."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not ended within {within:g} s\n{self.report()}") from None

    def told(self, number: signal.Signals) -> tuple[int, float]:
        """Send a signal; give the exit code, and the seconds until it ended."""
        began = time.monotonic()
        self.process.send_signal(number)
        return self.ended(), time.monotonic() - began

    def report(self) -> str:
        """Say all there is to say about it, for a test that fails."""
        state = self.process.poll()
        return f"p2pshare {self.words}\nexit code {state}\n{self.said()}\n{self.complained()}"


def _limit_life() -> None:
    signal.alarm(LIFETIME)
    # A shell's background job, which these tests may be part of, ignores it, and so would our processes.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class CommandTestCase(SynchronousTestCase):
    """A folder in which commands are run, and the commands that were started there."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.state = self.folder / "state"
        (self.state / "resume").mkdir(parents=True)
        self.environment = {**os.environ, "PYTHONPATH": str(PROJECT), "P2PSHARE_STATE": str(self.state)}
        self.environment.pop("P2PSHARE_TRACKER", None)
        self.commands: list[Command] = []  # all that were started, in order

    def start(self, *arguments: str | Path, **options: Any) -> Command:
        """Start ``p2pshare`` in the test's folder; it is killed when the test is over."""
        environment = {**self.environment, **options.pop("env", {})}
        name = f"{len(self.commands)}-{arguments[0]}"
        options = {"cwd": self.folder, "env": environment, **options}
        command = Command(self.folder / "said", name, arguments, **options)
        self.addCleanup(command.clean_up)
        self.commands.append(command)
        return command

    def run_command(self, *arguments: str | Path, expect: int = 0, **options: Any) -> Command:
        """Run ``p2pshare`` to its end, which has to be the expected one."""
        command = self.start(*arguments, **options)
        self.assert_ended(command, expect)
        return command

    def assert_ended(self, command: Command, expected: int = 0) -> None:
        """Wait for the end of a command: this exit code, and no traceback in anything it said."""
        code = command.ended()
        self.assertEqual(code, expected, command.report())
        self.assertNotIn("Traceback", command.said() + command.complained())

    def tracker(self, *arguments: str, bind: str = "127.0.0.1") -> str:
        """Start a tracker and give its announce URL."""
        tracker = self.start("tracker", "--bind", bind, *(arguments or ("--port", "0", "--no-state")))
        said = wait_until(
            lambda: (
                re.search(r"listening at (http://\S+)", tracker.complained())
                or (tracker.process.poll() is not None and re.search("()", ""))
            ),
            "a tracker that listens",
        )
        self.assertTrue(said[1], tracker.report())
        return said[1]

    def write(self, path: str, content: bytes) -> Path:
        """Put a file into the folder."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def torrent(self, content: Path, *trackers: str, name: str | None = None) -> Path:
        """Make the torrent of a file or folder, beside it."""
        tiers = tuple((url,) for url in trackers)
        file = content.with_name(f"{content.name}.torrent")
        file.write_bytes(dump(create(content, CreateSettings(announce_tiers=tiers, piece_length=PIECE, name=name))))
        return file

    def seed(self, torrent: Path, *arguments: str | Path) -> tuple[Command, str]:
        """Start a seed of the content beside a torrent; give it when it is ready, and its address."""
        bind = () if "--bind" in arguments else ("--bind", "127.0.0.1")
        seed = self.start("seed", torrent, "--data", torrent.parent, "--port", "0", "--json", *bind, *arguments)
        return seed, f"127.0.0.1:{seed.await_event('complete')['port']}"

    def download(self, torrent: Path, output: str, *arguments: str | Path, **options: Any) -> Command:
        """Start a download into a folder of the test's."""
        own = ["--port", "0", *(() if "--bind" in arguments else ("--bind", "127.0.0.1"))]
        return self.start("download", torrent, "-o", output, *own, *arguments, **options)
