"""Tests of p2pshare.faces.superpeer_peers and p2pshare.faces.superpeer_liveness."""

from __future__ import annotations

from datetime import datetime

from twisted.internet.defer import Deferred, fail

from p2pshare.errors import StorageError
from p2pshare.faces.superpeer import SuperpeerLimits
from p2pshare.faces.superpeer_liveness import Liveness
from p2pshare.index.records import Node
from tests.faces.serving import TODAY
from tests.faces.superpeers import SuperpeerCase
from tests.web.serving import BEARER, JSON, STRANGER, TOKEN


class Troubled:
    """Nodes that nobody can look after."""

    def __init__(self) -> None:
        self.looks: list[float] = []

    def drop_silent(self, limit: float) -> Deferred[list[Node]]:
        """Fail."""
        self.looks.append(limit)
        return fail(StorageError("the disk is gone"))


class RegisterTests(SuperpeerCase):
    """Nodes that register."""

    def test_s2_1_register(self) -> None:
        """A node keeps the id it brings, is listed as online with all its fields, and can be heard of under that id."""
        reply = self.post(
            "/api/v1/peers/register",
            {"id": "p1", "address": "10.0.0.1", "port": 9001, "shared_files": 3, "region": "eu"},
        )
        self.assertEqual(reply.status, 200)
        self.assertEqual(
            self.read(reply),
            {"status": "success", "peer_id": "p1", "message": "Peer registered successfully", "files_at_once": 200},
        )
        self.assertEqual(
            self.value_of("/api/v1/peers"),
            [
                {
                    "id": "p1",
                    "address": "10.0.0.1",
                    "port": 9001,
                    "last_seen": "2023-11-14T22:13:20.000000Z",
                    "is_online": True,
                    "reputation": 0,
                    "shared_files": 3,
                    "region": "eu",
                }
            ],
        )
        self.assertEqual(self.beat("p1").status, 200)

    def test_s2_2_without_an_id(self) -> None:
        """Without an id a node gets one; the same address and port again is the same node."""
        given = self.register_peer(None)
        self.assertTrue(given)
        self.assertEqual(self.register_peer(None), given)
        self.assertEqual(self.register_peer("", 9002), self.register_peer(None, 9002))
        self.assertEqual(sorted(peer["port"] for peer in self.peers().values()), [9001, 9002])

    def test_s2_2_another_id_at_the_same_place(self) -> None:
        """Of two ids at one address and port only the latest is online."""
        self.register_peer("old")
        self.register_peer("new")
        self.assertEqual({key: peer["is_online"] for key, peer in self.peers().items()}, {"old": False, "new": True})

    def test_taken_id(self) -> None:
        """An id that belongs to an online node elsewhere is not given away, and the answer has another one."""
        self.register_peer("p1")
        other = self.register_peer("p1", address="10.0.0.2")
        self.assertNotEqual(other, "p1")
        self.assertEqual(self.peers()["p1"]["address"], "10.0.0.1")
        self.assertEqual(self.beat(other).status, 200)

    def test_spellings(self) -> None:
        """Fields are understood in all three spellings; those nobody knows, and those that are null, are ignored."""
        for body in (
            {"ID": "a", "Address": "10.0.0.1", "Port": 9001, "SharedFiles": 7, "Region": "eu", "Reputation": 99},
            {"id": "b", "address": "10.0.0.2", "port": 9001, "sharedFiles": 7, "region": "eu", "isOnline": False},
            {"id": "c", "address": "10.0.0.3", "port": 9001, "shared_files": 7, "region": "eu", "last_seen": None},
        ):
            self.assertEqual(self.post("/api/v1/peers/register", body).status, 200)
        self.assertEqual(
            [(key, peer["shared_files"], peer["region"], peer["reputation"]) for key, peer in self.peers().items()],
            [("a", 7, "eu", 0), ("b", 7, "eu", 0), ("c", 7, "eu", 0)],
        )

    def test_address_not_said(self) -> None:
        """A node that does not say its address is where it asks from."""
        reply = self.post("/api/v1/peers/register", {"id": "p1", "port": 9001})
        self.assertEqual(reply.status, 200)
        self.assertEqual(self.peers()["p1"]["address"], STRANGER)

    def test_bad_bodies(self) -> None:
        """What is no JSON, not an object, or has a field that is not what it should be, is 400 and says which."""
        for body, word in (
            (b"{", "JSON"),
            (b"[]", "object"),
            (b"", "object"),
            (b'{"address": "10.0.0.1"}', "port: missing"),
            (b'{"address": "10.0.0.1", "port": "9001"}', "port: expected int, got str"),
            (b'{"address": "10.0.0.1", "port": 0}', "1 to 65535"),
            (b'{"address": "10.0.0.1", "port": 70000}', "1 to 65535"),
            (b'{"address": "10.0.0.1/evil?", "port": 9001}', "expected an IP address or a host name"),
            (b'{"Address": 5, "port": 9001}', "Address: expected str"),
            (b'{"address": "a", "Address": "b", "port": 1}', "given twice, as address and Address"),
            (b'{"port": 1, "port": 2}', "given twice"),
            (b'{"port": 9001, "shared_files": -1}', "shared_files"),
            (b'{"port": 9001, "id": "%s"}' % (b"x" * 300), "300 characters"),
            (b'{"port": 9001, "wire_peer_id": "short"}', "wire_peer_id short"),
        ):
            text = self.refused(self.ask("POST", "/api/v1/peers/register", JSON, body=body), 400)
            self.assertIn(word, text)
        self.assertEqual(self.peers(), {})

    def test_wire_peer_id(self) -> None:
        """A node may say by which peer_id it announces, as text or in hexadecimal digits."""
        for given, kept in (("-XX0001-000000000001", "-XX0001-000000000001"), ("00" * 20, "00" * 20)):
            self.register_peer("ann", wire_peer_id=given)
            node = self.successResultOf(self.catalogue.nodes.get("ann"))
            assert node is not None
            self.assertEqual(node.wire_peer_id, kept)

    def test_f74_other_types(self) -> None:
        """JSON that calls itself plain text, as a form from elsewhere could send it, is 415."""
        reply = self.ask("POST", "/api/v1/peers/register", "Content-Type: text/plain", body=b'{"port": 9001}')
        self.refused(reply, 415)

    def test_f74_pages_from_elsewhere(self) -> None:
        """A page from elsewhere may not write, and gets no wildcard that would let it read."""
        reply = self.post("/api/v1/peers/register", {"port": 9001}, "Origin: https://evil.example")
        self.refused(reply, 403)
        self.assertNotIn(
            "access-control-allow-origin", self.get("/api/v1/peers", "Origin: https://evil.example").headers
        )

    def test_f75_token(self) -> None:
        """With a token, all that writes needs it, and all that reads does not."""
        self.start(token=TOKEN)
        for path in (
            "/api/v1/peers/register",
            "/api/v1/peers/heartbeat",
            "/api/v1/files/register",
            "/api/v1/files/unregister",
            "/api/v1/files/x/rating",
        ):
            self.refused(self.post(path, {}), 401)
            self.assertIn(self.post(path, {}, BEARER).status, (400, 404))
        for path in ("peers", "files", "files/search", "stats", "swarms", "activity"):
            self.assertEqual(self.get(f"/api/v1/{path}").status, 200)

    def test_f73_foreign_host(self) -> None:
        """Who means another host is told so, whatever it asks for."""
        for path in ("/api/v1/peers", "/api/v1/files/search", "/download/x", "/ws", "/events"):
            self.refused(self.get(path, host="evil.example"), 421)

    def test_rate(self) -> None:
        """One address cannot write as often as it likes; another one is not affected."""
        self.start(SuperpeerLimits(writes_per_second=1, write_burst=2))
        statuses = [self.beat("nobody").status for _ in range(3)]
        self.assertEqual(statuses, [404, 404, 429])
        reply = self.connect("203.0.113.8").ask("POST", "/api/v1/peers/heartbeat", "X-Peer-ID: nobody")
        self.assertEqual(reply.status, 404)
        self.clock.advance(1)
        self.assertEqual(self.beat("nobody").status, 404)


