"""Tests of p2pshare.faces.superpeer_files."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import Any

from p2pshare import bencoding
from p2pshare.metainfo import compose, parse
from tests.faces.serving import INFO_HASH
from tests.faces.superpeers import FILE, HASH, SuperpeerCase
from tests.web.serving import JSON

CONTENT = bytes(range(100))
INFO = {"length": 100, "name": "song.mp3", "piece length": 16384, "pieces": hashlib.sha1(CONTENT).digest()}
TORRENT = compose(bencoding.encode(INFO))


class TorrentTests(SuperpeerCase):
    """Files that are registered with their torrent."""

    def with_torrent(self, torrent: bytes = TORRENT, **said: Any) -> str:
        """Register one; gives its id."""
        return self.register_file(torrent=b64encode(torrent).decode(), **said)

    def test_known(self) -> None:
        """It is one entry that says in which torrent it is; the torrent can be had, and knows all paths."""
        file_id = self.with_torrent(filename="albums/song.mp3")
        (file,) = self.value_of("/api/v1/files")
        info_hash = hashlib.sha1(bencoding.encode(INFO)).hexdigest()
        self.assertEqual((file["id"], file["filename"]), (file_id, "albums/song.mp3"))
        self.assertEqual((file["hash"], file["info_hash"]), (HASH, info_hash))
        kept = self.successResultOf(self.catalogue.torrents.metainfo(info_hash))
        self.assertEqual(parse(kept).info_hash.hex(), info_hash)

    def test_two_owners(self) -> None:
        """Two who have it share one torrent; a third who brings none finds its file in it, too."""
        ids = {self.with_torrent(), self.with_torrent(owner="bob"), self.register_file(owner="carl")}
        self.assertEqual(len(ids), 3)
        self.assertEqual(len({file["info_hash"] for file in self.value_of("/api/v1/files")}), 1)

    def test_taken_back(self) -> None:
        """With its only name the file goes."""
        self.with_torrent(filename="albums/song.mp3")
        body = {"hash": HASH, "owner": "ann", "filename": "albums/song.mp3"}
        self.assertEqual(self.post("/api/v1/files/unregister", body).status, 200)
        self.assertEqual(self.value_of("/api/v1/files"), [])

    def test_wrong(self) -> None:
        """A torrent that is none, or one of something else, is refused with the file."""
        for torrent in ("*", b64encode(b"nonsense").decode(), b64encode(TORRENT).decode()):
            reply = self.post("/api/v1/files/register", {**FILE, "size": 99, "torrent": torrent})
            self.assertIn("torrent: ", self.refused(reply, 400))
        self.assertEqual(self.value_of("/api/v1/files"), [])


class RegisterTests(SuperpeerCase):
    """Files that owners register."""

    def test_file(self) -> None:
        """A file is listed with exactly the fields its clients know, and the torrent it is in."""
        file_id = self.register_file()
        self.assertEqual(
            self.value_of("/api/v1/files"),
            [
                {
                    "id": file_id,
                    **FILE,
                    "upload_time": "2023-11-14T22:13:20.000000Z",
                    "downloads": 0,
                    "rating": 0.0,
                    "info_hash": None,
                }
            ],
        )

    def test_reply(self) -> None:
        """The answer says under which id the file is known."""
        reply = self.read(self.post("/api/v1/files/register", FILE))
        self.assertEqual(sorted(reply), ["file_id", "message", "status"])
        self.assertEqual((reply["status"], reply["message"]), ("success", "File registered successfully"))

    def test_s2_5_twice(self) -> None:
        """The same content of the same owner is one entry with one id; what was said last holds."""
        first = self.register_file()
        self.clock.advance(60)
        second = self.register_file(filename="Song (final).mp3", peer_address="10.0.0.9:9009")
        self.assertEqual(first, second)
        (file,) = self.value_of("/api/v1/files")
        self.assertEqual(
            (file["filename"], file["peer_address"], file["upload_time"]),
            ("Song (final).mp3", "10.0.0.9:9009", "2023-11-14T22:14:20.000000Z"),
        )

    def test_s2_5_another_owner(self) -> None:
        """The same content of another owner is another entry."""
        self.assertNotEqual(self.register_file(), self.register_file(owner="bob"))
        self.assertEqual(len(self.value_of("/api/v1/files")), 2)

    def test_spellings(self) -> None:
        """Fields are understood in other spellings; those nobody knows, and those that are null, are ignored."""
        body = {
            "ID": "file_123",
            "Filename": "a.txt",
            "Size": 1,
            "Hash": HASH,
            "Category": "document",
            "Tags": None,
            "Owner": "ann",
            "PeerAddress": "10.0.0.1:9001",
            "Downloads": 1_000_000,
            "UploadTime": "0001-01-01T00:00:00Z",
        }
        self.assertEqual(self.post("/api/v1/files/register", body).status, 200)
        body = {"filename": "b.txt", "size": 1, "hash": "cd" * 32, "owner": "ann", "peerAddress": "10.0.0.1:9001"}
        self.assertEqual(self.post("/api/v1/files/register", body).status, 200)
        self.assertEqual(
            [(file["peer_address"], file["tags"], file["downloads"]) for file in self.value_of("/api/v1/files")],
            [("10.0.0.1:9001", [], 0)] * 2,
        )

    def test_bad_bodies(self) -> None:
        """A body that lacks something, or has something of the wrong kind, is 400 and says what."""
        for change, word in (
            ({"filename": None}, "filename: missing"),
            ({"filename": ""}, "filename: 0 characters"),
            ({"filename": "x" * 1025}, "filename: 1025 characters"),
            ({"filename": "a\0b"}, "U+0000"),
            ({"size": "100"}, "size: expected int, got str"),
            ({"size": -1}, "size: -1"),
            ({"size": 1 << 70}, "size"),
            ({"size": 1.5}, "size: expected int"),
            ({"hash": ""}, "hash: 0 characters"),
            ({"owner": None}, "owner: missing"),
            ({"tags": "music"}, "tags: expected array, got str"),
            ({"tags": [1]}, "tags: expected str, got int"),
            ({"tags": ["x"] * 33}, "tags: 33 of them"),
            ({"peer_address": "10.0.0.1"}, "expected HOST:PORT"),
            ({"peer_address": "10.0.0.1:0"}, "expected HOST:PORT"),
            ({"peer_address": "evil.example/x?:80"}, "expected HOST:PORT"),
            ({"peer_address": "user@evil.example:80"}, "expected HOST:PORT"),
            ({"peer_address": "http://10.0.0.1:9001"}, "expected HOST:PORT"),
            ({"peer_address": "10.0.0.1:80\r\nSet-Cookie: x"}, "expected HOST:PORT"),
        ):
            self.assertIn(word, self.refused(self.post("/api/v1/files/register", {**FILE, **change}), 400))
        self.assertEqual(self.value_of("/api/v1/files"), [])

    def test_too_large(self) -> None:
        """A body over 64 KiB is 413."""
        self.refused(self.post("/api/v1/files/register", {**FILE, "tags": ["x" * 70_000]}), 413)

    def test_f77_names(self) -> None:
        """A name with line ends and control sequences is kept as it is, and breaks nothing."""
        name = "a\r\nX-Evil: 1\x1b[31m‮.txt"
        self.register_file(filename=name)
        reply = self.get("/api/v1/files")
        self.assertEqual(self.read(reply)[0]["filename"], name)
        self.assertNotIn("x-evil", reply.headers)

    def test_torrent(self) -> None:
        """A file that is in a torrent has its info_hash."""
        self.torrent(owner="uploads")
        (file,) = self.value_of("/api/v1/files")
        self.assertEqual((file["info_hash"], file["owner"]), (INFO_HASH.hex(), "uploads"))


class UnregisterTests(SuperpeerCase):
    """Files that owners take back."""

    def gone(self, **said: object) -> int:
        """Take something back; gives the status."""
        return self.post("/api/v1/files/unregister", said).status

    def test_by_id(self) -> None:
        """A file taken back is not found any more, neither is it the second time."""
        file_id = self.register_file()
        reply = self.post("/api/v1/files/unregister", {"file_id": file_id})
        self.assertEqual(
            self.read(reply),
            {"status": "success", "file_id": file_id, "message": "File unregistered successfully"},
        )
        self.assertEqual(self.found(), [])
        self.assertEqual(
            self.refused(self.post("/api/v1/files/unregister", {"FileID": file_id}), 404), "File not found"
        )

    def test_by_content(self) -> None:
        """A node that does not know the id says which content of which owner; that of others stays."""
        self.register_file(hash="AB" * 32)
        self.register_file(owner="bob", filename="bobs.mp3")
        self.assertEqual(self.gone(hash="ab" * 32, owner="ann"), 200)
        self.assertEqual(self.found(), ["bobs.mp3"])
        self.assertEqual(self.gone(hash="ab" * 32, owner="ann"), 404)

    def test_one_name(self) -> None:
        """With a name only that one goes; the file goes with its last."""
        file_id = self.register_file(filename="a.mp3")
        self.register_file(filename="b.mp3")
        self.assertEqual(self.gone(file_id=file_id, filename="c.mp3"), 404)
        self.assertEqual(self.gone(file_id=file_id, filename="b.mp3"), 200)
        self.assertEqual(self.found(), ["a.mp3"])
        self.assertEqual(self.gone(file_id=file_id, filename="a.mp3"), 200)
        self.assertEqual(self.found(), [])

    def test_not_the_owner(self) -> None:
        """Who says that it is somebody else's file takes nothing back."""
        file_id = self.register_file()
        self.assertEqual(self.gone(file_id=file_id, owner="bob"), 404)
        self.assertEqual(self.gone(id=file_id, owner="ann"), 200)

    def test_nothing_named(self) -> None:
        """Without an id, or a hash and an owner, it is 400."""
        for said in ({}, {"hash": HASH}, {"owner": "ann"}, {"filename": "a.mp3"}):
            self.assertIn("file_id: missing", self.refused(self.post("/api/v1/files/unregister", said), 400))

    def test_stats(self) -> None:
        """The files that are there are counted."""
        file_id = self.register_file()
        self.assertEqual(self.value_of("/api/v1/stats")["total_files"], 1)
        self.gone(file_id=file_id)
        self.assertEqual(self.value_of("/api/v1/stats")["total_files"], 0)


