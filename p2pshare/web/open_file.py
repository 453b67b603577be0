"""A file that is open for whoever downloads it, read in threads."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from threading import Lock, local
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred

from p2pshare.errors import StorageError
from p2pshare.web.outlet import Outlet
from p2pshare.web.ranges import Version

STEP = 512 * 1024  # bytes that a thread reads and sends in one go
MOST = 16 * STEP  # bytes that one job sends: then others have their turn

Run = Callable[..., "Deferred[Any]"]  # (function, *args): calls it in a thread


class _Scratch(local):
    """Where a thread reads to: the same memory each time, which stays in the processor's cache."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(STEP))


_scratch = _Scratch()


@define(eq=False)
class OpenFile:
    """
    The bytes of a file on disk, of one version of it.

    :param file: closes itself when nobody wants it any more, as after a client that went away meanwhile.
    :param check: called in a thread after each read, with the descriptor; raises StorageError when what was read
        need not be this version. (Before the read it would prove less.)
    """

    version: Version
    _file: FileIO
    _run: Run
    _check: Callable[[int], object] = lambda fd: None
    _lock: Lock = field(init=False, factory=Lock)  # a read that nobody waits for any more may still be going on

    def read(self, start: int, length: int) -> Deferred[bytes]:
        """Read at most so many bytes; none means that there is nothing there any more."""
        reading: Deferred[bytes] = self._run(self._read, start, length)
        return reading

    def pour(self, start: int, length: int, outlet: Outlet) -> Deferred[int]:
        """
        Send at most so many bytes, and no more than there is room for; none means that there is no room.

        Fails with StorageError when the file has nothing there, or cannot be read; with OSError when the connection is
        gone.
        """
        pouring: Deferred[int] = self._run(self._pour, start, length, outlet)
        return pouring

    def close(self) -> Deferred[None]:
        """Close it."""
        closing: Deferred[None] = self._run(self._close)
        return closing

    def _read(self, start: int, length: int) -> bytes:
        with self._lock:
            if self._file.closed:
                return b""
            data = os.pread(self._file.fileno(), length, start)
            self._check(self._file.fileno())
            return data

    def _pour(self, start: int, length: int, outlet: Outlet) -> int:
        view, most, poured = _scratch.view, min(length, MOST), 0
        with self._lock:
            while poured < most and not self._file.closed:
                count = self._fill(view[: most - poured], start + poured)
                if not count and not poured:
                    raise StorageError(f"a file became shorter than {start + length} bytes while it was sent")
                sent = outlet.send(view[:count])
                poured += sent
                if sent < count or not count:
                    break
        return poured

    def _fill(self, view: memoryview, start: int) -> int:
        try:
            count = os.preadv(self._file.fileno(), [view], start)
            self._check(self._file.fileno())
        except OSError as error:
            raise StorageError(f"a file cannot be read: {error.strerror}") from error
        return count

    def _close(self) -> None:
        with self._lock:
            self._file.close()


async def open_file(path: Path, run: Run) -> OpenFile:
    """
    Open an ordinary file; a symbolic link is not followed.

    :raise StorageError: it is none, or cannot be read.
    """
    try:
        file, status = await run(_open, path)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error
    etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"'
    return OpenFile(Version(status.st_size, etag, status.st_mtime), file, run)


def _open(path: Path) -> tuple[FileIO, os.stat_result]:
    file = FileIO(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not an ordinary file")
    return file, status
