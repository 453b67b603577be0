"""Comparing programs that hash: how often a disturbed run is repeated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import hashing
from benchmarks.hashing import AGAIN, Job, Program, Results, Seconds, measure


class Others:
    """Programs that take a core for so many runs, and are quiet after that."""

    def __init__(self, runs: int) -> None:
        self._runs = runs

    def __call__(self) -> Any:
        """Begin to measure what they take."""
        self._runs -= 1
        self.taken = 1.0 if self._runs >= 0 else 0.0
        self.elapsed = 1.0
        return self


class MeasureTests(SynchronousTestCase):
    """measure()"""

    def setUp(self) -> None:
        content = Path(self.mktemp())
        content.write_bytes(b"content")
        self.job = Job(content, 7, 16384, content.with_suffix(".torrent"), False)
        self.runs = 0

    def run_once(self, job: Job) -> Seconds:
        """Note that it was run."""
        self.runs += 1
        return Seconds(float(self.runs))

    def measure(self, results: Results, disturbed: int) -> None:
        """Measure one turn while others are busy for so many runs."""
        self.patch(hashing, "Bystanders", Others(disturbed))
        measure(Program(self.run_once), self.job, results)

    def test_quiet(self) -> None:
        """An undisturbed run counts as it is."""
        results = Results()
        self.measure(results, 0)
        self.assertEqual((results.turns, results.disturbed, self.runs), ([Seconds(1.0)], 0, 1))

    def test_disturbed(self) -> None:
        """A disturbed run is done again, and the last one counts."""
        results = Results()
        self.measure(results, 2)
        self.assertEqual((results.turns, results.disturbed, self.runs), ([Seconds(3.0)], 0, 3))

    def test_not_for_ever(self) -> None:
        """On a busy machine a program is repeated so often in all its turns, and no more; the figures say so."""
        results = Results()
        for _ in range(3):
            self.measure(results, 100)
        self.assertEqual((len(results.turns), results.disturbed, self.runs), (3, 3, 3 + AGAIN))