class RatingTests(SuperpeerCase):
    """Votes."""

    def vote(self, file_id: str, rating: object, *headers: str) -> tuple[float, int]:
        """Vote; gives the mean and the number of votes."""
        reply = self.read(self.post(f"/api/v1/files/{file_id}/rating", {"rating": rating}, *headers))
        self.assertEqual((reply["status"], reply["file_id"]), ("success", file_id))
        return reply["rating"], reply["votes"]

    def test_s2_18_zero_by_default(self) -> None:
        """Rating and reputation are numbers, and 0 until somebody votes."""
        self.register_file()
        self.register_peer()
        self.assertEqual(self.value_of("/api/v1/files")[0]["rating"], 0)
        self.assertEqual(self.peers()["ann"]["reputation"], 0)

    def test_s2_18_mean_of_votes(self) -> None:
        """The rating is the mean of the votes, one for each voter, and files are sorted by it."""
        plain, good = self.register_file(), self.register_file(filename="good.mp3", hash="cd" * 32)
        self.register_peer("v1")
        self.register_peer("v2", 9002)
        self.assertEqual(self.vote(good, 5, "X-Peer-ID: v1"), (5, 1))
        self.assertEqual(self.vote(good, 2, "X-Peer-ID: v2"), (3.5, 2))
        self.assertEqual(self.vote(good, 4.5, "X-Peer-ID: v2"), (4.75, 2))
        self.assertEqual(self.vote(plain, 1), (1, 1))
        self.assertEqual(self.vote(plain, 0), (0, 1))
        found = self.value_of("/api/v1/files/search?sort=rating")["results"]
        self.assertEqual([(file["id"], file["rating"]) for file in found], [(good, 4.75), (plain, 0)])

    def test_nobody(self) -> None:
        """Who invents names has no more votes for that, and nobody votes for what is not there."""
        file_id = self.register_file()
        for path, header in ((file_id, "X-Peer-ID: invented"), ("nothing", "X-Other: 1")):
            self.refused(self.post(f"/api/v1/files/{path}/rating", {"rating": 5}, header), 404)
        self.assertEqual(self.value_of("/api/v1/files")[0]["rating"], 0)

    def test_bad_votes(self) -> None:
        """A vote is a number from 0 to 5."""
        file_id = self.register_file()
        for body in (
            b'{"rating": 6}',
            b'{"rating": -1}',
            b'{"rating": "5"}',
            b'{"rating": 1e999}',
            b"{}",
            b'{"rating": NaN}',
        ):
            self.refused(self.ask("POST", f"/api/v1/files/{file_id}/rating", JSON, body=body), 400)
        self.assertEqual(self.value_of("/api/v1/files")[0]["rating"], 0)
