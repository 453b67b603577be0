"""What is said besides progress."""

from __future__ import annotations

from io import StringIO
from typing import Any

from twisted.logger import Logger, LogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli.notices import Warnings, notes, say, say_nothing
from p2pshare.cli.progress import Mode
from p2pshare.errors import DiskFull


class WarningTests(SynchronousTestCase):
    """The log, as users see it."""

    def setUp(self) -> None:
        self.stream = StringIO()
        self.log = Logger(observer=LogPublisher(Warnings(lambda: self.stream)))

    def assert_written(self, expected: str) -> None:
        """Compare all that was written."""
        self.assertEqual(self.stream.getvalue(), expected)

    def test_warning(self) -> None:
        """A warning is a line like an error of ours; strangers' text in it is escaped."""
        self.log.warn("tracker {url}: {error}", url="http://a.example", error="go \x1b[31m away\n")
        self.assert_written("p2pshare: tracker http://a.example: go \\x1b[31m away\\n\n")

    def test_lesser_events(self) -> None:
        """Everything below a warning is not shown."""
        self.log.info("listening")
        self.log.debug("closing")
        self.assert_written("")

    def test_the_end(self) -> None:
        """Why a torrent failed is said by the command, once; other trouble of the disk is not its end."""
        error = DiskFull("blob.part: no space is left on its disk")
        self.log.warn("{swarm}: {error}", swarm="blob", error=error)
        self.log.warn("{name}: {error}", name="blob", error=error)
        self.assert_written("")
        self.log.warn("{name}: piece {piece} is lost: {error}", name="blob", piece=3, error=error)
        self.assert_written(f"p2pshare: blob: piece 3 is lost: {error}\n")

    def test_bug(self) -> None:
        """A bug of ours has its traceback, and a word about what to do with it."""
        try:
            raise ZeroDivisionError("told so")
        except ZeroDivisionError:
            self.log.failure("choosing a piece", Failure())
        written = self.stream.getvalue()
        self.assertTrue(written.startswith("p2pshare: a bug, please report it: choosing a piece"), written)
        self.assertIn("ZeroDivisionError: told so", written)

    def test_f110_no_error_stream(self) -> None:
        """Started without an error stream, nothing is written, and nothing breaks."""
        Logger(observer=Warnings(lambda: None)).warn("trouble")


class NoteTests(SynchronousTestCase):
    """Notes for people."""

    def test_modes(self) -> None:
        """Programs and the quiet do without."""
        self.assertEqual([notes(mode) for mode in Mode], [say, say_nothing, say_nothing])
        self.assertIsNone(say_nothing("Complete"))

    def test_escaped(self) -> None:
        """Names in them may be strangers'."""
        stream: Any = StringIO()
        self.patch(__import__("sys"), "stdout", stream)
        say("Complete: a\x1bb")
        self.assertEqual(stream.getvalue(), "Complete: a\\x1bb\n")

    def test_f110_no_output(self) -> None:
        """Started without standard output, nothing is written, and nothing breaks."""
        self.patch(__import__("sys"), "stdout", None)
        say("Complete")
