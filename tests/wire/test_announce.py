"""Tests of the announce values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.wire.announce import read_host


class ReadHostTests(SynchronousTestCase):
    """Hosts in foreign bytes."""

    def test_addresses_become_canonical(self) -> None:
        """Numeric hosts are given in their one spelling."""
        seen = [read_host(raw) for raw in (b"1.2.3.4", b"::ffff:1.2.3.4", b"2001:DB8:0::1")]
        self.assertEqual(seen, ["1.2.3.4", "1.2.3.4", "2001:db8::1"])

    def test_names_stay(self) -> None:
        """Host names are given as they came, the underscores of container networks included."""
        for name in ("client1", "Peer-2.example.org", "stack_client.1.net", "a" * 63 + ".b"):
            self.assertEqual(read_host(name.encode()), name)

    def test_nothing_else_is_a_host(self) -> None:
        """Numbers that resolvers take for addresses, markup, spaces, controls and long labels are no hosts."""
        for raw in (b"", b"127.1", b"0x7f.1", b"1.2.3.400", b"a b", b"<b>", b"a\n", b"a/b", b"a..b", b"\xc3\xa4"):
            self.assertIsNone(read_host(raw), raw)
        self.assertIsNone(read_host(b"a" * 64))
        self.assertIsNone(read_host(b".".join([b"abc"] * 65)))

    @given(st.binary(max_size=300))
    def test_a_host_is_short_printable_ascii(self, raw: bytes) -> None:
        """Whatever the bytes, a host that comes out can be printed, logged and looked up."""
        host = read_host(raw)
        self.assertTrue(host is None or (host.isascii() and host.isprintable() and " " not in host and len(host) < 256))
