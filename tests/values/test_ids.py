"""Tests of p2pshare.ids."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare import __version__
from p2pshare.ids import CLIENT_PREFIX, PEER_ID_SIZE, client_name, info_hash_from_hex, new_peer_id


class PeerIdTests(SynchronousTestCase):
    """The peer_id we call ourselves."""

    def test_prefix_tells_the_version(self) -> None:
        """The prefix is that of the release, and is read back as such."""
        numbers = f"{__version__}.0.0.0".split(".")[:4]
        self.assertEqual(client_name(CLIENT_PREFIX), "p2pshare " + ".".join(numbers))
        if __version__ == "0.1.0":
            self.assertEqual(CLIENT_PREFIX, b"-P20100-")

    def test_random_rest(self) -> None:
        """Twenty bytes begin with the prefix and go on with letters and digits, other ones each time."""
        random = Random(0)
        ids = {new_peer_id(random) for _ in range(1000)}
        self.assertEqual(len(ids), 1000)
        for peer_id in ids:
            self.assertEqual(len(peer_id), PEER_ID_SIZE)
            self.assertTrue(peer_id.startswith(CLIENT_PREFIX))
            self.assertTrue(peer_id[len(CLIENT_PREFIX) :].isalnum())

    def test_chance_is_an_argument(self) -> None:
        """The same source of chance gives the same peer_id."""
        self.assertEqual(new_peer_id(Random(5)), new_peer_id(Random(5)))


class InfoHashTests(SynchronousTestCase):
    """An info_hash as people write it."""

    def test_both_cases(self) -> None:
        """Forty digits in small or capital letters make twenty bytes."""
        wanted = bytes(range(236, 256))
        self.assertEqual(info_hash_from_hex(wanted.hex()), wanted)
        self.assertEqual(info_hash_from_hex(wanted.hex().upper()), wanted)

    def test_refusals(self) -> None:
        """Any other length and any other character is refused."""
        good = "a" * 40
        for text in (
            "",
            good[1:],
            good + "a",
            good[1:] + "g",
            good[1:] + " ",
            good[1:] + "\u0663",
            good + "\n",
            "0x" + good,
        ):
            self.assertRaises(ValueError, info_hash_from_hex, text)


class ClientNameTests(SynchronousTestCase):
    """Whose peer_id it is."""

    def test_known_clients(self) -> None:
        """The clients one meets are named with their version."""
        for prefix, name in [
            (b"-P20100-", "p2pshare 0.1.0.0"),
            (b"-LT2100-", "libtorrent 2.1.0.0"),
            (b"-lt0D80-", "rTorrent 0.13.8.0"),
            (b"-TR3000-", "Transmission 3.00"),
            (b"-TR2940-", "Transmission 2.94"),
            (b"-TR294Z-", "Transmission 2.94 dev"),
            (b"-TR4060-", "Transmission 4.0.6"),
            (b"-TR410Z-", "Transmission 4.1.0 dev"),
            (b"-TR410B-", "Transmission 4.1.0 beta"),
            (b"-qB5230-", "qBittorrent 5.2.3.0"),
            (b"-DE220s-", "Deluge 2.2.0s"),
            (b"-WW0102-", "WebTorrent 0.1.0.2"),
            (b"A2-1-37-0-", "aria2 1.37.0"),
            (b"M7-10-5--", "BitTorrent 7.10.5"),
        ]:
            self.assertEqual(client_name(prefix.ljust(20, b"\xff")), name)

    def test_unknown_clients(self) -> None:
        """Of anybody else the first eight bytes are shown, escaped."""
        self.assertEqual(client_name(b"-JC0001-0123456789ab"), "-JC0001-")
        self.assertEqual(client_name(b"\x00\x1b[2J\xff\\\n0123"), r"\x00\x1b[2J\xff\\\n")
        self.assertEqual(client_name(b""), "unknown")

    @given(st.binary(max_size=20) | st.binary(max_size=5).map(lambda b: b"-TR" + b + b"-" + bytes(8)))
    def test_always_printable(self, peer_id: bytes) -> None:
        """Whatever a peer calls itself, its name is a little printable ASCII."""
        name = client_name(peer_id)
        self.assertTrue(name.isascii() and name.isprintable() and 0 < len(name) <= 40, name)
