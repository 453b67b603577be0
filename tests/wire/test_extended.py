"""The extension handshake."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.bencoding import encode
from p2pshare.errors import LocalWireError, RemoteWireError
from p2pshare.wire.extended import MAX_METADATA_SIZE, MAX_NAMES, decode_handshake, encode_handshake
from p2pshare.wire.messages import ExtendedHandshake
from tests.wire.strategies import extended_handshakes

GOOD = {"m": {"ut_pex": 1}, "p": 6881}  # stays readable whatever is beside it
READ = ExtendedHandshake(ids={b"ut_pex": 1}, port=6881)
scalars = st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=20)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.binary(max_size=9), inner), max_leaves=6
)
known = st.sampled_from([b"m", b"v", b"p", b"reqq", b"yourip", b"upload_only", b"metadata_size"])


class EncodeTests(SynchronousTestCase):
    def test_golden_bytes(self) -> None:
        """Written out, the dictionary has the keys of BEP 10, 9 and 21, sorted, addresses packed."""
        handshake = ExtendedHandshake(
            ids={b"ut_pex": 1, b"ut_metadata": 3},
            version="p2pshare 0.1.0",
            port=6881,
            reqq=2000,
            yourip="192.0.2.1",
            upload_only=True,
            metadata_size=31235,
        )
        self.assertEqual(
            encode_handshake(handshake),
            b"d1:md11:ut_metadatai3e6:ut_pexi1ee13:metadata_sizei31235e1:pi6881e4:reqqi2000e"
            b"11:upload_onlyi1e1:v14:p2pshare 0.1.06:yourip4:\xc0\x00\x02\x01e",
        )

    def test_nothing_to_tell(self) -> None:
        """What we do not know is not sent."""
        self.assertEqual(encode_handshake(ExtendedHandshake()), b"d1:mdee")

    def test_yourip_must_be_an_address(self) -> None:
        """A host name cannot be told as an address."""
        self.assertRaises(LocalWireError, encode_handshake, ExtendedHandshake(yourip="client2"))

    @given(extended_handshakes)
    def test_round_trip(self, handshake: ExtendedHandshake) -> None:
        """What is written is read as the same handshake."""
        self.assertEqual(decode_handshake(encode_handshake(handshake)), handshake)


class DecodeTests(SynchronousTestCase):
    def assert_ignored(self, **bad: object) -> None:
        """Check that a handshake reads as if its ``bad`` fields had not been sent."""
        self.assertEqual(decode_handshake(encode(GOOD | bad)), READ)

    def test_as_other_clients_send_it(self) -> None:
        """Foreign keys are passed over, and keys in wrong order are no reason to refuse."""
        self.assertEqual(
            decode_handshake(b"d1:v13:\xc2\xb5Torrent 1.21:pi6881e1:ei0e1:md7:\xc2\xb5T_PEXi2e11:LT_metadatai1eee"),
            ExtendedHandshake(ids={b"LT_metadata": 1, b"\xc2\xb5T_PEX": 2}, version="µTorrent 1.2", port=6881),
        )

    def test_empty(self) -> None:
        """A peer may have nothing to tell."""
        self.assertEqual(decode_handshake(b"de"), ExtendedHandshake())

    def test_yourip(self) -> None:
        """Addresses of 4 and 16 bytes are read; an IPv4 address in IPv6 clothes is plain."""
        for packed, text in (
            (b"\xc0\x00\x02\x01", "192.0.2.1"),
            (bytes(15) + b"\x01", "::1"),
            (bytes(10) + b"\xff\xff\xc0\x00\x02\x01", "192.0.2.1"),
        ):
            self.assertEqual(decode_handshake(encode({"yourip": packed})).yourip, text)

    def test_upload_only(self) -> None:
        """Only a number above 0 says that the peer downloads nothing more (BEP 21)."""
        for value, expected in ((1, True), (0, False), (-1, False), (b"1", False)):
            self.assertEqual(decode_handshake(encode({"upload_only": value})).upload_only, expected)

    def test_f39_m_is_not_a_dict(self) -> None:
        """A peer whose ``m`` is no dictionary offers no extension."""
        for value in (5, b"ut_pex", [b"ut_pex", 1]):
            self.assertEqual(decode_handshake(encode({"m": value, "p": 6881})), ExtendedHandshake(port=6881))

    def test_f39_ids(self) -> None:
        """Ids are 1 to 255; any other, 0 included, means the extension is not there, and the rest counts."""
        offered = {"zero": 0, "one": 1, "last": 255, "over": 256, "below": -1, "text": b"2", "x" * 65: 3}
        self.assertEqual(decode_handshake(encode({"m": offered})).ids, {b"one": 1, b"last": 255})

    def test_f39_many_names(self) -> None:
        """However many extensions a peer claims to have, a few are remembered."""
        offered = {f"extension {number}": 1 for number in range(5000)}
        self.assertEqual(len(decode_handshake(encode({"m": offered})).ids), MAX_NAMES)

    def test_f39_numbers(self) -> None:
        """Numbers out of range and values that are no numbers count as not sent."""
        for bad in (-1, 0, 1 << 40, b"2000", [2000]):
            self.assert_ignored(reqq=bad)
            self.assert_ignored(metadata_size=bad)
            self.assertIsNone(decode_handshake(encode({"p": bad})).port)
        self.assertIsNone(decode_handshake(encode({"p": 65536})).port)
        self.assertEqual(decode_handshake(encode({"reqq": 1})).reqq, 1)
        self.assertEqual(
            decode_handshake(encode({"metadata_size": MAX_METADATA_SIZE})).metadata_size, MAX_METADATA_SIZE
        )
        self.assert_ignored(metadata_size=MAX_METADATA_SIZE + 1)

    def test_f39_version(self) -> None:
        """Of a program's name at most 64 printable characters are kept."""
        for sent, kept in (
            (b"v" * 200 * 1024, "v" * 64),
            (b"\x1b[31mred\x00\r\n", "[31mred"),
            ("µ\u202etxt.exe".encode(), "µtxt.exe"),
            (b"\xff\xfeclient", "client"),
            (("😀" * 65).encode(), "😀" * 64),
            (b"", None),
            (b"\x00\x01", None),
        ):
            self.assertEqual(decode_handshake(encode({"v": sent})).version, kept)
        self.assert_ignored(v=7)

    def test_f39_yourip(self) -> None:
        """An address of a wrong size counts as not sent."""
        for bad in (b"", b"abc", bytes(6), 1, [1]):
            self.assert_ignored(yourip=bad)

    def test_not_a_dictionary(self) -> None:
        """A payload that is no dictionary, broken or followed by something closes the connection."""
        for payload in (b"", b"i1e", b"le", b"4:spam", b"d1:m", b"dee", b"d" * 100_000, b"d1:pi1e1:pi2ee"):
            self.assertRaises(RemoteWireError, decode_handshake, payload)

    @given(st.dictionaries(known, values))
    @settings(max_examples=200)
    def test_f39_any_values(self, fields: dict[bytes, object]) -> None:
        """Whatever is in the fields, the handshake is read, and what it holds is in range."""
        read = decode_handshake(encode(fields))
        self.assertTrue(all(1 <= id <= 255 for id in read.ids.values()))
        self.assertTrue(read.version is None or (read.version.isprintable() and 1 <= len(read.version) <= 64))
        self.assertTrue(read.port is None or 1 <= read.port <= 65535)

    @given(st.binary(max_size=60))
    def test_garbage(self, payload: bytes) -> None:
        """Any bytes are a handshake or a RemoteWireError."""
        try:
            decode_handshake(payload)
        except RemoteWireError:
            pass
