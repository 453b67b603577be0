"""Tests for the snapshot file's format."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.bitfield import Bitfield
from p2pshare.storage.signatures import Signature
from p2pshare.storage.snapshot import Snapshot, Whereabouts, decode_snapshot, read_whereabouts

INFO_HASH = b"h" * 20
SNAPSHOT = Snapshot(
    5,
    Bitfield.from_bytes(b"\xa0\x80", 9),
    {0: Signature(2**40, -5, 2**64 - 1), 2: Signature(0, 10**18, 1)},
    "/mnt/di\udcffsk",
    True,
    {"uploaded": 123},
    "/mnt/di\udcffsk/thing",
    True,
)
ENCODED = SNAPSHOT.encode(INFO_HASH)


class SnapshotTests(SynchronousTestCase):
    """What is written is read, or nothing is."""

    def read(self, data: bytes, info_hash: bytes = INFO_HASH, pieces: int = 9, files: int = 3) -> Snapshot | None:
        """Read bytes as a snapshot."""
        return decode_snapshot(data, info_hash, pieces, files)

    def test_round_trip(self) -> None:
        """Everything comes back, odd names of mounts too."""
        found = self.read(ENCODED)
        assert found is not None
        self.assertEqual(found.have.to_bytes(), SNAPSHOT.have.to_bytes())
        for name in ("generation", "signatures", "mount", "in_order", "counters", "target", "complete"):
            self.assertEqual(getattr(found, name), getattr(SNAPSHOT, name))

    def test_whereabouts(self) -> None:
        """Where the content lies can be read without the torrent, though an older snapshot does not say."""
        self.assertEqual(
            read_whereabouts(ENCODED, INFO_HASH), Whereabouts("/mnt/di\udcffsk/thing", "/mnt/di\udcffsk", True)
        )
        older = Snapshot(1, Bitfield(9), {}).encode(INFO_HASH)
        self.assertEqual(read_whereabouts(older, INFO_HASH), Whereabouts("", "", False))
        self.assertIsNone(read_whereabouts(ENCODED, b"o" * 20))
        self.assertIsNone(read_whereabouts(ENCODED[:-1], INFO_HASH))

    def test_f103_of_another_torrent(self) -> None:
        """Another info_hash, number of pieces or number of files makes it none of ours."""
        self.assertIsNone(self.read(ENCODED, b"o" * 20))
        self.assertIsNone(self.read(ENCODED, pieces=90))
        self.assertIsNone(self.read(ENCODED, files=2))

    def test_f103_of_another_version(self) -> None:
        """A version that is not known is not guessed at, though its CRC may be right."""
        self.assertIsNone(self.read(ENCODED[:8] + b"\0\2" + ENCODED[10:]))

    @given(st.integers(min_value=0, max_value=len(ENCODED) * 8 - 1))
    def test_f103_any_bit_flipped(self, bit: int) -> None:
        """No flipped bit goes unnoticed."""
        data = bytearray(ENCODED)
        data[bit // 8] ^= 1 << bit % 8
        self.assertIsNone(self.read(bytes(data)))

    @given(st.integers(min_value=0, max_value=len(ENCODED) - 1), st.binary(max_size=5))
    def test_f103_cut_or_continued(self, length: int, more: bytes) -> None:
        """A file that is too short or too long is not read."""
        self.assertIsNone(self.read(ENCODED[:length]))
        self.assertEqual(self.read(ENCODED + more) is None, bool(more))

    @given(st.binary(max_size=200))
    def test_f103_anything_else(self, data: bytes) -> None:
        """Bytes that are no snapshot are not read, and hurt nobody."""
        self.assertIsNone(self.read(data))
