"""Making torrents of files and folders."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from p2pshare import bencoding
from p2pshare.bencoding import decode, encode
from p2pshare.errors import ConfigError, MetainfoError, StorageError
from p2pshare.metainfo import Metainfo, dump, parse
from p2pshare.storage import create as module
from p2pshare.storage.create import CreateSettings, create
from p2pshare.storage.hashing import hash_pieces
from p2pshare.storage.verify import check_data

KIB, MIB = 1024, 1024**2


class FolderTestCase(SynchronousTestCase):
    """A temporary folder to make torrents of."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute() / "content"
        self.folder.mkdir(parents=True)

    def write(self, path: str, data: bytes = b"abc") -> None:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)

    def create(self, path: str = "", threads: int = 1, **settings: object) -> Metainfo:
        return create(self.folder / path, CreateSettings(**settings), threads=threads)  # type: ignore[arg-type]

    def paths(self, metainfo: Metainfo) -> list[str]:
        return [str(entry) for entry in metainfo.files]


class CreateTests(FolderTestCase):
    """What a torrent says of the content it was made of."""

    def test_single_file(self) -> None:
        """The info dictionary of a file is the one BEP 3 describes, and nothing more."""
        data = Random(0).randbytes(40_000)
        self.write("a.bin", data)
        metainfo = self.create("a.bin")
        pieces = b"".join(hashlib.sha1(data[begin : begin + 16384]).digest() for begin in range(0, 40_000, 16384))
        info = {"length": 40_000, "name": "a.bin", "piece length": 16384, "pieces": pieces}
        self.assertEqual(dump(metainfo), encode({"info": info}))
        self.assertEqual(metainfo.info_hash, hashlib.sha1(encode(info)).digest())

    def test_folder(self) -> None:
        """Files follow each other in the order of their paths as bytes, hidden ones too."""
        for path in ("b", "a/z", "a.txt", "C", "é", "a/.hidden", "~", "a/b/c"):
            self.write(path, path.encode())
        metainfo = self.create()
        self.assertEqual(metainfo.name, "content")
        self.assertEqual(self.paths(metainfo), ["C", "a/.hidden", "a/b/c", "a/z", "a.txt", "b", "~", "é"])
        line = b"".join(path.encode() for path in self.paths(metainfo))
        self.assertEqual(metainfo.pieces, hashlib.sha1(line).digest())

    def test_what_is_made_is_what_is_read(self) -> None:
        """The result equals what a reader gets from the bytes written."""
        self.write("a/b", b"1" * 100_000)
        self.write("empty", b"")
        metainfo = self.create(
            announce_tiers=(("http://a/", "udp://b:1"), ("http://c/",)),
            private=True,
            comment="Grüße\nan alle",
            web_seeds=("http://w/",),
            created_by="p2pshare 0",
            creation_date=1_700_000_000,
        )
        self.assertEqual(parse(dump(metainfo)), metainfo)
        self.assertTrue(metainfo.private)
        self.assertEqual(metainfo.announce_tiers, (("http://a/", "udp://b:1"), ("http://c/",)))
        self.assertEqual(metainfo.creation_date, 1_700_000_000)

    def test_no_clock_inside(self) -> None:
        """Without a date none is written, so the same content always makes the same torrent file."""
        self.write("a")
        self.assertEqual(dump(self.create()), dump(self.create(threads=3)))
        self.assertNotIn(b"creation date", dump(self.create()))

    def test_several_threads_come_to_the_same(self) -> None:
        """Content of many runs hashes alike on one thread and on several."""
        for number in range(9):
            self.write(f"{number}", Random(number).randbytes(2_100_000 * (number % 3)))
        for piece_length in (16 * KIB, MIB, 4 * MIB):
            self.assertEqual(self.create(piece_length=piece_length), self.create(piece_length=piece_length, threads=4))

    def test_name_can_be_chosen(self) -> None:
        """The torrent's name need not be that of the folder."""
        self.write("a")
        self.assertEqual(self.create(name="Better name").name, "Better name")

    def test_piece_length_is_chosen_by_size(self) -> None:
        """About a thousand pieces, unless told otherwise."""
        self.write("a", bytes(33 * MIB))
        self.assertEqual((self.create().piece_length, self.create().num_pieces), (32 * KIB, 1056))
        self.assertEqual(self.create(piece_length=MIB).num_pieces, 33)

    def test_f13_empty_files_are_kept(self) -> None:
        """Files of no bytes are in the torrent; if there are no others, it has no pieces."""
        self.write("empty", b"")
        metainfo = self.create()
        self.assertEqual((self.paths(metainfo), metainfo.num_pieces), (["empty"], 0))
        self.assertEqual(self.create("empty").num_pieces, 0)

    def test_f12_links_and_devices_are_left_out(self) -> None:
        """Only regular files are shared: neither links, whatever they lead to, nor pipes."""
        self.write("a")
        (self.folder.parent / "outside").mkdir()
        (self.folder.parent / "outside/secret").write_bytes(b"s")
        os.symlink("../outside", self.folder / "folder")
        os.symlink("../outside/secret", self.folder / "file")
        os.symlink("nowhere", self.folder / "broken")
        os.mkfifo(self.folder / "pipe")
        self.assertEqual(self.paths(self.create()), ["a"])

    def test_the_path_given_may_be_a_link(self) -> None:
        """What the user names is shared under the name the user knows."""
        self.write("a", b"abc")
        os.symlink("content", self.folder.parent / "link")
        os.symlink("content/a", self.folder.parent / "file")
        self.assertEqual((self.create("../link").name, self.create("../file").name), ("link", "file"))
        self.assertEqual(self.create("../file").pieces, hashlib.sha1(b"abc").digest())

    def test_names_that_readers_change_are_kept_in_the_torrent(self) -> None:
        """A folder of sources with an aux.c is shared as it is, and its own check finds every file."""
        for path in ("aux.c", "Make", "make", "x\\y"):
            self.write(path, path.encode())
        metainfo = self.create()
        info = decode(metainfo.raw_info)
        assert isinstance(info, dict)
        self.assertEqual(info[b"files"][1], {b"length": 5, b"path": [b"aux.c"]})  # type: ignore[index,call-overload]
        self.assertTrue(check_data(metainfo, self.folder, threads=1).is_complete)

    def test_progress(self) -> None:
        """Bytes done rise from 0 to all."""
        self.write("a", bytes(5 * MIB))
        told: list[tuple[int, int]] = []
        create(self.folder, CreateSettings(), lambda done, total: told.append((done, total)), threads=1)
        self.assertEqual((told[0], told[-1]), ((0, 5 * MIB), (5 * MIB, 5 * MIB)))
        self.assertEqual(told, sorted(set(told)))


