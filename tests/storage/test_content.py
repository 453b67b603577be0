"""Finding content on disk, and opening nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.bencoding import encode
from p2pshare.errors import StorageError
from p2pshare.metainfo import Metainfo, parse
from p2pshare.storage.content import Content, found_at, locate_content

PIECE = 16 * 1024


def single(name: str | bytes = "a.txt", length: int = 3) -> Metainfo:
    """Return a torrent of one file."""
    return parse(encode({"info": {"name": name, "length": length, "piece length": PIECE, "pieces": b"h" * 20}}))


def several(*paths: str, name: str = "d") -> Metainfo:
    """Return a torrent of files of three bytes."""
    files = [{"length": 3, "path": path.split("/")} for path in paths]
    return parse(encode({"info": {"name": name, "files": files, "piece length": PIECE, "pieces": b"h" * 20}}))


class ContentTestCase(SynchronousTestCase):
    """A temporary folder with files in it."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def write(self, *paths: str, data: bytes = b"abc") -> None:
        for path in paths:
            place = self.folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)


class LocateContentTests(ContentTestCase):
    """Which file or folder is meant."""

    def assert_not_found(self, expected: str, metainfo: Metainfo, path: Path) -> None:
        error = self.assertRaises(StorageError, locate_content, metainfo, path)
        self.assertEqual(str(error), f"{path}: {expected}")

    def test_file_itself_or_its_folder(self) -> None:
        """A lone file is found by its own path, whatever its name, and by the folder that holds it."""
        self.write("a.txt", "renamed")
        self.assertEqual(locate_content(single(), self.folder), self.folder / "a.txt")
        self.assertEqual(locate_content(single(), str(self.folder / "a.txt")), self.folder / "a.txt")
        self.assertEqual(locate_content(single(), self.folder / "renamed"), self.folder / "renamed")

    def test_file_that_is_not_there(self) -> None:
        """The error tells what was looked for and where."""
        expected = "neither the file 'a.txt' nor a folder that holds it"
        self.assert_not_found(expected, single(), self.folder)
        self.assert_not_found(expected, single(), self.folder / "no")
        (self.folder / "a.txt").mkdir()
        self.assert_not_found(expected, single(), self.folder)

    def test_folder_itself_or_the_one_around_it(self) -> None:
        """Several files are found by their folder, renamed or not, and by the folder around it."""
        self.write("d/x/y", "other/x/y")
        metainfo = several("x/y", "z")
        self.assertEqual(locate_content(metainfo, self.folder), self.folder / "d")
        self.assertEqual(locate_content(metainfo, self.folder / "d"), self.folder / "d")
        self.assertEqual(locate_content(metainfo, self.folder / "other"), self.folder / "other")

    def test_folder_with_none_of_the_files_yet(self) -> None:
        """The folder of the torrent's name counts even when it is empty; any other does not."""
        (self.folder / "d").mkdir()
        self.assertEqual(locate_content(several("x"), self.folder), self.folder / "d")
        expected = "neither the folder 'd' nor one that holds it"
        self.assert_not_found(expected, several("x"), self.folder / "d")
        self.assert_not_found(expected, several("x"), self.folder / "no")
        self.write("file")
        self.assert_not_found(expected, several("x"), self.folder / "file")

    def test_content_that_holds_a_folder_of_its_own_name(self) -> None:
        """Where the given folder and one in it could both be meant, the one with more of the files is."""
        self.write("d/d/x", "d/y", "d/z")
        metainfo = several("d/x", "y", "z")
        self.assertEqual(locate_content(metainfo, self.folder / "d"), self.folder / "d")
        self.assertEqual(locate_content(metainfo, self.folder), self.folder / "d")

    def test_name_as_the_torrent_spells_it(self) -> None:
        """Content that bears a name we would not create is found all the same, but a path is not a name."""
        self.write("aux.c")
        self.assertEqual(locate_content(single("aux.c"), self.folder), self.folder / "aux.c")
        self.write("up")
        (self.folder / "sub").mkdir()
        self.assertRaises(StorageError, locate_content, single("../up"), self.folder / "sub")
        self.assertRaises(StorageError, locate_content, single(b"\xff"), self.folder / "sub")

    def test_relative_paths_become_absolute(self) -> None:
        """The place is still right after somebody changes the working folder."""
        self.write("a.txt")
        self.assertEqual(locate_content(single(), os.path.relpath(self.folder)), self.folder / "a.txt")


