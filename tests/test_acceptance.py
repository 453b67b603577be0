"""docs/acceptance.md promises a test for each row: see that the tests it names are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "acceptance.md"
# Those that have to be there: of each design, from the first to the last.
LAST = {"S0": 18, "S1": 20, "S2": 18, "S3": 16, "S4": 20}
ROWS = tuple(f"{design}-{number}" for design, last in LAST.items() for number in range(1, last + 1))


def promised(page: str) -> dict[str, list[str]]:
    """Read the page's tables: row -> the tests named for it, each as ``path::name``."""
    found: dict[str, list[str]] = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if re.fullmatch(r"(S\d-|F)\d+", cells[0]):
            found.setdefault(cells[0], []).extend(re.findall(r"`(tests/[\w/]+\.py::\w+)`", cells[-1]))
    return found


def names_in(path: Path) -> set[str]:
    """Name the test methods of a file."""
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


class AcceptanceTests(SynchronousTestCase):
    """The page and the tests agree."""

    def setUp(self) -> None:
        self.rows = promised(PAGE.read_text())

    def test_every_row_has_a_test(self) -> None:
        """No row is without a test, and none of those that have to be there is missing."""
        self.assertEqual([row for row in ROWS if row not in self.rows], [])
        self.assertEqual([row for row, tests in self.rows.items() if not tests], [])

    def test_tests_exist(self) -> None:
        """Every test that is named exists, and its own name says which row it is for."""
        wrong = []
        for row, tests in self.rows.items():
            prefix = f"test_{row.lower().replace('-', '_')}_"
            for test in tests:
                path, _, name = test.partition("::")
                if not (ROOT / path).is_file() or name not in names_in(ROOT / path) or not name.startswith(prefix):
                    wrong.append(f"{row}: {test}")
        self.assertEqual(wrong, [])

    def test_named_once(self) -> None:
        """No test is named twice."""
        twice = [test for tests in self.rows.values() for test in set(tests) if tests.count(test) > 1]
        self.assertEqual(twice, [])
