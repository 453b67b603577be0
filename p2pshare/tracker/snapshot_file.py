"""The files that a tracker's snapshots are in: whatever happens at any moment, there is a whole one, old or new."""

from __future__ import annotations

import os
import struct
import tempfile
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from p2pshare.errors import StorageError
from p2pshare.tracker.snapshot import VERSION

_MAGIC = b"P2PSwarm"
_HEADER = struct.Struct("<8sHQI")  # magic, version, length and CRC-32 of what follows
_TEMPORARY = ".tmp"


def write_snapshot(path: Path, chunks: Iterable[bytes]) -> None:
    """
    Put a new snapshot in the place of the old one, which becomes the backup; blocks, so not for the reactor's thread.

    The new one is complete on the disk under another name before it takes the old one's place, readable by its owner
    only: it says who shares what.

    :raise OSError: it could not be written; the old one is still there, if only as the backup.
    """
    descriptor, temporary = tempfile.mkstemp(_TEMPORARY, f"{path.name}.", path.parent)  # mode 0600
    try:
        with open(descriptor, "wb") as file:
            file.write(bytes(_HEADER.size))
            length = checksum = 0
            for chunk in chunks:
                file.write(chunk)
                length += len(chunk)
                checksum = zlib.crc32(chunk, checksum)
            file.seek(0)
            file.write(_HEADER.pack(_MAGIC, VERSION, length, checksum))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):  # the first one, or the backup was all there was
            os.replace(path, backup_of(path))
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    _sync_folder(path.parent)


def backup_of(path: Path) -> Path:
    """Name the file that keeps the snapshot before this one."""
    return path.with_name(f"{path.name}.bak")


def clear_away(path: Path) -> None:
    """Remove what a killed writer may have left behind."""
    for leftover in path.parent.glob(f"{path.name}.*{_TEMPORARY}"):
        leftover.unlink()


def read_snapshot(path: Path) -> bytes | None:
    """
    Read a snapshot's body.

    :return: None when there is no snapshot.
    :raise StorageError: there is one, but it is damaged or was written by another version.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error
    if len(content) < _HEADER.size:
        raise StorageError(f"{path}: {len(content)} bytes are no snapshot")
    magic, version, length, checksum = _HEADER.unpack_from(content)
    if magic != _MAGIC:
        raise StorageError(f"{path}: begins with {magic!r}, not {_MAGIC!r}")
    if version != VERSION:
        raise StorageError(f"{path}: has version {version}, this program reads version {VERSION}")
    body = content[_HEADER.size :]
    if len(body) != length or zlib.crc32(body) != checksum:
        raise StorageError(f"{path}: is damaged: {len(body)} bytes of {length}, or their checksum is wrong")
    return body


def set_aside(path: Path) -> Path:
    """Move a snapshot that cannot be used out of the way, for somebody to look at; give its new name."""
    aside = path.with_name(f"{path.name}.broken")
    os.replace(path, aside)
    return aside


def _sync_folder(folder: Path) -> None:
    """Make a rename last: it is an entry of the folder, which is synced on its own."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
