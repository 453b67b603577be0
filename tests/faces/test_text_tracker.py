"""The tracker of text swarms, and what "/" is for whom."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st

from p2pshare.faces.banner import banner_views
from p2pshare.faces.text_tracker import TextPeer, TextSwarms, TextTracker
from p2pshare.web.guard import Guard
from p2pshare.web.paths import Access, View
from tests.web.connections import Reply
from tests.web.serving import TOKEN, ServedCase

MANY = 100_000  # connections: none is closed here
H, OTHER = "e1bc3ba85b832a12e5537300fa1def22727f330e", "0" * 40
P, Q = "a" * 40, "b" * 40
BROWSER = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"


class TextCase(ServedCase):
    """Has the face, and the page for people."""

    def setUp(self) -> None:
        super().setUp()
        self.begin()

    def begin(self, token: str | None = None, **limits: Any) -> None:
        """Start with other limits."""
        self.swarms = TextSwarms(self.clock.seconds, **limits)
        tracker = TextTracker(self.swarms)
        guard = Guard(self.clock.seconds, token=token)
        dashboard = View(lambda request: b"<html>", (b"GET", b"HEAD"), Access.SAME)
        views = {**tracker.views(), **banner_views(tracker.peers, dashboard, guard)}
        self.serve(views=views, token=token, connections=MANY, connections_per_address=MANY)

    def call(self, path: str, source: str = "127.0.0.1", **query: object) -> Reply:
        """Ask from some address, by a name that nobody has configured."""
        return self.connect(source).ask("GET", f"{path}?{urlencode(query)}", host="tracker:8000")

    def value(self, path: str, source: str = "127.0.0.1", **query: object) -> Any:
        """Read an answer."""
        reply = self.call(path, source, **query)
        self.assertEqual(reply.status, 200, reply.body)
        return self.read(reply)

    def register(self, peer_id: str, port: int = 6881, source: str = "127.0.0.1", torrent: str = H) -> None:
        """Register a peer."""
        said = self.value("/register", source, torrent_hash=torrent, peer_id=peer_id, port=port)
        self.assertEqual(said, {"status": "registered"})

    def ports(self, torrent: str = H) -> list[int]:
        """List a swarm."""
        return [peer["port"] for peer in self.value("/get_peers", torrent_hash=torrent)["peers"]]


class TextTrackerTests(TextCase):
    def test_s0_1_register(self) -> None:
        """A peer registers, and is told so in JSON."""
        reply = self.call("/register", torrent_hash=H, peer_id=P, port=6881)
        self.assertEqual((reply.status, reply.body), (200, b'{"status":"registered"}'))
        self.assertEqual(reply.headers["content-type"], "application/json")

    def test_s0_2_peers(self) -> None:
        """It is listed where it registered from, but not to itself; an unknown swarm is an empty one."""
        self.register(P)
        listed = {"peers": [{"ip": "127.0.0.1", "port": 6881}]}
        self.assertEqual(self.value("/get_peers", torrent_hash=H), listed)
        self.assertEqual(self.value("/", torrent_hash=H), listed)
        self.assertEqual(self.value("/get_peers", torrent_hash=H, peer_id=P), {"peers": []})
        self.assertEqual(self.value("/get_peers", torrent_hash=OTHER), {"peers": []})

    def test_s0_2_source(self) -> None:
        """Nobody registers anybody else: an address in the query is not read (F65)."""
        self.value("/register", "203.0.113.9", torrent_hash=H, peer_id=P, port=1, ip="10.0.0.1")
        self.assertEqual(self.value("/get_peers", torrent_hash=H), {"peers": [{"ip": "203.0.113.9", "port": 1}]})

    def test_s0_3_again(self) -> None:
        """A peer that registers again has its new port at its old place."""
        self.register(P)
        self.register(Q, 6882)
        self.register(P, 6900)
        self.assertEqual(self.ports(), [6900, 6882])

    def test_s0_4_status(self) -> None:
        """A status is echoed; only stopped changes something."""
        self.register(P)
        for status, left in (("completed", [6881]), ("wonderful", [6881]), ("stopped", []), ("stopped", [])):
            said = self.value("/status", torrent_hash=H, peer_id=P, status=status)
            self.assertEqual((said, self.ports()), ({"status": status}, left))
        self.assertEqual(len(self.swarms), 0)

    def test_s0_5_refused(self) -> None:
        """What is missing or no port is refused in words, and the tracker goes on."""
        right = {"torrent_hash": H, "peer_id": P, "port": "6881", "status": "x"}
        needed = {"/register": ("torrent_hash", "peer_id", "port"), "/get_peers": ("torrent_hash",)}
        needed["/status"] = ("torrent_hash", "peer_id", "status")
        for path, names in needed.items():
            for name in names:
                less = {key: value for key, value in right.items() if key != name}
                self.assertIn(name, self.refused(self.call(path, **less), 400))
        for port in ("0", "65536", "x", "+1", "-1", "1_0", "٣", "999999"):
            self.refused(self.call("/register", **{**right, "port": port}), 400)
        for long in ("torrent_hash", "peer_id"):
            self.refused(self.call("/register", **{**right, long: "x" * 129}), 400)
        self.refused(self.get(f"/get_peers?torrent_hash={H}&torrent_hash={OTHER}"), 400)
        self.refused(self.get("/get_peers?torrent_hash=%ff"), 400)
        self.refused(self.call("/other"), 421)
        self.refused(self.get("/other"), 404)
        self.register(P)

    def test_other_methods(self) -> None:
        """Only reading is done here; HEAD has the length of the answer."""
        self.assertEqual(self.ask("POST", f"/register?torrent_hash={H}").status, 405)
        reply = self.ask("HEAD", f"/get_peers?torrent_hash={H}")
        self.assertEqual((reply.status, reply.headers["content-length"]), (200, "12"))

    def test_one_swarm_too_large(self) -> None:
        """When one swarm is too large, whoever came first goes; even where one is the limit."""
        self.begin(most_peers=2)
        for number, name in enumerate("abc"):
            self.register(name, 7000 + number)
        self.assertEqual((self.ports(), len(self.swarms)), ([7001, 7002], 2))
        self.begin(most_peers=1)
        self.register("a", 1)
        self.register("b", 2)
        self.assertEqual((self.ports(), len(self.swarms)), ([2], 1))

    def test_too_many_in_all(self) -> None:
        """When all are too many, the swarm goes that was registered to longest ago."""
        self.begin(most=3)
        for torrent in ("one", "two", "three"):
            self.register(P, torrent=torrent)
        self.register(P, torrent="one")
        self.register(P, torrent="four")
        self.assertEqual(
            [bool(self.ports(torrent)) for torrent in ("one", "two", "three", "four")], [True, False, True, True]
        )
        self.assertEqual(len(self.swarms), 3)

    def test_lifetime(self) -> None:
        """Registrations last for ever, or as long as is set."""
        self.register(P)
        self.clock.advance(1e7)
        self.assertEqual(self.ports(), [6881])
        self.begin(lifetime=100.0)
        self.register(P)
        self.clock.advance(60)
        self.register(Q, 6882)
        self.clock.advance(60)
        self.assertEqual(self.ports(), [6882])

    @settings(max_examples=100, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["register", "leave", "peers"]),
                st.sampled_from("xyz"),
                st.sampled_from("abcd"),
                st.integers(1, 9),
            ),
            max_size=60,
        )
    )
    def test_counted(self, steps: list[tuple[str, str, str, int]]) -> None:
        """Whatever comes, the count is that of the peers listed, and within its limits."""
        swarms = TextSwarms(self.clock.seconds, most_peers=3, most=5)
        for step, torrent, peer_id, port in steps:
            if step == "register":
                swarms.register(torrent, peer_id, TextPeer("127.0.0.1", port))
                self.assertIn(port, [peer.port for peer in swarms.peers(torrent)])
            elif step == "leave":
                swarms.leave(torrent, peer_id)
            self.assertEqual(len(swarms), sum(len(swarms.peers(torrent)) for torrent in "xyz"))
            self.assertLessEqual(len(swarms), 5)

    @settings(max_examples=100, deadline=None)
    @given(
        st.sampled_from(["/register", "/get_peers", "/status", "/"]),
        st.dictionaries(st.sampled_from(["torrent_hash", "peer_id", "port", "status", "x"]), st.binary(max_size=60)),
    )
    def test_f62_any_query(self, path: str, query: dict[str, bytes]) -> None:
        """Whatever is asked, the answer is JSON, and never an error of ours."""
        reply = self.get(f"{path}?{urlencode(query)}")
        self.assertIn(reply.status, (200, 400))
        self.read(reply)


class BannerTests(TextCase):
    def test_program(self) -> None:
        """A program is told what this is."""
        told = self.value("/")
        self.assertCountEqual(told, ["message", "version", "docs"])
        self.assertEqual(told["docs"], "/docs")

    def test_person(self) -> None:
        """A browser gets the dashboard, from one and the same path, which caches have to know."""
        reply = self.get("/", BROWSER)
        self.assertEqual((reply.status, reply.body, reply.headers["vary"]), (200, b"<html>", "Accept"))
        self.assertIn("frame-ancestors 'none'", reply.headers["content-security-policy"])

    def test_f73_foreign_host(self) -> None:
        """Whoever was led here under another name sees no dashboard; text swarms may call us what they like."""
        self.refused(self.get("/", BROWSER, host="evil.example"), 421)
        self.assertEqual(self.get(f"/?torrent_hash={H}", BROWSER, host="tracker").status, 200)

    def test_f75_entry(self) -> None:
        """The URL with the token, as it is printed at the start, sets the cookie and goes on without it."""
        self.begin(token=TOKEN)
        reply = self.get(f"/?token={TOKEN}", BROWSER)
        self.assertEqual((reply.status, reply.headers["location"]), (303, "/"))
        self.assertIn(TOKEN, reply.headers["set-cookie"])
