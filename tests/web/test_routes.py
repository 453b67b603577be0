"""Tests of p2pshare.web.routes."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import RequestRefused
from p2pshare.web.routes import Call, Route, RouteTable
from p2pshare.web.uploads import UploadForm


async def nothing(call: Call[Any, Any]) -> None:
    """Answer with nothing."""


def route(method: str, path: str, **more: Any) -> Route:
    """A row whose function does nothing."""
    return Route(method, path, nothing, "", **more)


class RouteTableTests(SynchronousTestCase):
    """A table of paths with variable parts."""

    def setUp(self) -> None:
        self.table = RouteTable(
            [
                route("GET", "/"),
                route("GET", "/files"),
                route("POST", "/files"),
                route("GET", "/files/search"),
                route("GET", "/files/{file_id}"),
                route("GET", "/files/{file_id}/owner"),
                route("DELETE", "/files/{name}"),
            ]
        )

    def found(self, path: bytes, method: str = "GET") -> tuple[str, tuple[str, ...]] | None:
        """Which template a request leads to, and what stands in its variable places."""
        match = self.table.find(path)
        row = None if match is None else match.route(method)
        return None if match is None or row is None else (row.path, match.texts)

    def test_whole_paths(self) -> None:
        """A path without variable parts is found by itself, for each of its methods."""
        self.assertEqual(self.found(b"/"), ("/", ()))
        self.assertEqual(self.found(b"/files"), ("/files", ()))
        self.assertEqual(self.found(b"/files", "POST"), ("/files", ()))

    def test_variable_parts(self) -> None:
        """A variable part takes any one part that is not empty; it is decoded once."""
        self.assertEqual(self.found(b"/files/abc"), ("/files/{file_id}", ("abc",)))
        self.assertEqual(self.found(b"/files/a%20%C3%A9%2541"), ("/files/{file_id}", ("a é%41",)))
        self.assertEqual(self.found(b"/files/abc/owner"), ("/files/{file_id}/owner", ("abc",)))
        self.assertIsNone(self.found(b"/files/"))

    def test_written_out_goes_first(self) -> None:
        """A part that is written out wins over a variable one, unless nothing follows it there."""
        self.assertEqual(self.found(b"/files/search"), ("/files/search", ()))
        self.assertEqual(self.found(b"/files/search/owner"), ("/files/{file_id}/owner", ("search",)))

    def test_names_are_by_route(self) -> None:
        """Two methods may call the same variable part by different names."""
        self.assertEqual(self.found(b"/files/abc", "DELETE"), ("/files/{name}", ("abc",)))

    def test_f71_no_way_around(self) -> None:
        """An encoded slash or dot stays inside its part, and what is no path is not found."""
        self.assertEqual(self.found(b"/files/..%2f..%2fetc%2fpasswd"), ("/files/{file_id}", ("../../etc/passwd",)))
        self.assertEqual(self.found(b"/files/%252e"), ("/files/{file_id}", ("%2e",)))
        for path in (b"files", b"//files", b"/files/a/b", b"/files/\xff", b"/files/%ff", b"*", b"", b"http://x/files"):
            self.assertIsNone(self.found(path), path)

    def test_long_part(self) -> None:
        """A part of 512 characters is the longest that leads anywhere."""
        self.assertIsNotNone(self.found(b"/files/" + b"a" * 512))
        self.assertIsNone(self.found(b"/files/" + b"a" * 513))

    def test_methods(self) -> None:
        """A path knows what can be asked there: HEAD where GET can, OPTIONS always."""
        match = self.table.find(b"/files")
        assert match is not None
        self.assertEqual(match.methods, ("GET", "HEAD", "OPTIONS", "POST"))
        self.assertEqual(match.route("HEAD"), match.route("GET"))
        self.assertIsNone(match.route("PUT"))

    def test_bad_tables(self) -> None:
        """A row that is there twice, or does not fit its own path, is refused when the table is made."""
        for rows in (
            [route("GET", "/a/{x}"), route("GET", "/a/{y}")],
            [route("GET", "a")],
            [route("GET", "/a{x}")],
            [route("GET", "/{}")],
            [route("GET", "/{x}", params={"y": int})],
            [route("POST", "/", body=dict, upload=UploadForm(lambda part: None))],  # type: ignore[arg-type,return-value]
        ):
            with self.assertRaises(ValueError):
                RouteTable(rows)


class ParamTests(SynchronousTestCase):
    """The variable parts as values."""

    def test_typed(self) -> None:
        """A part has the type its route says, text if it says none."""
        row = route("GET", "/{kind}/{number}", params={"number": int})
        self.assertEqual(row.read_params(["a", "7"]), {"kind": "a", "number": 7})

    def test_mistyped(self) -> None:
        """A part of another type is refused by name."""
        row = route("GET", "/{number}", params={"number": int})
        with self.assertRaisesRegex(RequestRefused, r"^number: expected int, got str$"):
            row.read_params(["seven"])
