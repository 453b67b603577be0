"""The commands for a peer daemon against the real API of a node, in memory: both sides mean the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
from twisted.internet.defer import Deferred, succeed

from p2pshare.cli import asking, control
from p2pshare.cli.exits import ExitCode
from p2pshare.cli.sending import Parcel
from p2pshare.errors import IndexRefused
from tests.cli.sample import content, objects, run, torrent_of
from tests.cli.services import run_now
from tests.faces.test_node_torrents import TorrentCase
from tests.swarm.fakes import ALL, TORRENT
from tests.web.connections import Reply


class NodeCommandTests(TorrentCase):
    """A node with one torrent behind a site in memory."""

    base = "http://localhost:8081"

    def setUp(self) -> None:
        super().setUp()
        self.begin(pausing=self.paused, memory=self.memory)
        self.hold(ALL[:4])
        self.patch(asking, "make_index_client", lambda reactor, base, token=None: self.client())
        self.patch(control, "send", self.send)
        for module in (asking, control):
            self.patch(module, "run", run_now(self))

    def client(self) -> Any:
        """Give a client whose questions go to the site."""
        case = self

        class Client:
            base = case.base

            async def ask(self, method: str, path: str, *, query: Mapping[str, object] | None = None) -> Any:
                reply = case.ask(method, f"{path}?{urlencode(query or {})}")
                return case.answer(reply)

            def close(self) -> Deferred[None]:
                return succeed(None)

        return Client()

    def answer(self, reply: Reply) -> Any:
        """Read a reply as a client does."""
        value = msgspec.json.decode(reply.body)
        if reply.status >= 400:
            raise IndexRefused(value["error"], reply.status)
        return value

    async def send(self, reactor: Any, base: str, method: str, path: str, parcel: Parcel) -> Any:
        """Send something to the site."""
        return self.answer(self.ask_with(method, path, parcel))

    def ask_with(self, method: str, path: str, parcel: Parcel) -> Reply:
        """Ask with a body."""
        return self.ask(method, path, f"Content-Type: {parcel.content_type}", body=parcel.data)

    def test_status(self) -> None:
        """The state of a real swarm is shown, and who the node is."""
        result = run("status")
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertTrue(result.stdout.startswith(f"{TORRENT.name}\tdownloading\t52.6%\t"), result.stdout)
        self.assertIn("1 torrent, ", result.stderr)
        self.assertIn("not registered at http://index.example:8000", result.stderr)

    def test_add(self) -> None:
        """A torrent file is taken, and a second time refused in one line."""
        file, torrent = torrent_of(content(Path(self.mktemp())))
        result = run("add", file)
        self.assertEqual((result.exit_code, result.output), (0, "photos: Torrent added\n"))
        self.assertEqual(self.torrents.added[0][0].info_hash, torrent.info_hash)
        self.assertEqual(run("add", file).exit_code, ExitCode.ERROR)

    def test_orders(self) -> None:
        """Pause, recheck and remove reach the torrent that is meant; what cannot be done is said."""
        info_hash = TORRENT.info_hash
        self.assertEqual(run("pause", info_hash.hex()[:8]).output, f"{TORRENT.name}: Torrent paused\n")
        self.assertEqual(run("recheck", "all").exit_code, 0)
        self.assertEqual(self.paused.told, [("pause", info_hash), ("recheck", info_hash)])
        result = run("resume", "all")
        self.assertEqual(result.exit_code, ExitCode.ERROR)
        self.assertEqual(result.stderr, f"p2pshare: {TORRENT.name}: the torrent is not paused\n")
        (removed,) = objects(run("remove", TORRENT.name, "--json"))
        self.assertEqual(removed["info_hash"], info_hash.hex())
        self.assertEqual(self.torrents.removed, [info_hash])

    def test_top(self) -> None:
        """A look at a real node."""
        from p2pshare.cli import top

        self.patch(top, "run", run_now(self))
        self.assertEqual(run("top", "--once").stdout.splitlines()[0], "1 torrent, down 0 B/s, up 0 B/s")
