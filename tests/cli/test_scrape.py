"""``p2pshare scrape``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli import scrape
from p2pshare.cli.exits import ExitCode
from p2pshare.errors import TrackerFailure, TrackerUnreachable
from p2pshare.wire.announce import ScrapeCounts
from tests.cli.sample import content, objects, run, torrent_of

STRANGE = "udp://tracker.example:6969"  # nobody here has a client for it


@frozen
class FakeTracker:
    """Answers at once, the same each time."""

    answer: Callable[[], Deferred[Mapping[bytes, ScrapeCounts]]]

    def scrape(self, hashes: Iterable[bytes]) -> Deferred[Mapping[bytes, ScrapeCounts]]:
        """Answer."""
        return self.answer()


class FakeTrackers:
    """Makes the client of each known URL."""

    def __init__(self, **trackers: Callable[[], Deferred[Any]]) -> None:
        self.trackers = {f"http://{name}.example/announce": answer for name, answer in trackers.items()}
        self.is_closed = False

    def __call__(self, url: str) -> FakeTracker | None:
        return FakeTracker(self.trackers[url]) if url in self.trackers else None

    def close(self) -> Deferred[None]:
        self.is_closed = True
        return succeed(None)


class ScrapeTests(SynchronousTestCase):
    """The command with trackers that answer from memory."""

    def setUp(self) -> None:
        self.root = content(Path(self.mktemp()))
        self.info_hash = torrent_of(self.root)[1].info_hash
        self.trackers = FakeTrackers(
            good=lambda: succeed({self.info_hash: ScrapeCounts(complete=3, incomplete=2, downloaded=15)}),
            ignorant=lambda: succeed({}),
            strict=lambda: fail(TrackerFailure("members only")),
            dead=lambda: fail(TrackerUnreachable("http://dead.example/scrape: connection refused")),
        )
        self.patch(scrape, "tracker_clients", lambda reactor: self.trackers)
        self.patch(scrape, "run", lambda task: self.successResultOf(Deferred.fromCoroutine(task(None))))

    def torrent(self, *names: str) -> Path:
        """Make a torrent with these trackers."""
        return torrent_of(self.root, [[f"http://{name}.example/announce" for name in names], [STRANGE]])[0]

    def test_answers(self) -> None:
        """Every tracker gets a line with what it said; one answer is enough for exit code 0."""
        result = run("scrape", self.torrent("good", "ignorant", "strict", "dead"))
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertEqual(
            result.output.splitlines(),
            [
                "http://good.example/announce: seeds 3, leeches 2, downloads 15",
                "http://ignorant.example/announce: does not know this torrent",
                "http://strict.example/announce: refused: members only",
                "http://dead.example/announce: no answer: connection refused",
                f"{STRANGE}: cannot be asked: an http, https or udp URL is expected",
            ],
        )
        self.assertTrue(self.trackers.is_closed)

    def test_nobody_answers(self) -> None:
        """If no tracker answers, the exit code is 4."""
        result = run("scrape", self.torrent("dead", "strict"))
        self.assertEqual(result.exit_code, ExitCode.NOBODY_FOUND)
        self.assertEqual(result.stderr, "p2pshare: photos: no tracker answered\n")

    def test_no_tracker(self) -> None:
        """A torrent without trackers cannot be asked about, unless one is given."""
        file, _ = torrent_of(self.root, ())
        result = run("scrape", file)
        self.assertEqual(result.exit_code, ExitCode.NOBODY_FOUND)
        self.assertIn("names no tracker; name one with -t URL", result.stderr)
        self.assertEqual(run("scrape", file, "-t", "http://good.example/announce").exit_code, 0)
        self.assertEqual(run("scrape", file, env={"P2PSHARE_TRACKER": "http://good.example/announce"}).exit_code, 0)

    def test_given_trackers_only(self) -> None:
        """With -t the torrent's own trackers are left alone."""
        result = run("scrape", self.torrent("dead"), "-t", "http://good.example/announce")
        self.assertEqual(result.output, "http://good.example/announce: seeds 3, leeches 2, downloads 15\n")

    def test_json(self) -> None:
        """As JSON it is one object, also when nobody answers."""
        (answered,) = objects(run("scrape", "--json", self.torrent("good", "ignorant")))
        self.assertEqual(answered["info_hash"], self.info_hash.hex())
        self.assertEqual(
            answered["trackers"],
            [
                {"url": "http://good.example/announce", "seeds": 3, "leeches": 2, "downloads": 15},
                {"url": "http://ignorant.example/announce", "error": "does not know this torrent"},
                {"url": STRANGE, "error": "cannot be asked: an http, https or udp URL is expected"},
            ],
        )
        result = run("scrape", "--json", self.torrent("dead"))
        self.assertEqual(result.exit_code, ExitCode.NOBODY_FOUND)
        self.assertEqual(len(objects(result)), 1)

    def test_f77_words_of_trackers_are_escaped(self) -> None:
        """What a tracker says cannot steer the terminal."""
        self.trackers.trackers["http://good.example/announce"] = lambda: fail(TrackerFailure("\x1b[2J"))
        self.assertIn("refused: \\x1b[2J", run("scrape", self.torrent("good", "ignorant")).stdout)
