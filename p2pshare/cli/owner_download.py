"""Fetching one file over HTTP from whoever shares it: redirects within the address policy, ranges, SHA-256."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from p2pshare import __version__
from p2pshare.cli.exits import Ended, ExitCode
from p2pshare.cli.part_file import PartFile
from p2pshare.discovery.address_policy import Zone
from p2pshare.discovery.fetch import FAILURES, MAX_REDIRECTS, cause, shown
from p2pshare.discovery.zoned_agent import ZonedAgent
from p2pshare.errors import TrackerUnreachable
from p2pshare.rates import Meter

_REDIRECTS = (301, 302, 303, 307, 308)
_ATTEMPTS = 3  # in a row that bring nothing
_PAUSE = 1.0  # s between two
_LONGEST_PAUSE = 10.0  # s that a server may ask for (Retry-After)
_SHOW_EVERY = 0.25  # s
_CONTENT_RANGE = re.compile(rb"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")


@frozen
class HTTPSnapshot:
    """A download at one moment, in the form in which transfers are shown: one piece, from one peer."""

    name: str
    bytes_done: int
    bytes_total: int
    down_rate: float
    state: str = "downloading"
    info_hash: str = ""
    peers: int = 1
    up_rate: float = 0.0
    pieces_total: int = 1
    error: str | None = None

    @property
    def pieces_done(self) -> int:
        """All or nothing."""
        return int(self.bytes_done >= self.bytes_total)

    @property
    def eta(self) -> float | None:
        """Seconds, or None when unknown."""
        return (self.bytes_total - self.bytes_done) / self.down_rate if self.down_rate > 0 else None


class _Interrupted(Exception):
    """An attempt that did not bring it to the end; another one may."""


@define(eq=False)
class OwnerDownload:
    """
    One file, from whichever owner the index leads to.

    The first URL is the user's own choice and may lead anywhere; once a public server has answered, its redirects must
    stay public.
    """

    _agent: ZonedAgent
    _clock: IReactorTime
    _part: PartFile
    _show: Callable[[HTTPSnapshot], object]
    _patience: float  # s without a byte
    _token: str | None = field(default=None, repr=False)  # for the first URL alone, if that asks for one
    _limit: int | None = None  # bytes/second
    _meter: Meter = field(init=False, factory=Meter)
    _shown_at: float = field(init=False, default=-1.0)

    async def run(self, url: str) -> None:
        """
        Fetch what is missing, and verify all of it.

        :raise VerificationFailed: it is another file than the index says; nothing is left of it.
        :raise Ended: nobody has it, or nobody sends it.
        """
        for _ in self._part.look():
            await self._breathe()
        is_resumed = self._part.length > 0
        while True:
            await self._fill(url)
            if self._part.is_right():
                self._part.finish()
                return
            wrong = self._part.wrong()
            self._part.restart()
            if not is_resumed:
                raise wrong
            is_resumed = False  # what was there may have been the beginning of something else

    def snapshot(self) -> HTTPSnapshot:
        """Say how it stands."""
        part, now = self._part, self._clock.seconds()
        return HTTPSnapshot(part.target.name, part.length, part.size, self._meter.rate(now))

    async def _fill(self, url: str) -> None:
        """Fetch until as many bytes are there as there are to be."""
        vain = 0
        while not self._part.is_complete:
            before = self._part.length
            pause = _PAUSE
            try:
                response, asked = await self._open(url, before)
                pause = _wanted_pause(response)
                await self._take(response, asked)
            except _Interrupted as error:
                vain = 0 if self._part.length > before else vain + 1
                if vain == _ATTEMPTS:
                    raise Ended(str(error), ExitCode.NOBODY_FOUND) from error
                await deferLater(self._clock, pause)

    async def _open(self, url: str, offset: int) -> tuple[IResponse, str]:
        """Follow redirects to the file, or to whatever is said instead of it."""
        local_too, token = True, None
        for redirects in range(MAX_REDIRECTS + 1):
            headers = Headers({"User-Agent": [f"p2pshare/{__version__}"], "Accept-Encoding": ["identity"]})
            if offset:
                headers.setRawHeaders("Range", [f"bytes={offset}-"])
            if token is not None:
                headers.setRawHeaders("Authorization", [f"Bearer {token}"])
            asking = Deferred.fromCoroutine(self._agent.get(url.encode("ascii"), headers, local_too=local_too))
            try:
                response, zone = await asking.addTimeout(self._patience, self._clock)
            except TrackerUnreachable as error:
                raise Ended(f"{shown(url)}: {error}", ExitCode.NOBODY_FOUND) from error
            except TimedOut as error:
                raise _Interrupted(f"{shown(url)}: no answer within {self._patience:g} s") from error
            except FAILURES as error:
                raise _Interrupted(f"{shown(url)}: {cause(error, url)}") from error
            if response.code == 401 and not redirects and self._token is not None and token is None:
                _drop(response)
                token = self._token
                continue
            local_too, token = local_too and zone is Zone.LOCAL, None
            location = response.headers.getRawHeaders(b"location")
            if response.code not in _REDIRECTS or not location:
                return response, url
            _drop(response)
            try:
                url = urljoin(url, location[0].decode("ascii"))
                url.encode("ascii")
            except ValueError as error:
                raise Ended(f"{shown(url)}: redirects to something that is no URL", ExitCode.ERROR) from error
        raise Ended(f"{shown(url)}: the last of more than {MAX_REDIRECTS} redirects", ExitCode.ERROR)

    async def _take(self, response: IResponse, url: str) -> None:
        """Read the file, or say why it is none."""
        part, code = self._part, response.code
        if code == 200:
            if part.length:
                part.restart()  # this server knows no ranges
        elif code == 206:
            if _start(response) != part.length:
                _drop(response)
                raise Ended(f"{shown(url)}: sends another part than was asked for", ExitCode.ERROR)
        else:
            _drop(response)
            if code == 416 and part.length:
                part.restart()
                return
            if code == 503 and not self._meter.total:
                raise Ended(f"{shown(url)}: nobody who shares this file is online", ExitCode.NOBODY_FOUND)
            if code == 429 or code >= 500:
                raise _Interrupted(f"{shown(url)}: answers {code}")
            raise Ended(f"{shown(url)}: answers {code}: the file is not there any more, or not for us", ExitCode.ERROR)
        body = _Body(self._clock, self._got, self._patience, self._limit)
        response.deliverBody(body)
        try:
            await body.over
        except TimedOut as error:
            raise _Interrupted(f"{shown(url)}: nothing came for {self._patience:g} s") from error
        except FAILURES as error:
            raise _Interrupted(f"{shown(url)}: {cause(error, url)}") from error
        if not part.is_complete:
            raise _Interrupted(f"{shown(url)}: ends after {part.length} bytes of {part.size}")

    def _got(self, data: bytes) -> None:
        self._part.write(data)
        now = self._clock.seconds()
        self._meter.add(len(data), now)
        if now - self._shown_at >= _SHOW_EVERY:
            self._shown_at = now
            self._show(self.snapshot())

    async def _breathe(self) -> None:
        """Let the reactor do what else there is: it may have been told to stop."""
        turn: Deferred[None] = deferLater(self._clock, 0)
        await turn


@define(eq=False)
class _Body(Protocol):
    """Hands the bytes of a body on as they come, no faster than allowed."""

    _clock: IReactorTime
    _got: Callable[[bytes], object]
    _patience: float
    _limit: int | None
    over: Deferred[None] = field(init=False)
    _timer: IDelayedCall | None = field(init=False, default=None)
    _ended: bool = field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self.over = Deferred(lambda _: self._hang_up())

    def connectionMade(self) -> None:
        self._timer = self._clock.callLater(self._patience, self._fail, TimedOut())

    def dataReceived(self, data: bytes) -> None:
        if self._ended or self._timer is None:
            return
        try:
            self._got(data)
        except Exception as error:  # a full disk, a file that is too long: told to whoever waits
            self._fail(error)
            return
        self._timer.reset(self._patience)
        if self._limit is not None:
            self._rest(len(data) / self._limit)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._ended or self.over.called:
            return
        self._ended = True
        # PotentialDataLoss: the body ended with the connection, as HTTP/1.0 servers have it.
        if reason.check(ResponseDone, PotentialDataLoss, ConnectionDone):
            self.over.callback(None)
        else:
            self.over.errback(reason)

    def _rest(self, seconds: float) -> None:
        """Let the sender wait: what it has sent was worth so much time."""
        transport: Any = self.transport
        if transport is not None:
            transport.pauseProducing()
            self._clock.callLater(seconds, self._go_on)

    def _go_on(self) -> None:
        transport: Any = self.transport
        if transport is not None and not self._ended:
            transport.resumeProducing()

    def _fail(self, error: BaseException) -> None:
        if not self._ended:
            self._hang_up()
            self.over.errback(error)

    def _hang_up(self) -> None:
        self._ended = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        transport: Any = self.transport
        if transport is not None:
            transport.loseConnection()


class _Unread(Protocol):
    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.loseConnection()


def _drop(response: IResponse) -> None:
    """Do without a body."""
    response.deliverBody(_Unread())


def _start(response: IResponse) -> int | None:
    """Tell at which byte a part begins (RFC 9110, "Content-Range"); None: it does not say so."""
    (value,) = response.headers.getRawHeaders(b"content-range", [b""])[:1]
    match = _CONTENT_RANGE.fullmatch(value.strip())
    return None if match is None else int(match[1])


def _wanted_pause(response: IResponse) -> float:
    (value,) = response.headers.getRawHeaders(b"retry-after", [b""])[:1]
    return min(float(value), _LONGEST_PAUSE) if value.isdigit() and len(value) < 6 else _PAUSE
