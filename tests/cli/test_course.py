"""``p2pshare course`` and ``StartRemotePeers``, as far as they start no peer."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli import course, course_peer, course_start
from p2pshare.cli.exits import Ended
from p2pshare.errors import ConfigError, StorageError


def run(command: object, *arguments: str | Path) -> Result:
    return CliRunner().invoke(command, list(map(str, arguments)))  # type: ignore[arg-type]


class InitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())

    def test_samples(self) -> None:
        """A swarm is written into a folder that need not be there, and the next step is named."""
        result = run(course.command, "init", "small", self.folder)
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertIn("StartRemotePeers --local", result.output)
        self.assertEqual((self.folder / "peer_1006" / "thefile").stat().st_size, 2167705)

    def test_help_names_the_samples(self) -> None:
        """Which swarms there are is in the help."""
        for name in ("local", "small", "large"):
            self.assertIn(f"{name}: ", run(course.command, "init", "--help").output)

    def test_unknown(self) -> None:
        """A swarm of another name is refused."""
        self.assertIsInstance(run(course.command, "init", "huge", self.folder).exception, ConfigError)

    def test_never_written_over(self) -> None:
        """A folder with a swarm keeps it."""
        run(course.command, "init", "local", self.folder)
        self.assertIsInstance(run(course.command, "init", "local", self.folder).exception, StorageError)


class CheckTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def test_findings(self) -> None:
        """What is wrong is said line by line, drawn if asked for, and decides about the exit."""
        (self.folder / "log_peer_1001.log").write_text("[12:00]: Peer 1001 has downloaded a file\n")
        result = run(course.command, "check", self.folder, "--report", self.folder / "page.html")
        self.assertIn("log_peer_1001.log, line 1", result.output)
        self.assertIsInstance(result.exception, Ended)
        self.assertIn("<html", (self.folder / "page.html").read_text())

    def test_no_logs(self) -> None:
        """A folder without logs is an error of its own."""
        self.assertIsInstance(run(course.command, "check", self.folder).exception, StorageError)


class ProgramTests(SynchronousTestCase):
    """The programs with a name of their own are edges: an error is one line and an exit code."""

    def test_no_configuration(self) -> None:
        """Without configuration both end with 2 and name the file that is missing."""
        folder = Path(self.mktemp())
        for arguments in ((course_peer.command, "1001"), (course_start.command, "--local")):
            result = run(*arguments, "--folder", folder)
            self.assertEqual(result.exit_code, 2)
            self.assertRegex(result.stderr, r"^p2pshare: cannot read .*Common.cfg: No such file or directory\n$")

    def test_not_an_id(self) -> None:
        """An id is a number of four bytes."""
        for id in ("x", "-1", "4294967296"):
            self.assertEqual(run(course_peer.command, id).exit_code, 2)

    def test_odd_program(self) -> None:
        """Words that no shell could read are refused."""
        folder = Path(self.mktemp())
        run(course.command, "init", "local", folder)
        result = run(course_start.command, "--folder", folder, "--program", "java 'peerProcess")
        self.assertEqual(result.exit_code, 2, result.output)
        self.assertIn("No closing quotation", result.output)
