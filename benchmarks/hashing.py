"""
How fast torrents are made and checked: p2pshare beside mktorrent, transmission-create and libtorrent.

    python -m benchmarks.hashing --size 1G --piece-length 16K,64K,256K,1M,4M
    python -m benchmarks.hashing --files 10000               a tree of small files
    python -m benchmarks.hashing --cold                      content that the page cache has dropped

The programs take turns; figures are medians, "x create" is the median of a program's time divided by that of
``p2pshare create`` in the same turn. "whole" is what a user waits for, start-up included, and "alone" what is left of
it without, where that can be told: ``create`` and ``check_data``, or ``set_piece_hashes``, called from Python. Beside
them stands what one core can do: SHA-1 of pieces that are in memory, and with reading them. A run during which other
programs took more than a tenth of a core is done again, at most five of a program.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha1
from pathlib import Path
from statistics import median
from time import perf_counter

from attrs import asdict, define, field, frozen

from benchmarks.clients import P2PSHARE
from benchmarks.contents import write_file, write_tree
from benchmarks.processes import PROJECT
from benchmarks.report import QUIET, Bystanders, Report, options, print_table
from p2pshare.metainfo import load
from p2pshare.rates import format_size, parse_size
from p2pshare.storage.create import CreateSettings, create
from p2pshare.storage.hashing import usable_cores
from p2pshare.storage.verify import check_data

AGAIN = 5  # how often disturbed runs of a program are repeated
TOO_LITTLE = 0.05  # s of CPU: that of others is counted no finer
CREATE = "p2pshare create"
URL = "http://localhost/announce"  # mktorrent insists on a tracker
MEMORY = 64 * 1024 * 1024  # bytes hashed to see what a core can do: more than caches hold

_LIBTORRENT = """
import sys, time
from pathlib import Path
import libtorrent as lt
content, piece_length, torrent = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
made = lt.create_torrent(lt.list_files(str(content)), piece_length, lt.create_torrent.v1_only)
start = time.perf_counter()
lt.set_piece_hashes(made, str(content.parent))
print(time.perf_counter() - start)
torrent.write_bytes(lt.bencode(made.generate()))
"""


@frozen
class Job:
    """What is hashed, and how."""

    content: Path
    size: int
    piece_length: int
    torrent: Path  # to be made; for a check, the one to check against
    is_cold: bool


@frozen
class Seconds:
    """How long it took."""

    whole: float
    alone: float | None = None


@frozen
class Program:
    """Something that hashes content."""

    run: Callable[[Job], Seconds]
    makes: bool = True  # a torrent
    smallest_piece: int = 0
    program: str = ""  # found on PATH,
    module: str = ""  # or by Python
    install: str = ""  # what to type when it is missing

    def missing(self) -> str | None:
        """Say why it cannot be run."""
        if (self.program and not shutil.which(self.program)) or (
            self.module and importlib.util.find_spec(self.module) is None
        ):
            return f"is not installed; {self.install} brings it"
        return None


@define(eq=False)
class Results:
    """The turns of one program."""

    turns: list[Seconds] = field(factory=list)
    disturbed: int = 0  # turns that stayed so
    repeated: int = 0


def command(*words: str) -> tuple[float, str]:
    """Run a program to its end; return how long it took and what it said."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    start = perf_counter()
    ended = subprocess.run(words, capture_output=True, env=environment, text=True)
    elapsed = perf_counter() - start
    if ended.returncode:
        raise SystemExit(f"{' '.join(words)}: ended with {ended.returncode}: {ended.stderr[-300:].strip()}")
    return elapsed, ended.stdout


def timed(run: Callable[[], object]) -> float:
    """Tell how long a call takes."""
    start = perf_counter()
    run()
    return perf_counter() - start


