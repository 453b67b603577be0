"""Tests of p2pshare.wire.announce_lane."""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import parse_qs

from p2pshare.errors import RequestRefused
from p2pshare.wire.announce import AnnounceRequest
from p2pshare.wire.announce_http import decode_query
from p2pshare.wire.announce_lane import LaneReader, closes_after, read_announce
from p2pshare.wire.announce_query import encode_query

HASH, PEER = bytes(range(20)), b"-XX0001-abcdefghijkl"
REQUEST = b"GET /announce?a=b HTTP/1.1\r\nHost: t\r\n\r\n"


class LaneReaderTests(SynchronousTestCase):
    """LaneReader"""

    def test_request(self) -> None:
        """A whole request is found wherever it begins, with where it ends."""
        reader = LaneReader()
        self.assertEqual(reader.read(REQUEST, 0), (b"/announce", b"a=b", False, len(REQUEST)))
        self.assertEqual(reader.read(REQUEST * 2, len(REQUEST)), (b"/announce", b"a=b", False, 2 * len(REQUEST)))

    def test_cut(self) -> None:
        """One that is not whole is none, wherever it is cut."""
        for end in range(len(REQUEST)):
            self.assertIsNone(LaneReader().read(REQUEST[:end], 0), end)

    def test_other_requests(self) -> None:
        """Other methods and versions, bytes that belong into no URL, and very long ones are not for the lane."""
        for old, new in (
            (b"GET", b"HEAD"),
            (b"1.1", b"1.0"),
            (b"a=b", b"a=\xff"),
            (b"a=b", b"a= "),
            (b"?a=b", b""),
            (b"a=b", b"a" * 2000),
            (b"Host: t", b"Host: " + b"t" * 600),
        ):
            self.assertIsNone(LaneReader().read(REQUEST.replace(old, new), 0), new[:20])

    def test_experience_is_bounded(self) -> None:
        """However many different headers clients send, few of them are remembered; judgements stay the same."""
        reader = LaneReader()
        for number in range(3000):
            host = REQUEST.replace(b"Host: t", b"Host: t%d" % number)
            self.assertIsNotNone(reader.read(host, 0))
        self.assertLessEqual(len(reader._verdicts), 1024)
        self.assertIsNone(reader.read(REQUEST.replace(b"Host", b"Range"), 0))


class ClosesAfterTests(SynchronousTestCase):
    """closes_after"""

    def test_harmless(self) -> None:
        """Headers that change nothing, in any case; Connection says what comes after the reply."""
        for headers, closes in (
            (b"Host: t\r\nUser-Agent: x/1 (y)\r\nAccept-Encoding: gzip", False),
            (b"HOST: t\r\nconnection: Close", True),
            (b"Host: t\r\nConnection: keep-alive\r\nAccept: */*", False),
        ):
            self.assertIs(closes_after(headers), closes, headers)

    def test_others(self) -> None:
        """Headers that may change the answer, come twice or make no sense need a closer look."""
        for headers in (
            b"Accept: application/json",
            b"Connection: upgrade",
            b"Connection: close\r\nConnection: keep-alive",
            b"Content-Length: 0",
            b"Transfer-Encoding: chunked",
            b"Expect: 100-continue",
            b"Range: bytes=0-1",
            b"X-Forwarded-For: 1.2.3.4",
            b"Host: t\r\n folded",
            b"Host: t\n",
            b"Host : t",
            b"Host",
            b"Host: \x00",
        ):
            self.assertIsNone(closes_after(headers), headers)


class ReadAnnounceTests(SynchronousTestCase):
    """read_announce"""

    def test_usual(self) -> None:
        """What clients send is read as the long way reads it."""
        request = AnnounceRequest(HASH, PEER, 6881, 1, 2, 3, None, 50, b"AB12", True)
        query = encode_query(request).encode()
        for each in (query, query + b"&supportcrypto=1&corrupt=0", query.replace(quote(HASH).encode(), escaped(HASH))):
            self.assertEqual(read_announce(each), request)

    def test_f64_what_needs_a_closer_look(self) -> None:
        """Anything else is nobody's here: nothing is refused, and nothing guessed."""
        good = encode_query(AnnounceRequest(HASH, PEER, 6881, compact=True, left=1)).encode()
        self.assertIsNotNone(read_announce(good))
        for old, new in (
            (b"port=6881", b"port=0"),
            (b"port=6881", b"port=65536"),
            (b"port=6881", b"port=6881&port=6881"),
            (b"port=6881", b"p%6Frt=6881"),
            (b"compact=1", b"compact=0"),
            (b"&compact=1", b""),
            (b"left=1", b"left=-1"),
            (b"left=1", b"left="),
            (b"left=1", b"left=" + b"9" * 19),
            (b"left=1", b"left=1&event=paused"),
            (b"left=1", b"left=1&hostname=a"),
            (b"left=1", b"left=1&ip=10.0.0.1"),
            (b"left=1", b"left=1&key=" + b"a" * 65),
            (b"left=1", b"left=1;event=stopped"),
            (b"left=1", b"left=1&no_peer_id=2"),
            (b"left=1", b"left"),
            (quote(HASH).encode(), b"a" * 19),
            (quote(HASH).encode(), b"%zz" * 20),
            (quote(HASH).encode(), b"+" * 20),
        ):
            self.assertIn(old, good)
            self.assertIsNone(read_announce(good.replace(old, new)), new)

    @settings(max_examples=200)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["info_hash", "peer_id", "port", "left", "event", "numwant", "key", "no_peer_id", "x"]),
                st.one_of(
                    st.sampled_from(["0", "1", "-1", "started", "6881", quote(HASH), quote(PEER), "%31", "", "+"]),
                    st.text("%&=;+0123456789abcdef-", max_size=24),
                ),
            ),
            max_size=4,
        )
    )
    def test_f64_any_query(self, fields: list[tuple[str, str]]) -> None:
        """Whatever is read here, the long way reads to the same value."""
        given_ = {"info_hash": quote(HASH), "peer_id": quote(PEER), "port": "6881", "compact": "1"}
        query = "&".join([f"{name}={value}" for name, value in [*given_.items(), *fields]]).encode()
        for each in (query, "&".join(f"{k}={v}" for k, v in {**given_, **dict(fields)}.items()).encode()):
            read = read_announce(each)
            if read is not None:
                try:
                    expected = decode_query(parse_qs(each, 1))
                except RequestRefused as refusal:
                    self.fail(f"{each!r} is refused: {refusal}")
                self.assertEqual(read, expected)


def escaped(value: bytes) -> bytes:
    """Percent-encode every byte."""
    return b"".join(b"%%%02x" % byte for byte in value)
