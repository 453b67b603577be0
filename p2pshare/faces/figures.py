"""Numbers for Prometheus about the tracker and its index."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from p2pshare.tracker.logic import Tracker
from p2pshare.tracker.swarm_store import MemorySwarms


class TrackerCollector:
    """What the tracker counts anyway; nothing here walks through swarms."""

    def __init__(self, tracker: Tracker, store: MemorySwarms) -> None:
        """Show a tracker."""
        self._tracker = tracker
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """Give the numbers as they are now."""
        yield CounterMetricFamily("p2pshare_tracker_announces", "Announces answered", self._tracker.announces)
        refused = CounterMetricFamily("p2pshare_tracker_refused", "Announces and scrapes refused", labels=["limit"])
        for limit, count in sorted(self._tracker.refused.items()):
            refused.add_metric([limit], count)
        yield refused
        yield GaugeMetricFamily("p2pshare_tracker_torrents", "Torrents with a swarm", len(self._store.swarms))
        yield CounterMetricFamily(
            "p2pshare_tracker_swarms_dropped", "Swarms that gave way to others", self._store.dropped
        )


class LiveCollector:
    """Who is listening to the news."""

    def __init__(self, listeners: dict[str, Callable[[], int]]) -> None:
        """Show numbers of listeners by the way they listen."""
        self._listeners = listeners

    def collect(self) -> Iterator[Metric]:
        """Give the numbers as they are now."""
        family = GaugeMetricFamily("p2pshare_listeners", "Pages that are told what happens", labels=["by"])
        for name, count in self._listeners.items():
            family.add_metric([name], count())
        yield family
