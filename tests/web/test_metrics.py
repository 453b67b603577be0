"""Tests of p2pshare.web.metrics."""

from __future__ import annotations

import attrs
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from p2pshare.web.limits import WebLimits
from p2pshare.web.metrics import Requests, make_registry, metrics_view
from tests.web.serving import ServedCase


class MetricsTests(ServedCase):
    """The numbers, as Prometheus reads them."""

    def setUp(self) -> None:
        super().setUp()
        self.registry = make_registry(self.hits)
        self.requests = Requests(self.registry)
        self.serve(views={b"/metrics": metrics_view(self.registry)})

    def samples(self, name: str) -> dict[tuple[str, ...], float]:
        """The values of one number, by the values of its labels."""
        reply = self.get("/metrics", host="prometheus.example")
        self.assertEqual(reply.status, 200)
        self.assertTrue(reply.headers["content-type"].startswith("text/plain"))
        return {
            tuple(sample.labels[label] for label in sorted(sample.labels)): sample.value
            for family in text_string_to_metric_families(reply.body.decode())
            for sample in family.samples
            if sample.name == name
        }

    def test_every_limit(self) -> None:
        """Every limit has its number, 0 before it is hit for the first time."""
        hits = self.samples("p2pshare_web_limit_hits_total")
        self.assertEqual(set(hits), {(field.name,) for field in attrs.fields(WebLimits)})
        self.assertEqual(set(hits.values()), {0})
        self.hits["sockets"] += 2
        self.hits["rate"] += 1
        hits = self.samples("p2pshare_web_limit_hits_total")
        self.assertEqual((hits["sockets",], hits["rate",]), (2, 1))

    def test_requests(self) -> None:
        """Requests are counted and timed by route, method and status."""
        self.requests.observe("/files/{id}", "GET", 200, 0.5)
        self.requests.observe("/files/{id}", "GET", 200, 0.25)
        self.requests.observe("", "", 404, 0.0)
        self.assertEqual(
            self.samples("p2pshare_web_request_seconds_count"), {("GET", "/files/{id}", "200"): 2, ("", "", "404"): 1}
        )
        self.assertEqual(self.samples("p2pshare_web_request_seconds_sum")["GET", "/files/{id}", "200"], 0.75)

    def test_own_registry(self) -> None:
        """Nothing goes into the library's global registry: two services in one process would share it."""
        names = {family.name for family in REGISTRY.collect()}
        self.assertEqual({name for name in names if name.startswith("p2pshare")}, set())
