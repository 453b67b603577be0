"""Numbers for Prometheus: what is asked, how long it takes, and which limits are hit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import attrs
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily

from p2pshare.web.limits import LimitedRequest, WebLimits
from p2pshare.web.paths import Access, View

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class LimitHits:
    """Every limit by its name, and how often it was hit; 0 is shown, too, so that an alert can be written down."""

    def __init__(self, hits: Counter[str]) -> None:
        """Show a counter that the parts of a site share."""
        self._hits = hits

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Give the numbers as they are now."""
        family = CounterMetricFamily("p2pshare_web_limit_hits", "Times a limit was hit", labels=["limit"])
        for name in sorted({field.name for field in attrs.fields(WebLimits)} | set(self._hits)):
            family.add_metric([name], self._hits[name])
        yield family


class Requests:
    """Counts and times requests; pass :meth:`observe` to a dispatcher."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Show the numbers in a registry."""
        self._seconds = Histogram(
            "p2pshare_web_request_seconds",
            "Time from a request to its last byte, by route",
            ["route", "method", "status"],
            registry=registry,
            buckets=_BUCKETS,
        )

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Take one request into account; ``route`` is its template, so that there are few of them."""
        self._seconds.labels(route, method, str(status)).observe(seconds)


def make_registry(hits: Counter[str]) -> CollectorRegistry:
    """Make a registry of the service's own: the library's global one would mix the services of one process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(LimitHits(hits))
    return registry


def metrics_view(registry: CollectorRegistry, access: Access = Access.OPEN) -> View:
    """Show a registry, as Prometheus reads it."""

    def answer(request: LimitedRequest) -> bytes:
        request.setHeader(b"Content-Type", CONTENT_TYPE_LATEST.encode("ascii"))
        return generate_latest(registry)

    return View(answer, (b"GET", b"HEAD"), access)
