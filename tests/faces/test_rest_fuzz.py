"""Whatever is said to the REST tracker, it answers in its own words, and never with an error of its own."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faces.rest import API, FORM, A, RestCase, form
from tests.web.connections import Reply
from tests.web.serving import JSON

HASH = "ab" * 20

numbers = st.one_of(st.integers(-5, 5), st.integers(-(2**70), 2**70), st.floats())
words = st.sampled_from([HASH, HASH.upper(), A, "", "started", "stopped", "x", "10.0.0.1"])
texts = words | st.text(max_size=30)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
announced = "info_hash peer_id port uploaded downloaded left event ip hostname numwant passkey"
described = "name file_size piece_length num_pieces pieces_hash username limit offset format"
names = st.sampled_from(f"{announced} {described}".split())
paths = st.sampled_from(
    [
        *("announce", "torrents", "stats", "seeders", "upload", "users", f"users/{A}", f"peers/{HASH}"),
        *(f"torrents/{HASH}", f"torrents/{HASH}/download", f"torrents/{HASH}/seed", f"seeders/stop/{HASH}"),
    ]
)


class FuzzTests(RestCase):
    def setUp(self) -> None:
        super().setUp()
        self.torrent(bytes.fromhex(HASH))

    @settings(max_examples=150, deadline=None)
    @given(paths, st.dictionaries(names, texts | numbers.map(str)))
    def test_f66_any_query(self, path: str, query: dict[str, str]) -> None:
        """Any query is answered, or refused."""
        said = urlencode({name: text.encode("utf-8", "surrogatepass") for name, text in query.items()})
        self.check(self.get(f"{API}/{path}?{said}"))

    @settings(max_examples=150, deadline=None)
    @given(st.sampled_from(["announce", "torrents", "users"]), st.dictionaries(names, values) | values)
    def test_f62_any_value(self, path: str, value: Any) -> None:
        """Any JSON value is taken, or refused with the place that is wrong."""
        self.check(self.ask("POST", f"{API}/{path}", JSON, body=msgspec.json.encode(value)))

    @settings(max_examples=100, deadline=None)
    @given(st.sampled_from(["announce", "torrents", "users", "upload", f"torrents/{HASH}"]), st.binary(max_size=200))
    def test_f62_any_body(self, path: str, body: bytes) -> None:
        """Any bytes are taken, or refused, whatever type they say they have."""
        for method, kind in (("POST", JSON), ("POST", FORM), ("PUT", "Content-Type: application/x-bittorrent")):
            self.check(self.ask(method, f"{API}/{path}", kind, body=body))

    def test_f62_bombs(self) -> None:
        """Depth, endless numbers, what is no number, twins and half characters are refused."""
        user = '{"username": %s}'
        bodies = ["[" * 30_000, user % "NaN", user % "1e999", user % ("1" * 5000), user % '"\\ud800"']
        bodies += ['{"username": "a", "username": "b"}', '{"info_hash": ' + "[" * 3000]
        for path in ("users", "announce", "torrents"):
            for body in bodies:
                reply = self.ask("POST", f"{API}/{path}", JSON, body=body.encode())
                self.assertIn(reply.status, (400, 422), body[:40])
                self.check(reply)

    @settings(max_examples=80, deadline=None)
    @given(st.text(max_size=40).filter(lambda name: '"' not in name and "\\" not in name), st.binary(max_size=50))
    def test_f77_any_upload(self, name: str, data: bytes) -> None:
        """A file of any name is taken or refused; what is kept has a name of one line."""
        try:
            body = form(name, data)
        except UnicodeEncodeError:
            return
        reply = self.ask("POST", f"{API}/upload", FORM, body=body)
        self.check(reply)
        if reply.status == 200:
            row = self.read(reply)
            self.assertTrue(row["name"].isprintable())
            download = self.get(f"{API}/torrents/{row['info_hash']}/download")
            self.assertEqual(download.status, 200)

    @settings(max_examples=100, deadline=None)
    @given(st.text(max_size=40))
    def test_f71_any_place(self, text: str) -> None:
        """Any text in the place of a hash or a peer_id is found, or not."""
        place = quote(text.encode("utf-8", "surrogatepass"), safe="")
        for path in ("torrents/%s", "torrents/%s/download", "peers/%s", "users/%s"):
            self.assertIn(self.get(f"{API}/{path % place}").status, (200, 404, 422))

    def check(self, reply: Reply) -> None:
        """See that it is an answer of this face."""
        self.assertLess(reply.status, 500, reply.body)
        if reply.status >= 400:
            self.assertEqual(list(self.read(reply)), ["detail"], reply.body)
