"""A leech of a text swarm, among scripted seeders."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.error import ConnectionRefusedError
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import ConfigError, StorageError, TrackerUnreachable, VerificationFailed
from p2pshare.textswarm.connection import ANSWER_TIMEOUT, ASK_AGAIN
from p2pshare.wire.textline import PIECE_SILENCE
from tests.course.neighbors import Neighbor
from tests.textswarm.world import CONTENT, HELLO, KEY, PIECES, World

FULL = b"BITFIELD 1,1,1,1,1,1,1,1,1,1,1,1"
PART = b"BITFIELD 0,1,0,0,0,0,0,0,0,0,0,0"


class FetchingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World(Path(self.mktemp()))
        self.world.tracker.peers = [{"ip": "127.0.0.1", "port": 6881}]
        self.torrent = self.world.peer.download(KEY, "out.txt", 12)
        self.whole = self.world.folder / "downloads6882" / "out.txt"

    def seed(self, bits: bytes = FULL, end: bytes = b"") -> Neighbor:
        """Whom we dialled last answers up to its bitfield."""
        seed = self.world.answered()
        self.assertEqual(seed.heard(), f"HANDSHAKE {KEY}\n".encode())
        seed.says(HELLO + end)
        self.assertTrue(seed.heard().startswith(b"BITFIELD 0,0,"))
        seed.says(bits + end)
        return seed

    def serve(self, seed: Neighbor) -> None:
        """Answer every request until there is none."""
        while words := seed.heard().decode().split():
            if words[0] == "BITFIELD":
                seed.says(FULL)
                continue
            self.assertEqual(words[0], "REQUEST")
            seed.says(PIECES[int(words[1])])

    def finish(self, seed: Neighbor) -> None:
        """Serve all, and let silence end the last piece."""
        self.serve(seed)
        self.world.clock.advance(PIECE_SILENCE)

    def test_s0_13_download(self) -> None:
        """Pieces come one by one, the short last one ends with silence, and the whole is put together."""
        seed = self.seed()
        self.finish(seed)
        self.assertEqual(self.whole.read_bytes(), CONTENT)
        self.assertEqual((self.whole.parent / KEY / "piece_11").read_bytes(), PIECES[11])
        self.assertIs(self.successResultOf(self.torrent.finished), None)
        self.assertEqual([who["status"] for path, who in self.world.tracker.asked if path == "/status"], ["completed"])
        self.assertTrue(seed.transport.disconnecting)

    def test_newlines(self) -> None:
        """A seeder that ends its lines is understood as well."""
        self.finish(self.seed(end=b"\n"))
        self.assertEqual(self.whole.read_bytes(), CONTENT)

    def test_split_pieces(self) -> None:
        """A piece that comes in parts is one piece."""
        seed = self.seed()
        self.assertEqual(seed.heard(), b"REQUEST 0\n")
        for begin in range(0, 1460, 100):
            seed.says(PIECES[0][begin : begin + 100])
        self.assertEqual(seed.heard(), b"REQUEST 1\n")

    def test_last_piece_ends_with_the_connection(self) -> None:
        """A seeder that hangs up after the last piece has ended it."""
        seed = self.seed()
        self.serve(seed)
        seed.goes()
        self.assertEqual(self.whole.read_bytes(), CONTENT)

    def test_one_request_for_each_piece(self) -> None:
        """Two seeders are asked for different pieces."""
        first = self.seed()
        self.world.tracker.peers.append({"ip": "127.0.0.1", "port": 6883})
        self.world.clock.pump([1.0] * 60)
        first.says(FULL) if first.heard().startswith(b"BITFIELD") else None
        second = self.seed()
        self.assertEqual(second.heard(), b"REQUEST 1\n")

    def test_s0_14_serves_meanwhile(self) -> None:
        """A leech with one piece says so, and serves it."""
        seed = self.seed(PART)
        self.assertEqual(seed.heard(), b"REQUEST 1\n")
        seed.says(PIECES[1])
        leech = self.world.greeted()
        leech.says(b"BITFIELD 0,0,0,0,0,0,0,0,0,0,0,0\n")
        self.assertEqual(leech.heard(), PART + b"\n")
        leech.says(b"REQUEST 1\n")
        self.assertEqual(leech.heard(), PIECES[1])
        leech.says(b"REQUEST 2\n")
        self.assertEqual((leech.heard(), leech.transport.disconnecting), (b"", True))

    def test_asks_again(self) -> None:
        """Who had nothing more is asked again what it has, and for what is new."""
        seed = self.seed(PART)
        seed.heard()
        seed.says(PIECES[1])
        self.assertEqual(seed.heard(), b"")
        self.world.clock.pump([1.0] * int(ASK_AGAIN + 1))
        self.assertEqual(seed.heard(), PART + b"\n")
        seed.says(FULL)
        self.assertEqual(seed.heard(), b"REQUEST 0\n")

    def test_unanswered(self) -> None:
        """Who does not answer is hung up on, and its piece asked of another."""
        first = self.seed()
        first.heard()
        self.world.clock.pump([1.0] * int(ANSWER_TIMEOUT + 2))
        self.assertTrue(first.protocol.is_closing)
        first.goes()
        self.world.clock.pump([1.0] * 30)
        self.finish(self.seed())
        self.assertEqual(self.whole.read_bytes(), CONTENT)

    def test_too_much(self) -> None:
        """Bytes that nobody asked for close the connection, and nothing is kept of them."""
        seed = self.seed()
        seed.says(PIECES[0] + b"more")
        self.assertTrue(seed.protocol.is_closing)
        self.assertEqual(self.torrent.store.have.count, 0)

    def test_other_answers(self) -> None:
        """Another hash, no id, a bitfield of another length, or anything else closes the connection."""
        for answer in (f"HANDSHAKE {'0' * 40} {'1' * 40}", f"HANDSHAKE {KEY}\n", "BITFIELD 1\n", "no\n"):
            seed = self.world.answered()
            seed.says(answer.encode())
            self.assertTrue(seed.protocol.is_closing, answer)
            seed.goes()
            self.world.clock.pump([1.0] * 60)
        seed = self.world.answered()
        seed.says(HELLO)
        seed.says(b"BITFIELD 1,1\n")
        self.assertTrue(seed.protocol.is_closing)

    def test_ourselves(self) -> None:
        """A tracker that names us to ourselves costs one connection, and no more."""
        us = self.world.answered()
        us.says(f"HANDSHAKE {KEY} {self.world.peer.peer_id.hex()}\n".encode())
        self.assertTrue(us.protocol.is_closing)
        us.goes()
        self.world.clock.pump([1.0] * 120)
        self.assertEqual(self.world.endpoints.dials, [])

    def test_s0_15_look_ups(self) -> None:
        """It looks for peers at once and every 60 s; who is not there is dialled again then."""
        self.assertEqual(self.world.tracker.told("/get_peers"), 1)
        self.world.endpoints.dials.pop()[2].errback(ConnectionRefusedError())
        self.world.clock.pump([1.0] * 59)
        self.assertEqual((self.world.tracker.told("/get_peers"), self.world.endpoints.dials), (1, []))
        self.world.clock.advance(1)
        self.assertEqual(self.world.tracker.told("/get_peers"), 2)
        self.finish(self.seed())
        self.assertEqual(self.whole.read_bytes(), CONTENT)

    def test_tracker_in_trouble(self) -> None:
        """A tracker that does not answer is asked again soon."""
        self.world.tracker.trouble = TrackerUnreachable("connection refused")
        self.world.clock.pump([1.0] * 60)
        before = self.world.tracker.told("/register")
        self.world.tracker.trouble = None
        self.world.clock.pump([1.0] * 5)
        self.assertEqual(self.world.tracker.told("/register"), before + 1)

    def test_s0_17_altered(self) -> None:
        """A piece that is altered on disk is named, and no whole is put together."""
        seed = self.seed()
        self.serve(seed)
        (self.whole.parent / KEY / "piece_3").write_bytes(bytes(1460))
        self.world.clock.advance(PIECE_SILENCE)
        failure = self.failureResultOf(self.torrent.finished, VerificationFailed)
        self.assertIn("piece 3 is not what came", failure.getErrorMessage())
        self.assertEqual([path.name for path in self.whole.parent.iterdir()], [KEY])
        self.assertEqual(self.world.tracker.told("/status"), 0)

    def test_goes_on_later(self) -> None:
        """What an earlier run has fetched is not fetched again."""
        seed = self.seed()
        for index in range(3):
            self.assertEqual(seed.heard(), f"REQUEST {index}\n".encode())
            seed.says(PIECES[index])
        self.world.peer.exit()
        again = World(self.world.folder)
        again.tracker.peers = self.world.tracker.peers
        again.peer.download(KEY, "out.txt", 12)
        seed = again.answered()
        seed.says(HELLO)
        seed.heard()
        seed.says(FULL)
        self.assertEqual(seed.heard(), b"REQUEST 3\n")

    def test_full_disk(self) -> None:
        """A disk that refuses ends the download, with its reason."""
        seed = self.seed()
        (self.whole.parent / KEY / "piece_0").mkdir()
        seed.heard()
        seed.says(PIECES[0])
        self.failureResultOf(self.torrent.finished, StorageError)

    def test_wrong_arguments(self) -> None:
        """What cannot be fetched is refused in words."""
        for key, name, count, words in (
            ("z" * 40, "a", 1, "40 hexadecimal"),
            ("1" * 40, "a/b", 1, "without folders"),
            ("1" * 40, "a", 0, "0 pieces"),
            (KEY, "a", 1, "is shared here already"),
        ):
            with self.assertRaisesRegex(ConfigError, words):
                self.world.peer.download(key, name, count)
