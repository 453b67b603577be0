"""``p2pshare top``."""

from __future__ import annotations

from io import StringIO

from rich.console import Console
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli import top
from p2pshare.cli.exits import Ended, ExitCode, interrupted
from p2pshare.cli.node import TORRENT_COLUMNS, NodeTorrent, NodeTorrents, torrent_row
from p2pshare.cli.tables import make_table
from p2pshare.errors import IndexUnreachable
from tests.cli.sample import run
from tests.cli.services import FakeService, run_now, serve
from tests.cli.test_control import TORRENTS, A, B


class TopTests(SynchronousTestCase):
    """The command with a daemon that answers from memory."""

    def setUp(self) -> None:
        self.node = FakeService(
            answers={TORRENTS: {"torrents": [B, A], "total": 2, "down_rate": 1 << 20, "up_rate": 0}}
        )
        serve(self, self.node)
        self.patch(top, "run", run_now(self))

    def test_once(self) -> None:
        """Where no terminal is, a look is a line for all, and one for each torrent that moves."""
        result = run("top", "--once")
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertEqual(
            result.stdout.splitlines(),
            [
                "2 torrents, down 1.0 MiB/s, up 0 B/s",
                "disk.img\tdownloading\t42.0%\t1.0 MiB\t1.0 MiB/s\t-\t2\t1m00s\taaaaaaaa",
            ],
        )

    def test_rounds(self) -> None:
        """It looks again every so often, with one client, until it is told to stop; that closes the client."""
        clock, seen = Clock(), []
        watching = Deferred.fromCoroutine(top.watch(clock, "http://127.0.0.1:8081", 1.0, False, seen.append))
        for _ in range(3):
            clock.advance(1)
        self.assertEqual((len(seen), self.node.closed), (4, 0))
        watching.cancel()
        self.failureResultOf(watching, CancelledError)
        self.assertEqual(self.node.closed, 1)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_ctrl_c_is_a_good_end(self) -> None:
        """To be told to stop is how it ends: exit code 0."""

        def stopped(task: object) -> None:
            raise interrupted(2)

        self.patch(top, "run", stopped)
        self.assertEqual(run("top").exit_code, 0)

    def test_no_daemon(self) -> None:
        """If no daemon answers, the exit code is 4."""
        self.node.answers[TORRENTS] = IndexUnreachable("http://127.0.0.1:8081: connection refused")
        self.assertEqual(run("top").exit_code, ExitCode.NOBODY_FOUND)

        def ended(task: object) -> None:
            raise Ended("gone", ExitCode.NOBODY_FOUND)

        self.patch(top, "run", ended)
        self.assertEqual(run("top").exit_code, ExitCode.NOBODY_FOUND)

    def test_busiest_first(self) -> None:
        """What moves comes first, then what is not complete, then the rest by name."""
        torrents = (
            NodeTorrent("1" * 40, "b", "seeding", 100.0),
            NodeTorrent("2" * 40, "a", "seeding", 100.0),
            NodeTorrent("3" * 40, "z", "downloading", 10.0),
            NodeTorrent("4" * 40, "y", "downloading", 10.0, up_rate=5.0),
        )
        self.assertEqual([each.name for each in top.busiest(NodeTorrents(torrents)).torrents], ["y", "z", "a", "b"])

    def test_narrow_terminal(self) -> None:
        """On a terminal a row is one line, however long the name; the id stays whole."""
        torrent = NodeTorrent("ab" * 20, "a very long name [bold]of[/bold] something " * 4, "downloading", 1.0)
        for width in (80, 100, 200):
            drawn = StringIO()
            Console(file=drawn, width=width).print(make_table(TORRENT_COLUMNS, [torrent_row(torrent)], width))
            heading, row = drawn.getvalue().splitlines()
            self.assertTrue(row.startswith("a very long name"), row)
            self.assertIn("abababab", row)
            self.assertLessEqual(len(row), width)
            self.assertEqual("SIZE" in heading, width >= 100, heading)
