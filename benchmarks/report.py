"""What every benchmark tells besides its figures: the machine, whether it was quiet, and a file that keeps them."""

from __future__ import annotations

import json
import os
import platform
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field

RESULTS = Path(__file__).with_name("results")
QUIET = 0.1  # of one core: what others may use of the machine without it being worth a word
_TICK = os.sysconf("SC_CLK_TCK")
_TOO_LITTLE = 0.15  # s of CPU: the kernel counts ticks of 10 ms, and not always ours as ours


def options(description: str | None) -> ArgumentParser:
    """Begin a benchmark's command line."""
    parser = ArgumentParser(description=description, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", type=Path, help="where the results go; else into benchmarks/results/")
    return parser


def machine() -> dict[str, str | int]:
    """Describe what the figures were measured on."""
    models = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "cores": os.cpu_count() or 1,
        "cpu": models[0] if models else platform.processor() or platform.machine(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def busy_time(stat: str) -> float:
    """
    Read from the text of ``/proc/stat`` the seconds that were spent in programs, or taken by a hypervisor.

    What the kernel does for everybody is left out: writing back what was downloaded is not a disturbance.
    """
    figures = stat.split("\n", 1)[0].split()
    user, nice, steal = (int(figures[number]) for number in (1, 2, 8))
    return (user + nice + steal) / _TICK


def _own_time() -> float:
    """User time of this process and of the children it has waited for."""
    times = os.times()
    return times.user + times.children_user


@define(eq=False)
class Bystanders:
    """Measures what other programs take of the machine meanwhile, by ``/proc/stat``; nothing where there is none."""

    _children: Callable[[], float] = lambda: 0.0  # user time of children that still run
    _since: float = field(init=False)
    _busy: float = field(init=False)
    _own: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._since, self._busy, self._own = self._now()

    def _now(self) -> tuple[float, float, float]:
        lines = _lines("/proc/stat")
        return time.monotonic(), busy_time(lines[0]) if lines else 0.0, _own_time() + self._children()

    @property
    def taken(self) -> float:
        """CPU seconds of theirs since the beginning."""
        _, busy, own = self._now()
        return max(0.0, busy - self._busy - (own - self._own)) if busy else 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._since

    @property
    def disturbed(self) -> bool:
        """Whether they took so much that the figures may be wrong."""
        return self.taken > max(_TOO_LITTLE, QUIET * self.elapsed)


@define(eq=False)
class Report:
    """One run of one benchmark: says first where it runs, and at the end whether it was alone there."""

    _name: str
    _file: Path | None
    _bystanders: Bystanders = field(factory=Bystanders)
    _started: str = field(init=False, factory=lambda: time.strftime("%Y-%m-%d %H:%M:%S"))

    def __attrs_post_init__(self) -> None:
        known = machine()
        print(f"{self._name} on {known['cores']} cores of {known['cpu']}, {known['kernel']}, {known['python']}")

    def finish(self, **results: Any) -> None:
        """Write everything down, and say where."""
        taken, elapsed = self._bystanders.taken, self._bystanders.elapsed
        if self._bystanders.disturbed:
            print(f"disturbed: other programs took {taken:.1f} s of CPU in {elapsed:.0f} s; repeat it when it is quiet")
        file = self._file
        if file is None:
            RESULTS.mkdir(exist_ok=True)
            file = RESULTS / f"{self._name}-{time.strftime('%Y%m%d-%H%M%S')}.json"
        told = {
            "benchmark": self._name,
            "started": self._started,
            "seconds": round(elapsed, 1),
            "others_cpu_s": round(taken, 2),
            "machine": machine(),
            **results,
        }
        file.write_text(json.dumps(told, indent=1) + "\n")
        print(f"written to {_short(file)}\n")


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns, the first one to the left."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        first, *rest = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join((row[0].ljust(len(first)), *rest)).rstrip())


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_absolute() and path.is_relative_to(here) else str(path)


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
