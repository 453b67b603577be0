"""A seed of a text swarm, and what it answers."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.wire.textline import LINE_SILENCE
from tests.textswarm.world import KEY, PIECES, World

BITS = b"BITFIELD 1,1,1,1,1,1,1,1,1,1,1,1\n"
NONE = b"BITFIELD 0,0,0,0,0,0,0,0,0,0,0,0"


class AnsweringTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World(Path(self.mktemp())).seeding()
        self.hello = f"HANDSHAKE {KEY} {self.world.peer.peer_id.hex()}\n".encode()

    def test_s0_6_handshake(self) -> None:
        """A handshake is answered with its hash and our id, whether a newline ends it or not."""
        for end in (b"", b"\n", b"\r\n"):
            leech = self.world.accepted()
            leech.says(f"HANDSHAKE {KEY}".encode() + end)
            self.assertEqual(leech.heard(), self.hello)

    def test_s0_6_echo(self) -> None:
        """The hash is echoed as it came."""
        leech = self.world.accepted()
        leech.says(f"HANDSHAKE {KEY.upper()}".encode())
        self.assertIn(KEY.upper().encode(), leech.heard())

    def test_s0_7_bitfield(self) -> None:
        """A bitfield is answered with ours, as often as it comes."""
        leech = self.world.greeted()
        for end in (b"\n", b"\n", b"\n"):
            leech.says(NONE + end)
            self.assertEqual(leech.heard(), BITS)

    def test_s0_8_request(self) -> None:
        """A request is answered with the bytes of the piece, and nothing else; the last piece is short."""
        leech = self.world.greeted()
        for index in (1, 11):
            leech.says(f"REQUEST {index}\n".encode())
            self.assertEqual(leech.heard(), PIECES[index])
        self.world.clock.advance(1)
        self.assertEqual(leech.heard(), b"")

    def test_s0_9_single_bytes(self) -> None:
        """Lines that come byte by byte are the same lines."""
        leech = self.world.accepted()
        for byte in f"HANDSHAKE {KEY}\n{NONE.decode()}\nREQUEST 1\n".encode():
            leech.says(bytes([byte]))
        self.assertEqual(leech.heard(), self.hello + BITS + PIECES[1])

    def test_s0_9_glued(self) -> None:
        """What comes all at once is answered in its order."""
        leech = self.world.accepted()
        leech.says(f"HANDSHAKE {KEY}\nREQUEST 2\n{NONE.decode()}\nREQUEST 0\n".encode())
        self.assertEqual(leech.heard(), self.hello + PIECES[2] + BITS + PIECES[0])

    def test_s0_10_one_is_not_eleven(self) -> None:
        """REQUEST 1 with a newline is piece 1; without, silence says that no digit follows."""
        leech = self.world.greeted()
        leech.says(b"REQUEST 1\n")
        self.assertEqual(leech.heard(), PIECES[1])
        leech = self.world.accepted()
        leech.says(f"HANDSHAKE {KEY}".encode())
        leech.heard()
        leech.says(b"REQUEST 1")
        self.assertEqual(leech.heard(), b"")
        self.world.clock.advance(LINE_SILENCE)
        self.assertEqual(leech.heard(), PIECES[1])
        leech.says(b"REQUEST 11")
        self.assertEqual(leech.heard(), PIECES[11])

    def test_s0_11_no_byte(self) -> None:
        """What cannot be served closes the connection without a byte, and others go on."""
        other = self.world.greeted()
        for words in (f"HANDSHAKE {'0' * 40}\n", "GET / HTTP/1.1\r\n", "BITFIELD 0\n", "REQUEST 0\n", "\x13BitTorrent"):
            stranger = self.world.accepted()
            stranger.says(words.encode())
            self.assertEqual((stranger.heard(), stranger.transport.disconnecting), (b"", True), words)
        for words in ("REQUEST 12\n", "REQUEST -1\n", "BITFIELD 0,0\n", f"HANDSHAKE {KEY}\n", "HAVE 1\n"):
            leech = self.world.greeted()
            leech.says(words.encode())
            self.assertEqual((leech.heard(), leech.transport.disconnecting), (b"", True), words)
        other.says(b"REQUEST 0\n")
        self.assertEqual(other.heard(), PIECES[0])

    def test_silent_stranger(self) -> None:
        """Who never greets is closed; who has may be silent for long."""
        stranger, leech = self.world.accepted(), self.world.greeted()
        self.world.clock.advance(10)
        self.assertTrue(stranger.protocol.is_closing)
        self.world.clock.pump([1.0] * 300)
        self.assertFalse(leech.transport.disconnecting)

    def test_endless_line(self) -> None:
        """A line that does not end is not gathered for ever."""
        leech = self.world.greeted()
        leech.says(b"BITFIELD " + b"0," * 200)
        self.assertTrue(leech.transport.disconnecting)

    def test_unread_pieces(self) -> None:
        """To who does not read no more pieces are handed; they come when it does."""
        leech = self.world.greeted()
        leech.protocol.pauseProducing()
        leech.says(b"REQUEST 0\nREQUEST 3\n")
        self.assertEqual(leech.heard(), b"")
        leech.protocol.resumeProducing()
        self.assertEqual(leech.heard(), PIECES[0] + PIECES[3])

    def test_too_many_requests(self) -> None:
        """Who asks for more than it could read is not listened to, and hung up on if it all came at once."""
        leech = self.world.greeted()
        leech.protocol.pauseProducing()
        leech.says(b"REQUEST 0\n" * 100)
        self.assertEqual(leech.transport.producerState, "paused")
        leech.says(b"REQUEST 0\n" * 100)
        self.assertTrue(leech.protocol.is_closing)

    def test_s0_16_exit(self) -> None:
        """Leaving closes the port and every connection, and says so to the tracker once."""
        leech = self.world.greeted()
        leaving = self.world.peer.exit()
        self.assertTrue(self.world.endpoints.port.closed)
        self.assertTrue(leech.transport.disconnecting)
        self.assertNoResult(leaving)
        leech.goes()
        self.successResultOf(leaving)
        self.assertEqual([who["status"] for path, who in self.world.tracker.asked if path == "/status"], ["stopped"])
        self.assertEqual(self.world.clock.getDelayedCalls(), [])
