"""What a torrent file goes through before its torrent is added."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.client.intake import take_in
from p2pshare.errors import MetainfoError
from tests.client.fakes import torrent_file

FILES = {"a.bin": b"a" * 20_000, "sub/b.bin": b"b" * 20_000}


class IntakeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.data = Path(self.mktemp()).absolute()
        self.data.mkdir(parents=True)
        self.file = self.data / "x.torrent"

    def write(self, root: Path, **changed: bytes) -> None:
        """Put the files of the torrent below a folder."""
        for path, content in {**FILES, **changed}.items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)

    def test_nothing_there(self) -> None:
        """Without content, it goes to the folder for content, under its own name."""
        self.file.write_bytes(torrent_file("things", FILES))
        intake = take_in(self.file, self.data)
        self.assertEqual((intake.content.name, intake.folder), ("things", self.data))

    def test_complete(self) -> None:
        """Complete content is shared where it is."""
        self.file.write_bytes(torrent_file("things", FILES))
        self.write(self.data / "things")
        intake = take_in(self.file, self.data)
        self.assertEqual((intake.content.name, intake.folder), ("things", self.data))

    def test_renamed(self) -> None:
        """Complete content that lies in the given folder itself, whatever that is called, is shared from there."""
        self.file.write_bytes(torrent_file("things", FILES))
        self.write(self.data)
        intake = take_in(self.file, self.data)
        self.assertEqual((intake.content.name, intake.folder), (self.data.name, self.data.parent))

    def test_unsafe_name(self) -> None:
        """Content under a name that we would not create is shared under it; an unfinished one gets the safe name."""
        self.file.write_bytes(torrent_file("aux.c", b"hello"))
        self.assertEqual(take_in(self.file, self.data).content.name, "aux_.c")
        (self.data / "aux.c").write_bytes(b"hello")
        self.assertEqual(take_in(self.file, self.data).content.name, "aux.c")

    def test_not_in_the_middle_of_other_files(self) -> None:
        """Content of which something is missing, or too short, is never completed under other names than its own."""
        self.file.write_bytes(torrent_file("things", FILES))
        self.write(self.data, **{"a.bin": b"short"})
        self.assertEqual(take_in(self.file, self.data).content.name, "things")
        (self.data / "a.bin").unlink()
        self.assertEqual(take_in(self.file, self.data).content.name, "things")

    def test_data_is_missing_or_a_file(self) -> None:
        """Where content cannot be looked for is found out when the torrent starts."""
        self.file.write_bytes(torrent_file("things", FILES))
        for data in (self.data / "new", self.file):
            self.assertEqual(take_in(self.file, data).folder, data)

    def test_broken(self) -> None:
        """What is wrong with a file is said with its path, once."""
        self.file.write_bytes(b"d4:spam")
        for file in (self.file, self.data / "missing.torrent"):
            error = self.assertRaises(MetainfoError, take_in, file, self.data)
            self.assertTrue(str(error).startswith(f"{file}: "), str(error))
            self.assertEqual(str(error).count(str(file)), 1)
