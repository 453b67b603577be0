"""Announces and scrapes over UDP (BEP 15, BEP 41)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from random import Random, SystemRandom
from typing import Any, NoReturn
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorTime

from p2pshare.addresses import Address, is_dialable
from p2pshare.discovery.fetch import shown
from p2pshare.discovery.tracker_hosts import find_hosts
from p2pshare.discovery.udp_connection import Encode, UDPConnection
from p2pshare.discovery.udp_line import UDPLine
from p2pshare.errors import TrackerFailure, TrackerUnreachable, WireError
from p2pshare.wire.announce import AnnounceRequest, AnnounceResponse, ScrapeCounts
from p2pshare.wire.udp_tracker import (
    ERROR,
    MAX_REPLY,
    MAX_SCRAPE,
    decode_announced,
    decode_refusal,
    decode_reply,
    decode_scraped,
    encode_announce,
    encode_scrape,
)

# Seconds from the first name look-up to the reply, as with HTTP: room for one repetition. Trackers that are gone are
# common, and those of the next tier must have their turn before the user gives up.
TOTAL_TIMEOUT = 30.0
MAX_AT_ONCE = 64  # requests under way
MAX_LINES = 128  # sockets; each request may try two addresses, and a minute later they are closed anyway
DEFAULT_PORT = 80  # as Transmission has it


@define(eq=False)
class UDPTracker:
    """One tracker, asked over UDP. Knows neither torrents nor tiers, and when to ask is not its business."""

    url: str
    _path: str  # of the URL, with the query
    _connection: UDPConnection
    _clock: IReactorTime
    _turns: DeferredSemaphore

    def announce(self, request: AnnounceRequest) -> Deferred[AnnounceResponse]:
        """
        Announce a torrent; cancelling gives up.

        The Deferred fails with TrackerFailure when the tracker refuses, and otherwise with TrackerUnreachable, which
        names the URL and what was seen.
        """
        return Deferred.fromCoroutine(self._announce(request))

    def scrape(self, hashes: Iterable[bytes]) -> Deferred[Mapping[bytes, ScrapeCounts]]:
        """Ask for the counts of torrents; fails as :meth:`announce` does."""
        return Deferred.fromCoroutine(self._scrape(list(hashes)))

    async def _announce(self, request: AnnounceRequest) -> AnnounceResponse:
        try:
            reply, ipv6 = await self._ask(partial(encode_announce, request=request, url=self._path))
            return decode_announced(reply, ipv6)
        except WireError as error:
            raise TrackerUnreachable(f"{shown(self.url)}: {error}") from error

    async def _scrape(self, hashes: list[bytes]) -> Mapping[bytes, ScrapeCounts]:
        counts: dict[bytes, ScrapeCounts] = {}
        try:
            for start in range(0, len(hashes), MAX_SCRAPE):
                some = hashes[start : start + MAX_SCRAPE]
                reply, _ = await self._ask(partial(encode_scrape, hashes=some))
                counts.update(decode_scraped(reply, some))
        except WireError as error:
            raise TrackerUnreachable(f"{shown(self.url)}: {error}") from error
        return counts

    async def _ask(self, encode: Encode) -> tuple[bytes, bool]:
        await self._turns.acquire()
        try:
            asking = Deferred.fromCoroutine(self._connection.ask(encode))
            reply, ipv6 = await asking.addTimeout(TOTAL_TIMEOUT, self._clock, self._too_slow)
        except TrackerUnreachable as error:
            raise TrackerUnreachable(f"{shown(self.url)}: {error}") from error
        finally:
            self._turns.release()
        if decode_reply(reply)[0] == ERROR:
            raise TrackerFailure(decode_refusal(reply))
        return reply, ipv6

    def _too_slow(self, _: object, seconds: float) -> NoReturn:
        raise TrackerUnreachable(f"no answer within {seconds:g} s")


@define(eq=False)
class UDPTrackers:
    """Makes the client of each tracker URL. Those of one tracker share its connection, all of them the limits."""

    _reactor: Any  # times, UDP ports and a name resolver
    _random: Random  # for transaction ids: who can guess one can answer in the tracker's place
    _bind_address: str | None = None
    _turns: DeferredSemaphore = field(init=False, factory=lambda: DeferredSemaphore(MAX_AT_ONCE))
    _connections: WeakValueDictionary[Address, UDPConnection] = field(init=False, factory=WeakValueDictionary)
    _lines: list[UDPLine] = field(init=False, factory=list)  # the oldest first

    def __call__(self, url: str) -> UDPTracker | None:
        """Make the client of one tracker; None when the URL is not one that UDP can reach."""
        try:
            if not url.isascii():
                import hyperlink  # late: 3 ms of every start, for names that few trackers have

                url = hyperlink.URL.from_text(url).to_uri().to_text()
            parts = urlsplit(url)
            address = Address(parts.hostname or "", DEFAULT_PORT if parts.port is None else parts.port)
        except ValueError:
            return None
        if parts.scheme != "udp" or not is_dialable(address):
            return None
        connection = self._connections.get(address)
        if connection is None:
            connection = self._connections[address] = UDPConnection(
                partial(find_hosts, self._reactor.nameResolver, address.host, self._bind_address),
                partial(self._open_line, address.port),
                self._reactor,
            )
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return UDPTracker(url, path, connection, self._reactor, self._turns)

    def close(self) -> Deferred[None]:
        """Close all sockets; fires when they are."""
        return gatherResults([line.close() for line in list(self._lines)]).addCallback(lambda _: None)

    def _open_line(self, port: int, host: str) -> UDPLine:
        if len(self._lines) >= MAX_LINES:
            for idle in [line for line in self._lines if line.is_idle][:1]:
                idle.close()
        line = UDPLine(host, port, self._reactor, self._random, self._lines.remove)
        interface = self._bind_address or ("::" if line.is_ipv6 else "0.0.0.0")
        self._lines.append(line)
        try:
            self._reactor.listenUDP(0, line, interface, MAX_REPLY).connect(host, port)
        except CannotListenError as error:
            line.close()
            raise TrackerUnreachable(f"no socket: {error.socketError}") from error
        except OSError as error:
            line.close()
            raise TrackerUnreachable(error.strerror or str(error)) from error
        return line


def udp_trackers(reactor: Any, *, bind_address: str | None = None) -> UDPTrackers:
    """
    Build the maker of real tracker clients.

    :param bind_address: ask from this address of ours instead of whichever the system chooses.
    """
    return UDPTrackers(reactor, SystemRandom(), bind_address)
