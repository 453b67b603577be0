"""``p2pshare create``."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli.exits import ExitCode
from p2pshare.metainfo import load
from tests.cli.sample import TRACKER, content, objects, run, torrent_of


class CreateTests(SynchronousTestCase):
    """Every test works in a folder of its own, as the command writes to the present one by default."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.folder)
        self.root = content(self.folder)

    def test_default_output(self) -> None:
        """The torrent of a folder lands here under the folder's full name, and hash and path are printed."""
        result = run("create", self.root, "-t", TRACKER)
        metainfo = load("photos.torrent")
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertEqual(result.stdout, f"Info hash  {metainfo.info_hash.hex()}\nTorrent    photos.torrent\n")
        self.assertEqual(result.stderr, "")
        self.assertEqual([str(entry) for entry in metainfo.files], ["a.bin", "b.bin", "deep/c.txt", "empty"])

    def test_full_name_of_a_file(self) -> None:
        """A file's torrent keeps the file's extension: a.bin.torrent."""
        run("create", self.root / "a.bin", "-t", TRACKER)
        self.assertTrue(load("a.bin.torrent").is_single)

    def test_settings(self) -> None:
        """Every option reaches the torrent file."""
        result = run(
            *("create", self.root, "-t", f"{TRACKER},http://b.example/announce", "-t", "udp://c.example:1"),
            *("--private", "--comment", "hello", "--piece-length", "32K", "--web-seed", "http://w.example/"),
            *("--name", "album", "--output", "out.torrent"),
        )
        self.assertEqual(result.exit_code, 0, result.output)
        metainfo = load("out.torrent")
        self.assertEqual(metainfo.announce_tiers, ((TRACKER, "http://b.example/announce"), ("udp://c.example:1",)))
        self.assertTrue(metainfo.private)
        self.assertEqual(metainfo.comment, "hello")
        self.assertEqual(metainfo.piece_length, 32768)
        self.assertEqual(metainfo.web_seeds, ("http://w.example/",))
        self.assertEqual(metainfo.name, "album")
        self.assertEqual(metainfo.created_by, "p2pshare 0.1.0")
        self.assertIsNotNone(metainfo.creation_date)

    def test_no_date(self) -> None:
        """Without the date, the same content gives the same torrent file, byte for byte."""
        run("create", self.root, "-t", TRACKER, "--no-date", "-o", "one.torrent")
        run("create", self.root, "-t", TRACKER, "--no-date", "-o", "two.torrent")
        self.assertEqual(Path("one.torrent").read_bytes(), Path("two.torrent").read_bytes())

    def test_output_folder(self) -> None:
        """If -o names a folder, the torrent is put into it under its usual name."""
        Path("out").mkdir()
        run("create", self.root, "-t", TRACKER, "-o", "out")
        self.assertEqual(os.listdir("out"), ["photos.torrent"])

    def test_tracker_before_the_command(self) -> None:
        """A tracker may stand before the command."""
        run("-t", TRACKER, "create", self.root)
        self.assertEqual(load("photos.torrent").announce_tiers, ((TRACKER,),))

    def test_tracker_of_the_environment(self) -> None:
        """P2PSHARE_TRACKER is the default; -t replaces it."""
        run("create", self.root, env={"P2PSHARE_TRACKER": TRACKER})
        self.assertEqual(load("photos.torrent").announce_tiers, ((TRACKER,),))
        run("create", self.root, "-t", "udp://c.example:1", "-o", "other.torrent", env={"P2PSHARE_TRACKER": TRACKER})
        self.assertEqual(load("other.torrent").announce_tiers, (("udp://c.example:1",),))

    def test_no_tracker(self) -> None:
        """A torrent without trackers is made, with a warning."""
        result = run("create", self.root)
        self.assertEqual(result.exit_code, 0)
        self.assertIn("names no tracker", result.stderr)

    def test_again(self) -> None:
        """Making the same torrent again succeeds and leaves the file as it is, date and all."""
        run("create", self.root, "-t", TRACKER)
        before = Path("photos.torrent").stat()
        result = run("create", self.root, "-t", TRACKER, "--no-date")
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertEqual(Path("photos.torrent").stat().st_mtime_ns, before.st_mtime_ns)

    def test_other_torrent_is_not_overwritten(self) -> None:
        """A torrent that says something else stays, and the exit code is 1; --force replaces it."""
        torrent_of(self.root)
        before = Path("photos.torrent").read_bytes()
        result = run("create", self.root, "-t", "http://other.example/announce")
        self.assertEqual(result.exit_code, ExitCode.ERROR)
        self.assertEqual(
            result.stderr, "p2pshare: photos.torrent: exists and is another torrent; overwrite it with --force\n"
        )
        self.assertEqual(Path("photos.torrent").read_bytes(), before)
        result = run("create", self.root, "-t", "http://other.example/announce", "--force")
        self.assertEqual(result.exit_code, 0)
        self.assertEqual(load("photos.torrent").announce_tiers, (("http://other.example/announce",),))
        self.assertEqual(sorted(os.listdir()), ["photos", "photos.torrent"])

    def test_other_file_is_not_overwritten(self) -> None:
        """A file that is no torrent is refused at once, not after the hashing."""
        Path("notes.txt").write_text("mine")
        result = run("create", self.root, "-t", TRACKER, "-o", "notes.txt")
        self.assertEqual(result.exit_code, ExitCode.ERROR)
        self.assertIn("notes.txt: exists and is no torrent file", result.stderr)
        self.assertEqual(Path("notes.txt").read_text(), "mine")

    def test_dangling_link_is_not_written_through(self) -> None:
        """A symbolic link in the torrent's place is no place to write to."""
        os.symlink("elsewhere", "photos.torrent")
        result = run("create", self.root, "-t", TRACKER)
        self.assertEqual(result.exit_code, ExitCode.ERROR)
        self.assertFalse(os.path.exists("elsewhere"))

    def test_json(self) -> None:
        """With --json the last object says it is complete, and everything that show --json does."""
        last = objects(run("create", self.root, "-t", TRACKER, "--json"))[-1]
        self.assertEqual(last["event"], "complete")
        self.assertEqual(last["file"], "photos.torrent")
        self.assertEqual(last["info_hash"], load("photos.torrent").info_hash.hex())
        self.assertEqual(last["trackers"], [[TRACKER]])

    def test_quiet(self) -> None:
        """With --quiet nothing is said."""
        self.assertEqual(run("create", self.root, "-t", TRACKER, "-q").output, "")

    def test_missing_content(self) -> None:
        """A path that is not there is one line and exit code 1."""
        result = run("create", "nothing", "-t", TRACKER)
        self.assertEqual(result.exit_code, ExitCode.ERROR)
        self.assertEqual(result.stderr, f"p2pshare: {self.folder}/nothing: No such file or directory\n")

    def test_unwritable_output(self) -> None:
        """A folder that is not there is one line and exit code 1."""
        result = run("create", self.root, "-t", TRACKER, "-o", "nowhere/x.torrent")
        self.assertEqual(result.exit_code, ExitCode.ERROR)
        self.assertEqual(result.stderr, "p2pshare: nowhere/x.torrent: No such file or directory\n")

    def test_wrong_options(self) -> None:
        """Options that cannot be are wrong usage, exit code 2, and say what would be right."""
        for options, expected in (
            (("-t", "tracker.example"), "starts with http://, https:// or udp://"),
            (("-t", ","), "a tracker URL is expected"),
            (("-l", "lots"), "a number of bytes"),
            (("-l", "5000"), "not a power of two"),
            (("-w", "ftp://w.example"), "starts with http:// or https://"),
            (("--colour",), "No such option"),
        ):
            result = run("create", self.root, *options)
            self.assertEqual(result.exit_code, ExitCode.USAGE, options)
            self.assertIn(expected, result.stderr)
