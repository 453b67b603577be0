"""Tests of p2pshare.faces.superpeer, and of all its parts together."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from p2pshare.errors import StorageError
from p2pshare.faces.superpeer import routes
from p2pshare.faces.superpeer_files import tell_file
from p2pshare.index.records import ContentKey, Scheme
from p2pshare.web.openapi import describe
from p2pshare.web.routes import RouteTable
from tests.faces.serving import INFO_HASH
from tests.faces.superpeers import FILE, SuperpeerCase
from tests.web.connections import Reply
from tests.web.serving import JSON
from tests.web.test_websocket import Browser

_KNOWN = ["id", "ID", "address", "Address", "port", "Port", "shared_files", "SharedFiles", "region", "wire_peer_id"]
_SPELLED = ["Filename", "PeerAddress", "peerAddress", "file_id", "FileID", "rating"]
_NAMES = st.sampled_from([*FILE, *_KNOWN, *_SPELLED])
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["10.0.0.1", "10.0.0.1:9001", "ab" * 32, "ann", "x" * 300, "[::1]:80", "\0", "\ud800"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES | st.text(max_size=5), inner, max_size=6),
    max_leaves=12,
)
_BODIES = (_VALUES | st.dictionaries(_NAMES, _VALUES, max_size=8)).map(lambda value: json.dumps(value).encode())
_CHANGED = st.dictionaries(st.sampled_from(sorted({**FILE, "port": 1, "rating": 1})), _VALUES, max_size=3)
_WRITES = st.sampled_from(["peers/register", "peers/heartbeat", "files/register", "files/unregister", "files/x/rating"])
_PARAMETERS = ["q", "category", "tags", "owner", "min_size", "max_size", "online", "sort", "limit", "offset", "other"]
_QUERIES = st.lists(
    st.tuples(
        st.sampled_from(_PARAMETERS),
        st.binary(max_size=30) | st.text(max_size=30).map(str.encode) | st.integers().map(lambda n: b"%d" % n),
    ),
    max_size=5,
)


class StatsTests(SuperpeerCase):
    """How the network stands."""

    def test_s2_11_six_fields(self) -> None:
        """There are six figures; with one of two nodes online the health is 50."""
        self.register_peer("p1")
        self.clock.advance(200)
        self.register_peer("p2", 9002)
        self.successResultOf(self.catalogue.nodes.drop_silent(100))
        self.catalogue.shares.count_download(self.register_file())
        self.assertEqual(
            self.value_of("/api/v1/stats"),
            {
                "total_peers": 2,
                "online_peers": 1,
                "total_files": 1,
                "total_downloads": 1,
                "network_health": 50.0,
                "last_updated": "2023-11-14T22:16:40.000000Z",
            },
        )

    def test_s2_11_nobody(self) -> None:
        """Without nodes the health is 0."""
        self.assertEqual(self.value_of("/api/v1/stats")["network_health"], 0)


class LiveTests(SuperpeerCase):
    """What pages hear."""

    def test_s2_10_news(self) -> None:
        """A socket hears the stats first, then of each node and file, with the object and the time."""
        self.register_peer("p0", 9000)
        browsers = [Browser(self.connect()) for _ in range(2)]
        self.register_peer("p1")
        self.clock.advance(2)
        file_id = self.register_file(owner="p1")
        for browser in browsers:
            first, peer, stats, file = browser.values()
            self.assertEqual((first["type"], first["data"]["total_peers"]), ("stats_update", 1))
            self.assertEqual((stats["type"], stats["data"]["total_peers"]), ("stats_update", 2))
            self.assertEqual(peer["type"], "peer_registered")
            self.assertEqual(peer["data"], self.peers()["p1"])
            self.assertEqual(peer["timestamp"], "2023-11-14T22:13:20.000000Z")
            self.assertEqual(file["type"], "file_registered")
            self.assertEqual(file["data"], self.value_of("/api/v1/files")[0])
            self.assertEqual((file["data"]["id"], file["timestamp"]), (file_id, "2023-11-14T22:13:22.000000Z"))

    def test_s2_10_heartbeats(self) -> None:
        """Heartbeats have the stats told, once a second."""
        self.register_peer("p1")
        browser = Browser(self.connect())
        self.clock.advance(2)
        for _ in range(10):
            self.beat("p1")
        self.clock.advance(1)
        self.assertEqual([message["type"] for message in browser.values()], ["stats_update"] * 2)

    def test_activity(self) -> None:
        """Who comes later can ask what happened, the latest first."""
        self.register_peer("p1")
        file_id = self.register_file()
        self.post("/api/v1/files/unregister", {"file_id": file_id})
        events = self.value_of("/api/v1/activity")["events"]
        self.assertEqual(
            [event["type"] for event in events], ["file_unregistered", "file_registered", "peer_registered"]
        )
        self.assertEqual(sorted(events[0]), ["data", "timestamp", "type"])

    def test_uploads(self) -> None:
        """A file that came another way is news, too; one that is not there any more is not."""
        key = ContentKey(Scheme.BTIH, self.torrent(owner="uploads").info_hash)
        for owner in ("uploads", "nobody"):
            self.successResultOf(Deferred.fromCoroutine(tell_file(self.catalogue.shares, self.news, key, owner)))
        (event,) = self.value_of("/api/v1/activity")["events"]
        self.assertEqual((event["type"], event["data"]["info_hash"]), ("file_registered", INFO_HASH.hex()))

    def test_nothing_happened(self) -> None:
        """Where nothing happened, lists are empty, and no null."""
        self.assertEqual(self.value_of("/api/v1/activity"), {"events": []})
        self.assertEqual(self.value_of("/api/v1/swarms"), {"swarms": []})

    def test_swarms(self) -> None:
        """Swarms come with the fields that the page draws."""
        self.torrent(name="album")
        self.announce()
        self.announce(peer=2, left=1)
        self.history.startService()
        self.addCleanup(self.history.stopService)
        self.assertEqual(
            self.value_of("/api/v1/swarms"),
            {
                "swarms": [
                    {
                        "info_hash": INFO_HASH.hex(),
                        "name": "album",
                        "seeders": 1,
                        "leechers": 1,
                        "completed": 0,
                        "history": [2],
                    }
                ]
            },
        )

    def test_s2_17_popular(self) -> None:
        """What the page needs to show a content of three owners once: the same hash, and the most fetched first."""
        for owner in ("a", "b", "c"):
            self.register_file(owner=owner)
        for _ in range(3):
            self.catalogue.shares.count_download(self.register_file(owner="b"))
        self.successResultOf(self.catalogue.memberships.flush())
        found = self.value_of("/api/v1/files/search?sort=downloads&limit=100")["results"]
        self.assertEqual((len(found), len({file["hash"] for file in found}), found[0]["owner"]), (3, 1, "b"))


class AnyRequestTests(SuperpeerCase):
    """Whatever is said is answered, and not with an error of ours."""

    def setUp(self) -> None:
        super().setUp()
        self.start(exempt=("0.0.0.0/0",))

    def fine(self, reply: Reply) -> None:
        """Make sure that an answer is one, and tells nothing of how it was made."""
        self.assertLess(reply.status, 500, reply.body)
        if reply.status >= 400:
            self.assertEqual(list(self.read(reply)), ["error"])
        for word in (b"Traceback", b'File "', b".py", b"sqlite", b"msgspec"):
            self.assertNotIn(word, reply.body)

    @given(_WRITES, _BODIES | st.binary(max_size=60))
    @settings(max_examples=80, deadline=None)
    def test_any_body(self, path: str, body: bytes) -> None:
        """Any body, JSON or not, is answered."""
        self.fine(self.ask("POST", f"/api/v1/{path}", JSON, "X-Peer-ID: ann", body=body))

    @given(_WRITES, _CHANGED)
    @settings(max_examples=80, deadline=None)
    def test_nearly_right(self, path: str, changes: dict[str, Any]) -> None:
        """A body that is right but for a field or two is answered, and what was taken in can be listed."""
        body = json.dumps({**FILE, "address": "10.0.0.1", "port": 9001, "rating": 3, **changes}).encode()
        self.fine(self.ask("POST", f"/api/v1/{path}", JSON, "X-Peer-ID: ann", body=body))
        for listed in ("peers", "files", "activity"):
            self.assertEqual(self.get(f"/api/v1/{listed}").status, 200)

    @given(_QUERIES)
    @settings(max_examples=80, deadline=None)
    def test_any_query(self, query: list[tuple[str, bytes]]) -> None:
        """Any words of any query are answered."""
        text = "&".join(f"{name}={quote(value)}" for name, value in query)
        for path in ("files/search", "files", "stats", "swarms"):
            self.fine(self.get(f"/api/v1/{path}?{text}"))

    @given(st.binary(min_size=1, max_size=60), st.binary(max_size=30))
    @settings(max_examples=100, deadline=None)
    def test_any_id(self, file_id: bytes, header: bytes) -> None:
        """Any id is answered: there is nothing of that name."""
        given = "X-Peer-ID: " + "".join(chr(byte) for byte in header if 0x20 <= byte < 0x7F)
        self.assertEqual(self.get(f"/download/{quote(file_id, safe='')}").status, 404)
        reply = self.post(f"/api/v1/files/{quote(file_id, safe='')}/rating", {"rating": 1}, given)
        self.assertEqual(reply.status, 404)


class TroubleTests(SuperpeerCase):
    """When the index cannot be asked."""

    def test_f78_trouble(self) -> None:
        """The answer is 500 with a name for the entry in the log, and nothing of what went wrong."""

        async def fail(*_: object) -> object:
            raise StorageError("/srv/secret/index.db: disk I/O error")

        self.patch(type(self.catalogue.shares), "get", fail)
        text = self.refused(self.get("/download/x"), 500)
        self.assertRegex(text, r"^an error of this service; its log calls it [0-9a-f]{8}$")
        self.assertEqual(len(self.flushLoggedErrors(StorageError)), 1)


class DocumentTests(SuperpeerCase):
    """How it is documented."""

    def test_bodies(self) -> None:
        """The description names the fields of bodies, and which of them have to be there."""
        document = describe(RouteTable(routes(self.catalogue, self.news, self.history, self.now)), "x", "1")
        body = document["paths"]["/api/v1/files/register"]["post"]["requestBody"]
        schema = body["content"]["application/json"]["schema"]
        self.assertEqual(sorted(schema["properties"]), sorted([*FILE, "torrent"]))
        self.assertEqual(sorted(schema["required"]), ["filename", "hash", "owner", "size"])
        self.assertTrue(body["required"])
