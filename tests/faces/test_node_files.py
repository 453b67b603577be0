"""Tests of p2pshare.faces.node_files, node_offer, node_content, node_downloads and node_uploads over connections."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from p2pshare.sharing.shelf import file_id
from tests.faces.nodes import FORM, LARGEST, OWNER, NodeCase, form
from tests.web.connections import Reply
from tests.web.serving import BEARER, TOKEN, run_now

_STEPS = st.sampled_from(
    ["..", ".", "", "%2e%2e", "..%2f", "%252e%252e", "..\\", "%00", "C:", "~", "a", "\uff0e\uff0e"]
)
_PATHS = st.lists(_STEPS, min_size=1, max_size=6).map("/".join) | st.text(max_size=30)
_NAMES = _PATHS | st.lists(_STEPS | st.text(max_size=8), max_size=6).map("\\".join)


class ListingTests(NodeCase):
    """Which files there are."""

    def test_fields(self) -> None:
        """A file is listed with everything that is known of it."""
        self.names.ids["index-7"] = "sub/holiday photo.jpg"
        self.names.hashes["sub/holiday photo.jpg"] = "ab" * 20
        self.put("sub/holiday photo.jpg", b"pixels")
        (file,) = self.value_of("/api/v1/files")
        self.assertTrue(file.pop("shared_at").startswith("2023-11-14T22:13:"))
        self.assertEqual(
            file,
            {
                "id": file_id("sub/holiday photo.jpg", OWNER),
                "filename": "sub/holiday photo.jpg",
                "file_path": "sub/holiday photo.jpg",
                "size": 6,
                "hash": hashlib.sha256(b"pixels").hexdigest(),
                "category": "image",
                "tags": ["photo"],
                "downloads": 0,
                "is_available": True,
                "index_id": "index-7",
                "info_hash": "ab" * 20,
            },
        )

    def test_pages(self) -> None:
        """Those shared last come first; limit and offset choose a part, and nonsense counts as not said."""
        for name in ("a", "b", "c"):
            self.put(name, name.encode())
        self.assertEqual(self.listed(), ["c", "b", "a"])
        for query, expected in (("limit=1", "c"), ("limit=1&offset=2", "a"), ("limit=-1", "cba"), ("offset=x", "cba")):
            files = self.value_of(f"/api/v1/files?{query}")
            self.assertEqual("".join(file["filename"] for file in files), expected, query)

    def test_changed_file(self) -> None:
        """A file with another content keeps its id, and is one file still."""
        before = self.put("a.txt", b"old")
        self.put("a.txt", b"newer")
        (file,) = self.value_of("/api/v1/files")
        self.assertEqual((file["id"], file["size"]), (before, 5))
        self.assertEqual(self.value_of("/api/v1/info")["shared_bytes"], 5)


class UnshareTests(NodeCase):
    """How files are taken back."""

    def unshare(self, key: str, query: str = "", *headers: str) -> Reply:
        return self.ask("DELETE", f"/api/v1/files/unshare/{quote(key, safe='')}{query}", *headers)

    def test_s2_15_stays_on_disk(self) -> None:
        """It is not listed any more and cannot be fetched; the file stays, also through the next looks."""
        key = self.put("a.txt")
        reply = self.unshare(key)
        self.assertEqual((reply.status, self.read(reply)["file_id"]), (200, key))
        self.look()
        self.assertEqual(self.listed(), [])
        self.assertEqual(self.get(f"/download/{key}").status, 404)
        self.assertEqual((self.folder / "a.txt").read_bytes(), b"content")

    def test_s2_15_deleted(self) -> None:
        """With delete=true the file is gone, and another one of its name is shared again."""
        self.assertEqual(self.unshare(self.put("sub/a.txt"), "?delete=true").status, 200)
        self.assertFalse((self.folder / "sub/a.txt").exists())
        self.put("sub/a.txt", b"another")
        self.assertEqual(self.listed(), ["sub/a.txt"])

    def test_s2_15_unknown(self) -> None:
        """An unknown id is refused, and nothing happens; so it is the second time."""
        key = self.put("a.txt")
        self.assertEqual(self.refused(self.unshare("file_unknown"), 404), "File not found")
        self.assertEqual(self.refused(self.unshare("../a.txt"), 404), "File not found")
        self.assertEqual(self.listed(), ["a.txt"])
        self.unshare(key)
        self.refused(self.unshare(key), 404)

    def test_ids_of_the_index(self) -> None:
        """A file can be named as the index does."""
        self.names.ids["index-7"] = "a.txt"
        self.put("a.txt")
        self.assertEqual(self.unshare("index-7").status, 200)
        self.assertEqual(self.listed(), [])

    def test_changed_since(self) -> None:
        """A file that was written to since it was hashed is not the one that was to be deleted."""
        key = self.put("a.txt")
        (self.folder / "a.txt").write_bytes(b"precious new work")
        self.refused(self.unshare(key, "?delete=true"), 409)
        self.assertEqual((self.folder / "a.txt").read_bytes(), b"precious new work")

    def test_bad_query(self) -> None:
        """What is neither true nor false deletes nothing, and takes nothing back."""
        key = self.put("a.txt")
        self.assertIn("delete", self.refused(self.unshare(key, "?delete=perhaps"), 400))
        self.assertEqual(self.listed(), ["a.txt"])

    def test_f74_f75_token(self) -> None:
        """It takes the token, and no page from elsewhere can have it done."""
        key = self.put("a.txt")
        self.begin(token=TOKEN)
        self.look()
        self.refused(self.unshare(key), 401)
        self.refused(self.unshare(key, "", BEARER, "Origin: http://evil.example"), 403)
        self.assertEqual(self.listed(), ["a.txt"])
        self.assertEqual(self.unshare(key, "", BEARER).status, 200)


class DownloadTests(NodeCase):
    """How files are fetched."""

    def uploads(self) -> tuple[int, int, int]:
        stats = self.value_of("/api/v1/stats")["upload_stats"]
        return stats["total_uploads"], stats["total_bytes"], stats["active_uploads"]

    def test_s2_9_exact_bytes(self) -> None:
        """Where the index sends people there are the exact bytes, to be saved, whatever the name; each fetch counts."""
        content = bytes(range(256)) * 1000
        total = 0
        for count, name in enumerate(("a b & c.txt", "naïve ☃ 100%.bin", "sub folder/x+y#z?.dat"), 1):
            self.put(name, content + bytes([count]))
            reply = self.get(f"/download?filename={quote(name, safe='')}")
            self.assertEqual((reply.status, reply.body), (200, content + bytes([count])), name)
            self.assertEqual(reply.headers["content-length"], str(len(content) + 1))
            disposition = reply.headers["content-disposition"]
            self.assertTrue(disposition.startswith("attachment; "), disposition)
            total += len(content) + 1
            self.assertEqual(self.uploads(), (count, total, 0))
            self.assertEqual(self.fetched[-1], name)

    def test_all_ways(self) -> None:
        """A file has an id here and one at the index; both lead to it, and so does its name."""
        self.names.ids["index-7"] = "sub/a.txt"
        key = self.put("sub/a.txt")
        for path in (f"/download/{key}", f"/api/v1/download/{key}", "/download/index-7", "/download/sub%2fa.txt"):
            reply = self.get(path)
            self.assertEqual((reply.status, reply.body), (200, b"content"), path)
            self.assertEqual(reply.headers["content-disposition"], 'attachment; filename="a.txt"')

    def test_ranges(self) -> None:
        """A part can be had, and the rest later; fetched in two parts a file counts once."""
        key = self.put("a.txt", b"0123456789")
        first = self.get(f"/download/{key}", "Range: bytes=0-3")
        self.assertEqual((first.status, first.body), (206, b"0123"))
        self.assertEqual(self.uploads(), (0, 4, 0))
        tag = f"If-Range: {first.headers['etag']}"
        rest = self.get(f"/download/{key}", "Range: bytes=4-", tag)
        self.assertEqual((rest.status, rest.headers["content-range"], rest.body), (206, "bytes 4-9/10", b"456789"))
        self.assertEqual(self.uploads(), (1, 10, 0))
        self.assertEqual(self.get(f"/download/{key}", "Range: bytes=99-").status, 416)
        self.assertEqual(self.uploads(), (1, 10, 0))

    def test_tag(self) -> None:
        """The tag names the content, so who has it gets nothing, and nothing is counted; HEAD neither."""
        key = self.put("a.txt", b"0123456789")
        tag = hashlib.sha256(b"0123456789").hexdigest()
        reply = self.get(f"/download/{key}", f'If-None-Match: "{tag}"')
        self.assertEqual((reply.status, reply.headers["etag"]), (304, f'"{tag}"'))
        head = self.ask("HEAD", f"/download/{key}")
        self.assertEqual((head.status, head.headers["content-length"], head.body), (200, "10", b""))
        self.assertEqual(self.uploads(), (0, 0, 0))

    def test_changed_since(self) -> None:
        """A file that changed since it was hashed is not passed off as the old one; once read again it is there."""
        key = self.put("a.txt", b"old content")
        path = self.folder / "a.txt"
        status = path.stat()
        path.write_bytes(b"new content")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # same size, same time
        self.assertEqual(self.refused(self.get(f"/download/{key}"), 404), "File not found")
        self.look()
        self.assertEqual(self.get(f"/download/{key}").body, b"new content")

    def test_changes_meanwhile(self) -> None:
        """A file that is written to while it is sent breaks off: nobody takes a mixture for the whole."""
        key = self.put("big.bin", bytes(300_000))
        connection = self.connect()
        sent: list[bytes] = []
        write = connection.transport.write

        def interfere(data: bytes) -> None:
            write(data)
            sent.append(data)
            if len(sent) == 3:
                with open(self.folder / "big.bin", "r+b") as file:
                    file.write(b"x")

        connection.transport.write = interfere
        connection.send(f"GET /download/{key} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        self.assertLess(sum(map(len, sent)), 300_000)
        self.assertTrue(connection.is_closing)
        self.assertEqual(self.uploads()[0], 0)
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_gone(self) -> None:
        """A file that is gone is not found, and neither is one that became a link to somewhere else."""
        key = self.put("a.txt")
        secret = Path(self.mktemp()).absolute()
        secret.write_bytes(b"content")
        (self.folder / "a.txt").unlink()
        self.refused(self.get(f"/download/{key}"), 404)
        (self.folder / "a.txt").symlink_to(secret)
        self.refused(self.get(f"/download/{key}"), 404)

    def test_client_goes(self) -> None:
        """Who goes away before the file is open leaves nothing open, and counts for nothing."""
        opening: list[Deferred[None]] = []

        def run_later(function: object, *args: object) -> Deferred[object]:
            waiting: Deferred[None] = Deferred()
            opening.append(waiting)
            return waiting.addCallback(lambda _: function(*args))  # type: ignore[operator]

        key = self.put("a.txt")
        self.node._downloads._run = run_later
        connection = self.connect()
        connection.send(f"GET /download/{key} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        before = len(os.listdir("/proc/self/fd"))
        connection.lose()
        for waiting in opening:
            waiting.callback(None)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        self.assertEqual(self.uploads(), (0, 0, 0))

    @given(_PATHS)
    @settings(max_examples=150, deadline=None)
    def test_f71_nothing_else(self, path: str) -> None:
        """No spelling of a path leads to a file that is not listed."""
        if not (self.folder / "a.txt").exists():
            self.put("a.txt")
            (self.folder.parent / "secret").write_bytes(b"TOP SECRET")
            (self.folder / ".hidden").write_bytes(b"TOP SECRET")
        for secret in ("secret", ".hidden", "/etc/passwd"):
            wanted = f"{path}/{secret}"
            for spelled in (quote(wanted, safe=""), quote(wanted, safe="/%"), quote(quote(wanted, safe=""), safe="")):
                for prefix in ("/download/", "/api/v1/download/", "/download?filename=", "/static/"):
                    reply = self.get(f"{prefix}{spelled}")
                    self.assertIn(reply.status, (400, 404), spelled)
                    self.assertNotIn(b"TOP SECRET", reply.body)

    def test_f73_rebinding(self) -> None:
        """A page whose name was made to lead here gets no file and no list."""
        key = self.put("a.txt")
        for path in ("/", "/api/v1/files", f"/download/{key}", "/download?filename=a.txt", "/ws"):
            self.assertEqual(self.get(path, host="evil.example").status, 421, path)


class UploadTests(NodeCase):
    """How files are shared over HTTP."""

    def test_s2_14_shared(self) -> None:
        """It is stored, listed under the id that is answered, and can be fetched."""
        for path, name in (("/api/v1/files/share", "my song.mp3"), ("/api/v1/upload", "other.txt")):
            reply = self.read(self.upload(name, name.encode(), path))
            self.assertEqual((reply["status"], reply["filename"]), ("success", name))
            self.assertEqual(reply["message"], "File shared successfully")
            self.assertEqual(self.get(f"/download/{reply['file_id']}").body, name.encode())
            self.assertIn(reply["file_id"], [file["id"] for file in self.value_of("/api/v1/files")])

    def test_s2_14_too_large(self) -> None:
        """One byte more than allowed is refused, whether its length is told or not, and nothing is stored."""
        for size, status in ((LARGEST - 1, 200), (LARGEST, 200), (LARGEST + 1, 413)):
            self.assertEqual(self.upload(f"{size}.bin", bytes(size)).status, status, size)
        connection = self.connect()
        body = form("chunked.bin", bytes(LARGEST + 1))
        head = f"POST /api/v1/upload HTTP/1.1\r\nHost: localhost\r\n{FORM}\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.send(head.encode() + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")
        (reply,) = connection.replies("POST")
        self.assertIn("too large", self.refused(reply, 413))
        self.assertEqual(self.upload("huge.bin", bytes(LARGEST + 200_000)).status, 413)
        self.assertEqual(self.kept(), [f"{LARGEST - 1}.bin", f"{LARGEST}.bin"])
        self.assertEqual(self.hits["max_file_size"], 2)

    def test_s2_14_traversal(self) -> None:
        """A name with folders loses them."""
        for number, name in enumerate(("../x", "..\\\\x.txt", "/etc/x2", "C:\\\\x3", "a/../../x4", ".x5")):
            reply = self.upload(name, bytes([number]))
            self.assertEqual(reply.status, 200, name)
        self.assertEqual(self.kept(), ["x", "x.txt", "x2", "x3", "x4", "x5"])

    @given(_NAMES)
    @settings(max_examples=100, deadline=None)
    def test_s2_14_any_name(self, name: str) -> None:
        """Whatever a file is called, it ends up in the folder, and is listed; or is refused, and not stored."""
        before = set(self.kept())
        plain = "".join(letter for letter in name if letter not in '"\r\n')
        reply = self.upload(plain, f"content of {name!r}".encode())
        fresh = set(self.kept()) - before
        if reply.status == 200:
            known = self.read(reply)
            self.assertLessEqual(fresh, {known["filename"]})
            self.assertIn(known["filename"], self.listed())
            self.assertNotRegex(known["filename"], r"[/\\\x00-\x1f]|^\.")
        else:
            self.assertEqual((reply.status, fresh), (400, set()))

    def test_same_content(self) -> None:
        """A content that is shared already is not stored twice."""
        first = self.read(self.upload("a.txt", b"same"))
        second = self.read(self.upload("b.txt", b"same"))
        self.assertEqual((second["file_id"], second["filename"]), (first["file_id"], "a.txt"))
        self.assertEqual(self.kept(), ["a.txt"])

    def test_same_name(self) -> None:
        """Another content of a name that is taken gets a number; nothing is overwritten."""
        self.put("a.txt", b"mine")
        reply = self.read(self.upload("a.txt", b"yours"))
        self.assertEqual(reply["filename"], "a_1.txt")
        self.assertEqual((self.folder / "a.txt").read_bytes(), b"mine")
        self.assertEqual((self.folder / "a_1.txt").read_bytes(), b"yours")

    def test_shared_again(self) -> None:
        """A file that was unshared and is shared again is itself again; with another content it is not."""
        key = self.put("a.txt", b"mine")
        self.ask("DELETE", f"/api/v1/files/unshare/{key}")
        self.assertEqual(self.read(self.upload("a.txt", b"mine"))["file_id"], key)
        self.assertEqual((self.kept(), self.listed()), (["a.txt"], ["a.txt"]))
        self.ask("DELETE", f"/api/v1/files/unshare/{key}")
        self.assertEqual(self.read(self.upload("a.txt", b"yours"))["filename"], "a_1.txt")

    def test_unfinished_names(self) -> None:
        """What the folder would not share is refused at once, instead of never being listed."""
        self.assertIn("unfinished", self.refused(self.upload("film.mkv.part"), 400))
        self.assertEqual(self.kept(), [])

    def test_no_file(self) -> None:
        """A form without a file is refused."""
        reply = self.ask("POST", "/api/v1/files/share", FORM, body=form("x", b"y", field="other"))
        self.assertIn("other", self.refused(reply, 400))

    def test_hidden_until_complete(self) -> None:
        """While it arrives it is under a hidden name; when the client goes, it is gone."""
        connection = self.connect()
        body = form("a.bin", bytes(20_000))
        head = f"POST /api/v1/upload HTTP/1.1\r\nHost: localhost\r\n{FORM}\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.send(head.encode() + body[:10_000])
        (name,) = self.kept()
        self.assertTrue(name.startswith(".upload-"), name)
        self.look()
        self.assertEqual(self.listed(), [])
        connection.lose()
        self.assertEqual(self.kept(), [])

    def test_client_goes_late(self) -> None:
        """Who goes away once all has arrived has shared the file all the same."""
        connection = self.connect()
        body = form("a.txt", b"content")
        head = f"POST /api/v1/upload HTTP/1.1\r\nHost: localhost\r\n{FORM}\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.send(head.encode() + body)
        connection.lose()
        self.clock.advance(1)
        self.assertEqual(self.listed(), ["a.txt"])

    def test_slow_library(self) -> None:
        """When the library takes its time, the answer says so, and names the id that the file will have."""
        self.library._run = lambda function, *args: Deferred()  # a disk that hangs
        connection = self.connect()
        body = form("a.txt", b"content")
        head = f"POST /api/v1/upload HTTP/1.1\r\nHost: localhost\r\n{FORM}\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.send(head.encode() + body)
        self.clock.advance(29)
        self.assertEqual(connection.replies("POST"), [])
        self.clock.advance(1)
        (reply,) = connection.replies("POST")
        self.assertEqual(reply.status, 200)
        said = self.read(reply)
        self.assertEqual(said["file_id"], file_id("a.txt", OWNER))
        self.assertIn("once it has been read", said["message"])
        self.library._look_over = None
        self.library._run = run_now

    def test_sweep(self) -> None:
        """A start removes what a killed process left half way."""
        (self.folder / ".upload-0123").write_bytes(b"half")
        self.begin()
        self.assertEqual(self.kept(), [])

    def test_f75_token(self) -> None:
        """Without the token not one byte is taken."""
        self.begin(token=TOKEN)
        self.refused(self.upload("a.txt"), 401)
        self.assertEqual(self.kept(), [])
