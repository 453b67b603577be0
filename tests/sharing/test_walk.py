"""What a shared folder is seen to hold."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.sharing.walk import DEEPEST, Stamp, open_below, survey


class WalkCase(SynchronousTestCase):
    """Has a folder."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()) / "shared"
        self.folder.mkdir(parents=True)

    def write(self, name: str, content: bytes = b"x") -> Path:
        """Put a file there."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


class SurveyTests(WalkCase):
    """What is seen."""

    def test_files(self) -> None:
        """Files are found in all folders, by their path with slashes, with what tells whether they changed."""
        odd = 'odd "name"\nof two lines é'
        path = self.write("a.txt", b"four")
        self.write(f"deep/er/{odd}")
        seen = survey(self.folder)
        self.assertEqual(list(seen.files), ["a.txt", f"deep/er/{odd}"])
        self.assertEqual(seen.files["a.txt"], Stamp.of(path.stat()))
        self.assertEqual(seen.problems, {})

    def test_left_out(self) -> None:
        """Hidden files, unfinished ones, links, pipes and what is behind linked folders are not shared."""
        outside = self.folder.parent / "secret.txt"
        outside.write_bytes(b"secret")
        self.write("ok.txt")
        for name in (".hidden", ".git/config", "film.mkv.part", "save.TMP", "text~"):
            self.write(name)
        (self.folder / "link.txt").symlink_to(outside)
        (self.folder / "inside.txt").symlink_to(self.folder / "ok.txt")
        (self.folder / "up").symlink_to(self.folder.parent)
        os.mkfifo(self.folder / "pipe")
        self.assertEqual(list(survey(self.folder).files), ["ok.txt"])

    def test_not_utf8(self) -> None:
        """A name that is no text is told of, in a form that can be printed; the others are shared."""
        self.write("ok.txt")
        with open(os.fsencode(self.folder) + b"/\xff.txt", "wb"):
            pass
        seen = survey(self.folder)
        self.assertEqual(list(seen.files), ["ok.txt"])
        self.assertEqual(seen.problems, {"\\xff.txt": "its name is not UTF-8"})

    def test_too_deep(self) -> None:
        """Folders inside each other without end are not followed to it."""
        self.write("/".join(["d"] * (DEEPEST + 3)) + "/x")
        self.write("ok.txt")
        seen = survey(self.folder)
        self.assertEqual(list(seen.files), ["ok.txt"])
        self.assertEqual(len(seen.problems), 1)

    def test_no_folder(self) -> None:
        """A folder that is gone is an error: its files are not taken for deleted one by one."""
        self.assertRaises(FileNotFoundError, survey, self.folder / "gone")


class OpenTests(WalkCase):
    """Opening what was seen."""

    def test_contents(self) -> None:
        """The file of that path is opened."""
        self.write("deep/er/a.txt", b"content")
        descriptor = open_below(self.folder, "deep/er/a.txt")
        self.addCleanup(os.close, descriptor)
        self.assertEqual(os.read(descriptor, 100), b"content")

    def test_swapped(self) -> None:
        """What has become a link, or lies behind one, or is no file any more, is not opened."""
        outside = self.folder.parent / "secret"
        outside.mkdir()
        (outside / "a.txt").write_bytes(b"secret")
        (self.folder / "link").symlink_to(outside)
        (self.folder / "a.txt").symlink_to(outside / "a.txt")
        os.mkfifo(self.folder / "pipe")
        before = len(os.listdir("/proc/self/fd"))
        for name in ("link/a.txt", "a.txt", "pipe", "gone/a.txt", "gone.txt"):
            self.assertRaises(OSError, open_below, self.folder, name)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
