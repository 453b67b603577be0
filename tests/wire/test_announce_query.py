"""Tests of what a client asks a tracker over HTTP."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import parse_qs

from p2pshare.wire.announce import AnnounceRequest, Event
from p2pshare.wire.announce_http import decode_query, decode_scrape_query
from p2pshare.wire.announce_query import announce_url, encode_query, scrape_url

HASH = b"\x12\x34\x56\x78\x9a\xbc\xde\xf1\x23\x45\x67\x89\xab\xcd\xef\x12\x34\x56\x78\x9a"
PEER = b"-P20100-abcdefghijkl"

numbers = st.integers(0, 2**63 - 1)
short = st.binary(min_size=1, max_size=64)
requests = st.builds(
    AnnounceRequest,
    info_hash=st.binary(min_size=20, max_size=20),
    peer_id=st.binary(min_size=20, max_size=20),
    port=st.integers(1, 65535),
    uploaded=numbers,
    downloaded=numbers,
    left=st.none() | numbers,
    event=st.none() | st.sampled_from(Event),
    numwant=st.none() | numbers,
    key=st.none() | short,
    compact=st.none() | st.booleans(),
    hostname=st.none() | st.sampled_from(["client1", "a_b.c-d", "10.0.0.1", "2001:db8::1"]),
    ip=st.none() | st.ip_addresses(v=4).map(str),
    no_peer_id=st.booleans(),
    tracker_id=st.none() | short,
)


class EncodeQueryTests(SynchronousTestCase):
    """The query of an announce."""

    def test_golden(self) -> None:
        """The bytes of a hash are escaped one by one, letters and digits excepted."""
        self.assertEqual(
            encode_query(AnnounceRequest(HASH, PEER, 6881, left=9, event=Event.STARTED, compact=True)),
            "info_hash=%124Vx%9A%BC%DE%F1%23Eg%89%AB%CD%EF%124Vx%9A&peer_id=-P20100-abcdefghijkl&port=6881"
            "&uploaded=0&downloaded=0&left=9&event=started&compact=1",
        )

    @given(requests)
    def test_a_tracker_reads_what_a_client_writes(self, request: AnnounceRequest) -> None:
        """Every request survives the way through a URL and twisted.web's parser."""
        self.assertEqual(decode_query(parse_qs(encode_query(request).encode(), True)), request)


class AnnounceUrlTests(SynchronousTestCase):
    """An announce joined to a tracker's URL."""

    def test_queries_are_kept(self) -> None:
        """A query that is there stays in front; a fragment is left out."""
        request = AnnounceRequest(HASH, PEER, 1)
        query = encode_query(request)
        for base, expected in (
            ("http://t/announce", "http://t/announce?"),
            ("http://t/announce?", "http://t/announce?"),
            ("http://t/announce?passkey=x", "http://t/announce?passkey=x&"),
            ("http://t/announce?a=1&", "http://t/announce?a=1&"),
            ("http://t/announce#top", "http://t/announce?"),
        ):
            self.assertEqual(announce_url(base, request), expected + query)


class ScrapeUrlTests(SynchronousTestCase):
    """Where a tracker answers scrapes."""

    def test_convention(self) -> None:
        """The last path word that begins with announce becomes scrape (BEP 48)."""
        for announce, scrape in (
            ("http://example.com/announce", "http://example.com/scrape"),
            ("http://example.com/x/announce", "http://example.com/x/scrape"),
            ("http://example.com/announce.php", "http://example.com/scrape.php"),
            ("http://example.com/announce?x=2%0644", "http://example.com/scrape?x=2%0644"),
            ("http://example.com/announce?x=2/4", "http://example.com/scrape?x=2/4"),
            ("http://example.com/KEY/announce", "http://example.com/KEY/scrape"),
            ("http://example.com/announce/KEY", "http://example.com/scrape/KEY"),
            ("http://announce/announce", "http://announce/scrape"),
        ):
            self.assertEqual(scrape_url(announce, []), scrape)

    def test_no_scrape(self) -> None:
        """A URL that does not follow the convention has none."""
        for url in ("http://t/a", "http://announce/", "http://t/announcements", "http://t/x%064announce", "http://[/"):
            self.assertIsNone(scrape_url(url, [HASH]))

    def test_s1_6_hashes_are_asked_for(self) -> None:
        """Each hash is a parameter of its own, behind those that were there."""
        url = scrape_url("http://t/announce?k=1", [HASH, PEER])
        assert url is not None
        self.assertTrue(url.startswith("http://t/scrape?k=1&info_hash="))
        self.assertEqual(decode_scrape_query(parse_qs(url.partition("?")[2].encode())), [HASH, PEER])
