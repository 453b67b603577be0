"""The bytes of a shared file, as long as they are those that were hashed."""

from __future__ import annotations

import os
from collections.abc import Callable
from io import FileIO
from pathlib import Path

from p2pshare.errors import StorageError
from p2pshare.faces.node_offer import Shared, Stamp
from p2pshare.web.open_file import OpenFile, Run
from p2pshare.web.ranges import Version

OpenBelow = Callable[[Path, str], int]  # (folder, name): a descriptor; follows no symbolic link below the folder


async def open_shared(open_below: OpenBelow, folder: Path, shared: Shared, run: Run) -> OpenFile:
    """
    Open a shared file. Its tag is its SHA-256: a download can go on at another owner of the same content.

    A file that was written to since it was hashed cannot be opened, and one that is being written to ends in the
    middle: whoever reads it gets the content that was listed, or less.

    :raise StorageError: it is gone, or is not any more what was hashed.
    """
    stamp = shared.digest.stamp
    file = await run(open_unchanged, open_below, folder, shared.name, stamp)

    def check(fd: int) -> None:
        if not is_unchanged(os.fstat(fd), stamp):
            raise StorageError("a shared file changed while it was sent")

    return OpenFile(Version(stamp.size, f'"{shared.digest.sha256}"', stamp.modified / 1e9), file, run, check)


def open_unchanged(open_below: OpenBelow, folder: Path, name: str, stamp: Stamp) -> FileIO:
    """
    Open a file, unless it is another one by now. Blocks.

    The result closes itself when nobody wants it any more, as after a client that went away meanwhile.

    :raise StorageError: it is gone, or has been written to.
    """
    try:
        file = FileIO(open_below(folder, name), "rb")
    except OSError as error:
        raise StorageError(f"{name}: {error.strerror or error}") from error
    if not is_unchanged(os.fstat(file.fileno()), stamp):
        file.close()
        raise StorageError(f"{name}: changed since it was hashed")
    return file


def remove_unchanged(open_below: OpenBelow, folder: Path, name: str, stamp: Stamp) -> None:
    """
    Delete a shared file from disk. Blocks.

    :raise StorageError: it is not the file that was shared, or cannot be deleted.
    """
    path = folder / name
    with open_unchanged(open_below, folder, name, stamp) as file:
        try:
            # A folder that became a symbolic link since would lead elsewhere, but then hardly to this inode.
            if not os.path.samestat(os.fstat(file.fileno()), os.stat(path, follow_symlinks=False)):
                raise StorageError(f"{name}: is another file by now")
            os.unlink(path)
        except OSError as error:
            raise StorageError(f"{name}: cannot be deleted: {error.strerror}") from error


def is_unchanged(status: os.stat_result, stamp: Stamp) -> bool:
    """Whether a file is still as it was when it was hashed."""
    now = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    return now == (stamp.size, stamp.modified, stamp.changed, stamp.inode)
