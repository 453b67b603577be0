"""The files and questions of the search benchmark, and what is made of its measurements."""

from __future__ import annotations

from pathlib import Path
from random import Random
from statistics import median

from twisted.internet.defer import Deferred

from benchmarks.search import (
    CATEGORIES,
    FILES,
    NODES,
    Names,
    at_percent,
    claim,
    fill,
    in_short,
    measure,
    place,
    questions,
)
from p2pshare.index.search import SearchQuery
from tests.index.opened import TODAY, IndexTestCase


class ContentsTests(IndexTestCase):
    """What is asked for is there."""

    def setUp(self) -> None:
        super().setUp()
        self.random = Random(0)
        self.names = Names(self.random)
        self.claims = [claim(self.names, number, self.random) for number in range(200)]
        self.inside(lambda connection: fill(connection, self.claims, TODAY))

    def test_every_file_is_one_of_its_own(self) -> None:
        """As many files are entered as were made up, of many owners and in all categories."""
        figures = self.successResultOf(self.catalogue.network_figures())
        self.assertEqual(figures.total_files, 200)
        owners = {made.owner for made in self.claims}
        self.assertTrue(50 < len(owners) <= NODES, owners)
        self.assertLessEqual({made.category for made in self.claims} - {"other"}, set(CATEGORIES.values()))

    def test_questions_find_something(self) -> None:
        """Most kinds of questions find files even among few; those about nodes find none, for none is online."""
        for kind, ask in questions(self.names, self.random).items():
            found = [self.successResultOf(self.catalogue.shares.search(ask())).total for _ in range(30)]
            expected = not any(word in kind for word in ("online", "nothing", "size", "tags", "rare", "whole", "two"))
            if expected:
                self.assertTrue(any(found), kind)
            if kind.startswith("nothing") or kind == "everything online":
                self.assertFalse(any(found), kind)

    def test_each_answer_is_timed(self) -> None:
        """One time is taken for each question, however many are asked at once."""
        for at_once in (1, 4):
            taken = self.successResultOf(
                Deferred.fromCoroutine(measure(self.catalogue, lambda: SearchQuery("a"), 8, at_once))
            )
            self.assertEqual(len(taken), 8)
            self.assertGreater(min(taken), 0)


class FigureTests(IndexTestCase):
    """Sums."""

    def test_percentiles(self) -> None:
        """So many of a hundred values are not larger; of few values it is the largest."""
        values = [float(value) for value in range(100, 0, -1)]
        self.assertEqual((at_percent(values, 99), at_percent(values, 50), at_percent([3.0], 99)), (100.0, 51.0, 3.0))
        self.assertEqual(in_short(values), {"median": median(values), "p99": 100.0, "worst": 100.0})

    def test_size_of_the_task(self) -> None:
        """The goal is about a hundred thousand files."""
        self.assertEqual(FILES, 100_000)

    def test_a_place_that_stays(self) -> None:
        """A file that was named stays where it is; one that was not is gone afterwards, with its folder."""
        named = Path(self.mktemp())
        with place(named) as path:
            self.assertEqual(path, str(named))
        with place(None) as path:
            folder = Path(path).parent
            self.assertTrue(folder.is_dir())
        self.assertFalse(folder.exists())
