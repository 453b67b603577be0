"""A super-peer behind a site in memory."""

from __future__ import annotations

from functools import partial
from typing import Any

from p2pshare.faces.news import News
from p2pshare.faces.superpeer import SuperpeerLimits, routes
from p2pshare.faces.superpeer_liveness import Liveness
from p2pshare.faces.superpeer_stats import network_stats
from p2pshare.faces.swarm_history import SwarmHistory
from tests.faces.serving import FaceCase
from tests.web.connections import Reply

HASH = "ab" * 32

FILE = {
    "filename": "song.mp3",
    "size": 100,
    "hash": HASH,
    "category": "audio",
    "tags": ["music"],
    "owner": "ann",
    "peer_address": "10.0.0.1:9001",
}


class SuperpeerCase(FaceCase):
    """Serves all rows of a super-peer, its news, and looks after its nodes."""

    def setUp(self) -> None:
        super().setUp()
        self.news = News(partial(network_stats, self.catalogue, self.now), self.limits, self.clock, self.now, self.hits)
        self.history = SwarmHistory(self.swarms, self.catalogue.torrents, self.news, self.clock)
        self.liveness = Liveness(self.catalogue.nodes, self.news, self.clock)
        self.start()

    def start(self, limits: SuperpeerLimits | None = None, own: str | None = None, **site: Any) -> None:
        """Serve again, with these."""
        self.serve(routes(self.catalogue, self.news, self.history, self.now, limits, own), self.news.views(), **site)

    def register_peer(self, node_id: str | None = "ann", port: int = 9001, **said: Any) -> str:
        """Register a node; gives the id it got."""
        body = {"address": "10.0.0.1", "port": port, "shared_files": 0, **said}
        reply = self.post("/api/v1/peers/register", body if node_id is None else {"id": node_id, **body})
        self.assertEqual(reply.status, 200, reply.body)
        peer_id: str = self.read(reply)["peer_id"]
        return peer_id

    def beat(self, node_id: str) -> Reply:
        """Let a node be heard of."""
        return self.ask("POST", "/api/v1/peers/heartbeat", f"X-Peer-ID: {node_id}")

    def peers(self) -> dict[str, Any]:
        """The nodes that are listed, by id."""
        return {peer["id"]: peer for peer in self.value_of("/api/v1/peers")}

    def register_file(self, **said: Any) -> str:
        """Register a file; gives its id."""
        reply = self.post("/api/v1/files/register", {**FILE, **said})
        self.assertEqual(reply.status, 200, reply.body)
        file_id: str = self.read(reply)["file_id"]
        return file_id

    def found(self, query: str = "") -> list[str]:
        """The names of the files that a search finds."""
        return [file["filename"] for file in self.value_of(f"/api/v1/files/search?{query}")["results"]]
