"""Tests of p2pshare.faces.superpeer_downloads."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from p2pshare.faces.superpeer import SuperpeerLimits
from tests.faces.superpeers import SuperpeerCase


class DownloadTests(SuperpeerCase):
    """Who wants a file is sent to where it is."""

    def sent_to(self, file_id: str, prefix: str = "") -> str:
        """Where a download leads."""
        reply = self.get(f"{prefix}/download/{file_id}")
        self.assertEqual(reply.status, 302, reply.body)
        return reply.headers["location"]

    def offline(self, node_id: str) -> None:
        """Have a node that was there fall silent, and no other."""
        others = [key for key, peer in self.peers().items() if peer["is_online"] and key != node_id]
        self.clock.advance(200)
        for other in others:
            self.beat(other)
        (gone,) = self.successResultOf(self.catalogue.nodes.drop_silent(100))
        self.assertEqual(gone.id, node_id)

    def downloads(self) -> tuple[list[int], int]:
        """The downloads of each file, and of all."""
        counts = [file["downloads"] for file in self.value_of("/api/v1/files")]
        return counts, self.value_of("/api/v1/stats")["total_downloads"]

    def test_s2_8_redirect(self) -> None:
        """Both paths lead to the owner, and count."""
        self.register_peer()
        file_id = self.register_file()
        place = "http://10.0.0.1:9001/download?filename=song.mp3"
        self.assertEqual(self.sent_to(file_id), place)
        self.assertEqual(self.downloads(), ([1], 1))
        self.assertEqual(self.sent_to(file_id, "/api/v1"), place)
        self.assertEqual(self.downloads(), ([2], 2))

    def test_head(self) -> None:
        """Who asks where it leads has not downloaded anything."""
        self.register_peer()
        reply = self.ask("HEAD", f"/download/{self.register_file()}")
        self.assertEqual((reply.status, self.downloads()), (302, ([0], 0)))

    def test_s2_8_unknown(self) -> None:
        """What nobody registered is 404, and nothing is counted."""
        self.register_file()
        for path in ("/download/nothing", "/api/v1/download/nothing"):
            self.assertEqual(self.refused(self.get(path), 404), "File not found")
        self.assertEqual(self.downloads(), ([0], 0))

    def test_s2_8_owner_that_never_registered(self) -> None:
        """Of an owner that is no node nothing is known, so people are sent there."""
        self.assertEqual(self.sent_to(self.register_file()), "http://10.0.0.1:9001/download?filename=song.mp3")

    def test_s2_9_names(self) -> None:
        """Any name arrives at the owner as it is."""
        for number, name in enumerate(
            ("a b&c=d?#%41+.mp3", "Müsik – 音楽.mp3", "a\r\nSet-Cookie: x=1", "../../etc/passwd")
        ):
            file_id = self.register_file(filename=name, hash=f"{number:064x}", peer_address="node-1:9001")
            location = self.sent_to(file_id)
            self.assertTrue(location.isascii() and location.isprintable() and " " not in location, location)
            parts = urlsplit(location)
            self.assertEqual((parts.scheme, parts.netloc, parts.path), ("http", "node-1:9001", "/download"))
            self.assertEqual(parse_qs(parts.query), {"filename": [name]})

    def test_ipv6(self) -> None:
        """An owner at an IPv6 address is led to in brackets."""
        file_id = self.register_file(peer_address="[2001:db8:0::1]:9001")
        self.assertEqual(self.sent_to(file_id), "http://[2001:db8::1]:9001/download?filename=song.mp3")

    def test_offline_owner(self) -> None:
        """While the owner is offline, an online owner of the same content serves it, under its own name for it."""
        self.register_peer("ann")
        self.register_peer("bob", 9002)
        file_id = self.register_file()
        self.offline("ann")
        self.refused(self.get(f"/download/{file_id}"), 503)
        self.register_file(owner="bob", filename="bobs copy.mp3", peer_address="10.0.0.1:9002")
        self.assertEqual(self.sent_to(file_id), "http://10.0.0.1:9002/download?filename=bobs%20copy.mp3")
        self.assertEqual(self.downloads()[1], 1)
        self.beat("ann")
        self.assertEqual(self.sent_to(file_id), "http://10.0.0.1:9001/download?filename=song.mp3")

    def test_online_before_unknown(self) -> None:
        """An owner that is known to be there goes before one of whom nothing is known."""
        self.register_peer("ann")
        file_id = self.register_file()
        self.register_file(owner="stranger", peer_address="10.0.0.7:9007")
        self.offline("ann")
        self.assertIn("//10.0.0.7:9007/", self.sent_to(file_id))
        self.register_peer("bob", 9002)
        self.register_file(owner="bob", peer_address="10.0.0.1:9002")
        self.assertIn("//10.0.0.1:9002/", self.sent_to(file_id))

    def test_nobody(self) -> None:
        """Without anybody who serves it, it is 503, not counted, and can be tried again later."""
        file_id = self.register_file(peer_address="")
        reply = self.get(f"/download/{file_id}")
        self.refused(reply, 503)
        self.assertEqual(reply.headers["retry-after"], "30")
        self.assertEqual(self.downloads(), ([0], 0))

    def test_own(self) -> None:
        """What this service serves itself is had here, by whatever name it is called."""
        self.start(own="uploads")
        file_id = self.register_file(owner="uploads", peer_address="", filename="my file.txt")
        self.assertEqual(self.sent_to(file_id), "/download?filename=my%20file.txt")
        self.assertEqual(self.downloads(), ([1], 1))

    def test_f71_paths(self) -> None:
        """Only ids lead anywhere: a path, in whatever spelling, is 404."""
        self.register_file()
        for path in (
            "..%2f..%2fetc%2fpasswd",
            "%252e%252e%252fetc",
            "..%5c..%5cetc",
            "%00",
            "/etc/passwd",
            "song.mp3",
            "x" * 2000,
            "%ff",
            "",
        ):
            self.refused(self.get(f"/download/{path}"), 404)

    def test_rate(self) -> None:
        """As each download is counted, one address cannot make any number of them."""
        self.start(SuperpeerLimits(downloads_per_second=1, download_burst=2))
        file_id = self.register_file()
        statuses = [self.get(f"/download/{file_id}").status for _ in range(3)]
        self.assertEqual(statuses, [302, 302, 429])
