"""Tests of p2pshare.web.reading."""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec
from attrs import field, frozen, validators
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import RequestRefused
from p2pshare.web.reading import decoded, read_fields, read_json, read_param

Name = Annotated[str, msgspec.Meta(max_length=10)]


@frozen
class Entry:
    """A file in a torrent."""

    path: list[str]
    length: Annotated[int, msgspec.Meta(ge=0)] = 0


@frozen
class Torrent:
    """A body."""

    name: Name
    files: Annotated[list[Entry], msgspec.Meta(max_length=3)] = field(factory=list)
    labels: dict[str, Entry] = field(factory=dict)
    rating: float | None = None
    kind: str = field(default="file", validator=validators.in_(("file", "torrent")))


@frozen
class Search:
    """A query."""

    q: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=50)] = 20
    tags: list[str] = field(factory=list)
    ratio: float = 1.0
    deep: bool = False


class JsonTests(SynchronousTestCase):
    """Bodies."""

    def refusal(self, data: bytes, kind: Any = Torrent) -> str:
        """Why a body is refused."""
        with self.assertRaises(RequestRefused) as caught:
            read_json(data, kind)
        return str(caught.exception)

    def test_value(self) -> None:
        """A body becomes a value of its class, with the defaults of what it leaves out."""
        data = b'{"name":"a","files":[{"path":["x"],"length":3}],"labels":{"k":{"path":[]}}}'
        self.assertEqual(read_json(data, Torrent), Torrent("a", [Entry(["x"], 3)], {"k": Entry([])}))

    def test_f62_not_json(self) -> None:
        """What is no JSON, or JSON that not everybody reads alike, is refused in one line."""
        for data in (
            b"",
            b"{",
            b'{"name":"a"} x',
            b'{"name":NaN}',
            b'{"name":"a","rating":Infinity}',
            b'{"name":"\\ud800"}',
            b'{"name":"\xff"}',
            b"name=a",
        ):
            self.assertRegex(self.refusal(data), r"^the body is not JSON: ")

    def test_f62_numbers(self) -> None:
        """A number beyond any use is refused, wherever it is."""
        self.assertEqual(self.refusal(b'{"name":"a","rating":1e999}'), "rating: number out of range")
        big = b"1" + b"0" * 5000
        self.assertEqual(
            self.refusal(b'{"name":"a","files":[{"path":[],"length":%s}]}' % big),
            "files[0].length: integer value out of range",
        )
        self.assertEqual(
            self.refusal(b'{"name":"a","x":%s}' % big), "x: unknown; known are files, kind, labels, name, rating"
        )

    def test_f62_deep(self) -> None:
        """A hundred thousand lists inside each other are refused, in a known key, an unknown one or instead of all."""
        for data in (b"[" * 100_000, b'{"name":' + b"[" * 100_000, b'{"name":"a","x":' + b"[" * 100_000):
            self.refusal(data)
        self.assertEqual(self.refusal(b'{"x":' + b"[" * 100_000), "the body is nested too deeply")

    def test_f62_twice(self) -> None:
        """A key that is there twice is refused: two readers could each believe another one."""
        self.assertEqual(self.refusal(b'{"name":"a","name":"b"}'), "name: given twice in one object")
        self.assertEqual(
            self.refusal(b'{"name":"a","files":[{"path":[],"path":[]}]}'), "path: given twice in one object"
        )

    def test_f62_other_type(self) -> None:
        """A value of another type is refused with the way to it."""
        self.assertEqual(self.refusal(b'["a"]'), "expected object, got array")
        self.assertEqual(
            self.refusal(b'{"name":"a","files":[{"path":["x",1]}]}'), "files[0].path[1]: expected str, got int"
        )
        self.assertEqual(self.refusal(b'{"name":true}'), "name: expected str, got bool")

    def test_missing(self) -> None:
        """A field that is missing is named, with the way to it."""
        self.assertEqual(self.refusal(b"{}"), "name: missing")
        self.assertEqual(self.refusal(b'{"name":"a","files":[{}]}'), "files[0].path: missing")

    def test_unknown(self) -> None:
        """A field that nobody knows is refused, at any depth: a misspelled one would be taken for obeyed."""
        self.assertEqual(
            self.refusal(b'{"name":"a","nane":1}'), "nane: unknown; known are files, kind, labels, name, rating"
        )
        self.assertEqual(
            self.refusal(b'{"name":"a","files":[{"path":[]},{"path":[],"size":1}]}'),
            "files[1].size: unknown; known are length, path",
        )
        self.assertEqual(
            self.refusal(b'{"name":"a","labels":{"k":{"path":[],"size":1}}}'),
            "labels.k.size: unknown; known are length, path",
        )

    def test_f63_limits(self) -> None:
        """Limits in the types hold: the longest name passes, one character more does not; no negative sizes."""
        self.assertEqual(read_json(b'{"name":"%s"}' % (b"a" * 10), Torrent).name, "a" * 10)
        self.assertEqual(self.refusal(b'{"name":"%s"}' % (b"a" * 11)), "name: expected str of length <= 10")
        self.assertIn("files[0].length", self.refusal(b'{"name":"a","files":[{"path":[],"length":-1}]}'))
        many = b",".join([b'{"path":[]}'] * 4)
        self.assertEqual(self.refusal(b'{"name":"a","files":[%s]}' % many), "files: expected array of length <= 3")

    def test_validators(self) -> None:
        """What a validator of attrs says is what the client reads."""
        self.assertEqual(self.refusal(b'{"name":"a","kind":"x"}'), "'kind' must be in ('file', 'torrent') (got 'x')")

    def test_optional_body(self) -> None:
        """A body may be null where its type says so."""
        self.assertIsNone(read_json(b"null", Torrent | None))
        self.assertEqual(read_json(b'{"name":"a"}', Torrent | None), Torrent("a"))
        self.assertIn("unknown", self.refusal(b'{"name":"a","x":1}', Torrent | None))

    @settings(max_examples=100)
    @given(st.binary(max_size=60))
    def test_any_bytes(self, data: bytes) -> None:
        """Whatever bytes come, they are read or refused."""
        try:
            read_json(data, Torrent)
        except RequestRefused:
            pass

    @settings(max_examples=100)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        )
    )
    def test_any_json(self, value: object) -> None:
        """Whatever JSON comes, it is read or refused."""
        try:
            read_json(json.dumps(value).encode(), dict[str, Torrent])
        except RequestRefused:
            pass


