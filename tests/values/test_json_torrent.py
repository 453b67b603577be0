"""Torrent files in JSON."""

from __future__ import annotations

import json
from hashlib import sha1
from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare import bencoding
from p2pshare.errors import MetainfoError
from p2pshare.json_torrent import json_info_hash, read_json, read_torrent, write_json
from p2pshare.metainfo import Metainfo, compose, dump, parse

PIECES = bytes(range(20))
INFO: dict[str, Any] = {"name": "a.txt", "length": 658, "piece length": 262144, "pieces": PIECES.hex()}


def torrent(**changes: object) -> bytes:
    """Write a torrent with another info object."""
    return json.dumps({"info": {**INFO, **{key.replace("_", " "): value for key, value in changes.items()}}}).encode()


def plain(**changes: object) -> Metainfo:
    """Give the same one, bencoded."""
    return parse(compose(bencoding.encode({**INFO, "pieces": PIECES, **changes})))


class JSONTorrentTests(SynchronousTestCase):
    def test_golden(self) -> None:
        """The form is compact, its keys are sorted, and its hash is that of the info object alone."""
        content = evolve(plain(), announce_tiers=(("http://t/announce",),), comment="hé", creation_date=7)
        info = '{"length":658,"name":"a.txt","piece length":262144,"pieces":"' + PIECES.hex() + '"}'
        name = sha1(info.encode()).hexdigest()
        expected = (
            '{"announce":"http://t/announce","comment":"h\\u00e9","creation date":7,'
            f'"info":{info},"info_hash":"{name}"}}'
        )
        self.assertEqual(write_json(content).decode(), expected)
        self.assertEqual(json_info_hash(content), name)

    def test_read(self) -> None:
        """What was written is read as the same torrent, with the info_hash of BEP 3."""
        for content in (
            evolve(plain(), announce_tiers=(("http://t/announce",),), comment="c", created_by="me", creation_date=7),
            plain(name="ä b"),
            plain(private=1),
        ):
            self.assertEqual(read_json(write_json(content)), content)

    def test_several_files(self) -> None:
        """A folder of files has a form, too."""
        info = {"name": "d", "piece length": 262144, "pieces": PIECES}
        content = parse(compose(bencoding.encode({**info, "files": [{"length": 5, "path": ["x", "y"]}]})))
        self.assertEqual(read_json(write_json(content)), content)

    def test_sniffed(self) -> None:
        """Either kind is read by its first character."""
        content = plain()
        self.assertEqual(read_torrent(dump(content)), content)
        self.assertEqual(read_torrent(b"\n " + write_json(content)).info_hash, content.info_hash)

    def test_no_form(self) -> None:
        """A torrent that the form cannot hold whole is not written, as it would be another one."""
        raw_name = compose(bencoding.encode({**INFO, "pieces": PIECES, "name": b"\xff"}))
        for content in (plain(source="x"), parse(raw_name)):
            with self.assertRaises(MetainfoError):
                write_json(content)

    def test_refused(self) -> None:
        """What is missing or wrong is named."""
        cases = [
            (b"", "bencoded"),
            (b"{", "JSON"),
            (b"{\xff", "JSON"),
            (b'{"info":' * 50_000, "JSON"),
            (b'{"info":1e5}', "JSON"),
            (b'{"info":{},"info":{}}', "twice"),
            (b"{}", "info"),
            (torrent(pieces="zz"), "info.pieces"),
            (torrent(pieces=None), "info.pieces"),
            (torrent(pieces="ab " * 20), "info.pieces"),
            (torrent(pieces="00" * 40), "info.pieces"),
            (torrent(length=-1), "info.length"),
            (torrent(length=2**70), "info"),
            (torrent(length=True), "info"),
            (torrent(name=5), "info.name"),
            (torrent(name="\ud800"), "info"),
            (torrent(piece_length=0), "info.piece length"),
            (torrent(other=1), "other"),
            (json.dumps({"info": INFO, "info_hash": "0" * 40}).encode(), "info_hash"),
        ]
        for data, word in cases:
            with self.assertRaises(MetainfoError) as caught:
                read_torrent(data)
            self.assertIn(word, str(caught.exception), data[:80])

    def test_either_hash(self) -> None:
        """The info_hash beside the info object may be that of BEP 3."""
        data = json.dumps({"info": INFO, "info_hash": plain().info_hash.hex()}).encode()
        self.assertEqual(read_json(data).info_hash, plain().info_hash)

    @settings(max_examples=200)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=20),
            lambda inner: (
                st.dictionaries(
                    st.sampled_from([*INFO, "info", "files", "path", "announce", "comment", "info_hash"]), inner
                )
                | st.lists(inner, max_size=3)
            ),
            max_leaves=12,
        )
    )
    def test_any_json(self, value: object) -> None:
        """Any JSON is a torrent or is refused."""
        for told in (value, {"info": value}, {"info": {**INFO, "name": value}}, {"info": INFO, "comment": value}):
            data = json.dumps(told).encode()
            try:
                content = read_json(data)
            except MetainfoError:
                continue
            self.assertEqual(read_json(write_json(content)).info_hash, content.info_hash)
