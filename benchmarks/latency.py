"""
How late the reactor is while bytes flow, and what memory that takes; with peers that never read, too.

    python -m benchmarks.latency --size 1G --deaf 100

A seed (``twistd p2p-peer``) and a leech (``p2pshare download``) with a timer every 5 milliseconds in each of them: how
late it comes is how long anybody else would have waited. Then the same seed with many more peers, each of which is
unchoked, asks for 2,000 blocks and never reads. Memory is private memory, the most that was seen, above that of an
interpreter with Twisted loaded. Where the reactor was while it was more than 20 milliseconds late is told at the end.
"""

from __future__ import annotations

import json
import shlex
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from attrs import asdict, define, field, frozen

from benchmarks.contents import difference, write_file
from benchmarks.network import Network, enter, free_ports, loopback_bytes
from benchmarks.processes import ProgramFailed, Programs, Running, end_on_sigterm, programs, wait_for
from benchmarks.report import Bystanders, Report, options, print_table
from benchmarks.runs import BEGUN, PATIENCE, watch
from benchmarks.tracker import Tracker
from p2pshare.metainfo import dump
from p2pshare.rates import parse_size
from p2pshare.storage.create import CreateSettings, create

MOST_LATE = 0.050  # s, of 99 in 100 moments
MOST_MEMORY = {"leech": 120 << 20, "seed": 80 << 20}  # bytes above a bare interpreter
REQUESTS = 2000  # of each peer that does not read: as many as we tell peers that we queue

_PROBED = (sys.executable, "-m", "benchmarks.probed")
_BARE = (
    "import pathlib, signal, sys; import twisted.internet.reactor; pathlib.Path(sys.argv[1]).touch(); signal.pause()"
)


@frozen
class Seen:
    """One process in one run."""

    lateness: list[float]  # s, of every moment while bytes flowed
    memory: int  # bytes of private memory
    places: list[tuple[str, int]]  # where it was when it was late


@frozen
class Turn:
    """One run."""

    MBps: float
    others_cpu_s: float
    seen: dict[str, Seen]  # by role


@define(eq=False)
class Course:
    """A seed, a leech and perhaps some who do not read, again and again."""

    _network: Network
    _tracker: Tracker
    _content: Path
    _torrent: Path
    _folder: Path
    _number: int = field(init=False, default=0)

    def run(self, deaf: int) -> Turn:
        """
        Run one from scratch.

        :raise ProgramFailed: something ended or took too long, or the copy differs.
        """
        self._number += 1
        work = self._folder / f"run-{self._number}"
        self._tracker.forget()
        with programs() as started:
            seed, port = self._start_seed(started, work, deaf)
            if deaf:
                self._start_deaf(started, work, deaf, port)
                time.sleep(1.0)  # until the seed has written what it is going to
            done, copy = work / "done", work / "copy"
            bystanders = Bystanders(started.user_cpu)
            base = loopback_bytes()
            leech = self._start_leech(started, work, copy, done)
            first = watch([seed, leech], [done], base + BEGUN, PATIENCE)
            end = time.monotonic()
            taken = bystanders.taken
            files = {role: work / f"{role}.json" for role in ("leech", "seed")}
            for running in (seed, leech):
                running.look()
                running.signal(signal.SIGUSR1)  # while they run: how they end is not what is measured
            wait_for(list(files.values()), [seed, leech], PATIENCE)
            started.stop()
        wrong = difference(self._content, copy / self._content.name)
        if wrong is not None:
            raise ProgramFailed(f"the copy: {wrong}")
        (copy / self._content.name).unlink()
        seen = {role: _read(files[role], one, first, end) for role, one in (("leech", leech), ("seed", seed))}
        return Turn(self._content.stat().st_size / (end - first) / 1e6, taken, seen)

    def _start_seed(self, started: Programs, work: Path, deaf: int) -> tuple[Running, int]:
        work.mkdir()
        port = free_ports(1)[0]
        host = self._network.host(2)
        self._tracker.hosts[port] = host
        room = deaf + 10  # everybody is unchoked: that is when it costs memory
        config = work / "peer.toml"
        config.write_text(f"[peer]\nmax_connections = {room + 200}\nmax_peers = {room}\nupload_slots = {room}\n")
        command = [*_PROBED, str(work / "seed.json"), "twistd", "-n", "--pidfile=", "p2p-peer"]
        command += ["--config", str(config), "--torrent", str(self._torrent), "--data", str(self._content.parent)]
        command += ["--bind", host, "--port", str(port), "--state-dir", str(work / "state")]
        seed = started.start("the seed", command, work / "seed")
        deadline = time.monotonic() + PATIENCE
        while not self._tracker.has_seed(port):
            seed.look()
            if time.monotonic() > deadline:
                raise ProgramFailed(f"the seed did not announce within {PATIENCE:g} s")
            time.sleep(0.02)
        seed.private = 0  # what it needed to check its content is another matter
        return seed, port

    def _start_deaf(self, started: Programs, work: Path, deaf: int, port: int) -> None:
        asked = work / "asked"
        command = [sys.executable, "-m", "benchmarks.deaf", str(self._torrent), self._network.host(2), str(port)]
        crowd = started.start("deaf peers", [*command, str(deaf), str(REQUESTS), str(asked)], work / "deaf")
        wait_for([asked], [crowd], PATIENCE)

    def _start_leech(self, started: Programs, work: Path, copy: Path, done: Path) -> Running:
        port = free_ports(1)[0]
        host = self._network.host(3)
        self._tracker.hosts[port] = host
        command = [*_PROBED, str(work / "leech.json"), "p2pshare", "download", str(self._torrent), "-o", str(copy)]
        command += ["--bind", host, "--port", str(port), "--quiet", "--seed-until", "forever"]
        command += ["--on-complete", f"touch {shlex.quote(str(done))}"]
        return started.start("the leech", command, work / "leech")


