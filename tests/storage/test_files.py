"""Tests for the steps below PieceStore: names, safe opening, kept descriptors, complete reads and writes."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from threading import Thread

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import DiskFull, StorageError
from p2pshare.storage.descriptors import Descriptors
from p2pshare.storage.disk import OSDisk
from p2pshare.storage.exact import ShortRead, read_exactly, write_exactly
from p2pshare.storage.files import ContentFiles, Place
from p2pshare.storage.folder import ContentFolder
from p2pshare.storage.holes import untouched
from p2pshare.storage.layout import FileNames, file_names
from p2pshare.storage.refusals import storage_error
from tests.storage.disk import DiskTestCase
from tests.storage.fakes import some_bytes, torrent, tree


class FileNamesTests(SynchronousTestCase):
    """Where files lie."""

    def test_single_file(self) -> None:
        """A torrent of one file is that file."""
        self.assertEqual(file_names(torrent(b"x", 1)), (FileNames(("thing",), ("thing.part",)),))

    def test_several_files(self) -> None:
        """Several files lie below a folder with the torrent's name."""
        (names,) = file_names(torrent({"sub/a": b"x"}, 1))
        self.assertEqual(names, FileNames(("thing", "sub", "a"), ("thing", "sub", "a.part")))

    def test_f11_no_two_files_under_one_name(self) -> None:
        """Parts keep clear of files, folders and other parts, also where the filesystem ignores case."""
        files = {"a": b"1", "A.PART": b"2", "b": b"3", "b.part/c": b"4", "c": b"5", "c.part": b"6", "c.part.part": b"7"}
        names = file_names(torrent(files, 1))
        parts = ["/".join(each.part[1:]) for each in names]
        self.assertEqual(parts[0], "a.part.part")
        self.assertEqual(parts[2], "b.part.part")
        everything = [tuple(part.casefold() for part in path) for each in names for path in (each.final, each.part)]
        self.assertEqual(len(set(everything)), len(everything))
        self.assertNotIn(("thing", "b.part"), everything)


class ExactTests(SynchronousTestCase):
    """Kernel calls that stop half way."""

    def test_f94_short_writes_are_continued(self) -> None:
        """A write that takes a few bytes at a time is repeated at the right places until all are taken."""
        written = bytearray(100)

        def stingy(fd: int, view: memoryview, offset: int) -> int:
            taken = min(7, len(view))
            written[offset : offset + taken] = view[:taken]
            return taken

        content = some_bytes(90)
        write_exactly(-1, memoryview(content), 10, pwrite=stingy)
        self.assertEqual(written, bytes(10) + content)

    def test_f94_error_after_a_short_write(self) -> None:
        """A disk that is full after the first bytes is an error, not a success."""
        answers = iter([5])

        def filling(fd: int, view: memoryview, offset: int) -> int:
            try:
                return next(answers)
            except StopIteration:
                raise OSError(errno.ENOSPC, "No space left on device") from None

        with self.assertRaises(OSError):
            write_exactly(-1, memoryview(bytes(10)), 0, pwrite=filling)

    def test_f94_disk_that_takes_nothing(self) -> None:
        """A write that takes no byte and reports no error does not loop for ever."""
        with self.assertRaises(OSError):
            write_exactly(-1, memoryview(b"x"), 0, pwrite=lambda *_: 0)

    def test_f94_short_reads_are_continued(self) -> None:
        """A read that gives a few bytes at a time is repeated until all are there."""
        content = some_bytes(100)

        def stingy(fd: int, views: Sequence[memoryview], offset: int) -> int:
            given = content[offset : offset + min(7, len(views[0]))]
            views[0][: len(given)] = given
            return len(given)

        buffer = bytearray(80)
        read_exactly(-1, memoryview(buffer), 20, preadv=stingy)
        self.assertEqual(buffer, content[20:])
        with self.assertRaises(ShortRead):
            read_exactly(-1, memoryview(buffer), 21, preadv=stingy)

    def test_f90_a_device_that_is_full(self) -> None:
        """The kernel's own "no space" becomes DiskFull that names the path."""
        fd = os.open("/dev/full", os.O_WRONLY)
        self.addCleanup(os.close, fd)
        with self.assertRaises(OSError) as caught:
            write_exactly(fd, memoryview(b"x"), 0)
        error = storage_error(caught.exception, "/data/thing.part")
        self.assertIsInstance(error, DiskFull)
        self.assertIn("/data/thing.part: no space is left", str(error))


