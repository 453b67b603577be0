"""Names from a stranger's torrent, made safe for any disk."""

from __future__ import annotations

import os
import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import MetainfoError
from p2pshare.paths import COMPONENT_LIMIT, DEPTH_LIMIT, TWIN_LIMIT, distinct_paths, safe_component, safe_path

# Bytes that steer a path, and some that do not, close together.
_nasty = st.lists(
    st.sampled_from(
        [b".", b"..", b"/", b"\\", b"\0", b"C:", b" ", b"a", b"con", b"aux.", b"\xff", b"\xc0\xae", b"%2e", b"x" * 120]
        + [text.encode() for text in ("\u202e", "\u200b", "\x1b[2J", "\x85", "\u2028", "é", "日本", "😀", "¹")]
    )
    | st.binary(max_size=8),
    max_size=12,
).map(b"".join)


class SafeComponentTests(SynchronousTestCase):
    """One component of a path."""

    def assert_becomes(self, expected: dict[bytes, str]) -> None:
        self.assertEqual({raw: safe_component(raw) for raw in expected}, expected)

    def test_ordinary_names_stay(self) -> None:
        """Names people use are left as they are, in any script."""
        for name in (
            "a",
            "read me.txt",
            ".hidden",
            "~backup",
            "Ünï.mkv",
            "日本語.txt",
            "a;b=c [1] {2}",
            "10:30",
            "On: off",
            "😀",
        ):
            self.assertEqual(safe_component(name.encode()), name)

    def test_f7_separators_and_drives_are_neutralised(self) -> None:
        """Nothing in a component can leave its folder, on any system."""
        self.assert_becomes(
            {
                b"": "_",
                b".": "_",
                b"..": "_",
                b"...": "_",
                b"/etc/passwd": "_etc_passwd",
                b"..\\..\\x": ".._.._x",
                b"a\0b": "a_b",
                b"C:": "C_",
                b"c:\\x": "c__x",
                b"\\\\server\\share": "__server_share",
            }
        )

    def test_f7_dots_inside_a_name_are_accepted(self) -> None:
        """Only names of nothing but dots mean folders."""
        self.assert_becomes({b"a... b": "a... b", b"..a": "..a", b"a..b": "a..b"})

    def test_f8_escapes_are_taken_literally(self) -> None:
        """What is percent-encoded is a name like any other: nobody decodes it a second time."""
        self.assert_becomes({b"%2e%2e%2f": "%2e%2e%2f", b"%252e": "%252e"})

    def test_f8_bytes_that_are_no_utf8_stay_legible(self) -> None:
        """Broken and overlong UTF-8 becomes visible hexadecimal, never a dot or a slash."""
        self.assert_becomes(
            {
                b"caf\xe9.txt": "caf%E9.txt",
                b"\xc0\xae\xc0\xae": "%C0%AE%C0%AE",
                b"\xe0\x80\xaf": "%E0%80%AF",
                b"\xed\xa0\x80": "%ED%A0%80",
            }
        )

    def test_f9_long_names_keep_their_extension(self) -> None:
        """A name of up to 240 bytes is kept; of a longer one, the end before the extension goes."""
        for length in (COMPONENT_LIMIT - 1, COMPONENT_LIMIT):
            self.assertEqual(safe_component(b"x" * length), "x" * length)
        self.assertEqual(safe_component(b"x" * (COMPONENT_LIMIT + 1)), "x" * COMPONENT_LIMIT)
        self.assertEqual(safe_component(b"x" * 500 + b".tar"), "x" * (COMPONENT_LIMIT - 4) + ".tar")
        self.assertEqual(safe_component(b"x." + b"y" * 500), "x." + "y" * (COMPONENT_LIMIT - 2))

    def test_f9_long_names_are_cut_between_characters(self) -> None:
        """Cutting never leaves half a character."""
        self.assertEqual(safe_component(("é" * 200 + "日.mkv").encode()), "é" * 118 + ".mkv")
        self.assertEqual(safe_component(("日" * 100).encode()), "日" * 80)

    def test_f10_invisible_characters_are_stripped(self) -> None:
        """A name looks like what it is: no bidirectional overrides, no zero-width characters."""
        self.assert_becomes(
            {
                "photo\u202egpj.exe".encode(): "photogpj.exe",
                "\u2066a\u2069".encode(): "a",
                "a\u200b\u200d\ufeffb".encode(): "ab",
                "\u202e".encode(): "_",
                "\u202e..".encode(): "_",
            }
        )

    def test_f10_control_characters_become_underscores(self) -> None:
        """Neither C0 nor C1 controls nor line separators reach a terminal."""
        self.assert_becomes({b"a\r\nb": "a__b", b"\x1b[31m": "_[31m", "\x85\u2028\u2029".encode(): "___", b"\x7f": "_"})

    def test_f10_device_names_are_changed(self) -> None:
        """Windows' device names get an underscore, with or without an extension; names that only begin so do not."""
        self.assert_becomes(
            {
                b"con": "con_",
                b"AUX": "AUX_",
                b"aux.c": "aux_.c",
                b"nul.tar.gz": "nul_.tar.gz",
                b"com1": "com1_",
                "LPT¹.x".encode(): "LPT¹_.x",
                b"con .txt": "con_ .txt",
                b"console": "console",
                b"com10": "com10",
                b"a.con": "a.con",
            }
        )

    def test_f10_trailing_dots_and_spaces_go(self) -> None:
        """They vanish on Windows, where two names would then be one."""
        self.assert_becomes({b"a.": "a", b"a . .": "a", b"  ": "_", b" a": " a", b"con. ": "con_"})

    @given(_nasty)
    def test_f7_any_bytes_make_one_safe_name(self, raw: bytes) -> None:
        """Whatever the bytes: a name that stays in its folder, can be shown and created, and is safe already."""
        name = safe_component(raw)
        self.assertNotIn(name, ("", ".", ".."))
        self.assertFalse(set("/\\\0") & set(name))
        self.assertLessEqual(len(name.encode()), COMPONENT_LIMIT)
        self.assertEqual(name, name.rstrip(" ."))
        self.assertFalse({unicodedata.category(character) for character in name} & {"Cc", "Cf", "Cs", "Zl", "Zp"})
        self.assertEqual(safe_component(name.encode()), name)


