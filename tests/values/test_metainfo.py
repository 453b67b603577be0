"""Torrent files: what is read, what is refused and why, and what is written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare import metainfo
from p2pshare.bencoding import encode
from p2pshare.errors import BencodeError, MetainfoError
from p2pshare.metainfo import FileEntry, choose_piece_length, dump, load, parse

KIB, MIB, GIB = 1024, 1024**2, 1024**3
PIECE = 16 * KIB
_HYPHENS = {"announce_list": "announce-list", "url_list": "url-list"}


def single(**changes: object) -> dict[str, object]:
    """Return the info dictionary of one file of two pieces; underscores in keys stand for spaces, None leaves out."""
    info: dict[str, object] = {"name": "a.txt", "length": PIECE + 1, "piece length": PIECE, "pieces": b"h" * 40}
    return changed(info, changes)


def several(*files: object, **changes: object) -> dict[str, object]:
    """Return the info dictionary of a folder whose files together make one piece or none."""
    info: dict[str, object] = {"name": "d", "files": list(files), "piece length": PIECE, "pieces": b"h" * 20}
    return changed(info, changes)


def changed(info: dict[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """Apply keyword changes to an info dictionary."""
    info = info | {key.replace("_", " "): value for key, value in changes.items()}
    return {key: value for key, value in info.items() if value is not None}


def file(length: object, *path: object, **more: object) -> dict[str, object]:
    """Return one element of ``files``."""
    return {"length": length, "path": list(path), **more}


def torrent(info: object, **fields: object) -> bytes:
    """Write a torrent file around an info dictionary."""
    return encode({"info": info, **{_HYPHENS.get(key, key.replace("_", " ")): value for key, value in fields.items()}})


class MetainfoTestCase(SynchronousTestCase):
    """Words for what is refused."""

    def assert_refused(self, expected: str, info: object) -> None:
        error = self.assertRaises(MetainfoError, parse, torrent(info))
        self.assertEqual(str(error), expected)


class ParseTests(MetainfoTestCase):
    """What a good torrent file says."""

    def test_single_file(self) -> None:
        """A torrent of one file has one entry of its name."""
        info = single()
        read = parse(torrent(info))
        self.assertEqual(read.name, "a.txt")
        self.assertTrue(read.is_single)
        self.assertEqual(read.files, (FileEntry(("a.txt",), PIECE + 1, raw_path=(b"a.txt",)),))
        self.assertEqual((read.piece_length, read.num_pieces, read.total_length), (PIECE, 2, PIECE + 1))
        self.assertFalse(read.private)
        self.assertEqual((read.announce_tiers, read.web_seeds), ((), ()))
        self.assertEqual((read.comment, read.created_by, read.creation_date), (None, None, None))

    def test_info_hash_is_of_the_bytes_as_they_are(self) -> None:
        """The hash is taken over the raw info dictionary, unknown keys included."""
        info = single(x_unknown=[1, b"\xff"])
        read = parse(torrent(info, zzz=1))
        self.assertEqual(read.raw_info, encode(info))
        self.assertEqual(read.info_hash, hashlib.sha1(encode(info)).digest())

    def test_several_files(self) -> None:
        """Paths of files do not repeat the torrent's name, and the geometry knows their lengths."""
        read = parse(torrent(several(file(5, "x", "y"), file(0, "empty"), file(7, "z"))))
        self.assertFalse(read.is_single)
        self.assertEqual([str(entry) for entry in read.files], ["x/y", "empty", "z"])
        self.assertEqual(read.geometry.file_lengths, (5, 0, 7))
        self.assertEqual(read.geometry.num_pieces, 1)

    def test_piece_hashes_are_cut_from_pieces(self) -> None:
        """Each piece has its own 20 bytes."""
        read = parse(torrent(single(pieces=b"1" * 20 + b"2" * 20)))
        self.assertEqual([read.piece_hash(0), read.piece_hash(1)], [b"1" * 20, b"2" * 20])

    def test_fields_beside_info(self) -> None:
        """Comment, creator and date are kept for people."""
        read = parse(torrent(single(private=1), comment="Grüße", created_by="me 1.0", creation_date=1_700_000_000))
        self.assertTrue(read.private)
        self.assertEqual((read.comment, read.created_by, read.creation_date), ("Grüße", "me 1.0", 1_700_000_000))

    def test_only_private_1_is_private(self) -> None:
        """BEP 27 knows one value."""
        for value in (0, 2, b"1"):
            self.assertFalse(parse(torrent(single(private=value))).private)

    def test_text_for_people_cannot_move_their_cursor(self) -> None:
        """Controls are taken out of a comment, line ends stay, broken UTF-8 is marked."""
        read = parse(torrent(single(), comment=b"a\x1b[2J\r\nb\xff\x00\xe2\x80\xae"))
        self.assertEqual(read.comment, "a[2J\nb\ufffd")

    def test_useless_fields_beside_info_are_left_out(self) -> None:
        """What nothing depends on may be of any type: the torrent still works."""
        read = parse(
            torrent(single(), announce=5, comment=[b"x"], created_by=b"", creation_date=-1, url_list={}, nodes=1)
        )
        self.assertEqual((read.announce_tiers, read.web_seeds), ((), ()))
        self.assertEqual((read.comment, read.created_by, read.creation_date), (None, None, None))
        self.assertIsNone(parse(torrent(single(), creation_date=10**12)).creation_date)

    def test_readable_names_are_preferred(self) -> None:
        """Where older programs add name.utf-8 and path.utf-8, those are taken if they are UTF-8."""
        fields = file(5, b"\xc4", **{"path.utf-8": ["Ä"]})
        read = parse(torrent(several(fields, name=b"\xd6", **{"name.utf-8": "Ö"})))
        self.assertEqual((read.name, read.files[0].path), ("Ö", ("Ä",)))
        fields = file(5, b"a", **{"path.utf-8": [b"\xc4"]})
        read = parse(torrent(several(fields, name="o", **{"name.utf-8": b"\xd6"})))
        self.assertEqual((read.name, read.files[0].path), ("o", ("a",)))

    def test_pad_files_are_known(self) -> None:
        """BEP 47 padding counts in the geometry and is marked; its names may repeat and do not push others away."""
        pad = file(3, ".pad", "3", attr="p")
        read = parse(torrent(several(file(5, "a"), pad, file(5, "b", attr="xh"), pad, file(1, ".pad", "3"))))
        self.assertEqual([entry.pad for entry in read.files], [False, True, False, True, False])
        self.assertEqual(read.geometry.pads, frozenset({1, 3}))
        self.assertEqual(read.total_length, 17)
        self.assertEqual(str(read.files[4]), ".pad/3")

    def test_hybrid_torrents_are_read_as_version_1(self) -> None:
        """BEP 52: the older half says all we need."""
        read = parse(torrent(single(meta_version=2, file_tree={"a.txt": {"": {"length": PIECE + 1}}})))
        self.assertEqual(read.num_pieces, 2)

    @given(st.binary(max_size=200))
    def test_any_bytes_give_metainfo_or_one_error(self, data: bytes) -> None:
        """Nothing but MetainfoError comes out of nonsense."""
        try:
            parse(data)
        except MetainfoError:
            pass

    def test_every_torn_torrent_is_refused(self) -> None:
        """A torrent file cut anywhere is no torrent file."""
        whole = torrent(single(), comment="c")
        for end in range(len(whole)):
            self.assertRaises(MetainfoError, parse, whole[:end])


