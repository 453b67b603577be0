"""Downloads: a file, or a part of it, read in a thread as fast as the client takes it and no faster."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.web.http import NOT_MODIFIED, OK, PARTIAL_CONTENT, REQUESTED_RANGE_NOT_SATISFIABLE
from zope.interface import implementer

from p2pshare.errors import StorageError
from p2pshare.web.disposition import attachment
from p2pshare.web.limits import LimitedRequest
from p2pshare.web.ranges import Part, Unsatisfiable, Version, is_unchanged, wanted_part
from p2pshare.web.replies import Streamed, put_headers

CHUNK = 64 * 1024  # bytes read at once; with file_stall it is also the slowest client we serve, 1 KiB/s

Run = Callable[..., "Deferred[Any]"]  # (function, *args): calls it in a thread


class Readable(Protocol):
    """Bytes that can be read anywhere; of a file on disk, or of a torrent."""

    version: Version

    def read(self, start: int, length: int) -> Deferred[bytes]:
        """Read at most so many bytes; none means that there is nothing there any more."""

    def close(self) -> object:
        """Let go of it."""


@define(eq=False)
class DiskFile:
    """An open file on disk."""

    version: Version
    _fd: int
    _run: Run
    _lock: Lock = field(init=False, factory=Lock)  # a read that nobody waits for any more may still be going on
    _is_closed: bool = field(init=False, default=False)

    @classmethod
    async def open(cls, path: Path, run: Run) -> DiskFile:
        """
        Open an ordinary file; a symbolic link is not followed.

        :raise StorageError: it is none, or cannot be read.
        """
        try:
            fd, status = await run(_open, path)
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}") from error
        etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"'
        return cls(Version(status.st_size, etag, status.st_mtime), fd, run)

    def read(self, start: int, length: int) -> Deferred[bytes]:
        """Read in a thread."""
        reading: Deferred[bytes] = self._run(self._read, start, length)
        return reading

    def close(self) -> Deferred[None]:
        """Close it."""
        closing: Deferred[None] = self._run(self._close)
        return closing

    def _read(self, start: int, length: int) -> bytes:
        with self._lock:
            return b"" if self._is_closed else os.pread(self._fd, length, start)

    def _close(self) -> None:
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                os.close(self._fd)


def _open(path: Path) -> tuple[int, os.stat_result]:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not an ordinary file")
    return fd, status


def download(
    content: Readable,
    name: str,
    clock: IReactorTime,
    stall: float,
    hits: Counter[str],
    content_type: str = "application/octet-stream",
    over: Callable[[int], None] = lambda sent: None,
) -> Streamed:
    """
    Reply with a file to be saved, or the part of it that is asked for; it is closed at the end in any case.

    :param name: to save it under.
    :param stall: seconds in which something has to move; the site's ``file_stall``.
    :param over: told at the end, whole or not, how many bytes the transport has taken.
    """

    async def send(request: LimitedRequest) -> None:
        sending = _Download(request, content, clock, stall, hits)
        try:
            await sending.send(name, content_type)
        finally:
            content.close()
            over(sending.sent)

    return Streamed(lambda request: Deferred.fromCoroutine(send(request)), content.close)


@implementer(IPushProducer)
@define(eq=False)
class _Download:
    """One reply under way. The transport says when there is room for more."""

    _request: Any  # LimitedRequest, whose channel is None once the client has gone
    _content: Readable
    _clock: IReactorTime
    _stall: float
    _hits: Counter[str]
    sent: int = field(init=False, default=0)
    _room: Deferred[None] | None = field(init=False, default=None)  # what is waited for while the transport is full
    _is_full: bool = field(init=False, default=False)

    async def send(self, name: str, content_type: str) -> None:
        request, version = self._request, self._content.version
        headers = [("ETag", version.etag), ("Last-Modified", version.modified_text), ("Accept-Ranges", "bytes")]
        if is_unchanged(request.getHeader, version):
            put_headers(request, NOT_MODIFIED, headers)
            request.finish()
            return
        part, status = Part(0, version.size), OK
        try:
            if (wanted := wanted_part(request.getHeader, version)) is not None:
                part, status = wanted, PARTIAL_CONTENT
                headers.append(("Content-Range", part.content_range(version.size)))
        except Unsatisfiable:
            headers.append(("Content-Range", f"bytes */{version.size}"))
            part, status = Part(0, 0), REQUESTED_RANGE_NOT_SATISFIABLE
        headers += [
            ("Content-Type", content_type),
            ("Content-Disposition", attachment(name)),
            ("Content-Length", str(part.length)),
        ]
        put_headers(request, status, headers)
        if request.method != b"HEAD" and part.length:
            await self._send_part(part)
        request.finish()

    async def _send_part(self, part: Part) -> None:
        request = self._request
        request.registerProducer(self, True)
        watch = self._clock.callLater(self._stall, self._stalled)
        try:
            while self.sent < part.length:
                data = await self._content.read(part.start + self.sent, min(CHUNK, part.length - self.sent))
                if not data:
                    raise StorageError(f"a file became shorter than {part.start + part.length} bytes while it was sent")
                request.write(data)
                self.sent += len(data)
                watch.reset(self._stall)
                if self._is_full:
                    self._room = Deferred()
                    await self._room
        finally:
            if watch.active():
                watch.cancel()
            if request.channel is not None:
                request.unregisterProducer()

    def pauseProducing(self) -> None:
        self._is_full = True

    def resumeProducing(self) -> None:
        self._is_full = False
        room, self._room = self._room, None
        if room is not None:
            room.callback(None)

    def stopProducing(self) -> None:
        """Nothing to do: the request is told that its client is gone, and cancels all this."""

    def _stalled(self) -> None:
        self._hits["file_stall"] += 1
        self._request.channel.transport.abortConnection()
