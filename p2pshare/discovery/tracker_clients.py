"""The client of each tracker, whatever its URL asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import define, field
from twisted.internet.defer import Deferred, gatherResults
from twisted.web.iweb import IPolicyForHTTPS

from p2pshare.discovery.http_tracker import HTTPTracker, HTTPTrackers, http_trackers

if TYPE_CHECKING:
    from p2pshare.discovery.udp_tracker import UDPTracker, UDPTrackers


@define(eq=False)
class TrackerClients:
    """Chooses by the scheme of the URL: HTTP, HTTPS or UDP."""

    _http: HTTPTrackers
    _make_udp: Callable[[], UDPTrackers]  # called once, and only if there is need
    _udp: UDPTrackers | None = field(init=False, default=None)

    def __call__(self, url: str) -> HTTPTracker | UDPTracker | None:
        """Make the client of one tracker; None when nobody here speaks what its URL asks for."""
        if url[:4].lower() != "udp:":
            return self._http(url)
        if self._udp is None:
            self._udp = self._make_udp()
        return self._udp(url)

    def close(self) -> Deferred[None]:
        """Close all connections and sockets; fires when they are."""
        closing = [self._http.close(), *([] if self._udp is None else [self._udp.close()])]
        return gatherResults(closing).addCallback(lambda _: None)


def tracker_clients(
    reactor: Any, *, policy: IPolicyForHTTPS | None = None, bind_address: str | None = None
) -> TrackerClients:
    """
    Build the maker of real tracker clients.

    :param policy: how certificates are checked; by default against the system's roots and with the host's name.
    :param bind_address: ask from this address of ours instead of whichever the system chooses.
    """

    def make_udp() -> UDPTrackers:
        from p2pshare.discovery.udp_tracker import udp_trackers  # late: 10 ms of every start

        return udp_trackers(reactor, bind_address=bind_address)

    return TrackerClients(http_trackers(reactor, policy=policy, bind_address=bind_address), make_udp)
