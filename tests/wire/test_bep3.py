"""The bytes of the peer protocol."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import LocalWireError, RemoteWireError
from p2pshare.wire import bep3, messages
from tests.wire.strategies import any_message

GOLDEN = [
    (messages.KeepAlive(), "00000000"),
    (messages.Choke(), "00000001 00"),
    (messages.Unchoke(), "00000001 01"),
    (messages.Interested(), "00000001 02"),
    (messages.NotInterested(), "00000001 03"),
    (messages.Have(0x01020304), "00000005 04 01020304"),
    (messages.Bitfield(b"\xf0"), "00000002 05 f0"),
    (messages.Request(3, 0x4000, 0x4000), "0000000d 06 00000003 00004000 00004000"),
    (messages.Piece(3, 0x4000, b"abc"), "0000000c 07 00000003 00004000 616263"),
    (messages.Cancel(3, 0x4000, 0x4000), "0000000d 08 00000003 00004000 00004000"),
    (messages.Port(6881), "00000003 09 1ae1"),
    (messages.Suggest(7), "00000005 0d 00000007"),
    (messages.HaveAll(), "00000001 0e"),
    (messages.HaveNone(), "00000001 0f"),
    (messages.Reject(3, 0x4000, 0x4000), "0000000d 10 00000003 00004000 00004000"),
    (messages.AllowedFast(7), "00000005 11 00000007"),
    (messages.Extended(2, b"de"), "00000004 14 02 6465"),
    (messages.ExtendedHandshake(ids={b"ut_pex": 1}), "00000014 14 00" + b"d1:md6:ut_pexi1eee".hex()),
]


def decoded(frame: bytes) -> messages.Message:
    """Read a frame that is longer than its length bytes."""
    return bep3.decode(frame[4], memoryview(frame)[5:])


class HandshakeTests(SynchronousTestCase):
    info_hash = bytes(range(20))
    peer_id = b"-P20100-abcdefghijkl"
    golden = b"\x13BitTorrent protocol" + bytes.fromhex("0000000000100004") + info_hash + peer_id

    def test_written(self) -> None:
        """Ours is 68 bytes: the protocol's name, the extended and fast bits, the torrent, ourselves (BEP 3, 6, 10)."""
        handshake = bep3.Handshake(bep3.RESERVED, self.info_hash, self.peer_id)
        self.assertEqual(bep3.encode_handshake(handshake), self.golden)

    def test_read(self) -> None:
        """Reading gives back what was written, and says which extensions are offered."""
        handshake = bep3.decode_handshake(self.golden)
        self.assertEqual(handshake, bep3.Handshake(bep3.RESERVED, self.info_hash, self.peer_id))
        self.assertEqual((handshake.extended, handshake.fast, handshake.dht), (True, True, False))

    def test_bits(self) -> None:
        """Each feature has its own bit, and an old client has none."""
        for reserved, features in (
            ("0000000000000000", (False, False, False)),
            ("0000000000100000", (True, False, False)),
            ("0000000000000004", (False, True, False)),
            ("0000000000000001", (False, False, True)),
            ("ffffffffffffffff", (True, True, True)),
        ):
            handshake = bep3.Handshake(bytes.fromhex(reserved), self.info_hash, self.peer_id)
            self.assertEqual((handshake.extended, handshake.fast, handshake.dht), features)

    def test_wrong_sizes_are_our_bug(self) -> None:
        """A part of ours that has the wrong size never gets on the wire, not even when the sum is right."""
        for parts in (
            (b"", self.info_hash, self.peer_id),
            (bytes(8), bytes(19), bytes(21)),
            (bytes(9), bytes(19), bytes(20)),
        ):
            with self.assertRaises(LocalWireError):
                bep3.encode_handshake(bep3.Handshake(*parts))

    def test_f19_other_protocols(self) -> None:
        """An HTTP request, a TLS hello or a bad protocol name is no handshake."""
        for data in (b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00\x01", b"\x13BitTorrent Protocol" + bytes(48), b""):
            with self.assertRaises(RemoteWireError):
                bep3.decode_handshake(data)

    def test_f19_wrong_number_of_bytes(self) -> None:
        """A handshake is 68 bytes, not one less or more."""
        for data in (self.golden[:-1], self.golden + b"\0"):
            with self.assertRaises(RemoteWireError):
                bep3.decode_handshake(data)

    @given(st.binary(max_size=80))
    def test_garbage(self, data: bytes) -> None:
        """Any bytes are a handshake or a RemoteWireError."""
        try:
            bep3.decode_handshake(data)
        except RemoteWireError:
            pass


class CodecTests(SynchronousTestCase):
    def test_golden_bytes(self) -> None:
        """Every message looks on the wire as its BEP says, both ways."""
        for message, text in GOLDEN:
            frame = bytes.fromhex(text)
            self.assertEqual(bep3.encode(message), frame)
            if len(frame) > 4:
                self.assertEqual(decoded(frame), message)

    @given(any_message)
    def test_round_trip(self, message: messages.Message) -> None:
        """What is written is read as the same message."""
        if message != messages.KeepAlive():
            self.assertEqual(decoded(bep3.encode(message)), message)

    @given(st.integers(0, 255), st.binary(max_size=60))
    @settings(max_examples=200)
    def test_garbage(self, id: int, payload: bytes) -> None:
        """Any id with any payload is a message or a RemoteWireError."""
        try:
            bep3.decode(id, memoryview(payload))
        except RemoteWireError:
            pass

    def test_exact_sizes(self) -> None:
        """A message of fixed size is refused when it is a byte shorter or longer."""
        for message, text in GOLDEN:
            frame = bytes.fromhex(text)
            if isinstance(message, messages.Bitfield | messages.Piece | messages.Extended | messages.KeepAlive):
                continue  # of any size
            for wrong in (frame[:-1], frame + b"\0"):
                if len(wrong) > 4:
                    self.assertRaises(RemoteWireError, decoded, wrong)

    def test_block_sizes(self) -> None:
        """A block may be as large as anybody asks for, 16 KiB, and no byte larger; its place must be there."""
        for size in (0, 16383, 16384):
            self.assertEqual(len(decoded(bep3.encode(messages.Piece(0, 0, bytes(size)))).data), size)
        for frame in (bep3.encode(messages.Piece(0, 0, bytes(16385))), bytes.fromhex("00000008 07 00000003 000040")):
            self.assertRaises(RemoteWireError, decoded, frame)

    def test_blocks_are_not_copied(self) -> None:
        """A block that is read is a view of the bytes it was read from."""
        frame = bep3.encode(messages.Piece(1, 2, b"data"))
        self.assertIs(decoded(frame).data.obj, frame)

    def test_f26_strange_requests_are_read(self) -> None:
        """A request for no bytes, too many or beyond the end is read as it is: the swarm counts and rejects it."""
        for numbers in ((0, 0, 0), (0, 0, 1 << 20), (2**32 - 1, 2**32 - 1, 2**32 - 1)):
            request = messages.Request(*numbers)
            self.assertEqual(decoded(bep3.encode(request)), request)

    def test_f40_unknown_id(self) -> None:
        """An id nobody gave a meaning is some new extension's, not an error."""
        for id in (10, 18, 21, 255):
            self.assertEqual(bep3.decode(id, memoryview(b"whatever")), messages.Unknown(id))

    def test_extended_without_id(self) -> None:
        """An extension message that does not say which extension it belongs to is refused."""
        self.assertRaises(RemoteWireError, bep3.decode, 20, memoryview(b""))

    def test_our_bugs(self) -> None:
        """Numbers that fit no field, and things that cannot be said, are refused before they are sent."""
        for message in (
            messages.Have(-1),
            messages.Request(0, 2**32, 16384),
            messages.Port(65536),
            messages.Piece(-1, 0, b""),
            messages.Extended(0, b"id 0 is the handshake's"),
            messages.Unknown(99),
        ):
            self.assertRaises(LocalWireError, bep3.encode, message)


class BatchTests(SynchronousTestCase):
    """Batches are the same bytes as their messages one by one."""

    blocks = [(0, 0, 16384), (0, 16384, 16384), (5, 0, 999)]

    def test_requests(self) -> None:
        """Requests may be given as messages or as the ledger's tuples."""
        requests = [messages.Request(*block) for block in self.blocks]
        expected = b"".join(map(bep3.encode, requests))
        self.assertEqual(bep3.encode_requests(requests), expected)
        self.assertEqual(bep3.encode_requests(self.blocks), expected)
        self.assertEqual(bep3.encode_requests([]), b"")

    def test_cancels_and_rejects(self) -> None:
        """The other messages that name a block go the same way."""
        for kind in (messages.Cancel, messages.Reject):
            expected = b"".join(bep3.encode(kind(*block)) for block in self.blocks)
            self.assertEqual(bep3.encode_blocks(kind, self.blocks), expected)

    def test_haves(self) -> None:
        """Haves go by their indices."""
        self.assertEqual(bep3.encode_haves([3, 9]), bep3.encode(messages.Have(3)) + bep3.encode(messages.Have(9)))

    def test_piece_header(self) -> None:
        """A header and the block after it are a piece message."""
        self.assertEqual(bep3.piece_header(3, 16384, 3) + b"abc", bep3.encode(messages.Piece(3, 16384, b"abc")))

    def test_our_bugs(self) -> None:
        """Numbers that fit no field are refused in batches, too."""
        self.assertRaises(LocalWireError, bep3.encode_requests, [(0, 0, 2**32)])
        self.assertRaises(LocalWireError, bep3.encode_requests, [(0, 0)])
        self.assertRaises(LocalWireError, bep3.encode_haves, [-1])
        self.assertRaises(LocalWireError, bep3.piece_header, 0, -1, 16384)
