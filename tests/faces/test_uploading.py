"""Uploads: from the first byte to a torrent that is seeded, and whatever may come between."""

from __future__ import annotations

import errno
import os
from hashlib import sha1, sha256
from pathlib import Path
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import fail

from p2pshare.errors import RequestRefused, StorageError
from p2pshare.faces import uploading
from p2pshare.faces.uploading import Labels
from p2pshare.faces.uploading_names import free_name, safe_name
from p2pshare.index.lanes import Busy
from p2pshare.index.records import ContentKey, Scheme
from p2pshare.index.search import SearchQuery
from p2pshare.index.torrents import Torrents
from p2pshare.metainfo import load
from p2pshare.paths import safe_component
from tests.faces.rest import API, BOUNDARY, FORM, RestCase, form, pieces_of
from tests.web.serving import BEARER, TOKEN


class UploadTests(RestCase):
    def test_s3_3_one_piece(self) -> None:
        """A small file is one piece of a fixed length; it is stored as it came, and seeded."""
        row = self.upload("hello.txt", b"h" * 658)
        self.assertEqual((row["num_pieces"], row["piece_length"], row["file_size"]), (1, 262144, 658))
        self.assertRegex(row["info_hash"], "^[0-9a-f]{40}$")
        self.assertEqual((row["seeders"], row["leechers"], row["completed"]), (0, 0, 0))
        path = self.folder / "hello.txt"
        self.assertEqual(path.read_bytes(), b"h" * 658)
        self.assertEqual(self.contents.served, {bytes.fromhex(row["info_hash"]): path})

    def test_s3_3_two_pieces(self) -> None:
        """One byte more than a piece makes two."""
        row = self.upload("two.bin", b"x" * 262145)
        self.assertEqual((row["num_pieces"], row["file_size"]), (2, 262145))
        content = load(self.folder / ".torrents" / "two.bin.torrent")
        self.assertEqual(content.pieces, pieces_of(b"x" * 262145))

    def test_empty(self) -> None:
        """A file without a byte is a torrent without a piece."""
        row = self.upload("empty", b"")
        self.assertEqual((row["num_pieces"], row["file_size"], self.kept()), (0, 0, ["empty"]))

    def test_s3_4_again(self) -> None:
        """The same content is the same row, under its own name and under another."""
        row = self.upload("a.txt", b"data")
        self.assertEqual(self.upload("a.txt", b"data"), row)
        self.assertEqual(self.upload("b.txt", b"data"), row)
        self.assertEqual((len(self.value_of(f"{API}/torrents")), self.kept()), (1, ["a.txt"]))

    def test_s3_4_again_after_a_stop(self) -> None:
        """What is no longer seeded is seeded again, as the same row."""
        row = self.upload("a.txt", b"data")
        self.contents.served.clear()
        self.assertEqual(self.upload("a.txt", b"data"), row)
        self.assertEqual((self.kept(), len(self.contents.served)), (["a.txt"], 1))

    def test_s3_4_again_after_a_loss(self) -> None:
        """What is no longer there is stored again, as the same row."""
        row = self.upload("a.txt", b"data")
        self.contents.served.clear()
        (self.folder / "a.txt").unlink()
        self.assertEqual(self.upload("a.txt", b"data"), row)
        self.assertEqual((self.folder / "a.txt").read_bytes(), b"data")

    def test_s3_4_again_at_once(self) -> None:
        """Twice at the same time is once, too."""
        self.held = []
        connections = [self.begin_upload(form("a.txt", b"data")) for _ in range(2)]
        self.release()
        replies = [connection.replies()[0] for connection in connections]
        self.assertEqual([reply.status for reply in replies], [200, 200])
        self.assertEqual(self.read(replies[0]), self.read(replies[1]))
        self.assertEqual(self.kept(), ["a.txt"])

    def test_s3_4_no_file(self) -> None:
        """A form without the file, or with one of another name, is refused."""
        empty = f"--{BOUNDARY}--\r\n".encode()
        self.detail(self.ask("POST", f"{API}/upload", FORM, body=empty), 422)
        self.detail(self.ask("POST", f"{API}/upload", FORM, body=form("a", b"x", "other")), 422)
        self.detail(self.ask("POST", f"{API}/upload", FORM), 422)
        self.assertEqual(self.kept(), [])

    def test_s3_4_no_name(self) -> None:
        """A file without a name, or with one of which nothing is left, is refused before its bytes come."""
        for name in ("", "///", "..", " . ", "\u202e", "---"):
            self.detail(self.send(name, b"x"), 400)
        self.assertEqual(self.kept(), [])

    def test_twins(self) -> None:
        """Another content of the same name gets a number; both names can be looked up."""
        rows = [self.upload("a.txt", data) for data in (b"1", b"2", b"3")]
        self.assertEqual([row["name"] for row in rows], ["a.txt", "a_1.txt", "a_2.txt"])
        self.assertEqual((self.folder / "a_2.txt").read_bytes(), b"3")
        for row in rows:
            name = sha1(row["name"].encode()).hexdigest()
            self.assertEqual(self.read_torrent(name)["info_hash"], row["info_hash"])

    def test_found(self) -> None:
        """Other faces find an upload as a share, under the hash of its content, with its labels."""
        self.begin(labels=lambda name: Labels("document", (name[:3],)), peer_address=lambda: "10.0.0.1:8000")
        row = self.upload("manual.pdf", b"pages")
        found = self.successResultOf(self.catalogue.shares.search(SearchQuery("manual")))
        (share,) = found.shares
        self.assertEqual((share.hash, share.info_hash), (sha256(b"pages").hexdigest(), row["info_hash"]))
        self.assertEqual((share.category, share.tags, share.peer_address), ("document", ("man",), "10.0.0.1:8000"))

    def test_told(self) -> None:
        """Whoever wants to know hears of each new torrent once."""
        told: list[str] = []
        self.begin(entered=lambda torrent: told.append(torrent.name))
        for data in (b"1", b"2", b"1"):
            self.upload("a.txt", data)
        self.assertEqual(told, ["a.txt", "a_1.txt"])

    def test_f71_names(self) -> None:
        """A name that is a path leads nowhere; what is not a letter, a digit or one of few signs is dropped."""
        names = {
            "../../etc/passwd": "passwd",
            "C:\\\\fakepath\\\\x.txt": "x.txt",
            "/abs": "abs",
            ".upload-1": "upload-1",
            "a<b>&\u202e.txt": "ab.txt",
            "aux.c": "aux_.c",
            "x" * 300 + ".txt": "x" * 196 + ".txt",
        }
        for number, (given_name, expected) in enumerate(names.items()):
            self.assertEqual(self.upload(given_name, b"%d" % number)["name"], expected)
        self.assertEqual(self.kept(), sorted(names.values()))

    def test_find(self) -> None:
        """The path of an upload is told by its name, and that of nothing else."""
        self.upload("a.txt", b"data")
        self.assertEqual(self.uploads.find("a.txt"), self.folder / "a.txt")
        for name in ("../a.txt", ".torrents", ".torrents/a.txt.torrent", "", "a/b"):
            self.assertIsNone(self.uploads.find(name))

    @settings(max_examples=150, deadline=None)
    @given(st.text(max_size=300))
    def test_f63_safe_names(self, name: str) -> None:
        """Whatever it is called, a file gets one safe name that stays as it is, or none."""
        try:
            safe = safe_name(name)
        except RequestRefused:
            return
        self.assertEqual((safe_name(safe), safe_component(safe.encode())), (safe, safe))
        self.assertNotIn("/", safe)
        self.assertNotEqual(safe[0], ".")
        self.assertLessEqual(len(f"{safe}_9999.torrent".encode()), 255)

    def test_f74_token(self) -> None:
        """Where there is a token, only who shows it can upload; nobody's bytes are stored before."""
        self.serve_face(self.uploads, token=TOKEN)
        self.detail(self.send("a", b"x"), 401)
        self.assertEqual(self.kept(), [])
        reply = self.ask("POST", f"{API}/upload", FORM, BEARER, body=form("a", b"x"))
        self.assertEqual(reply.status, 200)


