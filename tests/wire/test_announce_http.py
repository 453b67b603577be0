"""Tests of the tracker's side of announces and scrapes over HTTP."""

from __future__ import annotations

import math
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare import bencoding
from p2pshare.errors import RequestRefused
from p2pshare.wire.announce import AnnounceResponse, Event, PeerEntry, ScrapeCounts
from p2pshare.wire.announce_http import (
    decode_query,
    decode_scrape_query,
    encode_compact,
    encode_failure,
    encode_response,
    encode_scrape,
)

HASH = bytes(range(0xF0, 0x100)) + b"\x00%&="
PEER = b"-P20100-abcdefghijkl"
ADDRESSES = b"\x7f\x00\x00\x01\x1a\xe1" * 3
ADDRESSES6 = b"\x20\x01" + bytes(14) + b"\x1a\xe1"

Args = dict[bytes, list[bytes]]


def args(**more: bytes) -> Args:
    """The least an announce has to say, and more."""
    given: Args = {b"info_hash": [HASH], b"peer_id": [PEER], b"port": [b"6881"]}
    given.update((name.encode(), [value]) for name, value in more.items())
    return given


def canonical(data: bytes) -> bencoding.Value:
    """Decode strictly, and see that encoding again gives the same bytes."""
    value = bencoding.decode(data)
    assert bencoding.encode(value) == data, data
    return value


