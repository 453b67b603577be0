"""The parts of the demonstration that need no process; the whole of it is in tests/system."""

from __future__ import annotations

import hashlib
import shutil
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli import demo
from p2pshare.cli.children import Child
from p2pshare.cli.demo_view import DemoView
from p2pshare.errors import DiskFull, VerificationFailed
from tests.cli.sample import content, run, torrent_of


class ComparisonTests(SynchronousTestCase):
    """SHA-256 of the source and of the copies."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.root = content(self.folder)
        (self.root / "aux.txt").write_text("has another name in a copy")
        _, self.metainfo = torrent_of(self.root)
        self.copy = self.folder / "peer1" / "photos"
        for entry in self.metainfo.files:
            copied = self.copy.joinpath(*entry.path)
            copied.parent.mkdir(parents=True, exist_ok=True)
            copied.write_bytes(self.root.joinpath(*(part.decode() for part in entry.raw_path)).read_bytes())

    def test_equal(self) -> None:
        """A folder's digest is that of its files' content, whatever safe names the copies have."""
        self.assertNotEqual([entry.path for entry in self.metainfo.files], [("aux.txt",)])
        demo._compare(self.metainfo, self.root, {"peer1": self.copy})

    def test_file(self) -> None:
        """A file's digest is the one that sha256sum prints."""
        file = self.root / "a.bin"
        _, metainfo = torrent_of(file)
        self.assertEqual(demo._digest(metainfo, file), hashlib.sha256(file.read_bytes()).hexdigest())

    def test_different(self) -> None:
        """A copy that differs by one byte is named."""
        with (self.copy / "b.bin").open("r+b") as file:
            file.write(b"?")
        with self.assertRaises(VerificationFailed) as wrong:
            demo._compare(self.metainfo, self.root, {"peer1": self.copy})
        self.assertIn("peer1", str(wrong.exception))

    def test_room(self) -> None:
        """Copies that would fill the disk are not begun, and it is said what to do."""
        total = self.metainfo.total_length
        for free, is_enough in ((3 * total, True), (3 * total - 1, False)):
            self.patch(shutil, "disk_usage", lambda path, free=free: SimpleNamespace(free=free))
            if is_enough:
                demo._insist_on_room(self.copy, self.metainfo)
                continue
            with self.assertRaises(DiskFull) as full:
                demo._insist_on_room(self.copy, self.metainfo)
            self.assertIn("TMPDIR", str(full.exception))


class ViewTests(SynchronousTestCase):
    """Lines about downloads, where there is no terminal."""

    def child(self, name: str, *events: str, **latest: Any) -> Child:
        """Make a child that has said something."""
        child = Child(name, (), Path("log"), Path("state"))
        child.events.update(events)
        child.latest = latest
        return child

    def test_lines(self) -> None:
        """Who has not said anything has no line; who is complete is said to be, once, even without a single piece."""
        starting, half = self.child("one"), self.child("two", "progress", percent=50.0, pieces_done=1, pieces_total=2)
        empty = self.child("three", "complete", percent=0.0)
        stream = StringIO()
        with DemoView([starting, half, empty], stream) as view:
            view.show()
            view.show()
        self.assertEqual(
            stream.getvalue().splitlines(),
            ["two: 50.0%  1/2 pieces  0 peers  0 B/s", "three: 100.0%  0/0 pieces  0 peers  0 B/s"],
        )

    def test_f110_no_output(self) -> None:
        """Started without standard output, nothing is drawn."""
        with DemoView([self.child("one", "complete", percent=100.0)], None) as view:
            view.show()


class CommandTests(SynchronousTestCase):
    """The command itself."""

    def test_usage(self) -> None:
        """It takes one thing to share, at most."""
        self.assertEqual(run("demo", "a", "b").exit_code, 2)
