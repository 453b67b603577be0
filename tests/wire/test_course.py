"""The bytes of the course project's protocol."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import LocalWireError, RemoteWireError
from p2pshare.geometry import Geometry
from p2pshare.wire import course, messages
from p2pshare.wire.dialect import Dialect
from p2pshare.wire.framing import FrameTooLong
from p2pshare.wire.session import WireSession

ASSIGNMENT = Geometry(32768, (10000232,))  # 306 pieces, the last of 5,992 bytes
SMALL = Geometry(4, (18,))  # 5 pieces, the last of 2 bytes
DIALECT = course.make_dialect(SMALL)
GOLDEN = [
    (messages.Choke(), "00000001 00"),
    (messages.Unchoke(), "00000001 01"),
    (messages.Interested(), "00000001 02"),
    (messages.NotInterested(), "00000001 03"),
    (messages.Have(3), "00000005 04 00000003"),
    (messages.Bitfield(b"\xa8"), "00000002 05 a8"),
    (messages.Request(3, 0, 4), "00000005 06 00000003"),
    (messages.Request(4, 0, 2), "00000005 06 00000004"),
    (messages.Piece(3, 0, b"abcd"), "00000009 07 00000003 61626364"),
    (messages.Piece(4, 0, b"ef"), "00000007 07 00000004 6566"),
]

pieces = st.integers(0, 4)
holdings = st.builds(lambda bits: messages.Bitfield(bytes([bits << 3])), st.integers(0, 31))
talk = st.one_of(
    st.sampled_from([messages.Choke(), messages.Unchoke(), messages.Interested(), messages.NotInterested()]),
    st.builds(messages.Have, pieces),
    st.builds(lambda index: messages.Request(index, 0, SMALL.piece_size(index)), pieces),
    pieces.flatmap(
        lambda index: st.builds(
            lambda data: messages.Piece(index, 0, data),
            st.binary(min_size=SMALL.piece_size(index), max_size=SMALL.piece_size(index)),
        )
    ),
)


def decoded(frame: bytes, dialect: Dialect = DIALECT) -> messages.Message:
    """Read a frame that is longer than its length bytes."""
    return dialect.decode(frame[4], memoryview(frame)[5:])


def conversation(dialect: Dialect = DIALECT, num_pieces: int = SMALL.num_pieces) -> WireSession:
    return WireSession(dialect, num_pieces=num_pieces, fast=False, extended=False)


def heard(session: WireSession, data: bytes) -> list[messages.Message]:
    """Read bytes, and keep what they say."""
    found: list[messages.Message] = []
    for message in session.receive(data):
        if isinstance(message, messages.Piece):
            message = messages.Piece(message.index, message.begin, bytes(message.data))
        found.append(message)
    return found


class HandshakeTests(SynchronousTestCase):
    golden = b"P2PFILESHARINGPROJ" + bytes(10) + bytes.fromhex("000003e9")

    def test_s4_1_written(self) -> None:
        """Peer 1001 greets with the header, ten zero bytes, and 00 00 03 E9: 32 bytes."""
        self.assertEqual(course.encode_handshake(course.Handshake(1001)), self.golden)
        self.assertEqual(len(self.golden), course.HANDSHAKE_SIZE)

    def test_s4_1_read(self) -> None:
        """Reading it tells who greets, as a number and as bytes."""
        handshake = course.decode_handshake(self.golden)
        self.assertEqual((handshake, handshake.peer_id), (course.Handshake(1001), b"\0\0\x03\xe9"))

    def test_s4_1_refused(self) -> None:
        """A wrong header, a zero bit that is set, or another number of bytes is no handshake."""
        for data in (
            b"p2pfilesharingproj" + self.golden[18:],
            self.golden[:18] + b"\x01" + self.golden[19:],
            self.golden[:27] + b"\x80" + self.golden[28:],
            self.golden[:-1],
            self.golden + b"\0",
            b"\x13BitTorrent protocol" + bytes(48),
            b"",
        ):
            self.assertRaises(RemoteWireError, course.decode_handshake, data)

    def test_ids_have_four_bytes(self) -> None:
        """An id that does not fit is our bug, and never gets on the wire."""
        for id in (-1, 2**32):
            self.assertRaises(LocalWireError, course.encode_handshake, course.Handshake(id))

    @given(st.integers(0, 2**32 - 1))
    def test_round_trip(self, id: int) -> None:
        """Every id is read as it was written."""
        self.assertEqual(course.decode_handshake(course.encode_handshake(course.Handshake(id))).id, id)

    @given(st.binary(max_size=40))
    def test_garbage(self, data: bytes) -> None:
        """Any bytes are a handshake or a RemoteWireError."""
        try:
            course.decode_handshake(data)
        except RemoteWireError:
            pass


class CodecTests(SynchronousTestCase):
    def test_s4_3_golden_bytes(self) -> None:
        """Every message looks on the wire as the assignment says, both ways: the length counts type and payload."""
        for message, text in GOLDEN:
            frame = bytes.fromhex(text)
            self.assertEqual(DIALECT.encode(message), frame)
            self.assertEqual(decoded(frame), message)

    def test_s4_2_bitfield_of_the_assignment(self) -> None:
        """The bitfield of a seed of 306 pieces is 39 bytes: 38 times FF, and C0."""
        dialect = course.make_dialect(ASSIGNMENT)
        frame = bytes.fromhex("00000028 05") + 38 * b"\xff" + b"\xc0"
        self.assertEqual(dialect.encode(messages.Bitfield(38 * b"\xff" + b"\xc0")), frame)
        self.assertEqual(heard(conversation(dialect, 306), frame), [messages.Bitfield(frame[5:])])

    def test_s4_6_last_piece(self) -> None:
        """The last piece is as long as what is left of the file, and a request for it asks for no more."""
        dialect = course.make_dialect(ASSIGNMENT)
        self.assertEqual(dialect.piece_header(305, 0, 5992), bytes.fromhex("0000176d 07 00000131"))
        self.assertEqual(decoded(bytes.fromhex("00000005 06 00000131"), dialect), messages.Request(305, 0, 5992))

    @given(talk | holdings)
    def test_round_trip(self, message: messages.Message) -> None:
        """What is written is read as the same message."""
        self.assertEqual(decoded(DIALECT.encode(message)), message)

    @given(st.integers(0, 255), st.binary(max_size=12))
    @settings(max_examples=200)
    def test_garbage(self, id: int, payload: bytes) -> None:
        """Any type with any payload is a message or a RemoteWireError."""
        try:
            DIALECT.decode(id, memoryview(payload))
        except RemoteWireError:
            pass

    def test_wrong_sizes(self) -> None:
        """A payload a byte shorter or longer than its type wants is refused; so is a piece of another length."""
        for message, text in GOLDEN:
            if not isinstance(message, messages.Bitfield):
                frame = bytes.fromhex(text)
                for wrong in (frame[:-1], frame + b"\0"):
                    if len(wrong) > 4:
                        self.assertRaises(RemoteWireError, decoded, wrong)

    def test_pieces_that_do_not_exist(self) -> None:
        """A have, request or piece beyond the last piece is refused by its index."""
        for text in ("00000005 04 00000005", "00000005 06 00000005", "00000007 07 00000005 6566"):
            with self.assertRaises(RemoteWireError) as caught:
                decoded(bytes.fromhex(text))
            self.assertIn("piece 5 of 5", str(caught.exception))

    def test_types_nobody_knows(self) -> None:
        """Types from 8 on have no meaning, and are passed over."""
        for id in (8, 20, 255):
            self.assertEqual(DIALECT.decode(id, memoryview(b"whatever")), messages.Unknown(id))

    def test_pieces_are_not_copied(self) -> None:
        """A piece that is read is a view of the bytes it was read from."""
        frame = bytes.fromhex("00000009 07 00000003 61626364")
        message = decoded(frame)
        assert isinstance(message, messages.Piece)
        self.assertIs(message.data.obj, frame)

    def test_s4_3_only_what_the_protocol_has(self) -> None:
        """Keep-alives, cancels, rejects, extensions and parts of pieces are never sent."""
        for message in (
            messages.KeepAlive(),
            messages.Cancel(0, 0, 4),
            messages.Reject(0, 0, 4),
            messages.HaveAll(),
            messages.Extended(1, b""),
            messages.Request(0, 0, 3),
            messages.Request(0, 1, 3),
            messages.Request(4, 0, 4),
            messages.Request(5, 0, 4),
            messages.Have(5),
            messages.Have(-1),
            messages.Piece(0, 0, b"abc"),
        ):
            self.assertRaises(LocalWireError, DIALECT.encode, message)
        self.assertRaises(LocalWireError, DIALECT.encode_blocks, messages.Cancel, [(0, 0, 4)])

    def test_batches(self) -> None:
        """Batches are the same bytes as their messages one by one."""
        requests = [messages.Request(0, 0, 4), messages.Request(4, 0, 2)]
        expected = b"".join(map(DIALECT.encode, requests))
        self.assertEqual(DIALECT.encode_blocks(messages.Request, requests), expected)
        self.assertEqual(DIALECT.encode_blocks(messages.Request, [(0, 0, 4), (4, 0, 2)]), expected)
        self.assertEqual(
            DIALECT.encode_haves([1, 2]), DIALECT.encode(messages.Have(1)) + DIALECT.encode(messages.Have(2))
        )
        self.assertEqual(DIALECT.piece_header(4, 0, 2) + b"ef", DIALECT.encode(messages.Piece(4, 0, b"ef")))


class ConversationTests(SynchronousTestCase):
    """The dialect inside a WireSession."""

    @given(holdings, st.lists(talk, max_size=6))
    def test_s4_3_cut_at_every_byte(self, holding: messages.Message, said: list[messages.Message]) -> None:
        """However the bytes are cut, the same messages come out."""
        spoken = [holding, *said]
        data = b"".join(map(DIALECT.encode, spoken))
        self.assertEqual(heard(conversation(), data), spoken)
        session = conversation()
        self.assertEqual([message for byte in data for message in heard(session, bytes([byte]))], spoken)
        for cut in range(len(data)):
            session = conversation()
            self.assertEqual(heard(session, data[:cut]) + heard(session, data[cut:]), spoken)

    def test_s4_3_length_zero(self) -> None:
        """A frame of length 0 says nothing, and does not disturb the next."""
        self.assertEqual(
            heard(conversation(), bytes(4) + DIALECT.encode(messages.Unchoke())),
            [messages.KeepAlive(), messages.Unchoke()],
        )

    def test_s4_3_too_long(self) -> None:
        """A length over the piece size and 5, or over what a type can need, is refused before its bytes come."""
        for text in ("0000000a", "00000002 00", "00000006 04", "00000006 06", "00000003 05", "7fffffff 09"):
            self.assertRaises(FrameTooLong, heard, conversation(), bytes.fromhex(text))
        heard(conversation(), bytes.fromhex("00000009 09"))  # as long as a piece: may be of any unknown type

    def test_s4_3_large_bitfield(self) -> None:
        """Where the bitfield is longer than a piece, it passes all the same."""
        geometry = Geometry(1, (100,))
        dialect = course.make_dialect(geometry)
        bits = messages.Bitfield(bytes(13))
        self.assertEqual(heard(conversation(dialect, 100), dialect.encode(bits)), [bits])

    def test_short_bitfield(self) -> None:
        """A bitfield that lacks its end is taken as if zeros followed, and somebody is told."""
        told: list[int] = []
        dialect = course.make_dialect(ASSIGNMENT, told.append)
        session = conversation(dialect, 306)
        self.assertEqual(heard(session, bytes.fromhex("00000002 05 80")), [messages.Bitfield(b"\x80" + bytes(38))])
        self.assertEqual(told, [1])

    def test_wrong_bitfields(self) -> None:
        """A bitfield that is too long, or has a spare bit set, is refused."""
        for text in ("00000003 05 f800", "00000002 05 04", "00000002 05 ff"):
            self.assertRaises(RemoteWireError, heard, conversation(), bytes.fromhex(text))

    def test_no_bitfield(self) -> None:
        """A peer with nothing may leave its bitfield away."""
        self.assertEqual(heard(conversation(), DIALECT.encode(messages.Have(1))), [messages.Have(1)])