class SafePathTests(SynchronousTestCase):
    """A file's path below the content's folder."""

    def test_f7_steps_that_lead_nowhere_are_dropped(self) -> None:
        """Empty components and dots vanish; a path of nothing else still names a file."""
        self.assertEqual(safe_path([b"..", b"a", b"", b".", b"b"]), ("a", "b"))
        self.assertEqual(safe_path([b"..", b".."]), ("_",))
        self.assertEqual(safe_path([b"/", b"a/../../b"]), ("_", "a_.._.._b"))

    def test_f9_depth_is_limited(self) -> None:
        """A hundred components are read, one more is refused with the figure."""
        for depth in (DEPTH_LIMIT - 1, DEPTH_LIMIT):
            self.assertEqual(len(safe_path([b"d"] * depth)), depth)
        error = self.assertRaises(MetainfoError, safe_path, [b"d"] * (DEPTH_LIMIT + 1))
        self.assertEqual(str(error), "path: 101 components deep, not at most 100")

    @given(st.lists(_nasty, min_size=1, max_size=6))
    def test_f7_any_path_stays_below_its_root(self, parts: list[bytes]) -> None:
        """Joined and normalised, as an operating system would, every path is still below the root."""
        joined = os.path.normpath(os.path.join("/root", *safe_path(parts)))
        self.assertTrue(joined.startswith("/root/"))
        self.assertEqual(joined.count("/"), len(safe_path(parts)) + 1)


class DistinctPathsTests(SynchronousTestCase):
    """One place on disk for each file."""

    def test_different_paths_stay(self) -> None:
        """Files that do not meet keep their names, also under one folder spelled twice."""
        paths = [("a",), ("b", "a"), ("b", "c"), ("c", "b", "a"), ("B", "d")]
        self.assertEqual(distinct_paths(paths), paths)

    def test_f11_same_path_twice(self) -> None:
        """The second gets a number before its extension, and the number is not taken from a third."""
        self.assertEqual(
            distinct_paths([("d", "a.txt"), ("d", "a.txt"), ("d", "a.1.txt"), ("d", "a.txt"), ("a.txt",)]),
            [("d", "a.txt"), ("d", "a.1.txt"), ("d", "a.1.1.txt"), ("d", "a.2.txt"), ("a.txt",)],
        )

    def test_f11_twins_by_case_and_composition(self) -> None:
        """Names that some file systems take for one are told apart, in folders as well."""
        self.assertEqual(distinct_paths([("Make",), ("make",)]), [("Make",), ("make.1",)])
        self.assertEqual(distinct_paths([("STRASSE",), ("straße",)]), [("STRASSE",), ("straße.1",)])
        self.assertEqual(distinct_paths([("\u00e9",), ("e\u0301",)]), [("\u00e9",), ("e\u0301.1",)])
        self.assertEqual(distinct_paths([("D", "x"), ("d", "X")]), [("D", "x"), ("d", "X.1")])

    def test_f11_file_and_folder_of_one_name(self) -> None:
        """The folder keeps the name wherever it stands in the list."""
        self.assertEqual(distinct_paths([("x",), ("x", "y")]), [("x.1",), ("x", "y")])
        self.assertEqual(distinct_paths([("X", "y"), ("x",)]), [("X", "y"), ("x.1",)])

    def test_f11_number_of_twins_is_limited(self) -> None:
        """500 renamed files of one name are the most; the next is refused with the name."""
        twins = [("same",)] * (TWIN_LIMIT + 1)
        self.assertEqual(len(set(distinct_paths(twins))), TWIN_LIMIT + 1)
        error = self.assertRaises(MetainfoError, distinct_paths, [*twins, ("same",)])
        self.assertEqual(str(error), "path: more than 500 files want to be called 'same'")

    @given(st.lists(st.lists(st.sampled_from(["a", "A", "a.1", "b", "é", "E\u0301"]), min_size=1, max_size=3)))
    def test_f11_never_two_files_in_one_place(self, lists: list[list[str]]) -> None:
        """However the paths collide, all results differ when folded, and none is a folder of another."""
        result = distinct_paths(map(tuple, lists))
        folded = [
            tuple(unicodedata.normalize("NFC", component.casefold()).casefold() for component in path)
            for path in result
        ]
        folders = {path[:depth] for path in folded for depth in range(1, len(path))}
        self.assertEqual(len(set(folded)), len(lists))
        self.assertFalse(folders & set(folded))
        self.assertEqual([path[:-1] for path in result], [tuple(path[:-1]) for path in lists])
