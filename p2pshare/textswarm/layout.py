"""Where a text swarm's pieces lie, and under which key its peers look for them."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from hashlib import sha1
from pathlib import Path

from p2pshare import bencoding
from p2pshare.errors import ConfigError, StorageError
from p2pshare.metainfo import PIECES_LIMIT
from p2pshare.paths import safe_component
from p2pshare.storage.refusals import storage_error
from p2pshare.wire.textline import PIECE_SIZE


class Key(Enum):
    """What the torrent_hash of a file is made from."""

    CONTENT = "content"  # the info hash that BEP 3 gives a torrent of it with these pieces
    NAME = "name"  # the name alone, as the first implementation of this protocol has it


def seed_folder(folder: Path, torrent_hash: str) -> Path:
    """Name the folder with the pieces of a file that was shared here."""
    return folder / "seed" / torrent_hash


def downloads_folder(folder: Path, port: int) -> Path:
    """Name the folder with everything that the peer on this port fetches."""
    return folder / f"downloads{port}"


def piece_file(folder: Path, piece: int) -> Path:
    """Name the file of one piece."""
    return folder / f"piece_{piece}"


def check_output(name: str) -> str:
    """
    Make sure that a name can be that of a file in the downloads.

    :raise ConfigError: it cannot.
    """
    if safe_component(name.encode("utf-8", "surrogateescape")) != name:
        raise ConfigError(f"{name!r}, expected the name of a file, without folders, that is safe on every disk")
    return name


def check_key(torrent_hash: str) -> str:
    """
    Make sure that a torrent_hash is one.

    :raise ConfigError: it is none.
    """
    if len(torrent_hash) != 40 or not set(torrent_hash) <= set("0123456789abcdefABCDEF"):
        raise ConfigError(f"hash {torrent_hash!r}, expected 40 hexadecimal digits")
    return torrent_hash.lower()


def key_of(file: Path, key: Key) -> tuple[str, int]:
    """
    Find the torrent_hash of a file, and its size. Reads all of it.

    :raise StorageError: it cannot be read, is empty, or has more pieces than a swarm may have.
    """
    digests, size = bytearray(), 0
    for run in pieces_of(file):
        digests += sha1(run).digest()
        size += len(run)
    if not size:
        raise StorageError(f"{file}: is empty, expected something to share")
    if key is Key.NAME:
        return sha1(file.name.encode()).hexdigest(), size
    info = {"length": size, "name": file.name, "piece length": PIECE_SIZE, "pieces": bytes(digests)}
    return sha1(bencoding.encode(info)).hexdigest(), size


def split(file: Path, folder: Path) -> None:
    """
    Lay the pieces of a file into a folder.

    :raise StorageError: something cannot be read or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for piece, run in enumerate(pieces_of(file)):
            piece_file(folder, piece).write_bytes(run)
    except OSError as error:
        raise storage_error(error, str(folder)) from error


def pieces_of(file: Path) -> Iterator[bytes]:
    """
    Read a file piece by piece.

    :raise StorageError: it cannot be read, or has more pieces than a swarm may have.
    """
    try:
        with file.open("rb") as source:
            count = 0
            while run := source.read(PIECE_SIZE):
                count += 1
                if count > PIECES_LIMIT:
                    raise StorageError(f"{file}: more than {PIECES_LIMIT} pieces of {PIECE_SIZE} bytes")
                yield run
    except OSError as error:
        raise StorageError(f"{file}: {error.strerror}") from error
