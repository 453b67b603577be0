"""Comparing transfers: what is said of the runs, and one small run of everything."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.network import Network
from benchmarks.processes import PROJECT
from benchmarks.runs import Figures
from benchmarks.transfer import Results, choose_pairs, ratio, show

PATIENCE = 120.0  # s; it takes a few
RUN = Figures(
    first_s=0.5,
    transfer_s=1.5,
    MBps=100.0,
    cpu_seed_s=0.1,
    cpu_leech_s=0.2,
    memory_seed=2 << 20,
    memory_leech=3 << 20,
    others_cpu_s=0.0,
    disturbed=False,
    copies=1.25,
)


def runs(*speeds: float | None) -> Results:
    """The results of a pair; None is a turn in which it failed."""
    return Results([None if speed is None else evolve(RUN, MBps=speed) for speed in speeds])


def speed(run: Figures) -> float:
    """What is compared."""
    return run.MBps


class RatioTests(SynchronousTestCase):
    """ratio()"""

    def test_turn_by_turn(self) -> None:
        """Each turn is compared with itself, so that a machine that got slower changes nothing."""
        self.assertEqual(ratio(runs(200, 20, 2), runs(100, 10, 1), speed), 2.0)

    def test_failed_turns_are_left_out(self) -> None:
        """A turn in which either failed says nothing."""
        self.assertEqual(ratio(runs(None, 30, 99), runs(10, 10, None), speed), 3.0)

    def test_nothing_to_compare_with(self) -> None:
        """Without the other pair, or without a common turn, there is no ratio."""
        self.assertIsNone(ratio(runs(1), None, speed))
        self.assertIsNone(ratio(runs(1, None), runs(None, 1), speed))


class ShowTests(SynchronousTestCase):
    """show() and choose_pairs()"""

    def test_failures_are_told(self) -> None:
        """A pair that failed in some turn has its row, and a line that says why."""
        result = runs(100, None)
        result.failures.append("the copy of b differs")
        with contextlib.redirect_stdout(io.StringIO()) as said:
            show({("a", "b"): result}, 1)
        self.assertIn("a -> b   100  100-100", said.getvalue())
        self.assertIn("a -> b failed: the copy of b differs", said.getvalue())

    def test_swarms_tell_what_the_seed_gave(self) -> None:
        """With several leeches, the time until the last is complete counts, and how many copies the seed gave."""
        with contextlib.redirect_stdout(io.StringIO()) as said:
            show({("a", "a"): runs(100)}, 4)
        head, row = said.getvalue().splitlines()
        self.assertEqual(head.split()[7:13], ["last", "done", "s", "seed", "gave", "x"])
        self.assertEqual(row.split()[-7:-4], ["0.50", "2.00", "1.25"])

    def test_what_cannot_run_is_left_out_with_a_word(self) -> None:
        """A client that needs what is not there is named once, and its pairs are left out."""
        with contextlib.redirect_stdout(io.StringIO()) as said:
            pairs = choose_pairs("p2pshare,transmission,p2pshare:transmission", 1, Network(False, "no namespace"))
        self.assertEqual(pairs, [("p2pshare", "p2pshare")])
        self.assertEqual(said.getvalue().count("transmission"), 1)


class SmallRunTests(SynchronousTestCase):
    """Real processes, a small file; how fast they are is nobody's business here."""

    def run_benchmark(self, *arguments: str) -> dict[str, object]:
        """Run one as users do, and read what it has written."""
        file = Path(self.mktemp()).absolute()
        command = [sys.executable, "-m", *arguments, "--json", str(file)]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE)
        self.assertTrue(file.exists(), done.stdout + done.stderr)
        told: dict[str, object] = json.loads(file.read_text())
        return told

    def test_swarm_of_our_own(self) -> None:
        """A seed and two leeches: the copies are right, and everything that is told of them is there."""
        told = self.run_benchmark(
            *("benchmarks.transfer", "--size", "2M", "--piece-length", "64K", "--files", "20"),
            *("--runs", "1", "--swarm", "2", "--pairs", "p2pshare"),
        )
        results = told["results"]
        assert isinstance(results, dict)
        result = results["pieces of 64.0 KiB"]["p2pshare -> p2pshare"]
        self.assertEqual(result["failures"], [])
        run = result["runs"][0]
        self.assertGreaterEqual(run["copies"], 1.0)
        self.assertTrue(run["memory_seed"] and run["memory_leech"])

    def test_latency_with_peers_that_do_not_read(self) -> None:
        """Both cases are measured in both processes, with some who ask for everything and read nothing."""
        told = self.run_benchmark("benchmarks.latency", "--size", "2M", "--runs", "1", "--deaf", "3")
        results = told["results"]
        assert isinstance(results, dict)
        self.assertEqual(list(results), ["alone", "with 3 deaf"])
        for turns in results.values():
            self.assertEqual(sorted(turns[0]["seen"]), ["leech", "seed"])
            self.assertTrue(all(seen["memory"] for seen in turns[0]["seen"].values()))
