"""The site of a node: its routes, its page, its documentation, its health and its figures behind one guard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from twisted.internet.interfaces import IReactorTime

from p2pshare import __version__
from p2pshare.faces.node import Node, NodeAbout
from p2pshare.web.dispatch import Dispatcher
from p2pshare.web.docs import docs_views
from p2pshare.web.guard import Guard
from p2pshare.web.health import health_views
from p2pshare.web.limits import WebLimits
from p2pshare.web.metrics import Requests, make_registry, metrics_view
from p2pshare.web.openapi import describe
from p2pshare.web.paths import Access, View
from p2pshare.web.routes import RouteTable
from p2pshare.web.static import read_static, static_views

_ABOUT = "A node that shares a folder and its torrents, and searches the index it belongs to."


class NodeCollector:
    """Figures of a node for Prometheus."""

    def __init__(self, about: NodeAbout, sockets: Callable[[], int]) -> None:
        """
        Show a node.

        :param sockets: how many WebSockets there are.
        """
        self._about = about
        self._sockets = sockets

    def collect(self) -> Iterator[Metric]:
        """Give the numbers as they are now."""
        info, stats = self._about.info(), self._about.stats()
        gauges = {
            "shared_files": ("Files that are shared", info.shared_files),
            "shared_bytes": ("Bytes of these", info.shared_bytes),
            "registered": ("Whether the index knows this node", int(info.is_registered)),
            "torrents": ("Torrents at work", stats.swarm_stats.torrents),
            "peers": ("Peers of all torrents", stats.swarm_stats.peers),
            "active_uploads": ("Files that are being fetched over HTTP", stats.upload_stats.active_uploads),
            "websockets": ("Pages that are told what happens", self._sockets()),
        }
        for name, (about, value) in gauges.items():
            yield GaugeMetricFamily(f"p2pshare_node_{name}", about, value)
        counters = {
            "uploads": ("Files fetched over HTTP", stats.upload_stats.total_uploads),
            "upload_bytes": ("Bytes of these", stats.upload_stats.total_bytes),
            "downloads": ("Torrents that became whole", stats.download_stats.total_downloads),
            "download_bytes": ("Payload that came from swarms", stats.download_stats.total_bytes),
            "swarm_upload_bytes": ("Payload that went to swarms", stats.swarm_stats.uploaded),
        }
        for name, (about, value) in counters.items():
            yield CounterMetricFamily(f"p2pshare_node_{name}", about, value)


def node_pages(access: Access = Access.SAME) -> dict[bytes, View]:
    """Serve the page of a node, and what it is made of."""
    own = read_static("p2pshare.faces", "node_pages")
    shared = read_static("p2pshare.web", "pages")
    index = own.pop("index.html").view(access)
    return {b"/": index, **static_views({**shared, **own}, "/static/", access)}


def node_dispatcher(
    node: Node,
    guard: Guard,
    limits: WebLimits,
    clock: IReactorTime,
    hits: Counter[str],
    checks: Mapping[str, Callable[[], bool]] = {},
) -> Dispatcher:
    """
    Join the site; the dispatcher is its resource and its ``bodies``.

    :param checks: what has to be ready besides the node itself.
    """
    table = RouteTable(node.routes())
    registry = make_registry(hits)
    registry.register(NodeCollector(node.about, lambda: len(node.news.hub)))
    views = {
        **node_pages(),
        **node.news.view(),
        **docs_views(describe(table, "p2pshare node", __version__, _ABOUT)),
        **health_views({"node": lambda: node.running == 1, **checks}),
        b"/metrics": metrics_view(registry),
    }
    return Dispatcher(table, views, guard, limits, clock, hits, observe=Requests(registry).observe)
