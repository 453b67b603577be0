"""The REST tracker, row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import Connection, text
from twisted.internet.defer import fail

from p2pshare import __version__
from p2pshare.errors import DiskFull, P2PShareError, StorageError
from p2pshare.faces.banner import banner_views
from p2pshare.faces.rest_tracker import rest_tracker_routes
from p2pshare.faces.rest_tracker_record import RecordedSwarms
from p2pshare.faces.text_tracker import TextSwarms, TextTracker
from p2pshare.index.catalogue import Catalogue
from p2pshare.index.database import open_database
from p2pshare.index.lanes import Busy
from p2pshare.index.torrents import Torrents
from p2pshare.json_torrent import json_info_hash, read_json
from p2pshare.metainfo import parse
from p2pshare.tracker.logic import Tracker
from p2pshare.tracker.private import Admission, Lists
from p2pshare.web.docs import docs_views
from p2pshare.web.guard import Guard
from p2pshare.web.health import health_views
from p2pshare.web.openapi import describe
from p2pshare.web.paths import Access, View
from p2pshare.web.routes import RouteTable
from p2pshare.wire.announce import AnnounceRequest
from tests.faces.rest import API, A, B, RestCase, pieces_of
from tests.faces.serving import TODAY
from tests.web.serving import JSON, run_now

NOBODY = "f" * 40
PEER_FIELDS = (
    *("id", "peer_id", "ip_address", "port", "torrent_id"),
    *("uploaded", "downloaded", "left", "is_seeder", "last_announce"),
)
TORRENT_FIELDS = (
    *("id", "info_hash", "name", "file_size", "piece_length"),
    *("num_pieces", "created_at", "seeders", "leechers", "completed"),
)


class ServiceTests(RestCase):
    def test_s3_1_health_banner_and_docs(self) -> None:
        """Programs find out that the service lives, what it is, and what it offers."""
        routes = rest_tracker_routes(self.catalogue, self.tracker, self.settings, self.uploads)
        document = describe(RouteTable(routes), "p2pshare", __version__)
        guard = Guard(self.clock.seconds)
        text = TextTracker(TextSwarms(self.clock.seconds))
        views = {**health_views({}), **docs_views(document)}
        views |= banner_views(text.peers, View(lambda request: b"", access=Access.SAME), guard)
        self.serve_face(self.uploads, views)
        self.assertEqual(self.value_of("/health"), {"status": "healthy"})
        self.assertCountEqual(self.value_of("/"), ["message", "version", "docs"])
        page = self.get("/docs")
        self.assertEqual((page.status, page.headers["content-type"]), (200, "text/html; charset=utf-8"))
        paths = self.value_of("/openapi.json")["paths"]
        expected = ["upload", "torrents", "torrents/{info_hash}", "torrents/{info_hash}/download", "announce"]
        expected += ["peers/{info_hash}", "users", "users/{peer_id}", "stats"]
        for path in expected:
            self.assertIn(f"{API}/{path}", paths)
        self.assertEqual(set(paths[f"{API}/announce"]), {"get", "post"})

    def test_s3_2_tables(self) -> None:
        """The database shows torrents, peers and users under the names and columns of this design."""
        columns = {
            "torrents": (
                "id info_hash name file_size piece_length num_pieces pieces_hash created_at seeders leechers completed"
            ),
            "peers": " ".join(PEER_FIELDS),
            "users": "id username peer_id created_at",
        }
        for table, names in columns.items():
            self.assertEqual(self.columns_of(table), names.split())

    def columns_of(self, table: str) -> list[str]:
        """Ask the database itself."""

        def look(connection: Connection) -> list[str]:
            return [row[1] for row in connection.execute(text(f"PRAGMA table_info({table})"))]

        return self.successResultOf(self.catalogue._database.read(look))

    def test_s3_2_restart(self) -> None:
        """Torrents, peers and users are there after a restart, with a database in a folder that was not."""
        file = Path(self.mktemp()) / "state" / "index.db"
        answers: list[list[Any]] = []
        for _ in range(2):
            database = open_database(str(file), self.now(), run_now, run_now)
            self.catalogue = Catalogue(database, self.clock, self.now, self.random)
            self.recorded = RecordedSwarms(self.swarms, self.catalogue.memberships, self.now)
            self.tracker = Tracker(self.recorded, self.settings, (), self.clock.seconds)
            self.begin()
            if not answers:
                info_hash = self.upload("a.bin", b"data")["info_hash"]
                self.peer(info_hash, A)
                user = self.read(self.post(f"{API}/users", {"username": "ann"}))["peer_id"]
            paths = ("torrents", f"peers/{info_hash}", f"users/{user}", "stats")
            answers.append([self.value_of(f"{API}/{path}") for path in paths])
            self.successResultOf(self.catalogue.stopService())
        self.assertEqual(answers[0], answers[1])
        self.assertEqual(answers[0][3]["active_peers"], 1)

    def test_f78_index_in_trouble(self) -> None:
        """When the index cannot answer, that is said with a status that tells when to come back, and no path."""
        troubles: list[tuple[P2PShareError, int, str]] = [
            (Busy("the index is busy"), 503, "1"),
            (StorageError("/var/x: I/O error"), 503, "10"),
            (DiskFull("/var/x: no room"), 507, "10"),
        ]
        for error, status, later in troubles:
            with patch.object(Torrents, "get", lambda self, digits, error=error: fail(error)):
                reply = self.get(f"{API}/torrents/{NOBODY}")
            self.assertNotIn("/var", self.detail(reply, status))
            self.assertEqual(reply.headers["retry-after"], later)

    def test_s3_9_words_of_unknown_paths(self) -> None:
        """Below the face's prefix, a path that leads nowhere is refused in the face's words."""
        self.assertEqual(self.detail(self.get(f"{API}/nothing"), 404), "not found")
        self.assertEqual(self.detail(self.get(f"{API}/upload"), 405), "only POST can be used here")


class TorrentTests(RestCase):
    def test_s3_5_one_and_all(self) -> None:
        """A torrent is found by its hash and in the list, whose newest come first and whose length can be limited."""
        one, two = self.upload("one.txt", b"1"), self.upload("two.txt", b"2")
        self.assertEqual(self.value_of(f"{API}/torrents"), [two, one])
        self.assertEqual(self.value_of(f"{API}/torrents?limit=1"), [two])
        self.assertEqual(self.value_of(f"{API}/torrents?limit=1&offset=1"), [one])
        self.assertEqual(self.read_torrent(one["info_hash"]), one)
        self.assertEqual(self.read_torrent(one["info_hash"].upper()), one)
        self.assertCountEqual(one, TORRENT_FIELDS)

    def test_s3_5_unknown(self) -> None:
        """A hash that nobody knows, and what is no hash at all, is not found, in these words."""
        for path in (NOBODY, "x", "%2e%2e"):
            self.assertEqual(self.detail(self.get(f"{API}/torrents/{path}"), 404), "Torrent not found")
        self.assertEqual(self.detail(self.get(f"{API}/torrents/{NOBODY}/download"), 404), "Torrent not found")
        self.assertEqual(self.detail(self.get(f"{API}/peers/{NOBODY}"), 404), "Torrent not found")

    def test_s3_5_mistyped(self) -> None:
        """A limit that is no number, or below nothing, is refused."""
        for limit in ("abc", "-1", ""):
            self.detail(self.get(f"{API}/torrents?limit={limit}"), 422)

    def test_s3_6_download(self) -> None:
        """What is downloaded describes the file: its pieces, its size, its name, and where to announce."""
        data = bytes(range(256)) * 2000
        row = self.upload("a file.bin", data)
        reply = self.get(f"{API}/torrents/{row['info_hash']}/download", host="10.1.2.3:8000")
        self.assertEqual(reply.headers["content-type"], "application/x-bittorrent")
        self.assertEqual(reply.headers["content-disposition"], 'attachment; filename="a file.bin.torrent"')
        content = parse(reply.body)
        self.assertEqual(content.info_hash.hex(), row["info_hash"])
        self.assertEqual(
            (content.pieces, content.total_length, content.name), (pieces_of(data), len(data), "a file.bin")
        )
        self.assertEqual(content.announce_tiers, (("http://10.1.2.3:8000/announce",),))

    def test_s3_6_json(self) -> None:
        """In JSON it is the same torrent, and its own hash finds it, too."""
        row = self.upload("a.bin", b"data")
        reply = self.get(f"{API}/torrents/{row['info_hash']}/download?format=json")
        told = self.read(reply)
        self.assertEqual(
            told["info"], {"length": 4, "name": "a.bin", "piece length": 262144, "pieces": pieces_of(b"data").hex()}
        )
        content = read_json(reply.body)
        self.assertEqual(content.info_hash.hex(), row["info_hash"])
        self.assertEqual(told["info_hash"], json_info_hash(content))
        self.assertEqual(self.read_torrent(told["info_hash"]), row)
        self.detail(self.get(f"{API}/torrents/{row['info_hash']}/download?format=xml"), 422)

    def test_described(self) -> None:
        """A torrent told in a few words can be downloaded when these are all there is to it."""
        content = read_json(self.get(self.download_of("x.bin", b"xyz", "json")).body)
        said = {
            "info_hash": content.info_hash.hex(),
            "name": "x.bin",
            "file_size": 3,
            "piece_length": 262144,
            "num_pieces": 1,
            "pieces_hash": content.pieces.hex(),
        }
        self.catalogue = self.open()
        self.serve_face()
        row = self.read(self.post(f"{API}/torrents", said))
        self.assertEqual((row["info_hash"], row["file_size"]), (said["info_hash"], 3))
        self.assertEqual(self.read(self.post(f"{API}/torrents", said)), row)
        again = parse(self.get(f"{API}/torrents/{row['info_hash']}/download").body)
        self.assertEqual(again.info_hash, content.info_hash)

    def test_described_by_its_json_hash(self) -> None:
        """Whoever names a torrent by the hash of its JSON form finds it by that, and by its info_hash."""
        content = read_json(self.get(self.download_of("x.bin", b"xyz", "json")).body)
        name = json_info_hash(content)
        self.catalogue = self.open()
        self.serve_face()
        fields = {"name": "x.bin", "file_size": 3, "piece_length": 262144, "num_pieces": 1}
        row = self.read(
            self.post(f"{API}/torrents", {"info_hash": name, **fields, "pieces_hash": content.pieces.hex()})
        )
        self.assertEqual(row["info_hash"], content.info_hash.hex())
        self.assertEqual(self.read_torrent(name), row)

    def test_described_in_part(self) -> None:
        """Without the digests it is listed, and peers can announce to it; there is no file to download."""
        said = {"info_hash": NOBODY, "name": "x", "file_size": 3, "piece_length": 262144, "num_pieces": 1}
        row = self.read(self.post(f"{API}/torrents", said))
        self.assertEqual(self.peer(NOBODY, A), {"peers": [], "interval": 1800})
        self.assertEqual(self.read_torrent(NOBODY), {**row, "seeders": 1})
        self.detail(self.get(f"{API}/torrents/{NOBODY}/download"), 404)

    def test_described_wrongly(self) -> None:
        """Fields that contradict each other are refused, each in words that name one."""
        right = {"info_hash": NOBODY, "name": "x", "file_size": 3, "piece_length": 262144, "num_pieces": 1}
        wrong: list[tuple[str, object, int]] = [
            ("info_hash", "xyz", 400),
            ("name", "", 422),
            ("file_size", -1, 422),
            ("num_pieces", 2, 422),
            ("piece_length", 0, 422),
            ("pieces_hash", "zz", 422),
            ("pieces_hash", "00", 422),
            ("other", 1, 422),
        ]
        for name, value, status in wrong:
            self.detail(self.post(f"{API}/torrents", {**right, name: value}), status)
        self.assertEqual(self.value_of(f"{API}/torrents"), [])

    def test_torrent_file(self) -> None:
        """A torrent file is entered under either of its hashes, and comes back with its own trackers."""
        file = self.get(self.download_of("x.bin", b"xyz")).body
        content = parse(file)
        self.catalogue = self.open()
        self.serve_face()
        path = f"{API}/torrents/{content.info_hash.hex()}"
        row = self.read(self.ask("PUT", path, "Content-Type: application/x-bittorrent", body=file))
        self.assertEqual(row["info_hash"], content.info_hash.hex())
        self.assertEqual(self.get(f"{path}/download", host="10.9.9.9").body, file)
        by_json = f"{API}/torrents/{json_info_hash(content)}"
        self.assertEqual(self.read(self.ask("PUT", by_json, "Content-Type: application/x-bittorrent", body=file)), row)

    def test_torrent_file_of_another(self) -> None:
        """A file that is not the torrent it is put as, or none at all, is refused."""
        file = self.get(self.download_of("x.bin", b"xyz")).body
        kind = "Content-Type: application/x-bittorrent"
        for body in (file, b"d", b"{", b"", b"i1e"):
            self.detail(self.ask("PUT", f"{API}/torrents/{NOBODY}", kind, body=body), 400)

    def download_of(self, name: str, data: bytes, form: str = "torrent") -> str:
        """Upload a file, and give the path of its torrent file."""
        return f"{API}/torrents/{self.upload(name, data)['info_hash']}/download?format={form}"


class AnnounceTests(RestCase):
    def setUp(self) -> None:
        super().setUp()
        self.row = self.upload("a.bin", b"data")
        self.hash: str = self.row["info_hash"]

    def test_s3_7_two_peers(self) -> None:
        """Each hears of the other, with all there is to say; both are listed and counted at once."""
        self.assertEqual(self.peer(self.hash, A), {"peers": [], "interval": 1800})
        reply = self.peer(self.hash, B, 6882, left=4, downloaded=7)
        (other,) = reply["peers"]
        self.assertCountEqual(other, PEER_FIELDS)
        self.assertEqual(reply["interval"], 1800)
        self.assertEqual(
            (other["peer_id"], other["ip_address"], other["port"], other["torrent_id"], other["is_seeder"]),
            (A, "127.0.0.1", 6881, self.row["id"], True),
        )
        listed = self.value_of(f"{API}/peers/{self.hash}")
        self.assertEqual(
            {peer["peer_id"]: (peer["left"], peer["downloaded"]) for peer in listed}, {A: (0, 0), B: (4, 7)}
        )
        row = self.read_torrent(self.hash)
        self.assertEqual((row["seeders"], row["leechers"]), (1, 1))

    def test_s3_7_post(self) -> None:
        """What a query says, a body may say, too."""
        self.peer(self.hash, A)
        said = {"info_hash": self.hash, "peer_id": B, "port": 6882, "left": 4, "event": "started", "ip": None}
        reply = self.read(self.post(f"{API}/announce", said, host="tracker"))
        self.assertEqual([peer["peer_id"] for peer in reply["peers"]], [A])

    def test_s3_7_same_swarm_as_bittorrent(self) -> None:
        """Peers of this face and of BitTorrent's are in one swarm, and hear of each other."""
        info_hash = bytes.fromhex(self.hash)
        self.peer(self.hash, A, 6881)
        source = self.site.sources.of("127.0.0.2")
        hits = self.tracker.announce(AnnounceRequest(info_hash, b"-XX0001-" + b"\xff" * 12, 7000, left=1), source)
        self.assertEqual(hits.packed4, b"\x7f\0\0\x01" + (6881).to_bytes(2, "big"))
        (other,) = self.peer(self.hash, A)["peers"]
        self.assertEqual((other["ip_address"], other["port"]), ("127.0.0.2", 7000))
        self.assertEqual(other["peer_id"], (b"-XX0001-" + b"\xff" * 12).hex())

    def test_s3_7_at_most_fifty(self) -> None:
        """A reply has fifty peers at most, or as few as were asked for."""
        for port in range(7000, 7060):
            self.peer(self.hash, f"peer{port}", port)
        self.assertEqual(len(self.peer(self.hash, A)["peers"]), 50)
        self.assertEqual(len(self.peer(self.hash, A, numwant=3)["peers"]), 3)
        self.assertEqual(len(self.peer(self.hash, A, numwant=1000)["peers"]), 50)

    def test_s3_7_claimed_address(self) -> None:
        """A peer in a private network may say where it is; a stranger is where it asks from (F65)."""
        self.peer(self.hash, A, ip="10.0.0.9")
        self.peer(self.hash, B, ip="client2", host="192.168.0.2")
        self.peer(self.hash, "C", ip="10.0.0.9", host="203.0.113.9")
        listed = self.value_of(f"{API}/peers/{self.hash}")
        told = {peer["peer_id"]: peer["ip_address"] for peer in listed}
        self.assertEqual(told, {A: "10.0.0.9", B: "client2", "C": "203.0.113.9"})

    def test_s3_8_completed(self) -> None:
        """A completion counts once, and makes a seeder of the peer."""
        self.peer(self.hash, B, left=4, event="started")
        for _ in range(2):
            self.peer(self.hash, B, left=4, event="completed")
        row = self.read_torrent(self.hash)
        self.assertEqual((row["completed"], row["seeders"], row["leechers"]), (1, 1, 0))
        (peer,) = self.value_of(f"{API}/peers/{self.hash}")
        self.assertEqual((peer["is_seeder"], peer["left"]), (True, 0))

    def test_s3_8_stopped(self) -> None:
        """A peer that stops hears of nobody, and is gone at once."""
        self.peer(self.hash, A)
        self.peer(self.hash, B, 6882, left=4)
        self.assertEqual(self.peer(self.hash, B, 6882, left=4, event="stopped"), {"peers": [], "interval": 1800})
        row = self.read_torrent(self.hash)
        self.assertEqual((row["seeders"], row["leechers"]), (1, 0))
        self.assertEqual(self.peer(self.hash, A)["peers"], [])

    def test_s3_8_stopped_long_after(self) -> None:
        """A peer whose swarm has forgotten it for its silence can still leave the list, and nobody else can do that."""
        self.peer(self.hash, A)
        list(self.swarms.forget_silent(1e9))
        self.peer(self.hash, A, event="stopped", host="127.0.0.9")
        self.assertEqual(len(self.value_of(f"{API}/peers/{self.hash}")), 1)
        self.peer(self.hash, A, event="stopped")
        self.assertEqual(self.value_of(f"{API}/peers/{self.hash}"), [])

    def test_f69_stopped_by_others(self) -> None:
        """Who stops under the peer_id of somebody else, from elsewhere, stops nobody."""
        self.peer(self.hash, A)
        self.peer(self.hash, A, event="stopped", host="203.0.113.9")
        self.assertEqual(self.read_torrent(self.hash)["seeders"], 1)

    def test_s3_9_refusals(self) -> None:
        """Each mistake has its status, and words under one key."""
        right = {"info_hash": self.hash, "peer_id": A, "port": "6881"}
        wrong = [
            ("info_hash", "123", 400, "Invalid info hash"),
            ("info_hash", "g" * 40, 400, "Invalid info hash"),
            ("info_hash", NOBODY, 404, "Torrent not found"),
            ("peer_id", "A" * 21, 400, "Invalid peer ID"),
            ("peer_id", "", 400, "Invalid peer ID"),
            ("port", None, 422, "port: missing"),
            ("port", "0", 422, None),
            ("port", "65536", 422, None),
            ("port", "x", 422, None),
            ("left", "-1", 422, None),
            ("event", "paused", 422, None),
            ("ip", "no%20host", 422, None),
            ("uploaded", "9223372036854775808", 422, None),
        ]
        for name, value, status, words in wrong:
            query = {key: text for key, text in {**right, name: value}.items() if text is not None}
            reply = self.get(f"{API}/announce?" + "&".join(f"{key}={text}" for key, text in query.items()))
            told = self.detail(reply, status)
            if words is not None:
                self.assertEqual(told, words)
        self.assertEqual(self.value_of(f"{API}/peers/{self.hash}"), [])

    def test_s3_10_silent(self) -> None:
        """Who is silent for two hours is in no reply and not active, but remembered; one peer may be in two swarms."""
        other = self.upload("b.bin", b"more")["info_hash"]
        self.peer(self.hash, A)
        self.peer(other, A)
        self.clock.advance(7200)
        self.peer(other, A)
        self.assertEqual(self.peer(self.hash, B, 6882, left=1)["peers"], [])
        self.assertEqual([peer["peer_id"] for peer in self.value_of(f"{API}/peers/{self.hash}")], [B])
        stats = self.value_of(f"{API}/stats")
        self.assertEqual((stats["total_peers"], stats["active_peers"]), (3, 2))

    def test_private(self) -> None:
        """A private tracker takes announces from whoever shows a passkey, on this face as on the others."""
        lists = Lists(passkeys=frozenset({b"k" * 20}))
        self.tracker = Tracker(self.recorded, self.settings, (), self.clock.seconds, Admission(lists))
        self.serve_face()
        path = f"{API}/announce?info_hash={self.hash}&peer_id={A}&port=6881"
        self.detail(self.get(path), 403)
        self.detail(self.get(f"{path}&passkey=wrong"), 403)
        self.assertEqual(self.get(f"{path}&passkey={'k' * 20}").status, 200)

    def test_f67_too_often(self) -> None:
        """A stranger that announces too often is told when to come back."""
        connection = self.connect("203.0.113.9")
        path = f"{API}/announce?info_hash={self.hash}&peer_id={A}&port=1&event=started"
        for _ in range(self.settings.limits.announce_burst):
            self.assertEqual(connection.ask("GET", path).status, 200)
        reply = connection.ask("GET", path)
        self.detail(reply, 429)
        self.assertEqual(reply.headers["retry-after"], "1")