class ContentFolderTests(DiskTestCase):
    """Steps below a chosen folder."""

    def setUp(self) -> None:
        super().setUp()
        self.below = ContentFolder(self.folder)

    def open(self, *parts: str, flags: int = os.O_RDONLY) -> None:
        os.close(self.below.open(parts, flags))

    def test_folders_are_made_on_the_way(self) -> None:
        """Creating a file makes its folders; reading makes nothing."""
        with self.assertRaises(FileNotFoundError):
            self.open("a", "b", "c")
        self.open("a", "b", "c", flags=os.O_RDWR | os.O_CREAT)
        self.assertEqual(tree(self.folder), {"a/b/c": b""})

    def test_f12_links_are_refused_at_every_depth(self) -> None:
        """Whichever component is a link, opening fails and names it; no file appears behind it."""
        outside = self.folder / "outside"
        (outside / "b").mkdir(parents=True)
        (outside / "b/c").write_bytes(b"secret")
        for depth, link in enumerate(("a", "a/b", "a/b/c")):
            root = self.folder / str(depth)
            target = root / link
            target.parent.mkdir(parents=True)
            target.symlink_to(outside / "/".join(["", "b", "c"][1 : depth + 1]))
            for flags in (os.O_RDONLY, os.O_RDWR | os.O_CREAT):
                with self.assertRaises(OSError) as caught:
                    os.close(ContentFolder(root).open(("a", "b", "c"), flags))
                self.assertEqual((caught.exception.errno, caught.exception.filename), (errno.ELOOP, str(target)))
        self.assertEqual((outside / "b/c").read_bytes(), b"secret")

    def test_only_regular_files(self) -> None:
        """Pipes and folders are refused without waiting."""
        os.mkfifo(self.folder / "pipe")
        (self.folder / "folder").mkdir()
        for name, flags in (("pipe", os.O_RDONLY), ("pipe", os.O_RDWR), ("folder", os.O_RDONLY)):
            with self.assertRaises(OSError) as caught:
                self.open(name, flags=flags)
            self.assertEqual(caught.exception.filename, str(self.folder / name))

    def test_f99_rename_never_replaces(self) -> None:
        """Renaming onto an existing file, or a dangling link, fails and changes nothing."""
        self.write("new", b"mine")
        self.write("old", b"ours")
        (self.folder / "dangling").symlink_to(self.folder / "nowhere")
        for taken in ("new", "dangling"):
            with self.assertRaises(FileExistsError) as caught:
                self.below.rename(("old",), (taken,))
            self.assertEqual(caught.exception.filename, str(self.folder / taken))
        self.assertEqual(tree(self.folder), {"new": b"mine", "old": b"ours", "dangling@": b""})

    def test_f99_rename_without_hard_links(self) -> None:
        """Where the filesystem has no hard links, renaming works and replaces nothing either."""

        class WithoutLinks(OSDisk):
            def link(self, old: str, new: str, dir_fd: int) -> None:
                raise OSError(errno.EPERM, "Operation not permitted")

        folder = ContentFolder(self.folder, disk=WithoutLinks())
        self.write("sub/old", b"ours")
        self.write("sub/new", b"mine")
        with self.assertRaises(FileExistsError):
            folder.rename(("sub", "old"), ("sub", "new"))
        self.assertEqual(tree(self.folder), {"sub/new": b"mine", "sub/old": b"ours"})
        folder.rename(("sub", "old"), ("sub", "free"))
        self.assertEqual(tree(self.folder), {"sub/new": b"mine", "sub/free": b"ours"})

    def test_rename_of_what_is_gone(self) -> None:
        """A file that vanished is named by its old name."""
        with self.assertRaises(FileNotFoundError) as caught:
            self.below.rename(("old",), ("new",))
        self.assertEqual(caught.exception.filename, str(self.folder / "old"))

    def test_no_descriptor_is_left_open(self) -> None:
        """Every step, successful or not, closes the folders it went through."""
        before = os.listdir("/proc/self/fd")
        self.write("a/b/c", b"x")
        (self.folder / "link").symlink_to("a")
        os.mkfifo(self.folder / "a/pipe")
        self.open("a", "b", "c")
        self.below.look(("a", "b"), ["c", "d"])
        self.assertEqual(self.below.look(("a", "z"), ["c"]), {})
        self.below.rename(("a", "b", "c"), ("a", "b", "d"))
        self.below.remove(("a", "b", "d"))
        for path in (("link", "b", "c"), ("a", "pipe"), ("a", "z", "z")):
            with self.assertRaises(OSError):
                self.open(*path)
        self.assertEqual(len(os.listdir("/proc/self/fd")), len(before))


