"""Downloads: a file, or a part of it, read in a thread as fast as the client takes it and no faster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.web.http import NOT_MODIFIED, OK, PARTIAL_CONTENT, REQUESTED_RANGE_NOT_SATISFIABLE
from zope.interface import implementer

from p2pshare.errors import StorageError
from p2pshare.web.disposition import attachment
from p2pshare.web.limits import LimitedRequest
from p2pshare.web.outlet import Outlet
from p2pshare.web.ranges import Part, Unsatisfiable, Version, is_unchanged, wanted_part
from p2pshare.web.replies import Streamed, put_headers

CHUNK = 64 * 1024  # bytes that go through the transport; more than it takes without saying that it is full


class Readable(Protocol):
    """Bytes that can be read anywhere; an OpenFile."""

    version: Version

    def read(self, start: int, length: int) -> Deferred[bytes]:
        """Read at most so many bytes; none means that there is nothing there any more."""

    def pour(self, start: int, length: int, outlet: Outlet) -> Deferred[int]:
        """Send as many of them as there is room for; the connection may turn out to be gone (OSError)."""

    def close(self) -> object:
        """Let go of it."""


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
                await self._write_chunk(part)
                watch.reset(self._stall)
                if self._is_full:
                    self._room = Deferred()
                    await self._room
                    if self.sent < part.length:
                        await self._pour(part, watch)
        finally:
            if watch.active():
                watch.cancel()
            if request.channel is not None:
                request.unregisterProducer()

    async def _write_chunk(self, part: Part) -> None:
        data = await self._content.read(part.start + self.sent, min(CHUNK, part.length - self.sent))
        if not data:
            raise StorageError(f"a file became shorter than {part.start + part.length} bytes while it was sent")
        self._request.write(data)
        self.sent += len(data)

    async def _pour(self, part: Part, watch: IDelayedCall) -> None:
        """Send the rest from the threads, where that can be done. The transport has nothing left to write."""
        transport = self._request.channel.transport
        outlet = Outlet.of(transport)
        if outlet is None:
            return
        at = begun = self.sent
        try:
            while at < part.length:
                poured = await self._content.pour(part.start + at, part.length - at, outlet)
                at += poured
                if poured:
                    watch.reset(self._stall)
                if at < part.length:
                    await outlet.room()
        except OSError:
            transport.abortConnection()  # which ends the request, and that all this
            await Deferred()
        finally:
            outlet.close()
            self.sent = begun + outlet.sent  # a thread that nobody waits for any more may have sent something, too
            self._request.sentLength += outlet.sent  # of the line in the access log

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
