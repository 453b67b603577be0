"""What benchmarks tell besides their figures."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.report import Bystanders, Report, busy_time, print_table

STAT = "cpu  1000 200 300 4000 50 6 7 800 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n"


def printed(act: object, *arguments: object) -> str:
    """What a function says."""
    assert callable(act)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        act(*arguments)
    return said.getvalue()


class BusyTimeTests(SynchronousTestCase):
    """busy_time()"""

    def test_programs_and_hypervisor_count(self) -> None:
        """User, nice and stolen time of the whole machine are added up; the kernel's and idle time are not."""
        per_tick = busy_time("cpu  1 0 0 0 0 0 0 0 0 0\n")
        self.assertAlmostEqual(busy_time(STAT), 2000 * per_tick)


class BystandersTests(SynchronousTestCase):
    """Bystanders"""

    def test_what_children_use_is_not_held_against_others(self) -> None:
        """CPU time of our own children is not taken for that of other programs."""
        spent = [0.0]
        bystanders = Bystanders(lambda: spent[0])
        spent[0] = 1e9
        self.assertEqual(bystanders.taken, 0.0)
        self.assertFalse(bystanders.disturbed)


class ReportTests(SynchronousTestCase):
    """Report"""

    def test_results_are_written_with_the_machine(self) -> None:
        """The file names the benchmark, the machine and the results."""
        file = Path(self.mktemp())
        printed(lambda: Report("example", file).finish(results={"a": 1.5}))
        told = json.loads(file.read_text())
        self.assertEqual((told["benchmark"], told["results"]), ("example", {"a": 1.5}))
        self.assertEqual(sorted(told["machine"]), ["cores", "cpu", "kernel", "python"])
        self.assertIn("others_cpu_s", told)

    def test_machine_comes_first(self) -> None:
        """The first line says what the figures are measured on."""
        said = printed(Report, "example", Path(self.mktemp()))
        self.assertRegex(said, r"^example on \d+ cores of .+, .+, \w+ 3\.\d+")


class TableTests(SynchronousTestCase):
    """print_table()"""

    def test_columns_are_aligned(self) -> None:
        """The first column starts at the left, the others end at the right."""
        said = printed(print_table, ["pair", "MB/s"], [["a -> b", "7"], ["c", "1234"]])
        self.assertEqual(said, "pair    MB/s\na -> b     7\nc       1234\n")
