"""How transfers are shown."""

from __future__ import annotations

import json
import os
import sys
from io import StringIO
from typing import Any
from unittest import mock

import click
from attrs import evolve, frozen
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.text import Text
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli.exits import ABOUT
from p2pshare.cli.figures import Ascent, SwarmSnapshot, describe
from p2pshare.cli.hashing import Hashing
from p2pshare.cli.live_bar import LiveBar
from p2pshare.cli.progress import JsonLines, Lines, Mode, Progress, Silence, make_progress, mode


@frozen
class Snapshot:
    """A download of 50 pieces, 21 of them done."""

    name: str = "big.iso"
    info_hash: str = "ab" * 20
    state: str = "downloading"
    pieces_done: int = 21
    pieces_total: int = 50
    bytes_done: int = 21 * 16384
    bytes_total: int = 50 * 16384
    peers: int = 2
    down_rate: float = 1024.0 * 1024
    up_rate: float = 0.0
    eta: float | None = 12.0
    error: str | None = None


HALF: SwarmSnapshot = Snapshot()
FULL = evolve(Snapshot(), pieces_done=50, bytes_done=50 * 16384, eta=None)


class Terminal(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class AscentTests(SynchronousTestCase):
    """The percentage."""

    def test_cut_not_rounded(self) -> None:
        """99.96 % is shown as 99.9: 100.0 is for what is complete."""
        almost = evolve(Snapshot(), pieces_done=49, bytes_done=9996, bytes_total=10000)
        self.assertEqual(Ascent().percent(almost), 99.9)

    def test_last_piece_is_verified(self) -> None:
        """All bytes without the last verified piece are not 100 %."""
        self.assertEqual(Ascent().percent(evolve(FULL, pieces_done=49)), 99.9)
        self.assertEqual(Ascent().percent(FULL), 100.0)

    def test_size_not_known_yet(self) -> None:
        """As long as nobody knows how much there is, it is 0."""
        unknown = evolve(Snapshot(), pieces_done=0, pieces_total=0, bytes_done=0, bytes_total=0)
        self.assertEqual(Ascent().percent(unknown), 0.0)

    def test_nothing_but_empty_files(self) -> None:
        """A content without a byte has no piece; seeded, it is there all the same."""
        empty = evolve(Snapshot(), state="seeding", pieces_done=0, pieces_total=0, bytes_done=0, bytes_total=0)
        self.assertEqual(Ascent().percent(empty), 100.0)

    @settings(max_examples=100)
    @given(st.lists(st.integers(0, 50), min_size=1))
    def test_never_falls(self, done: list[int]) -> None:
        """Whatever is lost again, the percentage stays; and it is 100.0 exactly when all pieces were there."""
        ascent = Ascent()
        shown = [ascent.percent(evolve(Snapshot(), pieces_done=pieces, bytes_done=pieces * 16384)) for pieces in done]
        self.assertEqual(shown, sorted(shown))
        self.assertEqual(shown[-1] == 100.0, 50 in done)


class DescribeTests(SynchronousTestCase):
    """The line of text."""

    def test_download(self) -> None:
        """A download says percentage, pieces, peers, rate and time left."""
        self.assertEqual(describe(HALF, 42.0), "42.0% (21/50 pieces) 2 peers 1.0 MiB/s ETA 12s")

    def test_one_peer_and_upload(self) -> None:
        """One peer is one peer; what goes out is said when something does; no time left is said when unknown."""
        snapshot = evolve(Snapshot(), peers=1, up_rate=512.0, eta=None)
        self.assertEqual(describe(snapshot, 42.0), "42.0% (21/50 pieces) 1 peer 1.0 MiB/s up 512 B/s")

    def test_seeding(self) -> None:
        """A seed says what it gives."""
        snapshot = evolve(FULL, state="seeding", up_rate=2048.0)
        self.assertEqual(describe(snapshot, 100.0), "seeding: 100.0% (50/50 pieces) 2 peers up 2.0 KiB/s")

    def test_checking(self) -> None:
        """Nobody else is involved in checking one's own disk."""
        self.assertEqual(
            describe(evolve(Snapshot(), state="checking"), 42.0), "checking: 42.0% (21/50 pieces) 1.0 MiB/s ETA 12s"
        )

    def test_f77_trouble_is_escaped(self) -> None:
        """What goes wrong is said, escaped: a tracker may have worded it."""
        line = describe(evolve(Snapshot(), error="no\x1b[2J\n"), 42.0)
        self.assertTrue(line.endswith("ETA 12s - no\\x1b[2J\\n"), line)


class LinesTests(SynchronousTestCase):
    """Plain lines."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.stream = StringIO()
        self.lines = Lines(self.stream, now=self.clock.seconds)

    def written(self) -> list[str]:
        """Tell which lines there are."""
        return self.stream.getvalue().splitlines()

    def test_at_most_one_a_second(self) -> None:
        """Shown four times a second for three seconds, there is one line for each second begun."""
        for _ in range(12):
            self.lines.show(HALF)
            self.clock.advance(0.25)
        self.assertEqual(len(self.written()), 3)

    def test_late_calls(self) -> None:
        """Calls that come a little late each time still give a line each."""
        for _ in range(5):
            self.lines.show(HALF)
            self.clock.advance(1.001)
        self.assertEqual(len(self.written()), 5)

    def test_complete_comes_at_once(self) -> None:
        """The last line does not wait for the next second, and is not said twice."""
        self.lines.show(HALF)
        self.lines.complete(FULL)
        self.lines.complete(FULL)
        self.assertEqual(self.written()[1:], ["100.0% (50/50 pieces) 2 peers 1.0 MiB/s"])

    def test_seeding_is_quiet(self) -> None:
        """While seeding there is a line a minute, and none if nothing is new."""
        seeding = evolve(FULL, state="seeding", down_rate=0.0)
        self.lines.complete(seeding)
        for minute in range(4):
            for _ in range(60):
                self.lines.show(evolve(seeding, peers=2 if minute < 2 else 3))
                self.clock.advance(1)
        self.assertEqual(len(self.written()), 2)
        self.assertIn("3 peers", self.written()[1])


class JsonLinesTests(SynchronousTestCase):
    """JSON lines, which go to standard output."""

    def show(self, *snapshots: SwarmSnapshot) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Show these a second apart, the last one as the end; return the events, and what an error would repeat."""
        clock, meta = Clock(), {}

        @click.command
        def command() -> None:
            lines = make_progress(Mode.JSON, now=clock.seconds)
            for snapshot in snapshots[:-1]:
                lines.show(snapshot)
                lines.show(snapshot)
                clock.advance(1)
            lines.complete(snapshots[-1])
            lines.close()
            meta.update(click.get_current_context().meta)

        result = CliRunner().invoke(command, standalone_mode=False)
        return [json.loads(line) for line in result.stdout.splitlines()], meta[ABOUT]

    def test_events(self) -> None:
        """One progress event a second, then complete; keys as promised."""
        events, about = self.show(HALF, FULL)
        self.assertEqual([event["event"] for event in events], ["progress", "complete"])
        self.assertEqual(
            events[0],
            {
                "event": "progress",
                "name": "big.iso",
                "info_hash": "ab" * 20,
                "state": "downloading",
                "percent": 42.0,
                "pieces_done": 21,
                "pieces_total": 50,
                "peers": 2,
                "down_rate": 1048576,
                "up_rate": 0,
                "eta": 12.0,
            },
        )
        self.assertEqual(events[1]["percent"], 100.0)
        self.assertEqual(about["pieces_done"], 50)

    def test_trouble_and_infinity(self) -> None:
        """Trouble that passes has its own key; a time that never comes is null, as JSON knows no infinity."""
        events, _ = self.show(evolve(Snapshot(), error="disk full", eta=float("inf")), FULL)
        self.assertEqual((events[0]["error"], events[0]["eta"]), ("disk full", None))
        self.assertNotIn("error", events[1])

    def test_f77_names_are_ascii(self) -> None:
        """A name with control characters is escaped as JSON does it."""
        result, _ = self.show(evolve(Snapshot(), name="a\x1b\u202eb"), FULL)
        self.assertEqual(result[0]["name"], "a\x1b\u202eb")


class LiveBarTests(SynchronousTestCase):
    """The bar on a terminal."""

    def setUp(self) -> None:
        environment = mock.patch.dict(os.environ, {"TERM": "xterm", "COLUMNS": "100"})
        environment.start()
        self.addCleanup(environment.stop)

    def test_drawn(self) -> None:
        """Name, percentage, pieces, peers, rate and time left are drawn, without a thread."""
        terminal = Terminal()
        bar = LiveBar(terminal)
        bar.show(HALF)
        drawn = terminal.getvalue()
        for part in ("big.iso", " 42.0%", "21/50", "2 peers", "1.0 MiB/s", "ETA 12s"):
            self.assertIn(part, drawn)
        bar.complete(evolve(FULL, state="seeding"))
        bar.close()
        self.assertIn("100.0%", terminal.getvalue())
        self.assertTrue(terminal.getvalue().rstrip().endswith("\x1b[?25h"), "the cursor is not given back")

    def test_room_for_an_echo(self) -> None:
        """The bar leaves two cells free for the ^C of the terminal, which would otherwise begin a line of its own."""
        terminal = Terminal()
        bar = LiveBar(terminal)
        bar.show(HALF)
        bar.close()
        lines = [Text.from_ansi(line).cell_len for line in terminal.getvalue().splitlines()]
        self.assertEqual(max(lines), 98)

    def test_nothing_drawn(self) -> None:
        """Closed before anything was shown, it leaves the terminal alone."""
        terminal = Terminal()
        LiveBar(terminal).close()
        self.assertEqual(terminal.getvalue(), "")

    def test_f77_hostile_name(self) -> None:
        """Neither control characters nor rich's markup in a name do anything; a long name is cut."""
        terminal = Terminal()
        bar = LiveBar(terminal)
        bar.show(evolve(Snapshot(), name="a\x1b[2J[bold]b" + "c" * 200))
        bar.close()
        self.assertIn("a\\x1b[2J[bold]bcccccccccccccc…", terminal.getvalue())
        self.assertIn("ETA 12s", terminal.getvalue())


class ChoiceTests(SynchronousTestCase):
    """Which way of showing is chosen."""

    def chosen(self, mode: Mode, stream: StringIO) -> type[Progress]:
        """Tell the class that was chosen."""
        return type(make_progress(mode, stream))

    def test_by_stream_and_options(self) -> None:
        """A terminal gets a bar, a pipe or a terminal without a cursor lines; options choose JSON or nothing."""
        with mock.patch.dict(os.environ, {"TERM": "dumb"}):
            self.assertIs(self.chosen(mode(False, False), Terminal()), Lines)
        with mock.patch.dict(os.environ, {"TERM": "xterm"}):
            self.assertIs(self.chosen(mode(False, False), Terminal()), LiveBar)
        self.assertIs(self.chosen(mode(False, False), StringIO()), Lines)
        self.assertIs(self.chosen(mode(True, False), Terminal()), JsonLines)
        self.assertIs(self.chosen(mode(False, True), Terminal()), Silence)
        self.assertIs(self.chosen(mode(True, True), StringIO()), JsonLines)

    def test_f110_closed_output(self) -> None:
        """Started with standard output closed, there is nowhere to show anything."""
        self.patch(sys, "stdout", None)
        self.assertIsInstance(make_progress(Mode.PEOPLE), Silence)


class HashingTests(SynchronousTestCase):
    """Hashing shown as a transfer."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.stream = StringIO()

    def hash(self, seconds: float, **settings: Any) -> list[str]:
        """Hash 4 MiB in so many seconds and tell the lines."""
        progress = Lines(self.stream, now=self.clock.seconds)
        with Hashing(progress, "big.iso", "hashing", 1 << 20, now=self.clock.seconds, **settings) as shown:
            for mebibytes in range(5):
                shown(mebibytes << 20, 4 << 20)
                self.clock.advance(seconds / 4)
        return self.stream.getvalue().splitlines()

    def test_short_work_shows_nothing(self) -> None:
        """What is over in the wink of an eye needs no bar."""
        self.assertEqual(self.hash(0.2), [])

    def test_long_work(self) -> None:
        """Longer work is shown, ends at 100.0, and names pieces, rate and time left."""
        self.assertEqual(
            self.hash(8.0),
            [
                "hashing: 25.0% (1/4 pieces) 512.0 KiB/s ETA 6s",
                "hashing: 50.0% (2/4 pieces) 512.0 KiB/s ETA 4s",
                "hashing: 75.0% (3/4 pieces) 512.0 KiB/s ETA 2s",
                "hashing: 100.0% (4/4 pieces) 512.0 KiB/s",
            ],
        )