class InterruptionTests(RestCase):
    def test_f59_too_large(self) -> None:
        """A form over the limit is refused by its length, before any of it is stored."""
        self.limits = type(self.limits)(upload_bytes=1000)
        self.begin()
        connection = self.begin_upload(b"", length=1001)
        self.detail(connection.replies()[0], 413)
        self.assertEqual(self.kept(), [])

    def test_gone_half_way(self) -> None:
        """A client that goes away before the end leaves nothing."""
        connection = self.begin_upload(form("a.bin", b"x" * 5000)[:3000], length=5200)
        self.assertNotEqual(self.kept(), [])
        connection.lose()
        self.assertEqual(self.kept(), [])
        self.assertEqual(self.value_of(f"{API}/torrents"), [])

    def test_gone_at_the_end(self) -> None:
        """A client that goes away after the last byte leaves nothing, or all; never a half."""
        self.held = []
        connection = self.begin_upload(form("a.bin", b"x" * 5000))
        connection.lose()
        self.release()
        names = [torrent["name"] for torrent in self.value_of(f"{API}/torrents")]
        self.assertEqual(names, self.kept())
        self.upload("a.bin", b"x" * 5000)

    def test_gone_at_each_step(self) -> None:
        """Wherever between two steps the client goes, the folder and the index agree."""
        for steps in range(12):
            name = f"{steps}.bin"
            self.held = []
            connection = self.begin_upload(form(name, b"%d" % steps))
            self.step(steps)
            connection.lose()
            self.release()
            names = [torrent["name"] for torrent in self.value_of(f"{API}/torrents")]
            self.assertEqual((name in names), (self.folder / name).exists(), steps)
            self.assertEqual((name in names), (self.folder / ".torrents" / f"{name}.torrent").exists(), steps)
        self.assertEqual([name for name in self.kept() if name.startswith(".")], [])

    def test_disk_full(self) -> None:
        """On a full disk the answer is 507, and nothing is kept, whichever step finds it full."""
        full = OSError(errno.ENOSPC, "No space left on device")
        for function in ("os.write", "os.link", "os.replace"):
            with patch(function, side_effect=full):
                self.detail(self.send("a.bin", b"data"), 507)
            self.assertEqual((self.kept(), os.listdir(self.folder / ".torrents")), ([], []))
        self.assertEqual(self.value_of(f"{API}/torrents"), [])
        self.upload("a.bin", b"data")

    def test_index_out_of_order(self) -> None:
        """When the index cannot take a torrent, its file is not kept either."""
        with patch.object(Torrents, "add", lambda self, claim: fail(StorageError("disk I/O error"))):
            self.detail(self.send("a.bin", b"data"), 500)
        self.assertEqual((self.kept(), os.listdir(self.folder / ".torrents")), ([], []))

    def test_index_busy(self) -> None:
        """When the index has too much to do, the client is asked to come again, and nothing is kept."""
        with patch.object(Torrents, "add", lambda self, claim: fail(Busy("the index is busy"))):
            reply = self.send("a.bin", b"data")
        self.detail(reply, 503)
        self.assertEqual((reply.headers["retry-after"], self.kept()), ("1", []))

    def test_cannot_be_seeded(self) -> None:
        """When it cannot be seeded, the client is told so; the next attempt is the same torrent."""
        self.contents.error = StorageError("not what the torrent describes")
        self.detail(self.send("a.bin", b"data"), 500)
        self.contents.error = None
        (self.folder / "a.bin").unlink()
        self.assertEqual(self.upload("a.bin", b"data")["id"], 1)
        self.assertEqual(self.kept(), ["a.bin"])

    def test_name_taken_meanwhile(self) -> None:
        """A file that somebody puts there at the last moment is nobody's to replace."""
        (self.folder / "a.bin").write_bytes(b"theirs")
        names = iter(["a.bin"])
        with patch.object(uploading, "free_name", lambda folder, name: next(names, None) or free_name(folder, name)):
            row = self.upload("a.bin", b"ours")
        self.assertEqual((row["name"], (self.folder / "a.bin").read_bytes()), ("a_1.bin", b"theirs"))
        self.assertEqual(os.listdir(self.folder / ".torrents"), ["a_1.bin.torrent"])


