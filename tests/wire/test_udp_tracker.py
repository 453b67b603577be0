"""Tests of announces and scrapes as datagrams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.addresses import pack_compact
from p2pshare.errors import LocalWireError, RemoteWireError
from p2pshare.wire import udp_tracker as wire
from p2pshare.wire.announce import AnnounceRequest, AnnounceResponse, Event, PeerEntry, ScrapeCounts

CONNECTION = bytes.fromhex("0123456789abcdef")
TRANSACTION = bytes.fromhex("cafef00d")
HASH = b"h" * 20
OTHER = b"o" * 20
PEER = b"-P20100-abcdefghijkl"
REQUEST = AnnounceRequest(
    HASH,
    PEER,
    6881,
    uploaded=1,
    downloaded=2,
    left=3,
    event=Event.STARTED,
    numwant=80,
    key=b"0BADCAFE",
    compact=True,
    ip="192.0.2.7",
)
# BEP 15, "announce" of IPv4, field by field.
GOLDEN_ANNOUNCE = b"".join(
    [
        CONNECTION,
        b"\x00\x00\x00\x01",  # action
        TRANSACTION,
        HASH,
        PEER,
        b"\x00\x00\x00\x00\x00\x00\x00\x02",  # downloaded
        b"\x00\x00\x00\x00\x00\x00\x00\x03",  # left
        b"\x00\x00\x00\x00\x00\x00\x00\x01",  # uploaded
        b"\x00\x00\x00\x02",  # event: started
        b"\xc0\x00\x02\x07",  # IP address
        b"\x0b\xad\xca\xfe",  # key
        b"\x00\x00\x00\x50",  # num_want
        b"\x1a\xe1",  # port
    ]
)
LEFT, EVENT, NUM_WANT, PORT = 64, 80, 92, 96  # BEP 15: offsets in an announce

numbers = st.integers(0, 2**63 - 2)  # one less than what stands for "unknown"
requests = st.builds(
    AnnounceRequest,
    info_hash=st.binary(min_size=20, max_size=20),
    peer_id=st.binary(min_size=20, max_size=20),
    port=st.integers(1, 65535),
    uploaded=numbers,
    downloaded=numbers,
    left=st.none() | numbers,
    event=st.none() | st.sampled_from(Event),
    numwant=st.none() | st.integers(0, 2**31 - 1),
    key=st.none() | st.integers(1, 2**32 - 1).map(lambda key: b"%08X" % key),
    compact=st.just(True),
    hostname=st.none() | st.sampled_from(["client1", "a_b.c-d", "10.0.0.1", "2001:db8::1"]),
    ip=st.none() | st.ip_addresses(v=4).map(str).filter(lambda ip: ip != "0.0.0.0"),
)
counts = st.integers(0, 2**31 - 1)
packets = st.binary(max_size=150) | st.builds(
    lambda head, action, rest: head + bytes((0, 0, 0, action)) + rest,
    st.sampled_from([b"", CONNECTION, bytes.fromhex("0000041727101980")]),
    st.integers(0, 4),
    st.binary(max_size=150),
)


def with_field(offset: int, value: bytes) -> bytes:
    """Write the announce with some bytes changed."""
    return GOLDEN_ANNOUNCE[:offset] + value + GOLDEN_ANNOUNCE[offset + len(value) :]


class RequestTests(SynchronousTestCase):
    """What clients say."""

    def test_connect(self) -> None:
        """A connect request is the magic number, action 0 and the transaction id."""
        datagram = wire.encode_connect(TRANSACTION)
        self.assertEqual(datagram.hex(), "000004172710198000000000cafef00d")
        _, action, transaction_id = wire.decode_request(datagram)
        self.assertEqual((action, transaction_id), (wire.CONNECT, TRANSACTION))
        wire.decode_request(datagram + b"more")  # BEP 15: sizes are minimum sizes

    def test_announce(self) -> None:
        """Every field of an announce has its place."""
        self.assertEqual(wire.encode_announce(CONNECTION, TRANSACTION, REQUEST), GOLDEN_ANNOUNCE)
        self.assertEqual(len(GOLDEN_ANNOUNCE), 98)
        self.assertEqual(wire.decode_request(GOLDEN_ANNOUNCE), (CONNECTION, wire.ANNOUNCE, TRANSACTION))
        self.assertEqual(wire.decode_announce(GOLDEN_ANNOUNCE), REQUEST)

    def test_events(self) -> None:
        """The four numbers of BEP 15, and that of a partial seed, which is no event."""
        events = [None, Event.COMPLETED, Event.STARTED, Event.STOPPED]
        for number, event in enumerate(events):
            datagram = with_field(EVENT, number.to_bytes(4, "big"))
            self.assertEqual(wire.encode_announce(CONNECTION, TRANSACTION, evolve(REQUEST, event=event)), datagram)
            self.assertEqual(wire.decode_announce(datagram).event, event)
        self.assertIsNone(wire.decode_announce(with_field(EVENT, b"\0\0\0\4")).event)

    def test_what_is_not_said(self) -> None:
        """Defaults: any number of peers, no key, the sender's address; an unknown rest is no seed's."""
        datagram = wire.encode_announce(CONNECTION, TRANSACTION, AnnounceRequest(HASH, PEER, 1))
        self.assertEqual(datagram[80:96].hex(), "000000000000000000000000ffffffff")
        self.assertEqual(wire.decode_announce(datagram), AnnounceRequest(HASH, PEER, 1, compact=True))

    def test_ipv6_address_has_no_room(self) -> None:
        """The address field is for IPv4; another claim is left out."""
        datagram = wire.encode_announce(CONNECTION, TRANSACTION, evolve(REQUEST, ip="2001:db8::1"))
        self.assertEqual(datagram, with_field(84, bytes(4)))

    @given(requests)
    @settings(max_examples=200)
    def test_any_announce(self, request: AnnounceRequest) -> None:
        """An announce says the same at the other end."""
        self.assertEqual(
            wire.decode_announce(wire.encode_announce(CONNECTION, TRANSACTION, request, "/a?b=c")), request
        )

    def test_f54_out_of_range(self) -> None:
        """Numbers are moved into their range; a port or event that does not exist is an error that names it."""
        for numwant, read in ((-1, None), (0, 0), (2**31 - 1, 2**31 - 1), (-(2**31), None)):
            datagram = with_field(NUM_WANT, numwant.to_bytes(4, "big", signed=True))
            self.assertEqual(wire.decode_announce(datagram).numwant, read)
        self.assertIsNone(wire.decode_announce(with_field(LEFT, b"\xff" * 8)).left)
        high = wire.decode_announce(with_field(56, b"\xff" * 24))
        self.assertEqual((high.downloaded, high.uploaded), (2**63 - 1, 2**63 - 1))
        for offset, value, words in ((PORT, b"\0\0", "port is 0"), (EVENT, b"\0\0\0\7", "event is 7, not 0 to 3")):
            error = self.assertRaises(RemoteWireError, wire.decode_announce, with_field(offset, value))
            self.assertIn(words, str(error))

    def test_scrape(self) -> None:
        """A scrape is its head and the info_hashes."""
        datagram = wire.encode_scrape(CONNECTION, TRANSACTION, [HASH, OTHER, HASH])
        self.assertEqual(datagram, CONNECTION + b"\0\0\0\2" + TRANSACTION + HASH + OTHER + HASH)
        self.assertEqual(wire.decode_request(datagram), (CONNECTION, wire.SCRAPE, TRANSACTION))
        self.assertEqual(wire.decode_scrape(datagram), [HASH, OTHER, HASH])

    def test_f55_sizes_of_scrapes(self) -> None:
        """We ask for 1 to 70 torrents; a scrape of none, or with half an info_hash, is an error."""
        self.assertEqual(len(wire.encode_scrape(CONNECTION, TRANSACTION, [HASH] * 70)), 1416)
        for number in (0, 71):
            self.assertRaises(LocalWireError, wire.encode_scrape, CONNECTION, TRANSACTION, [HASH] * number)
        for size in (0, 19, 21):
            self.assertRaises(RemoteWireError, wire.decode_scrape, bytes(16 + size))

    def test_f51_what_is_no_request(self) -> None:
        """Cut short at any byte, too long, with a wrong magic number or an unknown action, it is none."""
        bad = [GOLDEN_ANNOUNCE[:end] for end in range(98)]
        bad += [wire.encode_connect(TRANSACTION)[:end] for end in range(16)]
        bad += [GOLDEN_ANNOUNCE + bytes(wire.MAX_REQUEST + 1 - 98)]
        bad += [bytes(16), CONNECTION + b"\0\0\0\0" + TRANSACTION]
        bad += [CONNECTION + action.to_bytes(4, "big") + bytes(100) for action in (3, 4, 2**31, 2**32 - 1)]
        for datagram in bad:
            self.assertRaises(RemoteWireError, wire.decode_request, datagram)
        wire.decode_request(GOLDEN_ANNOUNCE + bytes(wire.MAX_REQUEST - 98))

    @given(packets)
    @settings(max_examples=200)
    def test_f51_any_bytes(self, datagram: bytes) -> None:
        """Whatever comes is read, or is a RemoteWireError."""
        try:
            _, action, _ = wire.decode_request(datagram)
            if action == wire.ANNOUNCE:
                wire.decode_announce(datagram)
            elif action == wire.SCRAPE:
                wire.decode_scrape(datagram)
        except RemoteWireError as error:
            self.assertTrue(str(error).isprintable())

    def test_bad_key(self) -> None:
        """A key that is not a hexadecimal number is our own mistake."""
        request = evolve(REQUEST, key=b"no number")
        self.assertRaises(LocalWireError, wire.encode_announce, CONNECTION, TRANSACTION, request)


class OptionTests(SynchronousTestCase):
    """Options behind an announce (BEP 41)."""

    def announce(self, options: bytes) -> AnnounceRequest:
        """Read an announce with these options; nothing in them can spoil it."""
        request = wire.decode_announce(GOLDEN_ANNOUNCE + options)
        self.assertEqual(evolve(request, hostname=None), REQUEST)
        return request

    def test_url_data(self) -> None:
        """Path and query are one option."""
        datagram = wire.encode_announce(CONNECTION, TRANSACTION, REQUEST, "/dir?a=b&c=d")
        self.assertEqual(datagram, GOLDEN_ANNOUNCE + b"\x02\x0c/dir?a=b&c=d")
        self.assertEqual(wire.url_data(datagram), b"/dir?a=b&c=d")

    def test_long_url(self) -> None:
        """More than 255 bytes are several options; more than 1024 are refused."""
        datagram = wire.encode_announce(CONNECTION, TRANSACTION, REQUEST, "/" + "x" * 299)
        self.assertEqual((datagram[98:100], datagram[355:357]), (b"\x02\xff", b"\x02\x2d"))
        self.assertEqual(wire.url_data(datagram), b"/" + b"x" * 299)
        wire.encode_announce(CONNECTION, TRANSACTION, REQUEST, "x" * 1024)
        self.assertRaises(LocalWireError, wire.encode_announce, CONNECTION, TRANSACTION, REQUEST, "x" * 1025)

    def test_other_options(self) -> None:
        """Nothing, padding, an end and unknown options are passed over."""
        for options, url in (
            (b"", b""),
            (b"\x00\x02\x01/", b""),
            (b"\x01\x01\x02\x01/", b"/"),
            (b"\x07\x02??\x02\x01/\x00\x02\x01x", b"/"),
            (b"\x02\x01/\x02\x01a", b"/a"),
            (b"\x02\x00", b""),
        ):
            self.announce(options)
            self.assertEqual(wire.url_data(GOLDEN_ANNOUNCE + options), url)

    def test_f51_broken_options(self) -> None:
        """Options that end too early are not read, those before them are."""
        for options, url in ((b"\x02", b""), (b"\x02\x05/abc", b""), (b"\x02\x01/\x02\xffx", b"/"), (b"\xff", b"")):
            self.announce(options)
            self.assertEqual(wire.url_data(GOLDEN_ANNOUNCE + options), url)

    def test_s1_19_host_name(self) -> None:
        """A host name travels in the query, behind one that the URL already has."""
        request = evolve(REQUEST, hostname="client1")
        for url, data in (
            ("", b"?hostname=client1"),
            ("/announce", b"/announce?hostname=client1"),
            ("/a?key=1", b"/a?key=1&hostname=client1"),
        ):
            datagram = wire.encode_announce(CONNECTION, TRANSACTION, request, url)
            self.assertEqual((wire.url_data(datagram), wire.decode_announce(datagram)), (data, request))

    def test_f65_what_is_no_host_name(self) -> None:
        """A name given twice, too long or with odd characters is none."""
        for query in (b"hostname=a&hostname=b", b"hostname=a%00b", b"hostname=", b"&hostname=x" * 20, b"xhostname=a"):
            self.assertIsNone(self.announce(bytes((2, len(query) + 1)) + b"?" + query).hostname)

    @given(st.binary(max_size=300))
    @settings(max_examples=200)
    def test_f51_any_options(self, options: bytes) -> None:
        """Whatever follows an announce, the announce stands."""
        self.announce(options)
        wire.url_data(GOLDEN_ANNOUNCE + options)


class ReplyTests(SynchronousTestCase):
    """What trackers say."""

    def test_connected(self) -> None:
        """The reply to connect is as long as the request."""
        datagram = wire.encode_connected(TRANSACTION, CONNECTION)
        self.assertEqual(datagram.hex(), "00000000cafef00d0123456789abcdef")
        self.assertEqual(wire.decode_reply(datagram), (wire.CONNECT, TRANSACTION))
        self.assertEqual(wire.decode_connected(datagram), CONNECTION)

    def test_announced(self) -> None:
        """Interval, leeches, seeds, and 6 or 18 bytes for each peer; port 0 and addresses of nobody are left out."""
        peers = [pack_compact(host, port) for host, port in (("192.0.2.7", 6881), ("192.0.2.8", 0), ("0.0.0.0", 1))]
        datagram = wire.encode_announced(TRANSACTION, 1800, 5, 6, b"".join(peers))
        self.assertEqual(datagram[:26].hex(), "00000001cafef00d000007080000000600000005c00002071ae1")
        self.assertEqual(
            wire.decode_announced(datagram, ipv6=False),
            AnnounceResponse(1800, None, 5, 6, (PeerEntry("192.0.2.7", 6881),)),
        )
        datagram = wire.encode_announced(TRANSACTION, 1800, 5, 6, pack_compact("2001:db8::7", 6881))
        self.assertEqual(wire.decode_announced(datagram, ipv6=True).peers, (PeerEntry("2001:db8::7", 6881),))
        self.assertRaises(RemoteWireError, wire.decode_announced, datagram[:-1], ipv6=True)

    def test_f87_many_peers(self) -> None:
        """Of all peers 200 are kept, and negative numbers are none."""
        packed = b"".join(pack_compact("192.0.2.7", port) for port in range(1, 1000))
        datagram = b"\0\0\0\1" + TRANSACTION + b"\xff" * 12 + packed
        response = wire.decode_announced(datagram, ipv6=False)
        self.assertEqual((response.interval, response.complete, response.incomplete), (0, 0, 0))
        self.assertEqual(len(response.peers), 200)

    def test_scraped(self) -> None:
        """Seeds, completions and leeches, in the order of asking; a tracker may leave out the last ones."""
        figures = [ScrapeCounts(complete=1, incomplete=2, downloaded=3), ScrapeCounts(4, 5, 2**40)]
        datagram = wire.encode_scraped(TRANSACTION, figures)
        self.assertEqual(datagram[:20].hex(), "00000002cafef00d000000010000000300000002")
        self.assertEqual(
            wire.decode_scraped(datagram, [HASH, OTHER, PEER]),
            {HASH: figures[0], OTHER: ScrapeCounts(4, 5, 2**31 - 1)},
        )
        self.assertEqual(wire.decode_scraped(datagram, [HASH]), {HASH: figures[0]})
        self.assertRaises(RemoteWireError, wire.decode_scraped, datagram[:-1], [HASH, OTHER])

    def test_refusal(self) -> None:
        """A refusal is a text; a stranger's one is made printable, and there is always one."""
        datagram = wire.encode_refusal(TRANSACTION, "no")
        self.assertEqual(datagram.hex(), "00000003cafef00d6e6f")
        self.assertEqual(wire.decode_refusal(datagram), "no")
        self.assertEqual(wire.decode_refusal(datagram[:8] + b"a\x1b\xff\0\0"), "a\\x1b\\xff")
        self.assertEqual(wire.decode_refusal(datagram[:8]), "refused without a reason")

    def test_another_action(self) -> None:
        """A reply to something else is not taken for an answer."""
        refusal = wire.encode_refusal(TRANSACTION, "n" * 12)
        readers: list[Callable[[bytes], object]] = [
            wire.decode_connected,
            lambda datagram: wire.decode_announced(datagram, ipv6=False),
            lambda datagram: wire.decode_scraped(datagram, [HASH]),
        ]
        for read in readers:
            self.assertIn("action 3", str(self.assertRaises(RemoteWireError, read, refusal)))
        self.assertRaises(RemoteWireError, wire.decode_refusal, wire.encode_connected(TRANSACTION, CONNECTION))

    @given(packets)
    @settings(max_examples=200)
    def test_f57_any_bytes(self, datagram: bytes) -> None:
        """Whatever comes is read, or is a RemoteWireError."""
        readers: list[Callable[[bytes], Any]] = [
            wire.decode_reply,
            wire.decode_connected,
            lambda datagram: wire.decode_announced(datagram, ipv6=False),
            lambda datagram: wire.decode_announced(datagram, ipv6=True),
            lambda datagram: wire.decode_scraped(datagram, [HASH]),
            wire.decode_refusal,
        ]
        for read in readers:
            try:
                read(datagram)
            except RemoteWireError as error:
                self.assertTrue(str(error).isprintable())

    @given(counts, counts, counts, st.lists(st.ip_addresses(v=6).map(str), max_size=66))
    @settings(max_examples=100)
    def test_any_ipv6_reply(self, interval: int, complete: int, incomplete: int, hosts: list[str]) -> None:
        """A reply says the same at the other end, but for addresses where nobody can be."""
        packed = b"".join(entry for host in hosts if len(entry := pack_compact(host, 1)) == 18)
        datagram = wire.encode_announced(TRANSACTION, interval, complete, incomplete, packed)
        response = wire.decode_announced(datagram, ipv6=True)
        self.assertEqual((response.interval, response.complete, response.incomplete), (interval, complete, incomplete))
        sent = [packed[at : at + 18] for at in range(0, len(packed), 18)]
        read = [pack_compact(peer.host, peer.port) for peer in response.peers]
        self.assertEqual(read, [entry for entry in sent if entry[0] != 0xFF and any(entry[:16])])
