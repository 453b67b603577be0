"""Tests of what a client makes of a tracker's replies."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare import bencoding
from p2pshare.errors import TrackerError, TrackerFailure
from p2pshare.wire.announce import AnnounceResponse, PeerEntry, ScrapeCounts
from p2pshare.wire.announce_http import encode_failure, encode_response, encode_scrape
from p2pshare.wire.announce_reply import MAX_REPLY, decode_response, decode_scrape, printable
from tests.strategies import bencode_fragments, bencode_values

PEER = b"-P20100-abcdefghijkl"


def reply(**keys: object) -> bytes:
    """A reply with an interval and more; underscores in names stand for spaces."""
    return bencoding.encode({"interval": 1800, **{name.replace("_", " "): value for name, value in keys.items()}})


def peer(ip: object, port: object = 6881) -> dict[str, object]:
    """One peer of the dict model."""
    return {"ip": ip, "port": port}


class DecodeResponseTests(SynchronousTestCase):
    """Replies to announces."""

    def test_compact(self) -> None:
        """Packed IPv4 and IPv6 peers are read; port 0 is nobody."""
        response = decode_response(
            reply(
                peers=b"\x01\x02\x03\x04\x1a\xe1" + b"\x01\x02\x03\x04\x00\x00",
                peers6=b"\x20\x01" + bytes(15) + b"\x50",
            )
        )
        self.assertEqual(response.peers, (PeerEntry("1.2.3.4", 6881), PeerEntry("2001::", 80)))

    def test_dicts(self) -> None:
        """Peers in dicts may go by an address of either family or a name, and have their peer_id."""
        peers = [{"ip": "client2", "port": 6882, "peer id": PEER}, peer("1.2.3.4"), peer("::1")]
        self.assertEqual(
            decode_response(reply(peers=peers)).peers,
            (PeerEntry("client2", 6882, PEER), PeerEntry("1.2.3.4", 6881), PeerEntry("::1", 6881)),
        )

    def test_all_parts(self) -> None:
        """Everything our own tracker can say is understood, compact or not."""
        response = AnnounceResponse(
            interval=1800,
            min_interval=60,
            complete=5,
            incomplete=6,
            peers=(PeerEntry("1.2.3.4", 6881), PeerEntry("2001::", 80)),
            tracker_id=b"T1",
            warning="slow down",
            external_ip="2001:db8::7",
        )
        for compact in (True, False):
            self.assertEqual(decode_response(encode_response(response, compact)), response)

    def test_key_order_does_not_matter(self) -> None:
        """A tracker that does not sort its keys is understood."""
        self.assertEqual(decode_response(b"d5:peers0:8:intervali7ee"), AnnounceResponse(7))

    def test_counts_may_be_missing(self) -> None:
        """Without counts nothing is known, without an interval half an hour is assumed."""
        response = decode_response(b"d5:peers0:e")
        self.assertEqual((response.interval, response.complete, response.incomplete), (1800, None, None))

    def test_failure(self) -> None:
        """A refusal is raised in the tracker's words, with the time it names (BEP 31)."""
        for retry_in, seconds in ((None, None), (90, 120.0), (math.inf, math.inf)):
            error = self.assertRaises(TrackerFailure, decode_response, encode_failure("not here", retry_in))
            self.assertEqual((error.reason, error.retry_in), ("not here", seconds))
        for minutes in (0, -5, "soon", [], 2**62):
            error = self.assertRaises(TrackerFailure, decode_response, reply(failure_reason="x", retry_in=minutes))
            self.assertIn(error.retry_in, (None, 2**31 - 1))
        error = self.assertRaises(TrackerFailure, decode_response, reply(failure_reason="x", retry_in="5"))
        self.assertEqual(error.retry_in, 300)

    def test_f86_failure_reason_is_cut_and_escaped(self) -> None:
        """A reason of 900 KB of HTML and controls becomes at most 512 printable characters."""
        html = b"<h1>\x1b[31m\x00\xff\r\n\xe2\x80\xae" * 60_000
        error = self.assertRaises(TrackerFailure, decode_response, reply(failure_reason=html))
        self.assertEqual(len(error.reason), 512)
        self.assertTrue(error.reason.isprintable())
        self.assertTrue(error.reason.startswith("<h1>\\x1b[31m\\x00\\xff\\r\\n\\u202e"))
        for nothing in (b"", 5, [], {}):
            error = self.assertRaises(TrackerFailure, decode_response, reply(failure_reason=nothing))
            self.assertEqual(error.reason, "refused without a reason")

    def test_f86_intervals_stay_in_range(self) -> None:
        """Intervals of any size come out as seconds a clock can count; nonsense is as none."""
        for said, interval in ((0, 0), (-1, 0), (2**31, 2**31 - 1), (2**62, 2**31 - 1), ("x", 1800), ([], 1800)):
            response = decode_response(bencoding.encode({"interval": said, "min interval": said, "peers": ""}))
            self.assertEqual(response.interval, interval)
            self.assertEqual(response.min_interval, interval if isinstance(said, int) else None)

    def test_f87_at_most_200_peers(self) -> None:
        """Of ten thousand peers, compact or not, with IPv6 or without, 200 are kept."""
        packed = b"".join(b"\x01\x02" + n.to_bytes(2, "big") + b"\x1a\xe1" for n in range(10_000))
        packed6 = (b"\x20\x01" + bytes(14) + b"\x00\x50") * 100
        for response in (
            decode_response(reply(peers=packed, peers6=packed6)),
            decode_response(reply(peers=[peer(f"1.2.{n // 256}.{n % 256}") for n in range(10_000)])),
        ):
            self.assertEqual(len(response.peers), 200)
            self.assertEqual(response.peers[199].host, "1.2.0.199")

    def test_f87_at_most_10_names(self) -> None:
        """Ten names are kept, the addresses among and behind them all."""
        peers = [peer(f"name{n}") for n in range(50)] + [peer("1.2.3.4")]
        hosts = [entry.host for entry in decode_response(reply(peers=peers)).peers]
        self.assertEqual(hosts, [f"name{n}" for n in range(10)] + ["1.2.3.4"])

    def test_f87_peers_that_cannot_be(self) -> None:
        """Entries with a bad port or host, or that are no entries, are left out alone."""
        bad = [peer("1.2.3.4", port) for port in (0, -1, 65536, 2**40, "6881", [])]
        bad += [peer(ip) for ip in ("", "a b", "127.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "ff02::1", "::", 7)]
        bad += [{"port": 1}, {"ip": "1.2.3.4"}, {}]
        mixed = [*bad, "x", 5, [], peer("1.2.3.4")]
        self.assertEqual(decode_response(reply(peers=mixed)).peers, (PeerEntry("1.2.3.4", 6881),))

    def test_optional_parts_that_make_no_sense(self) -> None:
        """A tracker id, a warning and an address of the wrong kind are as none."""
        response = decode_response(
            reply(peers="", tracker_id=5, warning_message=[], external_ip=b"12345", complete="x")
        )
        self.assertEqual(response, AnnounceResponse(1800))
        self.assertIsNone(decode_response(reply(peers="", tracker_id=b"x" * 256)).tracker_id)
        mapped = bytes(10) + b"\xff\xff\x01\x02\x03\x04"
        self.assertEqual(decode_response(reply(peers="", external_ip=mapped)).external_ip, "1.2.3.4")

    def test_nonsense(self) -> None:
        """What is no tracker's reply is refused with what was seen."""
        for data, words in (
            (b"", "not bencoded"),
            (b"<!DOCTYPE html><html>", "it begins '<!DOCTYPE html>"),
            (b"i5e", "a bencoded int"),
            (b"de", "neither a failure reason nor an interval nor peers"),
            (reply(peers=b"12345"), "a string of 6 bytes each"),
            (reply(peers=5), "neither a list of dictionaries"),
            (reply(peers="", peers6=b"1234567"), "a string of 18 bytes each"),
            (b"d5:peers0:e tail", "not bencoded"),
            (reply(peers=b"123456" * (MAX_REPLY // 6)), "not bencoded"),
        ):
            error = self.assertRaises(TrackerError, decode_response, data)
            self.assertNotIsInstance(error, TrackerFailure)
            self.assertIn(words, str(error))

    def test_cut_at_every_byte(self) -> None:
        """A reply that ends early is refused, wherever it ends."""
        whole = encode_response(AnnounceResponse(1800, 60, 5, 6, (PeerEntry("client2", 6882, PEER),)), compact=False)
        for end in range(len(whole)):
            self.assertRaises(TrackerError, decode_response, whole[:end])

    @given(st.binary(max_size=200) | bencode_fragments | bencode_values.map(bencoding.encode))
    def test_garbage(self, data: bytes) -> None:
        """Any bytes are a reply or a TrackerError, nothing else."""
        for read in (decode_response, decode_scrape):
            try:
                read(data)
            except TrackerError as error:
                self.assertTrue(str(error).isprintable())

    @given(
        st.fixed_dictionaries(
            {},
            optional=dict.fromkeys(
                (b"interval", b"min interval", b"peers", b"peers6", b"external ip", b"complete", b"files"),
                bencode_values,
            ),
        )
    )
    def test_f86_any_values(self, keys: dict[bytes, bencoding.Value]) -> None:
        """Whatever the known keys hold, numbers come out in range and peers dialable."""
        try:
            response = decode_response(bencoding.encode(keys))
        except TrackerError:
            return
        self.assertTrue(0 <= response.interval < 2**31)
        self.assertTrue(all(0 < entry.port < 65536 for entry in response.peers))


class DecodeScrapeTests(SynchronousTestCase):
    """Replies to scrapes."""

    def test_round_trip(self) -> None:
        """Our own tracker's scrape is understood."""
        files = {b"a" * 20: ScrapeCounts(1, 2, 3), b"b" * 20: ScrapeCounts(0, 0, 0)}
        self.assertEqual(dict(decode_scrape(encode_scrape(files)).files), files)

    def test_entries_that_make_no_sense(self) -> None:
        """Keys that are no hashes and counts that are none do no harm."""
        data = bencoding.encode(
            {"files": {b"short": {}, b"a" * 20: {"complete": -5, "incomplete": "x"}, b"b" * 20: 7}, "flags": []}
        )
        self.assertEqual(dict(decode_scrape(data).files), {b"a" * 20: ScrapeCounts(0, 0, 0)})

    def test_refusals(self) -> None:
        """A refused scrape tells why; one without files is no scrape."""
        self.assertRaises(TrackerFailure, decode_scrape, encode_failure("no scrape"))
        self.assertRaises(TrackerError, decode_scrape, b"d5:filesle" + b"e")


class PrintableTests(SynchronousTestCase):
    """A stranger's bytes as text."""

    def test_text_stays(self) -> None:
        """Good text is not touched, whatever its script."""
        self.assertEqual(printable("Größe: 5 – 日本".encode()), "Größe: 5 – 日本")

    @given(st.binary(max_size=100), st.integers(1, 40))
    def test_any_bytes(self, raw: bytes, limit: int) -> None:
        """Any bytes become one printable line within the limit."""
        text = printable(raw, limit)
        self.assertTrue(text.isprintable() and len(text) <= limit)
        text.encode("utf-8")