class StartTests(RestCase):
    def test_seeded_again(self) -> None:
        """After a restart everything is seeded again, from the folder alone."""
        self.upload("a.bin", b"1"), self.upload("b.bin", b"2")
        served = dict(self.contents.served)
        self.contents.served.clear()
        self.begin()
        self.assertEqual(self.contents.served, served)

    def test_swept(self) -> None:
        """What a killed process was in the middle of is removed at the next start."""
        torrents = self.folder / ".torrents"
        self.upload("a.bin", b"1")
        (self.folder / ".upload-0011").write_bytes(b"half")
        (torrents / "x.tmp").write_bytes(b"half")
        (torrents / "b.bin.torrent").write_bytes((torrents / "a.bin.torrent").read_bytes().replace(b"a.bin", b"b.bin"))
        self.begin()
        self.assertEqual((self.kept(), os.listdir(torrents)), (["a.bin"], ["a.bin.torrent"]))

    def test_finished(self) -> None:
        """A content that had its name but was not in the index yet is entered at the next start."""
        row = self.upload("a.bin", b"1")
        self.catalogue = self.open()
        self.begin()
        self.assertEqual(self.read_torrent(row["info_hash"])["name"], "a.bin")
        key = ContentKey(Scheme.SHA256, sha256(b"1").hexdigest())
        self.assertIsNotNone(self.successResultOf(self.catalogue.shares.find(key, uploading.OWNER)))

    def test_one_that_cannot_be(self) -> None:
        """A file that is none any more, or no torrent, does not keep the others from being seeded."""
        self.upload("a.bin", b"1"), self.upload("b.bin", b"2")
        (self.folder / ".torrents" / "a.bin.torrent").write_bytes(b"nonsense")
        self.contents.served.clear()
        self.begin()
        self.assertEqual([path.name for path in self.contents.served.values()], ["b.bin"])

    def test_no_folder(self) -> None:
        """A folder that cannot be made is told at the start."""
        blocked = Path(self.mktemp())
        blocked.write_bytes(b"")
        self.folder = blocked / "uploads"
        with self.assertRaises(StorageError):
            self.begin()

    def test_stopped(self) -> None:
        """A stop waits for what has arrived."""
        self.held = []
        self.begin_upload(form("a.bin", b"1"))
        self.step(2)  # written, and safe
        stopped = self.uploads.stopService()
        self.assertNoResult(stopped)
        self.release()
        self.successResultOf(stopped)
        self.assertEqual(self.kept(), ["a.bin"])
