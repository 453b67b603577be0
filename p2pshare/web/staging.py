"""Files that are being uploaded: under a name of ours until they are complete, gone if they never are."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger

from p2pshare.errors import DiskFull, StorageError

Run = Callable[..., "Deferred[Any]"]  # (function, *args): calls it in a thread

_PREFIX = ".upload-"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def _random_name() -> str:
    return secrets.token_hex(8)


@define(eq=False)
class Staging:
    """A folder where uploads arrive, on the file system where they are to stay. Knows no request."""

    _folder: Path
    _run: Run
    _hashes: Iterable[str] = ()  # names for hashlib: taken while the bytes pass
    _name: Callable[[], str] = _random_name

    def open(self) -> StagedFile:
        """Begin a file; nothing is made on disk before its first byte."""
        hashers = {name: hashlib.new(name) for name in self._hashes}
        return StagedFile(self._folder / f"{_PREFIX}{self._name()}", self._run, hashers)

    def sweep(self) -> int:
        """Remove what a process that was killed left behind; before the first upload. Blocks."""
        left = list(self._folder.glob(f"{_PREFIX}*"))
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)


@define(eq=False)
class StagedFile:
    """
    One upload on its way to disk. Writes in order, in one job at a time with all that has come meanwhile.

    It belongs to whoever opened it until :meth:`keep` or :meth:`discard`.
    """

    path: Path
    _run: Run
    _hashers: Mapping[str, Any]  # by name, as hashlib makes them
    size: int = field(init=False, default=0)
    _waiting: list[tuple[bytes | None, Deferred[None]]] = field(init=False, factory=list)
    _job: Deferred[None] | None = field(init=False, default=None)
    _fd: int | None = field(init=False, default=None)
    _failure: StorageError | None = field(init=False, default=None)  # after it, everything fails
    _is_over: bool = field(init=False, default=False)
    log = Logger()

    @property
    def digests(self) -> dict[str, str]:
        """The hashes of what has been written, in hex."""
        return {name: hasher.hexdigest() for name, hasher in self._hashers.items()}

    def write(self, data: bytes) -> Deferred[None]:
        """
        Add bytes; the caller sees to it that not too many wait.

        :return: fires when they are written; fails with StorageError, as everything after it does.
        """
        self.size += len(data)
        return self._queue(data)

    async def close(self) -> None:
        """
        Wait until all is on disk, so that it survives a power cut, and close.

        :raise StorageError: it is not.
        """
        await self._queue(None)

    async def keep(self, final: Path) -> bool:
        """
        Give a closed file its name. Who cancels this does not know whether it was done.

        :return: False when there is something of that name; the file is as before.
        :raise StorageError: it cannot be done.
        """
        is_kept: bool = await self._do(_give_name, self.path, final)
        self._is_over |= is_kept
        return is_kept

    def discard(self) -> Deferred[None]:
        """Remove it, unless it was kept. Any time, any number of times."""
        if self._is_over:
            return succeed(None)
        self._is_over = True
        self._failure = StorageError("the upload was given up")
        job = self._job or succeed(None)
        return job.addCallback(lambda _: self._run(self._remove)).addErrback(self._is_a_bug)

    def _queue(self, data: bytes | None) -> Deferred[None]:
        """Have bytes written; None: have them all made safe, and close."""
        if self._failure is not None:
            return fail(self._failure)
        written: Deferred[None] = Deferred()
        self._waiting.append((data, written))
        if self._job is None:
            job: Deferred[None] = Deferred()
            self._job = job
            Deferred.fromCoroutine(self._drain()).addErrback(self._is_a_bug).chainDeferred(job)
        return written

    async def _drain(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            if self._failure is None:
                try:
                    await self._do(self._put, [data for data, _ in batch])
                except StorageError as error:
                    self._failure = error
            for _, written in batch:
                if self._failure is None:
                    written.callback(None)
                else:
                    written.errback(self._failure)
        self._job = None

    async def _do(self, function: Callable[..., Any], *args: object) -> Any:
        try:
            return await self._run(function, *args)
        except OSError as error:
            # The path is ours alone and may end up in an answer: it is said in the log.
            self.log.warn("cannot store an upload in {folder}: {error}", folder=self.path.parent, error=error)
            if error.errno in _FULL:
                raise DiskFull("no room is left for the upload") from error
            raise StorageError("the upload cannot be stored") from error

    def _put(self, batch: Sequence[bytes | None]) -> None:
        if self._fd is None:
            self._fd = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        for data in batch:
            if data is None:
                os.fsync(self._fd)
                self._shut()
                break
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            for hasher in self._hashers.values():
                hasher.update(data)

    def _shut(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)

    def _remove(self) -> None:
        self._shut()
        with contextlib.suppress(OSError):  # swept at the next start
            os.unlink(self.path)

    def _is_a_bug(self, failure: Any) -> None:
        self.log.failure("an upload's file", failure=failure)


def _give_name(path: Path, final: Path) -> bool:
    try:
        os.link(path, final)  # unlike a rename, over nobody's file
    except FileExistsError:
        return False
    os.unlink(path)
    folder = os.open(final.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True