class DecodeQueryTests(SynchronousTestCase):
    """Announces as a tracker reads them."""

    def refusal(self, read: Callable[[Args], object], given: Args) -> str:
        """Tell with which words a query is refused."""
        return str(self.assertRaises(RequestRefused, read, given))

    def test_the_least(self) -> None:
        """Without the optional parameters a peer is a leech that says nothing special."""
        request = decode_query(args())
        self.assertEqual((request.info_hash, request.peer_id, request.port), (HASH, PEER, 6881))
        self.assertEqual((request.uploaded, request.downloaded, request.left), (0, 0, None))
        self.assertEqual((request.event, request.numwant, request.key, request.compact), (None, None, None, None))
        self.assertEqual((request.hostname, request.ip, request.no_peer_id), (None, None, False))

    def test_events(self) -> None:
        """The three events of BEP 3 are told apart; "empty" and BEP 21's "paused" are no event, other words refused."""
        for word, event in ((b"started", Event.STARTED), (b"completed", Event.COMPLETED), (b"stopped", Event.STOPPED)):
            self.assertIs(decode_query(args(event=word)).event, event)
        for word in (b"", b"empty", b"paused"):
            self.assertIsNone(decode_query(args(event=word)).event)
        self.assertIn("event is not one of", self.refusal(decode_query, args(event=b"<script>")))
        self.assertNotIn("script", self.refusal(decode_query, args(event=b"<script>")))

    def test_empty_is_absent(self) -> None:
        """An optional parameter without a value counts as not given."""
        request = decode_query(args(left=b"", numwant=b"", key=b"", hostname=b"", compact=b"", uploaded=b""))
        self.assertEqual(request, decode_query(args()))

    def test_unknown_parameters_are_ignored(self) -> None:
        """What other clients add does not matter."""
        self.assertEqual(decode_query(args(supportcrypto=b"1", corrupt=b"0")), decode_query(args()))

    def test_f64_info_hash(self) -> None:
        """An info_hash that is missing, repeated or not 20 bytes long is refused with a sentence that says so."""
        for seen, words in (
            ({}, "info_hash is missing"),
            ({b"info_hash": [b""]}, "info_hash is missing"),
            ({b"info_hash": [b"x" * 19]}, "info_hash is 19 bytes long, not 20"),
            ({b"info_hash": [b"x" * 21]}, "info_hash is 21 bytes long, not 20"),
            ({b"info_hash": [HASH, HASH]}, "info_hash is given 2 times, not once"),
        ):
            query = args()
            del query[b"info_hash"]
            self.assertEqual(self.refusal(decode_query, {**query, **seen}), words)

    def test_f64_peer_id_and_port(self) -> None:
        """So are a peer_id and a port that cannot be."""
        self.assertEqual(self.refusal(decode_query, args(peer_id=b"short")), "peer_id is 5 bytes long, not 20")
        for port in (b"0", b"65536"):
            self.assertIn("not within 1 to 65535", self.refusal(decode_query, args(port=port)))
        for port in (b"-1", b"x", b" 80", b"8_0", b"+80", "٣".encode()):
            self.assertIn("port is not a whole number", self.refusal(decode_query, args(port=port)))
        self.assertEqual(self.refusal(decode_query, args(port=b"")), "port is missing")

    def test_f65_ip_is_a_hint_at_most(self) -> None:
        """A numeric ip is passed on for the tracker to judge; anything else is ignored, never refused."""
        self.assertEqual(decode_query(args(ip=b"::ffff:10.0.0.9")).ip, "10.0.0.9")
        for raw in (b"example.org", b"<b>", b"1.2.3", b"\xff"):
            self.assertIsNone(decode_query(args(ip=raw)).ip)

    def test_f66_numbers(self) -> None:
        """Amounts go up to 2^63-1; a huge numwant passes for the server to cap, a negative one is as none."""
        most = 2**63 - 1
        request = decode_query(args(uploaded=b"%d" % most, left=b"0", numwant=b"1000000000"))
        self.assertEqual((request.uploaded, request.left, request.numwant), (most, 0, 10**9))
        self.assertIsNone(decode_query(args(numwant=b"-1")).numwant)
        self.assertEqual(decode_query(args(numwant=b"0")).numwant, 0)
        for name in ("uploaded", "downloaded", "left"):
            for value in (b"-1", b"%d" % (most + 1), b"9" * 5000, b"1e3", b"0x1"):
                self.assertIn(f"{name} is not a whole number", self.refusal(decode_query, args(**{name: value})))
        self.assertIn("numwant", self.refusal(decode_query, args(numwant=b"9" * 5000)))

    def test_key_and_flags(self) -> None:
        """A key has at most 64 bytes, flags are 0 or 1."""
        self.assertEqual(decode_query(args(key=b"k" * 64)).key, b"k" * 64)
        self.assertIn("more than 64", self.refusal(decode_query, args(key=b"k" * 65)))
        request = decode_query(args(compact=b"0", no_peer_id=b"1"))
        self.assertEqual((request.compact, request.no_peer_id), (False, True))
        self.assertIn("compact is neither", self.refusal(decode_query, args(compact=b"2")))

    def test_hostname(self) -> None:
        """A hostname is a name or an address of at most 255 characters; what is neither is refused."""
        self.assertEqual(decode_query(args(hostname=b"client1")).hostname, "client1")
        self.assertEqual(decode_query(args(hostname=b"10.0.0.7")).hostname, "10.0.0.7")
        for raw in (b"a b", b"client1\n", b"x" * 256, b"127.1"):
            self.assertIn("hostname is not", self.refusal(decode_query, args(hostname=raw)))

    @given(
        st.dictionaries(
            st.sampled_from([b"info_hash", b"peer_id", b"port", b"left", b"event", b"numwant", b"ip", b"hostname"]),
            st.lists(st.binary(max_size=24), max_size=2),
        )
    )
    def test_f64_nothing_but_refusals(self, more: Args) -> None:
        """Whatever is asked, the answer is a request or a refusal in one printable line."""
        try:
            decode_query({**args(), **more})
        except RequestRefused as error:
            self.assertTrue(str(error).isprintable())


class DecodeScrapeQueryTests(SynchronousTestCase):
    """Scrapes as a tracker reads them."""

    def test_each_hash_once(self) -> None:
        """The torrents come in the order of asking, each once; none at all is an empty list."""
        self.assertEqual(decode_scrape_query({b"info_hash": [HASH, PEER, HASH]}), [HASH, PEER])
        self.assertEqual(decode_scrape_query({}), [])

    def test_f64_wrong_size(self) -> None:
        """A hash that is not 20 bytes long refuses the scrape."""
        error = self.assertRaises(RequestRefused, decode_scrape_query, {b"info_hash": [HASH, b"x" * 40]})
        self.assertEqual(str(error), "info_hash is 40 bytes long, not 20")

    def test_f70_at_most_seventy(self) -> None:
        """Of ten thousand hashes, the first 70 are looked at."""
        hashes = [b"%020d" % n for n in range(10_000)]
        self.assertEqual(decode_scrape_query({b"info_hash": hashes}), hashes[:70])


