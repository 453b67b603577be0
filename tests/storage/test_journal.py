"""Tests for the journal's records and for what is read of a damaged one."""

from __future__ import annotations

import os
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from p2pshare.storage.disk import OS_DISK
from p2pshare.storage.journal import HEADER_SIZE, RECORD_SIZE, Journal, Journaled, Kind, Record, read_journal
from tests.storage.disk import DiskTestCase

INFO_HASH = b"h" * 20
RECORDS = [
    Record(Kind.PIECE, 7, 0, 10**18),
    Record(Kind.FILE, 1, 2**64 - 1, -1),
    Record(Kind.DURABLE, 0, 1, 10**18 + 5),
    Record(Kind.LOST, 2**32 - 1),
]


class JournalTests(DiskTestCase):
    """What is written is read, as far as it is whole."""

    def setUp(self) -> None:
        super().setUp()
        self.path = self.folder / "journal"
        self.written()

    def written(self) -> bytes:
        """Write a journal and return its bytes."""
        journal = Journal.begin(OS_DISK, os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC), 3, INFO_HASH)
        journal.append(RECORDS[:1])
        journal.append(RECORDS[1:])
        journal.sync()
        journal.close()
        return self.path.read_bytes()

    def read(self, content: bytes, info_hash: bytes = INFO_HASH) -> Journaled | None:
        """Read a journal of these bytes."""
        self.path.write_bytes(content)
        fd = os.open(self.path, os.O_RDONLY)
        try:
            return read_journal(OS_DISK, fd, info_hash)
        finally:
            os.close(fd)

    def test_round_trip(self) -> None:
        """Every record comes back; each takes 32 bytes."""
        content = self.path.read_bytes()
        self.assertEqual((RECORD_SIZE, len(content)), (32, HEADER_SIZE + 4 * 32))
        found = self.read(content)
        assert found is not None
        self.assertEqual((found.generation, list(found.records)), (3, RECORDS))
        self.assertEqual(found.ended, 10**18 + 5)

    def test_f103_cut_at_every_byte(self) -> None:
        """A journal that was cut says what its whole records say."""
        content = self.path.read_bytes()
        for length in range(len(content)):
            found = self.read(content[:length])
            if length < HEADER_SIZE:
                self.assertIsNone(found)
            else:
                assert found is not None
                self.assertEqual(list(found.records), RECORDS[: (length - HEADER_SIZE) // RECORD_SIZE])

    @given(st.integers(min_value=0, max_value=(HEADER_SIZE + 4 * RECORD_SIZE) * 8 - 1))
    def test_f103_any_bit_flipped(self, bit: int) -> None:
        """A flipped bit ends the journal before its record, or ends it altogether."""
        content = bytearray(self.written())
        content[bit // 8] ^= 1 << bit % 8
        found = self.read(bytes(content))
        if found is not None:
            damaged = max(0, (bit // 8 - HEADER_SIZE) // RECORD_SIZE) if bit // 8 >= HEADER_SIZE else len(RECORDS)
            self.assertEqual(list(found.records), RECORDS[:damaged])

    def test_f103_of_another_torrent_or_nothing_at_all(self) -> None:
        """A journal of another torrent, and bytes that are none, are not read."""
        self.assertIsNone(self.read(self.path.read_bytes(), b"o" * 20))
        self.assertIsNone(self.read(Random(0).randbytes(500)))

    def test_record_of_another_journal(self) -> None:
        """A record that belongs elsewhere, as a sector left from before would, ends the journal."""
        content = self.path.read_bytes()
        journal = Journal.begin(OS_DISK, os.open(self.path, os.O_RDWR | os.O_TRUNC), 4, INFO_HASH)
        journal.append(RECORDS)
        journal.close()
        other = self.path.read_bytes()
        at = HEADER_SIZE + RECORD_SIZE
        for tail in (other[at:], content[at + RECORD_SIZE :]):
            found = self.read(content[:at] + tail)
            assert found is not None
            self.assertEqual(list(found.records), RECORDS[:1])