class DescriptorsTests(DiskTestCase):
    """Files that stay open."""

    def setUp(self) -> None:
        super().setUp()
        self.opened: list[tuple[int, bool]] = []
        self.descriptors = Descriptors(self.opener, limit=2)
        self.addCleanup(self.descriptors.close)

    def opener(self, file: int, writable: bool) -> int:
        self.opened.append((file, writable))
        return os.open(self.folder / str(file), os.O_RDWR | os.O_CREAT)

    def use(self, *files: int, writable: bool = False) -> None:
        for file in files:
            with self.descriptors.borrowed(file, writable=writable) as fd:
                os.fstat(fd)

    def test_file_is_opened_once(self) -> None:
        """A file stays open for the next use."""
        self.use(1, 1, 1)
        self.assertEqual(self.opened, [(1, False)])

    def test_longest_unused_is_closed(self) -> None:
        """Above the limit the file whose last use is longest ago is closed."""
        self.use(1, 2, 1, 3, 1, 2)
        self.assertEqual([file for file, _ in self.opened], [1, 2, 3, 2])

    def test_reading_and_writing_share(self) -> None:
        """A file opened for writing serves readers; one opened for reading is opened anew to write."""
        self.use(1)
        self.use(1, writable=True)
        self.use(1)
        self.assertEqual(self.opened, [(1, False), (1, True)])

    def test_borrowed_file_stays_valid(self) -> None:
        """A file pushed out or dropped while it is on loan is closed when it comes back, not before."""
        with self.descriptors.borrowed(1) as fd:
            self.use(2, 3)
            os.fstat(fd)
            self.descriptors.close()
            os.fstat(fd)
        self.assertRaises(OSError, os.fstat, fd)

    def test_borrow_open_never_opens(self) -> None:
        """The reactor's way to a file gives only what is open already."""
        self.assertIsNone(self.descriptors.borrow_open(1))
        self.use(1)
        descriptor = self.descriptors.borrow_open(1)
        assert descriptor is not None
        with self.descriptors.renaming(1):
            self.assertIsNone(self.descriptors.borrow_open(1))
            os.fstat(descriptor.fd)
        self.descriptors.give_back(descriptor)
        self.assertRaises(OSError, os.fstat, descriptor.fd)

    def test_failed_open_leaves_nothing(self) -> None:
        """An error of the opener reaches the borrower, and the next one tries again."""
        os.mkdir(self.folder / "1")
        self.assertRaises(IsADirectoryError, self.use, 1)
        os.rmdir(self.folder / "1")
        self.use(1)

    def test_many_threads_few_descriptors(self) -> None:
        """Threads that use more files than may be open read the right bytes and leave no descriptor behind."""
        for file in range(8):
            self.write(str(file), bytes([file]))
        before = len(os.listdir("/proc/self/fd"))
        wrong: list[int] = []

        def read(first: int) -> None:
            for turn in range(300):
                file = (first + turn * 3) % 8
                with self.descriptors.borrowed(file) as fd:
                    if os.pread(fd, 1, 0) != bytes([file]):
                        wrong.append(file)

        threads = [Thread(target=read, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.descriptors.close()
        self.assertEqual(wrong, [])
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)


class ContentFilesTests(DiskTestCase):
    """Bytes of pieces in files."""

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=1, max_size=8), st.integers(1, 50), st.data()
    )
    def test_any_layout(self, layout: list[tuple[int, bool]], piece_length: int, data: st.DataObject) -> None:
        """Whatever the files and pieces: what was written piece by piece is read back, whole, in parts, scattered."""
        files = {
            f"{'.pad/' if pad else ''}{number}": bytes(size) if pad else some_bytes(size, number)
            for number, (size, pad) in enumerate(layout)
        }
        content = b"".join(files.values())
        if not content:
            return
        metainfo = torrent(files, piece_length)
        folder = self.folder / str(len(os.listdir(self.folder)))
        subject = ContentFiles(metainfo, ContentFolder(folder))
        geometry = metainfo.geometry
        pieces = [content[begin : begin + piece_length] for begin in range(0, len(content), piece_length)]
        for piece in data.draw(st.permutations(range(len(pieces)))):
            subject.write(piece, memoryview(pieces[piece]))
        subject.finish(range(len(files)))
        on_disk = {f"thing/{path}": file for path, file in files.items() if file and not path.startswith(".pad/")}
        self.assertEqual(tree(folder), on_disk)
        piece = data.draw(st.integers(0, len(pieces) - 1))
        begin = data.draw(st.integers(0, geometry.piece_size(piece)))
        length = data.draw(st.integers(0, geometry.piece_size(piece) - begin))
        self.assertEqual(subject.read_bytes(piece, begin, length), pieces[piece][begin : begin + length])
        cut = data.draw(st.integers(0, length))
        buffers = [memoryview(bytearray(cut)), memoryview(bytearray(length - cut))]
        if subject.read_now(piece, begin, buffers):
            self.assertEqual(b"".join(buffers), pieces[piece][begin : begin + length])
        subject.close()

    def test_final_file_is_never_written(self) -> None:
        """Writing right bytes to a finished file does nothing, writing others is refused."""
        content = some_bytes(100)
        files = ContentFiles(torrent(content, 50), ContentFolder(self.folder))
        files.write(0, memoryview(content[:50]))
        files.write(1, memoryview(content[50:]))
        files.finish([0])
        self.assertIs(files.places[0], Place.FINAL)
        os.utime(self.folder / "thing", (1, 1))
        files.write(1, memoryview(content[50:]))
        self.assertRaises(StorageError, files.write, 1, memoryview(bytes(50)))
        self.assertEqual((self.folder / "thing").stat().st_mtime, 1)
        self.assertEqual(tree(self.folder), {"thing": content})

    def test_holes_are_known(self) -> None:
        """Pieces without a written byte are named; a file of which nothing is known counts as written."""
        metainfo = torrent({"a": bytes(1 << 20), "b": bytes(1 << 20)}, 1 << 16)
        files = ContentFiles(metainfo, ContentFolder(self.folder))
        files.try_writing(0)
        files.write(3, memoryview(b"x" * (1 << 16)))
        holes = untouched(files)
        self.assertNotIn(3, holes)
        self.assertLessEqual(holes, set(range(16)))  # all but 3, or fewer where the filesystem has no holes
        files.close()
        os.unlink(self.folder / "thing/a.part")
        self.assertEqual(untouched(files), set())
