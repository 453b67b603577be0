"""How the network of nodes stands, as a super-peer tells it."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen
from twisted.internet.defer import Deferred

from p2pshare.faces.times import rfc3339
from p2pshare.index.catalogue import Catalogue


@frozen
class NetworkStats:
    """``network_health`` is the part of all peers that is online, in percent; 0 without any."""

    total_peers: int
    online_peers: int
    total_files: int
    total_downloads: int
    network_health: float
    last_updated: str


def network_stats(catalogue: Catalogue, now: Callable[[], float]) -> Deferred[NetworkStats]:
    """
    Count.

    :param now: seconds since 1970.
    """
    return catalogue.network_figures().addCallback(
        lambda figures: NetworkStats(
            total_peers=figures.total_peers,
            online_peers=figures.online_peers,
            total_files=figures.total_files,
            total_downloads=figures.total_downloads,
            network_health=100 * figures.online_peers / figures.total_peers if figures.total_peers else 0.0,
            last_updated=rfc3339(now()),
        )
    )