class CreateRefusalTests(FolderTestCase):
    """What cannot be made into a torrent."""

    def assert_refused(self, kind: type[Exception], expected: str, path: str = "") -> None:
        error = self.assertRaises(kind, self.create, path)
        self.assertEqual(str(error), expected)

    def test_empty_folder(self) -> None:
        """A folder without files, or with nothing but folders and links, has nothing to share."""
        expected = f"{self.folder}: a folder without files, not one with something to share"
        self.assert_refused(MetainfoError, expected)
        (self.folder / "inner").mkdir()
        os.symlink("inner", self.folder / "link")
        self.assert_refused(MetainfoError, expected)

    def test_nothing_there(self) -> None:
        """A path that does not exist, or is a pipe, is named."""
        self.assert_refused(StorageError, f"{self.folder}/no: No such file or directory", "no")
        os.mkfifo(self.folder / "pipe")
        self.assert_refused(StorageError, f"{self.folder}/pipe: neither a file nor a folder", "pipe")

    def test_f8_names_that_are_no_utf8(self) -> None:
        """A name each program would read differently is refused and shown, also that of the folder itself."""
        (self.folder / os.fsdecode(b"caf\xe9")).mkdir()
        expected = r"a file name of the bytes b'caf\xe9', not of UTF-8"
        self.assert_refused(MetainfoError, f"{self.folder}: {expected}")
        (self.folder / os.fsdecode(b"caf\xe9") / "a").write_bytes(b"a")
        self.assert_refused(MetainfoError, f"{self.folder}: {expected}", os.fsdecode(b"caf\xe9"))

    def test_torrents_that_nobody_would_read_are_refused_unhashed(self) -> None:
        """The limits of readers are met before the content is read."""
        self.write("/".join("d" * 101))
        self.patch(module, "hash_pieces", lambda *_args, **_settings: self.fail("hashed"))
        self.assert_refused(MetainfoError, "info.files[0].path: 101 components deep, not at most 100")

    def test_too_many_files(self) -> None:
        """More files than a reader takes from one torrent are refused unhashed; deeper ones are fewer."""
        for number in range(12):
            self.write(f"{number:02}")
            self.write(f"deep/er/{number:02}")
        self.patch(bencoding, "MAX_TOKENS", 1000 + 12 * 8 + 8 * 10)
        self.assertEqual(self.create("deep").num_pieces, 1)
        self.patch(module, "hash_pieces", lambda *_args, **_settings: self.fail("hashed"))
        expected = f"{self.folder}: too many files: 24, not at most 20, which is what one torrent holds"
        self.assert_refused(MetainfoError, expected)

    def test_far_too_many_files(self) -> None:
        """Beyond what any torrent may hold files are only counted, so that no folder fills the memory."""
        for number in range(30):
            self.write(f"{number}")
        self.patch(module, "FILES_LIMIT", 20)
        kept: list[int] = []
        refuse = module._refuse_too_many
        self.patch(module, "_refuse_too_many", lambda found, *rest: (kept.append(len(found)), refuse(found, *rest)))
        expected = f"{self.folder}: too many files: 30, not at most 20, which is what one torrent holds"
        self.assert_refused(MetainfoError, expected)
        self.assertEqual(kept, [20])

    def test_as_many_files_as_a_reader_takes(self) -> None:
        """The most that are allowed make a torrent that can be read, with all that can be beside them."""
        limit = 1500
        self.patch(bencoding, "MAX_TOKENS", limit)
        for number in range((limit - 1000) // 8):
            self.write(f"{number}", b"")
        metainfo = self.create(
            announce_tiers=tuple((f"http://t{number}/",) for number in range(64)),
            web_seeds=tuple(f"http://w{number}/" for number in range(64)),
            comment="c",
            created_by="p",
            private=True,
            creation_date=1,
        )
        self.assertEqual(parse(dump(metainfo)), metainfo)

    def change_while_hashing(self, change: str, path: str = "a") -> None:
        """Let a file change in the middle of the work, and expect an error that names it."""

        def interfered(geometry: object, opener: object, pieces: object, on_piece: object, **settings: object) -> None:
            if change == "shorter":
                os.truncate(self.folder / path, 10)
            if change == "gone":
                os.remove(self.folder / path)
            hash_pieces(geometry, opener, pieces, on_piece, **settings)  # type: ignore[arg-type]
            if change == "longer":
                with open(self.folder / path, "ab") as file:
                    file.write(b"more")
            if change == "edited":
                (self.folder / path).write_bytes(b"y" * 50_000)
                os.utime(self.folder / path, ns=(0, 0))

        self.patch(module, "hash_pieces", interfered)
        self.assert_refused(StorageError, f"{path}: changed while it was hashed")

    def test_file_that_changes_meanwhile(self) -> None:
        """A torrent of content that is being written would be wrong for ever: the file is named instead."""
        for change in ("shorter", "gone", "longer", "edited"):
            self.write("a", b"x" * 50_000)
            self.write("b")
            self.change_while_hashing(change)

    def test_file_that_cannot_be_read(self) -> None:
        """A file without permission is named with the reason."""
        self.write("a/b")

        def refuse(*_args: object, on_error: object, **_settings: object) -> None:
            on_error(0, PermissionError(13, "Permission denied"))  # type: ignore[operator]

        self.patch(module, "hash_pieces", refuse)  # the super-user of a test machine may read everything
        self.assert_refused(StorageError, "a/b: Permission denied")


class CreateSettingsTests(SynchronousTestCase):
    """Settings are checked when they are made."""

    def assert_refused(self, expected: str, **settings: object) -> None:
        error = self.assertRaises(ConfigError, CreateSettings, **settings)
        self.assertEqual(str(error), expected)

    def test_piece_length(self) -> None:
        """Powers of two from 16 KiB to 64 MiB."""
        for length in (16 * KIB, MIB, 64 * MIB):
            self.assertEqual(CreateSettings(piece_length=length).piece_length, length)
        for length in (-16384, 0, 1, 8 * KIB, 16 * KIB + 1, 3 * 16 * KIB, 128 * MIB):
            self.assert_refused(
                f"piece length: {length}, not a power of two from 16384 to 67108864", piece_length=length
            )

    def test_f16_trackers(self) -> None:
        """What a reader would drop is refused here; each tracker is written once, empty tiers not at all."""
        settings = CreateSettings(announce_tiers=[[" http://a/", "http://b/"], [], ["http://a/"], ["udp://c:1"]])
        self.assertEqual(settings.announce_tiers, (("http://a/", "http://b/"), ("udp://c:1",)))
        self.assert_refused(
            "tracker: 'ws://t/', not a URL that begins with http or https or udp", announce_tiers=[["ws://t/"]]
        )
        many = [[f"http://t{number}/" for number in range(65)]]
        self.assert_refused("tracker: 65 URLs, not at most 64", announce_tiers=many)

    def test_web_seeds(self) -> None:
        """Only what can be fetched by HTTP."""
        expected = "web seed: 'ftp://w/', not a URL that begins with http or https"
        self.assert_refused(expected, web_seeds=["http://w/", "ftp://w/"])

    def test_name(self) -> None:
        """A name is one component, safe on every disk."""
        for name, safe in (("a/b", "a_b"), ("..", "_"), ("", "_"), ("aux", "aux_"), ("\udcff", "%FF")):
            self.assert_refused(f"name: {name!r}, not one that is safe on every disk, as {safe!r}", name=name)

    def test_text(self) -> None:
        """Bytes of a command line that are no text are refused."""
        self.assert_refused(r"comment: '\udcff', not text", comment="\udcff")
        self.assert_refused(r"created by: '\udcff', not text", created_by="\udcff")
