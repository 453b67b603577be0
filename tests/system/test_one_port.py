"""One daemon that speaks BitTorrent, the course's protocol and that of text swarms, all on one port."""

from __future__ import annotations

import signal
import socket
from hashlib import sha1

from tests.client.fakes import torrent_file
from tests.storage.fakes import some_bytes
from tests.system.commands import Command, wait_until
from tests.system.course_peers import CourseTestCase, scaled
from tests.system.daemons import Daemon
from tests.system.test_text_swarm import RecordingTracker, Running

TEXT, TORRENT = some_bytes(3000, 1), some_bytes(300_000, 2)


class OnePortTests(CourseTestCase):
    """Peers of three kinds at one door."""

    def setUp(self) -> None:
        super().setUp()
        self.make(scaled("local", 200_000, piece_size=4096))
        self.port = self.sample.info.of(1001).port
        self.other = self.folder / "other"
        (self.other / "data").mkdir(parents=True)
        (self.other / "data" / "content").write_bytes(TORRENT)
        (self.other / "content.torrent").write_bytes(torrent_file("content", TORRENT))
        (self.other / "example.txt").write_bytes(TEXT)
        self.tracker = RecordingTracker()
        self.addCleanup(self.tracker.close)

    def start_daemon(self) -> Daemon:
        """Start it; it has everything."""
        place = ["--bind", "127.0.0.1", "--state-dir", self.other / "state", "--data", self.other / "data"]
        shared = ["--torrent", self.other / "content.torrent", "--course", self.folder, "--peer-id", "1001"]
        text = ["--text", self.other / "example.txt", "--text-tracker", self.tracker.url]
        daemon = Daemon(self, self.other / "run", "p2p-peer", *place, *shared, *text)
        daemon.logged(f"listening for peers on port {self.port}")
        return daemon

    def download(self) -> None:
        """Fetch the torrent from it."""
        words = [
            "download",
            self.other / "content.torrent",
            "-o",
            self.other / "copy",
            "--port",
            "0",
            "--timeout",
            "20",
        ]
        command = Command(self.other, "download", [*words, "--peer", f"127.0.0.1:{self.port}"])
        self.addCleanup(command.clean_up)
        self.assertEqual(command.ended(), 0, command.complained())
        self.assertEqual((self.other / "copy" / "content").read_bytes(), TORRENT)

    def download_text(self, daemon: Daemon) -> None:
        """Fetch the text file from it."""
        key = daemon.logged(r"text swarm: ([0-9a-f]{40}) example.txt 3")
        words = ("download", key, "out.txt", "3", "--port", "0", "--bind", "127.0.0.1", "--tracker", self.tracker.url)
        text = Running(self.other, {}, words)
        self.addCleanup(text.clean_up)
        self.assertEqual(text.ended(), 0, text.said())
        (whole,) = self.other.glob("downloads*/out.txt")
        self.assertEqual(whole.read_bytes(), TEXT)

    def test_all_dialects(self) -> None:
        """Everybody gets what they came for, at the same port; the others get theirs after the course is over, too."""
        daemon = self.start_daemon()
        self.download()
        self.download_text(daemon)
        peers = [self.start(id) for id in (1002, 1003)]
        for peer in peers:
            self.assertEqual(peer.ended(), 0, peer.said())
            self.assertEqual(sha1(self.content(peer.id)).digest(), sha1(self.content(1001)).digest())
        daemon.logged("all peers have the file")
        for path in [*self.other.glob("copy/*"), *self.other.glob("downloads*/*.txt")]:
            path.unlink()
        self.download()
        self.assertLess(daemon.told(signal.SIGTERM), 5)
        self.assertEqual(daemon.process.returncode, 0)
        self.assertNotIn("Traceback", daemon.log)
        self.assertIn("stopped", self.tracker.statuses())

    def test_garbage(self) -> None:
        """Who speaks none of them is closed without a word, and stands in nobody's way."""
        self.start_daemon()
        for first in (b"GET / HTTP/1.1\r\n\r\n", b"HANDSHAKX", b"P2Q", bytes(100)):
            with socket.create_connection(("127.0.0.1", self.port), 10) as stranger:
                stranger.sendall(first)
                try:
                    said = stranger.recv(100)
                except ConnectionResetError:  # so it was closed before all of it was read
                    said = b""
                self.assertEqual(said, b"", first)
        self.download()

    def test_text_alone(self) -> None:
        """A daemon that shares nothing but texts, one of them named twice, says its goodbyes and ends in order."""
        text = ["--text", self.other / "example.txt"] * 2
        place = ["--bind", "127.0.0.1", "--port", "0", "--state-dir", self.other / "state"]
        daemon = Daemon(self, self.other / "run", "p2p-peer", *place, *text, "--text-tracker", self.tracker.url)
        self.download_text(daemon)
        self.assertLess(daemon.told(signal.SIGTERM), 4)
        self.assertEqual(daemon.process.returncode, 0)
        for word in ("Traceback", "Unhandled", "critical", "not shared"):
            self.assertNotIn(word, daemon.log)
        self.assertEqual(self.tracker.peers, {})

    def test_another_port(self) -> None:
        """A port that the neighbors would not dial is refused, in one line."""
        words = ["--torrent", self.other / "content.torrent", "--port", "1", "--data", self.other / "data"]
        daemon = Daemon(self, self.other / "run", "p2p-peer", *words, "--course", self.folder, "--peer-id", "1001")
        wait_until(lambda: daemon.process.poll() is not None, "its end")
        self.assertEqual(daemon.process.returncode, 2)
        assert daemon.process.stderr is not None
        said = daemon.process.stderr.read()
        self.assertIn(f"port 1: PeerInfo.cfg has peer 1001 at port {self.port}, and there is one port for all", said)
