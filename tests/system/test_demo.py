"""``p2pshare demo``: quick, right, and nothing of it is left, however it ends."""

from __future__ import annotations

import hashlib
import os
import re
import signal
from pathlib import Path

from benchmarks.report import Bystanders
from p2pshare.cli.exits import ExitCode
from tests.system.commands import Command, CommandTestCase, some_bytes, wait_until

SECONDS = 20.0  # it may take on a machine that is ours; about three when it has nothing else to do


class DemoTests(CommandTestCase):
    """Demonstrations in a scratch folder of their own."""

    def setUp(self) -> None:
        super().setUp()
        self.scratch = self.folder / "scratch"
        self.scratch.mkdir()
        self.environment["TMPDIR"] = str(self.scratch)

    def processes(self) -> list[str]:
        """List the processes that work in the scratch folder."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:  # it has just ended
                continue
            if str(self.scratch) in words:
                found.append(words)
        return found

    def assert_nothing_left(self) -> None:
        """Look for processes and files."""
        self.assertEqual((self.processes(), os.listdir(self.scratch)), ([], []))
        self.assertEqual(os.listdir(self.state / "resume"), [])

    def assert_digests(self, demo: Command, expected: str | None = None) -> None:
        """Compare what it printed for the source and each of the three copies."""
        digests = re.findall(r"^SHA-256 ([0-9a-f]{64})  ", demo.said(), re.MULTILINE)
        self.assertEqual(len(digests), 4, demo.report())
        self.assertEqual(set(digests), {expected or digests[0]})

    def test_without_anything(self) -> None:
        """Without an argument 64 MiB go round, all copies are equal, and it takes a few seconds."""
        bystanders = Bystanders()
        demo = self.run_command("demo")
        self.assert_digests(demo)
        found = re.search(r"Done: 3 peers have demo.bin \(64\.0 MiB each\), (\d+\.\d) s", demo.said())
        assert found is not None, demo.report()
        if not bystanders.disturbed:
            self.assertLess(float(found[1]), SECONDS)
        self.assertEqual(demo.complained(), "")
        self.assert_nothing_left()

    def test_of_something(self) -> None:
        """A file or a folder of the user's goes round, whatever its names, and stays as it is."""
        photos = {"a b.bin": some_bytes(300_000), "con": b"reserved elsewhere", "empty": b"", "日本/x.txt": b"hello"}
        files = [self.write(f"photos/{name}", content) for name, content in photos.items()]
        (self.folder / "photos/link").symlink_to("/etc/passwd")
        empty = self.write("nothing", b"")
        folder, file = self.start("demo", "photos"), self.start("demo", empty)
        self.assert_ended(folder)
        self.assert_digests(folder, hashlib.sha256(b"".join(map(Path.read_bytes, files))).hexdigest())
        self.assert_ended(file)
        self.assert_digests(file, hashlib.sha256().hexdigest())
        self.assertIn("peer3: 100.0%", file.said())
        self.assertEqual([each.read_bytes() for each in files], list(photos.values()))
        self.assert_nothing_left()

    def test_nothing_to_share(self) -> None:
        """What cannot be shared is one line."""
        (self.folder / "bare").mkdir()
        absent, bare = self.start("demo", "nosuch"), self.start("demo", "bare")
        for demo, words in ((absent, "nosuch: No such file"), (bare, "bare: a folder without files")):
            self.assert_ended(demo, ExitCode.ERROR)
            self.assertIn(words, demo.complained())
            self.assertEqual(len(demo.complained().splitlines()), 1)
        self.assert_nothing_left()

    def test_interrupted(self) -> None:
        """Stopped half way, by Ctrl-C or otherwise, it leaves nothing; killed, at least no process."""
        demos = [self.start("demo") for _ in range(3)]
        for demo in demos:
            wait_until(lambda demo=demo: "Torrent" in demo.said(), "the middle of it")
        interrupted, stopped, killed = demos
        interrupted.process.send_signal(signal.SIGINT)
        interrupted.process.send_signal(signal.SIGINT)
        stopped.process.send_signal(signal.SIGTERM)
        killed.process.kill()
        self.assert_ended(interrupted, ExitCode.INTERRUPTED)
        self.assertEqual(interrupted.complained(), "p2pshare: interrupted\n")
        self.assert_ended(stopped, ExitCode.UNFINISHED)
        wait_until(lambda: not self.processes(), "the end of all processes")
        self.assertLessEqual(len(os.listdir(self.scratch)), 1)

    def test_nobody_looks(self) -> None:
        """If whoever reads its output has gone, it ends at once, tidily; without any output it works all the same."""
        photo = self.write("photo", some_bytes(100_000))
        reading, writing = os.pipe()
        os.close(reading)
        demo = self.start("demo", photo, stdout=writing)
        os.close(writing)
        closed = self.start("demo", photo, preexec_fn=lambda: os.close(1))
        self.assert_ended(demo, ExitCode.ERROR)
        self.assertEqual(demo.complained(), "")
        self.assert_ended(closed)
        self.assert_nothing_left()
