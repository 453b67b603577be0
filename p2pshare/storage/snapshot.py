"""The snapshot: what is safe on disk of one torrent, in one file that is old or new and never in between."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from struct import Struct
from zlib import crc32

from attrs import field, frozen

from p2pshare import bencoding
from p2pshare.bitfield import Bitfield
from p2pshare.errors import BencodeError
from p2pshare.storage.signatures import Signature

_MAGIC = b"p2presum"
VERSION = 1
# magic, version, info_hash, generation, bytes that follow; then the CRC of all this and of what follows
_HEADER = Struct(">8sH20sQQ")
_CRC = Struct(">I")
_FILE = Struct(">IQqQ")  # index, size, time, inode
_LARGEST = 1 << 27  # bytes: a million files and as many pieces take 29 million

_HAVE, _FILES, _COUNTERS, _MOUNT, _IN_ORDER = b"have", b"files", b"counters", b"mount", b"in order"
_TARGET, _COMPLETE = b"target", b"complete"  # may be missing: they came later


@frozen
class Snapshot:
    """Pieces that are safe from power cuts, and how the files looked that hold them."""

    generation: int  # counts up with every snapshot; the journal of the same number goes on from here
    have: Bitfield
    signatures: Mapping[int, Signature]  # by file
    mount: str = ""  # where the disk is mounted that the content is on; empty: it is the one we run from
    in_order: bool = False  # written at the end of a run, which left nothing undone
    counters: Mapping[str, int] = field(factory=dict)
    target: str = ""  # the path of the content; empty: not known
    complete: bool = False  # nothing was missing

    def encode(self, info_hash: bytes) -> bytes:
        """Spell it for the file of one torrent."""
        files = b"".join(_FILE.pack(i, s.size, s.mtime, s.inode) for i, s in sorted(self.signatures.items()))
        payload = bencoding.encode(
            {
                _HAVE: self.have.to_bytes(),
                _FILES: files,
                _COUNTERS: dict(self.counters),
                _MOUNT: self.mount.encode("utf-8", "surrogateescape"),
                _IN_ORDER: int(self.in_order),
                _TARGET: self.target.encode("utf-8", "surrogateescape"),
                _COMPLETE: int(self.complete),
            }
        )
        header = _HEADER.pack(_MAGIC, VERSION, info_hash, self.generation, len(payload))
        return header + _CRC.pack(crc32(payload, crc32(header))) + payload


@frozen
class Whereabouts:
    """What a snapshot says of a content to somebody who does not know the torrent."""

    target: str  # its path; empty: not known
    mount: str  # where the disk is mounted that it is on
    complete: bool


def decode_snapshot(data: bytes, info_hash: bytes, num_pieces: int, num_files: int) -> Snapshot | None:
    """
    Read a snapshot of one torrent.

    :return: None for anything else, and for one that is damaged or of another version.
    """
    checked = _checked(data, info_hash)
    if checked is None:
        return None
    generation, fields = checked
    try:
        return _read(fields, generation, num_pieces, num_files)
    except ValueError:  # right by its CRC and nonsense all the same: somebody wrote it
        return None


def read_whereabouts(data: bytes, info_hash: bytes) -> Whereabouts | None:
    """
    Read of a snapshot what can be understood without the torrent.

    :return: None for anything else, and for one that is damaged or of another version.
    """
    checked = _checked(data, info_hash)
    if checked is None:
        return None
    _, fields = checked
    target, mount = fields.get(_TARGET, b""), fields.get(_MOUNT)
    if not (isinstance(target, bytes) and isinstance(mount, bytes)):
        return None
    return Whereabouts(_text(target), _text(mount), fields.get(_COMPLETE) == 1)


def _checked(data: bytes, info_hash: bytes) -> tuple[int, Mapping[bytes, object]] | None:
    """Give the generation and the fields of a snapshot that is as it was written."""
    start = _HEADER.size + _CRC.size
    if not start <= len(data) <= _LARGEST:
        return None
    magic, version, whose, generation, length = _HEADER.unpack_from(data)
    (crc,) = _CRC.unpack_from(data, _HEADER.size)
    payload = data[start:]
    if (magic, version, whose, length) != (_MAGIC, VERSION, info_hash, len(payload)):
        return None
    if crc != crc32(payload, crc32(data[: _HEADER.size])):
        return None
    try:
        fields = bencoding.decode(payload, max_size=_LARGEST)
    except BencodeError:
        return None
    return (generation, fields) if isinstance(fields, dict) else None


def _read(fields: Mapping[bytes, object], generation: int, num_pieces: int, num_files: int) -> Snapshot | None:
    have, files, counters = fields.get(_HAVE), fields.get(_FILES), fields.get(_COUNTERS)
    mount, in_order, target = fields.get(_MOUNT), fields.get(_IN_ORDER), fields.get(_TARGET, b"")
    if not (isinstance(have, bytes) and isinstance(files, bytes)):
        return None
    if not (isinstance(mount, bytes) and isinstance(target, bytes)):
        return None
    if not isinstance(counters, dict) or len(files) % _FILE.size:
        return None
    signatures = dict(_signatures(files))
    if any(file >= num_files for file in signatures):
        return None
    return Snapshot(
        generation,
        Bitfield.from_bytes(have, num_pieces),
        signatures,
        _text(mount),
        in_order == 1,
        {key.decode("utf-8", "replace"): value for key, value in counters.items() if isinstance(value, int)},
        _text(target),
        fields.get(_COMPLETE) == 1,
    )


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _signatures(files: bytes) -> Iterable[tuple[int, Signature]]:
    for index, size, mtime, inode in _FILE.iter_unpack(files):
        yield index, Signature(size, mtime, inode)