class FoundAtTests(ContentTestCase):
    """The torrent with the names its files have on disk."""

    def paths(self, metainfo: Metainfo) -> list[str]:
        return [str(entry) for entry in found_at(metainfo, self.folder).files]

    def test_renamed_content(self) -> None:
        """The torrent bears the name of the file or folder it was found at, and stays the same torrent."""
        found = found_at(single(), self.folder / "b.txt")
        self.assertEqual((found.name, found.files[0].path, found.info_hash), ("b.txt", ("b.txt",), single().info_hash))
        self.assertEqual(found_at(several("x"), self.folder).name, self.folder.name)

    def test_names_we_would_not_create(self) -> None:
        """Files that lie there as the torrent spells them are named so; the others keep their safe names."""
        self.write("aux.c", "x\\y", "con/prn")
        self.assertEqual(
            self.paths(several("aux.c", "x\\y", "con/prn", "nul", "a")), ["aux.c", "x\\y", "con/prn", "nul_", "a"]
        )

    def test_safe_names_go_first(self) -> None:
        """A file that has its safe name is that file."""
        self.write("aux.c", "aux_.c")
        self.assertEqual(self.paths(several("aux.c")), ["aux_.c"])

    def test_f11_twins_that_are_two_files(self) -> None:
        """On a disk that tells case apart, both of two twins are found under their own names."""
        self.write("make", "Make")
        self.assertEqual(self.paths(several("Make", "make")), ["Make", "make"])

    def test_f11_twins_that_are_one_file(self) -> None:
        """Where two names are one file, only the first has it: a hard link stands for a disk that ignores case."""
        self.write("Make")
        os.link(self.folder / "Make", self.folder / "make")
        self.assertEqual(self.paths(several("Make", "make")), ["Make", "make.1"])

    def test_f12_links_and_folders_are_not_found(self) -> None:
        """Only a regular file counts, and only below the folder."""
        self.write("real")
        os.symlink("real", self.folder / "aux")
        (self.folder / "nul").mkdir()
        self.assertEqual(self.paths(several("aux", "nul", "../con")), ["aux_", "nul_", "con_"])


class OpenContentTests(ContentTestCase):
    """Opening the files of a torrent."""

    def read(self, metainfo: Metainfo, root: Path, file: int = 0) -> bytes | None:
        with Content(metainfo, root) as content:
            descriptor = content.open(file)
            self.assertEqual(descriptor is None, content.status(file) is None)
            if descriptor is None:
                return None
            try:
                return os.read(descriptor, 100)
            finally:
                os.close(descriptor)

    def test_files_are_opened_by_index(self) -> None:
        """Each file of the torrent is found in its folder."""
        self.write("x/y/z", data=b"1")
        self.write("w", "v", data=b"2")
        metainfo = several("x/y/z", "w", "x/no", "v/no")
        self.assertEqual([self.read(metainfo, self.folder, n) for n in range(4)], [b"1", b"2", None, None])

    def test_one_folder_after_the_other(self) -> None:
        """Going to and fro between folders opens the right files."""
        for path in ("a/f", "b/f", "f", "a/b/f"):
            self.write(path, data=path.encode())
        metainfo = several("a/f", "b/f", "f", "a/b/f", "a/no/f")
        with Content(metainfo, self.folder) as content:
            for file in (0, 1, 4, 1, 3, 2, 0, 0, 3):
                descriptor = content.open(file)
                expected = None if file == 4 else str(metainfo.files[file]).encode()
                self.assertEqual(descriptor and os.read(descriptor, 100), expected)
                if descriptor is not None:
                    os.close(descriptor)

    def test_small_files_are_fetched_at_once(self) -> None:
        """The disk is told on opening that a small file will be read; of a large one it is not."""
        self.write("small", data=b"1")
        self.write("large", data=bytes(256 * 1024 + 1))
        advised: list[tuple[object, ...]] = []
        self.patch(os, "posix_fadvise", lambda _descriptor, *advice: advised.append(advice))
        for file in range(2):
            self.read(several("small", "large"), self.folder, file)
        self.assertEqual(advised, [(0, 0, os.POSIX_FADV_WILLNEED)])

    def test_lone_file_by_its_own_path(self) -> None:
        """The content's root is the file itself, whatever its name."""
        self.write("renamed", data=b"1")
        self.assertEqual(self.read(single(), self.folder / "renamed"), b"1")

    def test_f12_links_below_the_root_are_not_followed(self) -> None:
        """A planted link, as file or as folder on the way, is no file of the torrent."""
        self.write("secret/f")
        (self.folder / "d").mkdir()
        os.symlink(self.folder / "secret/f", self.folder / "d/link")
        os.symlink(self.folder / "secret", self.folder / "d/way")
        metainfo = several("link", "way/f")
        self.assertEqual([self.read(metainfo, self.folder / "d", n) for n in range(2)], [None, None])

    def test_links_to_the_root_are_the_users_own(self) -> None:
        """The path the user typed may lead through links."""
        self.write("real/f", data=b"1")
        os.symlink("real", self.folder / "link")
        os.symlink("real/f", self.folder / "file")
        self.assertEqual(self.read(several("f"), self.folder / "link"), b"1")
        self.assertEqual(self.read(single(), self.folder / "file"), b"1")

    def test_only_regular_files(self) -> None:
        """A folder or a pipe in a file's place is not opened, and nothing waits for the pipe."""
        (self.folder / "folder").mkdir()
        os.mkfifo(self.folder / "pipe")
        metainfo = several("folder", "pipe")
        self.assertEqual([self.read(metainfo, self.folder, n) for n in range(2)], [None, None])

    def test_root_that_is_not_there(self) -> None:
        """Without a folder there is nothing to open."""
        error = self.assertRaises(StorageError, Content, several("x"), self.folder / "no")
        self.assertEqual(str(error), f"{self.folder / 'no'}: No such file or directory")

    def test_no_descriptor_is_left_open(self) -> None:
        """Closing lets go of everything that was opened on the way."""
        self.write("a/b/f", "c/f")
        before = len(os.listdir("/proc/self/fd"))
        for file in range(4):
            self.read(several("a/b/f", "c/f", "a/no", "no/f"), self.folder, file)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
