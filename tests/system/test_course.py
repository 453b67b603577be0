"""The course's swarms, as processes that run ``peerProcess``."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys

from p2pshare.cli.exits import ExitCode
from tests.course.independent import LeanPeer
from tests.system.commands import PROJECT, wait_until
from tests.system.course_peers import CourseTestCase, scaled

START = (sys.executable, "-c", "from p2pshare.cli.course_program import start_remote_peers; start_remote_peers()")


class SwarmTests(CourseTestCase):
    """All come, and all go."""

    def test_s4_15_local_set(self) -> None:
        """Three peers: all complete, files equal, all end with 0, ports free, logs without fault."""
        self.make(scaled("local", 400_001))
        for peer in self.start_all().values():
            self.assert_ended(peer)
        self.assert_whole()

    def test_s4_16_small_set(self) -> None:
        """Nine peers with two seeds among them."""
        self.make(scaled("small", 2_167_705))
        for peer in self.start_all().values():
            self.assert_ended(peer)
        self.assert_whole()

    def test_s4_16_large_set(self) -> None:
        """Six peers with one seed; of its file a part is enough here."""
        self.make(scaled("large", 1_500_001))
        for peer in self.start_all().values():
            self.assert_ended(peer)
        self.assert_whole()

    def test_s4_4_in_any_order(self) -> None:
        """Who is started before those it has to dial tries again until they are there; each link exists once."""
        self.make(scaled("local", 100_001))
        peers = [self.start(id) for id in (1003, 1002)]
        wait_until(lambda: (self.folder / "log_peer_1003.log").exists(), "a peer that runs")
        for peer in (*peers, self.start(1001)):
            self.assert_ended(peer)
        self.assert_whole()
        connections = [
            self.log(id).count("connection to") + self.log(id).count("connected from") for id in range(1001, 1004)
        ]
        self.assertEqual(connections, [2, 2, 2])


class MixedTests(CourseTestCase):
    """Swarms with a peer that was written independently; its neighbors may find that out from nothing."""

    def lean(self, id: int) -> LeanPeer:
        """Make the independent peer of an id; it listens, and does nothing else yet."""
        info, geometry = self.sample.info, self.sample.common.geometry
        before = {line.id: line.port for line in info.before(id)}
        sizes = [geometry.piece_size(index) for index in range(geometry.num_pieces)]
        peer = LeanPeer(id, self.port(id), before, len(info.peers) - 1, sizes)
        self.addCleanup(peer.close)
        return peer

    def test_s4_18_lean_leech(self) -> None:
        """Our seed, their leech, our leech: files equal, and ours end well."""
        self.make(scaled("local", 300_001))
        lean = self.lean(1002)
        lean.start()
        peers = [self.start(1001), self.start(1003)]
        self.assertTrue(lean.done.wait(30))
        self.assertIs(lean.error, None)
        for peer in peers:
            self.assert_ended(peer)
        self.assertTrue(b"".join(lean.pieces[index] for index in sorted(lean.pieces)) == self.content(1001))
        self.assertTrue(self.content(1003) == self.content(1001))

    def test_s4_18_lean_seed(self) -> None:
        """Their seed, our leeches: files equal, and ours end well."""
        sample = self.make(scaled("local", 300_001))
        content, size = self.content(1001), sample.common.piece_size
        lean = self.lean(1001)
        lean.start([content[begin : begin + size] for begin in range(0, len(content), size)])
        peers = [self.start(1002), self.start(1003)]
        self.assertTrue(lean.done.wait(30))
        self.assertIs(lean.error, None)
        for peer in peers:
            self.assert_ended(peer)
            self.assertTrue(self.content(peer.id) == content)


class LossTests(CourseTestCase):
    """Not everybody stays."""

    def test_s4_17_paused(self) -> None:
        """Nobody goes while one lacks a piece, however long that takes; when it goes on, all end well."""
        self.make(scaled("local", 1_000_001, piece_size=4096))
        peers = self.start_all()
        self.await_log(1003, "has downloaded the piece")
        peers[1003].process.send_signal(signal.SIGSTOP)
        self.await_log(1002, "has downloaded the complete file")
        with self.assertRaises(AssertionError):
            peers[1001].ended(within=2.0)  # more than the grace
        self.assertIs(peers[1002].process.poll(), None)
        peers[1003].process.send_signal(signal.SIGCONT)
        for peer in peers.values():
            self.assert_ended(peer)
        self.assert_whole()

    def test_s4_17_killed(self) -> None:
        """When one is killed the others get the file, say who is missing, and end with 3 after the grace."""
        self.make(scaled("large", 2_000_001, piece_size=4096))
        peers = [self.start(id, "--grace", "1") for id in range(1001, 1006)]
        wait_until(lambda: self.log(1005).count("makes a connection") == 4, "the others")
        lost = self.start(1006)
        wait_until(lambda: self.log(1006).count("makes a connection") == 5, "all of them")
        lost.process.kill()
        self.assertNotIn("complete file", self.log(1006))
        for peer in peers:
            self.assert_ended(peer, ExitCode.TIMED_OUT)
            self.assertIn("peer 1006 left without the file", peer.said())
            self.assertEqual(peer.said().splitlines()[-1], "p2pshare: without the file are still 1006")
            self.assertTrue(self.content(peer.id) == self.content(1001), f"peer {peer.id} has another file")

    def test_s4_17_never_started(self) -> None:
        """With --wait, one that is never started keeps nobody for ever; the others have the file by then."""
        self.make(scaled("local", 1_000_001, piece_size=4096))
        peers = [self.start(id, "--wait", "3", "--grace", "1") for id in (1001, 1002)]
        for peer in peers:
            self.assert_ended(peer, ExitCode.TIMED_OUT)
            self.assertIn("not here yet after 3 s: peer 1003", peer.said())
            self.assertTrue(self.content(peer.id) == self.content(1001), f"peer {peer.id} has another file")

    def test_came_back(self) -> None:
        """A peer that is killed and started again is waited for, begins anew, and all end well."""
        self.make(scaled("local", 400_001, piece_size=4096))
        peers = self.start_all("--grace", "30")
        self.await_log(1003, "has downloaded the piece")
        peers[1003].clean_up()
        peers[1003] = self.start(1003)
        for peer in peers.values():
            self.assert_ended(peer)
        self.assertTrue(self.content(1003) == self.content(1001))

    def test_told_to_stop(self) -> None:
        """SIGTERM and Ctrl-C end a peer at once and in order, with their exit codes and one line."""
        self.make(scaled("local", 100_001))
        for number, code in ((signal.SIGTERM, ExitCode.UNFINISHED), (signal.SIGINT, ExitCode.INTERRUPTED)):
            (self.folder / "log_peer_1002.log").unlink(missing_ok=True)
            seed, leech = self.start(1001), self.start(1002)
            self.await_log(1002, "makes a connection")
            for peer in (seed, leech):
                peer.process.send_signal(number)
            for peer in (seed, leech):
                self.assert_ended(peer, code)
                self.assertIn(peer.said().count("\n"), (1, 2))  # besides, it may say that the other has left


class TroubleTests(CourseTestCase):
    """What is wrong from the start, and strangers at the door."""

    def test_s4_1_garbage(self) -> None:
        """Who speaks another protocol, or claims an id that it cannot have, is hung up on; nobody is hurt."""
        self.make(scaled("local", 100_001))
        seed = self.start(1001)
        hello = b"P2PFILESHARINGPROJ" + bytes(10)
        for garbage in (
            b"GET / HTTP/1.1\r\n\r\n",
            os.urandom(4096),
            b"\x13BitTorrent protocol" + bytes(48),
            hello + (1001).to_bytes(4, "big"),
            hello + (9999).to_bytes(4, "big"),
            hello + (1003).to_bytes(4, "big") + b"\xff\xff\xff\xff\x07",
            hello + (1003).to_bytes(4, "big") + b"\0\0\0\x05\x06\0\1\0\0",
        ):
            connection = self.dialled(1001)
            self.assertEqual(connection.recv(32, socket.MSG_WAITALL), hello + (1001).to_bytes(4, "big"))
            connection.sendall(garbage)
            with contextlib.suppress(ConnectionResetError):
                while connection.recv(4096):
                    pass
        for peer in (seed, self.start(1002), self.start(1003)):
            self.assert_ended(peer)
        self.assertTrue(self.content(1003) == self.content(1001))

    def test_s4_12_configuration(self) -> None:
        """What is wrong in the folder is one line, and exit code 2, before anything is opened."""
        sample = self.make(scaled("local", 100_001))
        common = self.folder / "Common.cfg"
        right = common.read_text()
        for wrong, id, words in (
            (right.replace("PieceSize", "Piecesize"), 1001, "Piecesize"),
            (right.replace("PieceSize 32768\n", ""), 1001, "PieceSize"),
            (right.replace("100001", "1e5"), 1001, "FileSize 1e5"),
            (right.replace("100001", "100002"), 1001, "100001 bytes, expected 100002"),
            (right, 1009, "1009"),
        ):
            common.write_text(wrong)
            peer = self.start(id)
            self.assert_ended(peer, ExitCode.USAGE)
            self.assertEqual(peer.said().count("\n"), 1)
            self.assertIn(words, peer.said())
        self.assertFalse((self.folder / f"log_peer_{sample.info.peers[0].id}.log").exists())

    def test_port_taken(self) -> None:
        """A port that somebody has is one line, and exit code 1."""
        self.make(scaled("local", 100_001))
        with socket.socket() as taken:
            taken.bind(("", self.port(1001)))
            taken.listen()
            peer = self.start(1001)
            self.assert_ended(peer, ExitCode.ERROR)
        self.assertIn(f"p2pshare: port {self.port(1001)}: ", peer.said())

    def test_started_twice(self) -> None:
        """The second process of a peer touches nothing of the first, and says so."""
        self.make(scaled("local", 100_001, piece_size=4096))
        peers = [self.start(1001), self.start(1002)]
        self.await_log(1002, "has downloaded the complete file")
        second = self.start(1002)
        self.assert_ended(second, ExitCode.ERROR)
        self.assertIn("log_peer_1002.log", second.said())
        for peer in (*peers, self.start(1003)):
            self.assert_ended(peer)
        self.assert_whole()


class StarterTests(CourseTestCase):
    """``StartRemotePeers``."""

    def start_peers(self, *options: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
        done = subprocess.run(
            [*START, *options], cwd=self.folder, env=environment, capture_output=True, timeout=60, check=False
        )
        self.assertEqual((done.returncode, done.stderr), (0, b""))

    def test_s4_19_ssh(self) -> None:
        """One call of ssh for each line, in order: host, and the command to run in this folder there."""
        sample = self.make(scaled("local", 1000))
        stub, calls = self.folder / "ssh", self.folder / "calls"
        stub.write_text(f'#!/bin/sh\nprintf "%s\\n" "$1|$2" >> {calls}\n')
        stub.chmod(stub.stat().st_mode | stat.S_IXUSR)
        self.start_peers("--ssh", str(stub))
        lines = wait_until(
            lambda: (found := calls.read_text().splitlines() if calls.exists() else []) and len(found) == 3 and found,
            "three calls",
        )
        expected = [f"{peer.host}|cd {self.folder} ; peerProcess {peer.id}" for peer in sample.info.peers]
        self.assertEqual(sorted(lines), expected)

    def test_s4_19_local(self) -> None:
        """All peers are processes of this machine; the starter ends, and they finish."""
        self.make(scaled("local", 100_001))
        self.start_peers("--local")
        for id in (1002, 1003):
            self.await_log(id, "has downloaded the complete file")
        self.assertTrue(self.content(1003) == self.content(1001))
        wait_until(lambda: not self._is_open(1001), "the end of peer 1001")

    def _is_open(self, id: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port(id))) == 0
