"""One download of a torrent into a folder at a time, whatever the processes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from platformdirs import user_state_path

from p2pshare.errors import StorageError
from p2pshare.metainfo import Metainfo


@contextmanager
def claimed(content: Metainfo, folder: Path) -> Iterator[None]:
    """
    Keep other downloads of this torrent out of this folder as long as the block lasts.

    The lock is the kernel's and ends with the process, however that ends. It is a courtesy, since nothing that is on
    disk is ever overwritten: where the user's state folder cannot be used, it is left out.

    :raise StorageError: another process downloads it there, which is named.
    """
    where = sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:16]
    path = user_state_path("p2pshare") / "downloads" / f"{content.info_hash.hex()}-{where}.lock"
    descriptor = None
    try:
        descriptor = _lock(path)
    except BlockingIOError:
        raise StorageError(
            f"{content.name}: process {_owner(path)} is downloading it to {folder}; "
            "let it finish, or choose another folder"
        ) from None
    except OSError:
        pass
    try:
        yield
    finally:
        if descriptor is not None:
            path.unlink(missing_ok=True)
            os.close(descriptor)


def _lock(path: Path) -> int:
    """
    Make and lock a file with our process id in it.

    :raise BlockingIOError: somebody has it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, path):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, b"%d\n" % os.getpid())
                return descriptor
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its owner took the file away between our opening and locking it


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _owner(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip() or "unknown"
    except OSError:
        return "unknown"
