"""Tests of p2pshare.web.sources."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.settings import read_networks
from p2pshare.web.sources import Source, Sources


class SourcesTests(SynchronousTestCase):
    """Who is at the other end."""

    def setUp(self) -> None:
        self.sources = Sources(read_networks(["private"]), read_networks(["192.0.2.1", "10.0.0.0/8"]))

    def test_one_spelling(self) -> None:
        """An address is counted under one name, whatever socket it came through; IPv6 by its /64."""
        self.assertEqual(self.sources.of("::ffff:198.51.100.1"), Source("198.51.100.1", "198.51.100.1", False))
        self.assertEqual(self.sources.of("2001:DB8::0:7%eth0"), Source("2001:db8::7", "2001:db8::/64", False))

    def test_exempt(self) -> None:
        """Private networks are exempt here, and so is loopback."""
        self.assertTrue(self.sources.of("::1").is_exempt)
        self.assertTrue(self.sources.of("::ffff:192.168.1.1").is_exempt)

    def test_chain_of_proxies(self) -> None:
        """From the right, the first address that is no proxy is the one who asks; what is left of it may be a lie."""
        asked = self.sources.behind(
            self.sources.of("192.0.2.1"), [b"127.0.0.1, 198.51.100.1", b"10.0.0.5 ,[2001:db8::7]"]
        )
        self.assertEqual(asked.host, "2001:db8::7")
        asked = self.sources.behind(self.sources.of("192.0.2.1"), [b"127.0.0.1, 198.51.100.1", b"10.0.0.5"])
        self.assertEqual(asked.host, "198.51.100.1")

    def test_f65_nonsense_in_the_header(self) -> None:
        """What is no address ends the search: it is the last proxy that is believed."""
        proxy = self.sources.of("192.0.2.1")
        for value in (b"", b"unknown", b"198.51.100.1, localhost", b"\xff\xfe", b"1.2.3.4:80"):
            self.assertEqual(self.sources.behind(proxy, [value]), proxy)

    def test_stranger(self) -> None:
        """Somebody who is no proxy is the one who asks."""
        stranger = self.sources.of("198.51.100.9")
        self.assertIs(self.sources.behind(stranger, [b"10.0.0.1"]), stranger)