class RefusalTests(MetainfoTestCase):
    """What is refused, and that the error names field, seen and expected."""

    def test_f4_only_canonical_bencoding(self) -> None:
        """Unsorted keys, repeated keys and trailing bytes are refused, and what was wrong stays known."""
        for data in (b"d4:name1:a4:infodee", b"d4:infode4:infodee", torrent(single()) + b"x"):
            error = self.assertRaises(MetainfoError, parse, data)
            self.assertIsInstance(error.__cause__, BencodeError)

    def test_info_must_be_a_dictionary(self) -> None:
        """Without info there is no torrent."""
        error = self.assertRaises(MetainfoError, parse, encode({"announce": "http://t/"}))
        self.assertEqual(str(error), "info: missing, not a dictionary")
        self.assert_refused("info: a list of 2, not a dictionary", [1, 2])

    def test_version_2_only_is_named(self) -> None:
        """A torrent without the version 1 fields is refused for what it is."""
        info = single(length=None, pieces=None, meta_version=2, file_tree={})
        self.assert_refused("info: a version 2 torrent only, not one with the version 1 fields as well", info)

    def test_names_and_paths_must_be_strings(self) -> None:
        """Each wrong type is named where it stands."""
        self.assert_refused("info.name: missing, not a string", single(name=None))
        self.assert_refused("info.name: 5, not a string", single(name=5))
        wanted = "not a list of at least one string"
        self.assert_refused(f"info.files[0].path: a list of 0, {wanted}", several(file(1)))
        self.assert_refused(f"info.files[1].path: a list of 2, {wanted}", several(file(1, "a"), file(1, "b", 5)))
        self.assert_refused(f"info.files[0].path: 1 bytes of text, {wanted}", several({"length": 1, "path": b"a"}))
        self.assert_refused("info.files[0]: 7, not a dictionary", several(7))

    def test_f7_paths_are_made_safe(self) -> None:
        """A torrent cannot name a place outside its folder; what it said is kept beside."""
        read = parse(torrent(several(file(1, "..", "..", "etc", "/passwd"), file(1, b"C:\\x"), name="../up")))
        self.assertEqual(read.name, ".._up")
        self.assertEqual([entry.path for entry in read.files], [("etc", "_passwd"), ("C__x",)])
        self.assertEqual(read.files[0].raw_path, (b"..", b"..", b"etc", b"/passwd"))
        self.assertEqual(parse(torrent(single(name="/etc/cron"))).files[0].path, ("_etc_cron",))

    def test_f8_bytes_of_a_name_are_kept(self) -> None:
        """A name that is no UTF-8 is shown escaped, and its bytes are still known."""
        read = parse(torrent(single(name=b"caf\xe9")))
        self.assertEqual((read.name, read.raw_name, read.files[0].raw_path), ("caf%E9", b"caf\xe9", (b"caf\xe9",)))

    def test_f9_too_deep_paths_name_their_file(self) -> None:
        """The file's place in the list is part of the error."""
        deep = several(file(1, "a"), file(1, *["d"] * 101))
        self.assert_refused("info.files[1].path: 101 components deep, not at most 100", deep)

    def test_f9_number_of_files_is_limited(self) -> None:
        """The limit itself is read, one file more is refused."""
        self.patch(metainfo, "FILES_LIMIT", 3)
        self.assertEqual(len(parse(torrent(several(*[file(1, f"{n}") for n in range(3)]))).files), 3)
        refused = several(*[file(1, f"{n}") for n in range(4)])
        self.assert_refused("info.files: a list of 4, not a list of 1 to 3 files", refused)

    def test_f10_misleading_names_are_cleaned(self) -> None:
        """Neither the torrent's name nor a file's can pretend to be another."""
        read = parse(torrent(several(file(1, "a\u202etxt.exe"), file(1, "con"), file(1, "x. ")), comment="c"))
        self.assertEqual([str(entry) for entry in read.files], ["atxt.exe", "con_", "x"])

    def test_f11_files_never_share_a_place(self) -> None:
        """Twins, also those that only cleaning made equal, are told apart."""
        read = parse(torrent(several(file(1, "a"), file(1, "A"), file(1, "a."), file(1, "b"), file(1, "b", "c"))))
        self.assertEqual([str(entry) for entry in read.files], ["a", "A.1", "a.2", "b.1", "b/c"])

    def test_f12_symbolic_links_are_left_out(self) -> None:
        """A link of the torrent is never created; the files around it keep their bytes."""
        link = {"attr": "l", "path": ["link"], "symlink path": ["..", "etc"]}
        read = parse(torrent(several(file(5, "a"), link, link | {"length": 0}, file(7, "b"))))
        self.assertEqual([(str(entry), entry.length) for entry in read.files], [("a", 5), ("b", 7)])

    def test_f12_links_that_shift_or_make_up_the_content_are_refused(self) -> None:
        """A link with bytes cannot be left out, and links alone are no content."""
        link = {"attr": "l", "path": ["link"], "symlink path": ["a"]}
        shifted = several(file(5, "a"), link | {"length": 3})
        self.assert_refused("info.files[1].length: 3, not 0 as for a symbolic link", shifted)
        self.assert_refused("info.files: 1 symbolic links, not at least one file", several(link))

    def test_f13_lengths(self) -> None:
        """Negative, missing or no numbers, or more than a disk can address: refused by name."""
        wanted = "not a number from 0 to 9223372036854775807"
        for length, seen in ((-1, "-1"), (b"5", "1 bytes of text"), (None, "missing"), ([], "a list of 0")):
            self.assert_refused(f"info.length: {seen}, {wanted}", single(length=length))
        self.assert_refused(f"info.files[0].length: -1, {wanted}", several(file(-1, "a")))
        half = 2**62
        together = several(file(half, "a"), file(half, "b"))
        self.assert_refused(f"info.files: {2**63} bytes together, not at most {2**63 - 1}", together)

    def test_f13_no_files(self) -> None:
        """An empty list of files is refused, and so is something else in its place."""
        self.assert_refused("info.files: a list of 0, not a list of 1 to 100000 files", several())
        self.assert_refused("info.files: a dictionary, not a list of 1 to 100000 files", several(files={}))

    def test_f13_empty_files(self) -> None:
        """Files of no bytes are files; if all are such, there are no pieces, and nothing is missing."""
        read = parse(torrent(several(file(0, "a"), file(0, "b"), pieces=b"")))
        self.assertEqual((len(read.files), read.num_pieces, read.geometry.num_pieces), (2, 0, 0))
        self.assertEqual(parse(torrent(single(length=0, pieces=b""))).num_pieces, 0)

    def test_f14_piece_length(self) -> None:
        """1 KiB to 64 MiB are read, also odd ones; all else is refused by name."""
        for length in (KIB, KIB + 1, 1460, 64 * MIB):
            count = -(-(PIECE + 1) // length)
            self.assertEqual(parse(torrent(single(piece_length=length, pieces=b"h" * 20 * count))).num_pieces, count)
        for length in (-1, 0, 1, KIB - 1, 64 * MIB + 1):
            expected = f"info.piece length: {length}, not a number from 1024 to 67108864"
            self.assert_refused(expected, single(piece_length=length))
        self.assert_refused("info.piece length: missing, not a number from 1024 to 67108864", single(piece_length=None))

    def test_f14_pieces(self) -> None:
        """The hashes must be whole, and as many as the length makes pieces."""
        expected = f"not 40 for {PIECE + 1} bytes in 2 pieces"
        for size in (0, 20, 39, 41, 60):
            self.assert_refused(f"info.pieces: {size} bytes, {expected}", single(pieces=b"h" * size))
        self.assert_refused("info.pieces: a list of 0, not a string", single(pieces=[]))

    def test_f14_number_of_pieces_is_limited(self) -> None:
        """Up to 2^21 pieces the hashes are what counts; one more is refused before they are looked at."""
        most = 2**21
        self.assert_refused(
            f"info.pieces: 40 bytes, not {most * 20} for {most * KIB} bytes in {most} pieces",
            single(length=most * KIB, piece_length=KIB),
        )
        self.assert_refused(
            f"info.piece length: 1024 makes {most + 1} pieces, not at most {most}",
            single(length=most * KIB + 1, piece_length=KIB),
        )


class SizeTests(MetainfoTestCase):
    """F15: nothing over 10 MiB is read."""

    def test_f15_size_limit(self) -> None:
        """A torrent of exactly 10 MiB is read, one byte more is refused unread."""
        bare = torrent(single(), comment=b"c" * 1_000_000)
        whole = torrent(single(), comment=b"c" * (1_000_000 + 10 * MIB - len(bare) - 1))
        self.assertEqual(len(whole), 10 * MIB)
        self.assertEqual(parse(whole).num_pieces, 2)
        error = self.assertRaises(MetainfoError, parse, b"x" * (10 * MIB + 1))
        self.assertEqual(str(error), "torrent file: over 10485760 bytes, not at most that")

    def test_f15_large_files_are_not_loaded(self) -> None:
        """Of a file of 1 TiB no more than the limit is read before it is refused."""
        path = self.mktemp()
        with open(path, "wb") as sparse:
            os.truncate(sparse.fileno(), 1024 * GIB)
        self.assertRaises(MetainfoError, load, path)

    def test_load_reads_a_file(self) -> None:
        """A torrent on disk is the same as its bytes."""
        path = Path(self.mktemp())
        path.write_bytes(torrent(single()))
        self.assertEqual(load(path), parse(torrent(single())))
        self.assertEqual(load(str(path)).name, "a.txt")

    def test_load_says_why_not(self) -> None:
        """A file that cannot be opened is named with the reason."""
        error = self.assertRaises(MetainfoError, load, "no-such.torrent")
        self.assertEqual(str(error), "no-such.torrent: No such file or directory")


class LinkTests(SynchronousTestCase):
    """F16: trackers and web seeds."""

    def trackers(self, **fields: object) -> tuple[tuple[str, ...], ...]:
        return parse(torrent(single(), **fields)).announce_tiers

    def test_announce_alone_is_one_tier(self) -> None:
        """A torrent without announce-list has one tracker."""
        self.assertEqual(self.trackers(announce="http://t/announce"), (("http://t/announce",),))

    def test_announce_list_goes_before_announce(self) -> None:
        """BEP 12: where there are tiers, announce is not looked at; empty or unusable tiers do not count."""
        tiers = [["http://a/", "udp://b:1"], [], ["https://c/"]]
        self.assertEqual(
            self.trackers(announce="http://x/", announce_list=tiers), (("http://a/", "udp://b:1"), ("https://c/",))
        )
        for tiers in ([], [[]], [["ftp://x/"]]):
            self.assertEqual(self.trackers(announce="http://x/", announce_list=tiers), (("http://x/",),))

    def test_tiers_written_as_strings(self) -> None:
        """Some programs leave out the inner list: each string is then a tier."""
        self.assertEqual(self.trackers(announce_list=["http://a/", "http://b/"]), (("http://a/",), ("http://b/",)))

    def test_f16_only_http_https_and_udp(self) -> None:
        """Other schemes and addresses that are none are left out, silently."""
        good = ["http://t:80/a?k=v", "https://t/", "udp://[::1]:6969", "http://T/"]
        bad = [
            *("file:///etc/passwd", "gopher://t/", "javascript:alert(1)", "ws://t/", "dht://x", "t:6969", ""),
            *("http://[::1/", "http://[zz]/", "http:///path", "http://t:99999/", "http://t:0/", "udp://t:x"),
            *("http://t/a b", "http://t/\r\nX: y", "http://t/\x1b[2J", "http://tä/", "http://t/" + "x" * 2048),
        ]
        self.assertEqual(self.trackers(announce_list=[[*bad, *good, 5]]), (tuple(good),))

    def test_schemes_are_written_small(self) -> None:
        """HTTP:// is http://, as nothing that reads it later needs to know."""
        self.assertEqual(self.trackers(announce="HTTP://T/A"), (("http://T/A",),))

    def test_f16_spaces_around_a_tracker_are_ignored(self) -> None:
        """They come from copying, and mean nothing."""
        self.assertEqual(self.trackers(announce=" http://t/ \n"), (("http://t/",),))

    def test_f16_at_most_64_trackers(self) -> None:
        """The first 64 are kept over all tiers, repetitions not counted."""
        urls = [f"http://t{number}/" for number in range(10_000)]
        tiers = [urls[:40], urls[:40], urls[30:63], urls[63:]]
        self.assertEqual(self.trackers(announce_list=tiers), (tuple(urls[:40]), tuple(urls[40:63]), (urls[63],)))

    def test_web_seeds_are_one_or_a_list(self) -> None:
        """BEP 19 allows both; an empty string, as some programs write, is none; only HTTP can be fetched."""
        for written, read in (
            ("http://w/", ("http://w/",)),
            (["http://w/", "https://v/", "ftp://u/", "http://w/", 5], ("http://w/", "https://v/")),
            ("", ()),
            ([f"http://w{number}/" for number in range(65)], tuple(f"http://w{number}/" for number in range(64))),
        ):
            self.assertEqual(parse(torrent(single(), url_list=written)).web_seeds, read)


class DumpTests(SynchronousTestCase):
    """Writing torrent files."""

    def test_what_is_written_is_read_again(self) -> None:
        """Everything kept survives, and the info_hash with it."""
        read = parse(
            torrent(
                several(file(5, "x", "y"), file(1, "y"), private=1, x_unknown=b"kept"),
                announce="http://a/",
                announce_list=[["http://a/", "udp://b:1"], ["http://c/"]],
                comment="c\nd",
                created_by="me",
                creation_date=0,
                url_list="http://w/",
            )
        )
        self.assertEqual(parse(dump(read)), read)

    def test_first_tracker_is_also_announce(self) -> None:
        """Programs without tiers find the first tracker; a lone one needs no list."""
        one = dump(parse(torrent(single(), announce="http://a/")))
        self.assertEqual(one, torrent(single(), announce="http://a/"))
        two = dump(parse(torrent(single(), announce_list=[["http://a/", "http://b/"]])))
        self.assertEqual(
            two, encode({"announce": "http://a/", "announce-list": [["http://a/", "http://b/"]], "info": single()})
        )

    def test_absent_fields_are_not_written(self) -> None:
        """A bare torrent file has nothing but info."""
        self.assertEqual(dump(parse(torrent(single()))), torrent(single()))


class PieceLengthTests(SynchronousTestCase):
    """The piece length chosen for new torrents."""

    def test_examples(self) -> None:
        """Powers of two, from 16 KiB up to 16 MiB."""
        for total, length in (
            (0, 16 * KIB),
            (1, 16 * KIB),
            (32 * MIB - 16 * KIB, 16 * KIB),
            (32 * MIB, 32 * KIB),
            (GIB, MIB),
            (8 * GIB, 8 * MIB),
            (1024 * GIB, 16 * MIB),
        ):
            self.assertEqual(choose_piece_length(total), length)

    @given(st.integers(min_value=16 * MIB, max_value=32 * GIB - 16 * MIB))
    def test_number_of_pieces(self, total: int) -> None:
        """Between the ends of the range, 1,024 to 2,047 pieces."""
        self.assertIn(-(-total // choose_piece_length(total)), range(1024, 2048))