def _read(file: Path, running: Running, first: float, end: float) -> Seen:
    """Read what a probe saw while bytes flowed."""
    told = json.loads(file.read_text())
    lateness = [late for due, late in told["samples"] if first <= due <= end]
    return Seen(lateness, running.private, [(place, count) for place, count in told["places"]])


def bare_memory(folder: Path) -> int:
    """Measure the private memory of an interpreter that has loaded Twisted and does nothing."""
    with programs() as started:
        ready = folder / "ready"
        bare = started.start("a bare interpreter", [sys.executable, "-c", _BARE, str(ready)], folder / "bare")
        wait_for([ready], [bare], PATIENCE)
        bare.look()
        return bare.private


def quantile(values: Sequence[float], share: float) -> float:
    """Give the value that this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def show(case: str, turns: Sequence[Turn], bare: int) -> tuple[list[list[str]], list[str]]:
    """Give the rows of a case, and what is not as it should be."""
    rows, missed = [], []
    rate = f"{median(turn.MBps for turn in turns):.0f}"
    for role in ("leech", "seed"):
        late = [moment for turn in turns for moment in turn.seen[role].lateness]
        worst = quantile(late, 0.99)
        memory = max(turn.seen[role].memory for turn in turns) - bare
        figures = [f"{moment * 1000:.1f}" for moment in (quantile(late, 0.5), worst, max(late, default=0.0))]
        rows.append([f"{case}, {role}", rate, str(len(late)), *figures, f"{memory / 2**20:.0f}"])
        if worst > MOST_LATE:
            missed.append(f"{case}: the {role} is {worst * 1000:.0f} ms late at p99, not {MOST_LATE * 1000:.0f}")
        if memory > MOST_MEMORY[role]:
            limit = MOST_MEMORY[role] >> 20
            missed.append(f"{case}: the {role} has {memory / 2**20:.0f} MiB, not {limit}")
    return rows, missed


def main() -> int:
    """Run the benchmark; 1 when a limit was exceeded."""
    parser = options(__doc__)
    parser.add_argument("--size", type=parse_size, default="512M", help="of the content (512M)")
    parser.add_argument("--piece-length", type=parse_size, default="1M", help="(1M)")
    parser.add_argument("--runs", type=int, default=3, help="turns (3)")
    parser.add_argument("--deaf", type=int, default=100, help="peers that do not read (100)")
    parser.add_argument("--work", type=Path, help="folder for the content and its copies")
    chosen = parser.parse_args()
    end_on_sigterm()
    network = enter()
    report = Report("latency", chosen.json)
    cases = {"alone": 0, f"with {chosen.deaf} deaf": chosen.deaf}
    turns: dict[str, list[Turn]] = {case: [] for case in cases}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="p2pshare-bench-", dir=chosen.work)))
        tracker = stack.enter_context(Tracker(network.host(1)).listening())
        content = folder / "source" / "content"
        content.parent.mkdir()
        write_file(content, chosen.size)
        torrent = folder / "content.torrent"
        settings = CreateSettings(announce_tiers=((tracker.url,),), private=True, piece_length=chosen.piece_length)
        torrent.write_bytes(dump(create(content, settings)))
        bare = bare_memory(folder)
        course = Course(network, tracker, content, torrent, folder)
        try:
            for _ in range(chosen.runs):
                for case, deaf in cases.items():
                    turns[case].append(course.run(deaf))
        except ProgramFailed as error:
            raise SystemExit(str(error)) from None
    rows, missed = [], []
    for case, its_turns in turns.items():
        more_rows, more_missed = show(case, its_turns, bare)
        rows += more_rows
        missed += more_missed
    print_table(["", "MB/s", "moments", "p50 ms", "p99 ms", "max ms", f"MiB above {bare >> 20}"], rows)
    print("\n".join(missed) or "all within their limits")
    for case, its_turns in turns.items():
        for role in ("leech", "seed"):
            places = Counter[str]()
            for turn in its_turns:
                places.update(dict(turn.seen[role].places))
            for place, count in places.most_common(3):
                print(f"{case}, {role} late, seen {count} times in {place}")
    told = {case: [asdict(turn) for turn in its_turns] for case, its_turns in turns.items()}
    report.finish(size=chosen.size, bare_memory=bare, missed=missed, results=told)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
