"""A node and our own super-peer: the faces of the one take what the other says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from p2pshare.errors import IndexRefused
from p2pshare.faces.superpeer import SuperpeerLimits, routes
from p2pshare.faces.superpeer_batch import AT_ONCE, FileBatchFace
from p2pshare.faces.superpeer_files import FileFace
from p2pshare.sharing.listing import Listing, Presence
from p2pshare.sharing.registrar import Registrar
from p2pshare.web.rates import RateLimit
from tests.faces.superpeers import SuperpeerCase
from tests.sharing.test_registrar import FakeLibrary, shared
from tests.web.serving import JSON


class SuperpeerTests(SuperpeerCase):
    """The real faces, in memory."""

    our_host: str | None = "10.0.0.7"
    at_once: int = 1  # what the registration is to say of how many files it takes

    def start(self, limits: SuperpeerLimits | None = None, own: str | None = None, **site: Any) -> None:
        """Serve all rows, with those for many files."""
        rows = routes(self.catalogue, self.news, self.history, self.now, limits, own)
        if not any(row.path.endswith("/register_all") for row in rows):
            files = FileFace(self.catalogue.shares, self.catalogue.nodes, self.news)
            rows += FileBatchFace(files).routes(RateLimit(1.0, 50))
        self.serve(rows, **site)

    async def question(self, method: str, path: str, body: Any, headers: Mapping[str, str] | None) -> Any:
        """Ask as an IndexClient does."""
        lines = [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body is None:
            reply = self.ask(method, path, *lines)
        else:
            reply = self.ask(method, path, JSON, *lines, body=msgspec.json.encode(body))
        if reply.status >= 400:
            raise IndexRefused(str(self.read(reply)), reply.status)
        answer = self.read(reply) if reply.body else None
        if isinstance(answer, dict) and "peer_id" in answer:
            answer["files_at_once"] = self.at_once
        return answer

    def run_node(self, *names: str) -> Registrar:
        """A node that shares these files, and has told of them."""
        case = self

        class Client:
            our_host = case.our_host

            async def ask(self, method: str, path: str, *, body: Any = None, headers: Any = None) -> Any:
                return await case.question(method, path, body, headers)

        self.library = FakeLibrary()
        for name in names:
            self.library.add(shared(name))
        registrar = Registrar(Listing(Client(), Presence("peer_00000000001", 9001)), self.library, self.clock)
        registrar.startService()
        self.addCleanup(lambda: registrar.running and registrar.stopService())
        self.clock.pump([0.1] * (2 * len(names) + 5))
        return registrar

    def test_files(self) -> None:
        """A node and its files are listed as they are told, and go when they go."""
        registrar = self.run_node("a.txt", "deep/Song & co.mp3")
        self.assertEqual((registrar.trouble, registrar.refused, registrar.is_settled), (None, {}, True))
        peer = self.peers()["peer_00000000001"]
        self.assertEqual((peer["address"], peer["port"], peer["shared_files"]), ("10.0.0.7", 9001, 2))
        files = {file["filename"]: file for file in self.value_of("/api/v1/files")}
        self.assertEqual(sorted(files), ["a.txt", "deep/Song & co.mp3"])
        song = files["deep/Song & co.mp3"]
        self.assertEqual((song["category"], song["tags"], song["peer_address"]), ("audio", ["music"], "10.0.0.7:9001"))
        self.library.remove("a.txt")
        self.clock.pump([0.1] * 5)
        self.assertEqual(self.found(), ["deep/Song & co.mp3"])

    def test_many(self) -> None:
        """Where many are taken at once, they are there soon, and go like others."""
        self.at_once = AT_ONCE
        names = [f"{number:03}.txt" for number in range(450)]
        registrar = self.run_node(*names)
        self.assertEqual((registrar.trouble, registrar.refused, registrar.is_settled), (None, {}, True))
        self.assertEqual(self.value_of("/api/v1/stats")["total_files"], 450)
        self.library.remove("007.txt")
        self.clock.pump([0.1] * 5)
        self.assertEqual(self.value_of("/api/v1/stats")["total_files"], 449)

    def test_same_content(self) -> None:
        """One content under two names is one file there; it stays as long as one of them does."""
        self.run_node()
        self.library.add(shared("a.txt", "same"))
        self.library.add(shared("b.txt", "same"))
        self.clock.pump([0.1] * 10)
        self.assertEqual(self.value_of("/api/v1/stats")["total_files"], 1)
        self.library.remove("b.txt")
        self.clock.pump([0.1] * 10)
        self.assertEqual(self.found(), ["a.txt"])
        self.library.remove("a.txt")
        self.clock.pump([0.1] * 10)
        self.assertEqual(self.found(), [])

    def test_refused(self) -> None:
        """A name that the index does not take is no reason to stop."""
        registrar = self.run_node("x" * 2000, "good.txt")
        self.assertEqual((self.found(), list(registrar.refused)), (["good.txt"], ["x" * 2000]))

    def test_online(self) -> None:
        """Heartbeats keep the node online; without them it goes offline."""
        self.liveness.startService()
        self.addCleanup(self.liveness.stopService)
        registrar = self.run_node()
        self.clock.pump([1.0] * 300)
        self.assertTrue(self.peers()["peer_00000000001"]["is_online"])
        self.successResultOf(registrar.stopService())
        self.clock.pump([1.0] * 160)
        self.assertFalse(self.peers()["peer_00000000001"]["is_online"])

    def test_rate(self) -> None:
        """A super-peer that asks for patience gets the rest later."""
        self.start(SuperpeerLimits(write_burst=5, writes_per_second=1.0))
        registrar = self.run_node(*(f"{number}.txt" for number in range(20)))
        self.assertIn("the index", str(registrar.trouble))
        self.clock.pump([0.5] * 200)
        self.assertEqual((registrar.trouble, registrar.refused), (None, {}))
        self.assertEqual(self.value_of("/api/v1/stats")["total_files"], 20)
