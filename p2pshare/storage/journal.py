"""The journal: an append-only file of what was written to a torrent's files since the last snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from struct import Struct
from zlib import crc32

from attrs import define, field, frozen

from p2pshare.storage.disk import Disk
from p2pshare.storage.exact import read_exactly, write_exactly

# magic, version, generation, info_hash, time it was begun; then the CRC and zeros up to two records' length
_HEADER = Struct(">8sHQ20sq")
_CRC = Struct(">I")
_MAGIC = b"p2pjourn"
_VERSION = 1
HEADER_SIZE = 64

# kind, piece or file, two numbers, sequence number, CRC. The CRC is zlib's: crc32c is in no standard library, and
# against torn and stale sectors, which is all it has to stand, the one polynomial is as good as the other.
_RECORD = Struct(">B3xIQqI")
RECORD_SIZE = _RECORD.size + _CRC.size
_LARGEST = 1 << 28  # bytes of journal that are read: 8 million records


class Kind(IntEnum):
    """What a record says."""

    PIECE = 1  # the piece ``number`` was written, its hash was right; ``second``: when
    LOST = 2  # the piece ``number`` turned out wrong
    FILE = 3  # the file ``number`` has this inode (first) and this time (second)
    DURABLE = 4  # of what the journal tells, the first ``first`` records are safe from power cuts; ``second``: when


@frozen
class Record:
    """One line of a journal."""

    kind: Kind
    number: int = 0
    first: int = 0
    second: int = 0


@frozen
class Journaled:
    """What a journal that was found says, as far as it can be read."""

    generation: int
    begun: int  # nanoseconds
    records: tuple[Record, ...]  # each numbered by its place here

    @property
    def ended(self) -> int:
        """When the last record with a time was written."""
        return max((r.second for r in self.records if r.kind in (Kind.PIECE, Kind.DURABLE)), default=self.begun)


@define(eq=False)
class Journal:
    """
    One journal being written. Knows no torrent; callers see to it that one thread at a time appends.

    A record that could not be written whole is written over by the next, so that what is read never ends early.
    """

    _disk: Disk
    _fd: int
    generation: int
    _next: int = field(init=False, default=0)

    @classmethod
    def begin(cls, disk: Disk, fd: int, generation: int, info_hash: bytes) -> Journal:
        """
        Write the header of a new journal into an empty file, which then belongs to the journal.

        :raise OSError: the disk refuses; the file is closed.
        """
        header = _HEADER.pack(_MAGIC, _VERSION, generation, info_hash, disk.now())
        header += _CRC.pack(crc32(header))
        try:
            write_exactly(fd, memoryview(header.ljust(HEADER_SIZE, b"\0")), 0, pwrite=disk.pwrite)
        except OSError:
            disk.close(fd)
            raise
        return cls(disk, fd, generation)

    @property
    def length(self) -> int:
        """How many records it has."""
        return self._next

    def append(self, records: Sequence[Record]) -> None:
        """
        Add records, in one write.

        :raise OSError: the disk refuses; then none of them counts.
        """
        lines = b"".join(
            _encode(record, sequence, self.generation) for sequence, record in enumerate(records, self._next)
        )
        offset = HEADER_SIZE + self._next * RECORD_SIZE
        write_exactly(self._fd, memoryview(lines), offset, pwrite=self._disk.pwrite)
        self._next += len(records)

    def sync(self) -> None:
        """
        Make all records safe from power cuts.

        :raise OSError: nothing is known of any of them.
        """
        self._disk.fdatasync(self._fd)

    def close(self) -> None:
        """Let go of the file."""
        self._disk.close(self._fd)


def read_journal(disk: Disk, fd: int, info_hash: bytes) -> Journaled | None:
    """
    Read a journal up to the first record that is not as it was written.

    :return: None when it is no journal of this torrent.
    :raise OSError: the disk refuses.
    """
    size = min(disk.fstat(fd).st_size, _LARGEST)
    if size < HEADER_SIZE:
        return None
    content = bytearray(size)
    read_exactly(fd, memoryview(content), 0, preadv=disk.preadv)
    magic, version, generation, whose, begun = _HEADER.unpack_from(content)
    (crc,) = _CRC.unpack_from(content, _HEADER.size)
    if magic != _MAGIC or version != _VERSION or whose != info_hash or crc != crc32(content[: _HEADER.size]):
        return None
    return Journaled(generation, begun, tuple(_decode(memoryview(content)[HEADER_SIZE:], generation)))


def _encode(record: Record, sequence: int, generation: int) -> bytes:
    body = _RECORD.pack(record.kind, record.number, record.first, record.second, sequence)
    return body + _CRC.pack(crc32(body, generation & 0xFFFFFFFF))


def _decode(content: memoryview, generation: int) -> Iterable[Record]:
    for sequence, offset in enumerate(range(0, len(content) - RECORD_SIZE + 1, RECORD_SIZE)):
        body = content[offset : offset + _RECORD.size]
        (crc,) = _CRC.unpack_from(content, offset + _RECORD.size)
        kind, number, first, second, numbered = _RECORD.unpack(body)
        # Begun with the generation, so that a sector left from an older journal is nobody's.
        if crc != crc32(body, generation & 0xFFFFFFFF) or numbered != sequence or kind not in Kind.__members__.values():
            return
        yield Record(Kind(kind), number, first, second)
