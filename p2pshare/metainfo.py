"""What a torrent file says, read once and checked at the door (BEP 3, "metainfo files")."""

from __future__ import annotations

import hashlib
from functools import cached_property
from os import PathLike

from attrs import field, frozen

from p2pshare import bencoding, metainfo_fields
from p2pshare.bencoding import Value
from p2pshare.errors import BencodeError, MetainfoError
from p2pshare.geometry import Geometry
from p2pshare.metainfo_fields import Fields, described, integer
from p2pshare.metainfo_links import tracker_tiers, web_seeds
from p2pshare.paths import distinct_paths, safe_component, safe_path

HASH_SIZE = 20  # SHA-1
SIZE_LIMIT = 10 * 1024 * 1024  # bytes of a torrent file; as libtorrent
PIECE_LENGTHS = (1024, 64 * 1024 * 1024)  # least and most we read; any number between
PIECES_LIMIT = 2**21  # as libtorrent
FILES_LIMIT = 100_000
TOTAL_LIMIT = 2**63 - 1  # bytes: offsets of files are signed 64-bit numbers everywhere

_SMALLEST_CREATED, _LARGEST_CREATED = 16 * 1024, 16 * 1024 * 1024
_YEAR_10000 = 253_402_300_800  # seconds: later dates cannot be shown


@frozen
class FileEntry:
    """One file of a torrent. Its ``path`` is safe to create below the content's root."""

    path: tuple[str, ...]  # single file: its name; several: without the torrent's name
    length: int
    pad: bool = False  # BEP 47: zeros that fill a piece, on the wire but never on disk
    raw_path: tuple[bytes, ...] = ()  # as the torrent spells it, which may be unsafe

    def __str__(self) -> str:
        return "/".join(self.path)


@frozen(kw_only=True)
class Metainfo:
    """One torrent: what its content is and where to ask for peers. Knows no disk."""

    info_hash: bytes
    name: str  # safe: the file, or the folder around the files
    raw_name: bytes = b""  # as the torrent spells it
    piece_length: int
    pieces: bytes = field(repr=False)  # the SHA-1 digests of all pieces, end to end
    files: tuple[FileEntry, ...] = field(repr=False)
    is_single: bool
    private: bool = False
    announce_tiers: tuple[tuple[str, ...], ...] = ()
    comment: str | None = None
    created_by: str | None = None
    creation_date: int | None = None  # seconds since 1970
    web_seeds: tuple[str, ...] = ()
    raw_info: bytes = field(repr=False)  # the bytes info_hash is the SHA-1 of; never encoded anew

    @cached_property
    def geometry(self) -> Geometry:
        """How pieces lie over the files."""
        pads = frozenset(index for index, entry in enumerate(self.files) if entry.pad)
        return Geometry(self.piece_length, tuple(entry.length for entry in self.files), pads)

    @property
    def total_length(self) -> int:
        """Bytes of all files, padding included."""
        return self.geometry.total_length

    @property
    def num_pieces(self) -> int:
        """How many pieces the content has; 0 when all files are empty."""
        return len(self.pieces) // HASH_SIZE

    def piece_hash(self, piece: int) -> bytes:
        """Name the SHA-1 digest that piece must have."""
        return self.pieces[piece * HASH_SIZE : (piece + 1) * HASH_SIZE]


