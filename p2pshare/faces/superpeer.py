"""The index as a super-peer: nodes tell it what they share over ``/api/v1``, and people find and fetch it."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, frozen

from p2pshare.faces.news import News, NewsItem
from p2pshare.faces.superpeer_batch import AT_ONCE, FileBatchFace
from p2pshare.faces.superpeer_downloads import DownloadFace
from p2pshare.faces.superpeer_files import FileFace
from p2pshare.faces.superpeer_peers import PeerFace
from p2pshare.faces.superpeer_reports import ReportFace
from p2pshare.faces.superpeer_search import SearchFace
from p2pshare.faces.superpeer_stats import NetworkStats, network_stats
from p2pshare.faces.swarm_history import SwarmHistory, SwarmInfo
from p2pshare.index.catalogue import Catalogue
from p2pshare.web.paths import Access
from p2pshare.web.rates import RateLimit
from p2pshare.web.routes import Call, Route


@frozen
class SuperpeerLimits:
    """How often one address may do what. A node registers ten files a second, and an address may have many nodes."""

    writes_per_second: float = 50.0
    write_burst: int = 1000
    batches_per_second: float = 1.0  # of many files each
    batch_burst: int = 50
    downloads_per_second: float = 20.0
    download_burst: int = 200


@frozen
class SwarmList:
    """Swarms, the largest first."""

    swarms: list[SwarmInfo]


@frozen
class Activity:
    """What happened lately, the latest first."""

    events: list[NewsItem]


@define(eq=False)
class NetworkFace:
    """Answers how everything stands."""

    _catalogue: Catalogue
    _news: News
    _history: SwarmHistory
    _now: Callable[[], float]

    def routes(self) -> list[Route]:
        """Give the rows."""
        return [
            Route(
                "GET",
                "/api/v1/stats",
                self.stats,
                "How the network stands",
                access=Access.SAME,
                reply=NetworkStats,
                group="Network",
            ),
            Route(
                "GET",
                "/api/v1/swarms",
                self.swarms,
                "The largest swarms, and how they grew in the last ten minutes",
                access=Access.SAME,
                reply=SwarmList,
                group="Network",
            ),
            Route(
                "GET",
                "/api/v1/activity",
                self.activity,
                "What happened lately",
                access=Access.SAME,
                reply=Activity,
                group="Network",
            ),
        ]

    async def stats(self, call: Call[None, None]) -> NetworkStats:
        """Counts as of now."""
        return await network_stats(self._catalogue, self._now)

    async def swarms(self, call: Call[None, None]) -> SwarmList:
        """As of the last look, which is ten seconds ago at most."""
        return SwarmList(self._history.swarms())

    async def activity(self, call: Call[None, None]) -> Activity:
        """The last hundred things; what comes next is told over /ws and /events."""
        return Activity(self._news.activity())


def routes(
    catalogue: Catalogue,
    news: News,
    history: SwarmHistory,
    now: Callable[[], float],
    limits: SuperpeerLimits | None = None,
    own: str | None = None,
) -> list[Route]:
    """
    Give all rows of a super-peer.

    :param now: seconds since 1970.
    :param own: the owner whose files this service serves itself, at ``/download?filename=``.
    """
    limits = limits or SuperpeerLimits()
    writes = RateLimit(limits.writes_per_second, limits.write_burst)
    batches = RateLimit(limits.batches_per_second, limits.batch_burst)
    downloads = RateLimit(limits.downloads_per_second, limits.download_burst)
    files = FileFace(catalogue.shares, catalogue.nodes, news)
    return [
        *PeerFace(catalogue.nodes, news, AT_ONCE).routes(writes),
        *ReportFace(catalogue.nodes).routes(writes),
        *files.routes(writes),
        *FileBatchFace(files).routes(batches),
        *SearchFace(catalogue.shares).routes(),
        *DownloadFace(catalogue.shares, news, own).routes(downloads),
        *NetworkFace(catalogue, news, history, now).routes(),
    ]
