"""
Kill a download again and again, and see whether it ever loses or breaks what it told others it has.

    python -m tests.system.crash [--kills 1000] [--seed N]

A seed, a download that is killed, and an observer that is connected to it and hears what it has. Kills come at random
times, at named places (P2PSHARE_FAILPOINT), and, where strace is installed, at the n-th system call that changes a
disk. After each one a checker that shares no code with us hashes the pieces the observer was told of; the next process
must have all of them before it can fetch any. What is complete is compared with the source, and begun anew.
Interrupted or terminated, it says what it came to so far.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from random import Random

from attrs import define, field

from p2pshare.metainfo import Metainfo, dump
from p2pshare.storage.create import CreateSettings, create
from p2pshare.storage.failpoints import NAMES, VARIABLE
from tests.system.bystanders import Gate, Observer
from tests.system.independent import right_pieces

PROJECT = Path(__file__).resolve().parents[2]
P2PSHARE = [sys.executable, "-c", "from p2pshare.cli.main import main; main()"]
PATIENCE = 60.0  # s for any one step
PIECE = 32 * 1024
FILES = {"alpha": 40 * PIECE + 700, "sub/beta": 3000, "sub/gamma": 23 * PIECE, "sub/delta": 5}
RATE = "3M"  # bytes/s of the seed: a download takes about as long as a process takes to start
DURABLE_CALLS = "pwrite64,fdatasync,fsync,ftruncate,rename,renameat,renameat2,link,linkat,unlink,unlinkat"


@define
class Toll:
    """What the kills came to."""

    kills: dict[str, int] = field(factory=dict)  # by how
    told: int = 0  # pieces the observer was told of, over all lives
    lost: int = 0  # of these, not had by the next process
    corrupt: int = 0  # of these, wrong on disk
    completed: int = 0  # downloads that were finished and compared
    fetched: int = 0  # bytes from the seed
    needed: int = 0  # bytes of the content of those downloads


class CannotGoOn(Exception):
    """The experiment itself failed."""


@define(eq=False)
class Experiment:
    """The parts, and one life after the other. Everything is in one folder."""

    _work: Path
    _random: Random
    toll: Toll = field(factory=Toll)
    _content: Metainfo = field(init=False)
    _seed: subprocess.Popen[bytes] = field(init=False)
    _gate: Gate = field(init=False)
    _download: subprocess.Popen[bytes] | None = field(init=False, default=None)  # the one that may be alive
    _promised: set[int] = field(init=False, factory=set)
    _calls: int = field(init=False, default=0)  # the n of the next "n-th system call"

    def __attrs_post_init__(self) -> None:
        for number, (path, size) in enumerate(FILES.items()):
            file = self._work / "source/thing" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(Random(number).randbytes(size))
        self._content = create(self._work / "source/thing", CreateSettings(piece_length=PIECE))
        self.torrent.write_bytes(dump(self._content))
        port = free_port()
        arguments = ["seed", str(self.torrent), "--data", str(self._work / "source"), "--limit-up", RATE, "--quiet"]
        self._seed = self._start([*arguments, "--bind", "127.0.0.1", "--port", str(port)], "seed-state")
        self._gate = Gate(port)

    @property
    def torrent(self) -> Path:
        """The torrent file."""
        return self._work / "thing.torrent"

    @property
    def _folder(self) -> Path:
        return self._work / "download"

    def close(self) -> None:
        """End what runs."""
        self._kill_download()
        self._seed.kill()
        self._seed.wait()
        self._gate.close()

    def life(self, how: str) -> None:
        """
        Start the download, let it fetch, kill it, and look.

        :raise CannotGoOn: it ended by itself, or said nothing.
        """
        more: dict[str, str] = {}
        wrapper: list[str] = []
        if how == "place":
            name = self._random.choice(NAMES)
            often = 25 if name in ("after_pwrite", "after_append") else 1 if name.startswith("in_") else 3
            more = {VARIABLE: f"{name}:{self._random.randint(1, often)}"}
        elif how == "call":
            self._calls = self._calls % 60 + 1
            inject = f"inject={DURABLE_CALLS}:signal=KILL:when={self._calls}"
            wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject]
        port = free_port()
        arguments = ["download", str(self.torrent), "-o", str(self._folder), "--peer", f"127.0.0.1:{self._gate.port}"]
        arguments += ["--bind", "127.0.0.1", "--port", str(port), "--timeout", "0", "--seed-until", "forever"]
        self._gate.shut()
        process = self._download = self._start([*arguments, "--quiet"], "state", wrapper, more)
        observer = Observer(port, self._content.info_hash, self._content.num_pieces)
        if how != "time" or self._random.random() < 0.9:
            self._await_bitfield(process, observer)
        try:
            self._gate.open()
            process.wait(self._random.uniform(0, 0.5) if how == "time" else self._random.uniform(1, 2))
        except subprocess.TimeoutExpired:
            pass
        ended = process.poll()
        if ended is not None and ended not in (-signal.SIGKILL, 128 + signal.SIGKILL):
            raise CannotGoOn(f"the download ended by itself with {ended}: {self._said('state')}")
        how = how if ended is not None else "time"
        self._kill_download()
        observer.stop()
        self.toll.kills[how] = self.toll.kills.get(how, 0) + 1
        self._look(observer)

    def finish_if_complete(self, *, insist: bool = False) -> None:
        """Compare a whole download with its source and begin anew; ``insist`` lets it become whole first."""
        if insist:
            self._complete()
        elif not all((self._folder / "thing" / path).exists() for path in FILES):
            return
        for path in FILES:
            if digest(self._folder / "thing" / path) != digest(self._work / "source/thing" / path):
                raise CannotGoOn(f"{path} is complete and differs from the source")
        self.toll.completed += 1
        self.toll.needed += self._content.total_length
        self.toll.fetched, self._promised = self._gate.passed, set()
        shutil.rmtree(self._folder)
        if self._random.random() < 0.5:  # the other half of the times the old state meets an empty folder
            shutil.rmtree(self._work / "state")

    def _kill_download(self) -> None:
        process, self._download = self._download, None
        if process is not None:
            with suppress(ProcessLookupError):  # all of them are dead already
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _complete(self) -> None:
        self._gate.open()
        arguments = ["download", str(self.torrent), "-o", str(self._folder), "--peer", f"127.0.0.1:{self._gate.port}"]
        arguments += ["--bind", "127.0.0.1", "--port", str(free_port()), "--quiet"]
        self._download = self._start(arguments, "state")
        status, self._download = self._download.wait(PATIENCE), None
        if status:
            raise CannotGoOn(f"the last download failed: {self._said('state')}")

    def _await_bitfield(self, process: subprocess.Popen[bytes], observer: Observer) -> None:
        deadline = time.monotonic() + PATIENCE
        while not observer.has_first.wait(0.02):
            if process.poll() is not None:
                return  # killed while it started
            if time.monotonic() > deadline:
                raise CannotGoOn(f"the download says nothing: {self._said('state')}")

    def _look(self, observer: Observer) -> None:
        """Compare what was promised in all lives with what this one had and what is on disk now."""
        if observer.first is not None:
            lost = self._promised - observer.first
            self.toll.lost += len(lost)
        self._promised |= observer.told
        self.toll.told += len(observer.told)
        right = right_pieces(self.torrent.read_bytes(), self._folder)
        self.toll.corrupt += len(self._promised - right)

    def _start(
        self, arguments: list[str], state: str, wrapper: list[str] | None = None, more: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": str(PROJECT), "P2PSHARE_STATE": str(self._work / state)}
        environment["XDG_STATE_HOME"] = str(self._work / "xdg")
        with (self._work / f"{state}.log").open("wb") as log:
            return subprocess.Popen(
                [*(wrapper or []), *P2PSHARE, *arguments],
                env={**environment, **(more or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _said(self, state: str) -> str:
        return (self._work / f"{state}.log").read_text(errors="replace")[-2000:]


def digest(path: Path) -> bytes:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def free_port() -> int:
    """A port nobody uses just now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def run(kills: int, seed: int, report: bool = True) -> Toll:
    """
    Kill so many times.

    :raise CannotGoOn: the experiment itself failed, or a whole download differed.
    """
    random = Random(seed)
    ways = ["time", "place", "call"] if shutil.which("strace") else ["time", "place"]
    if "call" not in ways:
        print("strace is not installed: no kills at the n-th system call")
    with tempfile.TemporaryDirectory(prefix="p2pshare-crash-") as folder:
        experiment = Experiment(Path(folder), random)
        try:
            for number in range(kills):
                experiment.life(ways[number % len(ways)])
                experiment.finish_if_complete()
                if report and number % 20 == 19:
                    print(f"{number + 1} kills: {experiment.toll}", flush=True)
            experiment.finish_if_complete(insist=True)
        except KeyboardInterrupt:
            print("interrupted")
        finally:
            experiment.close()
        return experiment.toll


def main() -> None:
    """Run the experiment and say what it came to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    toll = run(options.kills, options.seed)
    ways = ", ".join(f"{count} by {how}" for how, count in sorted(toll.kills.items()))
    print(f"kills {sum(toll.kills.values())} ({ways}), downloads completed and compared {toll.completed}")
    print(f"pieces vouched for {toll.told}, lost = {toll.lost}, corrupt = {toll.corrupt}")
    print(f"bytes fetched {toll.fetched}, {toll.fetched / max(1, toll.needed):.2f} times the content")
    sys.exit(1 if toll.lost or toll.corrupt else 0)


if __name__ == "__main__":
    main()
