"""What commands show: on a terminal, in a pipe, to nobody, and never what a stranger wants the terminal to do."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shlex
import signal
import subprocess

from p2pshare import bencoding
from p2pshare.cli.exits import ExitCode
from p2pshare.storage.create import CreateSettings, create
from tests.system.commands import P2PSHARE, PIECE, WAIT, CommandTestCase, some_bytes, wait_until
from tests.system.strangers import RecordingTracker

ESCAPE = "\x1b"
HARMFUL = "[\0-\x09\x0b-\x1f\x7f-\x9f\u202e]"  # to a terminal


class OutputTests(CommandTestCase):
    """One seed of ``disk.img``, and who downloads it."""

    def setUp(self) -> None:
        super().setUp()
        self.content = some_bytes(500_000)
        self.bare = self.torrent(self.write("disk.img", self.content))
        _, self.address = self.seed(self.bare)

    def assert_there(self, folder: str) -> None:
        """Compare a copy."""
        self.assertEqual((self.folder / folder / "disk.img").read_bytes(), self.content)

    def test_terminal(self) -> None:
        """On a terminal there is a live bar, words for people above it, and the cursor is back at the end."""
        ours, theirs = pty.openpty()
        download = self.download(
            self.bare, "a", "--peer", self.address, "--limit-down", "125K",
            stdin=theirs, stdout=theirs, stderr=theirs, env={"TERM": "xterm", "COLUMNS": "100"},
        )  # fmt: skip
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # EIO: everybody has closed the other side
            while some := os.read(ours, 65536):
                shown += some
        os.close(ours)
        self.assert_ended(download)
        text = shown.decode()
        self.assertRegex(text, r"disk\.img .*━.* [1-9]\d\.\d% \d+/31  1 peer  ↓ \d+\.\d KiB/s  ETA \ds")
        self.assertRegex(text, r"disk\.img .*━.*100\.0% 31/31")
        self.assertIn("Complete: a/disk.img\r\n", text)
        self.assertGreater(text.rindex(f"{ESCAPE}[?25h"), text.rindex(f"{ESCAPE}[?25l"))
        self.assertNotIn("seeding:", text)

    def test_f110_no_output(self) -> None:
        """Quiet, closed or unread output: the work is done all the same, or ended without a traceback."""
        closed = [*P2PSHARE, "download", str(self.bare), "-o", "b", "--bind", "127.0.0.1", "--peer", self.address]
        hook = ["--on-complete", "echo said; cat"]  # into nothing, and from nothing
        script = f"exec {shlex.join(closed + hook)} <&- >&- 2>&-"
        options = {"cwd": self.folder, "env": self.environment}
        with subprocess.Popen(["/bin/sh", "-c", script], **options) as without:
            quiet = self.download(self.bare, "a", "--peer", self.address, "--quiet")
            reading, writing = os.pipe()
            os.close(reading)
            unread = self.download(self.bare, "c", "--peer", self.address, "--seed-until", "forever", stdout=writing)
            os.close(writing)
            self.assertEqual(without.wait(WAIT), ExitCode.OK)
        self.assert_ended(quiet)
        self.assertEqual(quiet.said() + quiet.complained(), "")
        self.assert_ended(unread, ExitCode.ERROR)
        self.assertEqual(unread.complained(), "")
        for folder in "abc":
            self.assert_there(folder)

    def test_f77_names_of_strangers(self) -> None:
        """Control codes in names, paths and what a tracker says reach no terminal."""
        tracker = RecordingTracker(self)
        tracker.answer = lambda: bencoding.encode({"failure reason": f"{ESCAPE}[31mgo\naway"})  # type: ignore[method-assign]
        info = bencoding.decode(create(self.folder / "disk.img", CreateSettings(piece_length=PIECE)).raw_info)
        assert isinstance(info, dict)
        info[b"name"] = f"a{ESCAPE}[2Jb\nc\u202e.img".encode()
        evil = self.write(f"{ESCAPE}[5m.torrent", bencoding.encode({"announce": tracker.url, "info": info}))
        place = self.write(f"{ESCAPE}]0;place/disk.img", self.content)
        folder = f"{ESCAPE}[31mred"

        seed = self.start("seed", evil, "--data", place, "--port", "0", "--bind", "127.0.0.1")
        port = wait_until(lambda: re.search(r"Seeding .* on port (\d+)", seed.said()), "the seed is ready")[1]
        hook = f"echo {ESCAPE}[1m >&2; exit 1"
        download = self.download(evil, folder, "--peer", f"127.0.0.1:{port}", "--on-complete", hook)
        lost = self.download(evil, "lost", "--timeout", "1")
        wrong = self.start("seed", evil, "--data", self.write(f"{ESCAPE}wrong/disk.img", b"?"))
        self.assert_ended(download)
        self.assert_ended(lost, ExitCode.NOBODY_FOUND)
        self.assert_ended(wrong, ExitCode.VERIFICATION_FAILED)
        self.assert_ended(seed, seed.told(signal.SIGTERM)[0])
        self.assertIn("\\x1b]0;place/disk.img on port", seed.said())
        self.assertIn("Complete: \\x1b[31mred/", download.said())
        self.assertIn("go", lost.complained().splitlines()[-1])
        self.assertIn("\\x1bwrong/disk.img", wrong.complained())
        for command in (seed, lost, wrong):
            self.assertNotRegex(command.said() + command.complained(), HARMFUL)
        self.assertNotRegex(download.complained().replace(f"{ESCAPE}[1m\n", ""), HARMFUL)  # the hook's own business
        (name,) = os.listdir(self.folder / folder)
        self.assertNotRegex(name, HARMFUL)
        self.assertEqual((self.folder / folder / name).read_bytes(), self.content)
