"""The lines of the text swarm, with and without newlines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.bitfield import Bitfield
from p2pshare.errors import LocalWireError, RemoteWireError
from p2pshare.wire import textline
from p2pshare.wire.textline import Handshake, Holdings, LineReader, PieceReader, Request
from tests.strategies import bitfields

KEY = "e1bc3ba85b832a12e5537300fa1def22727f330e"
PEER = "0123456789abcdefABCDEF0123456789abcdef01"


def holdings(has: Bitfield) -> Holdings:
    return Holdings(has.size, has.to_bytes())


def read(reader: LineReader, *parts: bytes) -> list[textline.Line]:
    return [line for part in parts for line in reader.feed(part)]


def bytewise(data: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in data]


class CodecTests(SynchronousTestCase):
    def test_golden_lines(self) -> None:
        """The lines are written as the protocol's example has them, each with a newline."""
        has = Bitfield(3)
        has.add(1)
        self.assertEqual(textline.encode_handshake(Handshake(KEY)), f"HANDSHAKE {KEY}\n".encode())
        self.assertEqual(textline.encode_handshake(Handshake(KEY, PEER)), f"HANDSHAKE {KEY} {PEER}\n".encode())
        self.assertEqual(textline.encode_bitfield(has), b"BITFIELD 0,1,0\n")
        self.assertEqual(textline.encode_request(11), b"REQUEST 11\n")

    @given(bitfields(max_size=40).filter(lambda has: has.size > 0))
    def test_bitfields_round_trip(self, has: Bitfield) -> None:
        """A bitfield is read as the bits that were written, in the order of BEP 3."""
        self.assertEqual(textline.decode(textline.encode_bitfield(has)), holdings(has))

    def test_blanks_do_not_matter(self) -> None:
        """Lines are split at any white space, as the first implementation does."""
        self.assertEqual(textline.decode(b"HANDSHAKE  %b\r\n" % KEY.encode()), Handshake(KEY))
        self.assertEqual(textline.decode(b"REQUEST\t7 \n"), Request(7))

    def test_not_a_line(self) -> None:
        """Anything else is refused."""
        for line in (
            *(b"", b"HELLO", b"HANDSHAKE", b"HANDSHAKE 12", b"HANDSHAKE " + KEY.encode() + b" 12"),
            *(b"BITFIELD", b"BITFIELD 0,2", b"BITFIELD 0,,1", b"BITFIELD 0,1,", b"BITFIELD 0 1"),
            *(b"REQUEST", b"REQUEST -1", b"REQUEST 1x", b"REQUEST 1 2", b"REQUEST 9999999999", "REQUEST ²".encode()),
        ):
            self.assertRaises(RemoteWireError, textline.decode, line)

    def test_what_cannot_be_of_this_content(self) -> None:
        """Where the number of pieces is known, an index beyond it or another number of bits is refused."""
        for line in (b"REQUEST 3", b"BITFIELD 1,1", b"BITFIELD 1,1,1,1"):
            textline.decode(line)
            self.assertRaises(RemoteWireError, textline.decode, line, 3)

    def test_our_bugs(self) -> None:
        """What has no line is never sent."""
        self.assertRaises(LocalWireError, textline.encode_handshake, Handshake("12"))
        self.assertRaises(LocalWireError, textline.encode_handshake, Handshake(KEY, "x" * 40))
        self.assertRaises(LocalWireError, textline.encode_bitfield, Bitfield(0))
        self.assertRaises(LocalWireError, textline.encode_request, -1)

    @given(
        st.binary(max_size=40)
        | st.sampled_from([b"HANDSHAKE ", b"BITFIELD ", b"REQUEST "]).flatmap(
            lambda verb: st.text("01239,a \n", max_size=12).map(lambda rest: verb + rest.encode())
        )
    )
    def test_garbage(self, data: bytes) -> None:
        """Any bytes are lines or a RemoteWireError, for a line as for a reader."""
        for attempt in (textline.decode, lambda data: read(LineReader(False, 12), data)):
            try:
                attempt(data)
            except RemoteWireError:
                pass


