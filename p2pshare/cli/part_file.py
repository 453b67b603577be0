"""A file that is on its way: NAME.part until its SHA-256 is right, NAME from then on."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from attrs import define, field

from p2pshare.errors import StorageError, VerificationFailed

_STEP = 1 << 20  # bytes read at once


def sha256_of(path: Path) -> str:
    """Hash a file; blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@define(eq=False)
class PartFile:
    """
    Written from its beginning to its end, by one process at a time. A context manager: an empty one does not stay.

    What an earlier attempt has left is hashed by :meth:`look`, and kept as a beginning until it proves to be none.
    """

    target: Path
    size: int
    _sha256: str
    length: int = field(init=False, default=0)  # bytes that are there
    _file: BinaryIO = field(init=False)
    _digest: hashlib._Hash = field(init=False, factory=hashlib.sha256)

    @property
    def path(self) -> Path:
        """Where it is until it is complete."""
        return self.target.with_name(f"{self.target.name}.part")

    @property
    def is_complete(self) -> bool:
        """Whether as many bytes are there as there are to be."""
        return self.length == self.size

    def __enter__(self) -> PartFile:
        """:raise StorageError: another process writes it."""
        self.target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise StorageError(f"{self.path}: another process downloads it") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            if os.fstat(self._file.fileno()).st_size == 0:
                self._remove_ours()
        self._file.close()

    def look(self) -> Iterator[int]:
        """Hash what is there, step by step; gives the length reached. What is longer than the content is dropped."""
        if os.fstat(self._file.fileno()).st_size > self.size:
            self.restart()
        while data := self._file.read(_STEP):
            self._digest.update(data)
            self.length += len(data)
            yield self.length

    def write(self, data: bytes) -> None:
        """
        Append.

        :raise VerificationFailed: it is more than the whole content.
        """
        if self.length + len(data) > self.size:
            raise VerificationFailed(f"{self.target.name}: more than the {self.size} bytes that the index says arrive")
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self._digest.update(data)
        self.length += len(data)

    def restart(self) -> None:
        """Begin anew, with nothing."""
        self._file.seek(0)
        self._file.truncate()
        self._digest = hashlib.sha256()
        self.length = 0

    def is_right(self) -> bool:
        """Whether it is complete and has the SHA-256 that it is to have."""
        return self.is_complete and self._digest.hexdigest() == self._sha256

    def wrong(self) -> VerificationFailed:
        """Say what is wrong with it."""
        return VerificationFailed(
            f"{self.target.name}: SHA-256 {self._digest.hexdigest()} arrived, the index says {self._sha256}"
        )

    def finish(self) -> None:
        """
        Give it its name.

        :raise StorageError: something of that name is there by now.
        """
        assert self.is_right(), "only what is verified gets its name"
        os.fsync(self._file.fileno())
        try:
            os.link(self.path, self.target)
        except FileExistsError:
            raise StorageError(f"{self.target}: exists by now, and stays; the download is {self.path}") from None
        except OSError:  # a file system without links
            if os.path.lexists(self.target):
                raise StorageError(f"{self.target}: exists by now, and stays; the download is {self.path}") from None
            self.path.rename(self.target)
        else:
            self.path.unlink()

    def _remove_ours(self) -> None:
        if os.path.samestat(os.fstat(self._file.fileno()), os.stat(self.path, follow_symlinks=False)):
            self.path.unlink()
