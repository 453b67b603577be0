"""The torrent files that commands are given."""

from __future__ import annotations

from p2pshare.errors import MetainfoError
from p2pshare.metainfo import FileEntry, Metainfo, load


def read_torrent(path: str) -> Metainfo:
    """
    Read a torrent file that the user named.

    :raise MetainfoError: it cannot be read or used; the message begins with its path.
    """
    try:
        return load(path)
    except MetainfoError as error:
        start = f"{path}: "
        message = str(error)
        raise MetainfoError(message if message.startswith(start) else start + message) from error


def shown_files(metainfo: Metainfo) -> list[tuple[str, FileEntry]]:
    """List the files that will be on disk, each with its path below the folder the content is saved in."""
    return [(file_path(metainfo, entry), entry) for entry in metainfo.files if not entry.pad]


def file_path(metainfo: Metainfo, entry: FileEntry) -> str:
    """Name a file as it will lie below the folder the content is saved in."""
    return str(entry) if metainfo.is_single else f"{metainfo.name}/{entry}"


def content_length(metainfo: Metainfo) -> int:
    """Count the bytes on disk: without padding (BEP 47)."""
    return sum(entry.length for entry in metainfo.files if not entry.pad)
