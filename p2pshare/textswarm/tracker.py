"""The tracker of a text swarm as a peer asks it: ``/register``, ``/get_peers`` and ``/status``, replies in JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode

import msgspec
from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.addresses import Address, is_dialable
from p2pshare.discovery.fetch import fetch, shown
from p2pshare.discovery.zoned_agent import ZonedAgent
from p2pshare.errors import ConfigError, TrackerError, TrackerUnreachable
from p2pshare.metainfo_links import usable_url
from p2pshare.storage.ongoing import Ongoing
from p2pshare.swarm.seams import TrackerStatus

LOOK_UP_EVERY = 60.0  # s
TRY_AGAIN = 5.0  # s after a tracker that did not answer
TIMEOUT = 10.0  # s for a whole answer
GOODBYE_TIMEOUT = 3.0  # s
LONGEST_REPLY = 256 * 1024  # bytes
MOST_PEERS = 200  # taken of one reply

Ask = Callable[[str, dict[str, object]], Deferred[Any]]  # a path and its parameters; fires with the JSON of the answer


@define(eq=False)
class TrackerFace:
    """One tracker, asked over HTTP."""

    url: str
    _agent: ZonedAgent
    _clock: IReactorTime

    def ask(self, path: str, parameters: dict[str, object]) -> Deferred[Any]:
        """
        Ask for JSON.

        :return: errs back with TrackerError.
        """
        asking = Deferred.fromCoroutine(self._ask(f"{self.url}{path}?{urlencode(parameters)}"))
        return asking.addTimeout(TIMEOUT, self._clock, self._too_slow)

    async def _ask(self, url: str) -> Any:
        page = await fetch(self._agent, url, LONGEST_REPLY)
        if page.status != 200:
            raise TrackerUnreachable(f"{shown(url)}: answered {page.status} {page.phrase}, expected 200")
        try:
            return msgspec.json.decode(page.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise TrackerUnreachable(f"{shown(url)}: answered {page.body[:60]!r}, expected JSON") from error

    def _too_slow(self, _: object, seconds: float) -> Any:
        raise TrackerUnreachable(f"{shown(self.url)}: no answer within {seconds:g} s")


def tracker_url(text: str) -> str:
    """
    Read the address of a tracker as people give it.

    :raise ConfigError: it is none.
    """
    url = usable_url(text if "://" in text else f"http://{text}", ("http", "https"))
    if url is None:
        raise ConfigError(f"tracker {text!r}, expected an address such as http://localhost:8000")
    return url.partition("?")[0].rstrip("/")


@define(eq=False)
class TextDiscovery:
    """Registers a peer of one swarm and looks for the others, at once and then again and again. A swarm's Discovery."""

    _ask: Ask
    _torrent_hash: str
    _peer_id: str
    _port: int
    _clock: IReactorTime
    _heard: Callable[[Iterable[Address], str], None]
    _every: float = LOOK_UP_EVERY
    _next: IDelayedCall | None = field(init=False, default=None)
    _is_over: bool = field(init=False, default=False)
    _ongoing: Ongoing = field(init=False, factory=Ongoing)
    _troubled: bool = field(init=False, default=False)
    log = Logger()

    def start(self) -> None:
        """Register, and look for others."""
        self._look_up()

    def completed(self) -> None:
        """Every piece is here; the tracker hears of it when the file is put together."""

    def has_file(self) -> None:
        """Tell that we have the file."""
        telling = self._ongoing.track(self._tell("completed"))
        telling.addErrback(self._not_told)

    def announce_now(self) -> None:
        """Look-ups keep their times."""

    def status(self) -> Iterable[TrackerStatus]:
        """There is nothing to show."""
        return ()

    def stop(self) -> Deferred[None]:
        """Say goodbye; fires when that was heard or took too long."""
        self._is_over = True
        if self._next is not None:
            self._next.cancel()
            self._next = None
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        try:
            # What is under way first, so that no registration overtakes the goodbye.
            await self._ongoing.over().addTimeout(GOODBYE_TIMEOUT, self._clock, lambda *_: None)
            await self._tell("stopped").addTimeout(GOODBYE_TIMEOUT, self._clock, lambda *_: None)
        except TrackerError as error:
            self._failed(error)

    def _tell(self, status: str) -> Deferred[Any]:
        return self._ask("/status", {**self._who(), "status": status})

    def _who(self) -> dict[str, object]:
        return {"torrent_hash": self._torrent_hash, "peer_id": self._peer_id}

    def _look_up(self) -> None:
        self._next = None
        looking = self._ongoing.track(Deferred.fromCoroutine(self._look()))
        looking.addErrback(lambda failure: self.log.failure("looking for peers", failure))

    async def _look(self) -> None:
        pause = self._every
        try:
            await self._ask("/register", {**self._who(), "port": self._port})
            # Who asks is not in the source's request; a tracker that knows the parameter leaves us out.
            self._heard(read_peers(await self._ask("/get_peers", self._who())), "tracker")
            self._troubled = False
        except TrackerError as error:
            self._failed(error)
            pause = min(pause, TRY_AGAIN)
        if not self._is_over:
            self._next = self._clock.callLater(pause, self._look_up)

    def _not_told(self, failure: Failure) -> None:
        failure.trap(TrackerError)
        self._failed(failure.getErrorMessage())

    def _failed(self, error: object) -> None:
        if not self._troubled:  # once is enough
            self._troubled = True
            self.log.warn("tracker: {error}", error=error)


def read_peers(reply: Any) -> list[Address]:
    """
    Read who is in a swarm; entries that cannot be dialled are left out.

    :raise TrackerUnreachable: it is no such list.
    """
    entries = reply.get("peers") if isinstance(reply, dict) else None
    if not isinstance(entries, list):
        raise TrackerUnreachable("/get_peers: answered no list of peers")
    found = []
    for entry in entries[:MOST_PEERS]:
        match entry:
            case {"ip": str(ip), "port": int(port)} if is_dialable(address := Address(ip, port)):
                found.append(address)
    return found
