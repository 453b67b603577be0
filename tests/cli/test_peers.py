"""``p2pshare peers``."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli.exits import ExitCode
from p2pshare.errors import IndexRefused
from tests.cli.sample import objects, run
from tests.cli.services import FakeService, a_node, serve

IH = "cd" * 20
PEER = {
    "id": 1,
    "peer_id": "-PS0100-abcdefghijkl",
    "ip_address": "10.0.0.9",
    "port": 6881,
    "left": 0,
    "is_seeder": True,
    "last_announce": "2026-01-02T03:04:05Z",
}


class PeersTests(SynchronousTestCase):
    """The command with an index that answers from memory."""

    def setUp(self) -> None:
        self.index = FakeService(answers={"/api/v1/peers": [a_node(), a_node(id="b", address="::1", is_online=False)]})
        serve(self, self.index)

    def test_nodes(self) -> None:
        """Without a torrent, the nodes of the index are listed."""
        result = run("peers")
        self.assertEqual(
            result.stdout.splitlines(),
            [
                "10.0.0.7:9001\tonline\t12\t2026-01-02 03:04:05\tnode-1",
                "[::1]:9001\toffline\t12\t2026-01-02 03:04:05\tb",
            ],
        )

    def test_members(self) -> None:
        """With an info hash, the members of that swarm are."""
        self.index.answers[f"/api/tracker/peers/{IH}"] = [PEER, {**PEER, "left": None, "is_seeder": False}]
        lines = run("peers", IH).stdout.splitlines()
        self.assertEqual(lines[0], "10.0.0.9:6881\tseed\t2026-01-02 03:04:05\t-PS0100-abcdefghijkl")
        self.assertIn("\tleech\t", lines[1])

    def test_json(self) -> None:
        """As JSON, objects are those of the index."""
        self.assertEqual(objects(run("peers", "--json"))[0], a_node())

    def test_unknown_torrent(self) -> None:
        """A torrent that the index does not know is an error."""
        self.index.answers[f"/api/tracker/peers/{IH}"] = IndexRefused("Torrent not found", 404)
        result = run("peers", IH)
        self.assertEqual((result.exit_code, result.stderr), (ExitCode.ERROR, "p2pshare: Torrent not found\n"))

    def test_nobody(self) -> None:
        """An empty list is one clear line, and no error."""
        self.index.answers["/api/v1/peers"] = []
        result = run("peers")
        self.assertEqual((result.exit_code, result.stdout), (0, ""))
        self.assertEqual(result.stderr, "http://127.0.0.1:8000 knows no node\n")
