"""Tests for what two peers say right after the handshakes."""

from p2pshare import __version__
from p2pshare.addresses import Address
from p2pshare.wire import bep3, messages
from tests.fakes import OUR_ID
from tests.swarm.fakes import ALL, PLAIN, TORRENT, ScriptedPeer, SwarmTestCase

FAST_ONLY = b"\0\0\0\0\0\0\0\x04"
EXTENDED_ONLY = b"\0\0\0\0\0\x10\0\0"


class FirstFrameTests(SwarmTestCase):
    """What we have, in the words the other side understands."""

    def first_bytes(self, have: tuple[int, ...], reserved: bytes) -> bytes:
        """Give all that a peer hears right after our handshake."""
        self.start(have)
        peer = self.connect(reserved=reserved)
        peer.greet()
        said: bytes = peer.transport.value()
        return said[bep3.HANDSHAKE_SIZE :]

    def test_s1_8_handshake(self) -> None:
        """Our 68 bytes come back: the protocol's name, the same info_hash, our peer_id."""
        self.start()
        peer = self.connect(reserved=PLAIN)
        peer.greet()
        hello = peer.transport.value()
        self.assertEqual(len(hello), 68)
        self.assertEqual((hello[:20], hello[28:48]), (b"\x13BitTorrent protocol", TORRENT.info_hash))
        self.assertEqual(hello[48:], OUR_ID)

    def test_s1_8_wrong_hash(self) -> None:
        """Another torrent's handshake is hung up on, and nothing is said."""
        self.start()
        peer = self.connect()
        peer.send(bep3.encode_handshake(bep3.Handshake(bep3.RESERVED, b"?" * 20, peer.peer_id)))
        self.assertTrue(peer.is_gone)
        self.assertEqual(peer.transport.value(), b"")

    def test_s1_9_seed(self) -> None:
        """A plain BEP 3 peer gets the bitfield of a seed as its very first frame."""
        self.assertEqual(self.first_bytes(ALL, PLAIN), b"\0\0\0\2\5\xff")

    def test_s1_9_half(self) -> None:
        """Pieces 0 to 3 of 8 are F0: the high bit is piece 0."""
        self.assertEqual(self.first_bytes((0, 1, 2, 3), PLAIN), b"\0\0\0\2\5\xf0")

    def test_s1_9_nothing(self) -> None:
        """With nothing to tell, a plain peer hears nothing."""
        self.assertEqual(self.first_bytes((), PLAIN), b"")

    def test_fast(self) -> None:
        """The fast extension has one word for everything and one for nothing (BEP 6)."""
        self.assertEqual(self.first_bytes(ALL, FAST_ONLY), bep3.encode(messages.HaveAll()))
        self.assertEqual(self.first_bytes((), FAST_ONLY), bep3.encode(messages.HaveNone()))
        self.assertEqual(self.first_bytes((0,), FAST_ONLY), bep3.encode(messages.Bitfield(b"\x80")))


class ExtendedHandshakeTests(SwarmTestCase):
    """BEP 10, in both directions."""

    def introduction(self, peer: ScriptedPeer) -> messages.ExtendedHandshake:
        """Give what we say of ourselves."""
        peer.greet()
        (said,) = peer.hear_about(messages.ExtendedHandshake)
        assert isinstance(said, messages.ExtendedHandshake)
        return said

    def test_ours(self) -> None:
        """We name ourselves, our port, how many requests we queue, and the address we see."""
        self.start()
        said = self.introduction(self.connect(reserved=EXTENDED_ONLY))
        self.assertEqual(
            (said.version, said.port, said.reqq, said.yourip, said.upload_only),
            (f"p2pshare {__version__}", 6881, 2000, "10.1.0.1", False),
        )

    def test_seed_uploads_only(self) -> None:
        """A seed says that it wants nothing (BEP 21)."""
        self.start(ALL)
        self.assertTrue(self.introduction(self.connect()).upload_only)

    def test_s1_19_peer_dialled_by_name(self) -> None:
        """A peer we know by a name only is told no address, and is as welcome as any other."""
        self.start()
        peer = self.connect(address=Address("client2", 6881), dialled=True)
        self.assertIsNone(self.introduction(peer).yourip)
        peer.say(messages.HaveAll())
        self.assertEqual(peer.hear(), [messages.Interested()])

    def test_theirs(self) -> None:
        """What a peer says of itself is noted; a later handshake corrects an earlier."""
        self.start()
        peer = self.meet()
        peer.say(messages.ExtendedHandshake(version="Other 1.0", port=7000, reqq=100))
        remote = self.member(peer).remote
        self.assertEqual((remote.client, remote.reqq), ("Other 1.0", 100))
        self.assertEqual(remote.listen_address, Address("10.1.0.1", 7000))
        peer.say(messages.ExtendedHandshake(reqq=50, upload_only=True))
        self.assertEqual((remote.client, remote.reqq, remote.upload_only), ("Other 1.0", 50, True))

    def test_reqq_is_obeyed(self) -> None:
        """No more requests are queued at a peer than it said it takes."""
        self.start()
        peer = self.meet(ALL)
        peer.say(messages.ExtendedHandshake(reqq=3), messages.Unchoke())
        self.assertEqual(len(peer.hear_about(messages.Request)), 3)