class EncodeTests(SynchronousTestCase):
    """Replies as a tracker writes them."""

    def test_golden(self) -> None:
        """A compact reply looks as BEP 3 and BEP 23 draw it."""
        self.assertEqual(
            encode_compact(1800, None, 1, 2, b"\x01\x02\x03\x04\x1a\xe1"),
            b"d8:completei1e10:incompletei2e8:intervali1800e5:peers6:\x01\x02\x03\x04\x1a\xe1e",
        )

    def test_s1_7_compact_replies_are_canonical(self) -> None:
        """With and without a minimum interval and IPv6 peers, reading and writing again gives the same bytes."""
        for min_interval in (None, 60):
            for peers6 in (b"", ADDRESSES6):
                data = encode_compact(1800, min_interval, 5, 6, bytearray(ADDRESSES), memoryview(peers6))
                expected: dict[bytes, bencoding.Value] = {
                    b"interval": 1800,
                    b"complete": 5,
                    b"incomplete": 6,
                    b"peers": ADDRESSES,
                }
                if min_interval is not None:
                    expected[b"min interval"] = 60
                if peers6:
                    expected[b"peers6"] = peers6
                self.assertEqual(canonical(data), expected)

    def test_s1_1_dicts_with_names(self) -> None:
        """A reply that is not compact lists dicts, with the name a peer goes by and its raw peer_id."""
        peers = (PeerEntry("client2", 6882, PEER), PeerEntry("2001:db8::1", 80))
        reply = canonical(encode_response(AnnounceResponse(1800, complete=1, incomplete=2, peers=peers), compact=False))
        self.assertEqual(
            reply,
            {
                b"complete": 1,
                b"incomplete": 2,
                b"interval": 1800,
                b"peers": [
                    {b"ip": b"client2", b"peer id": PEER, b"port": 6882},
                    {b"ip": b"2001:db8::1", b"port": 80},
                ],
            },
        )

    def test_s1_2_compact_with_all_parts(self) -> None:
        """A compact reply packs IPv4 and IPv6 apart, leaves names out, and has the optional parts in order."""
        response = AnnounceResponse(
            interval=1800,
            min_interval=60,
            complete=1,
            incomplete=2,
            peers=(PeerEntry("1.2.3.4", 6881), PeerEntry("client2", 1), PeerEntry("2001::", 6881)),
            tracker_id=b"T",
            warning="hm",
            external_ip="9.8.7.6",
        )
        reply = canonical(encode_response(response, compact=True))
        assert isinstance(reply, dict)
        self.assertEqual((reply[b"peers"], reply[b"peers6"]), (b"\x01\x02\x03\x04\x1a\xe1", ADDRESSES6))
        self.assertEqual((reply[b"external ip"], reply[b"tracker id"]), (b"\x09\x08\x07\x06", b"T"))
        self.assertEqual((reply[b"warning message"], reply[b"min interval"]), (b"hm", 60))

    def test_s1_3_failures(self) -> None:
        """A refusal is a dict with its reason, and with minutes or "never" where it names a time (BEP 31)."""
        self.assertEqual(encode_failure("no"), b"d14:failure reason2:noe")
        self.assertEqual(canonical(encode_failure("no", 61)), {b"failure reason": b"no", b"retry in": 2})
        self.assertEqual(canonical(encode_failure("no", 0)), {b"failure reason": b"no", b"retry in": 1})
        self.assertEqual(canonical(encode_failure("no", math.inf)), {b"failure reason": b"no", b"retry in": b"never"})

    def test_s1_6_scrape(self) -> None:
        """A scrape reply has exactly the raw hashes as keys, sorted, with the three counts."""
        files = {b"b" * 20: ScrapeCounts(1, 2, 3), HASH: ScrapeCounts(0, 0, 0), b"a" * 20: ScrapeCounts(4, 5, 6)}
        self.assertEqual(
            canonical(encode_scrape(files)),
            {
                b"files": {
                    info_hash: {b"complete": c.complete, b"downloaded": c.downloaded, b"incomplete": c.incomplete}
                    for info_hash, c in files.items()
                }
            },
        )
        self.assertEqual(encode_scrape({}), b"d5:filesdee")

    @given(
        st.integers(0, 10**6),
        st.none() | st.integers(0, 10**6),
        st.integers(0, 10**6),
        st.binary(max_size=5).map(lambda raw: raw * 6),
        st.binary(max_size=5).map(lambda raw: raw * 18),
    )
    def test_s1_7_any_compact_reply(
        self, interval: int, min_interval: int | None, count: int, peers4: bytes, peers6: bytes
    ) -> None:
        """Whatever the numbers and addresses, the reply is canonical and agrees with the general encoder."""
        canonical(encode_compact(interval, min_interval, count, count, peers4, peers6))
