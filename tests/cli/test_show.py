"""``p2pshare show``."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pshare import bencoding
from p2pshare.cli.exits import ExitCode
from p2pshare.metainfo import compose
from tests.cli.sample import TRACKER, content, objects, run, torrent_of


class ShowTests(SynchronousTestCase):
    """What torrents say."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.file, self.metainfo = torrent_of(content(self.folder))

    def test_table(self) -> None:
        """One torrent is shown as a table, its files with the paths they will have on disk."""
        result = run("show", self.file)
        self.assertEqual(result.exit_code, 0)
        self.assertEqual(
            result.stdout.splitlines(),
            [
                "Name       photos",
                f"Info hash  {self.metainfo.info_hash.hex()}",
                "Size       73.2 KiB (75,005 bytes) in 4 files",
                "Pieces     5 of 16.0 KiB",
                f"Tracker    {TRACKER}",
                "Comment    for tests",
                "Created    1970-01-01 00:00:00 UTC",
                "Files",
                "    48.8 KiB  photos/a.bin",
                "    24.4 KiB  photos/b.bin",
                "         5 B  photos/deep/c.txt",
                "         0 B  photos/empty",
            ],
        )

    def test_json(self) -> None:
        """As JSON it is one object on one line."""
        (shown,) = objects(run("show", "--json", self.file))
        self.assertEqual(shown["file"], str(self.file))
        self.assertEqual(shown["info_hash"], self.metainfo.info_hash.hex())
        self.assertEqual(shown["total_length"], 75_005)
        self.assertEqual(shown["pieces_total"], 5)
        self.assertEqual(shown["trackers"], [[TRACKER]])
        self.assertEqual(shown["files"][2], {"path": "photos/deep/c.txt", "length": 5})

    def test_bad_file(self) -> None:
        """A file that is no torrent is one line that names it, and exit code 1."""
        bad = self.folder / "bad.torrent"
        bad.write_bytes(b"<html>")
        result = run("show", bad)
        self.assertEqual(result.exit_code, ExitCode.ERROR)
        self.assertEqual(result.stdout, "")
        self.assertTrue(result.stderr.startswith(f"p2pshare: {bad}: "), result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1)

    def test_missing_file(self) -> None:
        """A file that is not there is one line and exit code 1."""
        result = run("show", self.folder / "none")
        self.assertEqual(result.exit_code, ExitCode.ERROR)
        self.assertEqual(result.stderr, f"p2pshare: {self.folder}/none: No such file or directory\n")

    def test_several(self) -> None:
        """Of several files the good ones are shown, the bad ones named, and the exit code is 1."""
        result = run("show", self.file, self.folder / "none", self.file)
        self.assertEqual(result.exit_code, ExitCode.ERROR)
        self.assertEqual(result.stdout.count("Name       photos"), 2)
        self.assertEqual(
            result.stderr.splitlines(),
            [
                f"p2pshare: {self.folder}/none: No such file or directory",
                "p2pshare: 1 of 3 files cannot be used",
            ],
        )

    def test_several_as_json(self) -> None:
        """Each file gets its object, a bad one an error with its name; a last one says how it ended."""
        first, second, last = objects(run("show", "--json", self.folder / "none", self.file))
        self.assertIn("No such file", first["error"])
        self.assertEqual(first["file"], f"{self.folder}/none")
        self.assertEqual(second["name"], "photos")
        self.assertEqual((last["event"], last["exit_code"]), ("error", ExitCode.ERROR))

    def test_no_file(self) -> None:
        """Without a file it is wrong usage."""
        self.assertEqual(run("show").exit_code, ExitCode.USAGE)

    def test_private_and_tiers(self) -> None:
        """A private torrent says so; trackers of a tier stand together, tiers below each other, then web seeds."""
        info = {"length": 5, "name": "x", "piece length": 16384, "pieces": bytes(20), "private": 1}
        tiers = (("http://a/announce", "http://b/announce"), ("http://c/announce",))
        self.file.write_bytes(compose(bencoding.encode(info), announce_tiers=tiers, web_seeds=("http://w/",)))
        lines = run("show", self.file).stdout.splitlines()
        self.assertEqual(
            lines[4:8],
            [
                "Private    yes: peers come from its trackers only",
                "Tracker    http://a/announce  or  http://b/announce",
                "Tracker    http://c/announce",
                "Web seed   http://w/",
            ],
        )

    def test_f77_control_characters_are_shown_not_obeyed(self) -> None:
        """An ANSI sequence or a newline in a torrent never reaches the terminal as such, in tables and errors."""
        info = {"length": 5, "name": "a\x1b[2Jb", "piece length": 16384, "pieces": bytes(20)}
        self.file.write_bytes(compose(bencoding.encode(info), comment="x\x1b]0;t\x07\ny", created_by="\u202emoc"))
        named = self.folder / "evil\x1b[31m\n.torrent"
        for result in (run("show", self.file), run("show", named), run("show", self.file, named)):
            for character in "\x1b\x07\u202e":
                self.assertNotIn(character, result.output)
            self.assertNotIn("\ny", result.output)
        self.assertIn("Comment    x]0;t\\ny\n", run("show", self.file).stdout)
