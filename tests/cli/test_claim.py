"""One download of a torrent into a folder at a time."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli.claim import claimed
from p2pshare.errors import StorageError
from p2pshare.metainfo import parse
from tests.client.fakes import torrent_file


class ClaimTests(SynchronousTestCase):
    """Claims of one process; the kernel keeps those of several file descriptions apart alike."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.state = self.folder / "state"
        patch = mock.patch.dict(os.environ, XDG_STATE_HOME=str(self.state))
        patch.start()
        self.addCleanup(patch.stop)
        self.one, self.other = parse(torrent_file("one", b"1")), parse(torrent_file("other", b"2"))

    def locks(self) -> list[str]:
        """List the files of claims."""
        return [path.name for path in self.state.glob("p2pshare/downloads/*")]

    def test_taken(self) -> None:
        """The same torrent into the same folder, by whatever path, is refused with the process that does it."""
        (self.folder / "link").symlink_to(self.folder / "out")
        (self.folder / "out").mkdir()
        with claimed(self.one, self.folder / "out"):
            for path in ("out", "link", "out/../out"):
                with self.assertRaises(StorageError) as refused, claimed(self.one, self.folder / path):
                    pass
            self.assertIn(f"one: process {os.getpid()} is downloading it", str(refused.exception))
            self.assertEqual(len(self.locks()), 1)

    def test_others(self) -> None:
        """Other torrents, and other folders, are free."""
        with (
            claimed(self.one, self.folder),
            claimed(self.other, self.folder),
            claimed(self.one, self.folder / "elsewhere"),
        ):
            self.assertEqual(len(self.locks()), 3)

    def test_released(self) -> None:
        """Afterwards, and after an error, nothing is left."""
        for _ in range(2):
            with self.assertRaises(ZeroDivisionError), claimed(self.one, self.folder):
                raise ZeroDivisionError
        self.assertEqual(self.locks(), [])

    def test_left_by_a_killed_process(self) -> None:
        """A file without a lock on it is nobody's claim."""
        with claimed(self.one, self.folder):
            (name,) = self.locks()
        (self.state / "p2pshare/downloads" / name).write_text("1\n")
        with claimed(self.one, self.folder):
            pass

    def test_taken_away_meanwhile(self) -> None:
        """A file whose owner takes it away between our opening and locking it is not locked in vain."""
        opened = os.open

        def open_and_lose(path: Path, *arguments: int) -> int:
            descriptor = opened(path, *arguments)
            if not lost:
                lost.append(path)
                os.unlink(path)
            return descriptor

        lost: list[Path] = []
        with mock.patch("os.open", open_and_lose), claimed(self.one, self.folder):
            self.assertEqual(len(self.locks()), 1)
            self.assertEqual(len(lost), 1)

    def test_no_state_folder(self) -> None:
        """Where no state can be kept it goes without: it is a courtesy."""
        self.state.write_text("a file in its place")
        with claimed(self.one, self.folder):
            pass
