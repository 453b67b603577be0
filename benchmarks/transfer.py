"""
From one seed to one leech or to many, over loopback: p2pshare beside libtorrent, aria2, ctorrent and Transmission.

    python -m benchmarks.transfer --size 1G --runs 5                  each client to itself, and with p2pshare
    python -m benchmarks.transfer --pairs p2pshare,ctorrent:p2pshare  some pairs; one name is a pair of its own kind
    python -m benchmarks.transfer --swarm 4 --size 128M               one seed, four leeches that stay and serve
    python -m benchmarks.transfer --piece-length 16K,256K,4M
    python -m benchmarks.transfer --files 10000                       a tree of small files

Every client is a process of its own, with an address of its own, and finds the others through a tracker. The pairs take
turns, so that a machine that gets slower slows all of them; "x lt" is the median of the speeds divided by that of
libtorrent -> libtorrent in the same turn. Every copy is compared with the original. CPU seconds are those of the whole
process, of a seed while the leeches run; memory is private memory, the most that was seen. A run during which other
programs took more than a tenth of a core is done again, at most two of a pair; the last column counts what is left.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TypeVar

from attrs import asdict, define, field

from benchmarks.clients import CLIENTS
from benchmarks.contents import write_file, write_tree
from benchmarks.network import Network, enter
from benchmarks.processes import ProgramFailed, end_on_sigterm
from benchmarks.report import Report, options, print_table
from benchmarks.runs import Course, Figures, Job, Pair
from benchmarks.tracker import Tracker
from p2pshare.errors import P2PShareError
from p2pshare.metainfo import dump
from p2pshare.rates import format_size, parse_size
from p2pshare.storage.create import CreateSettings, create

YARDSTICK = ("libtorrent", "libtorrent")
USUAL = ("p2pshare", "libtorrent", "aria2", "ctorrent", "transmission")
AGAIN = 2  # how often a disturbed run is repeated

T = TypeVar("T")


@define(eq=False)
class Results:
    """What became of one pair, turn by turn; None where it failed."""

    runs: list[Figures | None] = field(factory=list)
    failures: list[str] = field(factory=list)
    repeated: int = 0

    def figures(self) -> list[Figures]:
        """Those of the turns that went well."""
        return [run for run in self.runs if run is not None]

    def typical(self, figure: Callable[[Figures], float]) -> float:
        """Give the median of a figure."""
        return median(map(figure, self.figures()))


def ratio(ours: Results, theirs: Results | None, speed: Callable[[Figures], float]) -> float | None:
    """Compare speeds turn by turn: the median of the ratios, None when there is no turn in which both went well."""
    turns = zip(ours.runs, theirs.runs, strict=False) if theirs is not None else ()
    ratios = [speed(one) / speed(other) for one, other in turns if one is not None and other is not None]
    return median(ratios) if ratios else None


def take_turns(course: Course, job: Job, pairs: Sequence[Pair], runs: int, leeches: int) -> dict[Pair, Results]:
    """Run every pair so many times, one after the other."""
    results = {pair: Results() for pair in pairs}
    for turn in range(runs):
        for pair in pairs:
            _progress(f"turn {turn + 1} of {runs}: {' -> '.join(pair)}")
            result = results[pair]
            try:
                figures = course.run(pair, job, leeches)
                while figures.disturbed and result.repeated < AGAIN:
                    result.repeated += 1
                    figures = course.run(pair, job, leeches)
            except ProgramFailed as error:
                result.failures.append(str(error))
                result.runs.append(None)
            else:
                result.runs.append(figures)
    _progress("")
    return results


def show(results: dict[Pair, Results], leeches: int) -> None:
    """Print the medians of all pairs."""

    def speed(run: Figures) -> float:
        return run.MBps if leeches == 1 else 1 / run.wall_s

    yardstick = results.get(YARDSTICK)
    rows = []
    for pair, result in results.items():
        if not result.figures():
            continue
        compared = ratio(result, yardstick, speed)
        fastest = [f"{pick(run.MBps for run in result.figures()):.0f}" for pick in (min, max)]
        copies = [run.copies for run in result.figures() if run.copies is not None]
        middle = [
            f"{result.typical(lambda run: run.MBps):.0f}",
            "-".join(fastest),
            "" if compared is None else f"{compared:.2f}",
            f"{result.typical(lambda run: run.first_s):.2f}",
        ]
        if leeches > 1:
            middle += [
                f"{result.typical(lambda run: run.wall_s):.2f}",
                f"{median(copies):.2f}" if copies else "?",
            ]
        rows.append(
            [
                " -> ".join(pair) + (f" x {leeches}" if leeches > 1 else ""),
                *middle,
                f"{result.typical(lambda run: run.cpu_seed_s):.2f}",
                f"{result.typical(lambda run: run.cpu_leech_s):.2f}",
                f"{result.typical(lambda run: run.memory_seed) / 2**20:.0f}",
                f"{result.typical(lambda run: run.memory_leech) / 2**20:.0f}",
                str(sum(run.disturbed for run in result.figures()) or ""),
            ]
        )
    more = ["last done s", "seed gave x"] if leeches > 1 else []
    tail = ["CPU seed", "CPU leech", "MiB seed", "MiB leech", "disturbed"]
    print_table(["pair", "MB/s", "range", "x lt", "first s", *more, *tail], rows)
    for pair, result in results.items():
        for failure in result.failures:
            print(f"{' -> '.join(pair)} failed: {failure}")


def choose_pairs(named: str | None, leeches: int, network: Network) -> list[Pair]:
    """Read the pairs that are asked for, and leave those out that cannot be had here, with a word about it."""
    if named is not None:
        pairs = [(name.partition(":")[0], name.rpartition(":")[2]) for name in named.split(",")]
    else:
        pairs = [(name, name) for name in USUAL]
        if leeches == 1:
            pairs += [pair for name in USUAL[1:] for pair in (("p2pshare", name), (name, "p2pshare"))]
    missing = {name: CLIENTS[name].missing(network) for pair in pairs for name in pair}
    for name, why in missing.items():
        if why is not None:
            print(f"{name} {why}")
    return [pair for pair in pairs if missing[pair[0]] is missing[pair[1]] is None]


def listed(read: Callable[[str], T]) -> Callable[[str], list[T]]:
    """Read several values between commas."""
    return lambda text: [read(part) for part in text.split(",")]


def known_pairs(text: str) -> str:
    """Make sure that only clients are named that there are."""
    for name in text.replace(":", ",").split(","):
        if name not in CLIENTS:
            raise ArgumentTypeError(f"client {name!r}: known are {', '.join(CLIENTS)}")
    return text


def prepare(chosen: Namespace, folder: Path, tracker: Tracker) -> list[tuple[str, Job]]:
    """Write the content and a torrent for each length of pieces."""
    content = folder / "source" / "content"
    content.parent.mkdir()
    needed = chosen.size * (1 + max(1, chosen.swarm))
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SystemExit(
            f"{folder}: {format_size(free)} are free, {format_size(needed)} are needed; --work names another folder"
        )
    if chosen.files:
        write_tree(content, chosen.files, chosen.size)
    else:
        write_file(content, chosen.size)
    jobs = []
    for length in chosen.piece_length:
        torrent = folder / f"{length}.torrent"
        settings = CreateSettings(announce_tiers=((tracker.url,),), private=True, piece_length=length)
        torrent.write_bytes(dump(create(content, settings)))
        jobs.append((f"pieces of {format_size(length)}", Job(content, torrent, chosen.size)))
    return jobs


def main() -> int:
    """Run the benchmark; 1 when anything failed."""
    parser = options(__doc__)
    parser.add_argument("--size", type=parse_size, default="256M", help="of the content (256M)")
    parser.add_argument("--piece-length", type=listed(parse_size), default="1M", help="one or several (1M)")
    parser.add_argument("--files", type=int, default=0, metavar="N", help="a tree of so many files instead of one")
    parser.add_argument("--runs", type=int, default=3, help="turns (3)")
    parser.add_argument("--swarm", type=int, default=0, metavar="N", help="leeches of each seed")
    parser.add_argument("--pairs", type=known_pairs, help=f"SEED:LEECH,…; there are {', '.join(CLIENTS)}")
    parser.add_argument("--work", type=Path, help="folder for the content and its copies")
    chosen = parser.parse_args()
    leeches = max(1, chosen.swarm)
    end_on_sigterm()
    network = enter()
    report = Report("transfer", chosen.json)
    pairs = choose_pairs(chosen.pairs, leeches, network)
    if not pairs:
        raise SystemExit("nothing to measure")
    told: dict[str, dict[str, object]] = {}
    failed = False
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="p2pshare-bench-", dir=chosen.work)))
        tracker = stack.enter_context(Tracker(network.host(1)).listening())
        course = Course(network, tracker, folder)
        try:
            jobs = prepare(chosen, folder, tracker)
        except P2PShareError as error:
            raise SystemExit(str(error)) from None
        for label, job in jobs:
            files = f", {chosen.files} files" if chosen.files else ""
            print(f"\n{format_size(job.size)}{files}, {label}, medians of {chosen.runs}")
            results = take_turns(course, job, pairs, chosen.runs, leeches)
            show(results, leeches)
            failed = failed or any(result.failures for result in results.values())
            told[label] = {" -> ".join(pair): asdict(result) for pair, result in results.items()}
    report.finish(size=chosen.size, files=chosen.files, leeches=leeches, results=told)
    return 1 if failed else 0


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:70}\r", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