class PeopleTests(RestCase):
    def test_s3_11_users(self) -> None:
        """A name is given once, with a peer_id by which it is found."""
        user = self.read(self.post(f"{API}/users", {"username": "ann"}))
        self.assertCountEqual(user, ["id", "username", "peer_id", "created_at"])
        self.assertEqual((len(user["peer_id"]), user["peer_id"][:4]), (20, "P2PY"))
        self.assertEqual(user["created_at"], "2023-11-14T22:13:20Z")
        self.assertEqual(self.value_of(f"{API}/users/{user['peer_id']}"), user)
        again = self.post(f"{API}/users", {"username": "ann"})
        self.assertEqual(self.detail(again, 400), "Username already exists")
        self.assertEqual(self.detail(self.get(f"{API}/users/nobody"), 404), "User not found")

    def test_s3_11_bad_names(self) -> None:
        """A user without a name, or with one that nobody could read, is refused."""
        bad: list[tuple[Any, int]] = [
            ({"username": ""}, 400),
            ({"username": "a\n"}, 400),
            ({}, 422),
            ([], 422),
            (None, 422),
        ]
        for said, status in bad:
            self.detail(self.post(f"{API}/users", said), status)
        self.detail(self.post(f"{API}/users", {"username": 1}), 422)
        self.detail(self.ask("POST", f"{API}/users", JSON), 422)

    def test_s3_11_figures(self) -> None:
        """The four totals are right directly after each step."""
        figures = dict.fromkeys(("total_torrents", "total_peers", "active_peers", "total_users"), 0)
        self.assertEqual(self.value_of(f"{API}/stats"), figures)
        info_hash = self.upload("a.bin", b"data")["info_hash"]
        self.assertEqual(self.value_of(f"{API}/stats"), figures | {"total_torrents": 1})
        self.peer(info_hash, A)
        figures |= {"total_torrents": 1, "total_peers": 1, "active_peers": 1}
        self.assertEqual(self.value_of(f"{API}/stats"), figures)
        self.post(f"{API}/users", {"username": "ann"})
        self.assertEqual(self.value_of(f"{API}/stats"), figures | {"total_users": 1})
        self.peer(info_hash, A, event="stopped")
        self.assertEqual(self.value_of(f"{API}/stats")["total_peers"], 0)


class SeederTests(RestCase):
    def test_seeders(self) -> None:
        """What is seeded here is listed, and can be stopped and begun again."""
        row = self.upload("a.bin", b"data")
        seeder = {"info_hash": row["info_hash"], "name": "a.bin", "file_size": 4}
        self.assertEqual(self.value_of(f"{API}/seeders"), [seeder])
        stop = f"{API}/seeders/stop/{row['info_hash']}"
        self.assertEqual(self.read(self.ask("POST", stop)), seeder)
        self.assertEqual(self.value_of(f"{API}/seeders"), [])
        self.detail(self.ask("POST", stop), 404)
        self.assertEqual(self.read(self.ask("POST", f"{API}/torrents/{row['info_hash']}/seed")), seeder)
        self.assertEqual(self.value_of(f"{API}/seeders"), [seeder])

    def test_others(self) -> None:
        """A torrent whose content was not uploaded here cannot be seeded."""
        row = self.torrent()
        self.detail(self.ask("POST", f"{API}/torrents/{row.info_hash}/seed"), 404)
        self.assertEqual(TODAY, row.created_at)