class LineReaderTests(SynchronousTestCase):
    dialled = f"HANDSHAKE {KEY}".encode(), b"BITFIELD 0,0,0", b"REQUEST 1"
    answered = f"HANDSHAKE {KEY} {PEER}".encode(), b"BITFIELD 1,0,1"

    def test_s0_6_handshake_with_or_without_newline(self) -> None:
        """The dialler's handshake is over with its 40 digits, the answer with another 40."""
        for end in (b"", b"\n", b"\r\n"):
            self.assertEqual(read(LineReader(False), self.dialled[0] + end), [Handshake(KEY)])
            self.assertEqual(read(LineReader(True), self.answered[0] + end), [Handshake(KEY, PEER)])

    def test_s0_9_single_bytes(self) -> None:
        """Lines with newlines may come byte by byte."""
        reader = LineReader(False, 3)
        data = b"".join(line + b"\n" for line in self.dialled)
        self.assertEqual(read(reader, *bytewise(data)), [Handshake(KEY), Holdings(3, b"\0"), Request(1)])

    def test_s0_18_one_send_a_message(self) -> None:
        """Lines without newlines, one after the answer to the other, are each over at once."""
        reader = LineReader(False, 3)
        for line, expected in zip(self.dialled, (Handshake(KEY), Holdings(3, b"\0"), Request(1)), strict=True):
            self.assertEqual(read(reader, line), [expected])

    def test_s0_10_longer_index(self) -> None:
        """Of 12 pieces, 1 may become 10 or 11, while 0, 2 and 11 are over; a newline ends any of them."""
        for text, lines in ((b"1", []), (b"0", [Request(0)]), (b"2", [Request(2)]), (b"11", [Request(11)])):
            reader = LineReader(False, 12)
            self.assertEqual(read(reader, b"REQUEST " + text), lines)
            self.assertEqual(reader.is_waiting, not lines)
        self.assertEqual(read(LineReader(False, 12), b"REQUEST 1\n"), [Request(1)])
        self.assertEqual(read(LineReader(False, 12), *bytewise(b"REQUEST 11\n")), [Request(11)])

    def test_s0_10_silence(self) -> None:
        """When nothing follows an index that may be longer, silence ends it."""
        reader = LineReader(False, 12)
        self.assertEqual(read(reader, b"REQUEST 1"), [])
        self.assertEqual((reader.silence(), reader.is_waiting, reader.silence()), (Request(1), False, None))

    def test_bitfield_of_unknown_size(self) -> None:
        """Where the number of pieces is not known, a newline or silence ends a bitfield."""
        self.assertEqual(read(LineReader(False), b"BITFIELD 0,1\n"), [Holdings(2, b"\x40")])
        reader = LineReader(False)
        self.assertEqual(read(reader, b"BITFIELD 0,", b"1"), [])
        self.assertEqual(reader.silence(), Holdings(2, b"\x40"))

    def test_silence_in_the_middle(self) -> None:
        """Half a line that nothing follows is refused."""
        reader = LineReader(False, 3)
        self.assertEqual(read(reader, b"HANDSHAKE e1bc"), [])
        self.assertRaises(RemoteWireError, reader.silence)

    def test_newline_that_comes_late(self) -> None:
        """Once a newline has come, only newlines end lines: the one of a bitfield is never taken for piece data."""
        reader = LineReader(True, 3)
        self.assertEqual(read(reader, self.answered[0]), [Handshake(KEY, PEER)])
        self.assertEqual(read(reader, b"\n" + self.answered[1]), [])
        self.assertFalse(reader.is_waiting)
        self.assertIs(reader.silence(), None)
        self.assertEqual(read(reader, b"\n"), [Holdings(3, b"\xa0")])

    def test_number_of_pieces_told_by_the_handshake(self) -> None:
        """Whoever learns from the handshake which content it is about may say how many pieces that has."""
        reader = LineReader(False)
        found = []
        for line in reader.feed(b"".join(self.dialled)):
            found.append(line)
            reader.num_pieces = 3
        self.assertEqual(found, [Handshake(KEY), Holdings(3, b"\0"), Request(1)])

    def test_s0_11_garbage_at_its_first_byte(self) -> None:
        """What cannot become a line is refused as soon as that is clear."""
        for data in (b"G", b"HANDX", b"handshake", b"\x13Bit", b"REQUEST x", b"REQUESTS"):
            self.assertRaises(RemoteWireError, read, LineReader(False, 3), data)

    def test_s0_11_empty_line_first(self) -> None:
        """Whoever dials begins with a HANDSHAKE and no empty line; later, and from who answers us, one is no matter."""
        for data in (b"\n", b" \r\n", b"\nHANDSHAKE "):
            self.assertRaises(RemoteWireError, read, LineReader(False, 3), data)
        self.assertEqual(read(LineReader(True, 3), b"\n"), [])
        self.assertEqual(len(read(LineReader(False, 12), b"REQUEST 1\n\nREQUEST 2\n")), 2)

    def test_too_long(self) -> None:
        """Nobody makes us keep more than a line can need."""
        reader = LineReader(False)
        self.assertRaises(RemoteWireError, read, reader, b"REQUEST " + b"1" * 200)
        self.assertRaises(RemoteWireError, read, LineReader(False, 12), b"BITFIELD " + b"0," * 200)
        reader = LineReader(False)
        read(reader, b"BITFIELD " + b"0," * 2**21)
        self.assertRaises(RemoteWireError, read, reader, b"0," * 200)

    @given(st.lists(st.integers(0, 11), max_size=8), st.data())
    def test_cut_anywhere(self, indices: list[int], data: st.DataObject) -> None:
        """Lines with newlines mean the same however they are cut."""
        said = b"".join(map(textline.encode_request, indices))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(said)), max_size=6)))
        parts = [said[start:end] for start, end in zip([0, *cuts], [*cuts, len(said)], strict=True)]
        self.assertEqual(read(LineReader(False, 12), *parts), list(map(Request, indices)))


class PieceReaderTests(SynchronousTestCase):
    def test_s0_8_exact(self) -> None:
        """A piece of known size is over with its last byte, and with nothing else."""
        reader = PieceReader(5)
        self.assertEqual([reader.feed(b"ab"), reader.silence(), reader.feed(b"cde")], [None, None, b"abcde"])

    def test_last_piece_of_unknown_size(self) -> None:
        """A last piece may be shorter: silence after its first byte, or the end of the connection, ends it."""
        reader = PieceReader(5, False)
        self.assertIs(reader.silence(), None)
        self.assertIs(reader.feed(b"ab\n"), None)
        self.assertEqual((reader.silence(), reader.ended()), (b"ab\n", b"ab\n"))

    def test_full_last_piece(self) -> None:
        """A last piece that is as long as any other is over without waiting."""
        self.assertEqual(PieceReader(3, False).feed(b"abc"), b"abc")

    def test_broken_off(self) -> None:
        """A connection that ends before the last byte of a piece, or before the first, has delivered none."""
        for reader in (PieceReader(5), PieceReader(5, False)):
            self.assertRaises(RemoteWireError, reader.ended)
        reader = PieceReader(5)
        reader.feed(b"abcd")
        self.assertRaises(RemoteWireError, reader.ended)

    def test_too_much(self) -> None:
        """More bytes than a piece has are refused, and not kept."""
        reader = PieceReader()
        reader.feed(bytes(1459))
        self.assertRaises(RemoteWireError, reader.feed, bytes(2))