class HeartbeatTests(SuperpeerCase):
    """Nodes that are heard of, and those that are not."""

    def setUp(self) -> None:
        super().setUp()
        self.liveness.startService()
        self.addCleanup(self.liveness.stopService)

    def advance(self, seconds: int) -> None:
        """Let time pass."""
        self.clock.pump([1] * seconds)

    def test_s2_3_heartbeats(self) -> None:
        """Without X-Peer-ID it is 400, of an unknown node 404, else 200 with nothing in it, and last_seen moves."""
        self.refused(self.ask("POST", "/api/v1/peers/heartbeat"), 400)
        self.refused(self.ask("POST", "/api/v1/peers/heartbeat", "X-Peer-ID:"), 400)
        self.refused(self.beat("p1"), 404)
        self.register_peer("p1")
        self.advance(10)
        reply = self.beat("p1")
        self.assertEqual((reply.status, reply.body), (200, b""))
        self.assertEqual(datetime.fromisoformat(self.peers()["p1"]["last_seen"]).timestamp(), TODAY + 10)

    def test_goodbye(self) -> None:
        """A node that says goodbye is offline at once, stays listed, and is back with its next heartbeat."""
        self.refused(self.ask("POST", "/api/v1/peers/offline", "X-Peer-ID: p1"), 404)
        self.register_peer("p1")
        reply = self.ask("POST", "/api/v1/peers/offline", "X-Peer-ID: p1")
        self.assertEqual((reply.status, reply.body), (200, b""))
        self.assertFalse(self.peers()["p1"]["is_online"])
        self.beat("p1")
        self.assertTrue(self.peers()["p1"]["is_online"])

    def test_s2_4_silence(self) -> None:
        """A node silent for 120 s is offline at the next look, and back with its next heartbeat."""
        self.register_peer("p1")
        self.register_peer("p2", 9002)
        self.advance(60)
        self.beat("p2")
        self.advance(60)
        self.assertTrue(self.peers()["p1"]["is_online"])
        self.advance(30)
        self.assertEqual({key: peer["is_online"] for key, peer in self.peers().items()}, {"p1": False, "p2": True})
        stats = self.value_of("/api/v1/stats")
        self.assertEqual((stats["total_peers"], stats["online_peers"], stats["network_health"]), (2, 1, 50))
        self.assertEqual(self.beat("p1").status, 200)
        self.assertTrue(self.peers()["p1"]["is_online"])
        self.assertEqual(self.value_of("/api/v1/stats")["network_health"], 100)

    def test_news_of_silence(self) -> None:
        """A node that is offline now is news, once."""
        self.register_peer("p1")
        self.advance(300)
        offline = [event["data"] for event in self.value_of("/api/v1/activity")["events"][:-1]]
        self.assertEqual([(peer["id"], peer["is_online"]) for peer in offline], [("p1", False)])

    def test_restart(self) -> None:
        """Nodes that were online before a restart have two minutes to be heard of."""
        self.register_peer("p1")
        self.liveness.stopService()
        self.advance(600)
        self.liveness = Liveness(self.catalogue.nodes, self.news, self.clock)
        self.liveness.startService()
        self.advance(90)
        self.assertTrue(self.peers()["p1"]["is_online"])
        self.advance(30)
        self.assertFalse(self.peers()["p1"]["is_online"])

    def test_stopped(self) -> None:
        """Stopped, nobody is looked at any more, and no timer is left."""
        self.node("p1")
        self.liveness.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.advance(300)
        self.assertTrue(self.peers()["p1"]["is_online"])

    def test_trouble(self) -> None:
        """When the index cannot be asked, the next look tries again."""
        nodes = Troubled()
        liveness = Liveness(nodes, self.news, self.clock, silence=5, period=5)
        liveness.startService()
        self.addCleanup(liveness.stopService)
        self.advance(10)
        self.assertEqual(nodes.looks, [5, 5])
