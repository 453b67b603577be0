"""Tests of p2pshare.settings."""

from __future__ import annotations

from pathlib import Path

from attrs import Factory, field, frozen
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import ConfigError
from p2pshare.rates import parse_duration
from p2pshare.settings import PARSE, are_networks, between, load_settings, one_of, override, read_networks


@frozen
class Inner:
    depth: int = field(default=3, validator=between(0, 9))


@frozen
class Outer:
    name: str = "x"
    port: int = field(default=8000, validator=between(0, 65535))
    wait: float = field(default=1.5, validator=between(0, 60), metadata={PARSE: parse_duration})
    limit: int | None = field(default=None, validator=between(1, 10))
    is_open: bool = False
    mode: int = field(default=200, validator=one_of(200, 400))
    near: tuple[str, ...] = field(default=("private",), validator=are_networks)
    inner: Inner = Factory(Inner)


class SettingsCase(SynchronousTestCase):
    """Has a settings file."""

    def load(self, text: str) -> Outer:
        """Load settings from a file with this text."""
        self.path = Path(self.mktemp())
        self.path.write_text(text, encoding="utf-8")
        return load_settings(self.path, Outer, "outer")

    def refusal(self, text: str) -> str:
        """Say why a file is refused, without its changing name."""
        message = str(self.assertRaises(ConfigError, self.load, text))
        self.assertIn(str(self.path), message)
        return message.replace(str(self.path), "FILE")


class LoadTests(SettingsCase):
    """Files that are fine."""

    def test_empty_file_keeps_defaults(self) -> None:
        """What a file does not mention keeps its default."""
        self.assertEqual(self.load(""), Outer())
        self.assertEqual(self.load("[outer]\n"), Outer())

    def test_every_type(self) -> None:
        """Texts, numbers, switches, lists and inner tables are read."""
        loaded = self.load(
            '[outer]\nname = "y"\nport = 1\nwait = 2\nlimit = 4\nis_open = true\nmode = 400\nnear = ["::1"]\n'
            "[outer.inner]\ndepth = 5\n"
        )
        self.assertEqual(loaded, Outer("y", 1, 2.0, 4, True, 400, ("::1",), Inner(5)))
        self.assertIsInstance(loaded.wait, float)

    def test_number_as_text_with_unit(self) -> None:
        """A field that knows a unit also takes a text."""
        self.assertEqual(self.load('[outer]\nwait = "1m"\n').wait, 60.0)

    def test_networks(self) -> None:
        """A list of networks finds its members, and "private" means all that is not public."""
        networks = read_networks(["private", "203.0.113.0/24"])
        for host in ("127.0.0.1", "10.1.2.3", "::1", "fe80::1", "203.0.113.9"):
            self.assertIn(host, networks)
        for host in ("203.0.114.1", "2001:db8::1", "private", "localhost"):
            self.assertNotIn(host, networks)
        self.assertNotIn("127.0.0.1", read_networks([]))


class RefusalTests(SettingsCase):
    """Files that are not, and what people get to read about them."""

    def test_f109_unknown_key(self) -> None:
        """An unknown key is named with its line, and the known ones are listed."""
        self.assertEqual(
            self.refusal('[outer]\nname = "y"\nprot = 1\n'),
            "settings file FILE, line 3: outer.prot is unknown; "
            "known are inner, is_open, limit, mode, name, near, port, wait",
        )

    def test_f109_unknown_section(self) -> None:
        """A section with a typing mistake is not passed over."""
        self.assertEqual(
            self.refusal("[outre]\nport = 1\n"),
            "settings file FILE, line 1: outre is unknown here; this file has one section, [outer]",
        )

    def test_f109_wrong_type(self) -> None:
        """A value of the wrong type is named with its key, its line and what is expected."""
        for text, problem in (
            ('port = "high"', 'outer.port is "high": expected a whole number'),
            ("port = 1.5", "outer.port is 1.5: expected a whole number"),
            ("port = true", "outer.port is true: expected a whole number"),
            ("wait = []", "outer.wait is []: expected a number"),
            ('wait = "soon"', 'outer.wait is "soon": '),
            ("name = 5", "outer.name is 5: expected a text"),
            ("is_open = 1", "outer.is_open is 1: expected true or false"),
            ('near = "private"', 'outer.near is "private": expected a list, each entry a text'),
            ("near = [1]", "outer.near is [1]: expected a list, each entry a text"),
            ("inner = 3", "outer.inner is 3: expected a table, [outer.inner]"),
        ):
            self.assertTrue(
                self.refusal(f"# a comment\n[outer]\n{text}\n").startswith(f"settings file FILE, line 3: {problem}"),
                self.refusal(f"# a comment\n[outer]\n{text}\n"),
            )

    def test_f109_out_of_range(self) -> None:
        """A number out of range, a choice that there is not and a broken network are named with what is possible."""
        for text, problem in (
            ("port = -1", "outer.port is -1: expected 0 to 65535"),
            ("port = 65536", "outer.port is 65536: expected 0 to 65535"),
            ("wait = nan", "outer.wait is nan: expected 0 to 60"),
            ("wait = inf", "outer.wait is inf: expected 0 to 60"),
            ("limit = 0", "outer.limit is 0: expected 1 to 10"),
            ("mode = 500", "outer.mode is 500: expected 200 or 400"),
            ('near = ["10.0.0.0/99"]', 'outer.near holds "10.0.0.0/99": expected networks such as "10.0.0.0/8", '),
        ):
            self.assertIn(f"line 2: {problem}", self.refusal(f"[outer]\n{text}\n"))
        self.assertIn("line 4: outer.inner.depth is 10: expected 0 to 9", self.refusal("\n\n[outer.inner]\ndepth=10"))

    def test_range_ends_are_allowed(self) -> None:
        """The smallest and the largest number of a range are in it."""
        self.assertEqual(self.load("[outer]\nport = 0\nlimit = 1\n").port, 0)
        self.assertEqual(self.load("[outer]\nport = 65535\nlimit = 10\n").port, 65535)

    def test_f109_unreadable(self) -> None:
        """A file that is missing, is not text or is not TOML is named with the reason."""
        missing = self.assertRaises(ConfigError, load_settings, self.mktemp(), Outer, "outer")
        self.assertIn("No such file", str(missing))
        self.assertIn("line 1", self.refusal("[outer\n"))
        path = Path(self.mktemp())
        path.write_bytes(b"\xff\xfe")
        self.assertIn(str(path), str(self.assertRaises(ConfigError, load_settings, path, Outer, "outer")))

    @given(st.text())
    def test_f109_any_text(self, text: str) -> None:
        """Whatever the file holds, there are settings or there is a ConfigError."""
        try:
            self.load(text.encode("utf-8", "ignore").decode())
        except ConfigError:
            pass


class OverrideTests(SynchronousTestCase):
    """What flags do to settings."""

    def test_given_values_win(self) -> None:
        """A flag replaces its setting, one that was not given leaves it."""
        self.assertEqual(override(Outer(name="y"), port=5, limit=None), Outer(name="y", port=5))

    def test_out_of_range(self) -> None:
        """A flag out of range is refused like the same key in a file."""
        error = self.assertRaises(ConfigError, override, Outer(), port=70000)
        self.assertEqual(str(error), "port is 70000: expected 0 to 65535")