class FieldTests(SynchronousTestCase):
    """Queries and headers."""

    def test_values(self) -> None:
        """Texts become what the fields are; what is left out has its default, what is unknown is left alone."""
        given = {"q": ["a b"], "limit": ["7"], "tags": ["x", "y"], "deep": ["true"], "other": ["1", "2"]}
        self.assertEqual(read_fields(Search, given), Search("a b", 7, ["x", "y"], 1.0, True))
        self.assertEqual(read_fields(Search, {}), Search())

    def test_refused(self) -> None:
        """One that is not what it should be is refused by name."""
        for name, text, words in (
            ("limit", "0", "limit: expected int >= 1"),
            ("limit", "51", "limit: expected int <= 50"),
            ("limit", "seven", "limit: expected int, got str"),
            ("limit", "9" * 5000, "limit: integer value out of range"),
            ("ratio", "nan", "ratio: expected a finite number"),
            ("ratio", "-inf", "ratio: expected a finite number"),
            ("deep", "maybe", "deep: expected bool, got str"),
        ):
            with self.assertRaises(RequestRefused) as caught:
                read_fields(Search, {name: [text]})
            self.assertEqual(str(caught.exception), words)

    def test_twice(self) -> None:
        """One that is no list is refused when it comes twice."""
        with self.assertRaisesRegex(RequestRefused, r"^limit: given 2 times, expected once$"):
            read_fields(Search, {"limit": ["1", "1"]})

    def test_text_that_looks_like_something(self) -> None:
        """A text stays a text, whatever it looks like."""
        for text in ("nan", "null", "7", "true", ""):
            self.assertEqual(read_fields(Search, {"q": [text]}).q, text)

    def test_param(self) -> None:
        """A part of a path is read alike."""
        self.assertEqual(read_param("n", int, "5"), 5)
        with self.assertRaisesRegex(RequestRefused, r"^n: expected a finite number$"):
            read_param("n", float, "nan")

    def test_decoded(self) -> None:
        """A query is UTF-8, or refused."""
        self.assertEqual(decoded({b"q": ["é".encode(), b""]}), {"q": ["é", ""]})
        with self.assertRaisesRegex(RequestRefused, "not UTF-8"):
            decoded({b"q": [b"\xff"]})