def p2pshare_create(job: Job) -> Seconds:
    """Make the torrent, by the command and by the function behind it."""
    settings = CreateSettings(piece_length=job.piece_length)
    words = ["create", str(job.content), "-l", str(job.piece_length), "-o", str(job.torrent), "--quiet"]
    whole, _ = command(*P2PSHARE, *words)
    prepare(job)
    return Seconds(whole, timed(lambda: create(job.content, settings)))


def p2pshare_verify(job: Job) -> Seconds:
    """Check the content, likewise."""
    whole, _ = command(*P2PSHARE, "verify", str(job.torrent), str(job.content), "--quiet")
    metainfo = load(job.torrent)
    prepare(job)
    return Seconds(whole, timed(lambda: check_data(metainfo, job.content)))


def mktorrent(job: Job) -> Seconds:
    """Make the torrent on all cores."""
    words = ["mktorrent", "-t", str(usable_cores()), "-l", str(job.piece_length.bit_length() - 1)]
    return Seconds(command(*words, "-a", URL, "-o", str(job.torrent), str(job.content))[0])


def transmission_create(job: Job) -> Seconds:
    """Make the torrent as Transmission does."""
    words = ["transmission-create", "-s", str(job.piece_length // 1024), "-o", str(job.torrent), str(job.content)]
    return Seconds(command(*words)[0])


def libtorrent(job: Job) -> Seconds:
    """Make the torrent by libtorrent's Python binding, which leaves its number of threads as it is."""
    words = [str(job.content), str(job.piece_length), str(job.torrent)]
    whole, told = command(sys.executable, "-c", _LIBTORRENT, *words)
    return Seconds(whole, float(told))


def one_core(job: Job) -> Seconds:
    """Make the torrent on one core."""
    settings = CreateSettings(piece_length=job.piece_length)
    return Seconds(0.0, timed(lambda: create(job.content, settings, threads=1)))


def in_memory(job: Job) -> Seconds:
    """Hash as many pieces that are in memory already."""
    piece = memoryview(os.urandom(job.piece_length))
    count = max(1, MEMORY // job.piece_length)
    seconds = timed(lambda: [sha1(piece).digest() for _ in range(count)])
    return Seconds(0.0, seconds * job.size / (count * job.piece_length))


PROGRAMS = {
    CREATE: Program(p2pshare_create),
    "p2pshare verify": Program(p2pshare_verify, makes=False),
    "mktorrent": Program(mktorrent, program="mktorrent", install="apt install mktorrent", smallest_piece=32 * 1024),
    "transmission-create": Program(
        transmission_create, program="transmission-create", install="apt install transmission-cli"
    ),
    "libtorrent": Program(libtorrent, module="libtorrent", install="pip install libtorrent"),
    "one core": Program(one_core, makes=False),
    "one core, SHA-1 only": Program(in_memory, makes=False),
}


def prepare(job: Job) -> None:
    """Have the content in the page cache, or not."""
    for file in files_of(job.content):
        descriptor = os.open(file, os.O_RDONLY)
        try:
            if job.is_cold:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            else:
                while os.read(descriptor, 1 << 20):
                    pass
        finally:
            os.close(descriptor)


def files_of(content: Path) -> Iterator[Path]:
    """Name the files, in no order."""
    if content.is_file():
        yield content
    for folder, _, names in os.walk(content):
        for name in names:
            yield Path(folder, name)


def measure(program: Program, job: Job, results: Results) -> None:
    """Run a program for one turn, again if others got in its way and it has not been repeated too often."""
    while True:
        if program.makes:
            job.torrent.unlink(missing_ok=True)
        prepare(job)
        bystanders = Bystanders()
        seconds = program.run(job)
        is_disturbed = bystanders.taken > max(TOO_LITTLE, QUIET * bystanders.elapsed)
        if not is_disturbed or results.repeated >= AGAIN:
            break
        results.repeated += 1
    results.turns.append(seconds)
    results.disturbed += is_disturbed


def take_turns(job: Job, programs: Sequence[str], turns: int) -> dict[str, Results]:
    """Let every program hash so many times, one after the other; compare what they came to where that can be."""
    results = {name: Results() for name in programs}
    for _ in range(turns):
        pieces = b""
        for name in programs:
            program = PROGRAMS[name]
            measure(program, job, results[name])
            if name == CREATE:
                pieces = load(job.torrent).pieces
                shutil.copy(job.torrent, kept(job))
            elif program.makes:
                if job.content.is_file() and load(job.torrent).pieces != pieces:  # trees: each has its own order
                    raise SystemExit(f"{name}: other piece hashes than those of {CREATE}")
                shutil.copy(kept(job), job.torrent)
    return results


def kept(job: Job) -> Path:
    """Name the place of our own torrent, for checks after others made theirs."""
    return job.torrent.with_suffix(".kept")


def show(results: dict[str, Results], job: Job) -> None:
    """Print the medians."""
    rows = []
    hashing = median(turn.alone or 0.0 for turn in results["one core, SHA-1 only"].turns)
    for name, result in results.items():
        whole = median(turn.whole for turn in result.turns)
        alone = [turn.alone for turn in result.turns if turn.alone is not None]
        pairs = zip(result.turns, results[CREATE].turns, strict=True)
        compared = median(turn.whole / ours.whole for turn, ours in pairs)
        seconds = median(alone) if alone else whole
        rows.append(
            [
                name,
                f"{whole:.3f}" if whole else "",
                f"{compared:.2f}" if whole else "",
                f"{median(alone):.3f}" if alone else "",
                f"{job.size / seconds / 1e6:.0f}",
                f"{hashing / seconds:.2f}",
                str(result.disturbed or ""),
            ]
        )
    print_table(["", "whole s", "x create", "alone s", "MB/s", "x SHA-1", "disturbed"], rows)


def piece_lengths(text: str) -> list[int]:
    """Read lengths between commas."""
    try:
        lengths = [parse_size(part) for part in text.split(",")]
        for length in lengths:
            CreateSettings(piece_length=length)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error
    return lengths


def main() -> None:
    """Run the benchmark."""
    parser = options(__doc__)
    parser.add_argument("--size", type=parse_size, default="256M", help="of the content (256M)")
    parser.add_argument("--piece-length", type=piece_lengths, default="64K,1M", help="one or several (64K,1M)")
    parser.add_argument("--files", type=int, default=0, metavar="N", help="a tree of so many files instead of one")
    parser.add_argument("--cold", action="store_true", help="from the disk instead of the page cache")
    parser.add_argument("--runs", type=int, default=5, help="turns (5)")
    parser.add_argument("--work", type=Path, help="folder for the content")
    chosen = parser.parse_args()
    report = Report("hashing", chosen.json)
    for name, program in PROGRAMS.items():
        if why := program.missing():
            print(f"{name} {why}")
    told: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory(prefix="p2pshare-bench-", dir=chosen.work) as folder:
        content = Path(folder, "content")
        if chosen.files:
            write_tree(content, chosen.files, chosen.size)
            os.sync()
        else:
            write_file(content, chosen.size)
        for length in chosen.piece_length:
            job = Job(content, chosen.size, length, Path(folder, "content.torrent"), chosen.cold)
            label = f"pieces of {format_size(length)}"
            files = f", {chosen.files} files" if chosen.files else ""
            cold = ", from the disk" if chosen.cold else ""
            print(f"\n{format_size(chosen.size)}{files}{cold}, {label}, medians of {chosen.runs}")
            programs = []
            for name, program in PROGRAMS.items():
                if length < program.smallest_piece:
                    print(f"{name} makes no pieces below {format_size(program.smallest_piece)}")
                elif not program.missing():
                    programs.append(name)
            results = take_turns(job, programs, chosen.runs)
            show(results, job)
            told[label] = {name: asdict(result) for name, result in results.items()}
    report.finish(size=chosen.size, files=chosen.files, cold=chosen.cold, results=told)


if __name__ == "__main__":
    main()
