"""Tests of p2pshare.faces.node, node_site, node_news, node_search and node_stats over connections."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pshare import __version__
from p2pshare.errors import IndexRefused, IndexUnreachable
from tests.faces.nodes import LARGEST, OWNER, NodeCase
from tests.web.serving import BEARER, TOKEN
from tests.web.test_websocket import Browser

_PARAMETERS = ["q", "category", "tags", "owner", "min_size", "max_size", "online", "sort", "limit", "offset", "scope"]
_QUERIES = st.lists(
    st.tuples(
        st.sampled_from([*_PARAMETERS, "other"]),
        st.text(max_size=20) | st.integers().map(str) | st.sampled_from(["local", "true", "nan", "1e9", "\0"]),
    ),
    max_size=5,
)
_NONSENSE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["results", "count", "total", "id", "filename", "size", "tags"]), inner)
    ),
    max_leaves=10,
)
FOUND = {"id": "0123456789abcdef", "filename": "<b>song</b>.mp3", "size": 100, "owner": "ann", "more": [1, 2]}


class InfoTests(NodeCase):
    """Who a node is."""

    def test_info(self) -> None:
        """It says by which names it is known, what it shares, and what it takes."""
        self.put("a.txt", b"12345")
        self.put("b.txt", b"123")
        self.assertEqual(
            self.value_of("/api/v1/info"),
            {
                "id": OWNER,
                "address": "192.0.2.7:8081",
                "region": "",
                "super_peer": "http://index.example:8000",
                "is_registered": False,
                "trouble": None,
                "peer_port": 0,
                "trackers": [],
                "shared_files": 2,
                "shared_bytes": 8,
                "problems": 0,
                "max_file_size": LARGEST,
                "version": __version__,
            },
        )

    def test_stats(self) -> None:
        """There are three groups of figures, all of them 0 at first."""
        stats = self.value_of("/api/v1/stats")
        self.assertEqual(stats["download_stats"], {"total_downloads": 0, "total_bytes": 0, "active_downloads": 0})
        self.assertEqual(stats["upload_stats"], {"total_uploads": 0, "total_bytes": 0, "active_uploads": 0})
        self.assertEqual(set(stats), {"download_stats", "upload_stats", "swarm_stats"})


class SearchTests(NodeCase):
    """How files are found from a node."""

    def ask_index(self, reply: Any, query: str = "") -> Any:
        assert self.index is not None
        self.index.reply = reply
        return self.get(f"/api/v1/search{query}")

    def test_s2_16_proxy(self) -> None:
        """It asks the index with everything that was said, and passes on what that found."""
        assert self.index is not None
        query = "?q=a+song&category=audio&tags=x&tags=y&owner=ann&min_size=1&max_size=9&online=true&sort=size&limit=5"
        reply = self.ask_index({"results": [FOUND], "count": 1, "query": "a song", "total": 17}, f"{query}&offset=3")
        self.assertEqual(reply.status, 200, reply.body)
        self.assertEqual(self.read(reply), {"results": [FOUND], "count": 1, "query": "a song", "total": 17})
        expected = {"q": "a song", "category": "audio", "tags": ["x", "y"], "owner": "ann", "min_size": 1}
        expected |= {"max_size": 9, "online": "true", "sort": "size", "limit": "5", "offset": "3"}
        self.assertEqual(self.index.asked, [("GET", "/api/v1/files/search", expected)])

    def test_s2_16_index_down(self) -> None:
        """When the index is down, or refuses, that is 502 in the words of the specification."""
        assert self.index is not None
        for error in (IndexUnreachable("connection refused"), IndexRefused("no", 401), IndexRefused("broken", 500)):
            self.index.error = error
            self.assertEqual(self.refused(self.get("/api/v1/search?q=x"), 502), "Failed to search files")

    def test_s2_16_nonsense(self) -> None:
        """So it is when the index answers something that no list of files is."""
        whole = {"results": [FOUND], "count": 1}
        for reply in (
            None,
            [],
            "files",
            {"results": {}},
            {"results": [1]},
            {"results": [{"id": "x"}]},
            {**whole, "results": [{**FOUND, "filename": {"__html": "x"}}]},
            {**whole, "results": [{**FOUND, "rating": "5"}]},
            {**whole, "count": "many"},
        ):
            self.assertEqual(self.refused(self.ask_index(reply), 502), "Failed to search files", reply)

    def test_other_indexes(self) -> None:
        """An index that says null when there is nothing, and no total, is understood."""
        self.assertEqual(self.read(self.ask_index({"results": None, "count": 0}))["results"], [])
        self.assertEqual(self.read(self.ask_index({"results": [FOUND], "count": 1}))["total"], 1)

    @given(_NONSENSE)
    @settings(max_examples=100, deadline=None)
    def test_any_reply(self, reply: object) -> None:
        """Whatever the index says, the answer is a list or a 502."""
        self.assertIn(self.ask_index(reply).status, (200, 502))

    def test_local(self) -> None:
        """With scope=local only the files here are searched, by name, category, tag and size, and sorted."""
        assert self.index is not None
        for name, size in (("song one.mp3", 3), ("Song Two.mp3", 2), ("sub/holiday photo.jpg", 1)):
            self.put(name, bytes(size))
        for query, names in (
            ("", ["sub/holiday photo.jpg", "Song Two.mp3", "song one.mp3"]),
            ("q=SONG", ["Song Two.mp3", "song one.mp3"]),
            ("q=song+two", ["Song Two.mp3"]),
            ("q=sub/", ["sub/holiday photo.jpg"]),
            ("category=image", ["sub/holiday photo.jpg"]),
            ("tags=music&sort=name", ["song one.mp3", "Song Two.mp3"]),
            ("tags=music&tags=photo", []),
            ("sort=size&limit=1", ["song one.mp3"]),
            ("sort=size&limit=1&offset=1", ["Song Two.mp3"]),
            ("min_size=2&max_size=2", ["Song Two.mp3"]),
            (f"owner={OWNER}&q=one", ["song one.mp3"]),
            ("owner=somebody", []),
            ("online=false", []),
        ):
            found = self.value_of(f"/api/v1/search?scope=local&{query}")
            self.assertEqual([file["filename"] for file in found["results"]], names, query)
            self.assertEqual(found["count"], len(names))
        self.assertEqual(self.value_of("/api/v1/search?scope=local&limit=1")["total"], 3)
        self.assertEqual(self.index.asked, [])

    def test_without_index(self) -> None:
        """A node without an index searches among its own files."""
        self.index = None
        self.begin()
        self.put("a.txt")
        self.assertEqual(self.value_of("/api/v1/search?q=a")["count"], 1)

    def test_bad_queries(self) -> None:
        """What cannot be meant is refused here already."""
        for query, word in (
            ("min_size=x", "min_size"),
            ("scope=world", "scope"),
            ("q=a&q=b", "q"),
            ("online=7", "online"),
        ):
            self.assertIn(word, self.refused(self.get(f"/api/v1/search?{query}"), 400), query)

    @given(_QUERIES)
    @settings(max_examples=150, deadline=None)
    def test_any_query(self, query: list[tuple[str, str]]) -> None:
        """No query is an error of ours, here or at the index."""
        for scope in ("", "&scope=local"):
            self.assertIn(self.get(f"/api/v1/search?{urlencode(query)}{scope}").status, (200, 400))


class LiveTests(NodeCase):
    """What pages hear."""

    def kinds(self, browser: Browser) -> list[str]:
        return [value["type"] for value in browser.values()]

    def test_peer_info_first(self) -> None:
        """A socket hears first who this node is, then what moves."""
        self.put("a.txt")
        first, second = Browser(self.connect()).values()
        self.assertEqual(first["type"], "peer_info")
        self.assertEqual(first["data"], self.value_of("/api/v1/info"))
        self.assertTrue(first["timestamp"].startswith("2023-11-14T22:13:2"))
        self.assertEqual(second["type"], "transfers")
        self.assertEqual(second["data"], {"torrents": [], "total": 0, "down_rate": 0, "up_rate": 0})

    def test_s2_13_watched(self) -> None:
        """A file that comes into the folder is told of, and so is one that goes; what stays is not."""
        browser = Browser(self.connect())
        browser.values()
        self.put("a.txt")
        added = [value for value in browser.values() if value["type"] == "file_added"]
        self.assertEqual([value["data"]["filename"] for value in added], ["a.txt"])
        self.assertEqual(added[0]["data"], self.value_of("/api/v1/files")[0])
        self.look()
        self.look()
        self.assertEqual(set(self.kinds(browser)) - {"peer_info"}, set())
        (self.folder / "a.txt").unlink()
        self.look()
        removed = [value for value in browser.values() if value["type"] == "file_removed"]
        self.assertEqual([value["data"]["is_available"] for value in removed], [False])

    def test_shared_and_unshared(self) -> None:
        """What is shared and taken back over HTTP has names of its own, and is told once."""
        browser = Browser(self.connect())
        browser.values()
        key = self.read(self.upload("a.txt"))["file_id"]
        self.assertEqual([kind for kind in self.kinds(browser) if kind.startswith("file")], ["file_shared"])
        self.ask("DELETE", f"/api/v1/files/unshare/{key}?delete=true")
        self.look()
        self.assertEqual([kind for kind in self.kinds(browser) if kind.startswith("file")], ["file_unshared"])
        self.put("a.txt")
        self.assertEqual([kind for kind in self.kinds(browser) if kind.startswith("file")], ["file_added"])

    def test_standing(self) -> None:
        """When the index begins to know the node, pages are told within a second, once."""
        browser = Browser(self.connect())
        browser.values()
        self.clock.advance(1)
        browser.values()
        self.standing = evolve(self.standing, is_registered=True)
        for _ in range(3):
            self.clock.advance(1)
        (told,) = browser.values()
        self.assertEqual((told["type"], told["data"]["is_registered"]), ("peer_info", True))

    def test_nobody_listens(self) -> None:
        """While nobody listens nothing is counted, whatever happens."""
        self.node.news._transfers = lambda: self.fail("counted")
        self.clock.advance(1)
        self.put("a.txt")

    def test_stops(self) -> None:
        """When the node stops, sockets are closed and no timer is left."""
        browser = Browser(self.connect())
        browser.values()
        self.successResultOf(self.node.stopService())
        self.library.stopService()
        browser.heard()
        self.assertTrue(browser.connection.is_closing)
        browser.connection.lose()
        self.clock.advance(self.limits.linger)
        self.assertEqual([call.func for call in self.clock.getDelayedCalls() if "LoopingCall" in str(call.func)], [])

    def test_f80_foreign_page(self) -> None:
        """A page from elsewhere gets no socket."""
        connection = self.connect()
        Browser(connection, ("Origin", "http://evil.example"))
        (reply,) = connection.replies()
        self.refused(reply, 403)
        self.assertEqual(len(self.node.news.hub), 0)


class SiteTests(NodeCase):
    """What stands beside the routes."""

    def test_page(self) -> None:
        """The page is there, with everything it loads, and nothing comes from elsewhere."""
        page = self.get("/")
        self.assertEqual((page.status, page.headers["content-type"]), (200, "text/html; charset=utf-8"))
        self.assertIn("default-src 'self'", page.headers["content-security-policy"])
        for name in ("base.css", "base.js", "node.css", "node.js", "theme.js", "vendor/preact-htm.js"):
            self.assertEqual(self.get(f"/static/{name}").status, 200, name)
        self.assertNotIn(b"http", page.body)

    def test_health_and_metrics(self) -> None:
        """Whoever starts it sees that it lives, and Prometheus how it does."""
        self.put("a.txt", b"12345")
        key = self.value_of("/api/v1/files")[0]["id"]
        self.get(f"/download/{key}")
        self.assertEqual(self.value_of("/health"), {"status": "healthy"})
        self.assertEqual(self.get("/ready").status, 200)
        metrics = self.get("/metrics").body.decode()
        for line in ("node_shared_files 1.0", "node_uploads_total 1.0", "node_upload_bytes_total 5.0"):
            self.assertIn(f"p2pshare_{line}\n", metrics)
        self.node.stopService()
        self.assertEqual(self.get("/ready").status, 503)

    def test_documented(self) -> None:
        """Every route is in the description, and those that change something take a token."""
        document = self.value_of("/openapi.json")
        paths = document["paths"]
        self.assertEqual(
            sorted(paths),
            [
                "/api/v1/download/{file_id}",
                "/api/v1/files",
                "/api/v1/files/share",
                "/api/v1/files/unshare/{file_id}",
                "/api/v1/info",
                "/api/v1/search",
                "/api/v1/stats",
                "/api/v1/torrents",
                "/api/v1/torrents/{info_hash}",
                "/api/v1/torrents/{info_hash}/pause",
                "/api/v1/torrents/{info_hash}/recheck",
                "/api/v1/torrents/{info_hash}/resume",
                "/api/v1/upload",
                "/download",
                "/download/{file_id}",
            ],
        )
        for path, methods in paths.items():
            for method, operation in methods.items():
                self.assertEqual("security" in operation, method != "get", f"{method} {path}")

    def test_f75_token(self) -> None:
        """With a token set, reading goes without it, and what changes something does not."""
        self.begin(token=TOKEN)
        self.assertEqual(self.get("/api/v1/files").status, 200)
        for path in ("/api/v1/torrents/x/pause", "/api/v1/torrents/x/recheck"):
            self.refused(self.ask("POST", path), 401)
            self.refused(self.ask("POST", path, BEARER), 404)