def load(path: str | PathLike[str]) -> Metainfo:
    """
    Read a torrent file.

    :raise MetainfoError: it cannot be opened, is over 10 MiB (then nothing is parsed) or is no usable torrent.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(SIZE_LIMIT + 1)  # not its size: that is 0 for a pipe, and may grow
    except OSError as error:
        raise MetainfoError(f"{path}: {error.strerror}") from error
    return parse(data)


def parse(data: bytes) -> Metainfo:
    """
    Read the bytes of a torrent file.

    :raise MetainfoError: they are not canonical bencoding, or a field that matters is missing or wrong.
    """
    if len(data) > SIZE_LIMIT:
        raise MetainfoError(f"torrent file: over {SIZE_LIMIT} bytes, not at most that")
    try:
        fields, span = bencoding.decode_with_span(data, b"info", max_size=SIZE_LIMIT)
    except BencodeError as error:
        raise MetainfoError(f"torrent file: not bencoded as one should be: {error}") from error
    info = fields.get(b"info")
    if span is None or not isinstance(info, dict):
        raise MetainfoError(f"info: {described(info)}, not a dictionary")
    raw_info = bytes(data[span[0] : span[1]])
    raw_name = metainfo_fields.name(info, "info.name")
    files = _files(info, raw_name)
    piece_length = integer(info, b"piece length", "info.piece length", *PIECE_LENGTHS)
    return Metainfo(
        info_hash=hashlib.sha1(raw_info).digest(),
        name=safe_component(raw_name),
        raw_name=raw_name,
        piece_length=piece_length,
        pieces=_pieces(info, sum(entry.length for entry in files), piece_length),
        files=files,
        is_single=b"files" not in info,
        private=info.get(b"private", 0) == 1,
        announce_tiers=tracker_tiers(fields),
        comment=metainfo_fields.optional_text(fields, b"comment"),
        created_by=metainfo_fields.optional_text(fields, b"created by"),
        creation_date=metainfo_fields.optional_integer(fields, b"creation date", 0, _YEAR_10000 - 1),
        web_seeds=web_seeds(fields),
        raw_info=raw_info,
    )


def dump(metainfo: Metainfo) -> bytes:
    """Write the bytes of a torrent file; ``raw_info`` goes in as it is, so the info_hash stays."""
    return compose(
        metainfo.raw_info,
        announce_tiers=metainfo.announce_tiers,
        comment=metainfo.comment,
        created_by=metainfo.created_by,
        creation_date=metainfo.creation_date,
        web_seeds=metainfo.web_seeds,
    )


def compose(
    raw_info: bytes,
    *,
    announce_tiers: tuple[tuple[str, ...], ...] = (),
    comment: str | None = None,
    created_by: str | None = None,
    creation_date: int | None = None,
    web_seeds: tuple[str, ...] = (),
) -> bytes:
    """Put the bytes of a torrent file together around an encoded info dictionary; None and () are left out."""
    urls = [url for tier in announce_tiers for url in tier]
    fields: dict[str, object] = {
        "announce": urls[0] if urls else None,  # also beside announce-list: programs without BEP 12 read this one
        "announce-list": announce_tiers if len(urls) > 1 else None,
        "comment": comment,
        "created by": created_by,
        "creation date": creation_date,
        "info": bencoding.Raw(raw_info),
        "url-list": web_seeds or None,
    }
    return bencoding.encode({key: value for key, value in fields.items() if value is not None})


def choose_piece_length(total: int) -> int:
    """Choose a power of two that cuts ``total`` bytes into 1,024–2,047 pieces, within 16 KiB and 16 MiB."""
    length = _SMALLEST_CREATED
    while length < _LARGEST_CREATED and -(-total // length) >= 2048:
        length *= 2
    return length


def _files(info: dict[bytes, Value], raw_name: bytes) -> tuple[FileEntry, ...]:
    listed = info.get(b"files")
    if listed is None:
        if b"length" not in info and b"meta version" in info:
            raise MetainfoError("info: a version 2 torrent only, not one with the version 1 fields as well")
        length = integer(info, b"length", "info.length", 0, TOTAL_LIMIT)
        return (FileEntry((safe_component(raw_name),), length, raw_path=(raw_name,)),)
    if not isinstance(listed, list) or not 1 <= len(listed) <= FILES_LIMIT:
        raise MetainfoError(f"info.files: {described(listed)}, not a list of 1 to {FILES_LIMIT} files")
    entries = [entry for index, fields in enumerate(listed) if (entry := _file(fields, f"info.files[{index}]"))]
    if not entries:
        raise MetainfoError(f"info.files: {len(listed)} symbolic links, not at least one file")
    total = sum(entry.length for entry in entries)
    if total > TOTAL_LIMIT:
        raise MetainfoError(f"info.files: {total} bytes together, not at most {TOTAL_LIMIT}")
    # Padding never reaches the disk, so its names (all alike in some programs) are nobody's twins.
    paths = iter(distinct_paths(entry.path for entry in entries if not entry.pad))
    return tuple(
        entry if entry.pad else FileEntry(next(paths), entry.length, raw_path=entry.raw_path) for entry in entries
    )


def _file(fields: Value, where: str) -> FileEntry | None:
    """Read one element of ``files``; None for a symbolic link (BEP 47), which we never create."""
    if not isinstance(fields, dict):
        raise MetainfoError(f"{where}: {described(fields)}, not a dictionary")
    attributes = fields.get(b"attr", b"")
    attributes = attributes if isinstance(attributes, bytes) else b""
    if b"l" in attributes:
        if fields.get(b"length", 0) != 0:  # its bytes would shift every later file against other clients
            raise MetainfoError(f"{where}.length: {described(fields[b'length'])}, not 0 as for a symbolic link")
        return None
    length = integer(fields, b"length", f"{where}.length", 0, TOTAL_LIMIT)
    raw_path = metainfo_fields.path(fields, f"{where}.path")
    try:
        return FileEntry(safe_path(raw_path), length, b"p" in attributes, raw_path)
    except MetainfoError as error:
        raise MetainfoError(f"{where}.{error}") from error


def _pieces(info: Fields, total: int, piece_length: int) -> bytes:
    num_pieces = -(-total // piece_length)
    if num_pieces > PIECES_LIMIT:
        raise MetainfoError(f"info.piece length: {piece_length} makes {num_pieces} pieces, not at most {PIECES_LIMIT}")
    pieces = metainfo_fields.string(info, b"pieces", "info.pieces")
    if len(pieces) != num_pieces * HASH_SIZE:
        raise MetainfoError(
            f"info.pieces: {len(pieces)} bytes, not {num_pieces * HASH_SIZE} for {total} bytes in {num_pieces} pieces"
        )
    return pieces
