"""Tests of p2pshare.addresses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.addresses import (
    PRIVATE,
    Address,
    Networks,
    is_dialable,
    is_ipv6,
    is_numeric,
    pack_compact,
    parse_address,
    plain_host,
    unpack_ipv4,
    unpack_ipv6,
)
from tests.strategies import ipv4_addresses, ipv6_addresses


class HostTests(SynchronousTestCase):
    """Hosts in words."""

    def test_one_spelling(self) -> None:
        """A host has one plain spelling, whichever way a socket or a peer wrote it."""
        for host, plain in [
            ("1.2.3.4", "1.2.3.4"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("::FFFF:102:304", "1.2.3.4"),
            ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("::ffff:1.2.3.4%eth0", "1.2.3.4"),
            ("Peer-1.example", "Peer-1.example"),
            ("odd%name", "odd%name"),
            ("", ""),
        ]:
            self.assertEqual(plain_host(host), plain)
            self.assertEqual(plain_host(plain), plain)

    def test_kinds(self) -> None:
        """IPv4, IPv6 and names are told apart; what only looks like an address is a name."""
        for host, numeric, ipv6 in [
            ("1.2.3.4", True, False),
            ("::1", True, True),
            ("fe80::1%eth0", True, True),
            ("::ffff:1.2.3.4", True, False),
            ("localhost", False, False),
            ("1.2.3", False, False),
            ("01.2.3.4", False, False),
            ("1.2.3.4 ", False, False),
            ("1.2.3.4\0", False, False),
            ("\u0661.2.3.4", False, False),
            ("\ud800", False, False),
            ("::1::", False, False),
        ]:
            self.assertEqual((is_numeric(host), is_ipv6(host)), (numeric, ipv6), host)

    @given(st.text(max_size=20))
    def test_any_text(self, text: str) -> None:
        """No text makes any of these raise."""
        self.assertEqual(is_numeric(plain_host(text)), is_numeric(text))
        is_dialable(Address(text, 1))
        self.assertIn(text in PRIVATE, (True, False))


class ParseTests(SynchronousTestCase):
    """Addresses as people write them."""

    def test_host_and_port(self) -> None:
        """Names, IPv4 and IPv6 in brackets come with a port."""
        for text, host, port in [
            ("1.2.3.4:6881", "1.2.3.4", 6881),
            ("[::1]:6881", "::1", 6881),
            ("[2001:DB8::0:1]:1", "2001:db8::1", 1),
            ("[::ffff:1.2.3.4]:5", "1.2.3.4", 5),
            ("[fe80::1%eth0]:5", "fe80::1", 5),
            ("peer_1.swarm:65535", "peer_1.swarm", 65535),
            ("localhost:0", "localhost", 0),
            ("4chan.example.:80", "4chan.example.", 80),
        ]:
            self.assertEqual(parse_address(text), Address(host, port))

    def test_default_port(self) -> None:
        """Without a port the default is taken, and a bare IPv6 address is one."""
        for text, host in [("1.2.3.4", "1.2.3.4"), ("[::1]", "::1"), ("::1:6881", "::1:6881"), ("name", "name")]:
            self.assertEqual(parse_address(text, 80), Address(host, 80))
            self.assertRaises(ValueError, parse_address, text)
        self.assertEqual(parse_address("name:81", 80), Address("name", 81))

    def test_refusals(self) -> None:
        """No port, no such port and no such host are refused, and so is what a resolver would read as an address."""
        for text in (
            *(
                "",
                ":",
                ":80",
                "name:",
                "name:x",
                "name:65536",
                "name:-1",
                "name:+1",
                "name:1_0",
                "name: 1",
                "name:\u0663",
            ),
            *("[::1", "[::1]x", "[::1]6881", "[1.2.3.4]:5", "[name]:5", "[]:5", "[::1]:", "::1::2:3", "a:b:5"),
            *(
                "two words:5",
                "a..b:5",
                ".a:5",
                "-\n:5",
                "caf\u00e9:5",
                "a/b:5",
                "u@h:5",
                "x" * 64 + ":5",
                "x." * 127 + "x:5",
            ),
            *(
                "1.2.3:5",
                "127.1:5",
                "0x7f.1:5",
                "0x7f000001:5",
                "2130706433:5",
                "1.2.3.4.:5",
                "1.2.3.256:5",
                "01.2.3.4:5",
            ),
        ):
            with self.assertRaises(ValueError, msg=text):
                parse_address(text, None if text != "" else 80)

    @given(ipv4_addresses | ipv6_addresses)
    def test_round_trip(self, address: Address) -> None:
        """What str() writes is read back."""
        self.assertEqual(parse_address(str(address)), address)


class CompactTests(SynchronousTestCase):
    """The compact form of BEP 23 and BEP 7."""

    def test_golden_bytes(self) -> None:
        """Four or sixteen bytes of address, then the port, high byte first."""
        self.assertEqual(pack_compact("1.2.3.4", 6881), b"\x01\x02\x03\x04\x1a\xe1")
        self.assertEqual(pack_compact("::ffff:1.2.3.4", 6881), b"\x01\x02\x03\x04\x1a\xe1")
        self.assertEqual(pack_compact("2001:db8::1", 1), bytes.fromhex("20010db80000000000000000000000010001"))

    def test_names_and_ports_refused(self) -> None:
        """A name has no compact form, nor has a port above 65535."""
        for host, port in [("localhost", 1), ("", 1), ("1.2.3", 1), ("1.2.3.4", 65536), ("1.2.3.4", -1)]:
            self.assertRaises(ValueError, pack_compact, host, port)

    @given(st.lists(ipv4_addresses, max_size=8))
    def test_ipv4_round_trip(self, peers: list[Address]) -> None:
        """A list of IPv4 peers is read back in order."""
        self.assertEqual(unpack_ipv4(b"".join(pack_compact(peer.host, peer.port) for peer in peers)), peers)

    @given(st.lists(ipv6_addresses, max_size=8))
    def test_ipv6_round_trip(self, peers: list[Address]) -> None:
        """A list of IPv6 peers is read back in order."""
        self.assertEqual(unpack_ipv6(b"".join(pack_compact(peer.host, peer.port) for peer in peers)), peers)

    def test_mapped_ipv4_in_peers6(self) -> None:
        """IPv4 in IPv6 clothes is IPv4."""
        self.assertEqual(unpack_ipv6(bytes(10) + b"\xff\xff\x01\x02\x03\x04\x00\x05"), [Address("1.2.3.4", 5)])

    def test_f87_port_zero_is_skipped(self) -> None:
        """An entry with port 0 is left out, the others stay."""
        self.assertEqual(
            unpack_ipv4(b"\x01\x02\x03\x04\x00\x00" + b"\x05\x06\x07\x08\x00\x01"), [Address("5.6.7.8", 1)]
        )
        self.assertEqual(unpack_ipv6(bytes(15) + b"\x01\x00\x00"), [])

    def test_f45_odd_length(self) -> None:
        """A list that is not made of whole entries is refused."""
        for length in (1, 5, 7, 18 + 5):
            self.assertRaises(ValueError, unpack_ipv4, bytes(length))
            self.assertRaises(ValueError, unpack_ipv6, bytes(length))


class DialableTests(SynchronousTestCase):
    """Addresses worth a connection."""

    def test_f87_what_can_be_dialled(self) -> None:
        """One machine and a real port, or a name; a group, everybody and nobody are not."""
        for host in (
            "1.2.3.4",
            "127.0.0.1",
            "10.0.0.1",
            "223.255.255.255",
            "::1",
            "fe80::1",
            "2001:db8::1",
            "peer-1",
            "a_b.c",
        ):
            self.assertTrue(is_dialable(Address(host, 6881)), host)
        for host in (
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "239.1.2.3",
            "255.255.255.255",
            "240.0.0.1",
            "::",
            "ff02::1",
            "ff05::2",
        ):
            self.assertFalse(is_dialable(Address(host, 6881)), host)
        for host in ("", "a b", "127.1", "0x7f.0.0.1", "a\0b", "::ffff:0.0.0.0", "::ffff:224.0.0.1", "http://x"):
            self.assertFalse(is_dialable(Address(host, 6881)), host)
        for port, wanted in [(0, False), (1, True), (65535, True), (65536, False), (-1, False)]:
            self.assertEqual(is_dialable(Address("1.2.3.4", port)), wanted)


class NetworksTests(SynchronousTestCase):
    """Ranges of addresses."""

    def test_private(self) -> None:
        """Loopback, private and link-local hosts are in PRIVATE, in any spelling; global ones and names are not."""
        for host in (
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.1.1",
        ):
            self.assertIn(host, PRIVATE)
            self.assertIn(f"::ffff:{host}", PRIVATE)
        for host in ("::1", "fc00::1", "fd12::1", "fe80::1", "fe80::1%eth0", "0.0.0.0", "::"):
            self.assertIn(host, PRIVATE)
        for host in (
            "8.8.8.8",
            "172.32.0.1",
            "172.15.0.1",
            "192.169.0.1",
            "2001:db8::1",
            "::2",
            "fec0::1",
            "localhost",
            "",
        ):
            self.assertNotIn(host, PRIVATE)

    def test_parse(self) -> None:
        """Ranges of both families and single addresses are read, host bits being of no matter."""
        networks = Networks.parse(["10.1.2.3/8", " 2001:db8::/32", "5.6.7.8"])
        self.assertEqual([h in networks for h in ("10.0.0.0", "2001:db8:1::1", "5.6.7.8")], [True] * 3)
        self.assertEqual([h in networks for h in ("11.0.0.0", "2001:db9::1", "5.6.7.9")], [False] * 3)
        self.assertNotIn("1.2.3.4", Networks.parse([]))
        self.assertIn("1.2.3.4", Networks.parse(["0.0.0.0/0"]))
        self.assertNotIn("::1", Networks.parse(["0.0.0.0/0"]))

    def test_parse_refuses(self) -> None:
        """What is no range is refused with its text."""
        for text in ("localhost", "10.0.0.0/33", "", "1.2.3/8"):
            with self.assertRaisesRegex(ValueError, "(?s)" + text.replace(".", r"\.")):
                Networks.parse([text])
