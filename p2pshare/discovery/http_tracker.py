"""Announces and scrapes over HTTP and HTTPS (BEP 3, 48)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, NoReturn
from urllib.parse import urlsplit

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.web.client import HTTPConnectionPool
from twisted.web.iweb import IPolicyForHTTPS

from p2pshare.discovery.address_policy import Zone
from p2pshare.discovery.fetch import Page, fetch, shown
from p2pshare.discovery.zoned_agent import ZonedAgent, zoned_agent
from p2pshare.errors import TrackerError, TrackerFailure, TrackerUnreachable
from p2pshare.wire.announce import AnnounceRequest, AnnounceResponse, ScrapeCounts
from p2pshare.wire.announce_query import announce_url, scrape_url
from p2pshare.wire.announce_reply import decode_response, decode_scrape

TOTAL_TIMEOUT = 30.0  # seconds from the first name look-up to the last byte, all redirects included; as libtorrent
MAX_AT_ONCE = 64  # requests under way; a client with hundreds of torrents wakes up with that many announces


@define(eq=False)
class HTTPTracker:
    """One tracker, asked over HTTP. Knows neither torrents nor tiers, and when to ask is not its business."""

    url: str
    _agent: ZonedAgent
    _clock: IReactorTime
    _turns: DeferredSemaphore = field(factory=lambda: DeferredSemaphore(MAX_AT_ONCE))

    def announce(self, request: AnnounceRequest) -> Deferred[AnnounceResponse]:
        """
        Announce a torrent; cancelling hangs up.

        The Deferred fails with TrackerFailure when the tracker refuses, whatever its HTTP status, and otherwise with
        TrackerUnreachable, which names the URL and what was seen.
        """
        return Deferred.fromCoroutine(self._announce(request))

    def scrape(self, hashes: Iterable[bytes]) -> Deferred[Mapping[bytes, ScrapeCounts]]:
        """Ask for the counts of torrents (BEP 48); fails as :meth:`announce` does, also where there is no scrape."""
        return Deferred.fromCoroutine(self._scrape(list(hashes)))

    async def _announce(self, request: AnnounceRequest) -> AnnounceResponse:
        page = await self._get(announce_url(self.url, request))
        try:
            return decode_response(page.body)
        except TrackerError as error:
            _explain(page, error)

    async def _scrape(self, hashes: list[bytes]) -> Mapping[bytes, ScrapeCounts]:
        url = scrape_url(self.url, hashes)
        if url is None:
            raise TrackerUnreachable(f"{shown(self.url)}: has no scrape, since its path does not say announce")
        page = await self._get(url)
        try:
            return decode_scrape(page.body).files
        except TrackerError as error:
            _explain(page, error)

    async def _get(self, url: str) -> Page:
        await self._turns.acquire()
        try:
            page = Deferred.fromCoroutine(fetch(self._agent, url))
            return await page.addTimeout(TOTAL_TIMEOUT, self._clock, self._too_slow)
        finally:
            self._turns.release()

    def _too_slow(self, _: object, seconds: float) -> NoReturn:
        raise TrackerUnreachable(f"{shown(self.url)}: no complete answer within {seconds:g} s")


def _explain(page: Page, error: TrackerError) -> NoReturn:
    if isinstance(error, TrackerFailure):
        raise error
    if page.status != HTTPStatus.OK:
        raise TrackerUnreachable(f"{shown(page.url)}: answered {page.status} {page.phrase}".rstrip()) from error
    raise TrackerUnreachable(f"{shown(page.url)}: {error}") from error


@define(eq=False)
class HTTPTrackers:
    """Makes the client of each tracker URL; all of them share connections and the limit of requests under way."""

    _agent: ZonedAgent
    _clock: IReactorTime
    _pools: Iterable[HTTPConnectionPool] = ()
    _turns: DeferredSemaphore = field(init=False, factory=lambda: DeferredSemaphore(MAX_AT_ONCE))

    def __call__(self, url: str) -> HTTPTracker | None:
        """Make the client of one tracker; None when the URL is not one that HTTP can reach."""
        try:
            if urlsplit(url).scheme.lower() not in ("http", "https"):
                return None
            if not url.isascii():
                import hyperlink  # late: 3 ms of every start, for names that few trackers have

                url = hyperlink.URL.from_text(url).to_uri().to_text()  # IDNA for the host, UTF-8 for the path
        except ValueError:
            return None
        return HTTPTracker(url, self._agent, self._clock, self._turns)

    def close(self) -> Deferred[None]:
        """Close the connections kept open for the next request; fires when they are."""
        closing = gatherResults([pool.closeCachedConnections() for pool in self._pools], consumeErrors=True)
        return closing.addCallback(lambda _: None)


def http_trackers(
    reactor: Any, *, policy: IPolicyForHTTPS | None = None, bind_address: str | None = None
) -> HTTPTrackers:
    """
    Build the maker of real tracker clients.

    :param policy: how certificates are checked; by default against the system's roots and with the host's name.
    :param bind_address: connect from this address of ours instead of whichever the system chooses.
    """
    pools = {zone: HTTPConnectionPool(reactor) for zone in Zone}
    return HTTPTrackers(zoned_agent(reactor, pools, policy, bind_address), reactor, tuple(pools.values()))
