"""Small files of our own, such as an id or a torrent that was added: whole, or as they were before."""

from __future__ import annotations

import os
from pathlib import Path

from p2pshare.errors import StorageError


def write_whole(path: Path, data: bytes) -> None:
    """
    Put data into a file, for nobody else to read; its folder is made. Blocks until it is safe.

    :raise StorageError: it cannot be written; then it is as it was before.
    """
    aside = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error
